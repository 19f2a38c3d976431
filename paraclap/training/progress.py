"""The progress line, what is logged every few steps, and the time that training takes."""

import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from modeling_paraclap.modeling_paraclap import ParaClapModel

from .records import write_row
from .state import RunState
from .stop import check_finite


class Progress:
    """One line with loss, UAR, samples/s and the time that is left; the same figures to steps.csv and the tracker.

    Args:
        accelerator: The run's, with its trackers.
        model: The `ParaClapModel`.
        folder: Folder of the run.
        steps: Steps of the whole run.
        samples: Utterances a step, of all processes.
    """

    def __init__(self, accelerator: Accelerator, model: ParaClapModel, folder: Path, steps: int, samples: int):
        self.accelerator, self.model, self.folder = accelerator, model, folder
        self.steps, self.samples = steps, samples

    def start(self, state: RunState) -> None:
        """Start the line and the clock at a state, which is read at each step."""
        self.state = state
        disable = not self.accelerator.is_main_process
        self.bar = tqdm(total=self.steps, initial=state.step, desc="training", disable=disable)
        self.last = (state.step, time.monotonic())
        self.started = None if state.seconds is None else time.monotonic() - state.seconds

    def update(self) -> None:
        """Count one step."""
        self.bar.update()

    def close(self) -> None:
        """End the line."""
        self.bar.close()

    def count_seconds(self) -> None:
        """Bring `seconds` of the state up to now, resumes summed; what a kill undid is not in it."""
        if self.started is not None:
            self.state.seconds = time.monotonic() - self.started

    def log(self, loss: torch.Tensor, scheduler: LRScheduler) -> None:
        """Log the step that was just made.

        Raises:
            FloatingPointError: If the loss is NaN or infinite.
        """
        check_finite(loss, None, self.state.step)
        step, now = self.state.step, time.monotonic()
        rate = (step - self.last[0]) * self.samples / max(now - self.last[1], 1e-9)
        self.last = (step, now)
        loss, scale = loss.item(), self.model.logit_scale.item()
        figures = {"loss": f"{loss:.3f}", "samples/s": f"{rate:.1f}"}
        if self.state.best_uar >= 0:
            figures["uar"] = f"{self.state.best_uar:.3f}"
        self.bar.set_postfix(figures, refresh=False)
        rates = {f"learning_rate/{i}": rate for i, rate in enumerate(scheduler.get_last_lr())}
        self.accelerator.log({"loss": loss, "logit_scale": scale, "samples_per_second": rate, **rates}, step=step)
        if self.accelerator.is_main_process:
            write_row(self.folder / "steps.csv", {"step": step, "loss": loss, "logit_scale": scale})
