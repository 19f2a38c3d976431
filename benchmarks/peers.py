r"""Compare paraclap-base with what people would use in its place, on the CPU.

    python -m benchmarks.peers                                        # 6 clips of 3 to 4 s and one of a minute
    python -m benchmarks.peers --labels 100 --rounds 5 --output build/peers.json
    python -m benchmarks.peers --threads 1                            # one core

One run, interleaved (benchmarks/turns.py): the default model in float32 and bfloat16, laid out for the CPU and with a
clip a core; the paper-size model the authors' way and ours; transformers' ClapModel in the shapes of
laion/clap-htsat-unfused through the stock pipeline; and a model of VoiceCLAP-small's published shapes (Whisper-small's
encoder, all-MiniLM-L6-v2's, every clip padded to 30 s). Where no weights can be had they are random: the work is the
same. CPU seconds are those of all threads together, medians over the rounds; "rate" is the share of the matrix-product
rate that one core reaches in the same run. ClapModel hears 10 s of a minute at most,
and the padded peer 30 s; the others hear all of it.

Needs `pip install "paraclap[default,cli]"`.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    WhisperConfig,
    WhisperFeatureExtractor,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline

from benchmarks.inference import matrix_product_rate, prepare_release
from benchmarks.turns import Scorer, take_turns
from benchmarks.variants import TEMPLATE, VARIANTS
from modeling_paraclap import ParaClapModel
from modeling_paraclap.audio_paraclap import load_audio
from paraclap.publishing.default_checkpoint import default_release, text_encoder_folder
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

CLAP_RATE = 48000
EMOTIONS = ["angry", "happy", "sad", "neutral", "fearful", "disgusted", "surprised", "calm"]
BASELINE = "paper-size, the authors' way"
BASE = "paraclap-base, fp32"
ROUNDED = ("paraclap-base, bf16, laid out", "paraclap-base, int8, laid out")
CLAP = "ClapModel, stock pipeline"
PADDED = "VoiceCLAP-small's shapes, padded to 30 s"


class PaddedModel(nn.Module):
    """A model of VoiceCLAP-small's published shapes with random weights: everything is padded to 30 s."""

    def __init__(self):
        super().__init__()
        self.audio = WhisperEncoder(
            WhisperConfig(d_model=768, encoder_layers=12, encoder_attention_heads=12, encoder_ffn_dim=3072)
        )
        self.text = BertModel(BertConfig.from_pretrained(text_encoder_folder()), add_pooling_layer=False)
        self.audio_head = nn.Sequential(nn.Linear(768, 768), nn.GELU(), nn.Linear(768, 384))
        self.text_head = nn.Sequential(nn.Linear(384, 384), nn.GELU(), nn.Linear(384, 384))

    def embed_audio(self, features: torch.Tensor) -> torch.Tensor:
        """Return (batch, 384) embeddings of (batch, 80, 3000) log-mel spectra."""
        return F.normalize(self.audio_head(self.audio(features).last_hidden_state.mean(1)), dim=-1)

    def embed_text(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return (batch, 384) embeddings of tokenised texts."""
        return F.normalize(self.text_head(self.text(**tokens).last_hidden_state.mean(1)), dim=-1)


def clap(labels: list[str]) -> Scorer:
    """Return transformers' stock pipeline with a ClapModel of laion/clap-htsat-unfused's shapes."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(text_encoder_folder())
    tokenizer.model_input_names = ["input_ids", "attention_mask"]  # as CLAP's own tokenizer, RoBERTa's
    classifier = ZeroShotAudioClassificationPipeline(
        model=ClapModel(ClapConfig()).eval(),
        tokenizer=tokenizer,
        feature_extractor=ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad"),
        device="cpu",
    )

    def scores(path: Path) -> np.ndarray:
        result = classifier(load_audio(path, CLAP_RATE), candidate_labels=labels)
        by_label = {entry["label"]: entry["score"] for entry in result}
        return np.array([by_label[label] for label in labels])

    return lambda paths: np.stack([scores(path) for path in paths])


def padded(labels: list[str]) -> Scorer:
    """Return the padded peer; its labels are encoded once."""
    torch.manual_seed(0)
    model, extractor = PaddedModel().eval(), WhisperFeatureExtractor()
    tokenizer = AutoTokenizer.from_pretrained(text_encoder_folder())
    tokens = tokenizer([TEMPLATE.format(label) for label in labels], padding=True, return_tensors="pt")
    with torch.no_grad():
        text = model.embed_text(tokens)

    @torch.no_grad()
    def scores(path: Path) -> np.ndarray:
        features = extractor(load_audio(path), sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
        return (model.embed_audio(features) @ text.T)[0].softmax(0).numpy()

    return lambda paths: np.stack([scores(path) for path in paths])


def systems(base: Path, paper: Path, labels: list[str]) -> dict[str, Callable[[], Scorer]]:
    """Return the name of each row -> what loads it."""
    ours = {
        BASE: (base, "(c) ours, fp32, kept"),
        "paraclap-base, fp32, laid out": (base, "(c) ours, fp32, kept, laid out"),
        "paraclap-base, bf16": (base, "(d) ours, bf16, kept"),
        "paraclap-base, bf16, laid out": (base, "(d) ours, bf16, kept, laid out"),
        "paraclap-base, bf16, a clip a core": (base, "(d) ours, bf16, kept, laid out, a clip a core"),
        "paraclap-base, int8, laid out": (base, "(g) ours, int8, kept, laid out"),
        BASELINE: (paper, "(a) the authors' way"),
        "paper-size, ours, fp32": (paper, "(c) ours, fp32, kept"),
        "paper-size, ours, bf16, laid out": (paper, "(d) ours, bf16, kept, laid out"),
    }
    makers = {name: partial(VARIANTS[variant], folder, labels) for name, (folder, variant) in ours.items()}
    return makers | {CLAP: partial(clap, labels), PADDED: partial(padded, labels)}


@torch.no_grad()
def count_work(model: nn.Module, embed: Callable[[], torch.Tensor]) -> tuple[float, float]:
    """Return the millions of parameters, and the GFLOP of one clip's audio embedding."""
    counter = FlopCounterMode(display=False)
    with counter:
        embed()
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6, counter.get_total_flops() / 1e9


def work_of_each(base: Path, paper: Path, seconds: float) -> dict[str, tuple[float, float]]:
    """Return the first word of a row's name -> parameters in millions and GFLOP for a clip of so many seconds."""
    samples = torch.zeros(1, int(seconds * SAMPLING_RATE))
    found = {}
    for name, folder in {"paraclap-base": base, "paper-size": paper}.items():
        model = ParaClapModel.from_pretrained(folder)
        found[name] = count_work(model, partial(model.get_audio_features, samples))
    model = ClapModel(ClapConfig()).eval()
    mel = ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")(
        np.zeros(int(seconds * CLAP_RATE), np.float32), sampling_rate=CLAP_RATE, return_tensors="pt"
    )
    found["ClapModel"] = count_work(model, partial(model.get_audio_features, **mel))
    peer = PaddedModel().eval()
    found["VoiceCLAP-small's"] = count_work(peer, partial(peer.embed_audio, torch.zeros(1, 80, 3000)))
    return found


def make_clips(folder: Path, number: int, seconds: tuple[float, float]) -> list[Path]:
    """Write synthetic speech, the longest first, and return the files."""
    folder.mkdir()
    files = []
    for i, length in enumerate(np.linspace(seconds[1], seconds[0], number)):
        files.append(folder / f"{i:03}.wav")
        soundfile.write(files[-1], synthesise(VOICES[i % len(VOICES)], float(length), seed=i), SAMPLING_RATE)
    return files


def print_table(
    rows: dict[str, dict], audio: tuple[int, float], work: dict[str, tuple[float, float]], rates: dict[str, float]
) -> list[dict]:
    """Print one line per system, at most 80 columns wide, and return the figures.

    Args:
        rows: The measurements.
        audio: Number of clips and their length in seconds together.
        work: First word of a system's name -> parameters in millions and GFLOP per clip.
        rates: Matrix-product rates of one core, by data type.
    """
    clips, seconds = audio
    baseline = statistics.median(rows[BASELINE]["cpu_s"])
    print(f"{'system':41}{'CPU s/s':>8}{'speed':>8}{'MB':>6}{'1st s':>6}{'GFLOP':>6}{'rate':>5}")
    lines = []
    for name, row in rows.items():
        cpu = statistics.median(row["cpu_s"])
        parameters, operations = work[name.split(",")[0].split(" ")[0]]
        line = {
            "system": name,
            "cpu_s_per_audio_s": cpu / seconds,
            "wall_s_per_audio_s": statistics.median(row["wall_s"]) / seconds,
            "speed": baseline / cpu,
            "peak_mb": row["peak_mb"],
            "first_answer_s": row["first_answer_s"],
            "parameters_m": parameters,
            "gflop_per_clip": operations,
            "share_of_rate": clips * operations * 1e9 / cpu / rates["bf16" if "bf16" in name else "fp32"],
        }
        lines.append(line)
        print(
            f"{name:41}{line['cpu_s_per_audio_s']:8.4f}{line['speed']:7.1f}×{line['peak_mb']:6.0f}"
            f"{line['first_answer_s']:6.1f}{operations:6.0f}{line['share_of_rate']:5.2f}"
        )
    print("Parameters: " + ", ".join(f"{name} {parameters:.0f} M" for name, (parameters, _) in work.items()))
    differences = {name: np.abs(rows[name]["scores"] - rows[BASE]["scores"]).max() for name in ROUNDED if name in rows}
    print("Largest score difference from fp32: " + ", ".join(f"{n} {d:.1e}" for n, d in differences.items()))
    return lines


def main(arguments: list[str] | None = None) -> dict:
    """Run the comparison for short clips and for a minute; print and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="release folder in place of the default model")
    parser.add_argument("--paper_size", choices=("paper", "tiny"), default="paper", help="tiny: does it run at all")
    parser.add_argument("--labels", type=int, default=8, help="number of labels (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=6, help="short clips a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="torch threads (default: all cores)")
    parser.add_argument("--minute", action="store_true", help="also one clip of a minute")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args(arguments)
    labels = (EMOTIONS + [f"feeling {i}" for i in range(args.labels)])[: args.labels]
    rates = {
        "fp32": matrix_product_rate(torch.float32, 2.0),
        "bf16": matrix_product_rate(torch.bfloat16, 2.0),
    }
    results = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "threads": args.threads,
        "matrix_products_per_s": rates,
    }
    with tempfile.TemporaryDirectory() as temporary:
        base, paper = args.model or default_release(), Path(temporary) / "paper"
        prepare_release(args.paper_size, None, paper)
        lengths = {"clips of 3 to 4 s": (args.clips, (3.0, 4.0))}
        if args.minute:
            lengths["a minute"] = (1, (60.0, 60.0))
        for title, (number, span) in lengths.items():
            clips = make_clips(Path(temporary) / title, number, span)
            seconds = sum(len(load_audio(clip)) for clip in clips) / SAMPLING_RATE
            rows = take_turns(systems(base, paper, labels), clips, args.rounds, args.threads)
            print(f"\n{title}, {args.labels} labels, {args.threads} threads, median of {args.rounds} rounds")
            results[title] = print_table(rows, (number, seconds), work_of_each(base, paper, sum(span) / 2), rates)
    if args.output:
        args.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
