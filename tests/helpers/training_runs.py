"""Small training runs: their arguments, processes that make them, and what they leave.

Importing torch, transformers and datasets takes longer than such a run. So each is a process of its own that is forked
from one that has imported them: it can be killed and signalled as one that was started from the command line.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 600  # a hang, not slowness


def arguments(corpus_dir, text_encoder, output_dir, *more):
    fixed = {
        "corpus_dir": corpus_dir,
        "output_dir": output_dir,
        "audio_config": text_encoder / "audio.json",
        "text_model_name_or_path": text_encoder,
        "text_pooling": "mean",
        "projection_dim": 16,
        "crop_s": 0.7,
        "batch_size": 4,
        "num_train_epochs": 3,
        "encoder_learning_rate": 1e-3,
        "checkpoint_every": 4,
        "log_every": 2,
        "ema_decay": 0.5,
        "mixed_precision": "no",
        "report_to": "none",
    }
    return [word for name, value in fixed.items() for word in (f"--{name}", str(value))] + [str(word) for word in more]


def environment():
    return os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


def final_weights(run):
    """Those that learn and, in the release, their average."""
    checkpoint = sorted((run / "checkpoints").glob("step-????????"))[-1]
    final = load_file(checkpoint / "model.safetensors")
    return final | {f"best/{name}": weight for name, weight in load_file(run / "best" / "model.safetensors").items()}


@dataclass
class Finished:
    """A process that has ended."""

    code: int
    output: str


class Forked:
    """A function that runs in a process of its own, in the repository's root; its output goes to a file."""

    def __init__(self, function, *args, variables=None):
        context = multiprocessing.get_context("forkserver")
        with _environment(environment()):
            context.set_forkserver_preload(["paraclap.training.launch", "helpers.training_runs"])
            forkserver.ensure_running()
        handle, self.log = tempfile.mkstemp()
        os.close(handle)
        self.process = context.Process(target=_call, args=(self.log, variables or {}, function, args))
        self.process.start()

    def finish(self):
        self.process.join(TIMEOUT_S)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"still running after {TIMEOUT_S} s: {self.output()}")
        output = self.output()
        os.unlink(self.log)
        return Finished(self.process.exitcode, output)

    def output(self):
        return Path(self.log).read_text(encoding="utf-8")


def train_in_process(words, signals=None, variables=None):
    """Train as from the command line; returns when the process has ended.

    Args:
        words: The command line.
        signals: Step -> signals that the process gets as soon as it has made the step.
        variables: Of the environment.
    """
    return Forked(_train, words, signals or {}, variables=variables).finish()


def train_in_two_processes(words, signals=None):
    """The same in two processes that average their gradients; the first alone gets the signals."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        Forked(
            _train,
            words,
            {} if rank else signals or {},
            variables=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    return [process.finish() for process in processes]


def run_in_process(function, *args):
    """Call a function of a module in a process of its own."""
    return Forked(function, *args).finish()


def _train(words, signals):
    from paraclap.training import train
    from paraclap.training.progress import Progress

    update = Progress.update

    def signal_itself(progress):
        update(progress)
        if progress.state.step in signals:
            for number in signals[progress.state.step]:
                os.kill(os.getpid(), number)

    Progress.update = signal_itself
    train.main(words)


def _call(log, variables, function, args):
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The server may have been started by another test, with other variables. One thread: what forks once more after
    # OpenMP has started threads would wait for them for ever.
    os.environ.update(environment() | variables)
    import torch

    torch.set_num_threads(1)
    os.chdir(ROOT)
    function(*args)


@contextlib.contextmanager
def _environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
