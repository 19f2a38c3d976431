"""Functionals on disk: Parquet shards keyed by file, so that nothing is computed twice.

A shard is written under another name and renamed when it is complete: a run that was killed leaves whole shards, and
the next one goes on after them. A row counts for a file only if the file's size and time of change are the same, and a
shard only if it is of the same openSMILE version.
"""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

KEY = ("corpus", "file", "size", "modified")
VERSION = b"opensmile"


def keys_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `KEY` of each row: its corpus and file, and size (bytes) and time of change (ns); -1 for a missing file.

    Args:
        frame: columns corpus, file and path.
    """
    stats = [os.stat(path) if os.path.exists(path) else None for path in frame["path"]]
    keys = frame[["corpus", "file"]].copy()
    keys["size"] = [-1 if stat is None else stat.st_size for stat in stats]
    keys["modified"] = [-1 if stat is None else stat.st_mtime_ns for stat in stats]
    return keys


class Shards:
    """A folder of shards.

    Args:
        folder: created with the first shard.
        columns: the functionals that a row must have.
    """

    def __init__(self, folder: Path, columns: Sequence[str]):
        self.folder = Path(folder)
        self.columns = list(columns)
        self.version = version("opensmile").encode()

    def load(self, keys: pd.DataFrame) -> pd.DataFrame:
        """Return ``error`` (null where there is none) and the functionals of those rows of `keys` that are known.

        Raises:
            ValueError: a file in the folder is not a shard.
        """
        tables = []
        for path in self._paths():
            try:
                schema = pq.read_schema(path)
                if (schema.metadata or {}).get(VERSION) == self.version and set(self.columns) <= set(schema.names):
                    tables.append(pq.read_table(path, columns=[*KEY, "error", *self.columns]).to_pandas())
            except (pa.ArrowInvalid, OSError) as error:
                raise ValueError(f"{path} is not a shard of functionals ({error}); remove it and run again.") from error
        if not tables:
            return pd.DataFrame(columns=["error", *self.columns])
        known = pd.concat(tables, ignore_index=True).drop_duplicates(list(KEY), keep="last")
        known = known[known["size"] >= 0]  # a file that was missing may be there now
        rows = keys.reset_index(names="_row").merge(known, on=list(KEY), how="inner").set_index("_row")
        return rows[["error", *self.columns]].rename_axis(None)

    def add(self, keys: pd.DataFrame, results: pd.DataFrame) -> None:
        """Write one shard: the rows of `results` (``error`` and functionals) with their keys."""
        rows = keys.loc[results.index].join(results)
        fields = [(name, pa.string()) for name in ("corpus", "file")] + [(n, pa.int64()) for n in ("size", "modified")]
        fields += [("error", pa.string()), *((name, pa.float64()) for name in self.columns)]
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
