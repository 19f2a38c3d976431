"""From an encoder's pooled states to the shared space."""

import torch
from torch import nn
from torch.nn import functional as F


class ParaClapProjection(nn.Module):
    """From an encoder's state to the shared space: `LayerNorm(e + dropout(W2 gelu(e)))` with `e = W1 x`."""

    def __init__(self, hidden_size: int, projection_dim: int, dropout: float):
        super().__init__()
        self.linear1 = nn.Linear(hidden_size, projection_dim, bias=False)
        self.linear2 = nn.Linear(projection_dim, projection_dim, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.layer_norm = nn.LayerNorm(projection_dim)

    def forward(self, hidden_states: torch.Tensor, cues: torch.Tensor | None = None) -> torch.Tensor:
        """Project (batch, hidden_size) to (batch, projection_dim), and add cues that are in that space already."""
        embeds = self.linear1(hidden_states)
        if cues is not None:
            embeds = embeds + cues
        return self.layer_norm(embeds + self.dropout(self.linear2(F.gelu(embeds))))
