"""A folder that holds what the base install brings, and nothing of the extras."""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def link_base_install(folder: Path) -> None:
    """Link the packages that `pip install paraclap` would bring into a folder: with `python -S` it is all there is."""
    for name in _required("paraclap") - {"paraclap"}:
        files = metadata.files(name) or []
        for entry in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            source, link = Path(files[0].locate()).parents[len(files[0].parts) - 1] / entry, folder / entry
            if source.exists() and not link.exists():  # several packages share `nvidia`
                link.symlink_to(source)


def _required(name: str) -> set[str]:
    """The name and all that it requires without extras."""
    found, waiting = set(), [name]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found:
            found.add(name)
            requirements = map(Requirement, metadata.requires(name) or [])
            waiting += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found
