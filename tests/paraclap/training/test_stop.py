"""A run that ends early ends with the reason, and with the way on."""

import os
import re
import signal

import pytest
import torch
from helpers.training_runs import run_in_process

from paraclap.training import launch, train
from paraclap.training.stop import (
    INTERRUPTED,
    TERMINATED,
    StopRequest,
    check_finite,
    explain_failure,
    leave_signals_to_the_trainer,
)


def test_weights_that_are_no_numbers_are_never_saved():
    model = torch.nn.Linear(2, 2)
    check_finite(torch.tensor(1.0), model, 1)
    with pytest.raises(FloatingPointError, match="The loss is inf at step 3.*--max_grad_norm 1"):
        check_finite(torch.tensor(float("inf")), model, 3)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="A weight is NaN or infinite at step 4"):
        check_finite(torch.tensor(1.0), model, 4)


def test_signals_ask_to_stop_and_a_second_interrupt_is_at_once():
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopRequest() as request:
        assert request.reason is None
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert (request.reason, request.status) == ("SIGTERM", INTERRUPTED)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert (TERMINATED, INTERRUPTED) == (143, 130)


class Dying(torch.utils.data.Dataset):
    """Its third item kills the process."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)


def lose_a_worker():
    try:
        list(torch.utils.data.DataLoader(Dying(), num_workers=1))
    except (RuntimeError, ConnectionError, EOFError) as error:
        print(explain_failure(error), flush=True)
    os._exit(0)  # torch complains of the worker again while the loader is taken down


def test_a_dead_worker_is_explained():
    output = run_in_process(lose_a_worker).output
    assert re.search("A data loader worker died.*lower --num_workers", output), output


def crash_with_workers(kind, folder):
    def crash(args, accelerator):
        loader = torch.utils.data.DataLoader(
            range(64), num_workers=1, persistent_workers=True, worker_init_fn=leave_signals_to_the_trainer
        )
        for _ in accelerator.prepare(loader):
            raise kind("unforeseen")

    launch.train = crash
    train.main(["--corpus_dir", "c", "--output_dir", folder, "--report_to", "none"])


def test_what_nobody_catches_ends_the_program_and_its_workers(tmp_path):
    finished = run_in_process(crash_with_workers, ValueError, str(tmp_path))
    assert finished.code == 1
    assert finished.output.strip().endswith("ValueError: unforeseen")
    finished = run_in_process(crash_with_workers, KeyboardInterrupt, str(tmp_path))
    assert finished.code == INTERRUPTED
    assert finished.output.strip().endswith("Interrupted. There is no checkpoint yet.")


def test_what_nobody_expects_is_not_explained_away():
    assert explain_failure(RuntimeError("shapes do not match")) is None
    assert explain_failure(FileNotFoundError(2, "No such file")) is None
    assert "--micro_batch_size" in explain_failure(torch.OutOfMemoryError("CUDA out of memory"))


def test_the_program_ends_with_the_reason_and_the_way_on(tmp_path, monkeypatch):
    def fail(args, accelerator):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(launch, "train", fail)
    words = ["--corpus_dir", "c", "--output_dir", str(tmp_path), "--report_to", "none"]
    with pytest.raises(SystemExit, match="No space left on device. Free some space. There is no checkpoint yet"):
        train.main(words)
    (tmp_path / "checkpoints" / "step-00000007").mkdir(parents=True)
    with pytest.raises(SystemExit, match="step-00000007 is complete: resume with --resume"):
        train.main(words)
