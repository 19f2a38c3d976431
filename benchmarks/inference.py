r"""Measures every way to run the zero-shot pipeline against the authors' way, on the CPU.

    python -m benchmarks.inference                                   # paper-size and small, 12 clips, 5 rounds
    python -m benchmarks.inference --size small --small_model RUN/best --audio RAVDESS/Actor_01
    python -m benchmarks.inference --size tiny --clips 2 --rounds 1   # does it run at all

Each variant (benchmarks/variants.py) lives in a process of its own, so that its peak memory is its own, and only one of
them works at a time, on all cores: on one clip after the other, as torch and the authors do, or on a clip a core. In
every round each has its turn, so that a change of the machine's speed meets them all. A figure is the median over
rounds of the time for all clips over their seconds of audio: CPU time, which is that of all cores together, and the
time that goes by. Needs `pip install "paraclap[demo,onnx]"`.

Sizes: `paper` has the authors' shapes and random weights (their speed does not depend on the values), `small` is
--small_model or random weights of configs/audio-small.json's shapes with all-MiniLM-L6-v2.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer, BertConfig, Wav2Vec2Config

from benchmarks.turns import take_turns
from benchmarks.variants import VARIANTS
from modeling_paraclap import ParaClapConfig, ParaClapFeatureExtractor, ParaClapModel, ParaClapProcessor
from modeling_paraclap.audio_paraclap import load_audio
from modeling_paraclap.export_onnx import export_onnx
from modeling_paraclap.release_paraclap import save_release
from paraclap.publishing.default_checkpoint import text_encoder_folder
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise
from paraclap.training.encoders import read_encoder_config

ROOT = Path(__file__).resolve().parent.parent
LABELS = ["angry", "happy", "sad", "neutral"]
BASELINE, OURS = "(a) the authors' way", "(c) ours, fp32"
SHORTEST_S, LONGEST_S = 1.5, 12.0
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def build_config(size: str) -> ParaClapConfig:
    """Return the configuration of a model with random weights."""
    if size == "paper":
        return ParaClapConfig()
    if size == "small":
        return ParaClapConfig(
            audio_config=read_encoder_config(ROOT / "configs" / "audio-small.json"),
            text_config=BertConfig.from_pretrained(text_encoder_folder()),
            projection_dim=256,
            audio_pooling="statistics",
            text_pooling="mean",
        )
    tiny = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    audio = Wav2Vec2Config(
        conv_dim=[16] * 7, feat_extract_norm="layer", do_stable_layer_norm=True, num_conv_pos_embeddings=8, **tiny
    )
    return ParaClapConfig(audio_config=audio, text_config=BertConfig(**tiny), projection_dim=16)


def prepare_release(size: str, small_model: Path | None, folder: Path) -> ParaClapModel:
    """Write the release that all variants load."""
    if size == "small" and small_model:
        shutil.copytree(small_model, folder)
        model = ParaClapModel.from_pretrained(folder)
    else:
        torch.manual_seed(0)
        model = ParaClapModel(build_config(size)).eval()
        tokenizer = AutoTokenizer.from_pretrained(text_encoder_folder())  # BERT's vocabulary
        save_release(model, ParaClapProcessor(ParaClapFeatureExtractor(), tokenizer), folder)
    return model


def prepare_clips(audio: Path | None, number: int, folder: Path) -> list[Path]:
    """Return the paths of clips, the longest first: evenly drawn from a folder, or synthetic speech of 1.5 to 12 s."""
    if audio:
        found = sorted(path for path in audio.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        if len(found) < number:
            raise SystemExit(f"{audio} has {len(found)} clips of {', '.join(sorted(AUDIO_SUFFIXES))}, not {number}.")
        drawn = [found[i * len(found) // number] for i in range(number)]
        return sorted(drawn, key=lambda path: path.stat().st_size, reverse=True)
    folder.mkdir()
    paths = []
    for i, seconds in enumerate(np.geomspace(LONGEST_S, SHORTEST_S, number)):
        paths.append(folder / f"{i:03}.wav")
        soundfile.write(paths[-1], synthesise(VOICES[i % len(VOICES)], seconds, seed=i), SAMPLING_RATE)
    return paths


def matrix_product_rate(dtype: torch.dtype, seconds: float) -> float:
    """Return the best rate of products as large as an encoder's, in operations a second on one thread.

    torch's plain product is not always the fastest, so oneDNN's is tried as well.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.randn(512, 1024, dtype=dtype), torch.randn(1024, 4096, dtype=dtype)
    products = [lambda: a @ b]
    if torch.backends.mkldnn.is_available():
        packed = torch.ops.mkldnn._reorder_linear_weight(b.T.contiguous(), len(a))
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for product in products:
            start = time.process_time()
            product()
            best = min(best, time.process_time() - start)
    torch.set_num_threads(threads)
    return 2 * 512 * 1024 * 4096 / best


@torch.no_grad()
def operations_per_second(model: ParaClapModel, seconds: float = 4.0) -> float:
    """Return the audio tower's floating-point operations per second of audio; a multiply-add counts as two."""
    counter = FlopCounterMode(display=False)
    with counter:
        model.get_audio_features(torch.zeros(1, int(seconds * SAMPLING_RATE)))
    return counter.get_total_flops() / seconds


def summarise(rows: dict[str, dict], seconds: float) -> list[dict]:
    """Return one line of figures a row; `seconds` is the length of all clips."""
    baseline, wall_baseline = (statistics.median(rows[BASELINE][name]) for name in ("cpu_s", "wall_s"))
    lines = []
    for name, row in rows.items():
        cpu, wall = (statistics.median(row[name]) for name in ("cpu_s", "wall_s"))
        same = row["scores"].shape == rows[BASELINE]["scores"].shape
        lines.append(
            {
                "variant": name,
                "cpu_s_per_audio_s": cpu / seconds,
                "wall_s_per_audio_s": wall / seconds,
                "speed": baseline / cpu,
                "wall_speed": wall_baseline / wall,
                "spread": max(row["cpu_s"]) / min(row["cpu_s"]),
                "score_difference": float(np.abs(row["scores"] - rows[BASELINE]["scores"]).max()) if same else None,
                "peak_mb": row["peak_mb"],
                "first_answer_s": row["first_answer_s"],
            }
        )
    return lines


def print_table(lines: list[dict], floors: dict[str, float]) -> None:
    """Print the figures as a Markdown table."""
    print("| variant | CPU s per s of audio | speed | slowest/fastest round |", end=" ")
    print("s that go by | speed | score difference | peak memory | first answer |")
    print("|---|---|---|---|---|---|---|---|---|")
    for line in lines:
        difference = "" if line["score_difference"] is None else f"{line['score_difference']:.1e}"
        print(
            f"| {line['variant']} | {line['cpu_s_per_audio_s']:.4f} | {line['speed']:.2f}× | {line['spread']:.2f} | "
            f"{line['wall_s_per_audio_s']:.4f} | {line['wall_speed']:.2f}× | {difference} | "
            f"{line['peak_mb']:.0f} MB | {line['first_answer_s']:.0f} s |"
        )
    for name, floor in floors.items():
        print(f"| floor: its operations at the rate of {name} products | {floor:.4f} | | | | | | | |")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=("paper", "small", "tiny"), default=["paper", "small"])
    parser.add_argument("--small_model", type=Path, help="release folder to take for `small`")
    parser.add_argument("--audio", type=Path, help="folder of clips; synthetic speech without it")
    parser.add_argument("--clips", type=int, default=12, help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each variant (default: all cores)")
    parser.add_argument(
        "--skip", nargs="*", default=[], help="words; variants that have one in their name are left out"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args(arguments)
    results = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__, "sizes": {}}
    for size in args.size:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "release"
            model = prepare_release(size, args.small_model, folder)
            export_onnx(model, folder / "onnx", int8=True)
            clips = prepare_clips(args.audio, args.clips, Path(temporary) / "clips")
            operations = operations_per_second(model)
            del model
            # The small tower has no 8-bit layout: it is not one of wav2vec 2.0's kind.
            skip = [*args.skip, *(["ours, int8"] if size == "small" else [])]
            labels = {name: LABELS for name in VARIANTS if not any(word in name for word in skip)}
            labels[f"{OURS}; 100 labels"] = LABELS + [f"feeling {i}" for i in range(96)]
            makers = {row: partial(VARIANTS[row.split(";")[0]], folder, own) for row, own in labels.items()}
            rows = take_turns(makers, clips, args.rounds, args.threads)
            seconds = sum(len(load_audio(clip)) for clip in clips) / SAMPLING_RATE
        rates = {"fp32": matrix_product_rate(torch.float32, 2.0), "bf16": matrix_product_rate(torch.bfloat16, 2.0)}
        lines = summarise(rows, seconds)
        print(f"\n{size}: {len(clips)} clips, {seconds:.0f} s, {args.rounds} rounds, {args.threads} threads;", end=" ")
        print(f"{operations / 1e9:.2f} GFLOP per second of audio;", end=" ")
        print(", ".join(f"{name} products at {rate / 1e9:.0f} GFLOP/s" for name, rate in rates.items()) + "\n")
        print_table(lines, {name: operations / rate for name, rate in rates.items()})
        results["sizes"][size] = {"operations_per_s": operations, "matrix_products_per_s": rates, "rows": lines}
    if args.output:
        args.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
