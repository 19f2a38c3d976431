"""The model that a run starts from: each tower pretrained or from a configuration."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from transformers import CONFIG_MAPPING, AutoTokenizer

from modeling_paraclap import (
    ParaClapAudioConfig,
    ParaClapConfig,
    ParaClapFeatureExtractor,
    ParaClapModel,
    ParaClapProcessor,
    ParaClapWhisperConfig,
)
from modeling_paraclap.towers_paraclap import load_encoder

LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0


def build_model(
    audio_model_name_or_path=None,
    audio_config=None,
    text_model_name_or_path=None,
    text_config=None,
    filter_bank=False,
    spec_augment=False,
    audio_num_layers=None,
    **config_kwargs,
):
    """A ParaCLAP whose towers are pretrained (`*_model_name_or_path`) or from a JSON file (`*_config`).

    Args:
        audio_model_name_or_path: Hub id or folder of a pretrained audio encoder, or of a Whisper, whose encoder is
            used.
        audio_config: JSON file with a `model_type`, for an audio encoder from scratch.
        text_model_name_or_path: Hub id or folder of a pretrained text encoder.
        text_config: JSON file with a `model_type`, for a text encoder from scratch.
        filter_bank: Whether a waveform encoder from scratch starts from a filter bank ([`initialise_filter_bank`]).
        spec_augment: Whether the audio encoder masks spans of time and channels in training.
        audio_num_layers: Keep only the first so many layers of a pretrained audio encoder; None for all.
        **config_kwargs: Further arguments of [`ParaClapConfig`].

    Raises:
        ValueError: If a tower has both sources or none.
    """
    towers, pretrained = {}, {}
    for name, path, file in (
        ("audio", audio_model_name_or_path, audio_config),
        ("text", text_model_name_or_path, text_config),
    ):
        if (path is None) == (file is None):
            raise ValueError(
                f"The {name} encoder needs one source: --{name}_model_name_or_path for a pretrained one, "
                f"or --{name}_config for one from scratch; got {'both' if path else 'none'}."
            )
        if path:
            pretrained[name] = load_encoder(path, audio_num_layers if name == "audio" else None)
            towers[name] = pretrained[name].config
        else:
            towers[name] = read_config(file)
    towers["audio"].apply_spec_augment = spec_augment
    model = ParaClapModel(ParaClapConfig(audio_config=towers["audio"], text_config=towers["text"], **config_kwargs))
    for name, encoder in pretrained.items():
        model.load_tower(name, encoder)
    if filter_bank and audio_config:
        initialise_filter_bank(model.audio_model)
    return model


def build_processor(tokenizer_name_or_path, do_normalize=False, max_tokens=None):
    """Feature extractor and tokenizer, which knows how many tokens the text encoder takes."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_name_or_path)
    if max_tokens:
        tokenizer.model_max_length = max_tokens
    return ParaClapProcessor(feature_extractor=ParaClapFeatureExtractor(do_normalize=do_normalize), tokenizer=tokenizer)


def read_config(file):
    """The configuration of an encoder from a JSON file with a `model_type`."""
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    for own in (ParaClapAudioConfig, ParaClapWhisperConfig):
        if content.get("model_type") == own.model_type:
            return own(**content)
    if content.get("model_type") not in CONFIG_MAPPING:
        raise ValueError(
            f'{file} has model_type {content.get("model_type")!r}; give an encoder\'s, such as "wav2vec2".'
        )
    return CONFIG_MAPPING[content["model_type"]](**content)


@torch.no_grad()
def initialise_filter_bank(audio_model, sampling_rate=16000, amplitude=3.0):
    """Makes the first convolution a filter bank: windowed cosines and sines at frequencies spaced by the mel scale.

    A few hours of speech are too little to find such filters from noise, and all later layers wait for them. The
    filters go on learning.

    Args:
        audio_model: An encoder of the wav2vec2 family (`feature_extractor.conv_layers`).
        sampling_rate: Rate of the waveform in Hz.
        amplitude: Length of the filters' weight vectors; waveforms are far smaller than the unit variance that such
            layers expect.

    Raises:
        ValueError: If the encoder has no such convolution.
    """
    if not hasattr(audio_model.feature_extractor, "conv_layers"):
        raise ValueError(f"A {audio_model.config.model_type} has no convolution over the waveform: no --filter_bank.")
    weight = audio_model.feature_extractor.conv_layers[0].conv.weight
    channels, _, kernel = weight.shape
    pairs = channels // 2
    mels = np.linspace(1127 * math.log(1 + LOWEST_HZ / 700), 1127 * math.log(1 + HIGHEST_HZ / 700), pairs)
    hertz = 700 * (np.exp(mels / 1127) - 1)
    phase = 2 * np.pi * hertz[:, None] * (np.arange(kernel) - kernel / 2) / sampling_rate
    filters = np.concatenate([np.cos(phase), np.sin(phase)]) * np.hanning(kernel)
    # Speech falls off with frequency: lift the high bands so that the channels have comparable power.
    filters *= np.sqrt(1 + np.tile(hertz, 2) / 500)[:, None]
    filters *= amplitude / np.sqrt(np.square(filters[:pairs]).sum(1).mean())
    weight[: 2 * pairs] = torch.tensor(filters[:, None], dtype=weight.dtype)
