r"""Measures the training loop against the authors' way, and the loader against what the steps consume.

    python -m benchmarks.training --size base --batch_size 16 --warm_up 1
    python -m benchmarks.training --size small
    python -m benchmarks.training --size paper --batch_size 4 --rounds 4 --steps 1 --warm_up 1 --clips 16 \
        --num_workers 2 --skip fp32 compiled                                                # 2 cores
    python -m benchmarks.training --size paper --batch_size 64 --rounds 5 --steps 10 --num_workers 12      # on a GPU
    python -m benchmarks.training --size tiny --batch_size 4 --rounds 1                    # does it run at all

Each loop (benchmarks/training_loops.py) lives in a process of its own, so that its peak memory is its own; all make
some steps in turn, so that a change of the machine's speed meets them all. A figure is the median over rounds. Four
paper-size loops on a CPU take 8 GB each: --skip leaves out those with a word in their name. Needs
`pip install "paraclap[train,demo]"`.

Sizes: `paper` has the authors' shapes, both encoders trained; `small` those of configs/audio-small.json, its text
encoder frozen and its audio kept decoded. Both have random weights, crops of 5 s, the contrastive loss of one
caption an utterance, and the paper's batch of 64 where memory allows. `base` is the default model's recipe without
cached states (Whisper base's lower layers frozen, three members, the grouped loss, crops of 4 s), compared with
transformers' own Whisper encoder, which pads to 30 s. The rate of matrix products is measured here, with the same
threads, before and after the rounds. Where other programs run, `--busy --threads 1` counts the CPU time of each
loop's process instead of the time that goes by.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import pandas as pd
import soundfile
import torch

from benchmarks.inference import build_config
from benchmarks.training_loops import BASE_LOOPS, LOOPS, Recipe, finish, forever, serve
from dataset_scripts.binning import fit_bins
from dataset_scripts.parquet import FEATURES, write_splits
from dataset_scripts.query_columns import query_columns
from modeling_paraclap import ParaClapConfig
from paraclap.publishing.default_checkpoint import DEFAULT, text_encoder_folder
from paraclap.resources import resource
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise
from paraclap.training.build import prepare_machine
from paraclap.training.encoders import build_processor
from paraclap.training.loader import build_loader

BASELINE, PADDED, OURS = "(a) the authors' way", "(p) transformers' Whisper, padded, bf16", "(c) ours, bf16"
# configs/paraclap-base.yaml without what needs cached states, real corpora or single settings of the optimizer.
BASE_RECIPE = [
    *("--freeze_audio", "--freeze_text", "--num_members", "3", "--audio_pooling", "attentive_statistics"),
    *("--audio_pooling_size", "192", "--audio_pooling_heads", "4", "--audio_pooling_dropout", "0.3"),
    *("--audio_layer_weights", "1,2,3", "--audio_cues", "--center_audio", "--projection_dropout", "0.3"),
    *("--loss_type", "grouped", "--query_bank", "--max_queries", "2", "--crop_s", "4"),
]
SHORTEST_S, LONGEST_S = 2.0, 11.0


def write_corpus(folder: Path, clips: int) -> None:
    """Write synthetic speech as a query corpus in `corpus/`, and as files with captions beside them in `audio/`."""
    (folder / "audio").mkdir()
    rows = []
    for i in range(clips):
        voice, seconds = VOICES[i % len(VOICES)], SHORTEST_S + (LONGEST_S - SHORTEST_S) * (i / clips)
        path = folder / "audio" / f"{i:04}.wav"
        soundfile.write(path, synthesise(voice, seconds, seed=i), SAMPLING_RATE)
        rows.append({"path": path, "file": path.name, "split": "train", "corpus": "synthetic", "duration": seconds})
        rows[-1] |= {"pitch_mean": voice.pitch, "intensity": voice.level, "jitter": voice.jitter + i * 1e-6}
        rows[-1] |= {"emotion": ("angry", "sad")[i % 2], "gender": ("female", "male")[i // 2 % 2]}
    frame = pd.DataFrame(rows)
    bins = fit_bins(frame)
    frame = bins.apply(frame)
    for path, queries in zip(frame["path"], query_columns(frame)[0].to_pylist(), strict=True):
        path.with_suffix(".json").write_text(json.dumps(queries))
    write_splits(frame.reindex(columns=[*FEATURES, "path"]), folder / "corpus" / "data")
    bins.save(folder / "corpus" / "bins.json")


def model_arguments(size: str, folder: Path) -> list[str]:
    """Return the arguments of `train_accelerate.py` for a model with random weights."""
    config = (
        ParaClapConfig.from_pretrained(resource(f"checkpoints/{DEFAULT}")) if size == "base" else build_config(size)
    )
    words = ["--projection_dim", str(config.projection_dim), "--text_pooling", config.text_pooling]
    for name in ("audio", "text"):
        tower = getattr(config, f"{name}_config").to_dict() | {"layerdrop": 0.0}
        (folder / f"{name}.json").write_text(json.dumps(tower))
        words += [f"--{name}_config", str(folder / f"{name}.json")]
    more = {"small": ["--freeze_text", "--keep_decoded"], "base": BASE_RECIPE}.get(size, [])
    return [*words, "--tokenizer_name_or_path", str(text_encoder_folder()), *more]


def device_product_rate(recipe: Recipe, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """Return the best rate, in operations a second, for products as large as an encoder's."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n = 8192 if device == "cuda" else 1024
    a, b = torch.randn(n, n, dtype=dtype, device=device), torch.randn(n, n, dtype=dtype, device=device)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = recipe.clock()
        a @ b
        finish()
        best = min(best, recipe.clock() - start)
    return 2 * n**3 / best


def measure(recipe: Recipe, names: list[str], rounds: int, steps: int, warm_up: int) -> dict[str, dict]:
    """Run the loops in turn: name -> seconds and seconds waiting of each round, operations of a step, peak memory."""
    context = multiprocessing.get_context("spawn")
    connections, processes, rows = {}, [], {}
    for name in names:
        connections[name], child = context.Pipe()
        processes.append(context.Process(target=serve, args=(child, name, recipe, warm_up), daemon=True))
        processes[-1].start()
        child.close()  # so that a process that dies is an end of file here
        operations, ready = connections[name].recv()
        rows[name] = {"operations": operations, "ready_s": ready, "seconds": [], "waiting": []}
    for _ in range(rounds):
        for name, connection in connections.items():
            connection.send(steps)
            seconds, waiting = connection.recv()
            rows[name]["seconds"].append(seconds)
            rows[name]["waiting"].append(waiting)
    for name, connection in connections.items():
        connection.send(0)
        rows[name]["peak_mb"] = connection.recv()
    for process in processes:
        process.join()
    return rows


def loader_rate(recipe: Recipe, batches: int) -> float:
    """Return the samples a second of our loader alone, once it has gone through the corpus."""
    args = recipe.arguments()
    prepare_machine(args.run.tf32, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loader = build_loader(args, build_processor(args.model.tokenizer_name_or_path))
    sampler = loader.sampler
    endless = forever(loader, lambda: setattr(sampler, "epoch", sampler.epoch + 1))
    for _ in range(len(loader) + 1):
        next(endless)
    start = recipe.clock()
    count = sum(len(next(endless)["input_values"]) for _ in range(batches))
    return count / (recipe.clock() - start)


def summarise(rows: dict[str, dict], samples: int, steps: int, rates: dict[str, float]) -> list[dict]:
    """Return one line of figures a loop."""
    operations = max(row["operations"] for row in rows.values())  # compiled code cannot be counted
    baseline = next((statistics.median(rows[name]["seconds"]) for name in (BASELINE, PADDED) if name in rows), None)
    lines = []
    for name, row in rows.items():
        seconds = statistics.median(row["seconds"])
        lines.append(
            {
                "loop": name,
                "samples_per_s": samples * steps / seconds,
                "speed": baseline and baseline / seconds,
                "spread": max(row["seconds"]) / min(row["seconds"]),
                "waiting": sum(row["waiting"]) / sum(row["seconds"]),
                "utilisation": (row["operations"] or operations)
                * steps
                / seconds
                / rates["bf16" if "bf16" in name else "fp32"],
                "peak_mb": row["peak_mb"],
                "ready_s": row["ready_s"],
            }
        )
    return lines


def print_table(lines: list[dict]) -> None:
    """Print the figures as a Markdown table."""
    print("| loop | samples/s | speed | slowest/fastest round | waiting for data | of matrix rate | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for line in lines:
        speed = "" if line["speed"] is None else f"{line['speed']:.2f}×"
        print(
            f"| {line['loop']} | {line['samples_per_s']:.2f} | {speed} | {line['spread']:.2f} | "
            f"{line['waiting']:.1%} | {line['utilisation']:.0%} | {line['peak_mb']:.0f} MB |"
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("paper", "base", "small", "tiny"), default="small")
    parser.add_argument("--batch_size", type=int, default=64, help="utterances of a step (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=256, help="utterances of the corpus (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="of each loop in a round (default: %(default)s)")
    parser.add_argument("--warm_up", type=int, default=8, help="steps before (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each loop (default: all cores)")
    parser.add_argument("--num_workers", type=int, default=0, help="that load data for ours (default: %(default)s)")
    parser.add_argument("--busy", action="store_true", help="count CPU time: the machine has other work")
    parser.add_argument("--skip", nargs="*", default=[], help="words; loops that have one in their name are left out")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    loops = BASE_LOOPS if args.size == "base" else LOOPS
    names = [name for name in loops if not any(word in name for word in args.skip)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_corpus(folder, max(args.clips, args.batch_size))
        words = [*model_arguments(args.size, folder), "--batch_size", str(args.batch_size)]
        recipe = Recipe(folder, tuple(words), args.threads, args.num_workers, args.busy)
        kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
        before = {name: device_product_rate(recipe, dtype) for name, dtype in kinds.items()}
        load = os.getloadavg()[0]
        rows = measure(recipe, names, args.rounds, args.steps, args.warm_up)
        rates = {name: max(before[name], device_product_rate(recipe, dtype)) for name, dtype in kinds.items()}
        loader = loader_rate(recipe, batches=max(4, 1024 // args.batch_size))
    lines = summarise(rows, args.batch_size, args.steps, rates)
    operations = max(row["operations"] for row in rows.values()) / args.batch_size
    clock = "CPU" if args.busy else "wall-clock"
    print(f"\n{args.size}: batch {args.batch_size}, {args.rounds} rounds of {args.steps} steps,", end=" ")
    print(f"{args.threads} threads, {args.num_workers} workers, {clock} time; load {load:.1f} at the start;", end=" ")
    print(f"{operations / 1e9:.1f} GFLOP a sample;", end=" ")
    print(", ".join(f"{name} products at {rate / 1e9:.0f} GFLOP/s" for name, rate in rates.items()) + "\n")
    print_table(lines)
    consumed = {line["loop"]: line["samples_per_s"] for line in lines}
    ratio = f", {loader / consumed[OURS]:.0f} times what (c) consumes" if OURS in consumed else ""
    print(f"\nThe loader alone: {loader:.0f} samples/s{ratio}.")
    if args.output:
        content = {"rows": lines, "matrix_products_per_s": rates, "loader_samples_per_s": loader, "load": load}
        args.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
