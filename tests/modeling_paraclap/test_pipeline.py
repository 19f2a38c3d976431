"""The zero-shot pipeline: every form of audio and of labels, long audio, errors, and other models left in peace."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from helpers.scores import LABELS, RATE, TASK, assert_same, by_label, speech
from torch.nn import functional as F
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline

from modeling_paraclap import ParaClapModel, ParaClapZeroShotAudioClassificationPipeline
from modeling_paraclap.audio_paraclap import AudioError
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings


def file_bytes(waveform, rate=RATE, container="WAV", subtype="FLOAT"):
    """The bytes of an audio file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def expected(pipe):
    """Scores of `speech()`, by the model itself."""
    texts = pipe.tokenizer([f"speaker is {label}." for label in LABELS], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = pipe.model(**texts, input_values=torch.from_numpy(speech())[None]).logits_per_audio[0]
    return [{"score": p, "label": label} for p, label in zip(logits.softmax(0).tolist(), LABELS, strict=True)]


# ------------------------------------------------------------------------------------------------------------- loading


def test_a_folder_is_enough(pipe, release):
    assert type(pipe) is ParaClapZeroShotAudioClassificationPipeline
    assert isinstance(pipe, ZeroShotAudioClassificationPipeline)
    assert not (release / "preprocessor_config.json").exists()
    assert type(pipe.feature_extractor).__name__ == "ParaClapFeatureExtractor"


def test_scores_are_the_model_s_sorted_as_the_stock_class_does(pipe, expected):
    result = pipe(speech(), candidate_labels=LABELS)
    assert [set(entry) for entry in result] == [{"score", "label"}] * 3
    assert [entry["score"] for entry in result] == sorted((entry["score"] for entry in result), reverse=True)
    assert abs(sum(entry["score"] for entry in result) - 1) < 1e-6
    assert np.ptp(by_label(result)) > 0.01  # not the uniform scores of labels that never reach the text
    assert_same(result, expected)


def test_the_stock_class_gives_the_same(pipe, expected):
    stock = ZeroShotAudioClassificationPipeline(
        model=pipe.model, tokenizer=pipe.tokenizer, feature_extractor=pipe.feature_extractor, device="cpu"
    )
    result = stock(speech(), candidate_labels=LABELS, hypothesis_template="speaker is {}.")
    assert_same(pipe(speech(), candidate_labels=LABELS), result)


def test_without_the_package_the_folder_brings_its_code(release, pipe, tmp_path):
    np.save(tmp_path / "speech.npy", speech())
    script = (
        "import sys, json, numpy\n"
        "from transformers import pipeline\n"
        f"pipe = pipeline({TASK!r}, model=sys.argv[1], trust_remote_code=True, device='cpu')\n"
        "print(json.dumps(pipe(numpy.load('speech.npy'), candidate_labels='angry, happy, sad')))\n"
        "assert 'modeling_paraclap' not in sys.modules\n"
    )
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"HF_HOME": str(tmp_path / "hf"), "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(release)], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    fresh = pipeline(TASK, model=str(release), device="cpu")
    assert_same(json.loads(done.stdout.splitlines()[-1]), fresh(speech(), candidate_labels=LABELS), atol=1e-5)


# -------------------------------------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    "audio",
    [
        torch.from_numpy(speech()),
        np.stack([speech() * 2, speech() * 0]),
        file_bytes(speech()),
        io.BytesIO(file_bytes(speech())),
        {"array": speech(), "sampling_rate": RATE},
        {"audio": {"bytes": file_bytes(speech()), "path": None}, "emotion": "sad"},
    ],
)
def test_forms_of_audio(pipe, expected, audio):
    assert_same(pipe(audio, candidate_labels=LABELS), expected)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_files_at_another_rate_need_no_ffmpeg(pipe, container, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    subtype = {"OGG": "OPUS", "MP3": "MPEG_LAYER_III"}.get(container, "PCM_24")
    waveform = speech(0.5, 48000)
    (tmp_path / "speech").write_bytes(file_bytes(waveform, 48000, container, subtype))
    result = pipe(tmp_path / "speech", candidate_labels=LABELS)
    bare = pipe(waveform, candidate_labels=LABELS, sampling_rate=48000)
    assert_same(result, bare, atol=1e-4 if subtype == "PCM_24" else 0.05)


CLIPS = [speech(seconds, seed=i) for i, seconds in enumerate((0.3, 0.55, 0.1, 0.41, 0.8))]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_batches_of_different_lengths_score_as_each_alone(pipe, batch_size):
    alone = [pipe(clip, candidate_labels=LABELS) for clip in CLIPS]
    for result, single in zip(pipe(CLIPS, candidate_labels=LABELS, batch_size=batch_size), alone, strict=True):
        assert_same(result, single, atol=1e-5)


@pytest.mark.parametrize("front_end", ["layer", "group"])
def test_batches_for_both_kinds_of_encoder_and_normalised_input(tiny_config, tiny_processor, front_end):
    config = tiny_config()
    config.audio_config.feat_extract_norm = front_end
    torch.manual_seed(0)
    extractor = type(tiny_processor.feature_extractor)(do_normalize=True)
    pipe = pipeline(
        TASK, model=ParaClapModel(config), tokenizer=tiny_processor.tokenizer, feature_extractor=extractor, device="cpu"
    )
    alone = [pipe(clip, candidate_labels=LABELS) for clip in CLIPS]
    for result, single in zip(pipe(CLIPS, candidate_labels=LABELS, batch_size=5), alone, strict=True):
        assert_same(result, single, atol=1e-5)


def test_many_audios_in_every_container(pipe):
    import datasets

    alone = [pipe(clip, candidate_labels=LABELS) for clip in CLIPS]
    contents = [{"bytes": file_bytes(clip), "path": None} for clip in CLIPS]
    dataset = datasets.Dataset.from_dict({"audio": contents}).cast_column("audio", datasets.Audio(decode=False))
    sources = {
        "list": list(CLIPS),
        "tuple": tuple(CLIPS),
        "generator": (clip for clip in CLIPS),
        "iterator": iter(CLIPS),
        "map": map(torch.from_numpy, CLIPS),
        "KeyDataset": KeyDataset(dataset, "audio"),
        "dataset": dataset,
        "column": dataset["audio"],
        "streaming": dataset.to_iterable_dataset(),
    }
    for name, source in sources.items():
        results = pipe(source, candidate_labels=LABELS, batch_size=2)
        assert isinstance(results, list) == (name in ("list", "tuple")), name
        results = list(results)
        assert len(results) == len(CLIPS), name
        for result, single in zip(results, alone, strict=True):
            assert_same(result, single, atol=1e-5)
    assert pipe([], candidate_labels=LABELS) == []
    assert len(pipe(CLIPS[:3], candidate_labels=LABELS, num_workers=1)) == 3


# -------------------------------------------------------------------------------------------------------------- labels


def test_labels_as_a_string_a_dict_a_generator_or_of_the_constructor(pipe, expected, release):
    for labels in (" angry,happy , sad,", (label for label in LABELS), {label: label for label in LABELS}):
        assert_same(pipe(speech(), candidate_labels=labels), expected)
    assert_same(pipe(speech(), candidate_labels=np.array(LABELS)), expected)
    own = pipeline(TASK, model=str(release), device="cpu", candidate_labels=LABELS, hypothesis_template="a {}")
    assert_same(own(speech()), own(speech(), candidate_labels=[*LABELS]))
    assert [entry["label"] for entry in own(speech(), candidate_labels="calm")] == ["calm"]


def test_template_from_the_config_or_the_call(pipe, tiny_config, tiny_processor):
    own = pipe(speech(), candidate_labels=LABELS, hypothesis_template="a {} voice")
    assert not np.allclose(by_label(own), by_label(pipe(speech(), candidate_labels=LABELS)), atol=1e-4)
    whole = [f"a {label} voice" for label in LABELS]
    np.testing.assert_allclose(
        by_label(pipe(speech(), candidate_labels=whole, hypothesis_template="{}")), by_label(own), atol=1e-6
    )
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(hypothesis_template="a {} voice"))
    configured = pipeline(
        TASK,
        model=model,
        tokenizer=tiny_processor.tokenizer,
        feature_extractor=tiny_processor.feature_extractor,
        device="cpu",
    )
    assert_same(
        configured(speech(), candidate_labels=LABELS),
        configured(speech(), candidate_labels=LABELS, hypothesis_template="a {} voice"),
    )


def test_prompt_ensembling_averages_normalised_embeddings(pipe):
    labels = {"anger": ["angry", "furious"], "joy": "happy"}
    templates = ["speaker is {}.", "a {} voice"]
    result = pipe(speech(), candidate_labels=labels, hypothesis_template=templates)
    with torch.no_grad():
        columns = []
        for phrases in (["angry", "furious"], ["happy"]):
            texts = [template.format(phrase) for phrase in phrases for template in templates]
            inputs = pipe.tokenizer(texts, padding=True, return_tensors="pt")
            embeds = F.normalize(pipe.model.get_text_features(**inputs).pooler_output, dim=-1)
            columns.append(F.normalize(embeds.mean(0), dim=-1))
        audio = pipe.model.get_audio_features(torch.from_numpy(speech())[None]).pooler_output
        logits = pipe.model.logit_scale.exp() * F.normalize(audio, dim=-1) @ torch.stack(columns).t()
    np.testing.assert_allclose(by_label(result), logits[0].softmax(0).numpy(), atol=1e-5)


def test_a_thousand_labels_and_labels_of_any_script(pipe):
    labels = [f"{word} {i}" for i in range(250) for word in ("fröhlich", "żółty", "中文", "angry")]
    result = pipe(speech(), candidate_labels=labels)
    assert len(result) == 1000
    assert {entry["label"] for entry in result} == set(labels)
    assert abs(sum(entry["score"] for entry in result) - 1) < 1e-4


def test_top_k_sigmoid_and_embeddings(pipe, expected):
    best = pipe(speech(), candidate_labels=LABELS, top_k=1)
    assert best == pipe(speech(), candidate_labels=LABELS)[:1]
    assert len(pipe(speech(), candidate_labels=LABELS, top_k=9)) == 3
    sigmoid = pipe(speech(), candidate_labels=LABELS, function_to_apply="sigmoid")
    logits = np.log(by_label(expected))  # up to a constant
    found = by_label(sigmoid)
    shift = np.log(found / (1 - found)) - logits
    np.testing.assert_allclose(shift, shift[0], atol=1e-3)
    result = pipe(speech(), candidate_labels=LABELS, return_embeddings=True)
    assert set(result) == {"scores", "embedding"}
    assert_same(result["scores"], expected)
    assert result["embedding"].shape == (24,)
    assert result["embedding"].dtype == np.float32
    assert abs(np.linalg.norm(result["embedding"]) - 1) < 1e-5
    batch = pipe(CLIPS, candidate_labels=LABELS, return_embeddings=True, batch_size=3)
    single = pipe(CLIPS[4], candidate_labels=LABELS, return_embeddings=True)
    np.testing.assert_allclose(batch[4]["embedding"], single["embedding"], atol=1e-5)


def test_texts_are_encoded_once(pipe, monkeypatch):
    calls = []
    encode = pipe.model.get_text_features

    def counting(**inputs):
        calls.append(len(inputs["input_ids"]))
        return encode(**inputs)

    monkeypatch.setattr(pipe.model, "get_text_features", counting)
    monkeypatch.setattr(pipe, "text_embeddings", TextEmbeddings())
    pipe(CLIPS, candidate_labels=LABELS, batch_size=2)
    assert calls == [3]
    pipe(CLIPS[0], candidate_labels=["happy", "calm"])
    assert calls == [3, 1]


def test_threads_share_a_pipeline_and_its_labels(pipe, monkeypatch):
    """A clip a core: each thread with labels that nobody has encoded yet, more of them than are kept."""
    monkeypatch.setattr(pipe, "text_embeddings", TextEmbeddings(capacity=5))
    tasks = [(CLIPS[i % len(CLIPS)], [f"feeling {i % 7}", f"mood {i}", "calm"]) for i in range(40)]
    expected = [pipe(clip, candidate_labels=labels) for clip, labels in tasks]
    monkeypatch.setattr(pipe, "text_embeddings", TextEmbeddings(capacity=5))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda task: pipe(task[0], candidate_labels=task[1]), tasks))
    for result, single in zip(results, expected, strict=True):
        assert_same(result, single, atol=1e-5)
    assert len(pipe.text_embeddings) <= 5


def test_bf16_model_and_model_in_training_mode(release, expected):
    low = pipeline(TASK, model=str(release), device="cpu", dtype=torch.bfloat16)
    full = pipeline(TASK, model=str(release), device="cpu")
    assert low.model.dtype == torch.bfloat16
    results = [[p(clip, candidate_labels=LABELS) for clip in CLIPS] for p in (low, full)]
    for a, b in zip(*results, strict=True):
        assert_same(a, b, atol=0.02)
    full.model.train()
    assert_same(full(CLIPS[0], candidate_labels=LABELS), results[1][0])


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("audio", "error", "message"),
    [
        (np.float32([0.1]), AudioError, "too short: 1 samples at 16000 Hz.*The audio encoder needs"),
        (speech()[:200], AudioError, r"too short: 200 samples at 16000 Hz \(0\.0125 s\)"),
        (np.zeros(8000, np.float32), AudioError, "is silent.*leave it out"),
        (np.stack([speech(), -speech()]), AudioError, "is silent.*cancel each other"),
        (file_bytes(np.zeros(8000, np.float32)), AudioError, "is silent"),
        (np.zeros(0, np.float32), AudioError, "is empty"),
        (np.full(8000, np.nan, np.float32), AudioError, "NaN or infinite"),
        ("nowhere.wav", AudioError, "nowhere.wav' does not exist"),
        (file_bytes(speech())[:5000], AudioError, "is truncated"),
        (None, TypeError, "None .NoneType. is not a supported audio input"),
    ],
)
@pytest.mark.parametrize("window_length_s", [None, 0.2])
def test_audio_that_cannot_be_used_says_why(pipe, audio, error, message, window_length_s):
    with pytest.raises(error, match=message):
        pipe(audio, candidate_labels=LABELS, window_length_s=window_length_s)


def test_one_unusable_audio_in_a_list_is_named_and_the_others_can_go_on(pipe, tmp_path):
    (tmp_path / "good.wav").write_bytes(file_bytes(speech()))
    (tmp_path / "bad.wav").write_bytes(file_bytes(speech())[:5000])
    paths = [tmp_path / "good.wav", tmp_path / "bad.wav", tmp_path / "good.wav"]
    with pytest.raises(AudioError, match=r"bad\.wav' is truncated"):
        pipe(paths, candidate_labels=LABELS, batch_size=2)
    results = []
    for path in paths:
        try:
            results.append(pipe(path, candidate_labels=LABELS))
        except AudioError:
            results.append(None)
    assert results[1] is None
    assert results[0] == results[2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "There are no candidate_labels"),
        ({"candidate_labels": []}, ValueError, "There are no candidate_labels"),
        ({"candidate_labels": None}, TypeError, "candidate_labels is None; expected a list"),
        ({"candidate_labels": ["angry", "sad", "angry"]}, ValueError, "more than once: angry"),
        ({"candidate_labels": ["angry " * 999]}, ValueError, r"has 1\d+ tokens; the text encoder takes \d+\. Shorten"),
        ({"hypothesis_template": "speaker is angry."}, ValueError, "has no {}.*all labels would be the same"),
        ({"candidate_label": "angry"}, TypeError, "no argument 'candidate_label'. Did you mean candidate_labels?"),
        ({"chunk": 3}, TypeError, "no argument 'chunk'. It takes candidate_labels"),
        ({"top_k": 0}, ValueError, "top_k is 0; expected a whole number"),
        ({"top_k": 1.5}, ValueError, "top_k is 1.5"),
        ({"top_k": True}, ValueError, "top_k is True"),
        ({"function_to_apply": "none"}, ValueError, 'expected "softmax" or "sigmoid"'),
        ({"window_length_s": -1}, ValueError, "window_length_s is -1; expected a number of seconds"),
        ({"window_length_s": 0.001}, ValueError, "window_length_s is 0.001; the audio encoder needs"),
        ({"window_length_s": 1, "stride_length_s": 2}, ValueError, "would be skipped"),
        ({"stride_length_s": 2}, ValueError, "without a window"),
        ({"sampling_rate": 44.1}, ValueError, "sampling rate is 44.1"),
    ],
)
def test_wrong_arguments_say_what_is_right(pipe, arguments, error, message):
    if arguments and "candidate_labels" not in arguments:
        arguments = {"candidate_labels": LABELS} | arguments
    with pytest.raises(error, match=message):
        pipe(speech(), **arguments)


def test_unknown_arguments_of_the_constructor(release):
    with pytest.raises(TypeError, match="no argument 'templates'"):
        pipeline(TASK, model=str(release), device="cpu", templates="{}")
    assert pipeline(TASK, model=str(release), device="cpu", local_files_only=True)
