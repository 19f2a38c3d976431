"""Both towers as torch.export programs and ONNX files: the same embeddings for any batch and length."""

import json

import numpy as np
import pytest
import torch

from modeling_paraclap import ParaClapModel
from modeling_paraclap.export_onnx import INPUTS, AudioTower, TextTower, export_onnx, export_tower, main

onnxruntime = pytest.importorskip("onnxruntime")

TOWERS = {"audio": AudioTower, "text": TextTower}
# Batch and length; the last is shorter by a third in every batch.
SHAPES = {"audio": [(1, 1000), (1, 16000), (3, 9111), (5, 40001)], "text": [(1, 2), (1, 12), (4, 33), (7, 100)]}


def inputs_of(name, n, length):
    generator = torch.Generator().manual_seed(n * length)
    mask = torch.ones(n, length, dtype=torch.bool if name == "audio" else torch.long)
    if n > 1:
        mask[-1, length - length // 3 :] = 0
    if name == "audio":
        return torch.randn(n, length, generator=generator) * mask, mask
    return torch.randint(5, 300, (n, length), generator=generator) * mask, mask


@pytest.fixture(scope="module")
def model(tiny_config):
    """A small model whose embeddings differ by more than rounding."""
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(text_pooling="mean", loss_type="sigmoid")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("onnx"), int8=True)


@torch.no_grad()
@pytest.mark.parametrize("name", TOWERS)
def test_torch_export_of_both_towers(model, name):
    module = export_tower(model, name).module()
    for n, length in SHAPES[name]:
        inputs = inputs_of(name, n, length)
        torch.testing.assert_close(module(*inputs), TOWERS[name](model)(*inputs), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", TOWERS)
def test_onnxruntime_gives_the_same_embeddings(model, exported, name):
    session = onnxruntime.InferenceSession(exported / f"{name}.onnx", providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == list(INPUTS[name])
    quantised = onnxruntime.InferenceSession(exported / f"{name}.int8.onnx", providers=["CPUExecutionProvider"])
    found = []
    for n, length in SHAPES[name]:
        inputs = inputs_of(name, n, length)
        expected = TOWERS[name](model)(*inputs).numpy()
        feed = {key: value.numpy() for key, value in zip(INPUTS[name], inputs, strict=True)}
        (embeddings,) = session.run(None, feed)
        np.testing.assert_allclose(embeddings, expected, atol=1e-5)
        (low,) = quantised.run(None, feed)
        assert (low * expected).sum(1).min() > 0.95  # cosine; the small model is harder to round than a large one
        assert not np.allclose(low, expected, atol=1e-6)
        found.append(expected)
    assert np.linalg.norm(found[0][0] - found[2][0]) > 1e-2  # the input matters


def test_the_padding_of_a_batch_does_not_count(exported):
    session = onnxruntime.InferenceSession(exported / "audio.onnx", providers=["CPUExecutionProvider"])
    values, mask = inputs_of("audio", 3, 9000)
    (together,) = session.run(None, {"input_values": values.numpy(), "padding_mask": mask.numpy()})
    alone = {"input_values": values[2:, :6000].numpy(), "padding_mask": mask[2:, :6000].numpy()}
    np.testing.assert_allclose(session.run(None, alone)[0][0], together[2], atol=1e-5)


def test_facts_that_scores_need_stand_beside_the_files(model, exported):
    facts = json.loads((exported / "export.json").read_text())
    assert facts["logit_scale"] == pytest.approx(model.logit_scale.exp().item())
    assert facts["logit_bias"] == -10
    assert facts["projection_dim"] == 24


def test_the_command_and_a_model_of_half_precision(tiny_release, tiny_model, tmp_path, capsys):
    main(["--model", str(tiny_release), "--output_dir", str(tmp_path / "onnx")])
    assert "audio.onnx" in capsys.readouterr().out
    assert not (tmp_path / "onnx" / "audio.int8.onnx").exists()
    with pytest.raises(ValueError, match="is in torch.bfloat16; load it with dtype=torch.float32"):
        export_onnx(tiny_model.to(torch.bfloat16), tmp_path)
    assert not list(tiny_release.glob("export*"))
