"""Whisper's encoder as an audio tower: raw waveform in, frames of the clip alone out.

transformers' `WhisperEncoder` takes the log-mel spectrogram of exactly 30 s and ignores masks, so that a clip of 3 s
costs ten times what it has to. This tower computes the spectrogram inside, does not pad to 30 s, and masks what pads a
batch: a clip has the states that it has alone. A full clip of 30 s has those of `WhisperEncoder`.
"""

from os import PathLike
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig
from transformers import initialization as init
from transformers.audio_utils import mel_filter_bank
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import (
    WhisperAttention,
    WhisperEncoderLayer,
    WhisperModel,
    WhisperPreTrainedModel,
    sinusoids,
)
from transformers.utils.output_capturing import capture_outputs

from .configuration_paraclap import ParaClapWhisperConfig
from .pooling_paraclap import masked_group_means

SAMPLING_RATE = 16000
WINDOW = 400  # samples of a window of the spectrum
HOP = 160  # samples from a window to the next
FLOOR = 1e-10  # power of digital silence, so that its logarithm exists
DYNAMIC_RANGE = 8.0  # powers of ten below the clip's maximum; what is weaker is raised to there
USUAL_PEAK = 1.0  # the maximum, in powers of ten, of a clip of speech at a usual level
# Classes whose checkpoints hold an encoder alone.
ENCODERS = ("WhisperEncoder", "ParaClapWhisperModel")
# What other classes' checkpoints hold besides.
OTHER_PARTS = [r"decoder\.", r"^proj_out\.", r"^projector\.", r"^classifier\.", r"^layer_weights$"]
# What a whole encoder has and a truncated one has not.
UPPER_PARTS = [r"layers\.\d+\.", r"layer_norm\.(weight|bias)$"]


class WhisperLogMel(nn.Module):
    """Waveform to log-mel spectrogram, as `WhisperFeatureExtractor` computes it of the same clip without padding.

    Args:
        bands: Number of mel bands, 80 or 128 in the published models.
        normalize_level: Whether every clip is brought to one level: its maximum to `USUAL_PEAK`.
    """

    def __init__(self, bands: int, normalize_level: bool = False):
        super().__init__()
        self.bands, self.normalize_level = bands, normalize_level
        self.register_buffer("filters", torch.zeros(WINDOW // 2 + 1, bands, dtype=torch.float32), persistent=False)
        self.fill()

    def fill(self) -> None:
        """Compute the mel filters: triangles from 0 to 8 kHz on Slaney's scale, of equal area."""
        filters = mel_filter_bank(
            num_frequency_bins=WINDOW // 2 + 1,
            num_mel_filters=self.bands,
            min_frequency=0.0,
            max_frequency=SAMPLING_RATE / 2,
            sampling_rate=SAMPLING_RATE,
            norm="slaney",
            mel_scale="slaney",
        )
        init.copy_(self.filters, torch.from_numpy(filters).to(self.filters.dtype))

    def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
        # The filters follow the model to its device, and stay float32 where it becomes float16 or bfloat16.
        exact = self.filters
        super()._apply(fn, recurse)
        if self.filters.dtype != exact.dtype:
            self.filters = exact.to(self.filters.device)
        return self

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    @torch.no_grad()
    def forward(
        self, waveform: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the spectrogram in float32, whatever the model's dtype.

        Args:
            waveform: (batch, samples), mono at 16 kHz.
            attention_mask: (batch, samples), 1 for samples, 0 for padding behind them; without it nothing is padding.

        Returns:
            Features (batch, bands, samples // HOP), zero in the padding, and their mask (batch, frames), boolean, or
            None where nothing is padding.
        """
        waveform, frames = waveform.float(), waveform.shape[1] // HOP
        valid = None
        if attention_mask is None:
            padded = F.pad(waveform[:, None], (WINDOW // 2, WINDOW // 2), mode="reflect")[:, 0]
        else:
            attention_mask = attention_mask.bool()
            lengths = attention_mask.sum(1, keepdim=True)
            padded = _reflect(waveform.masked_fill(~attention_mask, 0.0), lengths)
            valid = torch.arange(frames, device=waveform.device)[None] < lengths // HOP
        # Whisper leaves out the last window, which is centred behind the last whole hop.
        windows = padded.unfold(1, WINDOW, HOP)[:, :frames]
        spectrum = torch.fft.rfft(windows * torch.hann_window(WINDOW, device=waveform.device))
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
        features = (power @ self.filters).clamp(min=FLOOR).log10()
        heard = features if valid is None else features.masked_fill(~valid[..., None], -torch.inf)
        peak = heard.amax((1, 2), keepdim=True)
        features = torch.maximum(features, peak - DYNAMIC_RANGE)
        if self.normalize_level:
            features = features - peak + USUAL_PEAK
        features = (features + 4.0) / 4.0
        if valid is not None:
            features = features.masked_fill(~valid[..., None], 0.0)
        return features.transpose(1, 2), valid


def _reflect(waveform: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Extend each clip by half a window on both sides, mirrored at its own first and last sample.

    Args:
        waveform: (batch, samples).
        lengths: (batch, 1), samples of each clip.
    """
    half = WINDOW // 2
    steps = torch.arange(half, device=waveform.device)[None]
    before = waveform[:, 1 : half + 1].flip(1)
    after = waveform.gather(1, (lengths - 2 - steps).clamp(min=0))
    padded = torch.cat([before, waveform, torch.zeros_like(before)], 1)
    return padded.scatter(1, half + lengths + steps, after)


class WhisperPositions(nn.Module):
    """Whisper's table of sinusoids, which does not learn.

    Args:
        positions: Frames of 30 s.
        size: Width of the encoder.
    """

    def __init__(self, positions: int, size: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(positions, size))
        self.fill()

    def fill(self) -> None:
        """Compute the table."""
        init.copy_(self.weight, sinusoids(*self.weight.shape).to(self.weight.dtype))


class ParaClapWhisperModel(WhisperPreTrainedModel):
    """Whisper's encoder on raw waveforms of any length.

    A clip longer than the position table (30 s) is encoded in consecutive windows of that length, each from position 0
    as Whisper does when it transcribes; the spectrogram, and what it is clamped at, is that of the whole clip.

    Example:
        >>> import torch
        >>> from modeling_paraclap import ParaClapWhisperConfig, ParaClapWhisperModel
        >>> config = ParaClapWhisperConfig(d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64)
        >>> tower = ParaClapWhisperModel(config).eval()
        >>> tower(torch.randn(1, 16000)).last_hidden_state.shape  # 50 frames a second
        torch.Size([1, 50, 32])
    """

    config: ParaClapWhisperConfig
    config_class = ParaClapWhisperConfig
    main_input_name = "input_values"
    input_modalities = ("audio",)
    base_model_prefix = "paraclap_whisper"
    _can_record_outputs = {"attentions": WhisperAttention}
    # The reflected padding of the spectrum needs one sample more than half a window.
    least_samples = WINDOW // 2 + 1
    # Its spectrogram wants the waveform in float32, whatever the dtype of the weights.
    input_dtype = torch.float32

    def __init__(self, config: ParaClapWhisperConfig):
        super().__init__(config)
        self.log_mel = WhisperLogMel(config.num_mel_bins, config.normalize_level)
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, kernel_size=3, stride=2, padding=1)
        self.embed_positions = WhisperPositions(config.max_source_positions, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(config.encoder_layers))
        # A truncated encoder has none: the norm is fitted to the last layer's states.
        self.layer_norm = nn.LayerNorm(config.d_model) if config.final_layer_norm else None
        self.gradient_checkpointing = False
        if not config.final_layer_norm:  # what is left out is no reason for a warning
            self._keys_to_ignore_on_load_unexpected = UPPER_PARTS
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, (WhisperLogMel, WhisperPositions)):
            module.fill()

    @classmethod
    def from_whisper_pretrained(
        cls, source: str | PathLike, num_layers: int | None = None, **config_kwargs: Any
    ) -> "ParaClapWhisperModel":
        """Load the encoder of a pretrained Whisper, in float32; a decoder is left out.

        Args:
            source: Hub id or folder of a Whisper model, with or without a head, or of an encoder alone.
            num_layers: Keep only the first so many layers, without the norm behind the last; None for all.
            **config_kwargs: Further arguments of [`ParaClapWhisperConfig`].

        Returns:
            The tower, in evaluation mode.

        Raises:
            ValueError: If the model is no Whisper, or has fewer layers.
            RuntimeError: If weights of the encoder are missing.
        """
        pretrained = AutoConfig.from_pretrained(source)
        config = ParaClapWhisperConfig.from_whisper(pretrained, num_layers, **config_kwargs)
        alone = bool(pretrained.architectures) and pretrained.architectures[0] in ENCODERS
        loader = cls if alone else _WhisperWithoutDecoder
        tower, info = loader.from_pretrained(source, config=config, dtype=torch.float32, output_loading_info=True)
        tower = tower if alone else tower.encoder
        if info["missing_keys"]:
            raise RuntimeError(
                f"{source} lacks {len(info['missing_keys'])} weights of Whisper's encoder, such as "
                f"{sorted(info['missing_keys'])[0]}; expected a whole Whisper model, or its encoder."
            )
        return tower.eval()

    def freeze_feature_encoder(self) -> None:
        """Freeze the convolutions over the spectrogram, as `Wav2Vec2Model.freeze_feature_encoder` does."""
        for convolution in (self.conv1, self.conv2):
            convolution.requires_grad_(False)

    def _get_feat_extract_output_lengths(self, input_lengths: torch.Tensor | int) -> torch.Tensor:
        """Return the number of frames of as many samples."""
        frames = torch.div(torch.as_tensor(input_lengths), HOP, rounding_mode="floor")
        stride = 2 * self.config.frames_per_state
        return torch.div(frames + stride - 1, stride, rounding_mode="floor")

    def _mask_input_features(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Apply SpecAugment in training, but to batches that are shorter than one of its masks."""
        too_short = features.shape[2] < self.config.mask_time_length
        return features if too_short else WhisperModel._mask_input_features(self, features, mask)

    @capture_outputs
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Encode waveforms.

        Args:
            input_values: (batch, samples), mono at 16 kHz, in [-1, 1].
            attention_mask: (batch, samples), 1 for samples, 0 for padding behind them; without it nothing is padding.
            output_hidden_states: Whether to return the states before the first layer and after each.
            **kwargs: Handed to the layers, for example `output_attentions=True`. The attentions of a clip longer than
                30 s are those of its windows, one window after another.

        Returns:
            `BaseModelOutput` whose `last_hidden_state` is (batch, frames, d_model). The `hidden_states` are raw but
            for the last, which has gone through the encoder's final norm unless the encoder is truncated.

        Raises:
            ValueError: If there are fewer than `least_samples` samples.
        """
        if input_values.shape[1] < self.least_samples:
            raise ValueError(
                f"The audio has {input_values.shape[1]} samples; Whisper's encoder needs {self.least_samples} "
                f"({self.least_samples / SAMPLING_RATE:.4f} s). Leave it out."
            )
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        features, mask = self.log_mel(input_values, attention_mask)
        features = self._mask_input_features(features, mask).to(self.embed_positions.weight.dtype)
        window = 2 * self.config.max_source_positions
        if features.shape[2] <= window:
            states = self._encode(features, mask, output_hidden_states, **kwargs)
        else:
            masks = [None] * len(features.split(window, 2)) if mask is None else mask.split(window, 1)
            windows = [
                self._encode(part, part_mask, output_hidden_states, **kwargs)
                for part, part_mask in zip(features.split(window, 2), masks, strict=True)
            ]
            states = [torch.cat(parts, 1) for parts in zip(*windows, strict=True)]
        if self.config.frames_per_state > 1:
            frames = None if mask is None else mask[:, ::2]
            states = [masked_group_means(state, self.config.frames_per_state, frames) for state in states]
        return BaseModelOutput(
            last_hidden_state=states[-1], hidden_states=tuple(states) if output_hidden_states else None
        )

    def _encode(
        self, features: torch.Tensor, mask: torch.Tensor | None, all_states: bool, **kwargs: Any
    ) -> list[torch.Tensor]:
        """Encode at most 30 s to states (batch, frames, d_model): the last, or those before and after each layer."""
        hidden_states = F.gelu(self.conv1(features))
        if mask is not None:
            # Behind a clip's end the second convolution sees zeros, as it does behind the end of a clip alone.
            hidden_states = hidden_states * mask[:, None]
            mask = mask[:, ::2]
        hidden_states = F.gelu(self.conv2(hidden_states)).transpose(1, 2)
        hidden_states = self.dropout(hidden_states + self.embed_positions.weight[: hidden_states.shape[1]])
        keys = None
        if mask is not None:
            # A clip that ended in an earlier window has no frame here: its states are not used, but must be finite.
            keys = create_bidirectional_mask(
                config=self.config, inputs_embeds=hidden_states, attention_mask=mask | ~mask.any(1, keepdim=True)
            )
        states = [hidden_states]
        for layer in self.layers:
            hidden_states = layer(hidden_states, keys, **kwargs)
            states.append(hidden_states)
            if not all_states:
                del states[:-1]
        if self.layer_norm is not None:
            states[-1] = self.layer_norm(states[-1])
        return states


class _WhisperWithoutDecoder(WhisperPreTrainedModel):
    """Finds the encoder in a checkpoint of a `WhisperModel`, or of one with a head."""

    def __init__(self, config: ParaClapWhisperConfig):
        super().__init__(config)
        self.encoder = ParaClapWhisperModel(config)
        self._keys_to_ignore_on_load_unexpected = OTHER_PARTS + ([] if config.final_layer_norm else UPPER_PARTS)
        self.post_init()
