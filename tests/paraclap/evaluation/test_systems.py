"""Anybody's model through the one evaluator: ClapModel, an adapter, answers in free text; and wordings."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, Wav2Vec2Config, Wav2Vec2Model

from modeling_paraclap.audio_paraclap import load_audio
from paraclap.evaluation import wording
from paraclap.evaluation.__main__ import main
from paraclap.evaluation.models import TransformersModel, UnusableModel
from paraclap.evaluation.systems import average_texts, load_system

ADAPTER = """
import numpy as np, torch
from paraclap.evaluation.models import ModelFacts

class Loudness:
    def describe(self):
        return ModelFacts("loudness", "Loudness", 8000, "is {}", "root mean square", 1.0)

    def embed_audio(self, waveforms):
        assert all(w.dtype == np.float32 and w.ndim == 1 for w in waveforms)
        return torch.tensor([[float(np.sqrt(np.mean(w**2))), 0.1] for w in waveforms])

    def embed_texts(self, texts):
        return torch.tensor([[1.0, 0.0] if "angry" in text else [0.0, 1.0] for text in texts])

def load():
    return Loudness()

def nothing():
    return object()
"""


@pytest.fixture(scope="module")
def clap(tiny_processor, tmp_path_factory):
    """The folder of a small ClapModel with random weights and a processor of its own rate."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    audio = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "patch_embeds_hidden_size": 8,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "window_size": 2,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "projection_dim": 16,
    }
    config = ClapConfig(
        text_config=small | {"vocab_size": 400, "projection_dim": 16, "max_position_embeddings": 300},
        audio_config=audio,
        projection_dim=16,
    )
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=8000, max_length_s=1, fft_window_size=256, hop_length=80, frequency_max=4000,
        truncation="rand_trunc",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("clap")
    ClapModel(config).eval().save_pretrained(folder)
    ClapProcessor(extractor, tiny_processor.tokenizer).save_pretrained(folder)
    return folder


def evaluate(model, ravdess, folder, *more):
    arguments = ["--model", str(model), "--corpora", f"ravdess={ravdess}", "--output_dir", str(folder)]
    assert main([*arguments, "--n_resamples", "50", *more]) == 0
    return json.loads((folder / "results.json").read_text())


def test_a_clap_model_goes_through_the_same_evaluation(clap, ravdess, tmp_path):
    results = evaluate(clap, ravdess, tmp_path, "--tasks", "ravdess")
    facts, task = results["protocol"]["model_facts"], results["tasks"]["ravdess"]
    assert (facts["kind"], facts["sampling_rate"], facts["template"]) == ("ClapModel", 8000, "This is a sound of {}.")
    assert "rand_trunc" in facts["preprocessing"]
    assert task["prompts"]["sad"] == ["This is a sound of sad."]
    assert (task["n"], task["n_unreadable"]) == (16, 3)

    model = TransformersModel(str(clap))
    file = sorted(ravdess.rglob("*-01.wav"))[0]
    audio = F.normalize(model.embed_audio([load_audio(file, 8000)]), dim=-1)
    labels = list(task["prompts"])
    text = F.normalize(model.embed_texts([task["prompts"][label][0] for label in labels]), dim=-1)
    expected = (audio @ text.T * np.exp(facts["logit_scale"])).softmax(-1)[0]
    row = pd.read_csv(tmp_path / "ravdess_predictions.csv").set_index("file").filter(regex="score_")
    found = row[[name.endswith(file.name) for name in row.index]].to_numpy()[0]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_an_embedding_does_not_depend_on_its_neighbours_or_on_chance(clap):
    model, rng = TransformersModel(str(clap)), np.random.default_rng(0)
    long, short = (rng.normal(size=n).astype(np.float32) for n in (20000, 3000))
    together = model.embed_audio([long, short])
    torch.testing.assert_close(model.embed_audio([short])[0], together[1])
    torch.testing.assert_close(model.embed_audio([long])[0], together[0])


def test_an_adapter_of_the_users_own(ravdess, tmp_path, monkeypatch):
    (tmp_path / "my_adapter.py").write_text(ADAPTER)
    monkeypatch.chdir(tmp_path)
    results = evaluate("my_adapter:load", ravdess, tmp_path / "EVAL", "--tasks", "ravdess")
    assert results["protocol"]["model_facts"]["preprocessing"] == "root mean square"
    assert results["protocol"]["weights_sha256"] is None
    predictions = pd.read_csv(tmp_path / "EVAL" / "ravdess_predictions.csv")
    assert {"angry", "neutral"} >= set(predictions["prediction"])
    assert predictions["prediction"].nunique() == 2
    with pytest.raises(UnusableModel, match="returned a object without describe, embed_audio, embed_texts"):
        load_system("my_adapter:nothing")
    with pytest.raises(UnusableModel, match="has no function 'missing'"):
        load_system("my_adapter:missing")
    with pytest.raises(UnusableModel, match="the module 'no_such_module' is neither"):
        load_system("no_such_module:load")


def test_a_model_without_texts_is_refused(tmp_path):
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = Wav2Vec2Config(**small, conv_dim=[8], conv_kernel=[10], conv_stride=[5], num_conv_pos_embeddings=4,
                            num_conv_pos_embedding_groups=2, num_feat_extract_layers=1)  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    with pytest.raises(UnusableModel, match="is a Wav2Vec2Model without get_audio_features"):
        load_system(str(tmp_path))


def test_answers_in_free_text(text_encoder, ravdess, tmp_path, capsys):
    files = sorted(str(file.relative_to(ravdess)) for file in ravdess.rglob("*.wav"))
    lines = ["file,answer", *(f"{file},angry" for file in files[:10]), f"{files[10]},sad"]
    (tmp_path / "answers.csv").write_text("\n".join(lines) + "\n")
    more = ["--answers", str(tmp_path / "answers.csv"), "--text_encoder", str(text_encoder), "--tasks", "ravdess"]
    results = evaluate("Pengi", ravdess, tmp_path / "EVAL", *more)
    assert results["protocol"]["model_facts"]["name"] == "Pengi"
    predictions = pd.read_csv(tmp_path / "EVAL" / "ravdess_predictions.csv").set_index("file")["prediction"]
    assert predictions.value_counts().to_dict() == {"angry": 10, "sad": 1}
    rejected = pd.read_csv(tmp_path / "EVAL" / "rejected.csv")
    assert (rejected["reason"] == "The system has no answer for it.").sum() == len(files) - 11


def test_averaged_texts_are_of_unit_length():
    table = {"a": [3.0, 0.0], "b": [0.0, 2.0]}
    found = average_texts(lambda texts: torch.tensor([table[text] for text in texts]), [["a", "b"], ["b"]])
    torch.testing.assert_close(found, torch.tensor([[0.5**0.5, 0.5**0.5], [0.0, 1.0]]))


def test_wordings_are_measured_beside_the_figure(tiny_release, ravdess, tmp_path, capsys):
    results = evaluate(tiny_release, ravdess, tmp_path / "all", "--tasks", "ravdess", "--wording")
    found = results["tasks"]["ravdess"]["wording"]
    uars = found["paraphrases"]["uars"]
    assert list(uars) == list(wording.PARAPHRASES)
    assert uars["speaker is {}."] == results["tasks"]["ravdess"]["uar"]
    assert found["paraphrases"]["mean"] == pytest.approx(np.mean(list(uars.values())))
    assert "UAR with other wordings:" in capsys.readouterr().out
    alone = evaluate(
        tiny_release, ravdess, tmp_path / "one", "--tasks", "ravdess", "--template", wording.PARAPHRASES[3]
    )
    assert alone["tasks"]["ravdess"]["uar"] == uars[wording.PARAPHRASES[3]]


def test_held_out_words_are_the_tables_own():
    sets = wording.held_out_words(["angry", "calm"])
    assert len(sets) >= 3
    assert len({words["angry"] for words in sets}) == len(sets)
    assert wording.held_out_words(["angry", "not an emotion"]) == []
