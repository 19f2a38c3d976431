"""States of a frozen text encoder, cached because the same queries recur in many batches."""

import copy
import functools
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from modeling_paraclap.modeling_paraclap import ParaClapModel

LARGEST = 200_000  # cached texts, 300 MB at 384 numbers each
# Texts are encoded in batches of this many, padded to a multiple of this many tokens: the last bits of a state depend
# on the shape of its batch, and a resumed run, whose cache starts empty, must get the same.
PART, TOKENS = 16, 16


class FrozenTextStates:
    """Cached pooled states of a frozen text tower.

    Args:
        model: A model whose text tower is frozen and in evaluation mode.
        noise: Standard deviation of the noise added to a state at each call, relative to the state's own. A few dozen
            queries do not constrain the projection between them; with noise, texts near a query, such as its synonyms,
            are projected near it.
    """

    def __init__(self, model: ParaClapModel, noise: float = 0.0):
        self.model, self.noise, self.states = model, noise, {}

    @functools.cached_property
    def tower(self) -> nn.Module:
        """Return the text tower; under autocast a copy with the weights of its linear layers in that dtype.

        Autocast caches only trainable weights, and would convert these at every call.
        """
        tower, device = self.model.text_model, self.model.device.type
        if torch.is_autocast_enabled(device):
            tower = copy.deepcopy(tower)
            for layer in tower.modules():
                if isinstance(layer, nn.Linear):
                    layer.to(torch.get_autocast_dtype(device))
        return tower

    @torch.no_grad()
    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the (texts, hidden size) states of (texts, tokens) and its mask."""
        texts = [
            tuple(row[mask == 1].tolist()) for row, mask in zip(input_ids.cpu(), attention_mask.cpu(), strict=True)
        ]
        new = {text: row for row, text in enumerate(texts) if text not in self.states}
        if new:
            if len(self.states) + len(new) > LARGEST:
                self.states.clear()
                new = {text: row for row, text in enumerate(texts)}
            self._encode(sorted(new, key=len), new, input_ids, attention_mask)
        states = torch.stack([self.states[text] for text in texts])
        if self.noise:
            states = states + self.noise * states.std(-1, keepdim=True) * torch.randn_like(states)
        return states

    def _encode(
        self,
        texts: list[tuple[int, ...]],
        rows: dict[tuple[int, ...], int],
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> None:
        """Cache the states of texts, sorted by length, given by their rows in the batch."""
        for _, group in itertools.groupby(texts, key=lambda text: -(-len(text) // TOKENS)):
            same = list(group)
            for start in range(0, len(same), PART):
                part = same[start : start + PART]
                where = [rows[text] for text in part]
                tokens, mask = self._padded(input_ids[where], attention_mask[where])
                hidden = self.tower(tokens, attention_mask=mask).last_hidden_state
                states = self.model.pool_text(hidden, mask)[: len(part)].float()
                self.states.update(zip(part, states, strict=True))

    def _padded(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and mask of `PART` texts, the first repeated, and a multiple of `TOKENS` tokens."""
        used = attention_mask.any(0)  # columns that are not all padding
        tokens, mask = input_ids[:, used], attention_mask[:, used]
        config, length = self.model.text_model.config, tokens.shape[1]
        most = getattr(config, "max_position_embeddings", None) or length + TOKENS
        width = max(0, min(-length % TOKENS, most - length))
        tokens, mask = F.pad(tokens, (0, width), value=config.pad_token_id or 0), F.pad(mask, (0, width))
        order = [*range(len(tokens)), *[0] * (PART - len(tokens))]
        return tokens[order], mask[order]
