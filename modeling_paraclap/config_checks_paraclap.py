"""Checks of a configuration's numbers: nonsense in a config.json must not become a model that scores all the same."""

import math
from collections.abc import Iterator
from typing import Any

# Sizes and the most that each can sensibly be; a layer more costs time and memory even before weights are loaded.
MOST = {
    "num_hidden_layers": 1000,
    "encoder_layers": 1000,
    "num_attention_heads": 2**12,
    "encoder_attention_heads": 2**12,
    "hidden_size": 2**16,
    "d_model": 2**16,
    "intermediate_size": 2**20,
    "encoder_ffn_dim": 2**20,
    "projection_dim": 2**16,
    "num_members": 1000,
    "vocab_size": 2**24,
    "max_position_embeddings": 2**24,
    "max_source_positions": 2**20,
    "num_mel_bins": 2**12,
    "num_pitch_bins": 2**12,
    "num_conv_pos_embeddings": 2**12,
    "num_conv_pos_embedding_groups": 2**12,
    "squeeze_factor": 2**10,
}
OPTIONAL_MOST = {"audio_pooling_size": 2**16}
LISTS_MOST = {"conv_dim": 2**16, "conv_kernel": 2**14, "conv_stride": 2**14}
MOST_CONVOLUTIONS = 100
PROBABILITIES = ("dropout", "dropout_prob", "layerdrop", "dropout_rate")


def check_numbers(settings: dict[str, Any], where: str = "") -> None:
    """Raise the reason why numbers of a configuration make no model, if there is one.

    Args:
        settings: Result of the configuration's `to_dict`, including its parts.
        where: Name of the part that these are the settings of.

    Raises:
        ValueError: If a number is NaN or infinite, a size no whole number from 1 up to what is sensible, a dropout
            outside [0, 1], or an epsilon not above 0 or above 1.
    """
    for name, value in settings.items():
        place = f"{where}.{name}" if where else name
        if isinstance(value, dict) and name.endswith("_config"):
            check_numbers(value, place)
        else:
            _check_value(name, value, place)


def _check_value(name: str, value: Any, place: str) -> None:
    if not all(map(math.isfinite, _floats(value))):
        raise ValueError(f"{place} is {value}; expected finite numbers. Correct it in the configuration.")
    if name in MOST or (name in OPTIONAL_MOST and value is not None):
        _check_size(value, (MOST | OPTIONAL_MOST)[name], place)
    elif name in LISTS_MOST:
        if len(value) > MOST_CONVOLUTIONS:
            raise ValueError(f"{place} has {len(value)} entries; expected {MOST_CONVOLUTIONS} at most.")
        for size in value:
            _check_size(size, LISTS_MOST[name], place)
    elif name.endswith(PROBABILITIES) and _is_number(value) and not 0 <= value <= 1:
        raise ValueError(f"{place} is {value}; a probability lies in [0, 1]. Correct it in the configuration.")
    elif name.endswith("_eps") and _is_number(value) and not 0 < value <= 1:
        raise ValueError(f"{place} is {value}; expected a small number above 0. Correct it in the configuration.")


def check_number(name: str, value: Any, most: float) -> None:
    """Raise ValueError if the value of a setting is no number from `-most` to `most`."""
    if not _is_number(value) or not -most <= value <= most:
        raise ValueError(f"{name} is {value!r}; expected a number from {-most:g} to {most:g}.")


def check_dropout(name: str, value: Any) -> None:
    """Raise ValueError if the value of a setting is no share that can be dropped."""
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; it must lie in [0, 1).")


def _check_size(value: Any, most: int, place: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(
            f"{place} is {value!r}; expected a whole number from 1 to {most}. Correct it in the configuration."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _floats(item)
