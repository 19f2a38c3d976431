"""Frames of an utterance to one vector: sums over time are taken in float32, over the frames that are no padding."""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

VARIANCE_FLOOR = 1e-4  # an utterance of one frame has no deviation, and the root no gradient at zero
ATTENTION_SIZE = 64  # hidden units of the network that weighs frames
CALIBRATING_BATCHES = 100  # from which the mean and deviation of the encoder's channels are estimated
ATTENTIVE = "attentive_statistics"


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
    batch, time, _ = hidden_states.shape
    if mask is None:
        mask = torch.ones(batch, time, dtype=torch.bool, device=hidden_states.device)
    behind = -time % size
    states = F.pad(hidden_states, (0, 0, 0, behind)).unflatten(1, (-1, size))
    mask = F.pad(mask, (0, behind)).unflatten(1, (-1, size))
    return masked_mean(states.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, (batch, -1))


class ChannelNorm(nn.Module):
    """Shift and scale each channel by the training data's mean and deviation, the same for every utterance.

    An encoder's channels differ in range by orders of magnitude. The statistics are those of the first
    `CALIBRATING_BATCHES` batches of the training; they are saved with the weights and stay as they are after that.

    Args:
        size: Number of channels.
    """

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("batches", torch.zeros(()))

    def reset(self) -> None:
        """Forget the statistics."""
        init.zeros_(self.mean)
        init.ones_(self.variance)
        init.zeros_(self.batches)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise (batch, time, dim), in float32; in training, take its statistics in first."""
        states = hidden_states.float()
        # On an accelerator, asking waits for the device, which costs more than an estimate that changes nothing.
        if self.training and (self.batches.device.type != "cpu" or self.batches < CALIBRATING_BATCHES):
            self._estimate(states.detach(), mask)
        return (states - self.mean.float()) * (self.variance.float() + VARIANCE_FLOOR).rsqrt()

    @torch.no_grad()
    def _estimate(self, states: torch.Tensor, mask: torch.Tensor | None) -> None:
        flat = states.flatten(0, 1)[None]
        flat_mask = None if mask is None else mask.flatten()[None]
        mean = masked_mean(flat, flat_mask)[0]
        variance = masked_mean((flat - mean).square(), flat_mask)[0]
        # The share of a new batch in the statistics of all, or none once there are enough.
        share = torch.where(self.batches < CALIBRATING_BATCHES, 1 / (self.batches + 1), 0)
        between = share * (1 - share) * (mean - self.mean).square()
        self.variance.lerp_(variance.to(self.variance.dtype), share).add_(between)
        self.mean.lerp_(mean.to(self.mean.dtype), share)
        self.batches.add_(1).clamp_(max=CALIBRATING_BATCHES)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, frames weighed by attention (https://arxiv.org/abs/1803.10963).

    Args:
        size: Channels of a frame. Each head weighs the frames of its own share of them.
        heads: Number of heads, which divides `size`.
    """

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attention = nn.Sequential(nn.Linear(size, ATTENTION_SIZE), nn.Tanh(), nn.Linear(ATTENTION_SIZE, heads))

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Turn (batch, time, size) and its (batch, time) mask into (batch, 2 size)."""
        scores = self.attention(hidden_states).float()
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None].bool(), torch.finfo(scores.dtype).min)
        weights = scores.softmax(1)[..., None]  # (batch, time, heads, 1)
        states = hidden_states.float().unflatten(2, (self.heads, -1))
        mean = (states * weights).sum(1)
        variance = ((states - mean[:, None]).square() * weights).sum(1)
        statistics = torch.cat([mean.flatten(1), (variance + VARIANCE_FLOOR).sqrt().flatten(1)], 1)
        return statistics.to(hidden_states.dtype)


class ParaClapAudioPooling(nn.Module):
    """From an audio encoder's states to one vector an utterance, as a [`ParaClapConfig`] says.

    Args:
        config: Its `audio_layer_weights`, `audio_pooling_size`, `audio_pooling` and `audio_pooling_heads`.
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        self.kind = config.audio_pooling
        size = config.audio_config.hidden_size
        # The layers whose states are weighed; none for the last state alone.
        self.layers = config.audio_layer_weights or []
        self.layer_weights = nn.Parameter(torch.zeros(len(self.layers))) if self.layers else None
        self.input = None
        if config.audio_pooling_size:
            self.norm = ChannelNorm(size)
            self.channel_dropout = nn.Dropout(config.audio_channel_dropout)
            self.input = nn.Linear(size, config.audio_pooling_size)
            size = config.audio_pooling_size
        self.attentive = AttentiveStatistics(size, config.audio_pooling_heads) if self.kind == ATTENTIVE else None
        self.dropout = nn.Dropout(config.audio_pooling_dropout)
        self.output_size = size if self.kind == "mean" else 2 * size

    def reset(self) -> None:
        """Weigh all layers equally."""
        if self.layer_weights is not None:
            init.zeros_(self.layer_weights)

    def forward(self, outputs: BaseModelOutput, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Pool an encoder's output.

        Args:
            outputs: With `hidden_states`, if layers are weighed.
            mask: (batch, time), 1 for frames, 0 for padding; without it nothing is padding.

        Returns:
            (batch, output_size).
        """
        states = self.weigh_layers(outputs) if self.layers else outputs.last_hidden_state
        if self.input is not None:
            normalised = self.norm(states, mask).to(states.dtype)
            states = F.gelu(self.input(self.channel_dropout(normalised)))
        if self.attentive is not None:
            pooled = self.attentive(states, mask)
        else:
            pooled = (masked_mean if self.kind == "mean" else masked_statistics)(states, mask)
        return self.dropout(pooled)

    def weigh_layers(self, outputs: BaseModelOutput) -> torch.Tensor:
        """Return the weighted sum (batch, time, dim) of the layers' states.

        Raises:
            ValueError: If the encoder does not return one state for each layer, of one length.
        """
        last = outputs.last_hidden_state
        # What an encoder does behind its last layer, such as a norm, belongs to that layer's state.
        states = [*outputs.hidden_states[:-1], last]
        if len(states) <= max(self.layers) or any(states[layer].shape != last.shape for layer in self.layers):
            shapes = sorted({tuple(state.shape) for state in states})
            raise ValueError(
                f"The audio encoder returned {len(states)} states of shapes {shapes}; weighing the layers "
                f"{self.layers} takes one state for each layer, all of one shape. Leave out audio_layer_weights, or "
                "set the encoder's layerdrop to 0."
            )
        weighed = [
            weight * states[layer] for weight, layer in zip(self.layer_weights.softmax(0), self.layers, strict=True)
        ]
        return sum(weighed[1:], start=weighed[0])
