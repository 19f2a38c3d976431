"""The initial model, each tower pretrained or built from a configuration."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import CONFIG_MAPPING, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from modeling_paraclap import (
    ParaClapAudioConfig,
    ParaClapConfig,
    ParaClapFeatureExtractor,
    ParaClapModel,
    ParaClapProcessor,
    ParaClapWhisperConfig,
)
from modeling_paraclap.towers_paraclap import load_encoder

from .arguments import ModelArguments
from .errors import loading

# Arguments that ParaClapConfig has under the same name.
CONFIG_OPTIONS = (
    "projection_dim",
    "num_members",
    "projection_dropout",
    "text_pooling",
    "audio_pooling",
    "audio_pooling_size",
    "audio_pooling_heads",
    "audio_pooling_dropout",
    "audio_channel_dropout",
    "audio_cues",
    "center_audio",
    "hypothesis_template",
)
WHISPER_DEFAULTS = {"frames_per_state": 1, "normalize_level": False}
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0


def build_model(options: ModelArguments, **config_kwargs: Any) -> ParaClapModel:
    """Build a ParaCLAP whose encoders are pretrained (`*_model_name_or_path`) or from a JSON file (`*_config`).

    Args:
        options: Encoders, poolings and projections.
        **config_kwargs: Further arguments of [`ParaClapConfig`], such as `loss_type`.

    Raises:
        ValueError: If an encoder has both sources or none, or an option does not fit it.
    """
    configs, pretrained = {}, {}
    for name in ("audio", "text"):
        path, file = getattr(options, f"{name}_model_name_or_path"), getattr(options, f"{name}_config")
        if (path is None) == (file is None):
            raise ValueError(
                f"The {name} encoder needs one source: --{name}_model_name_or_path for a pretrained one, "
                f"or --{name}_config for one from scratch; got {'both' if path else 'none'}."
            )
        if path:
            with loading(f"{name}_model_name_or_path", path):
                pretrained[name] = load_encoder(path, options.audio_num_layers if name == "audio" else None)
            configs[name] = pretrained[name].config
            if Path(path).is_dir():  # a release must not name a folder of this machine
                configs[name].name_or_path = ""
        else:
            configs[name] = read_encoder_config(file)
    _adapt(configs["audio"], options)
    model = ParaClapModel(
        ParaClapConfig(
            audio_config=configs["audio"],
            text_config=configs["text"],
            audio_layer_weights=_parse_layers(options.audio_layer_weights),
            **{name: getattr(options, name) for name in CONFIG_OPTIONS},
            **config_kwargs,
        )
    )
    for name, encoder in pretrained.items():
        model.load_tower(name, encoder)
    if options.filter_bank and options.audio_config:
        initialise_filter_bank(model.audio_model)
    return model


def _adapt(audio_config: PreTrainedConfig, options: ModelArguments) -> None:
    """Apply the options to an audio encoder's configuration."""
    audio_config.apply_spec_augment = options.spec_augment
    if options.audio_num_layers is not None and options.audio_config:
        raise ValueError("--audio_num_layers is for a pretrained encoder; give num_hidden_layers in --audio_config.")
    for name, default in WHISPER_DEFAULTS.items():
        value = getattr(options, f"audio_{name}")
        if value == default:
            continue
        if audio_config.model_type != ParaClapWhisperConfig.model_type:
            raise ValueError(f"--audio_{name} needs a Whisper encoder; this one is a {audio_config.model_type}.")
        setattr(audio_config, name, value)
    if options.audio_layer_weights is not None or options.freeze_audio_layers is not None:
        # A layer skipped by LayerDrop has no state to weight, and frozen layers should stay deterministic.
        audio_config.layerdrop = 0.0


def _parse_layers(layers: str | None) -> list[int] | bool | None:
    """Parse "all" or comma-separated numbers."""
    if layers is None or layers == "all":
        return layers == "all"
    try:
        return [int(number) for number in layers.split(",")]
    except ValueError as error:
        raise ValueError(
            f"--audio_layer_weights is {layers!r}; expected all, or comma-separated numbers such as 0,1,2,3."
        ) from error


def build_processor(
    tokenizer_name_or_path: str, do_normalize: bool = False, max_tokens: int | None = None
) -> ParaClapProcessor:
    """Build the processor, with the tokenizer limited to the text encoder's maximum number of tokens."""
    with loading("tokenizer_name_or_path", tokenizer_name_or_path):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_name_or_path)
    if max_tokens:
        tokenizer.model_max_length = max_tokens
    return ParaClapProcessor(feature_extractor=ParaClapFeatureExtractor(do_normalize=do_normalize), tokenizer=tokenizer)


def read_encoder_config(file: str | Path) -> PreTrainedConfig:
    """Read the configuration of an encoder from a JSON file with a `model_type`.

    Raises:
        ValueError: If transformers knows no such model type.
    """
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    for own in (ParaClapAudioConfig, ParaClapWhisperConfig):
        if content.get("model_type") == own.model_type:
            return own(**content)
    if content.get("model_type") not in CONFIG_MAPPING:
        raise ValueError(
            f'{file} has model_type {content.get("model_type")!r}; expected an encoder\'s, such as "wav2vec2".'
        )
    return CONFIG_MAPPING[content["model_type"]](**content)


@torch.no_grad()
def initialise_filter_bank(audio_model: PreTrainedModel, sampling_rate: int = 16000, amplitude: float = 3.0) -> None:
    """Make the first convolution a filter bank: windowed cosines and sines at frequencies spaced by the mel scale.

    A few hours of speech are too little to learn such filters from random weights. The filters remain trainable.

    Args:
        audio_model: An encoder of the wav2vec2 family (`feature_extractor.conv_layers`).
        sampling_rate: Rate of the waveform in Hz.
        amplitude: Norm of the filters' weight vectors; waveforms are far smaller than the unit variance that such
            layers expect.

    Raises:
        ValueError: If the encoder has no such convolution.
    """
    if not hasattr(getattr(audio_model, "feature_extractor", None), "conv_layers"):
        raise ValueError(f"A {audio_model.config.model_type} has no waveform convolution: leave out --filter_bank.")
    weight = audio_model.feature_extractor.conv_layers[0].conv.weight
    channels, _, kernel = weight.shape
    pairs = channels // 2
    mels = np.linspace(1127 * math.log(1 + LOWEST_HZ / 700), 1127 * math.log(1 + HIGHEST_HZ / 700), pairs)
    hertz = 700 * (np.exp(mels / 1127) - 1)
    phase = 2 * np.pi * hertz[:, None] * (np.arange(kernel) - kernel / 2) / sampling_rate
    filters = np.concatenate([np.cos(phase), np.sin(phase)]) * np.hanning(kernel)
    # The spectrum of speech falls with frequency: boost high bands so that the channels have comparable power.
    filters *= np.sqrt(1 + np.tile(hertz, 2) / 500)[:, None]
    filters *= amplitude / np.sqrt(np.square(filters[:pairs]).sum(1).mean())
    weight[: 2 * pairs] = torch.tensor(filters[:, None], dtype=weight.dtype)
