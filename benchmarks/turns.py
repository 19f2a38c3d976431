"""Measure several ways to do the same work in turns, each in a process of its own.

Only one process works at a time, and in every round each has its turn, so that a change of the machine's speed meets
them all. Each process has its own peak memory.
"""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from benchmarks.memory import peak_mb

Scorer = Callable[[list[Path]], np.ndarray]


def take_turns(
    makers: dict[str, Callable[[], Scorer]], clips: list[Path], rounds: int, threads: int
) -> dict[str, dict]:
    """Run all ways, interleaved.

    Args:
        makers: Name -> function without arguments that loads a model and returns its scorer; picklable.
        clips: Clips that each scores in every round, the longest first.
        rounds: How often.
        threads: torch threads of each process.

    Returns:
        Name -> `scores` (clips, labels), CPU and wall-clock seconds of each round (`cpu_s`, `wall_s`), peak memory in
        MB (`peak_mb`), and the seconds from an imported torch to the first answer (`first_answer_s`).
    """
    context = multiprocessing.get_context("spawn")
    rows, connections, processes = {}, {}, []
    for name, make in makers.items():
        connections[name], child = context.Pipe()
        # daemon: if one fails, the others end with this process instead of waiting for work
        process = context.Process(target=serve, args=(child, make, threads, clips), daemon=True)
        process.start()
        processes.append(process)
        child.close()  # so that a process that dies is an end of file here
        _, first = connections[name].recv()
        rows[name] = {"first_answer_s": first, "cpu_s": [], "wall_s": []}
    for _ in range(rounds):
        for name, connection in connections.items():
            connection.send(clips)
            _, rows[name]["scores"], cpu, wall = connection.recv()
            rows[name]["cpu_s"].append(cpu)
            rows[name]["wall_s"].append(wall)
    for name, connection in connections.items():
        connection.send(None)
        _, rows[name]["peak_mb"] = connection.recv()
    for process in processes:
        process.join()
    return rows


def serve(connection: Connection, make: Callable[[], Scorer], threads: int, clips: list[Path]) -> None:
    """Load one way to do the work, warm it up, then answer each list of paths with its scores and their cost.

    Args:
        connection: Receives lists of paths, and None for the end; sends `("ready", seconds to the first answer)`, then
            for each list `("scores", array (paths, labels), CPU seconds, seconds)`, and at the end `("peak", MB)`.
        make: Loads the model.
        threads: torch's and onnxruntime's.
        clips: Three of them, of different lengths, warm it up; compilation happens there.
    """
    torch.set_num_threads(threads)
    start = time.perf_counter()
    scorer = make()
    scorer(clips[-1:])
    first = time.perf_counter() - start
    scorer([clips[0], clips[len(clips) // 2]])
    connection.send(("ready", first))
    while (paths := connection.recv()) is not None:
        wall, cpu = time.perf_counter(), time.process_time()
        scores = scorer(paths)
        connection.send(("scores", scores, time.process_time() - cpu, time.perf_counter() - wall))
    connection.send(("peak", peak_mb()))
