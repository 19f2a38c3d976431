"""What runs openSMILE over many files: this process, worker processes of this machine, or Ray Data.

An engine is a function ``(run, chunks) -> results of each chunk``, in any order. The caller cuts the work into shards
and waits for each (see `egemaps`), so all engines leave the same files behind and a killed run goes on in the same way.
"""

import json
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

from .extras import extra

ENGINES = ("processes", "ray")
STARTS = 3  # attempts to start Ray on this machine
Chunk = list[tuple[int, str]]  # positions and paths
Results = list[tuple[int, dict | str]]  # positions and functionals, or the reason why there are none
Engine = Callable[[Callable[[Chunk], Results], list[Chunk]], Iterator[Results]]


class WorkerError(RuntimeError):
    """A worker process died."""


@contextmanager
def processes(num_proc: int, initializer: Callable, initargs: tuple = ()) -> Iterator[tuple[Engine, int]]:
    """Run chunks in worker processes of this machine; 1 computes in this process.

    Args:
        num_proc: how many.
        initializer: called once in each worker, with `initargs`.
        initargs: its arguments.

    Yields:
        The engine, and how many chunks run at a time.

    Raises:
        WorkerError: If a worker died; raised while results are taken.
    """
    if num_proc == 1:
        yield map, 1
        return
    # Not fork: torch's threads do not survive it. A fork server imports once and forks before any thread is there.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["dataset_scripts.egemaps", "opensmile"])
    start = partial(_start_worker, initializer, initargs)
    pool = ProcessPoolExecutor(num_proc, mp_context=context, initializer=start)
    try:
        yield partial(_in_processes, pool, 4 * num_proc), num_proc
    finally:
        pool.shutdown(cancel_futures=True)  # after an interrupt, only what already runs is waited for


def _start_worker(initializer: Callable, initargs: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group, and the parent ends its workers
    # A worker waits for work at a pipe that its siblings hold open too, so it would outlive a parent that is killed.
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    initializer(*initargs)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _in_processes(pool: ProcessPoolExecutor, window: int, run: Callable, chunks: list[Chunk]) -> Iterator[Results]:
    running: dict[Future, Chunk] = {}
    try:
        for chunk in chunks:
            running[pool.submit(run, chunk)] = chunk
            if len(running) >= window:  # bounded, so that memory stays flat
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield future.result()
                    del running[future]
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield future.result()
                del running[future]
    except BrokenProcessPool as error:
        files = [path for chunk in running.values() for _, path in chunk]
        raise WorkerError(
            f"A worker process died (killed, out of memory, or a crash in openSMILE) on one of {len(files)} files, "
            f"from {files[0]} to {files[-1]}. Use a smaller --num_proc; --num_proc 1 shows which file it is."
        ) from error


@contextmanager
def ray_data(num_proc: int, address: str | None = None) -> Iterator[tuple[Engine, int]]:
    """Run chunks with Ray Data, on a cluster or embedded on this machine.

    A cluster's nodes need this package, and the corpora and the shards' folder under the same paths. An embedded Ray is
    shut down at the end.

    Args:
        num_proc: workers of an embedded Ray; a cluster has its own number.
        address: the cluster; None takes that of ``RAY_ADDRESS``, and without it Ray runs embedded.

    Yields:
        The engine, and how many chunks run at a time.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: If there is no cluster at `address`.
        WorkerError: Ray does not start; or, while results are taken, a worker died more often than Ray tries again.
    """
    with extra("ray"):
        import ray
        from ray.data import DataContext
    mine = not ray.is_initialized()
    if mine:
        options = {"log_to_driver": False, "configure_logging": False}
        if address := address or os.environ.get("RAY_ADDRESS"):
            _check_reachable(address)
            options |= {"address": address}
        else:
            # The workers import this very package, also where it runs from a checkout and is not installed.
            paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
            environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}}
            options |= {"num_cpus": num_proc, "include_dashboard": False, "runtime_env": environment}
        _start(ray, options)
    try:
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        yield partial(_on_ray, ray), int(ray.cluster_resources().get("CPU", 1))
    finally:
        if mine:
            ray.shutdown()


def _start(ray: ModuleType, options: dict) -> None:
    """Start or join Ray; a machine under load may need longer than the 30 s that Ray gives its own processes."""
    for attempt in range(1, STARTS + 1):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray has no class of its own for it
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
            if attempt == STARTS:
                raise WorkerError(f"Ray did not start, {STARTS} times ({error}); is the machine under load?") from error


def _check_reachable(address: str) -> None:
    """Check ``HOST:PORT`` first: Ray would wait forever for a missing cluster."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise ConnectionError(
                f"There is no Ray cluster at {address} ({error}); see `ray status` there, or unset RAY_ADDRESS to run "
                f"Ray on this machine."
            ) from error


def _on_ray(ray: ModuleType, run: Callable, chunks: list[Chunk]) -> Iterator[Results]:
    # As text: an Arrow column cannot mix numbers and reasons. A float's text is read back to the same bits.
    rows = [{"chunk": json.dumps(chunk)} for chunk in chunks]
    try:
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(partial(_run_row, run))
        for row in dataset.iter_rows():
            yield [(position, result) for position, result in json.loads(row["results"])]
    except ray.exceptions.RayError as error:
        files = [path for chunk in chunks for _, path in chunk]
        raise WorkerError(
            f"Ray gave up on one of {len(files)} files, from {files[0]} to {files[-1]} ({error}). "
            f"--engine processes --num_proc 1 shows which one."
        ) from error


def _run_row(run: Callable, row: dict) -> dict:
    return {"results": json.dumps(run([(position, path) for position, path in json.loads(row["chunk"])]))}
