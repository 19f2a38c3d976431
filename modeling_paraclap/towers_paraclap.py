"""What ParaCLAP has to know of an encoder, whichever it is: how it is made, loaded, and how little audio it takes."""

import inspect
from os import PathLike
from typing import Any

import torch
from torch import nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel, WhisperConfig

from .audio_tower_paraclap import ParaClapAudioModel
from .configuration_paraclap import ParaClapAudioConfig, ParaClapWhisperConfig
from .whisper_tower_paraclap import ParaClapWhisperModel

MASK_EMBEDDING = "masked_spec_embed"
# By name: transformers may import the configuration's file of a release folder twice, to two classes.
OWN_TOWERS = {
    ParaClapAudioConfig.model_type: ParaClapAudioModel,
    ParaClapWhisperConfig.model_type: ParaClapWhisperModel,
}


def build_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """Make an encoder with random weights and without the parameters that ParaCLAP never uses.

    The class is constructed with the configuration object itself: `AutoModel.from_config` would obey a dtype written
    in the sub-configuration and give one model two dtypes. A parameter without a gradient stops DDP, so BERT's pooler
    and the mask embedding of a wav2vec2-like encoder without SpecAugment are left out.
    """
    tower_class = OWN_TOWERS.get(config.model_type) or MODEL_MAPPING[type(config)]
    if isinstance(tower_class, tuple):
        tower_class = tower_class[0]
    has_pooler = "add_pooling_layer" in inspect.signature(tower_class.__init__).parameters
    tower = tower_class(config, add_pooling_layer=False) if has_pooler else tower_class(config)
    if hasattr(tower, MASK_EMBEDDING) and not uses_mask_embedding(config):
        delattr(tower, MASK_EMBEDDING)
    return tower


def uses_mask_embedding(audio_config: PreTrainedConfig) -> bool:
    """Return whether SpecAugment over time, which writes the mask embedding, is on."""
    return getattr(audio_config, "apply_spec_augment", True) and audio_config.mask_time_prob > 0


def load_encoder(source: str | PathLike, num_layers: int | None = None) -> PreTrainedModel:
    """Load a pretrained encoder in float32; of a Whisper, its encoder as [`ParaClapWhisperModel`].

    Args:
        source: Hub id or folder.
        num_layers: Keep only the first so many layers; None for all.

    Raises:
        ValueError: If the encoder has fewer layers.
    """
    config = AutoConfig.from_pretrained(source)
    if config.model_type in (WhisperConfig.model_type, ParaClapWhisperConfig.model_type):
        return ParaClapWhisperModel.from_whisper_pretrained(source, num_layers)
    if num_layers is not None:
        if not 0 < num_layers <= config.num_hidden_layers:
            raise ValueError(f"num_layers is {num_layers}; this encoder has {config.num_hidden_layers} layers.")
        config.num_hidden_layers = num_layers
    return AutoModel.from_pretrained(source, config=config, dtype=torch.float32)


def least_samples(tower: nn.Module) -> int:
    """Return the smallest number of samples that an audio encoder makes a frame of: its receptive field."""
    own: Any = getattr(tower, "least_samples", None)
    if own is not None:
        return own
    config = tower.config
    samples = getattr(config, "squeeze_factor", 1)  # SEW averages so many frames to one
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def input_dtype(tower: nn.Module) -> torch.dtype:
    """Return the dtype in which an audio encoder takes waveforms: its weights', unless it says otherwise."""
    return getattr(tower, "input_dtype", tower.dtype)
