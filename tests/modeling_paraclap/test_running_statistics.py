"""Frozen means unchanged, down to running means; and an adapter saved and loaded reproduces what was trained."""

import copy

import pytest
import torch
from helpers.towers import FRONT_END, SIZE, batch
from transformers import HubertConfig
from transformers.integrations.peft import MIN_PEFT_VERSION
from transformers.utils.peft_utils import check_peft_version

from modeling_paraclap import ParaClapModel
from modeling_paraclap.running_statistics_paraclap import audio_learns

peft = pytest.importorskip("peft")


@pytest.fixture(params=["mean of the audio", "and batch norm", "and channel norm"])
def model(request, tiny_config):
    """A model with a running mean, alone and with what else has running statistics."""
    kwargs = {"audio_pooling_size": 16} if request.param == "and channel norm" else {}
    if request.param == "and batch norm":
        hubert = HubertConfig(**SIZE, **FRONT_END, conv_pos_batch_norm=True, apply_spec_augment=False)
        kwargs = {"audio_config": hubert}
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(center_audio=True, **kwargs))
    model(**batch())  # in training mode, as a trained model has done
    with torch.no_grad():
        model.train().audio_center.normal_()
    return model


def content(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model, before):
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def train(model, steps=4):
    model.train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.5)
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(**batch(), return_loss=True).loss.backward()
        optimizer.step()


def test_nothing_moves_in_a_frozen_model(model):
    model.requires_grad_(False).train()
    before = content(model)
    for _ in range(3):
        model(**batch())
        model.get_audio_features(batch()["input_values"])
    assert changed(model, before) == set()


def test_the_running_mean_moves_where_the_audio_side_learns(model):
    before = content(model)
    train(model)
    assert {"audio_center", "audio_projection.linear1.weight"} <= changed(model, before)
    statistics = {name for name in before if name.endswith(("running_mean", "audio_pooling.norm.mean"))}
    assert statistics <= changed(model, before)
    model.freeze_towers("audio")  # the projection goes on
    before = content(model)
    train(model)
    assert "audio_center" in changed(model, before)
    assert not [name for name in changed(model, before) if name.startswith("audio_model")]
    model.audio_pooling.requires_grad_(False)
    before = content(model)
    train(model)
    assert not [name for name in changed(model, before) if name.startswith("audio_pooling")]
    model.audio_projection.requires_grad_(False)
    before = content(model)
    train(model)
    assert not [name for name in changed(model, before) if name.startswith("audio")]
    assert "text_projection.linear1.weight" in changed(model, before)


def test_a_compiled_tower_still_learns(tiny_config):
    model = ParaClapModel(tiny_config(center_audio=True))
    model.audio_model = torch.compile(model.audio_model, backend="eager")
    assert audio_learns(model, model._own_parameters)


ADAPTERS = {
    "attention of both towers": {"target_modules": ["q_proj", "v_proj", "query", "value"]},
    "the projections": {"target_modules": ["linear1", "linear2"]},
    "text alone, all biases": {"target_modules": ["query"], "bias": "all"},
    "a projection learnt in full": {"target_modules": ["q_proj"], "modules_to_save": ["audio_projection"]},
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_saved_and_loaded_reproduces(model, tmp_path, kind):
    base = copy.deepcopy(model)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, init_lora_weights=False, **ADAPTERS[kind]))
    before = content(adapted)
    train(adapted)
    assert changed(adapted, before)
    assert not [name for name in changed(adapted, before) if "center" in name or "running" in name or ".norm." in name]
    adapted.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    with torch.no_grad():
        expected = adapted.eval()(**batch()).logits_per_audio
        assert torch.equal(loaded(**batch()).logits_per_audio, expected)
        merged = adapted.merge_and_unload()
        torch.testing.assert_close(merged(**batch()).logits_per_audio, expected, atol=1e-4, rtol=0)


def test_transformers_own_adapters_too(model, tmp_path):
    try:
        check_peft_version(MIN_PEFT_VERSION)
    except ValueError as error:
        pytest.skip(str(error))
    base = copy.deepcopy(model)
    config = peft.LoraConfig(r=4, init_lora_weights=False, target_modules=["q_proj", "query"])
    model.add_adapter(config)
    before = content(model)
    train(model)
    assert "audio_center" not in changed(model, before)
    model.save_pretrained(tmp_path)
    base.load_adapter(str(tmp_path))
    with torch.no_grad():
        assert torch.equal(base.eval()(**batch()).logits_per_audio, model.eval()(**batch()).logits_per_audio)
