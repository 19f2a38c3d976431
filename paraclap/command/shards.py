"""Results in Parquet shards: the counterpart of the journal for Ray runs and for the index of `search`.

A shard is renamed into place when it is complete, so a killed run leaves only complete shards, from which the next run
resumes. The columns are those of the table, plus path, size and modification time of each file.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .journal import check_resume, hold
from .recordings import Recording
from .score import Result, ScoreTask
from .tables import rows_of, table_of

SHARD = 500  # recordings per shard: at most so many are lost by a kill
SETTINGS, FINISHED = b"paraclap", "finished"
KEY = ("path", "size", "modified")
Key = tuple[str, int, int]


class ResultShards:
    """A folder of shards, with the interface of `Journal`.

    Args:
        folder: The folder.
        task: The task whose results it stores.
    """

    def __init__(self, folder: Path, task: ScoreTask):
        self.folder, self.task = Path(folder), task
        self.settings = json.loads(json.dumps(task.settings()))
        self._waiting: list[tuple[Recording, Result]] = []
        self._writing = threading.Lock()

    @contextmanager
    def open(self, resume: bool | None) -> Iterator["ResultShards"]:
        """Lock the folder for one run; see `Journal.open`."""
        with hold(self.folder):
            shards = self.parts()
            old = json.loads((pq.read_schema(shards[0]).metadata or {}).get(SETTINGS, b"{}")) if shards else None
            finished = (self.folder / FINISHED).exists()
            unfinished = 0 if finished else sum(pq.read_metadata(shard).num_rows for shard in shards)
            check_resume(self.folder, resume, unfinished, old, self.settings)
            if not resume and self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
            (self.folder / FINISHED).unlink(missing_ok=True)
            yield self

    def parts(self) -> list[Path]:
        """Return the files in the order in which they were written."""
        return sorted(self.folder.glob("part-*.parquet"))

    @cached_property
    def known(self) -> dict[Key, Result]:
        """The results on disk by path, size and modification time of the recording."""
        found = {}
        for part in self.parts():
            for row in pq.read_table(part).to_pylist():
                result: Result = {"reason": row["reason"]} if row["reason"] is not None else self._result_of(row)
                found[tuple(row[name] for name in KEY)] = result
        return found

    def keys(self) -> set[Key]:
        """Return path, size and modification time of all recordings on disk, without reading the results."""
        return {key for part in self.parts() for key in recording_keys(pq.read_table(part, columns=list(KEY)))}

    def _result_of(self, row: dict[str, Any]) -> Result:
        questions = self.task.questions
        if not questions:
            return {"embedding": row["embedding"]}
        return {"scores": {q.name: [row[f"{q.name}.{label}"] for label in q.names] for q in questions}}

    def add(self, recording: Recording, result: Result) -> None:
        """Store a result; it is written when its shard is full or `flush` is called."""
        with self._writing:
            if recording.key is not None:
                self._waiting.append((recording, result))
            if len(self._waiting) >= SHARD:
                self._flush()

    def finish(self, recordings: Sequence[Recording]) -> None:
        """Mark the run as complete."""
        self.flush()
        (self.folder / FINISHED).write_text(f"{len(recordings)}\n", encoding="ascii")

    def flush(self) -> None:
        """Write pending results as a shard."""
        with self._writing:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            recordings, results = zip(*self._waiting, strict=True)
            rows = rows_of(recordings, results, self.task.questions)
            for recording, row in zip(recordings, rows, strict=True):
                row |= {"path": recording.shown, "size": recording.size, "modified": recording.modified}
            self.write(table_of(rows))
            self._waiting = []

    def write(self, table: pa.Table) -> None:
        """Write a table as the next part."""
        parts = self.parts()
        number = int(parts[-1].stem.split("-")[1]) + 1 if parts else 0
        partial = self.folder / ".partial"
        pq.write_table(table.replace_schema_metadata({SETTINGS: json.dumps(self.settings)}), partial)
        os.replace(partial, self.folder / f"part-{number:06d}.parquet")


def recording_keys(table: pa.Table) -> Iterable[Key]:
    """Return path, size and modification time of each row."""
    return zip(*(table[name].to_pylist() for name in KEY), strict=True)
