"""Attention by matrix products is torch's, whatever the mask and however many heads are computed at once."""

import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, TEXT_CONFIGS, batch
from torch.nn import functional as F

from modeling_paraclap import ParaClapConfig, ParaClapModel, attention_paraclap, cpu_paraclap
from modeling_paraclap.attention_paraclap import NAME, attend_by_products


def masks(batch_size, heads, frames):
    """No mask, and masks of padding and of pairs of frames, boolean and added."""
    lengths = torch.tensor([frames, max(1, frames // 2), 1])[:, None, None, None]
    lengths = torch.arange(frames) < lengths
    pairs = torch.rand(batch_size, heads, frames, frames, generator=torch.Generator().manual_seed(1)) < 0.5
    pairs |= torch.eye(frames, dtype=torch.bool)
    added = torch.where(lengths, 0.0, -1e9)
    return {"none": None, "padding": lengths, "pairs": pairs, "added": added}


@pytest.mark.parametrize("kind", ["none", "padding", "pairs", "added"])
@pytest.mark.parametrize("weights", [1, 2 * 49, 2**20])
@pytest.mark.parametrize("frames", [1, 7])
@pytest.mark.parametrize("scaling", [None, 1.0])
def test_it_is_scaled_dot_product_attention(kind, weights, frames, scaling, monkeypatch):
    monkeypatch.setattr(attention_paraclap, "WEIGHTS", weights)
    generator = torch.Generator().manual_seed(0)
    # as a layer gives them: (batch, frames, heads, size) turned over
    states = (torch.randn(3, frames, 4, 8, generator=generator).transpose(1, 2) for _ in range(3))
    query, key, value = states
    mask = masks(3, 4, frames)[kind]
    expected = F.scaled_dot_product_attention(query, key, value, mask, scale=scaling).transpose(1, 2)
    found, none = attend_by_products(None, query, key, value, mask, scaling=scaling, dropout=0.0)
    assert none is None
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", ["whisper", "hubert"])
@pytest.mark.parametrize(
    ("dtype", "faster", "used"),
    [(torch.bfloat16, True, True), (torch.bfloat16, False, False), (torch.float32, True, False)],
)
def test_a_bfloat16_layout_uses_it_where_it_is_faster(encoder, dtype, faster, used, monkeypatch):
    monkeypatch.setattr(cpu_paraclap, "products_are_faster", lambda: faster)
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("linear layers in bfloat16 are not packed on this processor")
    torch.manual_seed(0)
    config = ParaClapConfig(audio_config=AUDIO_CONFIGS[encoder], text_config=TEXT_CONFIGS["roberta"], projection_dim=24)
    model = ParaClapModel(config).eval().to(dtype).optimize_for_cpu()
    assert (model.audio_model.config._attn_implementation == NAME) == used
    assert model.text_model.config._attn_implementation == "sdpa"
    inputs = batch()
    values = inputs["input_values"].to(dtype)
    with torch.no_grad():
        expected = model.get_audio_features(values, inputs["padding_mask"]).pooler_output
        # padding and the other clips of a batch change nothing but the rounding
        samples = int(inputs["padding_mask"][-1].sum())
        alone = model.get_audio_features(values[-1:, :samples]).pooler_output
    least = 0.99 if dtype == torch.bfloat16 else 1 - 1e-5
    assert F.cosine_similarity(alone.float(), expected[-1:].float()).item() > least
