"""Process several recordings at once, one per core, each in a thread that uses a single torch thread.

Splitting every operation over torch's own threads takes several times as long on short recordings, most of all on a
shared machine. Decoding, resampling and torch's operations release the interpreter's lock, so Python threads suffice.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
WAITING = 4  # items queued per worker


class WorkStopped(Exception):
    """Raised in workers, between two blocks of a recording, when the run is stopped."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_threads(
    work: Callable[[Item, threading.Event], Result], items: Iterable[Item], jobs: int
) -> Iterator[tuple[int, Result]]:
    """Process items in threads.

    Args:
        work: Takes an item, and an event that is set when the run ends early; long work then raises `WorkStopped`.
        items: The items, consumed as needed.
        jobs: Number of threads.

    Yields:
        The number of an item and its result, in the order of completion.
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
    finally:  # also if the consumer is interrupted: pending items are dropped and running ones stopped
        stop.set()
        pool.shutdown(cancel_futures=True)


def _done(running: dict[Future, int]) -> Iterator[tuple[int, Result]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


def _compute_alone() -> None:
    import torch

    torch.set_num_threads(1)  # the setting is per thread


def until_stopped(blocks: Iterable[Item], stop: threading.Event) -> Iterator[Item]:
    """Yield blocks until the run is stopped.

    Raises:
        WorkStopped: If the run is stopped.
    """
    for block in blocks:
        if stop.is_set():
            raise WorkStopped
        yield block
