"""Feature extractor and processor: shapes, padding, normalisation, saving and loading."""

import json

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoFeatureExtractor, AutoProcessor

from modeling_paraclap import ParaClapFeatureExtractor, ParaClapProcessor

RATE = 16000


def speech(length, seed=0):
    """Noise that stands for speech."""
    return np.random.default_rng(seed).normal(size=length).astype(np.float32) * 0.1


@pytest.fixture
def extractor():
    """The default one."""
    return ParaClapFeatureExtractor()


@pytest.mark.parametrize(
    "audio",
    [
        speech(500),
        speech(500).astype(np.float64),
        torch.from_numpy(speech(500)),
        torch.from_numpy(speech(500)).to(torch.bfloat16),
        speech(500).tolist(),
        tuple(speech(500)),
        [speech(500)],
        [torch.from_numpy(speech(500))],
        [speech(500).tolist()],
        speech(500)[None],
        torch.from_numpy(speech(500))[None],
    ],
)
def test_every_form_of_one_utterance_gives_one_row(extractor, audio):
    batch = extractor(audio, sampling_rate=RATE, return_tensors="pt")
    assert list(batch) == extractor.model_input_names == ["input_values", "padding_mask"]
    assert batch["input_values"].shape == batch["padding_mask"].shape == (1, 500)
    assert batch["input_values"].dtype == torch.float32
    assert batch["padding_mask"].dtype == torch.bool
    torch.testing.assert_close(batch["input_values"][0], torch.from_numpy(speech(500)), atol=1e-3, rtol=0)
    assert batch["padding_mask"].all()


def test_shorter_utterances_are_padded_and_masked(extractor):
    batch = extractor([speech(300), speech(500)], sampling_rate=RATE, return_tensors="np")
    assert batch["input_values"].shape == (2, 500)
    assert batch["padding_mask"].sum(1).tolist() == [300, 500]
    assert (batch["input_values"][0, 300:] == 0).all()
    np.testing.assert_array_equal(batch["input_values"][0, :300], speech(300))
    batch = extractor(np.stack([speech(300)] * 3), sampling_rate=RATE, return_tensors="pt")
    assert batch["input_values"].shape == (3, 300)


def test_padding_and_truncation_options(extractor):
    audio = [speech(300), speech(500)]
    ragged = extractor(audio, sampling_rate=RATE, padding=False)
    assert [len(row) for row in ragged["input_values"]] == [len(row) for row in ragged["padding_mask"]] == [300, 500]
    cut = extractor(
        audio, sampling_rate=RATE, padding="max_length", max_length=400, truncation=True, return_tensors="pt"
    )
    assert cut["input_values"].shape == (2, 400)
    assert cut["padding_mask"].sum(1).tolist() == [300, 400]
    rounded = extractor(audio, sampling_rate=RATE, pad_to_multiple_of=320, return_tensors="pt")
    assert rounded["input_values"].shape == (2, 640)


def test_normalisation_is_over_the_valid_samples_only():
    extractor = ParaClapFeatureExtractor(do_normalize=True)
    audio = [3 * speech(300) + 1, speech(500)]
    batch = extractor(audio, sampling_rate=RATE, return_tensors="pt")
    alone = extractor(audio[0], sampling_rate=RATE, return_tensors="pt")
    torch.testing.assert_close(batch["input_values"][0, :300], alone["input_values"][0])
    assert abs(alone["input_values"].mean()) < 1e-5
    assert abs(alone["input_values"].std(correction=0) - 1) < 1e-3
    assert (batch["input_values"][0, 300:] == 0).all()
    raw = ParaClapFeatureExtractor()(audio[0], sampling_rate=RATE, return_tensors="pt")
    torch.testing.assert_close(raw["input_values"][0], torch.from_numpy(audio[0]))


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ([], "list is empty"),
        (np.zeros(0), "Utterance 0 has no samples"),
        ([speech(400), np.zeros(0)], "Utterance 1 has no samples"),
        ([np.zeros((2, 400))], r"Utterance 0 has the shape \(2, 400\).*Average channels"),
        (np.zeros((400, 2)), r"means 400 utterances of 2 samples.*average them"),
        (torch.zeros(1, 2, 400), r"has the shape \(1, 2, 400\)"),
        (np.float32(3), r"has the shape \(\)"),
    ],
)
def test_wrong_shapes_say_what_to_do(extractor, audio, message):
    with pytest.raises(ValueError, match=message):
        extractor(audio, sampling_rate=RATE)


def test_another_rate_is_an_error_that_names_both(extractor):
    with pytest.raises(ValueError, match="44100 Hz.*16000 Hz.*Resample"):
        extractor(speech(500), sampling_rate=44100)


def test_processor_takes_texts_and_audio_together_and_alone(tiny_processor):
    audio = [speech(300), speech(500)]
    batch = tiny_processor(text=["speaker is angry", "happy"], audio=audio, sampling_rate=RATE, return_tensors="pt")
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 5)
    assert batch["attention_mask"].sum(1).tolist() == [5, 3]
    assert batch["padding_mask"].sum(1).tolist() == [300, 500]
    only_text = tiny_processor(text="happy", return_tensors="pt")
    assert "input_ids" in only_text
    assert "input_values" not in only_text
    only_audio = tiny_processor(audio=audio[0], sampling_rate=RATE, return_tensors="pt")
    assert sorted(only_audio) == ["input_values", "padding_mask"]


def test_processor_reads_files(tiny_processor, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech(800), 8000, subtype="FLOAT")
    batch = tiny_processor(audio=[str(tmp_path / "a.wav")], return_tensors="pt")
    assert batch["input_values"].shape == (1, 1600)


def test_the_processor_s_output_is_the_model_s_input(tiny_model, tiny_processor):
    batch = tiny_processor(
        text=["angry", "happy"], audio=[speech(3000), speech(5000)], sampling_rate=RATE, return_tensors="pt"
    )
    with torch.no_grad():
        assert tiny_model(**batch).logits_per_audio.shape == (2, 2)


def test_saved_processor_loads_with_its_settings(tiny_processor, tmp_path):
    processor = ParaClapProcessor(ParaClapFeatureExtractor(do_normalize=True), tiny_processor.tokenizer)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    assert saved["auto_map"]["AutoProcessor"] == "processing_paraclap.ParaClapProcessor"
    name = saved["feature_extractor"]["auto_map"]["AutoFeatureExtractor"]
    assert name == "feature_extraction_paraclap.ParaClapFeatureExtractor"
    loaded = ParaClapProcessor.from_pretrained(tmp_path)
    assert loaded.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
    assert loaded.feature_extractor.do_normalize
    assert loaded(text="angry")["input_ids"] == processor(text="angry")["input_ids"]


def test_auto_classes_find_them_in_a_release(tiny_release):
    assert type(AutoFeatureExtractor.from_pretrained(tiny_release)).__name__ == "ParaClapFeatureExtractor"
    assert type(AutoProcessor.from_pretrained(tiny_release)).__name__ == "ParaClapProcessor"


def test_padding_is_on_the_right():
    with pytest.raises(ValueError, match="padding_side is 'left'"):
        ParaClapFeatureExtractor(padding_side="left")
