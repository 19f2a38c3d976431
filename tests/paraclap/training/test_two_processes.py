"""A run on two processes that is told to stop, or killed, and goes on: it ends as one that nothing interrupted."""

import json
import shutil
import signal
import subprocess
import sys
import time

import torch
from helpers.training_runs import ROOT, arguments, environment
from safetensors.torch import load_file

from paraclap.training.checkpoint import complete_checkpoints

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def launch(words):
    """Starts the run; 12 rows a process and epoch in batches of 4, a checkpoint after each second step."""
    more = ["--checkpoint_every", "2", "--keep_checkpoints", "99", "--report_to", "none", "--num_train_epochs", "4"]
    command = [*LAUNCH, "train_accelerate.py", *words, *more]
    # --standalone finds a free port, but not a name for this machine where there is none.
    surroundings = environment() | {"MASTER_ADDR": "127.0.0.1"}
    return subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True)


def weights(checkpoint):
    return load_file(checkpoint / "model.safetensors")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_stopped_or_killed_and_resumed_is_undisturbed(corpus_dir, text_encoder, tmp_path):
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    process = launch(arguments(corpus_dir, text_encoder, undisturbed))
    process.communicate(timeout=300)
    assert process.returncode == 0
    of_step = {path.name: path for path in complete_checkpoints(undisturbed / "checkpoints")}
    assert list(of_step)[-1] == "step-00000012"

    words = arguments(corpus_dir, text_encoder, stopped)
    process = launch(words)
    deadline = time.monotonic() + 240
    while not (stopped / "steps.csv").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)  # the launcher hands it on to both
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0 and "Stopped by SIGTERM at step" in output, output
    left = complete_checkpoints(stopped / "checkpoints")
    assert 2 <= json.loads((left[-1] / "state.json").read_text())["step"] < 12
    assert_same(weights(left[-1]), weights(of_step[left[-1].name]))

    for path in left[1:]:  # as after a SIGKILL: what is left is the checkpoint in the middle of the first epoch
        shutil.rmtree(path)
    process = launch([*words, "--resume"])
    output, _ = process.communicate(timeout=300)
    assert "Resumed at step 2 (epoch 0, batch 2)" in output
    found = complete_checkpoints(stopped / "checkpoints")[-1]
    assert_same(weights(found), weights(of_step[found.name]))
    assert found.name == "step-00000012"
    assert (stopped / "best").exists()
