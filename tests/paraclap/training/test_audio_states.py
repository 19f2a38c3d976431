"""Training on the states of a frozen encoder: what is kept, what is drawn, and whom a folder serves."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from helpers.training_runs import arguments

from modeling_paraclap import ParaClapModel
from paraclap.training.arguments import AugmentationArguments, CorpusArguments, parse_arguments
from paraclap.training.audio_states import AudioStates, content_of
from paraclap.training.batches import Collator, vocabulary_of
from paraclap.training.corpus_files import load_split, read_corpus_bins
from paraclap.training.errors import TrainingError
from paraclap.training.state_corpus import StateCorpus
from paraclap.training.train import main

AUGMENTATION = AugmentationArguments(speed=2.0, gain=6.0, noise=1.0)


@pytest.fixture(scope="module")
def heard(corpus_dir, tiny_config, tmp_path_factory):
    """A corpus with two copies of each utterance, its model, and the folder of the states."""
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(audio_cues=True)).eval()
    folder = tmp_path_factory.mktemp("states")
    corpus = corpus_of(corpus_dir, folder, model, AUGMENTATION)
    corpus.fill(model, Accelerator(cpu=True))
    return SimpleNamespace(corpus=corpus, model=model, folder=folder)


def corpus_of(corpus_dir, folder, model, augmentation, **options):
    return StateCorpus(
        load_split(corpus_dir, "train"),
        CorpusArguments(crop_s=4.0, **options),
        augmentation,
        read_corpus_bins(corpus_dir),
        states=AudioStates(folder, augmentation, 2, model),
    )


def test_the_first_copy_is_the_utterance_itself(heard, corpus_dir):
    audio = heard.corpus.audio[3]
    kept = heard.corpus.states[content_of(audio), 0]
    waveform = torch.from_numpy(heard.corpus._loader_of(3)()[0])[None]
    with torch.no_grad():
        again = heard.model.hear(waveform)
    expected = again.outputs.last_hidden_state[0].numpy()
    np.testing.assert_allclose(kept.states[0], expected, atol=2e-3)
    np.testing.assert_allclose(kept.cues, again.cues[0], atol=1e-3)
    assert kept.functionals["pitch_mean"] == pytest.approx(heard.corpus.columns["pitch_mean"][3])


def test_other_copies_are_changed_and_say_so(heard):
    for content in heard.corpus.contents[:4]:
        first, second = (heard.corpus.states[content, copy] for copy in (0, 1))
        faster = second.functionals["pitch_mean"] - first.functionals["pitch_mean"]
        assert 0 < abs(faster) <= 2
        assert second.functionals["duration"] == pytest.approx(
            first.functionals["duration"] / 2 ** (faster / 12), rel=1e-3
        )
        # The level changes when a copy is drawn, not here.
        assert second.functionals["intensity"] == pytest.approx(first.functionals["intensity"])


def test_drawn_level_moves_cue_and_functional_alike(heard):
    levels = {}
    for epoch in range(12):
        example = heard.corpus[(epoch, 0)]
        loud = "has a high equivalent sound level" in example["queries"]
        quiet = "has a low equivalent sound level" in example["queries"]
        levels[float(example["cues"][0])] = loud - quiet
    ordered = [levels[level] for level in sorted(levels)]
    assert ordered == sorted(ordered)
    assert len(levels) == 12
    kept = heard.corpus.states[heard.corpus.contents[0], 0]
    assert kept.cues[0] == heard.corpus.states[heard.corpus.contents[0], 0].cues[0]  # what is kept stays as it is


def test_a_crop_is_shorter_and_says_so(heard, corpus_dir):
    corpus = corpus_of(corpus_dir, heard.folder, heard.model, AUGMENTATION)
    corpus.options.crop_s = 0.3
    whole = heard.corpus.states[heard.corpus.contents[0], 0]
    example = corpus[(0, 0)]
    assert example["states"].shape[1] < whole.states.shape[1]
    assert 2 ** example["cues"][1] == pytest.approx(0.3, abs=0.05)
    assert "pitch_std" in example["unknown_attributes"] or "pitch_std_bin" in example["unknown_attributes"]


def test_a_second_run_encodes_nothing_and_draws_the_same(heard, corpus_dir, monkeypatch):
    corpus = corpus_of(corpus_dir, heard.folder, heard.model, AUGMENTATION)
    monkeypatch.setattr("paraclap.training.audio_states.encode", None)
    corpus.fill(heard.model, Accelerator(cpu=True))
    one, two = heard.corpus[(1, 2)], corpus[(1, 2)]
    assert np.array_equal(one["states"], two["states"])
    assert one["caption"] == two["caption"]


def test_a_shard_without_its_table_does_not_count(heard, corpus_dir, tmp_path):
    folder = tmp_path / "states"
    corpus = corpus_of(corpus_dir, folder, heard.model, AUGMENTATION)
    corpus.fill(heard.model, Accelerator(cpu=True))
    for table in folder.glob("*.parquet"):
        table.unlink()  # as after a kill between states and table
    again = corpus_of(corpus_dir, folder, heard.model, AUGMENTATION)
    assert not again.states.places
    again.fill(heard.model, Accelerator(cpu=True))
    content = again.contents[0], 1
    np.testing.assert_array_equal(again.states[content].states, corpus.states[content].states)


def test_a_folder_of_other_states_is_refused(heard, corpus_dir, tiny_config):
    with pytest.raises(
        TrainingError, match=r"other augmentation: speed 2.0 \(this run: 1.0\). Name another folder with"
    ):
        corpus_of(corpus_dir, heard.folder, heard.model, replace(AUGMENTATION, speed=1.0))
    torch.manual_seed(1)
    other = ParaClapModel(tiny_config(audio_cues=True))
    with pytest.raises(
        TrainingError, match=r"another audio encoder: wav2vec2 with 2 layers.*run's is wav2vec2.*--audio_s"
    ):
        corpus_of(corpus_dir, heard.folder, other, AUGMENTATION)
    with pytest.raises(TrainingError, match="another audio encoder"):  # the same weights, another layer
        corpus_of(corpus_dir, heard.folder, ParaClapModel(tiny_config(audio_layer_weights=True)), AUGMENTATION)
    assert corpus_of(corpus_dir, heard.folder, heard.model, replace(AUGMENTATION, gain=1.0)).states.places


def test_a_folder_of_before_the_encoder_was_described_is_taken(heard, corpus_dir, tmp_path):
    AudioStates(tmp_path, AUGMENTATION, 2, heard.model)
    file = tmp_path / "settings.json"
    settings = json.loads(file.read_text())
    del settings["encoder_in_words"]
    file.write_text(json.dumps(settings))
    AudioStates(tmp_path, AUGMENTATION, 2, heard.model)
    file.write_text(json.dumps(settings | {"encoder": "0"}))
    with pytest.raises(TrainingError, match=r"another audio encoder: one \(0\); this run's is wav2vec2 with 2 layers"):
        AudioStates(tmp_path, AUGMENTATION, 2, heard.model)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"encoder": 1}', '{"encoder": "x", "augmentation": 3}', "\0"]
)
def test_a_damaged_record_of_states_is_one_error(heard, content, tmp_path):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(TrainingError, match=r"settings.json is damaged .*expected the settings.*--audio_states_dir"):
        AudioStates(tmp_path, AUGMENTATION, 2, heard.model)


def test_a_batch_of_states_goes_through_the_model(heard, tiny_processor):
    collator = Collator(tiny_processor, vocabulary=vocabulary_of(heard.corpus.labels), query_bank=True)
    tiny_processor.tokenizer.model_max_length = 256
    batch = collator([heard.corpus[(0, item)] for item in range(3)])
    assert batch["audio_states"].shape[:2] == (3, 1)
    assert batch["padding_mask"].shape == batch["audio_states"].shape[:1] + batch["audio_states"].shape[2:3]
    inputs = {name: value for name, value in batch.items() if name not in ("said", "holds", "unknown", "groups")}
    assert heard.model(**inputs).logits_per_audio.shape == (3, len(batch["said"]))


def test_a_run_on_states_learns_with_the_encoder_as_it_was(corpus_dir, text_encoder, tmp_path):
    options = "--freeze_audio --freeze_text --audio_state_copies 2 --speed 1 --audio_cues --validate_every 3"
    states = ["--audio_states_dir", str(tmp_path / "states")]
    words = ["--loss_type", "grouped", "--query_bank", "--emotion_words", "2", "--report_to", "none"]
    run = tmp_path / "run"
    main(arguments(corpus_dir, text_encoder, run, *options.split(), *states, *words))
    assert len((run / "history.csv").read_text().splitlines()) == 2  # one validation, of the third epoch
    trained = ParaClapModel.from_pretrained(run / "best")
    assert trained.cues is not None
    assert sorted(file.suffix for file in (tmp_path / "states").iterdir()) == [".json", ".npy", ".npy", ".parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--audio_state_copies 2", "add --freeze_audio"),
        ("--audio_state_copies 2 --freeze_audio --streaming", "leave out --streaming"),
        ("--emotion_words 1 --loss_type grouped", "add --query_bank"),
        ("--calm 2", "must be from 0 to 1"),
        ("--validate_every 0", "must be above 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message, capsys, tmp_path):
    with pytest.raises(SystemExit):
        parse_arguments(["--corpus_dir", str(tmp_path), "--output_dir", str(tmp_path / "run"), *options.split()])
    assert message in capsys.readouterr().err
