"""A configuration whose numbers make no model, or whose model is not that of the weights, is refused."""

import json
import math
import shutil

import pytest
from helpers.scores import TASK, speech
from transformers import BertConfig, Wav2Vec2Config, pipeline

from modeling_paraclap import ParaClapAudioConfig, ParaClapConfig, ParaClapModel, ParaClapWhisperConfig
from modeling_paraclap.scoring_paraclap import Scorer


@pytest.fixture
def changed(release, tmp_path):
    """A function that returns a copy of the release with one setting changed, its place given with dots."""

    def make(place, value):
        folder = shutil.copytree(release, tmp_path / "changed", dirs_exist_ok=True)
        settings = json.loads((release / "config.json").read_text(encoding="utf-8"))
        *parts, name = place.split(".")
        part = settings
        for key in parts:
            part = part[key]
        part[name] = value
        (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        return folder

    return make


@pytest.mark.parametrize("value", [-1, 0, 10**9, "2", None, 2.5, math.nan, math.inf, True, [1]])
@pytest.mark.parametrize(
    "place",
    [
        "audio_config.num_hidden_layers",
        "text_config.num_hidden_layers",
        "text_config.hidden_size",
        "audio_config.num_attention_heads",
        "audio_config.intermediate_size",
        "audio_config.conv_dim",
        "text_config.vocab_size",
        "text_config.max_position_embeddings",
        "projection_dim",
        "num_members",
    ],
)
def test_sizes_that_make_no_model_are_refused(changed, place, value):
    # Of the wrong type, transformers says so itself for the towers: its errors begin with "Validation".
    with pytest.raises(Exception, match=rf"{place.split('.')[-1]}.* (is|has|expected|doesn't)") as raised:
        ParaClapConfig.from_pretrained(changed(place, value))
    assert isinstance(raised.value, ValueError) or "Validation" in type(raised.value).__name__


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("text_config.layer_norm_eps", math.nan, "text_config.layer_norm_eps is nan; expected finite"),
        ("audio_config.layer_norm_eps", 2.5, "audio_config.layer_norm_eps is 2.5; expected a small number"),
        ("text_config.layer_norm_eps", -1e-5, "expected a small number above 0"),
        ("audio_config.hidden_dropout", 1.5, "audio_config.hidden_dropout is 1.5; a probability"),
        ("text_config.attention_probs_dropout_prob", -0.1, "a probability lies in"),
        ("audio_config.layerdrop", math.inf, "layerdrop is inf"),
        ("audio_config.conv_kernel", [40, -8, 4], "conv_kernel is -8; expected a whole number from 1"),
        ("audio_config.conv_stride", [20, 0, 2], "conv_stride is 0; expected a whole number from 1"),
        ("logit_scale_init_value", math.nan, "logit_scale_init_value is nan; expected a number from -50 to 50"),
        ("logit_scale_init_value", "2", "logit_scale_init_value is '2'"),
        ("logit_bias_init_value", -math.inf, "logit_bias_init_value is -inf"),
        ("projection_dropout", "0.1", r"projection_dropout is '0.1'; it must lie in \[0, 1\)"),
        ("audio_pooling_size", -3, "audio_pooling_size is -3; expected a whole number from 1"),
        ("hypothesis_template", ["{}"], "has no {} for the label"),
    ],
)
def test_other_numbers_that_make_no_model_are_refused(changed, place, value, message):
    with pytest.raises(ValueError, match=message):
        pipeline(TASK, model=str(changed(place, value)))


@pytest.mark.parametrize(
    ("config_class", "arguments"),
    [
        (ParaClapAudioConfig, {"num_hidden_layers": -1}),
        (ParaClapAudioConfig, {"num_mel_bins": 0}),
        (ParaClapWhisperConfig, {"encoder_layers": 0}),
        (ParaClapWhisperConfig, {"encoder_layers": 10**9}),
    ],
)
def test_towers_of_the_project_alone_are_checked_too(config_class, arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} is .*; expected a whole number from 1 to"):
        config_class(**arguments)


def test_the_largest_published_encoders_pass():
    audio = Wav2Vec2Config(hidden_size=1920, num_hidden_layers=48, intermediate_size=7680)  # XLS-R 2B
    text = BertConfig(vocab_size=250002, hidden_size=4096, num_hidden_layers=48, max_position_embeddings=32768)
    assert ParaClapConfig(audio_config=audio, text_config=text).audio_config.num_hidden_layers == 48


# -------------------------------------------------------------------- numbers that make another model than the weights


@pytest.mark.parametrize(
    ("place", "value", "weight"),
    [
        ("audio_config.num_hidden_layers", 1, r"audio_model.encoder.layers.1"),
        ("audio_config.num_hidden_layers", 3, r"audio_model.encoder.layers.2"),
        ("text_config.num_hidden_layers", 1, r"text_model.encoder.layer.1"),
        ("center_audio", True, "audio_center"),
        ("loss_type", "sigmoid", "logit_bias"),
    ],
)
def test_a_configuration_of_another_model_does_not_score(changed, place, value, weight):
    folder = changed(place, value)
    for load in (
        Scorer.from_pretrained,
        lambda name: pipeline(TASK, model=str(name))(speech(), candidate_labels="a,b"),
    ):
        with pytest.raises(ValueError, match=rf"weights are missing .* such as {weight}.*: its scores would be random"):
            load(folder)


def test_new_weights_that_were_trained_score(release, tiny_processor):
    model = ParaClapModel.from_pretrained(release, loss_type="sigmoid").train()
    scorer = Scorer(model, tiny_processor.feature_extractor, tiny_processor.tokenizer)
    assert scorer.embed(speech()).embedding.shape == (24,)
