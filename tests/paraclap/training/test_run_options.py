"""What a run may be asked for besides: compiled towers, a profile, other trackers, on the smallest of runs."""

import importlib.util
import json
import subprocess
import sys
import time

import pytest
import torch
from helpers.training_runs import ROOT, arguments

from paraclap.training import train
from paraclap.training.arguments import parse_arguments
from paraclap.training.build import prepare_machine
from paraclap.training.corpus_files import load_split
from paraclap.training.optimizer import build_optimizer
from paraclap.training.records import read_rows
from paraclap.training.stream import RowGroups


def run(corpus_dir, text_encoder, folder, *more):
    words = arguments(corpus_dir, text_encoder, folder, "--max_steps", "5", "--checkpoint_every", "0", *more)
    train.main(words)
    return folder


def test_a_compiled_run_learns_the_same(corpus_dir, text_encoder, tmp_path, monkeypatch):
    """Traced and differentiated as for inductor, whose C++ takes a minute to compile and is not ours to test."""
    compile_module, losses, compiled = torch.nn.Module.compile, [], []

    def compile_quickly(module, **kwargs):
        compiled.append(type(module).__name__)
        compile_module(module, backend="aot_eager", **kwargs)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_quickly)
    for more in ([], ["--compile"]):
        folder = run(corpus_dir, text_encoder, tmp_path / f"run{len(more)}", "--report_to", "none", *more)
        losses.append([float(row["loss"]) for row in read_rows(folder / "steps.csv")])
    assert compiled == ["Wav2Vec2Model", "BertModel"]
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_profile_is_a_trace_and_a_table(corpus_dir, text_encoder, tmp_path, capsys):
    folder = run(corpus_dir, text_encoder, tmp_path / "run", "--profile", "2", "--report_to", "none")
    events = json.loads((folder / "profile.json").read_text(encoding="utf-8"))["traceEvents"]
    assert any("convolution_backward" in event["name"] for event in events)
    assert "aten::convolution_backward" in capsys.readouterr().out


@pytest.mark.parametrize(("tracker", "written"), [("tensorboard", "events.out.*"), ("wandb", "*.wandb")])
def test_a_tracker_gets_the_curves(corpus_dir, text_encoder, tmp_path, monkeypatch, tracker, written):
    if importlib.util.find_spec(tracker) is None:
        pytest.skip(f"{tracker} is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = run(corpus_dir, text_encoder, tmp_path / "run", "--report_to", tracker)
    (log,) = (folder / "logs").rglob(written)
    deadline = time.monotonic() + 60
    while log.stat().st_size <= 500 and time.monotonic() < deadline:  # W&B writes in a process of its own
        time.sleep(0.1)
    assert log.stat().st_size > 500


def test_trackio_gets_the_curves(corpus_dir, text_encoder, tmp_path, monkeypatch):
    if importlib.util.find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    run(corpus_dir, text_encoder, tmp_path / "run", "--report_to", "trackio")
    assert any((tmp_path / "trackio").iterdir())


def test_a_tracker_that_is_not_installed_is_said(corpus_dir, text_encoder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("dataset_scripts.extras.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        run(corpus_dir, text_encoder, tmp_path / "run", "--report_to", "wandb")
    error = 'error: The package wandb is not installed. Install what is needed here: pip install "paraclap[trackers]"\n'
    assert capsys.readouterr().err.endswith(error)


@pytest.mark.parametrize(("words", "precision"), [([], "high"), (["--no-tf32"], "highest")])
def test_tf32_is_a_choice(words, precision):
    args = parse_arguments(["--corpus_dir", "c", "--output_dir", "o", *words])
    before = torch.get_float32_matmul_precision()
    try:
        prepare_machine(args.run.tf32, torch.device("cpu"))
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_fused_optimizer_makes_the_same_step(tiny_model):
    args = parse_arguments(["--corpus_dir", "c", "--output_dir", "o", "--weight_decay", "0.1"])
    optimizer = build_optimizer(tiny_model, args.recipe)
    assert all(group["fused"] for group in optimizer.param_groups)
    plain = torch.optim.AdamW(
        [{**g, "params": [p.detach().clone() for p in g["params"]], "fused": False} for g in optimizer.param_groups]
    )
    for group, other in zip(optimizer.param_groups, plain.param_groups, strict=True):
        for one, two in zip(group["params"], other["params"], strict=True):
            one.grad = torch.randn_like(one)
            two.grad = one.grad.clone()
    optimizer.step()
    plain.step()
    for group, other in zip(optimizer.param_groups, plain.param_groups, strict=True):
        for one, two in zip(group["params"], other["params"], strict=True):
            torch.testing.assert_close(one.detach(), two)


def test_a_process_keeps_the_memory_that_a_step_frees():
    code = (
        "import resource, sys; from modeling_paraclap.memory_paraclap import keep_freed_memory\n"
        "told, faults = keep_freed_memory() if sys.argv[1] == 'keep' else None, []\n"
        "for _ in range(20):\n"
        "    block = b'x' * 2**27; del block\n"
        "    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "print(told, faults[-1] - faults[0])"
    )
    faults = {}
    for way in ("keep", "give back"):
        done = subprocess.run([sys.executable, "-c", code, way], cwd=ROOT, capture_output=True, text=True, check=True)
        told, faults[way] = done.stdout.split()
    if told == "False":
        pytest.skip("this C library has no mallopt")
    assert int(faults["keep"]) < 0.1 * int(faults["give back"]), faults


def test_all_splits_are_learned_from_once_nothing_is_chosen_any_more(corpus_dir, text_encoder, tmp_path, capsys):
    sizes = [len(load_split(corpus_dir, split)) for split in ("train", "validation", "train+validation")]
    assert sizes[0] + sizes[1] == sizes[2] > sizes[0]
    more = ["--num_train_epochs", "2", "--report_to", "none", "--checkpoint_every", "0"]
    words = arguments(corpus_dir, text_encoder, tmp_path / "run", *more, "--train_split", "train+validation")
    train.main(words)
    output = capsys.readouterr().out
    assert "Last epoch. Release:" in output
    assert "uar" not in output
    record = json.loads((tmp_path / "run" / "best" / "training.json").read_text(encoding="utf-8"))
    assert record["epoch"] == 2
    assert record["validation"] == {}
    assert read_rows(tmp_path / "run" / "history.csv")[-1] == {"epoch": "2", "step": str(2 * (sizes[2] // 4))}
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000
    with pytest.raises(FileNotFoundError, match="has no data/dev-"):
        load_split(corpus_dir, "train+dev")


def test_streaming_takes_several_splits(corpus_dir):
    groups = RowGroups(corpus_dir, "train+validation")
    assert sum(groups.sizes) == len(load_split(corpus_dir, "train+validation"))
