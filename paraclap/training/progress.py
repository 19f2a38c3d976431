"""The progress line, what is logged every few steps, and the time that training takes."""

import time

from tqdm import tqdm

from .records import write_row
from .stop import check_finite


class Progress:
    """One line with loss, UAR, samples/s and the time that is left; the same figures to steps.csv and the tracker.

    Args:
        accelerator: The run's, with its trackers.
        model: The `ParaClapModel`.
        run: Folder of the run.
        state: Dict with `step` and `best_uar`, read each time, and the `seconds` that training took before; None where
            nobody counted them.
        steps: Steps of the whole run.
        samples: Utterances a step, of all processes.
    """

    def __init__(self, accelerator, model, run, state, steps, samples):
        self.accelerator, self.model, self.run, self.state, self.samples = accelerator, model, run, state, samples
        self.bar = tqdm(total=steps, initial=state["step"], desc="training", disable=not accelerator.is_main_process)
        self.last = (state["step"], time.monotonic())
        self.started = None if state["seconds"] is None else time.monotonic() - state["seconds"]

    def count_seconds(self):
        """Brings `seconds` in the state up to now, resumes summed; what a kill undid is not in it."""
        if self.started is not None:
            self.state["seconds"] = time.monotonic() - self.started

    def log(self, loss, scheduler):
        """Logs the step that was just made; a loss that is NaN or infinite ends the run."""
        check_finite(loss, None, self.state)
        step, now = self.state["step"], time.monotonic()
        rate = (step - self.last[0]) * self.samples / max(now - self.last[1], 1e-9)
        self.last = (step, now)
        loss, scale = loss.item(), self.model.logit_scale.item()
        figures = {"loss": f"{loss:.3f}", "samples/s": f"{rate:.1f}"}
        if self.state["best_uar"] >= 0:
            figures["uar"] = f"{self.state['best_uar']:.3f}"
        self.bar.set_postfix(figures, refresh=False)
        rates = {f"learning_rate/{i}": rate for i, rate in enumerate(scheduler.get_last_lr())}
        self.accelerator.log({"loss": loss, "logit_scale": scale, "samples_per_second": rate, **rates}, step=step)
        if self.accelerator.is_main_process:
            write_row(self.run / "steps.csv", {"step": step, "loss": loss, "logit_scale": scale})
