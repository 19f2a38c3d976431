"""How fast the query corpus is built: functionals against `process_file` in a loop, queries against a row-by-row loop.

    python -m benchmarks.build_corpus --audio DIR --num_proc 2

Functionals: the same files, in turn and repeated: (a) one process that calls ``opensmile.Smile.process_file`` for each,
(b) ours in one process, (c) ours in `num_proc` worker processes, start of the workers not counted (they are started
once for a corpus). Wall-clock medians; per core also CPU time, which other programs on the machine disturb less.
Queries: `query_columns` against `generate_queries` for each row, and its peak memory (tracemalloc and Arrow's pool) for
1,000 and 50,000 utterances in the row groups in which they are written. Whole builds of as many utterances, for their
peak memory, are `corpus_memory`'s. Prints one JSON object at the end.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import opensmile
import pandas as pd
import pyarrow as pa

from dataset_scripts.binning import ATTRIBUTES
from dataset_scripts.egemaps import CHUNK, FUNCTIONALS, _run, engine_of, functionals_of
from dataset_scripts.layout import audio_files
from dataset_scripts.parquet import ROW_GROUP
from dataset_scripts.queries import EMOTION_NOUNS, generate_queries
from dataset_scripts.query_columns import query_columns

ROOT = Path(__file__).parents[1]


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of a call in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def functionals(files: list[Path], num_proc: int, repeats: int) -> dict:
    """Return files per second of the three ways, and whether all six values are the same bits."""
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    expected = [smile.process_file(path).iloc[0] for path in files]
    differing = 0
    for path, row in zip(files, expected, strict=True):
        ours = functionals_of(path)
        theirs = {name: float(row[f.feature]) for name, f in FUNCTIONALS.items() if f.feature}
        if theirs["pitch_mean"] == 0:  # no voice: we say null
            theirs = {name: None if FUNCTIONALS[name].voiced else value for name, value in theirs.items()}
        differing += any(ours[name] != value for name, value in theirs.items())
    run = partial(_run, all_functionals=False)
    numbered = list(enumerate(map(str, files)))
    chunks = [numbered[start : start + CHUNK] for start in range(0, len(numbered), CHUNK)]
    times: dict[str, list[tuple[float, float]]] = {"process_file": [], "one process": [], "processes": []}
    with engine_of("processes", num_proc) as (run_chunks, _):
        list(run_chunks(run, chunks))  # starts the workers
        for _ in range(repeats):
            times["process_file"].append(timed(lambda: [smile.process_file(path) for path in files]))
            times["one process"].append(timed(lambda: list(map(run, chunks))))
            times["processes"].append(timed(lambda: list(run_chunks(run, chunks))))
    wall = {name: statistics.median(pair[0] for pair in pairs) for name, pairs in times.items()}
    cpu = {name: statistics.median(pair[1] for pair in pairs) for name, pairs in times.items()}
    return {
        "files": len(files),
        "repeats": repeats,
        "files_per_s": {name: round(len(files) / seconds, 1) for name, seconds in wall.items()},
        "speedup_one_process_wall": round(wall["process_file"] / wall["one process"], 2),
        "speedup_one_process_cpu": round(cpu["process_file"] / cpu["one process"], 2),
        f"speedup_{num_proc}_processes_wall": round(wall["process_file"] / wall["processes"], 2),
        "files_with_other_bits": differing,
    }


def random_rows(rows: int) -> pd.DataFrame:
    """Return utterances as binning gives them: every attribute, most emotions and genders known."""
    rng = np.random.default_rng(0)
    columns = {f"{name}_bin": rng.choice(["low", "mid", "high"], rows, p=[0.3, 0.4, 0.3]) for name in ATTRIBUTES}
    columns |= {
        "emotion": rng.choice([*EMOTION_NOUNS, None], rows),
        "gender": rng.choice(["female", "male", None], rows),
    }
    return pd.DataFrame(columns)


def queries(repeats: int) -> dict:
    """Return utterances per second with all their templates, as columns and row by row, and peak memory by size."""
    rows = random_rows(50_000)
    few = rows.head(5_000)
    times = {"columns": [], "row by row": []}
    for _ in range(repeats):
        times["columns"].append(np.array(timed(lambda: query_columns(rows))) / len(rows))
        times["row by row"].append(
            np.array(timed(lambda: [generate_queries(row) for row in few.to_dict("records")])) / len(few)
        )
    rates = {name: (1 / np.median(pairs, axis=0)).round().astype(int).tolist() for name, pairs in times.items()}
    return {
        "utterances_per_s_wall_and_cpu": rates,
        "queries_per_utterance": round(len(query_columns(few)[0].values) / len(few), 1),
        "peak_MB": {size: round(peak_memory(random_rows(size)), 2) for size in (1_000, 50_000)},
    }


def peak_memory(rows: pd.DataFrame) -> float:
    """Return the peak memory in MB of generating a corpus's queries, a row group at a time as the builder does."""
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0
    tracemalloc.start()
    for start in range(0, len(rows), ROW_GROUP):
        columns = query_columns(rows.iloc[start : start + ROW_GROUP])
        most = max(most, pool.bytes_allocated() - before)
        del columns
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak + most) / 1e6


def whole_builds(sizes: list[int]) -> list[dict]:
    """Return what `corpus_memory` says of corpora of these sizes, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.corpus_memory", "--utterances"]
    return [json.loads(subprocess.check_output([*command, str(size)], cwd=ROOT)) for size in sizes]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder with speech")
    parser.add_argument("--num_files", type=int, default=100, help="files taken from it, evenly")
    parser.add_argument("--num_proc", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--whole_builds",
        type=int,
        nargs="*",
        default=[1_000, 50_000],
        metavar="UTTERANCES",
        help="sizes of the corpora whose builds' memory is measured (minutes); without a number none is",
    )
    args = parser.parse_args()
    files = audio_files(args.audio)
    files = files[:: max(1, len(files) // args.num_files)][: args.num_files]
    result = {
        "load_average": round(os.getloadavg()[0], 1),
        "functionals": functionals(files, args.num_proc, args.repeats),
        "queries": queries(args.repeats),
        "whole_builds": whole_builds(args.whole_builds),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
