r"""Measure the cold start: seconds from `paraclap score speech.wav` to its answer, and what they are spent on.

    python -m benchmarks.start
    python -m benchmarks.start --rounds 3 --model RUN/best

Each stage is a process of its own that does what the stage before does and one thing more, on one thread; a stage's
share is what it adds. Stages take turns, and the figures are medians over the rounds, the first of which warms the
files' cache and does not count. The default model is in the user's cache before anything is measured.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import soundfile

from paraclap.command.models import model_folder
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

# Title -> what a process does; like the command, without collecting garbage while importing, nor at exit.
CODE = {
    "Python": "",
    "torch": "import gc; gc.disable(); import torch; gc.freeze()",
    "the model's classes": "import gc; gc.disable()\n"
    "from modeling_paraclap.scoring_paraclap import Scorer; gc.freeze()",
    "weights and tokenizer": "import gc, sys; gc.disable(); from pathlib import Path\n"
    "from paraclap.command.models import load_scorer; load_scorer(Path(sys.argv[1]))",
}
COMMAND = "the command: options, queries, audio, answer"


def stages(model: Path, recording: Path) -> dict[str, list[str]]:
    """Return title -> command of each stage, in order."""
    found = {title: [sys.executable, "-c", code, str(model)] for title, code in CODE.items()}
    score = ["-m", "paraclap", "score", str(recording), "--labels", "angry,happy,sad", "--model", str(model)]
    return found | {COMMAND: [sys.executable, *score]}


def seconds_of(command: Sequence[str]) -> tuple[float, float]:
    """Return the wall-clock and the CPU seconds of a process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    start, before = time.perf_counter(), os.times()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, cpu


def main(arguments: list[str] | None = None) -> dict[str, tuple[float, float]]:
    """Print the table; return title -> wall-clock and CPU seconds up to the end of the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds that count (default: %(default)s); 0: the first does"
    )
    parser.add_argument("--model", help="release folder; default: the default model")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "speech.wav"
        soundfile.write(recording, synthesise(VOICES[0], 3.0, seed=0), SAMPLING_RATE)
        commands = stages(model_folder(args.model), recording)
        taken: dict[str, list[tuple[float, float]]] = {title: [] for title in commands}
        for _ in range(args.rounds + 1):
            for title, command in commands.items():
                taken[title].append(seconds_of(command))
    found = {
        title: tuple(statistics.median(column) for column in zip(*(rounds[1:] or rounds), strict=True))
        for title, rounds in taken.items()
    }
    print(f"{'stage':<48}{'adds, s':>10}{'so far, s':>11}{'CPU s':>8}")
    before = 0.0
    for title, (wall, cpu) in found.items():
        print(f"{title:<48}{wall - before:>10.2f}{wall:>11.2f}{cpu:>8.2f}")
        before = wall
    return found


if __name__ == "__main__":
    main()
