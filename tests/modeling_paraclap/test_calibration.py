"""Calibration with unlabelled audio: what it mends, and that it is off by default and named where it is on."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save, save_file
from torch.nn import functional as F
from transformers import pipeline

from modeling_paraclap import calibration_paraclap
from modeling_paraclap.calibration_paraclap import Calibration, balancing_bias
from paraclap.evaluation.calibrations import fit_calibration
from paraclap.evaluation.corpus_tasks import TaskError, select_tasks


def shifted_classes(n=200, dim=16, classes=4, shift=3.0):
    """Embeddings around one axis a class, all moved the same way, and the axes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % classes
    axes = torch.eye(dim)[:classes]
    audio = axes[labels] + 0.3 * torch.randn(n, dim, generator=generator) + shift * axes[0]
    return F.normalize(audio, dim=-1), axes, labels


def test_a_common_shift_that_makes_one_label_attract_all_is_taken_out():
    audio, text, labels = shifted_classes()
    plain = (audio @ text.T).argmax(1)
    assert (plain == 0).float().mean() > 0.95  # the fault
    calibrated = Calibration(audio)(audio, text, scale=10.0).argmax(1)
    assert (calibrated == labels).float().mean() > 0.9


def test_every_label_has_the_same_mean_probability():
    logits = torch.randn(300, 5, generator=torch.Generator().manual_seed(1)) * 3 + torch.tensor([4.0, 0, 0, -3, 1])
    shares = (logits + balancing_bias(logits)).softmax(1).mean(0)
    torch.testing.assert_close(shares, torch.full((5,), 0.2), atol=1e-3, rtol=0)


def test_the_same_labels_are_balanced_once_and_others_anew(monkeypatch):
    audio, text, _ = shifted_classes()
    calls = []
    monkeypatch.setattr(
        calibration_paraclap, "balancing_bias", lambda logits: calls.append(1) or balancing_bias(logits)
    )
    calibration = Calibration(audio)
    first = calibration(audio[:1], text, 10.0)
    assert torch.equal(calibration(audio[:1], text.clone(), 10.0), first)
    assert len(calls) == 1
    calibration(audio[:1], text[:2], 10.0), calibration(audio[:1], text[:2], 5.0)
    assert len(calls) == 3


def test_saved_and_loaded_it_does_the_same(tmp_path):
    audio, text, _ = shifted_classes()
    calibration = Calibration(audio)
    calibration.save(tmp_path / "c.safetensors")
    loaded = Calibration.load(tmp_path / "c.safetensors")
    torch.testing.assert_close(loaded(audio, text, 10.0), calibration(audio, text, 10.0))


def test_a_large_corpus_is_kept_in_part(tmp_path):
    Calibration(F.normalize(torch.randn(5001, 4), dim=-1)).save(tmp_path / "c.safetensors")
    assert len(Calibration.load(tmp_path / "c.safetensors").embeddings) == 1667


def test_what_it_cannot_be_fitted_on_is_refused(tmp_path):
    with pytest.raises(ValueError, match="19 recordings are too few to calibrate with; give 20 or more"):
        Calibration(torch.ones(19, 4))
    with pytest.raises(ValueError, match="matrix of finite embeddings"):
        Calibration(torch.full((30, 4), float("nan")))
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds weight, not a calibration"):
        Calibration.load(tmp_path / "other.safetensors")


UNIT = F.normalize(torch.randn(24, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
VOICE = UNIT[:1].clone()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read: .*Give the file that"),
        (b"not a calibration", "cannot be read"),
        (save({"embeddings": UNIT, "voices": VOICE})[:-5], "cannot be read"),
        (save({"embeddings": UNIT, "voices": VOICE})[:100], "cannot be read"),
        (save({"embeddings": UNIT}), "holds embeddings, not a calibration"),
        (
            save({"embeddings": UNIT, "voices": VOICE[:, :4].clone()}),
            r"voices of \(kinds, 8\); got \(1, 4\). Fit it again",
        ),
        (save({"embeddings": UNIT[:0].clone(), "voices": VOICE}), "0 recordings are too few"),
        (save({"embeddings": UNIT, "voices": VOICE[:0]}), r"got \(0, 8\)"),
        (save({"embeddings": UNIT[0].clone(), "voices": VOICE}), r"got float32 of the shape \(8,\)"),
        (save({"embeddings": UNIT.round().long(), "voices": VOICE}), "got int64"),
        (save({"embeddings": UNIT * torch.nan, "voices": VOICE}), "matrix of finite embeddings"),
        (save({"embeddings": UNIT, "voices": VOICE / 0}), "matrix of finite voices"),
        (save({"embeddings": UNIT * 1e9, "voices": VOICE}), "unit length; got lengths from 1e"),
        (save({"embeddings": UNIT * 0, "voices": VOICE}), "unit length; got lengths from 0 to 0"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error_that_names_it(content, message, pipe, tmp_path):
    file = tmp_path / "c.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        pipe(np.ones(8000, np.float32), candidate_labels=["angry", "sad"], calibration=str(file))
    assert str(file) in str(raised.value)


def test_other_things_than_a_calibration_are_refused(pipe, tmp_path):
    for calibration, error in ((tmp_path / "missing", ValueError), (tmp_path, ValueError), (5, TypeError)):
        with pytest.raises(error, match=r"cannot be read|is a int; expected a Calibration, or its file"):
            pipe(np.ones(8000, np.float32), candidate_labels=["angry", "sad"], calibration=calibration)
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    with pytest.raises(ValueError, match="fitted to embeddings of 8 numbers; those of this model have 24. Fit one"):
        pipe(noise, candidate_labels=["angry", "sad"], calibration=Calibration(UNIT))


@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_file_has_the_rights_that_other_files_have(umask, rights, tmp_path):
    before = os.umask(umask)
    try:
        Calibration(UNIT).save(tmp_path / "c.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "c.safetensors").stat().st_mode & 0o777 == rights


def test_the_pipeline_takes_it_as_object_or_file(tiny_release, tmp_path):
    classifier = pipeline("zero-shot-audio-classification", model=str(tiny_release))
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal(8000).astype(np.float32) * 0.1 for _ in range(24)]
    arguments = dict(candidate_labels=["angry", "sad"], sampling_rate=16000)
    embeds = [classifier(clip, return_embeddings=True, **arguments)["embedding"] for clip in clips]
    calibration = Calibration(torch.from_numpy(np.stack(embeds)))
    calibration.save(tmp_path / "c.safetensors")
    plain = classifier(clips, **arguments)
    assert classifier(clips, calibration=None, **arguments) == plain
    by_object = classifier(clips, calibration=calibration, **arguments)
    by_file = classifier(clips, calibration=str(tmp_path / "c.safetensors"), **arguments)
    for one, other in zip(by_object, by_file, strict=True):
        assert [r["label"] for r in one] == [r["label"] for r in other]
        assert one[0]["score"] == pytest.approx(other[0]["score"], abs=1e-5)
    share = np.mean([{r["label"]: r["score"] for r in scores}["angry"] for scores in by_object])
    assert share == pytest.approx(0.5, abs=1e-3)
    assert by_object != plain
    windows = classifier(clips[0], calibration=calibration, window_length_s=0.25, **arguments)["windows"]
    assert len(windows) == 2


def test_the_evaluation_names_it(tmp_path, tiny_release, corpora, capsys):
    from paraclap.evaluation.__main__ import main as evaluate_zero_shot

    arguments = ["--model", str(tiny_release), "--corpora", f"emodb={corpora / 'EMO-DB'}", "--limit", "40"]
    arguments += ["--n_resamples", "0", "--all_rows", "--output_dir", str(tmp_path / "eval"), "--calibrate"]
    assert evaluate_zero_shot(arguments) == 0
    task = json.loads((tmp_path / "eval" / "results.json").read_text())["tasks"]["emodb"]
    assert task["calibrated"] == "corpus"
    assert task["split"] == "all"
    assert task["n"] == 40
    by_speaker = [*arguments[:-1], "--calibrate", "speaker"]
    assert evaluate_zero_shot(by_speaker) == 0
    task = json.loads((tmp_path / "eval" / "results.json").read_text())["tasks"]["emodb"]
    assert task["calibrated"] == "speaker"
    assert "speakers have fewer than 20 utterances and share a calibration" in capsys.readouterr().out
    assert evaluate_zero_shot([*arguments[:-1], "--calibrate", "gender"]) == 0
    task = json.loads((tmp_path / "eval" / "results.json").read_text())["tasks"]["emodb"]
    assert task["calibrated"] == "gender"
    assert evaluate_zero_shot([*by_speaker, "--limit", "10"]) == 2
    assert "--calibrate speaker: 10 recordings are too few" in capsys.readouterr().err


def test_a_calibration_for_each_speaker(capsys):
    generator = torch.Generator().manual_seed(0)
    speakers = np.repeat(["a", "b", "c"], [30, 40, 5]).astype(object)
    offsets = {name: 3 * torch.randn(8, generator=generator) for name in "abc"}
    labels = torch.arange(75) % 4
    embeds = torch.eye(8)[labels] + torch.stack([offsets[name] for name in speakers])
    embeds, text = embeds / embeds.norm(dim=1, keepdim=True), torch.eye(8)[:4]
    order = torch.randperm(75, generator=generator)
    frame = pd.DataFrame({"speaker": speakers[order.numpy()]})
    calibrations = fit_calibration("speaker", embeds[order], frame)
    assert "1 speakers have fewer than 20" in capsys.readouterr().out
    logits = calibrations(embeds[order], text, 10.0)
    for name in "ab":
        rows = torch.from_numpy(frame["speaker"].to_numpy() == name)
        torch.testing.assert_close(logits[rows], Calibration(embeds[order][rows])(embeds[order][rows], text, 10.0))
        assert torch.equal(logits[rows].argmax(1), labels[order][rows])
    assert not torch.equal(Calibration(embeds)(embeds, text, 10.0).argmax(1), labels)  # all voices at once tell less
    rows = torch.from_numpy(frame["speaker"].to_numpy() == "c")
    torch.testing.assert_close(logits[rows], Calibration(embeds[order])(embeds[order][rows], text, 10.0))


def test_a_calibration_by_gender_is_not_asked_for_genders():
    with pytest.raises(TaskError, match="gender removes the attribute of librispeech-gender: select other tasks"):
        select_tasks(["librispeech"], None, calibrate="gender")
    assert select_tasks(["librispeech"], ["librispeech-pitch"], calibrate="gender")
    assert len(select_tasks(["librispeech"], None, calibrate="corpus")) == 4


def test_speakers_that_nobody_knows_share_a_calibration():
    embeds = torch.nn.functional.normalize(torch.randn(25, 8), dim=1)
    frame = pd.DataFrame({"speaker": [None] * 25})
    shared = fit_calibration("speaker", embeds, frame)(embeds, torch.eye(8)[:3], 10.0)
    torch.testing.assert_close(shared, Calibration(embeds)(embeds, torch.eye(8)[:3], 10.0))
    assert fit_calibration(None, embeds, frame) is None


def two_kinds_of_voices(n=240):
    """Embeddings of four classes, moved one way for the first kind of voice and another for the second; all of it."""
    generator = torch.Generator().manual_seed(0)
    labels, kinds = torch.arange(n) % 4, torch.arange(n) // 4 % 2
    axes = torch.eye(16)
    shift = 1.2 * torch.stack([axes[0] + 3 * axes[8], axes[1] + 3 * axes[9]])
    audio = axes[labels] + shift[kinds] + 0.1 * torch.randn(n, 16, generator=generator)
    return F.normalize(audio, dim=-1), axes[:4], axes[8:10], labels, kinds


def test_each_kind_of_voice_is_calibrated_on_its_own(tmp_path):
    audio, text, voices, labels, kinds = two_kinds_of_voices()
    together = Calibration(audio)(audio, text, 10.0).argmax(1)
    assert (together == labels).float().mean() < 0.9
    calibration = Calibration(audio, 5 * voices)
    logits = calibration(audio, text, 10.0)
    assert (logits.argmax(1) == labels).float().mean() > 0.95
    for kind in (0, 1):
        alone = audio[kinds == kind]
        torch.testing.assert_close(logits[kinds == kind], Calibration(alone)(alone, text, 10.0))
    calibration.save(tmp_path / "c.safetensors")
    torch.testing.assert_close(Calibration.load(tmp_path / "c.safetensors")(audio, text, 10.0), logits)


def test_a_kind_of_voice_with_few_recordings_is_calibrated_as_all_are():
    audio, text, voices, _, kinds = two_kinds_of_voices()
    few = torch.cat([audio[kinds == 0], audio[kinds == 1][:19]])
    logits = Calibration(few, voices)(few, text, 10.0)
    torch.testing.assert_close(logits[-19:], Calibration(few)(few[-19:], text, 10.0))
    with pytest.raises(ValueError, match=r"Expected voices of \(kinds, 16\); got \(2, 8\)"):
        Calibration(audio, torch.ones(2, 8))
