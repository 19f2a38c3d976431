"""Weights from files of others: their hash, and loading in which every key is accounted for."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .configuration_paraclap import ParaClapConfig
from .modeling_paraclap import ParaClapModel


class CheckpointError(ValueError):
    """Weights that are not what they are taken for, or do not belong together."""


def hash_file(file: Path) -> str:
    """Return the sha256 of a file, in hexadecimal; read in pieces, as checkpoints are large."""
    sha256 = hashlib.sha256()
    with Path(file).open("rb") as stream:
        while piece := stream.read(2**20):
            sha256.update(piece)
    return sha256.hexdigest()


def load_strictly(config: ParaClapConfig, weights: Mapping[str, torch.Tensor], source: Any) -> ParaClapModel:
    """Build a float32 model from exactly these weights.

    Args:
        config: Configuration of the model.
        weights: Under the names that `ParaClapModel` has for them.
        source: Name of their source in error messages.

    Returns:
        The model, in evaluation mode.

    Raises:
        CheckpointError: If weights are missing, left over or of another shape; it lists them.
    """
    model = ParaClapModel(config).eval()
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    problems = []
    for what, keys in {
        "missing": expected.keys() - found.keys(),
        "unexpected": found.keys() - expected.keys(),
        "misshapen": {key for key in expected.keys() & found.keys() if expected[key] != found[key]},
    }.items():
        names = [
            f"{key} {list(found[key])} for {list(expected[key])}" if what == "misshapen" else key
            for key in sorted(keys)
        ]
        if names:
            problems.append(f"{len(names)} {what} ({', '.join(names)})")
    if problems:
        raise CheckpointError(f"The weights of {source} do not fit the configuration: {'; '.join(problems)}.")
    model.load_state_dict({key: value.float() for key, value in weights.items()}, strict=True)
    return model
