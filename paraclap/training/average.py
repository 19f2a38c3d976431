"""Exponential moving average (EMA) of the weights, which a run with `--ema_decay` validates and releases."""

import contextlib
from collections.abc import Iterator

import torch


class AveragedWeights:
    """Exponential moving average of the trainable weights.

    Args:
        model: The model, on its device and with its frozen parts frozen.
        decay: Fraction of the average kept at each step, in [0, 1); 0 disables averaging.
    """

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay = decay
        learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad and decay]
        self.names, self.parameters = [name for name, _ in learning], [p for _, p in learning]
        self.averages = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the weights after `step` steps.

        The decay is smaller in the first steps, whose average the random initialisation would otherwise dominate for
        1 / (1 - decay) steps.
        """
        if self.averages:
            torch._foreach_lerp_(self.averages, self.parameters, 1 - min(self.decay, (1 + step) / (10 + step)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averaged weights within the context, and restore the trained ones after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # In place, as optimizer, DDP and compiled code keep references to the tensors.
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the averaged weights by name."""
        return dict(zip(self.names, self.averages, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Load the averages that [`state_dict`] returned.

        Raises:
            ValueError: If the averages are of other weights than the trainable ones.
        """
        if state.keys() != set(self.names):
            different = sorted(state.keys() ^ set(self.names))
            raise ValueError(f"The checkpoint averages other weights than the trainable ones: {different[:3]} ...")
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(state[name])
