"""``build.json``: how a query corpus was built, and the files that it consists of."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import pyarrow.parquet as pq

from .hashing import file_digest
from .layout import CorpusError

BUILD_FILE = "build.json"  # marks a folder as one of ours


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Describe the Parquet files of a corpus as ``build.json`` lists them.

    Args:
        folder: the corpus folder, with ``data/*.parquet``.

    Returns:
        Name below `folder` -> rows, bytes and sha256.
    """
    return {
        path.relative_to(folder).as_posix(): {
            "rows": pq.read_metadata(path).num_rows,
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        for path in sorted((folder / "data").glob("*.parquet"))
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``build.json``: `record`, and the files that are in `folder` now."""
    content = {**record, "files": list_files(folder)}
    (folder / BUILD_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def check_build(folder: str | Path, split: str | None = None, checksums: bool = True) -> bool:
    """Compare the Parquet files of a built corpus with the list in its ``build.json``.

    Args:
        folder: the corpus folder, on this machine or at an address that fsspec knows (``hf://datasets/ORG/NAME``).
        split: check the files of this split alone, or of several (``train+validation``).
        checksums: compare the contents, too, which reads every file; else names and sizes alone. Files that are not on
            this machine are never read.

    Returns:
        True if all is as listed; False if the corpus has no list, which versions before 0.2 did not write.

    Raises:
        CorpusError: a file is missing, is not in the list, or has another size or content.
    """
    filesystem, root = fsspec.url_to_fs(str(folder))
    try:
        record = json.loads(filesystem.cat_file(f"{root}/{BUILD_FILE}"))
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise CorpusError(f"{folder}/{BUILD_FILE} is not JSON ({error}); build the corpus again.") from error
    listed = record.get("files") if isinstance(record, dict) else None
    if not isinstance(listed, dict):
        return False
    splits = None if split is None else split.split("+")
    expected = {name: entry for name, entry in listed.items() if splits is None or _split_of(name) in splits}
    infos = filesystem.glob(f"{root}/data/*.parquet", detail=True)
    present = {f"data/{PurePosixPath(path).name}": info for path, info in infos.items()}
    present = {name: info for name, info in present.items() if splits is None or _split_of(name) in splits}
    if missing := sorted(set(expected) - set(present)):
        raise CorpusError(
            f"{folder} lacks {missing[0]}{_and_more(missing)}, which {BUILD_FILE} lists. Copy the whole folder again, "
            f"or build the corpus again."
        )
    if extra := sorted(set(present) - set(expected)):
        raise CorpusError(
            f"{folder} has {extra[0]}{_and_more(extra)}, which {BUILD_FILE} does not list: it is of another build. "
            f"Remove it, or build the corpus again."
        )
    local = "file" in filesystem.protocol
    for name, entry in expected.items():
        _check_file(f"{root}/{name}", present[name], entry, checksums and local)
    return True


def _check_file(path: str, info: Mapping[str, Any], entry: Mapping[str, Any], checksums: bool) -> None:
    """Raise CorpusError if a file is not as ``build.json`` describes it."""
    size = info["size"]
    if size != entry.get("bytes"):
        problem = f"has {size} bytes; {BUILD_FILE} lists {entry.get('bytes')}"
    elif checksums and (found := file_digest(path)) != entry.get("sha256"):
        problem = f"has the sha256 {found}; {BUILD_FILE} lists {entry.get('sha256')}"
    else:
        return
    raise CorpusError(f"{path} {problem}: it is damaged or of another build. Copy it, or build the corpus, again.")


def _split_of(name: str) -> str:
    return PurePosixPath(name).name.split("-")[0]


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
