"""The state of a run."""

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class RunState:
    """The state from which a run can be resumed.

    Attributes:
        step: Completed steps.
        epoch: Completed epochs, and thus the index of the current one.
        batch: Completed batches of the current epoch.
        best_uar: Validation UAR of the best epoch; -1 before the first validation.
        best_epoch: Number of that epoch, counted from 1.
        seconds: Duration of training in s, summed over resumes.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_uar: float = -1.0
    best_epoch: int | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Any, batches: int | None = None) -> "RunState":
        """Return the state from the output of [`to_dict`].

        Args:
            content: Content of a file, which is validated.
            batches: Batches per epoch, to check the numbers for consistency.

        Raises:
            ValueError: If the content is not the state of a run.
        """
        names = set(cls.__dataclass_fields__)
        if not isinstance(content, dict) or set(content) != names:
            raise ValueError(f"the state has other fields than {', '.join(sorted(names))}")
        for name in ("step", "epoch", "batch"):
            if type(content[name]) is not int or content[name] < 0:
                raise ValueError(f"{name} is {content[name]!r}, expected a number from 0 up")
        best_epoch = content["best_epoch"]
        if best_epoch is not None and (type(best_epoch) is not int or not 0 < best_epoch <= content["epoch"] + 1):
            raise ValueError(f"best_epoch is {best_epoch!r}, expected a completed epoch")
        for name, least in (("best_uar", -1), ("seconds", 0)):
            value = content[name]
            if type(value) not in (int, float) or not math.isfinite(value) or value < least:
                raise ValueError(f"{name} is {value!r}, expected a number from {least} up")
        state = cls(**content)
        if batches is not None and state.step != state.epoch * batches + state.batch:
            raise ValueError(
                f"step {state.step} is not batch {state.batch} of epoch {state.epoch} with {batches} batches an epoch"
            )
        return state
