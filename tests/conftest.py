"""What the tests share: small models made here, and the real corpora where the machine has them."""

import json
import os
import pathlib

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread for each of the tests that run at once, also in what they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import soundfile
import torch
from transformers import BertConfig, BertTokenizerFast, Wav2Vec2Config, pipeline

from dataset_scripts.build_query_corpus import build_query_corpus
from dataset_scripts.corpora import CORPORA, TASKS
from modeling_paraclap import ParaClapConfig, ParaClapFeatureExtractor, ParaClapModel, ParaClapProcessor
from modeling_paraclap.release_paraclap import save_release
from paraclap.synthetic_speech import Voice, synthesise

FOLDER_OF_CORPORA = os.environ.get("PARACLAP_CORPORA")
SPEAKERS = {"03": 1.0, "08": 1.8, "12": 1.1, "14": 1.7}
EMOTIONS = {"W": (160, 0.9, -12), "T": (100, 0.55, -28)}


def pytest_make_parametrize_id(val):
    """Name encoded audio by its type alone: encoders write the time into it, and workers must agree on names."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def corpora():
    """The folder of real corpora (RAVDESS, EMO-DB, nEMO, LibriSpeech in their owners' layouts)."""
    if not FOLDER_OF_CORPORA:
        pytest.skip("PARACLAP_CORPORA is not set: no real corpora on this machine")
    return pathlib.Path(FOLDER_OF_CORPORA).resolve()


@pytest.fixture
def registry():
    """Forget the corpora that a test registers."""
    before = dict(CORPORA), dict(TASKS)
    yield
    for known, content in zip((CORPORA, TASKS), before, strict=True):
        known.clear()
        known.update(content)


@pytest.fixture(scope="session")
def tiny_config():
    """A function that makes a configuration small enough to run hundreds of times."""

    def make(**kwargs):
        size = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
        audio = Wav2Vec2Config(
            conv_dim=[16, 24, 32],
            conv_kernel=[40, 8, 4],
            conv_stride=[20, 8, 2],
            num_feat_extract_layers=3,
            feat_extract_norm="layer",
            conv_bias=True,
            do_stable_layer_norm=True,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=4,
            layerdrop=0.0,
            apply_spec_augment=False,
            **size,
        )
        text = BertConfig(vocab_size=400, max_position_embeddings=256, **size)
        return ParaClapConfig(**{"audio_config": audio, "text_config": text, "projection_dim": 24} | kwargs)

    return make


@pytest.fixture
def tiny_model(tiny_config):
    """A small model in evaluation mode, the same at each run."""
    torch.manual_seed(0)
    return ParaClapModel(tiny_config()).eval()


@pytest.fixture(scope="session")
def tiny_processor(tmp_path_factory):
    """A processor with a real word-piece tokenizer over letters and a few words."""
    letters = [chr(c) for c in range(33, 127)] + list("äöüßéèńąęłżóđñ中文")
    words = ["speaker", "is", "angry", "happy", "sad", "neutral", "calm", "female", "male", "has", "a", "high", "low"]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *("##" + letter for letter in letters)]
    file = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    file.write_text("\n".join(dict.fromkeys(vocab)) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab=str(file), model_max_length=256)
    return ParaClapProcessor(feature_extractor=ParaClapFeatureExtractor(), tokenizer=tokenizer)


@pytest.fixture(scope="session")
def tiny_release(tiny_config, tiny_processor, tmp_path_factory):
    """A complete release folder of a small model."""
    torch.manual_seed(0)
    return save_release(ParaClapModel(tiny_config()).eval(), tiny_processor, tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def corpus_dir(tmp_path_factory):
    """A query corpus of synthetic voices in EMO-DB's layout: angry ones high and loud, sad ones low and quiet."""
    folder = tmp_path_factory.mktemp("emodb")
    (folder / "wav").mkdir()
    for speaker, scale in SPEAKERS.items():
        for emotion, (pitch, duration, level) in EMOTIONS.items():
            for take in range(1, 7):
                voice = Voice("synthetic", pitch=pitch * scale, pitch_range=2, syllable_rate=4, level=level)
                waveform = synthesise(voice, duration + 0.05 * take, seed=take)
                soundfile.write(folder / "wav" / f"{speaker}a{take:02}{emotion}a.wav", waveform, 16000)
    output = tmp_path_factory.mktemp("built") / "corpus"
    build_query_corpus({"emodb": folder}, output)
    return output


@pytest.fixture(scope="session")
def text_encoder(tiny_config, tiny_processor, tmp_path_factory):
    """A folder with a small pretrained text encoder and its tokenizer, and the file of an audio configuration."""
    folder = tmp_path_factory.mktemp("text")
    torch.manual_seed(0)
    ParaClapModel(tiny_config()).text_model.save_pretrained(folder)
    tiny_processor.tokenizer.save_pretrained(folder)
    audio = tiny_config().audio_config.to_dict() | {"hidden_dropout": 0.1, "mask_time_prob": 0.0}
    (folder / "audio.json").write_text(json.dumps(audio), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def release(tiny_release, tiny_processor, tmp_path_factory):
    """The small model with weights large enough that clips and labels differ by more than rounding."""
    model = ParaClapModel.from_pretrained(tiny_release)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
            elif "projection.layer_norm" in name:  # embeddings of unequal length before they are normalised
                parameter.uniform_(0.1, 2)
    return save_release(model, tiny_processor, tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def pipe(release):
    """The pipeline as a user gets it."""
    return pipeline("zero-shot-audio-classification", model=str(release), device="cpu")
