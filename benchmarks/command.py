r"""Measure `paraclap score` beside the model alone, on a machine of one's own and beside busy processes.

    python -m benchmarks.command
    python -m benchmarks.command --files 40 --broken 2 --rounds 1 --model RUN/best
    python -m benchmarks.command --timeline_minutes 60

A folder of synthetic recordings of 3 to 4 s, some of them broken, is scored with the five built-in questions into a CSV
file, as the command does it: found, read, embedded, answered, journalled. The model alone embeds the same waveforms,
decoded before; the least time over torch's own threads and over a clip a core is the best thread setting. Variants take
turns, and the figures are medians over the rounds. `--timeline_minutes` measures what `paraclap timeline` takes above
the model's memory instead.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.long_audio import write_recording
from benchmarks.memory import current_mb, forget_peak, peak_mb
from modeling_paraclap.audio_paraclap import load_audio
from modeling_paraclap.scoring_paraclap import Scorer
from paraclap.command.models import load_scorer, model_folder
from paraclap.command.recordings import find_recordings
from paraclap.command.run import Plan, process_recordings
from paraclap.command.score import ScoreTask
from paraclap.command.timeline import View, listen_along
from paraclap.command.timelines import write_timeline
from paraclap.command.workers import cores, run_in_threads
from paraclap.page.questions import BUILT_IN
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

QUESTIONS = tuple(BUILT_IN.values())
# Computes until it is told to stop, or its parent is gone.
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(10**6))
"""


def write_recordings(folder: Path, files: int, broken: int) -> None:
    """Write recordings of 3 to 4 s, the last of which are no audio."""
    for number in range(files - broken):
        voice = replace(VOICES[number % len(VOICES)], pitch=VOICES[number % len(VOICES)].pitch * (1 + number / 1000))
        waveform = synthesise(voice, 3 + number % 11 / 10, seed=number)
        soundfile.write(folder / f"{number:04}.wav", waveform, SAMPLING_RATE, subtype="PCM_16")
    for number in range(files - broken, files):
        (folder / f"{number:04}.wav").write_bytes(b"RIFF broken")


def run_command(task: ScoreTask, folder: Path, broken: int) -> float:
    """Return the seconds that the command takes from the folder to the table, the model being there."""
    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        results = process_recordings(task, find_recordings([str(folder)]), Plan(Path(output) / "scores.csv"))
        seconds = time.perf_counter() - start
    assert sum("reason" in result for result in results) == broken
    return seconds


def embed_with_torch_threads(scorer: Scorer, waveforms: Sequence[np.ndarray], threads: int) -> float:
    """Return the seconds that the model takes for one waveform after the other, with so many of torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    start = time.perf_counter()
    for waveform in waveforms:
        scorer.embed_waveforms([waveform])
    seconds = time.perf_counter() - start
    torch.set_num_threads(before)
    return seconds


def embed_a_clip_a_core(scorer: Scorer, waveforms: Sequence[np.ndarray], jobs: int) -> float:
    """Return the seconds that the model takes for a waveform a core, each with one thread."""
    start = time.perf_counter()
    for _ in run_in_threads(lambda waveform, _: scorer.embed_waveforms([waveform]), waveforms, jobs):
        pass
    return time.perf_counter() - start


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep so many other processes computing."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    time.sleep(1 if count else 0)  # until they have started
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(variants: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each variant; they take turns, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, variant in variants.items():
            seconds = variant()
            if number:
                times[name].append(seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def compare(args: argparse.Namespace, model: Path) -> None:
    """Measure command and model, alone and beside busy processes, and print a table."""
    task = ScoreTask(QUESTIONS, model)
    scorer = load_scorer(model)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_recordings(folder, args.files, args.broken)
        waveforms = [load_audio(file) for file in sorted(folder.iterdir())[: args.files - args.broken]]
        alone = {
            f"model, {threads} of torch's threads": lambda threads=threads: embed_with_torch_threads(
                scorer, waveforms, threads
            )
            for threads in sorted({1, cores()})
        }
        alone["model, a clip a core"] = lambda: embed_a_clip_a_core(scorer, waveforms, cores())
        variants = alone | {"paraclap score": lambda: run_command(task, folder, args.broken)}
        for busy in (0, args.busy):
            with busy_processes(busy):
                found = measure(variants, args.rounds)
            best = min(alone, key=found.get)
            print(f"\n{args.files} files, {cores()} cores, {busy} busy processes; best: {best}")
            print(f"{'':<28}{'ms a file':>10}{'ratio':>8}")
            for name, seconds in found.items():
                print(f"{name:<28}{1000 * seconds / args.files:>10.1f}{seconds / found[best]:>8.2f}")


def measure_timeline(minutes: int, model: Path) -> None:
    """Print what an hour, or so many minutes, takes above the model's memory, and how long."""
    scorer = load_scorer(model)
    forget_peak()
    own = current_mb()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "long.wav"
        write_recording(file, minutes)
        start = time.perf_counter()
        timeline = listen_along(scorer, file, QUESTIONS, View(), cores())
        write_timeline(timeline, Path(temporary) / "long", "textgrid")
        seconds = time.perf_counter() - start
    print(
        f"{minutes} min of audio: {seconds:.0f} s, {len(timeline.starts)} windows; memory {own:.0f} MB with the model, "
        f"{peak_mb() - own:.0f} MB above it"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="release folder; default: the default model")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--broken", type=int, default=5, help="of the files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=4, help="other processes in the second table")
    parser.add_argument("--timeline_minutes", type=int, help="measure the memory of a timeline of such a recording")
    args = parser.parse_args(arguments)
    model = model_folder(args.model)
    if args.timeline_minutes:
        measure_timeline(args.timeline_minutes, model)
    else:
        compare(args, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
