"""Weights as files: compared by their values, stored as small as their values allow."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save

# Tried in this order; a tensor takes the first that holds its very values.
SMALL_DTYPES = (torch.float16, torch.bfloat16)


def tensor_sha256(value: torch.Tensor) -> str:
    """Return the sha256 of a tensor's shape and values, in hexadecimal; that of a float tensor whatever its dtype."""
    value = value.detach().cpu()
    value = value.float() if value.is_floating_point() else value
    sha256 = hashlib.sha256(str(list(value.shape)).encode())
    sha256.update(value.contiguous().numpy().tobytes())
    return sha256.hexdigest()


def compact(value: torch.Tensor) -> torch.Tensor:
    """Return a float32 tensor in half the size if that holds its very values, else as it is."""
    if value.dtype != torch.float32:
        return value
    for dtype in SMALL_DTYPES:
        if torch.equal(value.to(dtype).float(), value):
            return value.to(dtype)
    return value


def save_weights(weights: Mapping[str, torch.Tensor], file: Path) -> None:
    """Write a safetensors file, compacted, with the rights that the umask gives."""
    content = {name: compact(value).contiguous() for name, value in weights.items()}
    # Neither through safetensors' save_file nor into a file of its making: it gives rights to the owner alone.
    partial = Path(file).with_name(f"{Path(file).name}.partial")
    partial.write_bytes(save(content, metadata={"format": "pt"}))
    partial.replace(file)


def compact_file(file: Path) -> None:
    """Rewrite a safetensors file as small as its values allow."""
    save_weights(load_file(file), file)
