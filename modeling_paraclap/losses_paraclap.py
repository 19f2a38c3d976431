"""The losses, plain functions of the (n_audio, n_text) logits, and a table of what each of them needs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F


def contrastive_loss(logits_per_audio: torch.Tensor) -> torch.Tensor:
    """Compute the symmetric cross-entropy of the paper's equation 2: row i of the (n, n) logits belongs to column i."""
    targets = torch.arange(len(logits_per_audio), device=logits_per_audio.device)
    return (F.cross_entropy(logits_per_audio, targets) + F.cross_entropy(logits_per_audio.t(), targets)) / 2


def multi_positive_loss(
    logits_per_audio: torch.Tensor, positives: torch.Tensor, unknown: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute the symmetric cross-entropy against every pair that belongs together, shared out evenly.

    Args:
        logits_per_audio: (n_audio, n_text).
        positives: (n_audio, n_text), true where the text describes the audio. Each row and column needs one.
        unknown: (n_audio, n_text), true for unlabelled pairs, which the loss ignores.
    """
    if unknown is not None:
        logits_per_audio = logits_per_audio.masked_fill(unknown, torch.finfo(logits_per_audio.dtype).min)
    positives = positives.to(logits_per_audio.dtype)
    per_audio = F.cross_entropy(logits_per_audio, positives / positives.sum(1, keepdim=True))
    per_text = F.cross_entropy(logits_per_audio.t(), positives.t() / positives.t().sum(1, keepdim=True))
    return (per_audio + per_text) / 2


def sigmoid_loss(
    logits_per_audio: torch.Tensor, positives: torch.Tensor, unknown: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute the pairwise sigmoid loss of SigLIP (https://arxiv.org/abs/2303.15343, equation 1).

    Args:
        logits_per_audio: (n_audio, n_text).
        positives: (n_audio, n_text), true where the text describes the audio.
        unknown: (n_audio, n_text), true for unlabelled pairs, which the loss ignores.
    """
    signs = 2 * positives.to(logits_per_audio.dtype) - 1
    losses = -F.logsigmoid(signs * logits_per_audio)
    if unknown is not None:
        losses = losses.masked_fill(unknown, 0.0)
    return losses.sum() / len(logits_per_audio)


def same_captions(input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Return (n, n) booleans: which of the n captions are the same text."""
    if attention_mask is not None:
        input_ids = input_ids.masked_fill(attention_mask == 0, -1)
    return (input_ids[:, None] == input_ids[None]).all(-1)


def grouped_loss(
    logits_per_audio: torch.Tensor,
    positives: torch.Tensor,
    unknown: torch.Tensor | None = None,
    groups: torch.Tensor | None = None,
    group_weights: dict[int, float] | None = None,
) -> torch.Tensor:
    """Compute a sigmoid loss over all pairs plus a cross-entropy within each group of mutually exclusive texts.

    The first term is [`sigmoid_loss`] as a mean over texts; the second a cross-entropy over the texts of a group,
    shared out evenly over those that describe the audio, and summed over the groups. Utterances of which no text of the
    group is known to hold are left out of it.

    Args:
        logits_per_audio: (n_audio, n_text).
        positives: (n_audio, n_text), true where the text describes the audio.
        unknown: (n_audio, n_text), true for unlabelled pairs, which the loss ignores.
        groups: (n_text,) integers, -1 for a text that is in no group; without it there is the first term alone.
        group_weights: Number of a group -> its weight in the sum; 1 where it has none.
    """
    loss = sigmoid_loss(logits_per_audio, positives, unknown) / logits_per_audio.shape[1]
    if unknown is not None:
        logits_per_audio = logits_per_audio.masked_fill(unknown, torch.finfo(logits_per_audio.dtype).min)
    for group in [] if groups is None else groups.unique().tolist():
        of_group = groups == group
        targets = positives[:, of_group].to(logits_per_audio.dtype)
        rows = targets.sum(1) > 0
        if group < 0 or not rows.any():
            continue
        targets = targets[rows] / targets[rows].sum(1, keepdim=True)
        weight = (group_weights or {}).get(group, 1.0)
        loss = loss + weight * F.cross_entropy(logits_per_audio[rows][:, of_group], targets)
    return loss


@dataclass(frozen=True)
class Loss:
    """What a model and its training must know of a loss.

    Attributes:
        function: Called with the (n_audio, n_text) logits, then with what the fields below say.
        needs_positives: Whether it takes `positives` and `unknown`, so that a text may describe several utterances and
            their numbers may differ; if not, text i belongs to utterance i.
        has_bias: Whether the logits have a learnt bias, as yes-or-no questions need.
        takes_groups: Whether it takes `groups` and `group_weights`.
    """

    function: Callable[..., torch.Tensor]
    needs_positives: bool
    has_bias: bool
    takes_groups: bool = False


LOSSES = {
    "contrastive": Loss(contrastive_loss, needs_positives=False, has_bias=False),
    "multi_positive": Loss(multi_positive_loss, needs_positives=True, has_bias=False),
    "sigmoid": Loss(sigmoid_loss, needs_positives=True, has_bias=True),
    "grouped": Loss(grouped_loss, needs_positives=True, has_bias=True, takes_groups=True),
}
