"""Training: what a batch holds, what a checkpoint keeps, and that a killed run ends as one that was not killed."""

import json
import signal
import subprocess
import time

import numpy as np
import opensmile
import pandas as pd
import pytest
import torch
from helpers.training_runs import ROOT, arguments, command, environment, final_weights
from transformers import Wav2Vec2Config

from dataset_scripts.queries import VARIANTS
from modeling_paraclap import ParaClapAudioConfig, ParaClapModel
from modeling_paraclap.losses_paraclap import multi_positive_loss, sigmoid_loss
from paraclap.synthetic_speech import Voice, synthesise
from paraclap.training import train
from paraclap.training.arguments import AugmentationArguments, CorpusArguments, ModelArguments, parse_arguments
from paraclap.training.augment import augment
from paraclap.training.batches import Collator
from paraclap.training.build import build
from paraclap.training.checkpoint import complete_checkpoints
from paraclap.training.corpus_files import load_split, read_corpus_bins
from paraclap.training.encoders import build_model, initialise_filter_bank
from paraclap.training.loader import EpochSampler, balance_weights, build_loader
from paraclap.training.step import positives_of, unknown_of
from paraclap.training.stop import TERMINATED
from paraclap.training.utterances import QueryCorpus


@pytest.fixture(scope="module")
def undisturbed(corpus_dir, text_encoder, tmp_path_factory):
    """The folder of a run that nothing interrupted, in a process of its own as the killed one."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    subprocess.run(command(arguments(corpus_dir, text_encoder, run)), cwd=ROOT, env=environment(), check=True)
    return run


def test_a_run_leaves_a_release_and_its_records(undisturbed):
    record = json.loads((undisturbed / "config.json").read_text(encoding="utf-8"))
    assert record["arguments"]["variant"] == "rand5"
    assert record["versions"]["torch"].startswith("2.11")
    best = undisturbed / "best"
    assert {"bins.json", "training.json", "config.json", "pipeline_paraclap.py"} <= {f.name for f in best.iterdir()}
    training = json.loads((best / "training.json").read_text(encoding="utf-8"))
    assert training["seconds"] > 0
    assert training["device"]["processes"] == 1
    assert training["device"]["name"].startswith("CPU (")
    lines = (undisturbed / "history.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("epoch,step,uar_emotion_emodb")
    assert len(lines) == 4
    assert list((undisturbed / "logs").rglob("events.out.tfevents*"))
    assert (undisturbed / "curves.png").stat().st_size > 10_000
    steps = (undisturbed / "steps.csv").read_text(encoding="utf-8").splitlines()
    assert steps[0] == "step,loss,logit_scale"
    assert len(steps) == 1 + 9
    model = ParaClapModel.from_pretrained(best)
    released, weights = model.state_dict(), final_weights(undisturbed)
    assert weights.keys() == released.keys() | {f"best/{name}" for name in released}
    assert all(torch.equal(weights[f"best/{name}"], released[name]) for name in released)


def test_a_killed_run_goes_on_and_ends_the_same(corpus_dir, text_encoder, undisturbed, tmp_path):
    run = tmp_path / "killed"
    words = arguments(corpus_dir, text_encoder, run)
    process = subprocess.Popen(command(words), cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL)
    middle = run / "checkpoints" / "step-00000004" / "state.json"  # of 6 steps an epoch
    deadline = time.monotonic() + 120
    while not middle.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    before = json.loads(middle.read_text())["seconds"]
    assert not (run / "best").exists() or len((run / "history.csv").read_text().splitlines()) < 4
    subprocess.run(command([*words, "--resume"]), cwd=ROOT, env=environment(), check=True)
    newest = complete_checkpoints(run / "checkpoints")[-1] / "state.json"
    seconds = json.loads((run / "best" / "training.json").read_text())["seconds"]
    assert seconds > before > 0
    assert seconds == pytest.approx(json.loads(newest.read_text())["seconds"], abs=0.1)
    expected, found = final_weights(undisturbed), final_weights(run)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (run / "history.csv").read_text() == (undisturbed / "history.csv").read_text()


def test_a_folder_with_a_run_is_not_overwritten(undisturbed, corpus_dir, text_encoder):
    with pytest.raises(SystemExit, match="holds a run already: give --resume"):
        train.main(arguments(corpus_dir, text_encoder, undisturbed))


def test_only_complete_checkpoints_count(tmp_path):
    for name, complete in (("step-00000004", True), ("step-00000008.partial", True), ("step-00000012", False)):
        (tmp_path / name).mkdir()
        if complete:
            (tmp_path / name / "state.json").write_text("{}")
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-00000004"]


def test_only_the_newest_checkpoints_are_kept(undisturbed):
    names = sorted(path.name for path in (undisturbed / "checkpoints").iterdir())
    assert names == ["step-00000016", "step-00000018"]


def test_sigterm_saves_and_a_resumed_run_with_workers_ends_the_same(corpus_dir, text_encoder, undisturbed, tmp_path):
    run = tmp_path / "terminated"
    words = [*arguments(corpus_dir, text_encoder, run), "--checkpoint_every", "0", "--num_workers", "2"]
    process = subprocess.Popen(command(words), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (run / "steps.csv").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == TERMINATED
    assert "Stopped by SIGTERM at step" in output
    left = complete_checkpoints(run / "checkpoints")
    assert len(left) == 1
    assert f"{left[0]} is complete: go on with --resume" in output
    assert json.loads((left[0] / "state.json").read_text())["batch"] > 0, "not in the middle of an epoch"
    subprocess.run(command([*words, "--resume"]), cwd=ROOT, env=environment(), check=True)
    expected, found = final_weights(undisturbed), final_weights(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (run / "steps.csv").read_text() == (undisturbed / "steps.csv").read_text()


def test_workers_give_the_same_batches_as_none(corpus_dir, text_encoder, tmp_path):
    batches = []
    for workers in ("0", "2"):
        words = [*arguments(corpus_dir, text_encoder, tmp_path, "--num_workers", workers), "--loss_type", "sigmoid"]
        args = parse_arguments(words + ["--query_bank"])
        loader = build_loader(args, build(args)[1])
        loader.sampler.epoch = 1
        batches.append(list(loader))
    assert len(batches[0]) == len(batches[1]) == 6
    for one, two in zip(*batches, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_frozen_front_end_gets_no_gradient(corpus_dir, text_encoder, tmp_path):
    args = parse_arguments(arguments(corpus_dir, text_encoder, tmp_path, "--freeze_feature_encoder"))
    model, _ = build(args)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen
    assert all(name.startswith("audio_model.feature_extractor.") for name in frozen)
    hidden = model.train().audio_model.feature_extractor(torch.randn(1, 4000))
    assert not hidden.requires_grad


def test_what_is_drawn_depends_on_epoch_and_utterance_alone(corpus_dir):
    rows = load_split(corpus_dir, "train")
    first, second = (QueryCorpus(rows, CorpusArguments(crop_s=0.4, keep_decoded=keep), seed=5) for keep in (True, True))
    second[(0, 3)]
    for key in ((0, 1), (0, 2), (1, 1)):
        one, two = first[key], second[key]
        assert one["caption"] == two["caption"]
        assert np.array_equal(one["waveform"], two["waveform"])
    assert not np.array_equal(first[(0, 1)]["waveform"], first[(1, 1)]["waveform"])
    assert len(first[(0, 1)]["waveform"]) == 6400


def test_the_sampler_reorders_each_epoch(corpus_dir):
    sampler = EpochSampler(20, seed=1)
    first, again = list(sampler), list(sampler)
    sampler.epoch = 1
    second = list(sampler)
    assert first == again
    assert [i for _, i in first] != [i for _, i in second]
    assert sorted(i for _, i in second) == list(range(20))
    assert {epoch for epoch, _ in second} == {1}


@pytest.mark.parametrize(
    ("variant", "emotions"), [("rand5", (0, 24)), ("no_emo", (0, 0)), ("only_emo", (24, 24)), ("rand1", (0, 24))]
)
def test_the_four_variants(corpus_dir, variant, emotions):
    corpus = QueryCorpus(load_split(corpus_dir, "train"), CorpusArguments(variant=variant))
    captions = [corpus[(0, item)]["caption"] for item in range(len(corpus))]
    named = sum(any(word in caption for word in ("angry", "anger", "sad")) for caption in captions)
    assert emotions[0] <= named <= emotions[1]
    assert len(captions) == 24
    most = max(len(caption.split(" and ")) for caption in captions)
    assert most == (1 if variant == "rand1" else 3 if variant == "only_emo" else 5)


def test_what_a_variant_does_not_tell_is_in_no_query_bank(corpus_dir):
    rows = load_split(corpus_dir, "train")
    told = {
        variant: set(QueryCorpus(rows, CorpusArguments(variant=variant))[(0, 0)]["queries"]) for variant in VARIANTS
    }
    assert told["rand1"] == told["rand5"] == told["no_emo"] | told["only_emo"]
    assert len(told["only_emo"]) == 3
    assert not told["no_emo"] & told["only_emo"]


def test_emotion_probability_puts_an_emotion_first(corpus_dir):
    corpus = QueryCorpus(load_split(corpus_dir, "train"), CorpusArguments(max_queries=3, emotion_probability=1.0))
    captions = [corpus[(0, item)]["caption"].split(" and ") for item in range(24)]
    assert all(any(word in caption[0] for word in ("angry", "anger", "sad")) for caption in captions)
    assert {len(caption) for caption in captions} == {1, 2, 3}


NAMES_OF_THE_FIRST_RELEASE = """
audio_config audio_model_name_or_path audio_pooling balance batch_size center_audio checkpoint_every compile config
corpus_dir corpus_weights crop_s do_normalize ema_decay emotion_probability emotion_weight encoder_learning_rate
equaliser filter_bank freeze_audio freeze_feature_encoder freeze_text gain global_negatives head_learning_rate
hypothesis_template keep_checkpoints keep_decoded log_every logit_bias_init_value loss_type lr_scheduler_type
max_grad_norm max_queries max_steps micro_batch_size mixed_precision noise num_train_epochs num_workers output_dir
pad_to_longest part profile projection_dim projection_dropout query_bank report_to resume reverb seed shuffle_rows
silence spec_augment speed streaming text_config text_model_name_or_path text_noise text_pooling tf32
tokenizer_name_or_path train_split usual_dimensions variant warmup_ratio weight_decay
"""
VOCABULARY = {"is long": "duration", "is loud": "intensity", "is short": "duration"}
EMOTION_QUERIES = {"speaker is angry": "emotion", "speaker is calm": "emotion"}


def example(caption, samples, queries, **unknown):
    known = {"unknown_attributes": set(), "unknown_queries": set()} | unknown
    return {"waveform": np.ones(samples, np.float32), "caption": caption, "queries": queries, "bank": queries, **known}


def test_what_nobody_knows_is_not_taken_for_false(tiny_processor):
    examples = [
        example("speaker is angry", 800, ["speaker is angry", "is loud"]),
        example("is loud", 800, ["is loud"], unknown_attributes={"emotion"}),
        example("speaker is calm", 800, ["speaker is calm"], unknown_queries={"speaker is angry"}),
    ]
    batch = Collator(tiny_processor, vocabulary=VOCABULARY | EMOTION_QUERIES)(examples)
    positives, unknown = positives_of(batch["said"], batch["holds"]), unknown_of(batch["said"], batch["unknown"])
    assert positives.tolist() == [[True, True, False], [False, True, False], [False, False, True]]
    assert unknown.tolist() == [[False, False, False], [True, False, True], [True, False, False]]
    logits = torch.randn(3, 3)
    moved = logits.masked_fill(unknown, 5.0)
    for loss in (sigmoid_loss, multi_positive_loss):
        expected = loss(logits, positives, unknown)
        assert torch.isclose(expected, loss(moved, positives, unknown))
        assert not torch.isclose(expected, loss(logits, positives))


def test_unknown_are_missing_labels_and_emotions_of_other_corpora(corpus_dir):
    rows = load_split(corpus_dir, "train")
    corpora = ["emodb"] * 12 + ["other"] * 12
    rows = rows.remove_columns("corpus").add_column("corpus", corpora)
    emotions = ["angry"] * 12 + ["sad"] * 11 + [None]
    rows = rows.remove_columns("emotion").add_column("emotion", emotions)
    corpus = QueryCorpus(rows)
    first, last = corpus[(0, 0)], corpus[(0, 23)]
    assert first["unknown_queries"] == {"this is a sad instance", "speaker is sad", "emotion is sadness"}
    assert "emotion" not in first["unknown_attributes"]
    assert "emotion" in last["unknown_attributes"]
    assert {"arousal", "valence", "dominance"} <= first["unknown_attributes"]
    assert not {"pitch_mean", "gender"} & first["unknown_attributes"]


def test_emotions_tell_dimensions_where_asked(corpus_dir):
    rows = load_split(corpus_dir, "train")
    options = CorpusArguments(usual_dimensions=True)
    plain, usual = QueryCorpus(rows), QueryCorpus(rows, options)
    item = int(np.flatnonzero(plain.labels["emotion"] == "sad")[0])
    before, after = plain[(0, item)], usual[(0, item)]
    # What the corpus says is left as it is: it may have been built with paraphrases.
    assert after["queries"][-len(before["queries"]) :] == before["queries"]
    assert set(after["queries"]) - set(before["queries"]) >= {"speaker is calm", "has low valence"}
    assert "speaker is not very sad" in after["unknown_queries"]
    assert "speaker is not very sad" not in after["queries"]
    assert not {"arousal", "valence", "dominance"} & after["unknown_attributes"]
    assert np.array_equal(before["waveform"], after["waveform"])
    augmented = QueryCorpus(rows, options, AugmentationArguments(gain=1.0), read_corpus_bins(corpus_dir))
    assert "speaker is calm" in augmented[(0, item)]["queries"]


def test_no_part_is_taken_of_what_has_an_emotion(corpus_dir):
    rows = load_split(corpus_dir, "train")
    rows = rows.remove_columns("emotion").add_column("emotion", ["angry"] * 12 + [None] * 12)
    options, bins = CorpusArguments(crop_s=60.0), read_corpus_bins(corpus_dir)
    plain = QueryCorpus(rows, options, AugmentationArguments(gain=1.0), bins)
    parts = QueryCorpus(rows, options, AugmentationArguments(gain=1.0, part=1.0), bins)
    lengths = [[len(corpus[(0, item)]["waveform"]) for item in range(24)] for corpus in (plain, parts)]
    assert lengths[0][:12] == lengths[1][:12]
    long = [item for item in range(12, 24) if lengths[0][item] > 16000]
    assert long
    assert all(lengths[1][item] < lengths[0][item] for item in long)


def test_a_batch_knows_which_captions_hold_for_which_utterance(tiny_processor):
    examples = [
        example("is loud", 800, ["is loud", "is short"]),
        example("is short and is loud", 500, ["is loud", "is short"]),
        example("is long", 700, ["is long", "is loud"]),
    ]
    batch = Collator(tiny_processor, pad_to=1000, vocabulary=VOCABULARY)(examples)
    assert positives_of(batch["said"], batch["holds"]).tolist() == [
        [True, True, False],
        [True, True, False],
        [True, False, True],
    ]
    assert batch["input_values"].shape == (3, 1000)
    assert batch["padding_mask"].sum(1).tolist() == [800, 500, 700]


def test_a_query_bank_compares_with_everything_said(tiny_config, tiny_processor):
    examples = [
        example("is loud", 800, ["is loud", "is short"]),
        example("is long", 800, ["is long", "is loud"]),
    ]
    batch = Collator(tiny_processor, vocabulary=VOCABULARY, query_bank=True)(examples)
    said = batch.pop("said")
    batch |= {"positives": positives_of(said, batch.pop("holds")), "unknown": unknown_of(said, batch["unknown"])}
    # the two captions, then is long, is loud, is short
    assert batch["positives"].tolist() == [[True, False, False, True, True], [True, True, True, True, False]]
    for loss_type in ("sigmoid", "multi_positive"):
        loss = ParaClapModel(tiny_config(loss_type=loss_type))(**batch, return_loss=True).loss
        assert loss.isfinite()
        assert loss > 0
    with pytest.raises(ValueError, match="A query bank needs a loss with several positives"):
        Collator(tiny_processor, query_bank=True)


def test_a_caption_that_is_too_long_is_named(tiny_processor):
    with pytest.raises(ValueError, match="the text encoder takes 256: lower --max_queries.*is loud"):
        Collator(tiny_processor)([example("is loud " * 200, 800, [])])


def test_augmentation_tells_what_it_changed():
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    features = {
        "pitch_mean": "F0semitoneFrom27.5Hz_sma3nz_amean",
        "intensity": "equivalentSoundLevel_dBp",
    }
    waveform = synthesise(Voice("synthetic", pitch=150, pitch_range=2, syllable_rate=4, level=-25), 2.0)
    measured = smile.process_signal(waveform, 16000).iloc[0]
    before = {name: float(measured[feature]) for name, feature in features.items()} | {"duration": 2.0}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        changed, said = augment(waveform, before, rng, AugmentationArguments(speed=3.0, gain=10.0, equaliser=4.0))
        measured = smile.process_signal(changed, 16000).iloc[0]
        assert said["pitch_mean"] != before["pitch_mean"]
        assert measured[features["pitch_mean"]] == pytest.approx(said["pitch_mean"], abs=1.0)
        assert measured[features["intensity"]] == pytest.approx(said["intensity"], abs=1.5)
        assert len(changed) / 16000 == pytest.approx(said["duration"], rel=1e-3)


def test_a_part_is_shorter_and_says_so():
    waveform = synthesise(Voice("synthetic", pitch=150, pitch_range=2, syllable_rate=4, level=-25), 4.0)
    waveform[:32000] *= 0.1
    before = {"pitch_mean": 30.0, "pitch_std": 0.1, "intensity": -28.0, "duration": 4.0, "gender": "female"}
    lengths = []
    for seed in range(40):
        part, said = augment(waveform, before, np.random.default_rng(seed), AugmentationArguments(part=1.0))
        assert said["duration"] == len(part) / 16000
        assert said["pitch_std"] is None
        power = [10 * np.log10(np.mean(samples**2.0)) for samples in (part, waveform)]
        assert said["intensity"] == pytest.approx(-28.0 + power[0] - power[1], abs=1e-3)
        lengths.append(said["duration"])
    assert 1.0 <= min(lengths) < 1.3
    assert 3.0 < max(lengths) <= 4.0
    assert before["duration"] == 4.0
    short, said = augment(waveform[:8000], {"duration": 0.5}, np.random.default_rng(0), AugmentationArguments(part=1.0))
    assert len(short) == 8000
    assert said["duration"] == 0.5


def test_a_corpus_may_be_drawn_more_often():
    labels = pd.DataFrame({"corpus": ["a"] * 4 + ["b"] * 2, "emotion": ["angry", "sad"] * 2 + [None] * 2})
    plain, more = balance_weights(labels, 1.0), balance_weights(labels, 1.0, "b=4, a=2")
    assert plain[4:].sum() == pytest.approx(1 / 3)
    assert more[4:].sum() == pytest.approx(1 / 2)
    for wrong in ("c=2", "a", "a=0", "a=-1", "a=x", "a=nan", "a=inf"):
        with pytest.raises(ValueError, match="--corpus_weights has.*one of the corpora a, b"):
            balance_weights(labels, 1.0, wrong)


def test_augmented_utterances_get_queries_that_are_true(corpus_dir):
    rows, bins = load_split(corpus_dir, "train"), read_corpus_bins(corpus_dir)
    corpus = QueryCorpus(rows, augmentation=AugmentationArguments(gain=40.0), bins=bins)
    item = int(np.argmax(corpus.labels["intensity"]))
    spoken = {query for epoch in range(30) for query in corpus[(epoch, item)]["queries"]}
    assert {"is loud", "is quiet"} <= spoken
    assert "speaker is angry" in spoken
    assert "speaker is sad" not in spoken
    with pytest.raises(ValueError, match="give the corpus's bins"):
        QueryCorpus(rows, augmentation=AugmentationArguments(gain=40.0))


def test_a_tower_needs_one_source(text_encoder):
    with pytest.raises(ValueError, match="audio encoder needs one source.*got none"):
        build_model(ModelArguments(text_model_name_or_path=text_encoder))
    (text_encoder / "wrong.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ValueError, match="model_type 'nonsense'"):
        build_model(ModelArguments(audio_config=text_encoder / "wrong.json", text_model_name_or_path=text_encoder))


def test_a_corpus_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data/train-.*build_query_corpus"):
        load_split(tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("batch_sizes: 3", "unknown arguments: batch_sizes"),
        ("freeze_text: 3", "freeze_text is 3"),
        ("batch_size: many", "invalid int value: 'many'"),
        ("variant: rand7", "variant is 'rand7'; choose from rand5"),
        ("batch_size: 0", "--batch_size is 0; it must be above 0"),
        ("micro_batch_size: -4", "--micro_batch_size is -4; it must not be below 0"),
        ("ema_decay: 1.0", "--ema_decay is 1.0; it must be from 0 up to, but not including, 1"),
        ("text_noise: 0.5", "--text_noise 0.5 is for a frozen text encoder: add --freeze_text"),
        ("{text_noise: -1.0, freeze_text: true}", "--text_noise is -1.0; it must not be below 0"),
        ("crop_s: .nan", "--crop_s is nan; it must be a finite number"),
        ("balance: 1.5", "--balance is 1.5; it must be from 0 to 1"),
        ("seed: null", "seed is None"),
        ("{1: 2, b: 3}", "unknown arguments: 1, b"),
        ("[seed]", "holds list, expected"),
        ("seed: [", "cannot be read: while parsing"),
        (
            "audio_config: nowhere/audio.json",
            "--audio_config nowhere/audio.json is not a file; a relative path starts from /",
        ),
        (
            "query_bank: true",
            "--query_bank needs a loss with several positives: --loss_type multi_positive, sigmoid, grouped",
        ),
        ("global_negatives: 2", "global_negatives is 2"),
        ("{compile: true, pad_to_longest: true}", "--compile needs batches of one length"),
        ("seed: 1", "--corpus_dir is needed"),
    ],
)
def test_bad_arguments_end_with_a_message(content, message, tmp_path, capsys):
    file = tmp_path / "run.yaml"
    file.write_text(content)
    words = [] if "corpus_dir" in message else ["--corpus_dir", "c", "--output_dir", "o"]
    with pytest.raises(SystemExit):
        parse_arguments(["--config", str(file), *words])
    assert message in capsys.readouterr().err


def test_the_command_line_overrides_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("batch_size: 8\nfreeze_text: true\nencoder_learning_rate: 1.0e-4\n")
    words = ["--config", str(file), "--corpus_dir", "c", "--output_dir", "o", "--batch_size", "2"]
    args = parse_arguments(words)
    assert (args.recipe.batch_size, args.model.freeze_text, args.recipe.encoder_learning_rate) == (2, True, 1e-4)


def test_the_papers_recipe_is_the_default():
    args = parse_arguments(["--corpus_dir", "c", "--output_dir", "o"])
    recipe, corpus = args.recipe, args.corpus
    assert (recipe.encoder_learning_rate, recipe.head_learning_rate) == (1e-5, 1e-3)
    assert (recipe.batch_size, recipe.num_train_epochs, corpus.crop_s, corpus.max_queries) == (64, 50, 5.0, 5)
    assert (corpus.variant, recipe.weight_decay, recipe.loss_type) == ("rand5", 0.0, "contrastive")


def test_every_name_of_the_first_release_is_still_read():
    """Switches are given as switches, everything else with its default."""
    names = set(parse_arguments(["--corpus_dir", "c", "--output_dir", "o"]).flat())
    assert names >= set(NAMES_OF_THE_FIRST_RELEASE.split())


def test_the_filter_bank_answers_to_its_frequencies(tiny_config):
    shape = dict(conv_dim=[128, 16, 16], conv_kernel=[320, 8, 4], conv_stride=[80, 4, 2], num_feat_extract_layers=3)
    model = ParaClapModel(tiny_config(audio_config=Wav2Vec2Config(**shape, num_hidden_layers=1)))
    initialise_filter_bank(model.audio_model)
    filters = model.audio_model.feature_extractor.conv_layers[0].conv.weight.detach()[:, 0]
    hertz = torch.fft.rfft(filters, 4096).abs().argmax(1) * 16000 / 4096
    cosines, sines = hertz.chunk(2)
    assert (cosines.diff() >= 0).all()
    assert cosines[0] < 200
    assert cosines[-1] == pytest.approx(7600, abs=50)
    assert torch.allclose(cosines[8:], sines[8:], atol=60)


def test_a_filter_bank_needs_a_waveform_encoder(tiny_config):
    model = ParaClapModel(tiny_config(audio_config=ParaClapAudioConfig(num_hidden_layers=1)))
    with pytest.raises(ValueError, match="paraclap_audio has no convolution over the waveform"):
        initialise_filter_bank(model.audio_model)
