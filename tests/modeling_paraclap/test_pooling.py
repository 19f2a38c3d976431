"""From frames to one vector: sums that do not overflow, padding that does not count, weights that are learnt."""

import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, batch
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutput

from modeling_paraclap import ParaClapConfig, ParaClapModel
from modeling_paraclap.pooling_paraclap import (
    CALIBRATING_BATCHES,
    AttentiveStatistics,
    ChannelNorm,
    ParaClapAudioPooling,
    masked_group_means,
    masked_mean,
    masked_statistics,
)

ATTENTIVE = dict(audio_pooling="attentive_statistics", audio_pooling_size=16, audio_pooling_heads=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("masked", [True, False])
def test_sums_over_minutes_do_not_overflow(dtype, masked):
    states = torch.full((1, 20_000, 2), 4.0, dtype=dtype)
    mask = torch.ones(1, 20_000, dtype=torch.bool) if masked else None
    assert masked_mean(states, mask).tolist() == [[4.0, 4.0]]
    assert masked_mean(states, mask).dtype == dtype
    found = masked_statistics(states, mask)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), torch.tensor([[4.0, 4.0, 0.01, 0.01]]), atol=1e-4, rtol=0)


def test_squares_of_large_float16_states_do_not_overflow():
    states = torch.tensor([300.0, -300.0, 300.0, -300.0], dtype=torch.float16)[None, :, None]
    assert masked_statistics(states).tolist() == [[0.0, 300.0]]
    attentive = AttentiveStatistics(2, 2).half()
    found = attentive(states.expand(1, 4, 2))
    assert torch.isfinite(found).all()


def test_group_means_take_the_frames_that_there_are():
    states = torch.tensor([[1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 4.0, 6.0, 50.0, 50.0]])[..., None]
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    assert masked_group_means(states, 2, mask)[..., 0].tolist() == [[2, 6, 9], [3, 6, 0]]
    assert masked_group_means(states[:1], 2)[..., 0].tolist() == [[2, 6, 9]]


def test_attentive_statistics_are_the_weighted_mean_and_deviation():
    torch.manual_seed(0)
    pooling, states = AttentiveStatistics(4, 2), torch.randn(2, 7, 4)
    weights = pooling.attention(states).softmax(1)
    expected = []
    for channel in range(4):
        weight = weights[..., channel // 2]
        mean = (weight * states[..., channel]).sum(1)
        variance = (weight * (states[..., channel] - mean[:, None]) ** 2).sum(1)
        expected.append(torch.stack([mean, (variance + 1e-4).sqrt()]))
    expected = torch.stack(expected)  # (channels, mean and deviation, batch)
    torch.testing.assert_close(pooling(states), expected.permute(2, 1, 0).flatten(1))


def test_attention_leaves_the_padding_out():
    pooling, states = AttentiveStatistics(4, 2), torch.randn(1, 5, 4)
    padded = torch.cat([states, torch.full((1, 4, 4), 9.0)], 1)
    mask = torch.tensor([[1] * 5 + [0] * 4])
    torch.testing.assert_close(pooling(padded, mask), pooling(states))
    assert not torch.allclose(pooling(padded), pooling(states))


def test_channels_are_normalised_by_the_statistics_of_the_first_batches():
    torch.manual_seed(0)
    norm = ChannelNorm(3).train()
    offset, scale = torch.tensor([1000.0, 0.0, -5.0]), torch.tensor([1.0, 0.1, 20.0])
    mask = torch.ones(4, 50, dtype=torch.bool)
    mask[:, 40:] = False
    heard = []
    for _ in range(CALIBRATING_BATCHES):
        states = torch.randn(4, 50, 3) * scale + offset
        heard.append(states[:, :40])
        norm(states.masked_fill(~mask[..., None], 1e4), mask)
    heard = torch.cat(heard).flatten(0, 1).double()
    torch.testing.assert_close(norm.mean.double(), heard.mean(0), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(norm.variance.double(), heard.var(0, unbiased=False), rtol=1e-3, atol=0)
    before = norm.mean.clone()
    norm(torch.full((1, 5, 3), 7.0))
    assert torch.equal(norm.mean, before)
    normalised = norm.eval()(heard.float()[None])[0]
    torch.testing.assert_close(normalised.std(0), torch.tensor([1.0, 0.995, 1.0]), atol=1e-2, rtol=0)


def test_evaluation_takes_no_statistics_in():
    norm = ChannelNorm(2).eval()
    torch.testing.assert_close(norm(torch.full((1, 3, 2), 5.0)), torch.full((1, 3, 2), 5.0), rtol=1e-4, atol=0)
    assert norm.batches == 0


@torch.no_grad()
@pytest.mark.parametrize(
    "options", [ATTENTIVE, dict(audio_layer_weights=True), ATTENTIVE | {"audio_layer_weights": [0, 1]}]
)
@pytest.mark.parametrize("tower", ["whisper", "hubert"])
def test_a_batch_equals_one_by_one_and_loads_again(tiny_config, tmp_path, options, tower):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(audio_config=AUDIO_CONFIGS[tower], **options))
    inputs = batch()
    model.train()(**inputs)  # takes statistics in
    if model.audio_pooling.layer_weights is not None:
        model.audio_pooling.layer_weights.copy_(torch.tensor([0.5, -0.5]))
    model.eval()
    together = model(**inputs).audio_embeds
    for row in range(3):
        samples = inputs["padding_mask"][row].sum()
        alone = model.get_audio_features(inputs["input_values"][row : row + 1, :samples]).pooler_output
        torch.testing.assert_close(F.normalize(alone, dim=-1)[0], together[row], atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    loaded, info = ParaClapModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert torch.equal(loaded(**inputs).audio_embeds, together)
    half = ParaClapModel.from_pretrained(tmp_path, dtype=torch.bfloat16)(**inputs).audio_embeds.float()
    assert F.cosine_similarity(half, together).min() > 0.99


@torch.no_grad()
def test_layer_weights_sum_the_layers_states(tiny_config):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(audio_layer_weights=[0, 2])).eval()
    model.audio_pooling.layer_weights.copy_(torch.tensor([0.0, 1.0]))
    states = [torch.randn(2, 5, 32) for _ in range(3)]
    found = model.audio_pooling.weigh_layers(BaseModelOutput(last_hidden_state=states[2], hidden_states=tuple(states)))
    first, second = torch.tensor([0.0, 1.0]).softmax(0)
    torch.testing.assert_close(found, first * states[0] + second * states[2])
    inputs = batch()
    audio = model.get_audio_features(inputs["input_values"], inputs["padding_mask"])
    assert audio.hidden_states is None  # they were not asked for
    asked = model.get_audio_features(inputs["input_values"], inputs["padding_mask"], output_hidden_states=True)
    assert len(asked.hidden_states) == 3


def test_every_parameter_of_the_pooling_learns(tiny_config):
    model = ParaClapModel(tiny_config(**ATTENTIVE, audio_layer_weights=True, audio_pooling_dropout=0.1)).train()
    model(**batch(), return_loss=True).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert model.audio_pooling.layer_weights.grad.abs().max() > 0


def test_an_encoder_without_one_state_for_each_layer_is_refused(tiny_config):
    model = ParaClapModel(tiny_config(audio_config=AUDIO_CONFIGS["sew"], audio_layer_weights=True)).eval()
    with pytest.raises(ValueError, match="takes one state for each layer, all of one shape"):
        model(**batch())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(audio_layer_weights=[0, 1]), "audio_layer_weights is .0, 1.; expected different layers from 0 to 12"),
        (dict(audio_layer_weights=[12, 12]), "expected different layers"),
        (dict(audio_layer_weights=[]), "expected different layers"),
        (ATTENTIVE | {"audio_pooling_heads": 3}, "audio_pooling_heads is 3; expected a number that divides the 16"),
        (dict(audio_pooling_dropout=1.0), "audio_pooling_dropout is 1.0; it must lie in"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ParaClapConfig(**options)


def test_channels_are_dropped_in_training_alone():
    config = ParaClapConfig(audio_config=AUDIO_CONFIGS["whisper"], audio_channel_dropout=0.5, **ATTENTIVE)
    pooling = ParaClapAudioPooling(config).eval()
    outputs = BaseModelOutput(last_hidden_state=torch.randn(2, 9, 32))
    assert torch.equal(pooling(outputs), pooling(outputs))
    pooling.train()
    assert not torch.equal(pooling(outputs), pooling(outputs))
    with pytest.raises(ValueError, match="audio_channel_dropout is 1"):
        ParaClapConfig(audio_channel_dropout=1)
