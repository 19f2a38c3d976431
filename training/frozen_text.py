"""States of a frozen text encoder, computed once for each text: the same queries come in batch after batch."""

import torch

LARGEST = 200_000  # texts to keep, 300 MB at 384 numbers each


class FrozenTextStates:
    """Tokens to the pooled states of a text tower that does not learn.

    Args:
        model: A `ParaClapModel` whose text tower is frozen, and so in evaluation mode.
        noise: Length of the noise that is added to a state at each call, in lengths of the state. A few dozen queries
            leave a projection free to put anything between them; with noise, what is near a query lands near it, as
            its synonyms are.
    """

    def __init__(self, model, noise=0.0):
        self.model, self.noise, self.states = model, noise, {}

    @torch.no_grad()
    def __call__(self, input_ids, attention_mask):
        """(texts, tokens) and its mask to (texts, hidden size)."""
        texts = [
            tuple(row[mask == 1].tolist()) for row, mask in zip(input_ids.cpu(), attention_mask.cpu(), strict=True)
        ]
        new = {text: row for row, text in enumerate(texts) if text not in self.states}
        if new:
            if len(self.states) + len(new) > LARGEST:
                self.states.clear()
                new = {text: row for row, text in enumerate(texts)}
            rows = list(new.values())
            tokens, mask = input_ids[rows], attention_mask[rows]
            hidden = self.model.text_model(tokens, attention_mask=mask).last_hidden_state
            self.states.update(zip(new, self.model.pool_text(hidden, mask).float(), strict=True))
        states = torch.stack([self.states[text] for text in texts])
        if self.noise:
            states = states + self.noise * states.std(-1, keepdim=True) * torch.randn_like(states)
        return states
