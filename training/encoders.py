"""The model that a run starts from: each tower pretrained or from a configuration."""

import json
from pathlib import Path

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoTokenizer

from modeling_paraclap import (
    ParaClapAudioConfig,
    ParaClapConfig,
    ParaClapFeatureExtractor,
    ParaClapModel,
    ParaClapProcessor,
)


def build_model(
    audio_model_name_or_path=None,
    audio_config=None,
    text_model_name_or_path=None,
    text_config=None,
    spec_augment=False,
    **config_kwargs,
):
    """A ParaCLAP whose towers are pretrained (`*_model_name_or_path`) or from a JSON file (`*_config`).

    Args:
        audio_model_name_or_path: Hub id or folder of a pretrained audio encoder.
        audio_config: JSON file with a `model_type`, for an audio encoder from scratch.
        text_model_name_or_path: Hub id or folder of a pretrained text encoder.
        text_config: JSON file with a `model_type`, for a text encoder from scratch.
        spec_augment: Whether the audio encoder masks spans of time and channels in training.
        **config_kwargs: Further arguments of [`ParaClapConfig`].

    Raises:
        ValueError: If a tower has both sources or none.
    """
    towers = {}
    for name, path, file in (
        ("audio", audio_model_name_or_path, audio_config),
        ("text", text_model_name_or_path, text_config),
    ):
        if (path is None) == (file is None):
            raise ValueError(
                f"The {name} encoder needs one source: --{name}_model_name_or_path for a pretrained one, "
                f"or --{name}_config for one from scratch; got {'both' if path else 'none'}."
            )
        towers[name] = AutoConfig.from_pretrained(path) if path else read_config(file)
    towers["audio"].apply_spec_augment = spec_augment
    model = ParaClapModel(ParaClapConfig(audio_config=towers["audio"], text_config=towers["text"], **config_kwargs))
    if audio_model_name_or_path:
        model.load_tower("audio", AutoModel.from_pretrained(audio_model_name_or_path, dtype=torch.float32))
    if text_model_name_or_path:
        model.load_tower("text", AutoModel.from_pretrained(text_model_name_or_path, dtype=torch.float32))
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
    if content.get("model_type") == ParaClapAudioConfig.model_type:
        return ParaClapAudioConfig(**content)
    if content.get("model_type") not in CONFIG_MAPPING:
        raise ValueError(
            f'{file} has model_type {content.get("model_type")!r}; give an encoder\'s, such as "wav2vec2".'
        )
    return CONFIG_MAPPING[content["model_type"]](**content)
