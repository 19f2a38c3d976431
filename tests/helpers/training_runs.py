"""Small training runs: their arguments, how a process of its own is started, and what they leave."""

import os
import sys
from pathlib import Path

from safetensors.torch import load_file

from paraclap.training.checkpoint import complete_checkpoints

ROOT = Path(__file__).parents[2]


def arguments(corpus_dir, text_encoder, output_dir, *more):
    fixed = {
        "corpus_dir": corpus_dir,
        "output_dir": output_dir,
        "audio_config": text_encoder / "audio.json",
        "text_model_name_or_path": text_encoder,
        "text_pooling": "mean",
        "projection_dim": 16,
        "crop_s": 0.7,
        "batch_size": 4,
        "num_train_epochs": 3,
        "encoder_learning_rate": 1e-3,
        "checkpoint_every": 4,
        "log_every": 2,
        "ema_decay": 0.5,
        "mixed_precision": "no",
    }
    return [word for name, value in fixed.items() for word in (f"--{name}", str(value))] + list(more)


def command(words):
    return [sys.executable, "train_accelerate.py", *words]


def environment():
    return os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


def final_weights(run):
    """Those that learn and, in the release, their average."""
    final = load_file(complete_checkpoints(run / "checkpoints")[-1] / "model.safetensors")
    return final | {f"best/{name}": weight for name, weight in load_file(run / "best" / "model.safetensors").items()}
