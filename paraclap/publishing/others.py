"""Stage the metric and the demo page."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import RepoCard

from paraclap.resources import resource

from .checks import check_staged, copy_file
from .errors import PublishError

METRIC = "metrics/unweighted_average_recall"
SPACE_FILES = ("README.md", "app.py", "requirements.txt")
# The page's modules are in the package; on a Space they lie beside app.py, in a folder of this name.
PAGE, PAGE_FOLDER = Path(__file__).resolve().parents[1] / "page", "paraclap_page"
PAGE_FILES = (
    "__init__.py",
    "app.py",
    "asking.py",
    "heat_map.py",
    "layout.py",
    "limits.py",
    "questions.py",
    "smoothing.py",
)
MODEL_FILE = "model_id.txt"  # file of the Space with the repo id of its model
MODEL_NAME = re.compile(r"[\w.-]+/[\w.-]+")
CHECK_METRIC = """
import sys, evaluate
result = evaluate.load(sys.argv[1]).compute(references=["a", "a", "a", "b"], predictions=["a", "a", "b", "b"])
assert abs(result["unweighted_average_recall"] - 5 / 6) < 1e-9, result
"""
# The package of this project is not installed on a Space.
CHECK_SPACE = """
import sys
sys.modules["paraclap"] = None
import app
from paraclap_page.layout import build_app
build_app("{model}")
"""


def stage_metric(source: Path, folder: Path, repo_id: str) -> None:
    """Write a metric's folder for the Hub, where metrics are Spaces, and check that `evaluate` can load it.

    `evaluate.load("org/name")` fetches `name.py`, so the module takes the repo's name.

    Args:
        source: Folder with NAME.py and README.md, both named after it.
        folder: Empty folder to write.
        repo_id: ORG/NAME.

    Raises:
        PublishError: If the source is not a metric, its name is not a valid module name, or it does not load.
    """
    name = repo_id.split("/")[-1]
    module, card = source / f"{source.name}.py", source / "README.md"
    for file in (module, card):
        if not file.exists():
            raise PublishError(f"{source} is not a metric: {file.name} is missing.")
    if not name.isidentifier():
        raise PublishError(f"evaluate loads {name}.py from {repo_id}, but {name!r} is not a valid module name.")
    copy_file(module, folder / f"{name}.py")
    copy_file(card, folder / "README.md")
    text = (folder / "README.md").read_text(encoding="utf-8").replace(f"metrics/{source.name}", repo_id)
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "requirements.txt").write_text("evaluate\nnumpy\n", encoding="utf-8")
    check_staged(folder)
    # evaluate expects the module in a folder of the same name
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(folder, Path(home) / name)
        run_check(["-c", CHECK_METRIC, str(Path(home) / name)], home, "metric")


def stage_space(folder: Path, repo_id: str, model: str) -> None:
    """Write the demo page's folder for the Hub and check that the page can be built.

    Only the page's own files are staged, not others beside them.

    Args:
        folder: Empty folder to write.
        repo_id: ORG/NAME, used as title.
        model: Repo id of the model on the Hub.

    Raises:
        PublishError: If `model` is not a valid repo id, a file is a link, or the page cannot be built.
    """
    if not MODEL_NAME.fullmatch(model):
        raise PublishError(f"--model is {model!r}; expected ORG/NAME, a model on the Hub.")
    for name in SPACE_FILES:
        copy_file(resource(f"space/{name}"), folder / name)
    (folder / PAGE_FOLDER).mkdir()
    for name in PAGE_FILES:
        copy_file(PAGE / name, folder / PAGE_FOLDER / name)
    (folder / MODEL_FILE).write_text(model + "\n", encoding="utf-8")
    card = RepoCard.load(folder / "README.md")
    card.data.models = [model]
    card.save(folder / "README.md")
    check_staged(folder)
    run_check(["-c", CHECK_SPACE.format(model=model)], str(folder.resolve()), "demo")
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)


def run_check(arguments: Sequence[str], cwd: str, what: str) -> None:
    """Run a check in a fresh process.

    Raises:
        PublishError: If it fails; the message has the last line of its output.
    """
    environment = {key: value for key, value in os.environ.items() if "TOKEN" not in key}
    with tempfile.TemporaryDirectory() as home:
        environment |= {"HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1", "HF_HOME": home}
        done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PublishError(f"The staged {what} does not work: {done.stderr.strip().splitlines()[-1]}")


def sdk_of(folder: Path) -> str:
    """Return the SDK of a Space from its card."""
    return RepoCard.load(folder / "README.md").data.to_dict().get("sdk", "static")
