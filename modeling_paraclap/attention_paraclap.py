"""Attention of bfloat16 models on a CPU by matrix products, which are faster there than torch's fused kernel.

torch's kernel multiplies small blocks, far below the rate at which the processor multiplies bfloat16 matrices. Whole
heads at once come closer to it, as long as their weights stay in the cache; see `benchmarks.breakdown`.
"""

from typing import Any

import torch
from torch import nn
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

NAME = "paraclap_products"
WEIGHTS = 2**20  # attention weights computed at once: 2 MB


def attend_by_products(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention as `scaled_dot_product_attention` does, for inference: without dropout.

    Args:
        module: The layer; unused, but part of transformers' interface.
        query: (batch, heads, frames, size).
        key: Likewise.
        value: Likewise.
        attention_mask: Broadcastable to (batch, heads, frames, frames): False, or a very negative number, where a frame
            must not be attended to.
        scaling: Factor of the logits; None for size^-0.5.
        **kwargs: Ignored.

    Returns:
        (batch, frames, heads, size), and None in place of the weights.
    """
    batch, heads, frames, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    query, key, value = (states.reshape(batch * heads, -1, size) for states in (query, key, value))
    mask = None if attention_mask is None else attention_mask.expand(batch, heads, -1, -1)
    at_once, parts = max(1, WEIGHTS // (frames * key.shape[1])), []
    for first in range(0, batch * heads, at_once):
        part = slice(first, first + at_once)
        weights = torch.bmm(query[part], key[part].transpose(1, 2))
        if mask is not None:
            rows = torch.arange(batch * heads)[part]
            allowed = mask[rows // heads, rows % heads]
            weights = weights.masked_fill(~allowed, -torch.inf) if mask.dtype == torch.bool else weights + allowed
        parts.append(torch.bmm(weights.softmax(-1), value[part]))
    result = parts[0] if len(parts) == 1 else torch.cat(parts)
    return result.view(batch, heads, frames, size).transpose(1, 2).contiguous(), None


def products_are_faster() -> bool:
    """Return whether this processor multiplies bfloat16 matrices, and torch's fused kernel does not use its tiles."""
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and not tiles()


AttentionInterface.register(NAME, attend_by_products)
AttentionMaskInterface.register(NAME, sdpa_mask)
