"""An exponential moving average of the weights, which is what a run with `--ema_decay` validates and releases."""

import contextlib
from collections.abc import Iterator

import torch


class AveragedWeights:
    """Follows the weights that learn; the others are their own average.

    Args:
        model: The model, on its device and with its frozen parts frozen.
        decay: Share of the old average that one step keeps, below 1; 0 keeps no average.
    """

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay = decay
        learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad and decay]
        self.names, self.parameters = [name for name, _ in learning], [p for _, p in learning]
        self.averages = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps.

        Early averages are short, or they would be made of the random start for the first 1 / (1 - decay) steps.
        """
        if self.averages:
            torch._foreach_lerp_(self.averages, self.parameters, 1 - min(self.decay, (1 + step) / (10 + step)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights inside, and those that learn again after."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # In place: optimizer, DDP and compiled code go on with the tensors that they know.
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return name to averaged weight."""
        return dict(zip(self.names, self.averages, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take what [`state_dict`] gave.

        Raises:
            ValueError: If these are averages of other weights than those that learn here.
        """
        if state.keys() != set(self.names):
            different = sorted(state.keys() ^ set(self.names))
            raise ValueError(f"The checkpoint averages other weights than those that learn here: {different[:3]} ...")
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(state[name])
