"""That training works at all: what is audible by construction is learnt, and each variant learns what it is told."""

import json
import re

import pandas as pd
import pytest
import soundfile
import torch
from scipy.signal import lfilter
from transformers import BertConfig, BertModel, BertTokenizerFast

from dataset_scripts.binning import fit_bins
from dataset_scripts.parquet import FEATURES, write_splits
from dataset_scripts.queries import TEMPLATES, VARIANTS
from paraclap.synthetic_speech import Voice, synthesise
from paraclap.training import train
from paraclap.training.records import read_rows
from paraclap.training.validation import SYNONYMS

# Each is heard by one thing alone: emotion by the spectrum's tilt (vocal effort), gender by the length of the vocal
# tract, pitch by the pitch. The level says nothing.
EMOTIONS = {"angry": ([1, -0.9], [1]), "neutral": ([1], [1]), "sad": ([1], [1, -0.9])}
GENDERS = {"male": (0.85, 0.88), "female": (1.3, 1.33)}
PITCHES = (80,) * 3 + (150,) * 4 + (300,) * 3  # Hz: the 30, 40 and 30 % of the paper's bins
SECONDS = 0.6
SMALL = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 128}
AUDIO = {"model_type": "wav2vec2", "conv_dim": [64, 64, 64], "conv_kernel": [320, 8, 4], "conv_stride": [80, 4, 2]}
AUDIO |= {"num_feat_extract_layers": 3, "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
AUDIO |= {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "layerdrop": 0.0, "mask_time_prob": 0.0}
AUDIO |= dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0) | SMALL


def write_corpus(folder):
    """A query corpus of 240 utterances to learn from, and 48 others."""
    rows, seed = [], 0
    for split, pitches in (("train", PITCHES * 2), ("validation", PITCHES[::3])):
        for emotion, tilt in EMOTIONS.items():
            for gender, scales in GENDERS.items():
                for scale in scales:
                    for pitch in pitches:
                        seed += 1
                        voice = Voice("", pitch, pitch_range=1, syllable_rate=4, level=-26, formant_scale=scale)
                        waveform = lfilter(*tilt, synthesise(voice, SECONDS, seed))
                        waveform *= 0.04 / waveform.std()
                        path = folder / f"{seed:04}.wav"
                        soundfile.write(path, waveform, 16000)
                        rows.append({"path": path, "file": path.name, "split": split, "emotion": emotion})
                        rows[-1] |= {"gender": gender, "pitch_mean": float(pitch), "corpus": "synthetic"}
    frame = pd.DataFrame(rows)
    bins = fit_bins(frame)
    frame = bins.apply(frame).reindex(columns=[*FEATURES, "path"])
    write_splits(frame, folder / "corpus" / "data")
    bins.save(folder / "corpus" / "bins.json")


def write_text_encoder(folder):
    """A small BERT that knows each word of the queries, and no more."""
    words = {word for template in TEMPLATES for word in template.text.split() if "{" not in word}
    words |= {"angry", "anger", "neutral", "neutrality", "sad", "sadness", "female", "male"}
    words |= set(re.findall(r"[a-z]+", str(SYNONYMS)))  # validation asks by synonyms, too
    file = folder / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)]), encoding="utf-8")
    BertTokenizerFast(vocab=str(file), model_max_length=64).save_pretrained(folder / "text")
    config = BertConfig(vocab_size=len(words) + 5, max_position_embeddings=64, **SMALL)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder / "text")
    (folder / "audio.json").write_text(json.dumps(AUDIO), encoding="utf-8")


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Variant to the zero-shot UARs after its last epoch, on utterances that it never heard and that chose nothing."""
    folder = tmp_path_factory.mktemp("audible")
    write_corpus(folder)
    write_text_encoder(folder)
    words = f"--corpus_dir {folder}/corpus --audio_config {folder}/audio.json --text_model_name_or_path {folder}/text"
    words += " --filter_bank --text_pooling mean --projection_dim 32 --projection_dropout 0 --crop_s 0.6"
    words += " --loss_type multi_positive --query_bank --max_queries 3 --batch_size 24 --num_train_epochs 20"
    words += " --encoder_learning_rate 2e-3 --head_learning_rate 2e-3 --lr_scheduler_type cosine --warmup_ratio 0.1"
    words += " --max_grad_norm 1 --checkpoint_every 0 --keep_decoded --mixed_precision no --report_to none"
    found = {}
    for variant in VARIANTS:
        train.main([*words.split(), "--variant", variant, "--output_dir", str(folder / variant)])
        last = read_rows(folder / variant / "history.csv")[-1]
        found[variant] = {task: float(last[f"uar_{task}"]) for task in ("emotion_synthetic", "gender", "pitch")}
    return found


@pytest.mark.parametrize("variant", ["rand5", "rand1"])
def test_what_is_audible_is_learnt(figures, variant):
    assert min(figures[variant].values()) >= 0.9, figures[variant]


def test_without_emotions_the_rest_is_learnt(figures):
    found = figures["no_emo"]
    assert min(found["gender"], found["pitch"]) >= 0.9, found
    assert found["emotion_synthetic"] < 0.6, found


def test_of_emotions_alone_nothing_else_is_learnt(figures):
    found = figures["only_emo"]
    assert found["emotion_synthetic"] >= 0.9, found
    assert max(found["gender"] - 0.15, found["pitch"]) < 0.6, found
