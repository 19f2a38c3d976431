"""What an audio encoder makes of utterances, before anything of the shared space."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutput


@dataclass
class HeardAudio:
    """States, mask and cues of a batch of utterances.

    Args:
        outputs: The audio encoder's.
        mask: (batch, frames), true where a frame is no padding; None where nothing is.
        cues: (batch, cues), if the model has cues beside its encoder.
    """

    outputs: BaseModelOutput
    mask: torch.Tensor | None
    cues: torch.Tensor | None

    @classmethod
    def from_states(
        cls, config: Any, states: torch.Tensor, mask: torch.Tensor | None, cues: torch.Tensor | None
    ) -> "HeardAudio":
        """Return what was heard before, from what was kept of it.

        Args:
            config: The model's [`ParaClapConfig`].
            states: (batch, layers, frames, dim), of the layers that `config.audio_layer_weights` names, or of the last
                alone.
            mask: (batch, frames), 1 for frames, 0 for padding and for what is to be left out.
            cues: (batch, cues), if the model has cues.
        """
        last = config.audio_config.num_hidden_layers
        kept = dict(zip(config.audio_layer_weights or [last], states.unbind(1), strict=True))
        # Layers that are not weighed are not looked at.
        hidden_states = tuple(kept.get(layer, kept[last]) for layer in range(last + 1))
        return cls(BaseModelOutput(last_hidden_state=kept[last], hidden_states=hidden_states), mask, cues)

    @property
    def states(self) -> tuple[torch.Tensor, ...]:
        """The states before the first layer and after each, if the encoder was asked for them; else the last alone."""
        last = self.outputs.last_hidden_state
        # What an encoder does behind its last layer, such as a norm, belongs to that layer's state.
        return (last,) if self.outputs.hidden_states is None else (*self.outputs.hidden_states[:-1], last)
