"""Freezing an audio encoder from the bottom up: its front end, positions and first layers do not learn."""

from collections.abc import Iterator

from torch import nn
from transformers import PreTrainedModel

# What encoders have behind their layers; of any other name, it is before them.
BEHIND_LAYERS = ("adapter", "encoder.upsample", "cue_projection", "timbre_projection")
NORMS = ("layer_norm", "encoder.layer_norm")


def freeze_layers(tower: PreTrainedModel, number: int) -> None:
    """Take the gradients from an audio encoder's front end, positions and first `number` layers.

    Raises:
        ValueError: If the encoder has fewer layers.
    """
    layers = tower.config.num_hidden_layers
    if not 0 <= number <= layers:
        raise ValueError(f"{number} layers are to be frozen; this audio encoder has {layers}: give 0 to {layers}.")
    above = _above(tower, number)
    for name, parameter in tower.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and _is_within(name, above))


def frozen_modules(tower: PreTrainedModel, number: int) -> Iterator[nn.Module]:
    """Yield the outermost modules that [`freeze_layers`] freezes as a whole."""
    above = _above(tower, number)
    containers = {".".join(name.split(".")[:depth]) for name in above for depth in range(name.count(".") + 1)}
    inside = ""
    for name, module in tower.named_modules():
        if name in containers or _is_within(name, above) or (inside and name.startswith(f"{inside}.")):
            continue
        inside = name
        yield module


def freeze_feature_encoder(tower: PreTrainedModel) -> None:
    """Freeze an audio encoder's convolutions, so that no graph of them is kept either.

    Raises:
        ValueError: If it has none.
    """
    if hasattr(tower, "freeze_feature_encoder"):
        tower.freeze_feature_encoder()
    elif hasattr(tower, "feature_extractor"):
        tower.feature_extractor._freeze_parameters()
    else:
        raise ValueError(f"A {type(tower).__name__} has no convolutions to freeze; freeze layers instead.")


def _above(tower: PreTrainedModel, number: int) -> set[str]:
    """Return the names of the modules that still learn: the layers from `number` up, and what follows the last."""
    prefix = "layers" if hasattr(tower, "layers") else "encoder.layers"
    names = {f"{prefix}.{index}" for index in range(number, tower.config.num_hidden_layers)}
    # A norm is behind the layers in encoders whose layers normalise their input, and before them in the others.
    norms_are_behind = prefix == "layers" or getattr(tower.config, "do_stable_layer_norm", False)
    behind = BEHIND_LAYERS + (NORMS if norms_are_behind else ())
    return names | {name for name, _ in tower.named_modules() if name in behind}


def _is_within(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)
