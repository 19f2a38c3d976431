"""However a write ends, the newest checkpoint is complete; what is damaged is found, and nothing in one runs code."""

import hashlib
import json
import math
import os
import random
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from helpers.training_runs import run_in_process

from paraclap.training.checkpoint import Checkpoints, complete_checkpoints
from paraclap.training.random_state import random_state, set_random_state
from paraclap.training.state import RunState
from paraclap.training.stop import explain_failure
from paraclap.training.trees import load_tree, save_tree

FIRST = dict(step=1, epoch=0, batch=1)


class Counter:
    """Something with a state."""

    def __init__(self):
        self.state = {"text": "ä", "none": None, "numbers": (1, 2.5, math.inf), "of": {3: torch.arange(3), 5: []}}

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def checkpoints(folder, value=0.0, keep=2):
    """Checkpoints of a model whose weights, and their moments, have one value; larger than a buffer of the system's."""
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(200, 200)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    model(torch.ones(1, 200)).sum().backward()
    optimizer.step()
    fill(model, value)
    return Checkpoints(folder, accelerator, model, {"optimizer": optimizer, "counter": Counter()}, keep)


def fill(model, value):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def save(folder, step):
    checkpoints(folder, float(step)).save(RunState(step=step, batch=step))


def assert_intact(folder, steps):
    """The newest checkpoint loads, and holds the weights of its step."""
    found = checkpoints(folder)
    state = found.load()
    assert state.step in steps, state
    assert all((parameter == state.step).all() for parameter in found.model.parameters())
    return state.step


def test_a_checkpoint_brings_back_all_of_it(tmp_path):
    before = checkpoints(tmp_path, 3.0)
    before.parts["optimizer"].state_dict()["state"][0]["exp_avg"].fill_(7)
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    np.random.standard_normal()  # numpy keeps the second of a pair of normal numbers
    random.gauss(0, 1)
    before.save(RunState(step=5, epoch=2, batch=1, best_uar=0.25, best_epoch=2, seconds=1.5))
    drawn = [random.gauss(0, 1), np.random.standard_normal(), np.random.rand(), *torch.randn(2).tolist()]
    after = checkpoints(tmp_path)
    after.parts["counter"].state = {}
    assert after.load(batches=2) == RunState(step=5, epoch=2, batch=1, best_uar=0.25, best_epoch=2, seconds=1.5)
    assert (after.model.weight == 3).all()
    old, new = (of.parts["optimizer"].state_dict() for of in (before, after))
    assert old["param_groups"] == new["param_groups"]
    assert all(
        torch.equal(old["state"][p][name], new["state"][p][name]) for p in old["state"] for name in old["state"][p]
    )
    state, expected = after.parts["counter"].state, Counter().state
    assert torch.equal(state["of"].pop(3), expected["of"].pop(3))
    assert state == expected
    assert [random.gauss(0, 1), np.random.standard_normal(), np.random.rand(), *torch.randn(2).tolist()] == drawn


def test_random_states_are_set_apart_from_each_other():
    device = torch.device("cpu")
    state = random_state(device)
    first = (random.random(), np.random.rand(), torch.rand(1).item())
    set_random_state(state, device)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == first


@pytest.mark.parametrize("tree", [{"a": object()}, {1: 2, "b": 3}, {(1, 2): 3}, [np.zeros(2)]])
def test_what_is_not_plain_is_not_saved(tree, tmp_path):
    with pytest.raises(TypeError, match="A state (holds a|has the keys)"):
        save_tree(tree, tmp_path / "tree")


def test_a_key_that_is_a_mark_of_ours_survives(tmp_path):
    tree = {"a": [{7: {"b": (torch.tensor(1.5), "tensor")}}]}
    save_tree(tree, tmp_path / "tree")
    assert load_tree(tmp_path / "tree") == tree
    with pytest.raises(TypeError, match="expected strings"):
        save_tree({"tensor": "0"}, tmp_path / "tree")


def save_and_die(folder, at):
    """Save step 2, and die at the given file operation of it; exits with 0 if there are fewer."""
    seen = 0

    def count(event, arguments):
        nonlocal seen
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir") and str(folder) in str(arguments[0]):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    save(folder, 2)


def kill_at_every_operation(folder):
    """Fork a process for each file operation of a save, kill it there, and load what it left."""
    folder = Path(folder)
    at, loaded = 0, []
    while True:
        at += 1
        of_one = folder / str(at)
        save(of_one, 1)
        child = os.fork()
        if child == 0:
            save_and_die(of_one, at)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        loaded.append(assert_intact(of_one, (1, 2)))
        if status == 0:
            break
    # After a kill the next save works, too.
    for of_one in folder.iterdir():
        save(of_one, 3)
        assert assert_intact(of_one, (3,)) == 3
        assert not list(of_one.glob("*.partial"))
    print(json.dumps(loaded))


def test_a_kill_at_any_moment_leaves_a_complete_checkpoint(tmp_path):
    finished = run_in_process(kill_at_every_operation, str(tmp_path))
    assert finished.code == 0, finished.output
    loaded = json.loads(finished.output.splitlines()[-1])
    assert loaded == sorted(loaded), "the new one counts from one moment on"
    assert loaded.count(1) > 20
    assert loaded.count(2) >= 1


def save_on_a_full_disk(folder, size):
    """A limit on the size of files stands for the disk: the write fails in the middle, as on a full one."""
    save(Path(folder), 1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        save(Path(folder), 2)
    except Exception as error:  # whichever library reports it
        print(explain_failure(error))


@pytest.mark.parametrize("size", [10_000, 200_000])  # fails in the weights (160 kB), in the optimizer's state (320 kB)
def test_a_full_disk_leaves_the_last_checkpoint(size, tmp_path):
    finished = run_in_process(save_on_a_full_disk, str(tmp_path), size)
    assert "The run's folder cannot be written" in finished.output, finished.output
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-00000001"]
    assert assert_intact(tmp_path, (1,))


def change(name, content):
    def damage(folder):
        (folder / name).write_bytes(content)

    return damage


def cut(folder):
    content = (folder / "optimizer.safetensors").read_bytes()
    (folder / "optimizer.safetensors").write_bytes(content[: len(content) // 2])


def flip(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-7] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def remove(folder):
    (folder / "random-00000.json").unlink()


def sign(folder, **files):
    """Write files, and a manifest that fits them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
        content = (folder / f"{name}.json").read_bytes()
        manifest["files"][f"{name}.json"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def signed_state(**changes):
    def damage(folder):
        sign(folder, state=json.loads((folder / "state.json").read_text()) | changes)

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (change("optimizer.safetensors", b""), "optimizer.safetensors differs"),
        (cut, "optimizer.safetensors differs"),
        (flip, "model.safetensors differs"),
        (remove, "random-00000.json is missing"),
        (change("manifest.json", b""), "manifest.json is not JSON"),
        (change("manifest.json", b"{}"), "manifest.json does not list the files"),
        (change("manifest.json", b'{"format": 2, "files": []}'), "manifest.json does not list the files"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: sign(folder, **{"../outside": 1}), r"names '../outside.json', which is not a file"),
        (change("state.json", b"{}"), "state.json differs"),
        (lambda folder: sign(folder, state={}), "the state has other fields than batch, best_epoch"),
        (lambda folder: sign(folder, state=[]), "the state has other fields than batch, best_epoch"),
        (signed_state(step=-5), "step is -5, expected a number from 0 up"),
        (signed_state(step=True), "step is True, expected a number"),
        (signed_state(step=2.0), r"step is 2.0, expected a number"),
        (signed_state(step=4, batch=4), "its state is that of step 4"),
        (signed_state(epoch=1), "step 2 is not batch 2 of epoch 1 with 6 batches an epoch"),
        (signed_state(best_uar=math.nan), "best_uar is nan, expected a number from -1 up"),
        (signed_state(best_epoch=9), "best_epoch is 9, expected a completed epoch"),
        (signed_state(seconds=-1.0), "seconds is -1.0, expected a number from 0 up"),
        (lambda folder: sign(folder, optimizer={"state": {}}), "damaged: KeyError, 'param_groups'"),
        (lambda folder: sign(folder, optimizer=[{"tensor": "99999"}]), "damaged: KeyError, '99999'"),
    ],
)
def test_what_is_damaged_is_said_and_the_one_before_taken(damage, reason, tmp_path, capfd):
    for step in (1, 2):
        save(tmp_path, step)
    damage(tmp_path / "step-00000002")
    found = checkpoints(tmp_path)
    assert found.load(batches=6).step == 1
    assert (found.model.weight == 1).all()
    assert f"{tmp_path / 'step-00000002'} is damaged: " in (output := capfd.readouterr().out)
    assert reason in output
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-00000001"], (
        "it is not taken for a newer one"
    )
    damage(tmp_path / "step-00000001")
    with pytest.raises(SystemExit, match="step-00000001 is damaged: .* No older checkpoint is intact: start another"):
        checkpoints(tmp_path).load(batches=6)


def test_only_complete_checkpoints_count_and_the_newest_are_kept(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    (tmp_path / ".step-00000004.partial").mkdir()
    (tmp_path / "step-00000005.damaged").mkdir()
    (tmp_path / "step-unknown!").mkdir()
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-00000002", "step-00000003"]
    assert checkpoints(tmp_path / "nowhere").load() is None


@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o644), (0o077, 0o600)])
def test_all_files_of_a_checkpoint_have_the_rights_that_the_umask_gives(umask, rights, tmp_path):
    before = os.umask(umask)
    try:
        checkpoints(tmp_path).save(RunState())
    finally:
        os.umask(before)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert sum(file.suffix == ".safetensors" for file in files) >= 3
    assert {file.name: file.stat().st_mode & 0o777 for file in files} == {file.name: rights for file in files}
