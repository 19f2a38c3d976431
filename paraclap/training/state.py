"""Where a run stands."""

from dataclasses import dataclass


@dataclass
class RunState:
    """Where a run stands, which is what a resumed one goes on from.

    Attributes:
        step: Steps made.
        epoch: Epochs completed, which is the number of the current one.
        batch: Batches of the current epoch that are done.
        best_uar: Validation UAR of the best epoch; -1 before the first validation.
        best_epoch: Number of that epoch, counted from 1.
        seconds: Time that training took, resumes summed; None if it was not counted from the start.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_uar: float = -1.0
    best_epoch: int | None = None
    seconds: float | None = 0.0
