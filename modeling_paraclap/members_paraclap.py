"""Members: several sets of what is trained between the encoders and the shared space, an ensemble as one model.

Every member has its own initialisation, pools the states of the one audio encoder in its own way, and learns from a
loss of its own. The embeddings of all members, each of unit length, stand side by side, divided by the root of their
number: the cosine of an utterance and a query is then the mean of the members' cosines.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedConfig

from .cues_paraclap import ParaClapCues
from .heard_paraclap import HeardAudio
from .pooling_paraclap import ParaClapAudioPooling
from .projection_paraclap import ParaClapProjection

CENTER_RATE = 0.01  # of the running mean, which follows about the last hundred batches


class ParaClapMember(nn.Module):
    """A member beside the first, whose parts are the model's own and so lie where those of a single one do.

    Args:
        config: A [`ParaClapConfig`].
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        add_parts(self, config, measures=False)


def add_parts(module: nn.Module, config: PreTrainedConfig, measures: bool) -> None:
    """Give a module what makes it a member: pooling, cues, both projections, and the centre of its embeddings.

    Args:
        module: The model, which is its own first member, or a [`ParaClapMember`].
        config: A [`ParaClapConfig`].
        measures: Whether its cues can be measured in a waveform; those of one member are measured for all.
    """
    size, dropout = config.projection_dim, config.projection_dropout
    module.audio_pooling = ParaClapAudioPooling(config)
    module.cues = ParaClapCues(size, measures) if config.audio_cues else None
    module.audio_projection = ParaClapProjection(module.audio_pooling.output_size, size, dropout)
    module.text_projection = ParaClapProjection(config.text_config.hidden_size, size, dropout)
    module.register_buffer("audio_center", torch.zeros(size) if config.center_audio else None)


def embed_heard(member: nn.Module, heard: HeardAudio, moving: bool) -> torch.Tensor:
    """Return a member's embeddings (batch, projection_dim) of utterances, not normalised.

    Args:
        member: The model or a [`ParaClapMember`].
        heard: Output of the audio encoder for them.
        moving: Whether running statistics take this batch in.
    """
    pooling = member.audio_pooling
    if member.training and pooling.input is not None:
        pooling.norm.train(moving and pooling.input.weight.requires_grad)
    cues = None if member.cues is None else member.cues(heard.cues)
    embeds = member.audio_projection(pooling(heard.outputs, heard.mask), cues)
    if member.audio_center is None:
        return embeds
    if moving:
        with torch.no_grad():
            member.audio_center.lerp_(embeds.mean(0).to(member.audio_center.dtype), CENTER_RATE)
    return embeds - member.audio_center  # what all utterances have in common


def join_members(embeds: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the embeddings (batch, members * dim) of members' (batch, dim): of unit length, but for a single one's."""
    if len(embeds) == 1:
        return embeds[0]
    return torch.cat([F.normalize(of_one, dim=-1) for of_one in embeds], -1) / math.sqrt(len(embeds))


def split_members(embeds: torch.Tensor, number: int) -> Iterator[torch.Tensor]:
    """Yield each member's (batch, dim) of unit length from what [`join_members`] gave, normalised."""
    for of_one in embeds.chunk(number, -1):
        yield of_one if number == 1 else of_one * math.sqrt(number)
