"""Finds recordings by how they are spoken, with embeddings that are kept from search to search."""

import hashlib
import heapq
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .progress import progress_bar
from .recordings import Recording
from .score import ScoreTask, process
from .shards import Key, ResultShards, recording_keys

MOST_PARTS = 64  # more are put together
MERGED = 50_000  # rows of a part that several were put together to


def index_folder(folder: Path, task: ScoreTask) -> Path:
    """Return where the index of a folder is kept by default: in the user's cache folder."""
    from platformdirs import user_cache_path

    digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return user_cache_path("paraclap", appauthor=False) / "search" / digest[:16]


def update_index(index: Path, task: ScoreTask, recordings: Sequence[Recording], jobs: int) -> list[Path]:
    """Embed the recordings that the index does not have.

    Args:
        index: Folder of the index; each model has its own in it.
        task: Without questions; names the model.
        recordings: What is to be found.
        jobs: Recordings at a time.

    Returns:
        The index's parts: Parquet with path, size, modified, embedding and reason. Also of recordings that are gone.
    """
    model = hashlib.sha256(repr(sorted(task.settings()["model"].items())).encode()).hexdigest()
    shards = ResultShards(index / model[:16], task)
    with shards.open(resume=True):
        known = shards.keys()
        pending = [recording for recording in recordings if recording.key is not None and recording.key not in known]
        shards.known = {}  # they need not be read for this
        with progress_bar(len(pending), "recordings embedded") as advance:
            try:
                for _ in process(task, pending, jobs, shards):
                    advance()
            finally:  # also where it is stopped: the next search goes on here
                shards.flush()
        _tidy(shards, {recording.key for recording in recordings})
        return shards.parts()


def _tidy(shards: ResultShards, current: set[Key]) -> None:
    """Put many small parts together, without recordings that are gone, if there are many or most rows are of such."""
    parts = shards.parts()
    rows = sum(pq.read_metadata(part).num_rows for part in parts)
    whole = -(-rows // MERGED)
    if len(parts) <= MOST_PARTS + whole and rows <= 2 * len(current) + MERGED:
        return
    old = shards.folder.with_name(f"{shards.folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    shards.folder.rename(old)
    shards.folder.mkdir()
    waiting: list[pa.Table] = []
    for part in sorted(old.glob("part-*.parquet")):
        waiting.append(rows_of_current(part, current))
        if sum(map(len, waiting)) >= MERGED:
            shards.write(pa.concat_tables(waiting))
            waiting = []
    if waiting:
        shards.write(pa.concat_tables(waiting))
    shutil.rmtree(old)


def rows_of_current(part: Path, current: set[Key]) -> pa.Table:
    """Return the rows of a part whose recordings are still the same."""
    table = pq.read_table(part)
    return table.filter(pa.array([key in current for key in recording_keys(table)], pa.bool_()))


def nearest(parts: Iterable[Path], current: set[Key], queries: np.ndarray, k: int) -> list[list[tuple[float, str]]]:
    """Find the recordings nearest to each query, in memory that does not depend on the size of the index.

    Args:
        parts: Of the index.
        current: Path, size and time of change of the recordings that may be found.
        queries: float32 (queries, embedding_dim) of unit length.
        k: How many for each query.

    Returns:
        For each query cosine and path, the nearest first.
    """
    best: list[list[tuple[float, str]]] = [[] for _ in queries]
    for part in parts:
        table = rows_of_current(part, current)
        table = table.filter(pc.is_valid(table["embedding"]))
        if not len(table):
            continue
        embeds = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        for found, cosines in zip(best, (embeds @ queries.T).T, strict=True):
            top = np.argpartition(-cosines, min(k, len(cosines)) - 1)[:k]
            paths = table["path"].take(pa.array(top)).to_pylist()
            found[:] = heapq.nlargest(k, [*found, *zip(cosines[top].tolist(), paths, strict=True)])
    return best
