"""What the tests share: small models made here, and the real corpora where the machine has them."""

import os
import pathlib

import pytest
import torch
from transformers import BertConfig, BertTokenizerFast, Wav2Vec2Config

from modeling_paraclap import ParaClapConfig, ParaClapFeatureExtractor, ParaClapModel, ParaClapProcessor
from modeling_paraclap.release_paraclap import save_release

CORPORA = os.environ.get("PARACLAP_CORPORA")


@pytest.fixture(scope="session")
def corpora():
    """The folder of real corpora (RAVDESS, EMO-DB, nEMO, LibriSpeech in their owners' layouts)."""
    if not CORPORA:
        pytest.skip("PARACLAP_CORPORA is not set: no real corpora on this machine")
    return pathlib.Path(CORPORA).resolve()


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
