"""Files that programs need besides the code: found in a checkout, and where a wheel has them."""

import importlib.util
from pathlib import Path

import pytest

import paraclap.resources
from dataset_scripts import report
from paraclap.publishing.others import METRIC, SPACE_FILES
from paraclap.resources import CHECKOUT, resource

NAMES = ["LICENSE", "model_card.md", METRIC, *(f"space/{name}" for name in SPACE_FILES)]


@pytest.fixture(scope="module")
def build():
    """setup.py's build step, without running setup."""
    import setuptools

    original, setuptools.setup = setuptools.setup, lambda **kwargs: None
    try:
        spec = importlib.util.spec_from_file_location("paraclap_setup", CHECKOUT / "setup.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        setuptools.setup = original
    return module


def shipped(build, folder):
    """All files that a wheel has in a folder, relative to it."""
    return {str(file.relative_to(CHECKOUT)) for pattern in build.SHIPPED[folder] for file in CHECKOUT.glob(pattern)}


@pytest.mark.parametrize("name", NAMES)
def test_the_wheel_has_what_programs_ask_for(build, name):
    files = [file for file in resource(name).rglob("*.*")] if resource(name).is_dir() else [resource(name)]
    files = {str(file.relative_to(CHECKOUT)) for file in files if "__pycache__" not in file.parts}
    assert files
    assert files <= shipped(build, "paraclap/data")


def test_an_installed_package_looks_in_itself_alone(tmp_path, monkeypatch):
    (tmp_path / "LICENSE").write_text("somebody else's, beside the package")
    monkeypatch.setattr(paraclap.resources, "PACKAGED", tmp_path / "data")
    monkeypatch.setattr(paraclap.resources, "CHECKOUT", tmp_path)
    assert resource("LICENSE") == tmp_path / "LICENSE"
    (tmp_path / "data").mkdir()
    with pytest.raises(FileNotFoundError, match="LICENSE is missing from this installation of paraclap"):
        resource("LICENSE")


def test_the_dataset_card_is_found_where_a_wheel_has_it(build, tmp_path, monkeypatch):
    card = report.card_template()
    assert card == (CHECKOUT / report.CARD).read_text(encoding="utf-8")
    assert report.CARD in build.SHIPPED["dataset_scripts"]
    (tmp_path / report.CARD).write_text("packaged", encoding="utf-8")
    monkeypatch.setattr(report, "__file__", str(tmp_path / "report.py"))
    assert report.card_template() == "packaged"


def test_links_of_the_readme_work_on_a_package_index(build, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("[a](docs/a.md#b) ![c](c.png) [d](https://d.org/e) [f](#g)\n")
    urls = "[metadata]\nproject_urls =\n    Paper = https://arxiv.org/abs/1\n"
    (tmp_path / "setup.cfg").write_text(urls)
    assert build.long_description() == "a (`docs/a.md`)  [d](https://d.org/e) [f](#g)\n"
    (tmp_path / "setup.cfg").write_text(f"{urls}    Source = https://x.org/r\n")
    assert build.long_description() == (
        "[a](https://x.org/r/blob/main/docs/a.md#b) ![c](https://x.org/r/raw/main/c.png) [d](https://d.org/e) [f](#g)\n"
    )


def test_what_lies_in_the_folders_by_chance_is_not_packed(build):
    """Every pattern names a file or a kind of files; none takes a whole folder."""
    for pattern in (pattern for patterns in build.SHIPPED.values() for pattern in patterns):
        assert Path(pattern).suffix or Path(pattern).name == "LICENSE", pattern
        assert Path(pattern).name not in ("*", "*.*")
