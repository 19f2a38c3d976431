"""Many recordings at a time, a recording a core: threads of which each computes with one thread.

torch's own threads, one a core for each operation, take several times as long on short recordings, most of all on a
machine that others use too. Decoding, resampling and torch's operations all run beside each other in Python's threads.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
WAITING = 4  # items that are handed to each worker ahead


class WorkStopped(Exception):
    """The run was told to stop; raised in workers, between two blocks of a recording."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_threads(
    work: Callable[[Item, threading.Event], Result], items: Iterable[Item], jobs: int
) -> Iterator[tuple[int, Result]]:
    """Do some work for every item, `jobs` at a time.

    Args:
        work: Takes an item, and an event that is set when the run ends early; long work raises `WorkStopped` then.
        items: Taken as they are needed.
        jobs: Items at a time.

    Yields:
        The number of an item and its result, as they get done.
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="paraclap", initializer=_compute_alone)
    running: dict[Future, int] = {}
    try:
        for number, item in enumerate(items):
            running[pool.submit(work, item, stop)] = number
            if len(running) >= WAITING * jobs:
                yield from _done(running)
        while running:
            yield from _done(running)
    finally:  # also when the consumer is interrupted: what waits is dropped, what runs is told to stop
        stop.set()
        pool.shutdown(cancel_futures=True)


def _done(running: dict[Future, int]) -> Iterator[tuple[int, Result]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


def _compute_alone() -> None:
    import torch

    torch.set_num_threads(1)  # of this thread: the setting is each thread's own


def until_stopped(blocks: Iterable[Item], stop: threading.Event) -> Iterator[Item]:
    """Hand the blocks on until the run is told to stop.

    Raises:
        WorkStopped: Then.
    """
    for block in blocks:
        if stop.is_set():
            raise WorkStopped
        yield block
