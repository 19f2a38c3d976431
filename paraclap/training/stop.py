"""The ways in which a run ends early: a signal, a full disk, a dead worker, a loss that is no number."""

import errno
import signal
import threading

import torch
from accelerate import Accelerator

# Exit statuses as shells give them: a job script must not take an interrupted run for a finished one.
TERMINATED, INTERRUPTED = 128 + signal.SIGTERM, 128 + signal.SIGINT
SIGNALS = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors and torch.save report a failed write by other exceptions than OSError.
DISK_MESSAGES = ("no space left", "file too large", "quota exceeded", "file write failed", "unexpected pos")


class Stopped(Exception):
    """A run that was asked to stop has saved itself.

    Args:
        message: By what and at which step.
        status: Exit status for the program.
    """

    def __init__(self, message: str, status: int = TERMINATED):
        super().__init__(message)
        self.status = status


class StopRequest:
    """Takes signals as requests to stop after the current step, while it is entered.

    SIGTERM is how Slurm and others announce the end of a job, SIGINT is Ctrl-C. A second Ctrl-C interrupts at once.

    Args:
        every: Steps between two times that several processes agree on it; agreeing waits for the device.
    """

    def __init__(self, every: int = 1):
        self.every, self.reason, self.status = every, None, TERMINATED

    def __enter__(self) -> "StopRequest":
        self.previous = {}
        if threading.current_thread() is threading.main_thread():  # no other can take signals
            self.previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and self.status == INTERRUPTED:
            raise KeyboardInterrupt
        self.ask(SIGNALS[number])
        if number == signal.SIGINT:
            self.status = INTERRUPTED

    def ask(self, reason: str) -> None:
        """Ask to stop; the reason goes into the message."""
        self.reason = self.reason or reason

    def agreed(self, accelerator: Accelerator, step: int = 0) -> bool:
        """Return whether all processes are to stop after this step, since one of them was asked to."""
        if accelerator.num_processes == 1:
            return self.reason is not None
        if step % self.every:
            return False
        asked = accelerator.reduce(torch.tensor(float(self.reason is not None), device=accelerator.device)).item() > 0
        if asked:
            self.ask("a signal to another process")
        return asked


def leave_signals_to_the_trainer(worker: int) -> None:
    """Let a worker process ignore the signals that all processes get: the trainer needs it until it has saved."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def check_finite(loss: torch.Tensor | None, model: torch.nn.Module | None, step: int) -> None:
    """Refuse a loss or weights that are NaN or infinite, so that they are never saved.

    Args:
        loss: Loss of the last step.
        model: Model after that step; None leaves the weights unchecked.
        step: Number of that step.

    Raises:
        FloatingPointError: If one of them is NaN or infinite.
    """
    wrong = None
    if loss is not None and not torch.isfinite(loss):
        wrong = f"The loss is {loss.item()}"
    elif model is not None and not torch.stack([p.detach().isfinite().all() for p in model.parameters()]).all():
        wrong = "A weight is NaN or infinite"
    if wrong:
        raise FloatingPointError(
            f"{wrong} at step {step}. Clip the gradients (--max_grad_norm 1), or start another run with a lower "
            "learning rate."
        )


def explain_failure(error: Exception) -> str | None:
    """Return a sentence for the user about an error that ends a run; None for one that is a fault of the program."""
    message = str(error)
    if isinstance(error, FloatingPointError):
        return message
    if getattr(error, "errno", None) in DISK_ERRORS or any(part in message.lower() for part in DISK_MESSAGES):
        return f"The run's folder cannot be written: {message.splitlines()[0]}. Free some space."
    if isinstance(error, torch.OutOfMemoryError):
        return "The device is out of memory. A smaller --micro_batch_size needs less and gives the same gradients."
    # A worker that dies while it hands over a batch shows as a broken connection.
    if "DataLoader worker" in message or isinstance(error, (ConnectionError, EOFError)):
        reason = (message or repr(error)).splitlines()[0]
        return (
            f"A process that decodes audio died: {reason} The usual reason is too little memory: "
            "lower --num_workers, or leave out --keep_decoded, of which each worker has its own."
        )
    return None
