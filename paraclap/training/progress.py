"""The progress line, logging, and the duration of training."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from tqdm import tqdm

from modeling_paraclap.modeling_paraclap import ParaClapModel

from .records import write_row
from .state import RunState
from .stop import check_finite

COLUMNS = 80
LINE = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Progress line with loss, UAR, samples/s and remaining time, which are also logged to steps.csv and the tracker.

    Args:
        accelerator: The run's accelerator, with its trackers.
        model: The model.
        folder: Folder of the run.
        steps: Number of steps of the run.
        samples: Utterances per step, over all processes.
    """

    def __init__(self, accelerator: Accelerator, model: ParaClapModel, folder: Path, steps: int, samples: int):
        self.accelerator, self.model, self.folder = accelerator, model, folder
        self.steps, self.samples = steps, samples

    @contextmanager
    def shown(self, state: RunState) -> Iterator[None]:
        """Show the line and measure the time within the context, starting from a state that is read at each step."""
        self.state = state
        self.last = (state.step, time.monotonic())
        self.started = time.monotonic() - state.seconds
        self.bar = tqdm(
            total=self.steps,
            initial=state.step,
            bar_format=LINE,
            ncols=min(COLUMNS, shutil.get_terminal_size().columns),
            disable=not self.accelerator.is_main_process,
        )
        with self.bar:
            yield

    def update(self) -> None:
        """Count one step."""
        self.bar.update()

    def count_seconds(self) -> None:
        """Update `seconds` of the state, summed over resumes and without steps lost to a kill."""
        self.state.seconds = time.monotonic() - self.started

    def log(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Log the last step.

        Raises:
            FloatingPointError: If the loss is NaN or infinite.
        """
        check_finite(loss, None, self.state.step)
        step, now = self.state.step, time.monotonic()
        rate = (step - self.last[0]) * self.samples / max(now - self.last[1], 1e-9)
        self.last = (step, now)
        loss, scale = loss.item(), self.model.logit_scale.item()
        uar = f", UAR {self.state.best_uar:.3f}" if self.state.best_uar >= 0 else ""
        self.bar.set_postfix_str(f"loss {loss:.3f}, {rate:.1f} samples/s{uar}", refresh=False)
        rates = {f"learning_rate/{group['name']}": group["lr"] for group in optimizer.param_groups}
        self.accelerator.log({"loss": loss, "logit_scale": scale, "samples_per_second": rate, **rates}, step=step)
        if self.accelerator.is_main_process:
            write_row(self.folder / "steps.csv", {"step": step, "loss": loss, "logit_scale": scale})
