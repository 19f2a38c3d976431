"""``build.json``: how a query corpus was built, and the files that it consists of."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .hashing import file_digest

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
