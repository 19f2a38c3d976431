"""`process` on Ray Data: on a cluster, or on a local Ray."""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from threading import Event

from dataset_scripts.engines import Chunk, Results, WorkerError, ray_data

from .errors import CommandError
from .recordings import Recording, recording_of
from .score import Result, ScoreTask, Work
from .shards import SHARD, ResultShards

CHUNK = 4  # recordings in a worker's unit of work
CPUS_PER_SHARD = 8  # at the end of a shard all workers wait for the slowest, so more workers get larger shards


def process_on_ray(
    task: ScoreTask, recordings: Sequence[Recording], shards: ResultShards, jobs: int, address: str | None
) -> Iterator[tuple[int, Result]]:
    """Process all recordings that the shards do not hold; see `score.process`.

    Args:
        task: The task. A cluster's nodes need this package, and model and recordings under the same paths.
        recordings: The recordings.
        shards: Store of the results; open.
        jobs: Workers of a local Ray; ignored for a cluster.
        address: Address of a cluster; see `dataset_scripts.engines.ray_data`.

    Raises:
        CommandError: If Ray is not installed, does not start or loses a worker.
    """
    pending = []
    for number, recording in enumerate(recordings):
        if recording.key in shards.known:
            yield number, shards.known[recording.key]
        else:
            pending.append((number, recording.path))
    if not pending:
        return
    try:
        with ray_data(jobs, address) as (engine, at_a_time):
            size = SHARD * max(1, at_a_time // CPUS_PER_SHARD)
            for start in range(0, len(pending), size):
                part = pending[start : start + size]
                chunks = [part[first : first + CHUNK] for first in range(0, len(part), CHUNK)]
                for results in engine(partial(_run_chunk, task), chunks):
                    for number, result in results:
                        if not result.pop("again", False):
                            shards.add(recordings[number], result)
                        yield number, result
                shards.flush()
    except (ConnectionError, WorkerError) as error:
        raise CommandError(str(error)) from error


def _run_chunk(task: ScoreTask, chunk: Chunk) -> Results:
    work = _start(task)
    return [(number, work(recording_of(path), Event())) for number, path in chunk]


@cache
def _start(task: ScoreTask) -> Work:
    """Load the model once in this worker process."""
    import torch

    torch.set_num_threads(1)
    return task.start()
