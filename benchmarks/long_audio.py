r"""Measures the memory that a long recording takes above the model's own, window by window.

    python -m benchmarks.long_audio --size small --hours 3
    python -m benchmarks.long_audio --size paper --hours 3 --dtype bfloat16

The recording is synthetic speech at 16 kHz, written to a file; the model has random weights (memory does not depend on
the values). The model's own memory is what the process holds once the model is there. Needs
`pip install "paraclap[demo]"` and Linux.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers import AutoTokenizer

from benchmarks.inference import LABELS, build_config
from benchmarks.memory import current_mb, forget_peak, peak_mb
from modeling_paraclap import (
    ParaClapFeatureExtractor,
    ParaClapModel,
    ParaClapZeroShotAudioClassificationPipeline,
)
from paraclap.publishing.default_checkpoint import text_encoder_folder
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

MINUTE_S = 60


def write_recording(path: Path, minutes: int) -> None:
    """Write as many minutes of speech, with a minute in memory at a time."""
    minute = synthesise(VOICES[0], MINUTE_S, seed=0).astype(np.float32)
    with soundfile.SoundFile(path, "w", SAMPLING_RATE, 1) as sound:
        for _ in range(minutes):
            sound.write(minute)


def measure(size: str, minutes: int, window_s: float, batch_size: int, dtype: torch.dtype) -> dict[str, float]:
    """Score one recording: seconds of audio, seconds it took, memory of the model and above it in MB, windows."""
    torch.manual_seed(0)
    classifier = ParaClapZeroShotAudioClassificationPipeline(
        model=ParaClapModel(build_config(size)).eval().to(dtype),
        tokenizer=AutoTokenizer.from_pretrained(text_encoder_folder()),
        feature_extractor=ParaClapFeatureExtractor(),
        device="cpu",
    )
    forget_peak()  # building the model takes more than holding it
    own = current_mb()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        write_recording(path, minutes)
        start = time.perf_counter()
        result = classifier(path, candidate_labels=LABELS, window_length_s=window_s, batch_size=batch_size)
        seconds = time.perf_counter() - start
    audio_s = result["windows"][-1]["end"]
    return {
        "audio_s": audio_s,
        "seconds": seconds,
        "windows": len(result["windows"]),
        "model_mb": own,
        "above_mb": peak_mb() - own,
    }


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("paper", "small", "tiny"), default="small")
    parser.add_argument("--hours", type=float, default=3.0, help="length of the recording (default: %(default)s)")
    parser.add_argument("--window_length_s", type=float, default=10.0, help="of each window (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=1, help="windows at once (default: %(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    args = parser.parse_args(arguments)
    minutes = max(1, round(args.hours * 60))
    found = measure(args.size, minutes, args.window_length_s, args.batch_size, getattr(torch, args.dtype))
    print(
        f"{args.size}, {args.dtype}: {found['audio_s'] / 3600:.2f} h in {found['windows']} windows of "
        f"{args.window_length_s:g} s, batch {args.batch_size}: {found['seconds']:.0f} s, model "
        f"{found['model_mb']:.0f} MB, {found['above_mb']:.0f} MB above it at most"
    )
    return found


if __name__ == "__main__":
    main()
