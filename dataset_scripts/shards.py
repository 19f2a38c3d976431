"""Functionals on disk: Parquet shards keyed by file and content, so that nothing is computed twice.

A shard is written under another name and renamed when it is complete: a run that was killed leaves whole shards, and
the next one goes on after them. A row counts for a file only if the file's content is the same, and a shard only if it
is of the same openSMILE version. Files without functionals are not recorded: each run tries them again.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .hashing import file_digest

KEY = ("corpus", "file", "sha256")
VERSION = b"opensmile"
READERS = 4  # threads that hash files: hashlib releases the interpreter's lock


def keys_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `KEY` of each row: its corpus, its file, and the sha256 of the content (None if it cannot be read).

    Args:
        frame: columns corpus, file and path.
    """
    with ThreadPoolExecutor(READERS) as pool:
        return frame[["corpus", "file"]].assign(sha256=list(pool.map(_sha256, frame["path"])))


def _sha256(path: str) -> str | None:
    if not os.path.isfile(path):  # a pipe would be waited for without end
        return None
    try:
        return file_digest(path)
    except OSError:
        return None  # reading it for its functionals will say why


class Shards:
    """A folder of shards.

    Args:
        folder: created with the first shard.
        columns: the functionals that a row must have.
        keys: `keys_of` the rows whose functionals are wanted.
    """

    def __init__(self, folder: Path, columns: Sequence[str], keys: pd.DataFrame):
        self.folder = Path(folder)
        self.columns = list(columns)
        self.keys = keys
        self.version = version("opensmile").encode()

    def load(self) -> pd.DataFrame:
        """Return the functionals of those rows of `keys` that are known, beside an empty column ``error``.

        Raises:
            ValueError: If a file in the folder is not a shard.
        """
        tables = []
        for path in self._paths():
            try:
                schema = pq.read_schema(path)
                wanted = {*KEY, *self.columns} <= set(schema.names)
                if wanted and (schema.metadata or {}).get(VERSION) == self.version:
                    tables.append(pq.read_table(path, columns=[*KEY, *self.columns]).to_pandas())
            except (pa.ArrowInvalid, OSError) as error:
                raise ValueError(f"{path} is not a shard of functionals ({error}); remove it and run again.") from error
        if not tables:
            return pd.DataFrame(columns=["error", *self.columns], index=pd.Index([], dtype="int64"))
        known = pd.concat(tables, ignore_index=True).drop_duplicates(list(KEY), keep="last")
        keys = self.keys[self.keys["sha256"].notna()].reset_index(names="_row")
        rows = keys.merge(known, on=list(KEY), how="inner").set_index("_row").rename_axis(None)
        return rows[self.columns].assign(error=None)[["error", *self.columns]]

    def add(self, results: pd.DataFrame) -> None:
        """Write one shard: the rows of `results` (``error`` and functionals) that have functionals, with their keys."""
        rows = self.keys.join(results[results["error"].isna()], how="inner")
        rows = rows[rows["sha256"].notna()]
        if rows.empty:
            return
        fields = [*((name, pa.string()) for name in KEY), *((name, pa.float64()) for name in self.columns)]
        schema = pa.schema(fields, metadata={VERSION: self.version})
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max((int(path.stem.split("-")[1]) for path in self._paths()), default=-1) + 1
        partial = self.folder / f".{os.getpid()}.partial"
        pq.write_table(pa.Table.from_pandas(rows, schema=schema, preserve_index=False), partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.rename(self.folder / f"part-{number:05d}.parquet")

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))
