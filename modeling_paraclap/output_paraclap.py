"""What a ParaCLAP returns."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput


@dataclass
class ParaClapOutput(ModelOutput):
    """Output of [`ParaClapModel`].

    Args:
        loss: Scalar, with `return_loss=True`.
        logits_per_audio: (n_audio, n_text), cosine similarity times exp(logit scale).
        logits_per_text: (n_text, n_audio), its transpose.
        audio_embeds: (n_audio, embedding_dim), of unit length.
        text_embeds: (n_text, embedding_dim), of unit length.
        audio_model_output: Output of the audio tower; `pooler_output` is the embedding before normalisation.
        text_model_output: Output of the text tower, likewise.
    """

    loss: torch.FloatTensor | None = None
    logits_per_audio: torch.FloatTensor | None = None
    logits_per_text: torch.FloatTensor | None = None
    audio_embeds: torch.FloatTensor | None = None
    text_embeds: torch.FloatTensor | None = None
    audio_model_output: BaseModelOutputWithPooling | None = None
    text_model_output: BaseModelOutputWithPooling | None = None

    def to_tuple(self) -> tuple[Any, ...]:
        """Return all fields that are set; the towers' outputs as tuples too."""
        return tuple(v.to_tuple() if isinstance(v, ModelOutput) else v for v in self.values())
