"""Zero-shot evaluation: embeddings, scores, measures against scikit-learn, and the command from corpus to results."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from helpers.owners_layouts import make_iemocap
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
from transformers import pipeline

from dataset_scripts.binning import fit_bins
from dataset_scripts.corpora import TASKS
from modeling_paraclap import ParaClapModel, ParaClapProcessor, clips_paraclap, scoring_paraclap
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings, parse_labels, parse_templates, prompts_of
from paraclap.evaluation.__main__ import main
from paraclap.evaluation.embedding import embed_audio, predict
from paraclap.evaluation.measures import evaluate_task, measure, resample_confusions
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

EMOTIONS = list(TASKS["ravdess"].labels)


@pytest.fixture(scope="module")
def release(tiny_release):
    """Model and processor of the tiny release."""
    return ParaClapModel.from_pretrained(tiny_release).eval(), ParaClapProcessor.from_pretrained(tiny_release)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Paths of seven clips of very different lengths, from long to short and back."""
    folder = tmp_path_factory.mktemp("clips")
    paths = []
    for index, duration in enumerate([2.0, 0.6, 1.4, 0.5, 1.1, 0.8, 1.7]):
        paths.append(str(folder / f"{index}.wav"))
        soundfile.write(paths[-1], synthesise(VOICES[index % 4], duration, seed=index), SAMPLING_RATE)
    return paths


def test_batches_give_the_embeddings_of_single_clips_in_order(release, clips):
    model, processor = release
    single, _ = embed_audio(model, processor.feature_extractor, clips, batch_size=1)
    for batch_size in (2, 4, 8):
        batched, reasons = embed_audio(model, processor.feature_extractor, clips, batch_size=batch_size)
        assert reasons == {}
        torch.testing.assert_close(batched, single, atol=1e-5, rtol=0)
    assert torch.pdist(single).min() > 1e-3  # or the order would not show


def test_a_front_end_that_sees_the_padding_gets_none(tiny_config, release, clips):
    audio_config = tiny_config().audio_config
    audio_config.feat_extract_norm = "group"
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(audio_config=audio_config)).eval()
    single, _ = embed_audio(model, release[1].feature_extractor, clips, batch_size=1)
    batched, _ = embed_audio(model, release[1].feature_extractor, clips, batch_size=4)
    torch.testing.assert_close(batched, single, atol=1e-5, rtol=0)


def test_windows_do_not_change_the_order(release, clips, monkeypatch):
    model, processor = release
    whole, _ = embed_audio(model, processor.feature_extractor, clips, batch_size=2)
    monkeypatch.setattr(scoring_paraclap, "LOOKAHEAD", 1)
    windowed, _ = embed_audio(model, processor.feature_extractor, clips, batch_size=2)
    torch.testing.assert_close(windowed, whole, atol=1e-5, rtol=0)


def test_unreadable_files_are_named_and_cost_no_other(release, clips, tmp_path):
    model, processor = release
    soundfile.write(tmp_path / "click.wav", np.full(20, 0.1), SAMPLING_RATE)
    soundfile.write(tmp_path / "silence.wav", np.zeros(SAMPLING_RATE), SAMPLING_RATE)
    paths = [clips[0], str(tmp_path / "missing.wav"), clips[1], str(tmp_path / "click.wav")]
    paths.append(str(tmp_path / "silence.wav"))
    embeds, reasons = embed_audio(model, processor.feature_extractor, paths, batch_size=2)
    assert sorted(reasons) == [1, 3, 4]
    assert "is silent" in reasons[4]
    assert "does not exist" in reasons[1]
    assert "too short" in reasons[3]
    expected, _ = embed_audio(model, processor.feature_extractor, clips[:2])
    torch.testing.assert_close(embeds, expected, atol=1e-5, rtol=0)
    nothing, reasons = embed_audio(model, processor.feature_extractor, paths[1:2])
    assert nothing.shape == (0, model.config.projection_dim)
    assert len(reasons) == 1


def test_max_length_keeps_the_start(release, clips, tmp_path):
    model, processor = release
    waveform, rate = soundfile.read(clips[0], dtype="float32")
    soundfile.write(tmp_path / "start.wav", waveform[: rate // 2], rate, subtype="PCM_16")
    expected, _ = embed_audio(model, processor.feature_extractor, [str(tmp_path / "start.wav")])
    cut, _ = embed_audio(model, processor.feature_extractor, [clips[0]], max_length_s=0.5)
    whole, _ = embed_audio(model, processor.feature_extractor, [clips[0]])
    torch.testing.assert_close(cut, expected, atol=1e-5, rtol=0)
    assert (cut - whole).abs().max() > 1e-3


def test_scores_are_those_of_the_pipeline(release, tiny_release, clips):
    model, processor = release
    embeds, _ = embed_audio(model, processor.feature_extractor, clips)
    labels = {"angry": "angry", "sad": "sad and low"}
    prompts = prompts_of(parse_labels(labels), parse_templates(model.config.hypothesis_template))
    text_embeds = TextEmbeddings().of_labels(model, processor.tokenizer, prompts)
    scores = predict(embeds, text_embeds, model.logit_scale.detach())
    classify = pipeline("zero-shot-audio-classification", model=str(tiny_release))
    for clip, row in zip(clips, scores.tolist(), strict=True):
        expected = {result["label"]: result["score"] for result in classify(clip, candidate_labels=labels)}
        assert row == pytest.approx([expected[label] for label in labels], abs=1e-5)


def test_predict_takes_the_log_of_the_scale():
    audio, text = torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0]])
    scores = predict(audio, text, torch.tensor(10.0).log())
    torch.testing.assert_close(scores, torch.tensor([[10.0, 0.0]]).softmax(-1))


def guesses(n=400, seed=0):
    """Unbalanced references with predictions that are right half the time; the fourth class never occurs."""
    rng = np.random.default_rng(seed)
    references = rng.choice(3, size=n, p=[0.7, 0.2, 0.1])
    predictions = np.where(rng.random(n) < 0.5, references, rng.integers(0, 4, n))
    names = np.array(EMOTIONS)
    return names[references].tolist(), names[predictions].tolist()


def test_measures_equal_scikit_learn():
    references, predictions = guesses()
    labels, present = EMOTIONS[:4], EMOTIONS[:3]
    result = measure(references, predictions, labels)
    macro = {"labels": present, "average": "macro"}
    assert result["uar"] == pytest.approx(recall_score(references, predictions, **macro))
    assert result["macro_f1"] == pytest.approx(f1_score(references, predictions, **macro))
    assert result["accuracy"] == pytest.approx(accuracy_score(references, predictions))
    assert result["confusion"] == confusion_matrix(references, predictions, labels=labels).tolist()
    assert result["recall_per_class"][EMOTIONS[3]] is None
    shares = pd.Series(predictions).value_counts(normalize=True)
    assert result["most_predicted"] == {"label": shares.index[0], "share": pytest.approx(shares.iloc[0])}
    json.dumps(result, allow_nan=False)


def test_intervals_equal_a_bootstrap_over_utterances():
    references, predictions = map(np.array, guesses())
    intervals = measure(references.tolist(), predictions.tolist(), EMOTIONS[:4], n_resamples=5000)["intervals"]
    rng = np.random.default_rng(1)
    groups = [np.flatnonzero(references == label) for label in EMOTIONS[:3]]
    drawn = {"uar": [], "accuracy": [], "macro_f1": []}
    for _ in range(400):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        macro = {"labels": EMOTIONS[:3], "average": "macro", "zero_division": 0}
        drawn["uar"].append(recall_score(references[rows], predictions[rows], **macro))
        drawn["macro_f1"].append(f1_score(references[rows], predictions[rows], **macro))
        drawn["accuracy"].append(np.mean(references[rows] == predictions[rows]))
    for name, values in drawn.items():
        assert intervals[name] == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist(), abs=0.02), name


def test_resampled_confusions_keep_the_classes():
    confusion = np.array([[5, 3, 0], [0, 0, 0], [1, 1, 30]])
    resampled = resample_confusions(confusion, 50, seed=0)
    assert (resampled.sum(axis=2) == confusion.sum(axis=1)).all()
    assert (resampled[:, 0, 2] == 0).all()
    assert resampled[:, 0, 0].std() > 0


def test_evaluate_task_predicts_the_greatest_score():
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    measured, predictions = evaluate_task(["calm", "sad", "sad"], scores, ["calm", "sad"], n_resamples=0)
    assert predictions == ["calm", "sad", "calm"]
    assert measured["uar"] == 0.75
    assert measured["intervals"] is None


def test_command_on_a_small_corpus(tiny_release, ravdess, tmp_path, capsys):
    output_dir = tmp_path / "EVAL"
    arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={ravdess}", "--output_dir", str(output_dir)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "0.302 (only_emo)" in printed
    assert "0.125" in printed
    assert "3 files left out" in printed

    results = json.loads((output_dir / "results.json").read_text())
    task = results["tasks"]["ravdess"]
    assert (task["n"], task["n_unreadable"], task["chance"]) == (16, 3, 0.125)
    assert task["prompts"]["angry"] == ["speaker is angry."]
    assert task["support_per_class"] == dict.fromkeys(EMOTIONS, 2)
    assert task["paper_uar"]["only_emo"] == 0.302
    low, high = task["intervals"]["uar"]
    assert 0 <= low <= task["uar"] <= high <= 1
    assert len(results["protocol"]["weights_sha256"]) == 64
    assert results["protocol"]["seed"] == 0

    predictions = pd.read_csv(output_dir / "ravdess_predictions.csv")
    scores = predictions[[f"score_{label}" for label in EMOTIONS]].to_numpy()
    assert len(predictions) == 16
    assert scores.sum(axis=1) == pytest.approx(np.ones(16), abs=1e-5)
    assert [EMOTIONS[index] for index in scores.argmax(axis=1)] == predictions["prediction"].tolist()
    assert recall_score(predictions["reference"], predictions["prediction"], average="macro") == task["uar"]
    assert (output_dir / "ravdess_confusion.png").read_bytes()[:4] == b"\x89PNG"

    rejected = pd.read_csv(output_dir / "rejected.csv")
    assert rejected["file"].str[-12:].tolist() == ["02-01-01.wav"] * 3
    for word, reason in zip(["truncated", "not audio", "empty"], rejected["reason"], strict=True):
        assert word in reason


def test_command_repeats_itself(tiny_release, ravdess, tmp_path):
    texts = []
    for name in ("first", "again"):
        arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={ravdess}", "--limit", "10"]
        assert main([*arguments, "--output_dir", str(tmp_path / name)]) == 0
        texts.append((tmp_path / name / "results.json").read_text())
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["tasks"]["ravdess"]["n"] <= 10


def test_templates_are_averaged(tiny_release, ravdess, tmp_path):
    arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={ravdess}", "--output_dir", str(tmp_path)]
    assert main([*arguments, "--template", "this is {}", "{} speech"]) == 0
    task = json.loads((tmp_path / "results.json").read_text())["tasks"]["ravdess"]
    assert task["templates"] == ["this is {}", "{} speech"]
    assert task["prompts"]["sad"] == ["this is sad", "sad speech"]


def test_compared_templates_have_the_figures_of_runs_with_them(tiny_release, ravdess, tmp_path, capsys):
    arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={ravdess}", "--n_resamples", "0"]
    compare = ["--compare_templates", "{} speech", "speaker is {}.", "{}"]
    assert main([*arguments, "--output_dir", str(tmp_path / "all"), *compare]) == 0
    task = json.loads((tmp_path / "all" / "results.json").read_text())["tasks"]["ravdess"]
    found = {tuple(entry["templates"]): entry["uar"] for entry in task["uar_per_template"]}
    assert list(found) == [("{} speech",), ("{}",), ("speaker is {}.", "{} speech", "{}")]  # not its own again
    printed = capsys.readouterr().out
    for number, (templates, uar) in enumerate(found.items()):
        assert f"{uar:.3f}" in printed.split("UAR with other templates:")[1]
        if number == 1:
            continue  # two of the three tell enough
        output_dir = tmp_path / str(number)
        assert main([*arguments, "--output_dir", str(output_dir), "--template", *templates]) == 0
        alone = json.loads((output_dir / "results.json").read_text())["tasks"]["ravdess"]
        assert alone["uar"] == uar
        assert "uar_per_template" not in alone
    with pytest.raises(SystemExit):
        main([*arguments, "--output_dir", str(tmp_path / "bad"), "--compare_templates", "no place"])


def test_iemocap_has_the_mean_over_its_sessions_and_the_prompts_of_the_paper(tiny_release, tmp_path):
    root = make_iemocap(tmp_path / "iemocap")
    arguments = ["--model", str(tiny_release), "--corpora", f"iemocap={root}", "--output_dir", str(tmp_path / "EVAL")]
    assert main([*arguments, "--paper_prompts"]) == 0
    task = json.loads((tmp_path / "EVAL" / "results.json").read_text())["tasks"]["iemocap"]
    assert task["n"] == 10
    assert task["support_per_class"]["happy"] == 4, "excited counts as happy"
    assert task["prompts"]["sad"] == ["this person is feeling sadness."]
    assert set(task["uar_per_group"]) == {"01", "02"}
    assert task["uar_mean_of_groups"] == pytest.approx(np.mean(list(task["uar_per_group"].values())))


def test_all_tasks_of_real_librispeech_embed_each_utterance_once(corpora, tiny_release, tmp_path, monkeypatch, capsys):
    pytest.importorskip("opensmile")
    rng = np.random.default_rng(0)
    pitch, level, duration = rng.normal(30, 4, 100), rng.normal(-25, 5, 100), rng.uniform(2, 20, 100)
    rows = {"split": "train", "pitch_mean": pitch, "intensity": level, "duration": duration}
    fit_bins(pd.DataFrame(rows)).save(tmp_path / "bins.json")
    loaded = []
    stream = clips_paraclap.stream_input
    monkeypatch.setattr(clips_paraclap, "stream_input", lambda p, *rates: loaded.append(p) or stream(p, *rates))
    arguments = ["--model", str(tiny_release), "--corpora", f"librispeech={corpora / 'LibriSpeech'}", "--limit", "10"]
    assert main([*arguments, "--bins", str(tmp_path / "bins.json"), "--output_dir", str(tmp_path / "EVAL")]) == 0
    assert len(loaded) == len(set(loaded)) == 10
    tasks = json.loads((tmp_path / "EVAL" / "results.json").read_text())["tasks"]
    assert list(tasks) == [name for name, task in TASKS.items() if task.corpus == "librispeech"]
    assert {task["n"] + task["n_without_label"] for task in tasks.values()} == {10}
    assert tasks["librispeech-gender"]["prompts"]["male"] == ["a male is speaking"]
    assert tasks["librispeech-duration"]["uar"] == pytest.approx(
        np.mean([r for r in tasks["librispeech-duration"]["recall_per_class"].values() if r is not None])
    )


def test_real_ravdess_and_emodb(corpora, tiny_release, tmp_path):
    folders = [f"ravdess={corpora / 'RAVDESS'}", f"emodb={corpora / 'EMO-DB'}"]
    arguments = ["--model", str(tiny_release), "--corpora", *folders, "--limit", "24", "--output_dir", str(tmp_path)]
    assert main(arguments) == 0
    tasks = json.loads((tmp_path / "results.json").read_text())["tasks"]
    assert tasks["ravdess"]["n"] == tasks["emodb"]["n"] == 24
    speakers = pd.read_csv(tmp_path / "emodb_predictions.csv")["file"].str.extract(r"(\d\d)\w+\.flac")[0]
    assert set(speakers) == {"15", "16"}  # the test speakers and no others


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tasks", "ravdes"], "Unknown task 'ravdes': expected one of "),
        (["--tasks", "emodb"], "needs its corpus: --corpora emodb=DIR"),
        (["--model", "no/such/folder"], "no/such/folder"),
        (["--corpora", "ravdess"], "expected NAME=DIR"),
        (["--corpora", "librispeech=."], "bins.json is missing"),
        (["--corpora", "ravdess=no/such/folder"], "no/such/folder is not a folder"),
    ],
)
def test_errors_name_the_remedy(options, message, tiny_release, ravdess, tmp_path, capsys):
    arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={ravdess}", "--output_dir", str(tmp_path)]
    assert main([*arguments, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--template", "speaker is {}", "speaker is angry"], "'speaker is angry' has no {}"),
        (["--limit", "0"], "--limit is 0; expected more than 0"),
    ],
)
def test_bad_options_are_refused(options, message, tiny_release, ravdess, tmp_path, capsys):
    arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={ravdess}", "--output_dir", str(tmp_path)]
    with pytest.raises(SystemExit):
        main([*arguments, *options])
    assert message in capsys.readouterr().err


def test_bins_that_are_none(tiny_release, tmp_path, capsys):
    (tmp_path / "bins.json").write_text("[]")
    arguments = ["--model", str(tiny_release), "--corpora", "librispeech=.", "--output_dir", str(tmp_path / "E")]
    assert main([*arguments, "--bins", str(tmp_path / "bins.json")]) == 2
    assert "is not a bins.json of build_query_corpus" in capsys.readouterr().err


def test_corpus_of_which_nothing_can_be_read(tiny_release, tmp_path, capsys):
    (tmp_path / "Actor_01").mkdir()
    (tmp_path / "Actor_01" / "03-01-01-01-01-01-01.wav").write_bytes(b"")
    arguments = ["--model", str(tiny_release), "--corpora", f"ravdess={tmp_path}", "--output_dir", str(tmp_path / "E")]
    assert main(arguments) == 2
    assert "no readable utterance with emotion" in capsys.readouterr().err
