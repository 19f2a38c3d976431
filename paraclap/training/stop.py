"""Early ends of a run: signals, a full disk, a dead worker, a NaN loss."""

import errno
import signal
import threading

import torch
from accelerate import Accelerator

# Exit statuses of shells, so that a job script can tell an interrupted run from a finished one.
TERMINATED, INTERRUPTED = 128 + signal.SIGTERM, 128 + signal.SIGINT
SIGNALS = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors and torch.save report failed writes with exceptions other than OSError.
DISK_MESSAGES = ("no space left", "file too large", "quota exceeded", "file write failed", "unexpected pos")


class Stopped(Exception):
    """The run was stopped on request, after saving a checkpoint.

    Args:
        message: Reason and step.
        status: Exit status for the program.
    """

    def __init__(self, message: str, status: int = TERMINATED):
        super().__init__(message)
        self.status = status


class StopRequest:
    """Context manager that turns signals into requests to stop after the current step.

    Schedulers such as Slurm announce the end of a job with SIGTERM; Ctrl-C sends SIGINT. A second Ctrl-C interrupts at
    once.

    Args:
        every: Steps between synchronisations of the request over processes, each of which waits for the device.
    """

    def __init__(self, every: int = 1):
        self.every, self.reason, self.status = every, None, TERMINATED

    def __enter__(self) -> "StopRequest":
        self.previous = {}
        if threading.current_thread() is threading.main_thread():  # only the main thread can handle signals
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
        """Request a stop, for a reason that the message gives."""
        self.reason = self.reason or reason

    def agreed(self, accelerator: Accelerator, step: int = 0) -> bool:
        """Return whether a stop was requested in any process, with the same answer in all of them."""
        if accelerator.num_processes == 1:
            return self.reason is not None
        if step % self.every:
            return False
        asked = accelerator.reduce(torch.tensor(float(self.reason is not None), device=accelerator.device)).item() > 0
        if asked:
            self.ask("a signal to another process")
        return asked


def leave_signals_to_the_trainer(worker: int) -> None:
    """Make a worker process ignore stop signals, as the trainer needs it until the checkpoint is saved."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def check_finite(loss: torch.Tensor | None, model: torch.nn.Module | None, step: int) -> None:
    """Check that loss and weights are finite before they are saved.

    Args:
        loss: Loss of the last step.
        model: Model after that step; None skips the weights.
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
    """Return a message for an error with a known cause and remedy; None for others."""
    message = str(error)
    if isinstance(error, FloatingPointError):
        return message
    if getattr(error, "errno", None) in DISK_ERRORS or any(part in message.lower() for part in DISK_MESSAGES):
        return f"The run's folder cannot be written: {message.splitlines()[0]}. Free some space."
    if isinstance(error, torch.OutOfMemoryError):
        return "The device is out of memory. Lower --micro_batch_size: the gradients stay the same."
    # A worker that dies while it passes on a batch appears as a broken connection.
    if "DataLoader worker" in message or isinstance(error, (ConnectionError, EOFError)):
        reason = (message or repr(error)).splitlines()[0]
        return (
            f"A data loader worker died: {reason} The usual cause is too little memory: "
            "lower --num_workers, or leave out --keep_decoded, for which each worker has its own cache."
        )
    return None
