"""Frames of an utterance to one vector: sums over time are taken in float32, over the frames that are no padding."""

import torch

VARIANCE_FLOOR = 1e-4  # an utterance of one frame has no deviation, and the root no gradient at zero


def masked_mean(hidden_states: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean over time of (batch, time, dim), over the frames where the (batch, time) mask is 1.

    Sums are taken in float32, as those of float16 overflow after a few seconds; the result has the input's dtype.
    """
    if mask is None:
        return hidden_states.mean(1, dtype=torch.float32).to(hidden_states.dtype)
    mask = mask.to(torch.float32)[..., None]
    mean = (hidden_states * mask).sum(1) / mask.sum(1).clamp(min=1)
    return mean.to(hidden_states.dtype)


def masked_statistics(hidden_states: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Return mean and standard deviation over time of (batch, time, dim), side by side: (batch, 2 dim)."""
    states = hidden_states.float()
    mean = masked_mean(states, mask)
    variance = masked_mean((states - mean[:, None]).square(), mask)
    return torch.cat([mean, (variance + VARIANCE_FLOOR).sqrt()], dim=-1).to(hidden_states.dtype)


def masked_group_means(hidden_states: torch.Tensor, size: int, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Average each `size` consecutive frames of (batch, time, dim); of the last group, the frames that there are.

    Args:
        hidden_states: (batch, time, dim).
        size: Frames of a group.
        mask: (batch, time), 1 for frames, 0 for padding; without it nothing is padding.

    Returns:
        (batch, ceil(time / size), dim), zero where a group is all padding.
    """
    batch, time, dim = hidden_states.shape
    if mask is None:
        mask = torch.ones(batch, time, dtype=torch.bool, device=hidden_states.device)
    behind = -time % size
    states = torch.nn.functional.pad(hidden_states, (0, 0, 0, behind)).unflatten(1, (-1, size))
    mask = torch.nn.functional.pad(mask, (0, behind)).unflatten(1, (-1, size))
    return masked_mean(states.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, (batch, -1))
