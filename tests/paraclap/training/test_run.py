"""A run and its folder: what it leaves, and that one that was stopped or killed ends as one that was not."""

import json
import pickle
import re
import shutil
from signal import SIGINT, SIGKILL, SIGTERM

import huggingface_hub.constants
import pytest
import torch
from helpers.training_runs import (
    arguments,
    final_weights,
    run_in_process,
    train_in_process,
    train_in_two_processes,
)
from safetensors.torch import load_file

from dataset_scripts.folders import locked
from modeling_paraclap import ParaClapModel
from paraclap.training import train
from paraclap.training.arguments import parse_arguments
from paraclap.training.checkpoint import complete_checkpoints
from paraclap.training.config import refuse_changes
from paraclap.training.stop import INTERRUPTED, TERMINATED


@pytest.fixture
def words(corpus_dir, text_encoder, tmp_path):
    """The command line of the undisturbed run, in a folder of its own."""
    return arguments(corpus_dir, text_encoder, tmp_path / "run", "--num_train_epochs", "2")


def state_of(run):
    return json.loads((complete_checkpoints(run / "checkpoints")[-1] / "state.json").read_text())


def assert_ends_as(run, undisturbed):
    expected, found = final_weights(undisturbed), final_weights(run)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    for table in ("history.csv", "steps.csv"):
        assert (run / table).read_text() == (undisturbed / table).read_text()


def test_a_run_leaves_a_release_and_its_records(undisturbed):
    record = json.loads((undisturbed / "config.json").read_text(encoding="utf-8"))
    assert record["arguments"]["variant"] == "rand5"
    assert record["versions"]["torch"].startswith("2.")
    assert record["identity"].keys() == {"corpus", "model", "tokenizer"}
    best = undisturbed / "best"
    assert {"bins.json", "training.json", "config.json", "pipeline_paraclap.py"} <= {f.name for f in best.iterdir()}
    training = json.loads((best / "training.json").read_text(encoding="utf-8"))
    assert training["seconds"] > 0
    assert training["steps_made"] == training["steps_of_all_epochs"] > 0
    assert training["device"]["processes"] == 1
    assert training["device"]["name"].startswith("CPU (")
    lines = (undisturbed / "history.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("epoch,step,uar_emotion_emodb")
    assert len(lines) == 3
    assert (undisturbed / "curves.png").stat().st_size > 10_000
    steps = (undisturbed / "steps.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in steps] == ["step", "1", "2", "4", "6", "8", "10", "12"]
    released, weights = ParaClapModel.from_pretrained(best).state_dict(), final_weights(undisturbed)
    assert weights.keys() == released.keys() | {f"best/{name}" for name in released}
    assert all(torch.equal(weights[f"best/{name}"], released[name]) for name in released)
    assert sorted(path.name for path in (undisturbed / "checkpoints").iterdir()) == ["step-00000008", "step-00000012"]


def test_a_run_prints_what_fits_a_terminal(words, capfd):
    train.main([*words, "--max_steps", "1"])
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("1 steps, 6 an epoch; settings: ") for line in lines)
    assert any(line.startswith("epoch   1  UAR 0.") and "(chance 0.50)" in line for line in lines)
    assert len(lines) < 12
    assert all(len(line) <= 80 for line in lines if "/" not in line)  # a path may be long


def test_a_killed_run_goes_on_and_ends_the_same(undisturbed, words, tmp_path):
    run = tmp_path / "run"
    assert train_in_process(words, {5: [SIGKILL]}).code == -SIGKILL
    before = state_of(run)
    assert (before["step"], before["batch"]) == (4, 4), "not in the middle of an epoch"
    finished = train_in_process([*words, "--resume"])
    assert finished.code == 0, finished.output
    assert "Resumed at step 4 (epoch 0, batch 4)." in finished.output
    seconds = json.loads((run / "best" / "training.json").read_text())["seconds"]
    assert seconds == pytest.approx(state_of(run)["seconds"], abs=0.1)
    assert seconds > before["seconds"] > 0
    assert_ends_as(run, undisturbed)


def test_a_stopped_run_saves_itself_and_ends_the_same(undisturbed, words, tmp_path):
    """Stopped by a signal, resumed with workers, stopped by Ctrl-C, and resumed."""
    run = tmp_path / "run"
    words += ["--checkpoint_every", "0"]
    for more, step, number, name, status in (
        ([], 2, SIGTERM, "SIGTERM", TERMINATED),
        (["--resume", "--num_workers", "2"], 9, SIGINT, "Ctrl-C", INTERRUPTED),
    ):
        finished = train_in_process([*words, *more], {step: [number]})
        assert finished.code == status, finished.output
        left = complete_checkpoints(run / "checkpoints")
        assert f"Stopped by {name} at step {step}. {left[-1]} is complete: resume with --resume." in finished.output
        assert "Traceback" not in finished.output
        assert state_of(run)["step"] == step
    assert train_in_process([*words, "--resume"]).code == 0
    assert_ends_as(run, undisturbed)
    changes = json.loads((run / "config.json").read_text())["changes"]
    assert [(change["step"], change["num_workers"]) for change in changes if "num_workers" in change] == [
        (2, {"from": 0, "to": 2}),
        (9, {"from": 2, "to": 0}),
    ]


def test_a_second_interrupt_ends_at_once(words, tmp_path):
    finished = train_in_process([*words, "--num_workers", "1"], {5: [SIGINT, SIGINT]})
    assert finished.code == INTERRUPTED, finished.output
    assert state_of(tmp_path / "run")["step"] == 4
    assert "Interrupted. " in finished.output
    assert "step-00000004 is complete: resume with --resume." in finished.output
    assert "Traceback" not in finished.output


def ask_to_stop_after_three_steps(words):
    from accelerate import Accelerator

    from paraclap.training.run import Run
    from paraclap.training.stop import Stopped

    with Run(parse_arguments(words), Accelerator(mixed_precision="no")) as run:
        learn = run._learn

        def stop_after_three(batch):
            loss = learn(batch)
            if run.state.step == 3:
                run.stop()
            return loss

        run._learn = stop_after_three
        try:
            run.fit()
        except Stopped as stop:
            print(stop)


def test_a_program_may_ask_to_stop(words, tmp_path):
    finished = run_in_process(ask_to_stop_after_three_steps, words)
    assert "Stopped by stop() at step 3." in finished.output
    assert state_of(tmp_path / "run")["step"] == 3


def test_more_steps_or_epochs_go_on_where_fewer_ended(undisturbed, words, tmp_path):
    """Ended within an epoch, the run has a release, and goes on as if it had not ended."""
    run = tmp_path / "run"
    assert train_in_process([*words, "--max_steps", "5"]).code == 0
    assert state_of(run) | {"seconds": 0, "best_uar": 0} == {
        **{"step": 5, "epoch": 0, "batch": 5, "best_epoch": 1},
        **{"seconds": 0, "best_uar": 0},
    }
    training = json.loads((run / "best" / "training.json").read_text())
    assert training["arguments"]["max_steps"] == 5
    assert training["steps_made"] == 5 < training["steps_of_all_epochs"]
    assert train_in_process([*words, "--resume"]).code == 0
    final = [load_file(complete_checkpoints(of / "checkpoints")[-1] / "model.safetensors") for of in (run, undisturbed)]
    assert all(torch.equal(final[0][name], final[1][name]) for name in final[1])
    assert [row.split(",")[:2] for row in (run / "history.csv").read_text().splitlines()[1:]] == [
        ["1", "6"],
        ["2", "12"],
    ]


def test_two_processes_stopped_and_resumed_end_as_undisturbed(corpus_dir, text_encoder, tmp_path):
    """12 rows a process and epoch in batches of 4; only the first process gets the signal."""
    more = ["--num_train_epochs", "2", "--checkpoint_every", "0"]
    for name, stopped in (("undisturbed", False), ("stopped", True)):
        words = arguments(corpus_dir, text_encoder, tmp_path / name, *more)
        for finished in train_in_two_processes(words, {1: [SIGTERM]} if stopped else None):
            assert finished.code == (TERMINATED if stopped else 0), finished.output
    assert state_of(tmp_path / "stopped")["batch"] == 2, "not in the middle of an epoch"
    first, second = train_in_two_processes([*words, "--resume"])
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert "Resumed at step 2 (epoch 0, batch 2)" in first.output
    assert_ends_as(tmp_path / "stopped", tmp_path / "undisturbed")
    with pytest.raises(SystemExit, match="was started with processes 2"):
        train.main([*words, "--resume"])


def test_a_folder_with_a_run_is_not_overwritten(undisturbed, corpus_dir, text_encoder):
    with pytest.raises(SystemExit, match="already holds a run: add --resume"):
        train.main(arguments(corpus_dir, text_encoder, undisturbed))


def test_a_folder_that_another_process_trains_into_is_left_alone(words, tmp_path):
    run = tmp_path / "run"
    with (
        locked(run, lock=run / ".lock"),
        pytest.raises(SystemExit, match=rf"{run} is in use by process \d+ on .*since"),
    ):
        train.main(words)
    assert not (run / "config.json").exists()


def test_a_start_that_fails_does_not_take_the_folder(words, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit, match="--tokenizer_name_or_path nowhere/none cannot be loaded: .*Give a folder"):
        train.main([*words, "--tokenizer_name_or_path", "nowhere/none"])
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--batch_size", "2"], "--batch_size 4 (given: 2)"),
        (["--seed", "1"], "--seed 0 (given: 1)"),
        (["--encoder_learning_rate", "1e-5"], "--encoder_learning_rate 0.001 (given: 1e-05)"),
        (["--variant", "rand1"], "--variant 'rand5' (given: 'rand1')"),
        (["--hypothesis_template", "{}"], "--hypothesis_template 'speaker is {}.' (given: '{}')"),
        (["--ema_decay", "0"], "--ema_decay 0.5 (given: 0.0)"),
        (["--freeze_text", "--gain", "3"], "--freeze_text False (given: True), --gain 0.0 (given: 3.0)"),
    ],
)
def test_what_cannot_change_within_a_run_is_refused(more, told, undisturbed, words):
    words[words.index("--output_dir") + 1] = str(undisturbed)
    before = (undisturbed / "config.json").read_text()
    with pytest.raises(SystemExit) as stop:
        train.main([*words, *more, "--resume"])
    assert str(stop.value).startswith(f"{undisturbed} was started with {told}. A run cannot change that: ")
    assert "\n" not in str(stop.value)
    assert (undisturbed / "config.json").read_text() == before


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"mixed_precision": "bf16"}, "mixed precision no (now: bf16)"),
        ({"device": {"name": "CPU", "processes": 2}}, "processes 1 (now: 2)"),
        ({"identity": {"corpus": "b"}}, "another corpus than the present one"),
    ],
)
def test_how_it_is_launched_cannot_change_either(now, told, tmp_path):
    before = {"device": {"name": "CPU", "processes": 1}, "mixed_precision": "no", "identity": {"corpus": "a"}}
    before |= {"arguments": {"lr_scheduler_type": "constant"}}
    refuse_changes(tmp_path, before, before)
    refuse_changes(tmp_path, before, before | {"device": {"name": "GPU", "processes": 1}})
    with pytest.raises(SystemExit, match=re.escape(f"{tmp_path} was started with {told}. A run cannot change that")):
        refuse_changes(tmp_path, before, before | now)


def test_the_length_may_change_unless_the_learning_rate_depends_on_it(undisturbed, words, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    train.main([*words, "--num_train_epochs", "3", "--max_steps", "13", "--max_grad_norm", "1", "--resume"])
    config = json.loads((run / "config.json").read_text())
    of_this_machine = ("device", "git_revision")  # which may change while the tests run
    changes = {name: change for name, change in config["changes"][0].items() if name not in of_this_machine}
    assert changes == {
        "step": 12,
        "num_train_epochs": {"from": 2, "to": 3},
        "max_steps": {"from": 0, "to": 13},
        "max_grad_norm": {"from": 0.0, "to": 1.0},
    }
    assert config["arguments"]["num_train_epochs"] == 3
    config["arguments"]["lr_scheduler_type"] = "cosine"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match=r"started with --num_train_epochs 3 \(given: 4\)"):
        train.main(
            [*words, "--num_train_epochs", "4", "--lr_scheduler_type", "cosine", "--max_steps", "13", "--resume"]
        )


def test_a_corpus_or_model_may_move_but_not_change(undisturbed, words, corpus_dir, text_encoder, tmp_path):
    run, corpus, audio = tmp_path / "run", tmp_path / "moved corpus", tmp_path / "audio.json"
    shutil.copytree(undisturbed, run)
    shutil.copytree(corpus_dir, corpus)
    shutil.copy(text_encoder / "audio.json", audio)
    words[words.index("--corpus_dir") + 1], words[words.index("--audio_config") + 1] = str(corpus), str(audio)
    train.main([*words, "--resume"])
    content = json.loads(audio.read_text())
    audio.write_text(json.dumps(content | {"hidden_dropout": 0.2}))
    with pytest.raises(SystemExit, match="another model than the present one"):
        train.main([*words, "--resume"])
    audio.write_text(json.dumps(content))
    for file in (corpus / "data").glob("validation-*"):
        file.write_bytes((corpus / "data" / file.name.replace("validation", "train")).read_bytes())
    (corpus / "build.json").unlink()
    with pytest.raises(SystemExit, match="another corpus than the present one"):
        train.main([*words, "--resume"])


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"arguments": {}, "device": {"processes": "x"}}', None])
def test_a_run_without_its_settings_is_not_resumed(content, undisturbed, words, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    (run / "config.json").unlink() if content is None else (run / "config.json").write_text(content)
    with pytest.raises(SystemExit, match=r"config.json (is damaged|to describe their run).*another --output_dir"):
        train.main([*words, "--resume"])


class Bomb:
    """Unpickled, it leaves a trace."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return open, (self.file, "w")


def test_nothing_pickled_is_read(undisturbed, words, tmp_path, monkeypatch):
    run, trace = tmp_path / "run", tmp_path / "trace"
    shutil.copytree(undisturbed, run)
    newest = complete_checkpoints(run / "checkpoints")[-1]
    for name in ("custom_checkpoint_0.pkl", "optimizer.bin", "scheduler.bin", "random_states_0.pkl", "average.pt"):
        (newest / name).write_bytes(pickle.dumps(Bomb(trace)))

    def refuse(*args, **kwargs):
        raise AssertionError("a pickle is read")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    train.main([*words, "--num_train_epochs", "3", "--max_steps", "13", "--resume"])
    assert not trace.exists()
    assert state_of(run)["step"] == 13
    assert not [file for file in run.rglob("*") if file.suffix in (".bin", ".pkl", ".pt") and file.parent != newest]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(undisturbed, words, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    newest = complete_checkpoints(run / "checkpoints")[-1]
    (newest / "optimizer.safetensors").write_bytes(b"")
    output = train_in_process([*words, "--resume"]).output
    assert f"{newest} is damaged: optimizer.safetensors differs from its size and checksum in manifest.json." in output
    assert "Resumed at step 8 (epoch 1, batch 2)." in output
    assert_ends_as(run, undisturbed)
    for checkpoint in complete_checkpoints(run / "checkpoints"):
        (checkpoint / "state.json").write_text("{}")
    with pytest.raises(SystemExit, match="is damaged: state.json differs.*No older checkpoint is intact"):
        train.main([*words, "--resume"])


def test_an_old_checkpoint_with_pickles_is_refused(undisturbed, words, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    newest = complete_checkpoints(run / "checkpoints")[-1]
    (newest / "manifest.json").unlink()
    (newest / "optimizer.bin").write_bytes(b"")
    with pytest.raises(SystemExit, match="was written by paraclap 0.1, whose checkpoints hold pickles.*start another"):
        train.main([*words, "--resume"])
