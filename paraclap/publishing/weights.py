"""Weight files, compared by value and stored losslessly in the smallest dtype."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save

# Tried in this order; a tensor gets the first that represents its values exactly.
SMALL_DTYPES = (torch.float16, torch.bfloat16)


def tensor_sha256(value: torch.Tensor) -> str:
    """Return the hexadecimal sha256 of a tensor's shape and values, independent of the dtype of a float tensor."""
    value = value.detach().cpu()
    value = value.float() if value.is_floating_point() else value
    sha256 = hashlib.sha256(str(list(value.shape)).encode())
    sha256.update(value.contiguous().numpy().tobytes())
    return sha256.hexdigest()


def compact(value: torch.Tensor) -> torch.Tensor:
    """Return a float32 tensor in a 16-bit dtype if that is lossless, else unchanged."""
    if value.dtype != torch.float32:
        return value
    for dtype in SMALL_DTYPES:
        if torch.equal(value.to(dtype).float(), value):
            return value.to(dtype)
    return value


def save_weights(weights: Mapping[str, torch.Tensor], file: Path) -> None:
    """Write a compacted safetensors file, with permissions according to the umask."""
    content = {name: compact(value).contiguous() for name, value in weights.items()}
    # Not with safetensors' save_file, whose files only the owner can read.
    partial = Path(file).with_name(f"{Path(file).name}.partial")
    partial.write_bytes(save(content, metadata={"format": "pt"}))
    partial.replace(file)


def compact_file(file: Path) -> None:
    """Compact a safetensors file in place."""
    save_weights(load_file(file), file)
