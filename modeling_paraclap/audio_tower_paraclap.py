"""An audio tower for little data: what a recording's level and channel do to speech is taken out before it learns.

A waveform encoder has to find a spectrum, pitch and the invariances to level, microphone and room in its training data;
a few hours do not hold them. This tower is given them: log mel bands without the utterance's mean (where a gain or a
filter is a constant), the normalised autocorrelation at the lags of speech (pitch, whatever the level), and two numbers
that the normalisation takes away and some queries are about, level and duration. Behind them stands the transformer
encoder of wav2vec 2.0. The mean spectrum, which a voice shapes as much as a channel does, comes in once more behind
the encoder, and training leaves it out now and then, so that emotions do not come to depend on it.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2Model
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration_paraclap import ParaClapAudioConfig

SAMPLING_RATE = 16000
FFT_SIZE = 1024
SILENCE = 1e-10  # power of digital silence, so that its logarithm exists
PITCH_LINES = FFT_SIZE // 4  # of the spectrum, up to 4 kHz: above, harmonics are too weak to say anything of pitch
QUIETEST_DB, LOUDEST_DB, LEVEL_BINS = -60.0, 0.0, 25
SHORTEST_OCTAVES, DURATION_BINS = -2.0, 129  # the shortest duration that is told from shorter ones is 0.25 s


def mel_filters(bands: int, lowest_hz: float = 50.0, highest_hz: float = 8000.0) -> torch.Tensor:
    """Return (FFT_SIZE // 2 + 1, bands) triangles of unit height, their centres spaced evenly on the mel scale."""

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1 + hertz / 700.0)

    edges = 700.0 * (torch.exp(torch.linspace(mel(lowest_hz), mel(highest_hz), bands + 2) / 1127.0) - 1)
    hertz = torch.linspace(0, SAMPLING_RATE / 2, FFT_SIZE // 2 + 1)[:, None]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def lag_cosines(bins: int, lowest_hz: float, bins_per_octave: int) -> torch.Tensor:
    """Return (PITCH_LINES, bins) cosines that turn a spectrum up to 4 kHz into its autocorrelation at pitch periods.

    Args:
        bins: How many lags; their pitches rise from `lowest_hz` by `bins_per_octave` an octave.
        lowest_hz: Pitch of the longest lag.
        bins_per_octave: Resolution.
    """
    pitches = lowest_hz * 2 ** (torch.arange(bins) / bins_per_octave)
    hertz = torch.arange(PITCH_LINES)[:, None] * SAMPLING_RATE / FFT_SIZE
    return torch.cos(2 * math.pi * hertz / pitches)


def soft_bins(values: torch.Tensor, lowest: float, highest: float, bins: int) -> torch.Tensor:
    """Turn (batch,) into (batch, bins): a value is shared between the two nearest of evenly spaced centres.

    One number would have to be bent by what follows to tell "normal" from both "low" and "high"; of these, any function
    is a sum.
    """
    centres = torch.arange(bins, device=values.device)
    position = (values.clamp(lowest, highest) - lowest) / (highest - lowest) * (bins - 1)
    return (1 - (position[:, None] - centres).abs()).clamp(min=0)


class ParaClapFrontEnd(nn.Module):
    """Waveform to mel bands, pitch bins and cues; nothing in it learns."""

    def __init__(self, config: ParaClapAudioConfig):
        super().__init__()
        self.config = config
        self.register_buffer("mel", torch.zeros(FFT_SIZE // 2 + 1, config.num_mel_bins))
        self.register_buffer("lags", torch.zeros(PITCH_LINES, config.num_pitch_bins))
        self.fill()

    def fill(self) -> None:
        """Compute the filters, which are saved with the weights and so need no computing after that."""
        init.copy_(self.mel, mel_filters(self.config.num_mel_bins))
        init.copy_(
            self.lags, lag_cosines(self.config.num_pitch_bins, self.config.lowest_pitch_hz, self.config.bins_per_octave)
        )

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    @torch.no_grad()
    def forward(
        self, waveform: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute in float32 whatever the model's dtype, as a logarithm of a power needs.

        Args:
            waveform: (batch, samples).
            mask: (batch, samples), 1 for samples, 0 for padding.

        Returns:
            Features (batch, frames, num_mel_bins + num_pitch_bins), zero in the padding; the frames' mask
            (batch, frames), boolean; the cues (batch, LEVEL_BINS + DURATION_BINS), level and duration as
            [`soft_bins`]; and the timbre (batch, num_mel_bins), the mean spectrum without its level.
        """
        mask = mask.float()
        waveform = waveform.float() * mask
        samples = mask.sum(1)
        window, hop = self.config.window_samples, self.config.hop_samples
        # The zeros behind a frame are the window's: `rfft` would have to move the frames to make room for them.
        hann = F.pad(torch.hann_window(window, device=waveform.device), (0, FFT_SIZE - window))
        padded = F.pad(waveform, (window // 2, FFT_SIZE - (window - window // 2)))
        spectrum = torch.fft.rfft(padded.unfold(1, FFT_SIZE, hop) * hann)
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
        valid = torch.arange(power.shape[1], device=mask.device)[None] < self.lengths(samples)[:, None]
        valid_column = valid[..., None]

        mel = (power @ self.mel.float() + SILENCE).log()
        peak = mel.masked_fill(~valid_column, -math.inf).amax((1, 2), keepdim=True)
        mel = torch.maximum(mel, peak - self.config.dynamic_range_db / 10 * math.log(10))
        # The mean over the frames in which somebody speaks: silence before and after must not move it.
        loudness = mel.logsumexp(2, keepdim=True)
        loudest = loudness.masked_fill(~valid_column, -math.inf).amax(1, keepdim=True)
        weight = torch.sigmoid(loudness - loudest + self.config.speech_range_db / 10 * math.log(10)) * valid_column
        mean_spectrum = (mel * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
        mel = (mel - mean_spectrum) / 3
        timbre = (mean_spectrum - mean_spectrum.mean(2, keepdim=True))[:, 0] / 2

        # In one piece, as a square root is slow on anything else; its fourth root, so that formants weigh less.
        flattened = power[..., : len(self.lags)].contiguous().sqrt().sqrt()
        pitch = 2 * (flattened @ self.lags.float()) / flattened.sum(2, keepdim=True).clamp(min=SILENCE)

        level = 10 * torch.log10(waveform.square().sum(1) / samples.clamp(min=1) + SILENCE)
        octaves = torch.log2(samples.clamp(min=1) / SAMPLING_RATE)
        longest = math.log2(self.config.longest_duration_s)
        cues = [
            soft_bins(level, QUIETEST_DB, LOUDEST_DB, LEVEL_BINS),
            soft_bins(octaves, SHORTEST_OCTAVES, longest, DURATION_BINS),
        ]
        return torch.cat([mel, pitch], 2) * valid_column, valid, torch.cat(cues, 1), timbre

    def lengths(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the number of frames of as many samples."""
        return 1 + torch.div(samples, self.config.hop_samples, rounding_mode="floor").long()


class ParaClapSubsampling(nn.Module):
    """Strided convolutions over the frames, each normalised frame by frame, so that padding changes nothing."""

    def __init__(self, config: ParaClapAudioConfig):
        super().__init__()
        channels = [config.num_mel_bins + config.num_pitch_bins, *config.conv_dim]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride, padding=kernel // 2)
            for before, after, kernel, stride in zip(
                channels[:-1], config.conv_dim, config.conv_kernel, config.conv_stride, strict=True
            )
        )
        self.layer_norms = nn.ModuleList(nn.LayerNorm(size, eps=config.layer_norm_eps) for size in config.conv_dim)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn (batch, frames, bins) and its mask into (batch, fewer frames, conv_dim[-1]) and its mask."""
        features = features.to(self.layer_norms[0].weight.dtype)
        for convolution, layer_norm in zip(self.convolutions, self.layer_norms, strict=True):
            features = convolution(features.transpose(1, 2)).transpose(1, 2)
            mask = mask[:, :: convolution.stride[0]]
            features = F.gelu(layer_norm(features)) * mask[..., None]
        return features, mask


class ParaClapFeatureEncoder(nn.Module):
    """Front end and subsampling."""

    def __init__(self, config: ParaClapAudioConfig):
        super().__init__()
        self.front_end = ParaClapFrontEnd(config)
        self.subsampling = ParaClapSubsampling(config)

    def _freeze_parameters(self) -> None:
        # What `Wav2Vec2Model.freeze_feature_encoder` and `--freeze_feature_encoder` call.
        self.requires_grad_(False)

    def forward(
        self, waveform: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Turn (batch, samples) and its mask into (batch, frames, channels), its mask, the cues and the timbre."""
        features, mask, cues, timbre = self.front_end(waveform, mask)
        return *self.subsampling(features, mask), cues, timbre


class ParaClapAudioModel(Wav2Vec2Model):
    """wav2vec 2.0's encoder on a front end that knows speech.

    Example:
        >>> import torch
        >>> from modeling_paraclap import ParaClapAudioConfig, ParaClapAudioModel
        >>> tower = ParaClapAudioModel(ParaClapAudioConfig(num_hidden_layers=1)).eval()
        >>> tower(torch.randn(1, 16000)).last_hidden_state.shape  # 12.5 frames a second
        torch.Size([1, 13, 128])
    """

    config_class = ParaClapAudioConfig
    # Its spectrogram wants the waveform in float32, whatever the dtype of the weights.
    input_dtype = torch.float32

    def __init__(self, config: ParaClapAudioConfig):
        super().__init__(config)
        self.feature_extractor = ParaClapFeatureEncoder(config)
        self.cue_projection = nn.Linear(LEVEL_BINS + DURATION_BINS, config.hidden_size)
        self.timbre_projection = nn.Sequential(
            nn.Linear(config.num_mel_bins, config.hidden_size),
            nn.GELU(),
            nn.Linear(config.hidden_size, config.hidden_size),
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ParaClapFrontEnd):
            module.fill()

    @property
    def least_samples(self) -> int:
        """Return the smallest number of samples that has a spectrum: one window."""
        return self.config.window_samples

    def _get_feat_extract_output_lengths(
        self, input_lengths: torch.Tensor | int, add_adapter: bool | None = None
    ) -> torch.Tensor:
        """Return the number of frames of as many samples; even one sample has a frame, which stands around it."""
        frames = self.feature_extractor.front_end.lengths(torch.as_tensor(input_lengths))
        for stride in self.config.conv_stride:
            frames = torch.div(frames - 1, stride, rounding_mode="floor") + 1
        return frames

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> BaseModelOutput:
        """Compute the frames of each utterance.

        Args:
            input_values: (batch, samples), mono at 16 kHz.
            attention_mask: (batch, samples), 1 for samples, 0 for padding; without it nothing is padding.
            **kwargs: Handed to the encoder, for example `output_hidden_states=True`.

        Returns:
            `BaseModelOutput` whose `last_hidden_state` is (batch, frames, hidden_size).
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_values)
        features, mask, cues, timbre = self.feature_extractor(input_values, attention_mask)
        hidden_states, _ = self.feature_projection(features)
        # SpecAugment refuses batches that are shorter than one of its masks: they go without.
        unmasked = None
        if hidden_states.shape[1] < self.config.mask_time_length:
            unmasked = torch.zeros(hidden_states.shape[:2], dtype=torch.bool, device=hidden_states.device)
        hidden_states = self._mask_hidden_states(hidden_states, unmasked, attention_mask=mask)
        hidden_states = self.encoder(hidden_states, attention_mask=mask, **kwargs).last_hidden_state
        cues, timbre = cues.to(hidden_states.dtype), timbre.to(hidden_states.dtype)
        timbre = self.timbre_projection(timbre)
        if self.training and self.config.timbre_dropout:
            timbre = timbre * (torch.rand(len(timbre), 1, device=timbre.device) >= self.config.timbre_dropout)
        whole = self.cue_projection(cues) + timbre
        return BaseModelOutput(last_hidden_state=hidden_states + whole[:, None])
