"""However a run ends, its newest checkpoint is complete, and it says how to go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from paraclap.training import launch, train
from paraclap.training.checkpoint import complete_checkpoints, load_checkpoint, save_checkpoint
from paraclap.training.records import draw_curves, read_rows, write_row
from paraclap.training.stop import TERMINATED, check_finite, explain_failure

ROOT = Path(__file__).parents[3]


def write_checkpoints_for_ever(folder, first):
    """Checkpoint n holds weights and optimizer state of the value n; larger than a pipe's or page's buffer."""
    accelerator, model, _ = prepared(first)
    for step in range(first, 10**8):
        fill(model, step)
        save_checkpoint(accelerator, folder, {"step": step, "epoch": 0, "batch": step}, keep=2)


def prepared(value):
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(300, 300)
    fill(model, value)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=0.0))
    model(torch.ones(1, 300)).sum().backward()
    optimizer.step()
    return accelerator, model, optimizer


def fill(model, value):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def kill_twenty_times(folder):
    """Kills a writing process at random moments; after each, what it left must load. Prints the state it left."""
    rng = np.random.default_rng(0)
    accelerator, model, _ = prepared(0)
    newest, unfinished = 0, 0
    for _ in range(20):
        child = os.fork()
        if child == 0:
            write_checkpoints_for_ever(folder, newest + 1)
        deadline = time.monotonic() + 60
        while not any(int(path.name[5:13]) > newest for path in folder.glob("step-*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        unfinished += any(folder.glob("*.partial"))
        state = load_checkpoint(accelerator, folder)
        if state is not None:
            assert state["step"] >= newest, "an older checkpoint than before"
            newest = state["step"]
            assert all((parameter == newest).all() for parameter in model.parameters())
    print(json.dumps({"newest": newest, "unfinished": unfinished}))


def test_twenty_kills_while_checkpoints_are_written(tmp_path):
    command = [sys.executable, __file__, str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300).stdout
    left = json.loads(output)
    assert left["unfinished"] >= 5, "too few of the kills hit a write to test anything"
    assert left["newest"] >= 1


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    """A limit on the size of files stands for the disk: the write fails in the middle, as on a full one."""
    limited = (
        "import resource, sys, pathlib, torch\n"
        "from tests.paraclap.training.test_never_lost import prepared, save_checkpoint\n"
        "from paraclap.training.stop import explain_failure\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "accelerator, model, _ = prepared(1)\n"
        "save_checkpoint(accelerator, folder, {'step': 1})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    save_checkpoint(accelerator, folder, {'step': 2})\n"
        "except Exception as error:\n"
        "    print(explain_failure(error))\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for size in (100_000, 500_000):  # fails in the weights (360 kB), in the optimizer's state (720 kB)
        folder = tmp_path / str(size)
        command = [sys.executable, "-c", limited, str(folder), str(size)]
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert "The run's folder cannot be written" in result.stdout, result.stdout + result.stderr
        assert [path.name for path in complete_checkpoints(folder)] == ["step-00000001"]
        accelerator, model, _ = prepared(0)
        assert load_checkpoint(accelerator, folder) == {"step": 1}
        assert (model.weight == 1).all()


def test_weights_that_are_no_numbers_are_never_saved():
    model = torch.nn.Linear(2, 2)
    check_finite(torch.tensor(1.0), model, 1)
    with pytest.raises(FloatingPointError, match="The loss is inf at step 3.*--max_grad_norm 1"):
        check_finite(torch.tensor(float("inf")), model, 3)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="A weight is NaN or infinite at step 4"):
        check_finite(torch.tensor(1.0), model, 4)


DEAD_WORKER = """
import os, signal, torch
from paraclap.training.stop import explain_failure

class Dying(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)

loader = torch.utils.data.DataLoader(Dying(), num_workers=1)
try:
    list(loader)
except Exception as error:
    print(explain_failure(error), flush=True)
    os._exit(0)  # torch complains of the worker again while the loader is taken down
"""


def test_a_dead_worker_is_explained():
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DEAD_WORKER]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert re.search("decodes audio died.*lower --num_workers", result.stdout), result.stdout + result.stderr


UNFORESEEN = """
import sys, torch
from paraclap.training import launch, train
from paraclap.training.stop import leave_signals_to_the_trainer

def crash(args, accelerator, request):
    loader = torch.utils.data.DataLoader(
        range(64), num_workers=1, persistent_workers=True, worker_init_fn=leave_signals_to_the_trainer
    )
    for batch in accelerator.prepare(loader):
        raise {"ValueError": ValueError, "KeyboardInterrupt": KeyboardInterrupt}[sys.argv[1]]("unforeseen")

launch.train = crash
train.main(["--corpus_dir", "c", "--output_dir", sys.argv[2], "--report_to", "none"])
"""


@pytest.mark.parametrize("kind", ["ValueError", "KeyboardInterrupt"])
def test_what_nobody_catches_ends_the_program_and_its_workers(kind, tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", UNFORESEEN, kind, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode and result.stderr.strip().endswith(f"{kind}: unforeseen"), result.stderr


def test_what_nobody_expects_is_not_explained_away():
    assert explain_failure(RuntimeError("shapes do not match")) is None
    assert explain_failure(FileNotFoundError(2, "No such file")) is None
    assert "--micro_batch_size" in explain_failure(torch.OutOfMemoryError("CUDA out of memory"))


def test_the_program_ends_with_the_reason_and_the_way_on(tmp_path, monkeypatch):
    def fail(args, accelerator, request):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(launch, "train", fail)
    words = ["--corpus_dir", "c", "--output_dir", str(tmp_path)]
    with pytest.raises(SystemExit, match="No space left on device. Free some space. There is no checkpoint yet"):
        train.main(words)
    (tmp_path / "checkpoints" / "step-00000007").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-00000007" / "state.json").write_text("{}")
    with pytest.raises(SystemExit, match="step-00000007 is complete: go on with --resume"):
        train.main(words)
    assert TERMINATED == 143


def test_a_table_overwrites_what_a_resumed_run_repeats(tmp_path):
    for step in (10, 20, 30, 20):
        write_row(tmp_path / "steps.csv", {"step": step, "loss": 1 / step})
    assert [row["step"] for row in read_rows(tmp_path / "steps.csv")] == ["10", "20"]
    draw_curves(tmp_path)  # without an epoch, too
    assert (tmp_path / "curves.png").stat().st_size > 5000


if __name__ == "__main__":
    kill_twenty_times(Path(sys.argv[1]))
