"""Freezing an audio encoder from the bottom up: no gradient, no graph, no dropout below, all of them above."""

import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, SIZE, batch
from transformers import HubertConfig

from modeling_paraclap import ParaClapAudioConfig, ParaClapModel, ParaClapWhisperConfig
from modeling_paraclap.freezing_paraclap import freeze_feature_encoder

LAYERS = {"num_hidden_layers": 3}
CONFIGS = {
    "whisper": ParaClapWhisperConfig(**SIZE | LAYERS, encoder_ffn_dim=48, dropout=0.3),
    "whisper, truncated": ParaClapWhisperConfig(**SIZE | LAYERS, encoder_ffn_dim=48, final_layer_norm=False),
    "hubert": HubertConfig(**AUDIO_CONFIGS["hubert"].to_dict() | LAYERS),
    "hubert, norm first": HubertConfig(**AUDIO_CONFIGS["hubert"].to_dict() | LAYERS | {"do_stable_layer_norm": False}),
    "paraclap": ParaClapAudioConfig(**SIZE | LAYERS, conv_dim=(16, 16, 16)),
}


def model_with(tiny_config, name):
    torch.manual_seed(0)
    config = CONFIGS[name]
    config.apply_spec_augment, config.layerdrop = False, 0.0
    return ParaClapModel(tiny_config(audio_config=config))


def layers_of(tower):
    return tower.layers if hasattr(tower, "layers") else tower.encoder.layers


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("number", [0, 2])
def test_what_is_below_is_frozen_and_what_is_above_learns(tiny_config, name, number):
    model = model_with(tiny_config, name).freeze_audio_layers(number).train()
    tower = model.audio_model
    layers, states = layers_of(tower), []
    layers[number].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
    inputs = batch()
    for _ in range(2):
        tower(inputs["input_values"], attention_mask=inputs["padding_mask"])
    assert not states[0].requires_grad  # there is no graph below
    assert torch.equal(*states)  # and no dropout
    assert [layer.training for layer in layers] == [False] * number + [True] * (3 - number)
    model(**inputs, return_loss=True).loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), key
    learning = {key for key, parameter in tower.named_parameters() if parameter.requires_grad}
    prefix = "layers" if hasattr(tower, "layers") else "encoder.layers"
    inside = {key for key in learning if key.startswith(f"{prefix}.")}
    assert {int(key.removeprefix(f"{prefix}.").split(".")[0]) for key in inside} == set(range(number, 3))
    expected = {
        "whisper": {"layer_norm"},
        "hubert": {"encoder.layer_norm"},
        "paraclap": {"encoder.layer_norm", "cue_projection", "timbre_projection.0", "timbre_projection.2"},
    }.get(name, set())
    assert {key.rsplit(".", 1)[0] for key in learning - inside} == expected


@pytest.mark.parametrize("name", ["whisper", "hubert"])
def test_checkpointed_layers_above_get_the_same_gradients(tiny_config, name):
    gradients = []
    for checkpointing in (False, True):
        model = model_with(tiny_config, name).freeze_audio_layers(1).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        torch.manual_seed(7)
        model(**batch(), return_loss=True).loss.backward()
        gradients.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, rtol=1e-3, atol=1e-5)


def test_a_new_choice_of_towers_lets_all_learn_again(tiny_config):
    model = model_with(tiny_config, "whisper").freeze_audio_layers(3).train()
    assert not any(layer.training for layer in model.audio_model.layers)
    assert model.audio_model.layer_norm.weight.requires_grad
    model.freeze_towers("text")
    assert all(parameter.requires_grad for parameter in model.audio_model.parameters())
    assert all(module.training for module in model.audio_model.modules())


@pytest.mark.parametrize("number", [-1, 4])
def test_layers_that_are_not_there_are_refused(tiny_config, number):
    with pytest.raises(ValueError, match=f"{number} layers are to be frozen; this audio encoder has 3: give 0 to 3"):
        model_with(tiny_config, "whisper").freeze_audio_layers(number)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_convolutions_alone_can_be_frozen(tiny_config, name):
    tower = model_with(tiny_config, name).audio_model
    freeze_feature_encoder(tower)
    frozen = {key.split(".")[0] for key, parameter in tower.named_parameters() if not parameter.requires_grad}
    assert frozen == ({"conv1", "conv2"} if name.startswith("whisper") else {"feature_extractor"})


def test_an_encoder_without_convolutions_is_refused():
    with pytest.raises(ValueError, match="A Linear has no convolutions to freeze"):
        freeze_feature_encoder(torch.nn.Linear(2, 2))
