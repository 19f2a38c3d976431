"""Cues beside an audio encoder: what its front end or its training made it deaf to.

Whisper was trained to transcribe, whoever speaks and however loud. A few numbers of the waveform tell it: level and
duration, pitch (the autocorrelation of [`ParaClapFrontEnd`] over the utterance) and timbre (its mean spectrum). They
join the pooled states in the projection.
"""

import torch
from torch import nn

from .audio_tower_paraclap import SAMPLING_RATE, SILENCE, ParaClapFrontEnd, soft_bins
from .configuration_paraclap import ParaClapAudioConfig

QUIETEST_DB, LOUDEST_DB, LEVEL_BINS = -60.0, 0.0, 25
SHORTEST_OCTAVES, LONGEST_OCTAVES, DURATION_BINS = -2.0, 3.0, 33  # from 0.25 s to 8 s
VOICED, VOICING_SLOPE = 0.5, 15.0  # autocorrelation at which a frame counts half as voiced, and how sharply
PITCH_SHARPNESS = 12.0
HIDDEN_SIZE, DROPOUT, TIMBRE_DROPOUT = 128, 0.1, 0.3


class ParaClapCues(nn.Module):
    """Level, duration, pitch and timbre of each utterance, projected into the shared space.

    Args:
        size: Dimensions of the shared space.
        measures: Whether to include the front end that [`measure`] needs.
    """

    def __init__(self, size: int, measures: bool = True):
        super().__init__()
        config = ParaClapAudioConfig()
        self.front_end = ParaClapFrontEnd(config) if measures else None
        self.num_pitch_bins, self.num_mel_bins = config.num_pitch_bins, config.num_mel_bins
        # Level and duration, the pitch statistics, the share of voiced frames, the timbre.
        self.num_cues = 2 + 3 * self.num_pitch_bins + 1 + self.num_mel_bins
        self.network = nn.Sequential(
            nn.Linear(self.num_cues - 2 + LEVEL_BINS + DURATION_BINS, HIDDEN_SIZE),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN_SIZE, size),
        )

    @torch.no_grad()
    def measure(self, waveform: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the cues (batch, num_cues) in float32: level in dB, duration in octaves above 1 s, then the rest.

        Args:
            waveform: (batch, samples), mono at 16 kHz.
            mask: (batch, samples), 1 for samples, 0 for padding; without it nothing is padding.
        """
        mask = torch.ones_like(waveform, dtype=torch.bool) if mask is None else mask
        features, valid, _, timbre = self.front_end(waveform, mask)
        samples = mask.float().sum(1).clamp(min=1)
        level = 10 * torch.log10((waveform.float() * mask).square().sum(1) / samples + SILENCE)
        octaves = torch.log2(samples / SAMPLING_RATE)
        pitch = features[..., self.num_mel_bins :]
        voiced = torch.sigmoid(VOICING_SLOPE * (pitch.amax(-1) - VOICED)) * valid
        likely = (PITCH_SHARPNESS * pitch).softmax(-1)
        histogram = (likely * voiced[..., None]).sum(1) / voiced.sum(1, keepdim=True).clamp(min=1e-3)
        frames = valid.sum(1, keepdim=True)
        mean = (pitch * valid[..., None]).sum(1) / frames
        variance = ((pitch - mean[:, None]).square() * valid[..., None]).sum(1) / frames
        share = voiced.sum(1, keepdim=True) / frames
        return torch.cat([level[:, None], octaves[:, None], histogram, mean, variance.sqrt(), share, timbre], 1)

    def forward(self, cues: torch.Tensor) -> torch.Tensor:
        """Project cues (batch, num_cues) to (batch, size); training leaves the timbre out now and then."""
        timbre = cues[:, -self.num_mel_bins :]
        if self.training:
            timbre = timbre * (torch.rand(len(cues), 1, device=cues.device) >= TIMBRE_DROPOUT)
        bins = [
            soft_bins(cues[:, 0], QUIETEST_DB, LOUDEST_DB, LEVEL_BINS),
            soft_bins(cues[:, 1], SHORTEST_OCTAVES, LONGEST_OCTAVES, DURATION_BINS),
            cues[:, 2 : -self.num_mel_bins],
            timbre,
        ]
        return self.network(torch.cat(bins, 1).to(self.network[0].weight.dtype))
