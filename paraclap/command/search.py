"""Search for recordings by description, with an index of embeddings that is kept between searches."""

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

MOST_PARTS = 64  # more are merged
MERGED = 50_000  # rows of a merged part


def index_folder(folder: Path) -> Path:
    """Return the default location of a folder's index, in the user's cache folder."""
    from platformdirs import user_cache_path

    digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return user_cache_path("paraclap", appauthor=False) / "search" / digest[:16]


def update_index(index: Path, task: ScoreTask, recordings: Sequence[Recording], jobs: int) -> list[Path]:
    """Embed the recordings that are missing from the index.

    Args:
        index: Folder of the index, with a subfolder for each model.
        task: A task without questions, which names the model.
        recordings: The recordings to search.
        jobs: Recordings processed at once.

    Returns:
        The parts of the index: Parquet files with path, size, modified, embedding and reason, which may include
        recordings that no longer exist.
    """
    model = hashlib.sha256(repr(sorted(task.settings()["model"].items())).encode()).hexdigest()
    shards = ResultShards(index / model[:16], task)
    with shards.open(resume=True):
        known = shards.keys()
        pending = [recording for recording in recordings if recording.key is not None and recording.key not in known]
        shards.known = {}  # results need not be read
        with progress_bar(len(pending), "recordings embedded") as advance:
            try:
                for _ in process(task, pending, jobs, shards):
                    advance()
            finally:  # also if stopped: the next search continues from here
                shards.flush()
        _tidy(shards, {recording.key for recording in recordings})
        return shards.parts()


def _tidy(shards: ResultShards, current: set[Key]) -> None:
    """Merge the parts without outdated rows, if there are many parts or most rows are outdated."""
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
    """Return the rows of a part whose recordings have not changed."""
    table = pq.read_table(part)
    return table.filter(pa.array([key in current for key in recording_keys(table)], pa.bool_()))


def nearest(parts: Iterable[Path], current: set[Key], queries: np.ndarray, k: int) -> list[list[tuple[float, str]]]:
    """Find the recordings nearest to each query, in memory that does not depend on the size of the index.

    Args:
        parts: Parts of the index.
        current: Path, size and modification time of the recordings that may be returned.
        queries: float32 (queries, embedding_dim) of unit length.
        k: Number of results per query.

    Returns:
        For each query the cosines and paths, the nearest first.
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
