"""Registering our pipeline leaves every other model of the task as transformers serves it."""

import copy

import numpy as np
import pytest
import torch
from helpers.audio import tone
from transformers import ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel, ClapTextConfig, pipeline
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline

from modeling_paraclap import ParaClapZeroShotAudioClassificationPipeline, registration

TASK = "zero-shot-audio-classification"
LABELS = ["angry", "happy", "sad"]


def test_clap_is_served_as_before(tiny_processor):
    size = dict(hidden_size=16, num_attention_heads=2, projection_dim=16)
    config = ClapConfig(
        text_config=ClapTextConfig(vocab_size=400, num_hidden_layers=1, intermediate_size=16, pad_token_id=0, **size),
        audio_config=ClapAudioConfig(
            patch_embeds_hidden_size=16,
            depths=[1, 1, 1, 1],
            num_attention_heads=[2, 2, 2, 2],
            hidden_size=128,
            projection_dim=16,
        ),
        projection_dim=16,
    )
    tokenizer = copy.deepcopy(tiny_processor.tokenizer)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    torch.manual_seed(0)
    parts = dict(
        model=ClapModel(config).eval(),
        tokenizer=tokenizer,
        feature_extractor=ClapFeatureExtractor(feature_size=64, truncation="rand_trunc"),
        device="cpu",
    )
    registration.register()  # as the first configuration of a ParaCLAP does
    ours, stock = pipeline(TASK, **parts), ZeroShotAudioClassificationPipeline(**parts)
    assert type(ours) is ParaClapZeroShotAudioClassificationPipeline
    audio = tone(1, 48000)
    assert ours(audio, candidate_labels=LABELS) == stock(audio, candidate_labels=LABELS)
    own = ours(audio, candidate_labels=LABELS, hypothesis_template="a {}")
    assert own == stock(audio, candidate_labels=LABELS, hypothesis_template="a {}")
    assert own != ours(audio, candidate_labels=LABELS)
    assert ours([audio] * 2, candidate_labels=LABELS) == stock([audio] * 2, candidate_labels=LABELS)
    with pytest.raises(ValueError, match="single channel"):
        ours(np.stack([audio, audio]), candidate_labels=LABELS)
