"""The package as a whole: quick to import, needing little, in files that can be read."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "modeling_paraclap"
IMPORTED = """
import sys
import transformers, torch
{statement}
print(*sorted(name for name in sys.modules if name.partition(".")[0] in {packages!r}))
"""
# What a file that travels with the weights may import; safetensors comes with transformers.
TRAVELLING = {"torch", "numpy", "transformers", "safetensors"}


def imported(statement: str, packages: tuple[str, ...]) -> set[str]:
    """The modules of these packages that a statement imports in a fresh interpreter."""
    code = IMPORTED.format(statement=statement, packages=packages)
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def top_level_imports(file: Path) -> set[str]:
    """The packages that a file imports when it is imported, but for its own and the standard library."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*.py")), ids=lambda file: file.stem)
def test_a_file_that_travels_needs_torch_numpy_and_transformers_alone(file):
    assert top_level_imports(file) <= TRAVELLING


def test_dataset_scripts_use_the_audio_loader_and_nothing_else_of_the_model():
    names = sorted(file.stem for file in (PACKAGE.parent / "dataset_scripts").glob("*.py") if file.stem[0] != "_")
    statement = "; ".join(f"import dataset_scripts.{name}" for name in names)
    found = imported(statement, ("modeling_paraclap", "paraclap"))
    assert "modeling_paraclap.audio_paraclap" in found
    assert "modeling_paraclap.modeling_paraclap" not in found
    assert not [name for name in found if name.startswith("paraclap")]
    assert not [name for name in found if "tower" in name or "pipeline" in name]


def test_the_model_knows_nothing_of_datasets_training_or_the_hub():
    names = sorted(file.stem for file in PACKAGE.glob("*.py") if file.stem[0] != "_")
    statement = "; ".join(f"import modeling_paraclap.{name}" for name in names)
    found = imported(statement, ("dataset_scripts", "paraclap"))
    assert found == set()


def test_no_file_is_longer_than_450_lines():
    lengths = {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in PACKAGE.glob("*.py")}
    assert max(lengths.values()) <= 450, lengths
