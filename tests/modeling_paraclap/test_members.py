"""Members: an ensemble as one model, whose cosine is the mean of its members'."""

import hashlib

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModel

from modeling_paraclap import ParaClapConfig, ParaClapModel, ParaClapWhisperConfig
from modeling_paraclap.export_onnx import export_onnx
from modeling_paraclap.release_paraclap import save_release
from paraclap.training.arguments import RecipeArguments
from paraclap.training.optimizer import build_optimizer

WHISPER = dict(d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48, apply_spec_augment=False)
RECIPE = dict(
    audio_pooling="attentive_statistics",
    audio_pooling_size=16,
    audio_layer_weights=[1, 2],
    audio_cues=True,
    center_audio=True,
    loss_type="grouped",
)
PARTS = ("audio_pooling.", "cues.network.", "audio_projection.", "text_projection.", "audio_center")


@pytest.fixture
def config_of(tiny_config):
    """A function from a number of members to the default model's configuration, in small."""

    def make(number, **kwargs):
        audio = ParaClapWhisperConfig(**WHISPER, frames_per_state=2, normalize_level=True)
        return tiny_config(audio_config=audio, num_members=number, **RECIPE | kwargs)

    return make


@pytest.fixture
def model(config_of):
    """Three members that differ in every part."""
    torch.manual_seed(0)
    model = ParaClapModel(config_of(3)).eval()
    with torch.no_grad():
        for member in (model, *model.members):
            member.audio_pooling.layer_weights.normal_()
            member.audio_center.normal_(std=0.1)
            member.audio_pooling.norm.mean.normal_(std=0.1)
    return model


def batch(n=3):
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(n, 9000, generator=generator)
    mask = torch.arange(9000)[None] < torch.tensor([9000, 5000, 7000][:n])[:, None]
    return {
        "input_values": samples * mask,
        "padding_mask": mask,
        "input_ids": torch.randint(5, 300, (n, 6), generator=generator),
        "attention_mask": torch.ones(n, 6, dtype=torch.long),
    }


def alone(model, number):
    """The member as a model of its own."""
    config = ParaClapConfig.from_dict(model.config.to_dict() | {"num_members": 1})
    single = ParaClapModel(config).eval()
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith("members.")}
    if number:
        prefix = f"members.{number - 1}."
        own = {name.removeprefix(prefix): value for name, value in model.state_dict().items() if prefix in name}
        assert own.keys() == {name for name in weights if name.startswith(PARTS)}
        weights |= own
    single.load_state_dict(weights)
    return single


@torch.no_grad()
def test_the_cosine_is_the_mean_of_the_members(model):
    inputs = batch()
    together = model(**inputs)
    assert together.audio_embeds.shape == (3, 3 * 24) == (3, model.config.embedding_dim)
    torch.testing.assert_close(together.audio_embeds.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(together.text_embeds.norm(dim=-1), torch.ones(3))
    singles = [alone(model, number)(**inputs) for number in range(3)]
    mean = sum(single.logits_per_audio for single in singles) / 3
    torch.testing.assert_close(together.logits_per_audio, mean, atol=1e-4, rtol=0)
    assert max((single.logits_per_audio - mean).abs().max() for single in singles) > 0.1  # they differ


@torch.no_grad()
def test_padding_and_the_rest_of_the_batch_change_nothing(model):
    inputs = batch()
    together = model.get_audio_features(inputs["input_values"], inputs["padding_mask"]).pooler_output
    for row, samples in enumerate((9000, 5000, 7000)):
        single = model.get_audio_features(inputs["input_values"][row : row + 1, :samples]).pooler_output
        torch.testing.assert_close(together[row : row + 1], single, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_survives_saving_and_the_layout_for_a_cpu(model, tiny_processor, tmp_path, dtype):
    inputs = batch()
    expected = model(**inputs)
    save_release(model, tiny_processor, tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path, dtype=dtype).eval()
    assert loaded.config.num_members == len(loaded.members) + 1 == 3
    for found in (loaded(**inputs), loaded.optimize_for_cpu()(**inputs)):
        for name in ("audio_embeds", "text_embeds"):
            cosine = F.cosine_similarity(found[name].float(), expected[name])
            assert cosine.min() > (0.99999 if dtype == torch.float32 else 0.99)


@torch.no_grad()
def test_onnx_gives_the_same_embeddings(model, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    export_onnx(model, tmp_path)
    inputs = batch()
    expected = model(**inputs)
    for tower, names in {"audio": ("input_values", "padding_mask"), "text": ("input_ids", "attention_mask")}.items():
        session = onnxruntime.InferenceSession(tmp_path / f"{tower}.onnx", providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {name: inputs[name].numpy() for name in names})
        torch.testing.assert_close(torch.from_numpy(found), expected[f"{tower}_embeds"], atol=1e-4, rtol=0)


def test_the_loss_is_the_mean_of_the_members_and_each_learns_from_its_own(model):
    inputs = batch()
    positives = torch.eye(3, dtype=torch.bool)
    labels = {"positives": positives, "groups": torch.zeros(3, dtype=torch.long), "return_loss": True}
    loss = model(**inputs, **labels).loss
    singles = [alone(model, number) for number in range(3)]
    losses = [single(**inputs, **labels).loss for single in singles]
    torch.testing.assert_close(loss, sum(losses) / 3)
    loss.backward()
    sum(losses).backward()
    for member, single in zip((model, *model.members), singles, strict=True):
        found, expected = (m.audio_projection.linear1.weight.grad for m in (member, single))
        torch.testing.assert_close(found * 3, expected, atol=1e-5, rtol=1e-3)


def test_a_step_moves_every_part_of_every_member(config_of):
    torch.manual_seed(0)
    model = ParaClapModel(config_of(3)).freeze_towers("audio", "text").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = build_optimizer(model, RecipeArguments(head_learning_rate=0.1))
    for _ in range(2):  # the second layer of the cues' network learns from the second step on, where it starts at zero
        model(**batch(), return_loss=True).loss.backward()
        optimizer.step()
    same = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert not [name for name in same if not name.startswith(("audio_model.", "text_model.", "cues.front_end."))]
    assert {name for name in before if name.startswith(("audio_model.", "text_model."))} <= same
    weights = [member.audio_projection.linear1.weight for member in (model, *model.members)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_frozen_members_keep_their_running_statistics(config_of):
    torch.manual_seed(0)
    model = ParaClapModel(config_of(2)).train()
    model.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(**batch())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.members[0].audio_projection.requires_grad_(True)
    model(**batch())
    assert not torch.equal(model.members[0].audio_center, before["members.0.audio_center"])


def test_one_member_is_the_model_as_it_was(config_of):
    """The state dict and the values of a model from before there were members, bit for bit."""
    config = config_of(1)
    content = config.to_dict()
    del content["num_members"]  # as old checkpoints have it
    torch.manual_seed(0)
    model = ParaClapModel(ParaClapConfig.from_dict(content))
    assert model.config.num_members == 1
    names = list(model.state_dict())
    assert not [name for name in names if "members" in name]
    assert names[-8:] == [
        f"{side}_projection.{part}"
        for side in ("audio", "text")
        for part in ("linear1.weight", "linear2.weight", "layer_norm.weight", "layer_norm.bias")
    ]
    digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values())).hexdigest()
    assert digest.startswith("2462a6584691e259"), digest


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "3", None])
def test_numbers_that_are_none_are_refused(number):
    with pytest.raises(ValueError, match="num_members is .*; expected a whole number from 1 to 1000"):
        ParaClapConfig(num_members=number)
