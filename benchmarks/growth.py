r"""How seconds and memory grow with the work: clips scored, labels, utterances of a corpus build, embeddings searched.

    python -m benchmarks.growth --output docs/growth.png
    python -m benchmarks.growth --clips 10 100 --utterances 1000 --embeddings 10000   # a quick look

Each point is a process of its own, so that its peak memory is its own. Seconds should grow in proportion to the work,
and memory should not grow. Clips are a second of synthetic speech, utterances of the corpus build 0.3 s at 8 kHz; a
search compares one query with an index of random embeddings. Needs `pip install "paraclap[cli,default,features]"`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.memory import peak_mb
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

DIMENSION = 256
CHUNK = 50_000
EMOTIONS = "WLEAFTN"
SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")


def prepare_clips(folder: Path, number: int) -> None:
    """Write 20 clips of a second, and links to them for the rest."""
    files = []
    for i in range(min(number, 20)):
        files.append(folder / f"clip{i:05}.wav")
        soundfile.write(files[-1], synthesise(VOICES[i % len(VOICES)], 1.0, seed=i), SAMPLING_RATE)
    for i in range(len(files), number):
        (folder / f"clip{i:05}.wav").hardlink_to(files[i % len(files)])


def score_clips(folder: Path, _: int) -> None:
    """Score all clips of the folder with the default model."""
    import paraclap

    table = paraclap.score(folder, labels=["angry", "happy", "sad"])
    assert table["reason"].isna().all()


def prepare_labels(folder: Path, _: int) -> None:
    """Write 20 clips."""
    prepare_clips(folder, 20)


def score_labels(folder: Path, number: int) -> None:
    """Score 20 clips with so many labels."""
    import paraclap

    paraclap.score(folder, labels=[f"feeling number {i}" for i in range(max(2, number))])


def prepare_utterances(folder: Path, number: int) -> None:
    """Write so many different utterances in EMO-DB's layout."""
    (folder / "wav").mkdir()
    voice = synthesise(VOICES[0], 3.0, seed=0)[::2]
    rng = np.random.default_rng(0)
    for i in range(number):
        text, speaker = divmod(i, len(SPEAKERS))
        text, emotion = divmod(text, len(EMOTIONS))
        version, text = divmod(text, 100)
        name = f"{SPEAKERS[speaker]}a{text:02}{EMOTIONS[emotion]}{chr(ord('a') + version)}.wav"
        start = int(rng.integers(0, len(voice) - 2400))
        sound = voice[start : start + 2400] + rng.normal(0, 1e-3, 2400)
        soundfile.write(folder / "wav" / name, sound, 8000, subtype="PCM_16")


def build_corpus(folder: Path, _: int) -> None:
    """Build the query corpus of the utterances."""
    from dataset_scripts.build_query_corpus import build_query_corpus

    build_query_corpus({"emodb": folder}, folder / "corpus")


def prepare_index(folder: Path, number: int) -> None:
    """Write an index of random embeddings, in parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    for start in range(0, number, CHUNK):
        rows = min(CHUNK, number - start)
        embeds = rng.normal(size=(rows, DIMENSION)).astype(np.float32)
        embeds /= np.linalg.norm(embeds, axis=1, keepdims=True)
        columns = {
            "path": [f"{start + i}.wav" for i in range(rows)],
            "size": pa.array([1] * rows, pa.int64()),
            "modified": pa.array([1] * rows, pa.int64()),
            "embedding": pa.FixedSizeListArray.from_arrays(embeds.ravel(), DIMENSION),
        }
        pq.write_table(pa.table(columns), folder / f"part-{start:09}.parquet")


def search_index(folder: Path, number: int) -> None:
    """Find the five nearest recordings in all parts."""
    from paraclap.command.search import nearest

    query = np.zeros((1, DIMENSION), np.float32)
    query[0, 0] = 1
    current = {(f"{i}.wav", 1, 1) for i in range(number)}
    assert len(nearest(sorted(folder.glob("part-*.parquet")), current, query, 5)[0]) == 5


Work = Callable[[Path, int], None]
KINDS: dict[str, tuple[Work, Work, str]] = {
    "clips": (prepare_clips, score_clips, "clips scored"),
    "labels": (prepare_labels, score_labels, "labels, 20 clips"),
    "utterances": (prepare_utterances, build_corpus, "utterances, corpus build"),
    "embeddings": (prepare_index, search_index, "embeddings searched"),
}


def measure(kind: str, number: int) -> dict[str, float]:
    """Return seconds and peak memory in MB of one amount of work, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        KINDS[kind][0](Path(folder), number)
        command = [sys.executable, "-m", "benchmarks.growth", "--run", kind, str(number), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{kind} {number} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


def run(kind: str, number: str, folder: str) -> None:
    """Do the work in this process, and print what it took."""
    start = time.perf_counter()
    KINDS[kind][1](Path(folder), int(number))
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}))


def draw(results: dict[str, dict[int, dict[str, float]]], file: Path) -> None:
    """Draw seconds over the work with a line in proportion, and peak memory below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3 * len(results), 5.6), layout="constrained")
    axes = figure.subplots(2, len(results), squeeze=False)
    for column, (kind, points) in enumerate(results.items()):
        sizes = np.array(sorted(points))
        seconds, memory = (np.array([points[n][name] for n in sizes]) for name in ("seconds", "peak_mb"))
        top, bottom = axes[:, column]
        top.loglog(sizes, seconds, "o-", color="tab:blue", label="measured")
        top.loglog(sizes, seconds[-1] * sizes / sizes[-1], "--", color="0.6", label="in proportion")
        top.set_title(KINDS[kind][2], fontsize=10, loc="left")
        bottom.semilogx(sizes, memory, "o-", color="tab:orange")
        bottom.set_ylim(0, 1.25 * memory.max())
        bottom.set_xlabel(KINDS[kind][2].split(",")[0])
        for panel in (top, bottom):
            panel.spines[["top", "right"]].set_visible(False)
            panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("peak memory, MB")
    axes[0, 0].legend(fontsize=8, frameon=False)
    figure.savefig(file, dpi=110)


def main(arguments: list[str] | None = None) -> dict[str, dict[int, dict[str, float]]]:
    """Run the command line; return kind -> size -> seconds and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="*", type=int, default=[10, 100, 1000, 10_000])
    parser.add_argument("--labels", nargs="*", type=int, default=[2, 100, 1000])
    parser.add_argument("--utterances", nargs="*", type=int, default=[1000, 5000, 50_000])
    parser.add_argument("--embeddings", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--output", type=Path, help="PNG; the figures go beside it as JSON")
    parser.add_argument("--run", nargs=3, metavar=("KIND", "NUMBER", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.run:
        run(*args.run)
        return {}
    results: dict[str, dict[int, dict[str, float]]] = {}
    for kind in KINDS:
        for number in getattr(args, kind):
            point = measure(kind, number)
            results.setdefault(kind, {})[number] = point
            print(f"{KINDS[kind][2]:26}{number:>10,}{point['seconds']:10.1f} s{point['peak_mb']:8.0f} MB", flush=True)
    if args.output:
        draw(results, args.output)
        args.output.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
