"""A model laid out for a CPU says what the model says, refuses what it cannot do, and the pipeline does not notice."""

import copy

import numpy as np
import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, FRONT_END, SIZE, TEXT_CONFIGS, batch
from torch import nn
from torch.nn import functional as F
from transformers import SEWConfig, Wav2Vec2Config, pipeline

from modeling_paraclap import ParaClapAudioConfig, ParaClapConfig, ParaClapModel
from modeling_paraclap.cpu_paraclap import FrameConv1d, PackedLinear, SpectralConv1d, convolve_channels_last

LONG = {"num_conv_pos_embeddings": 64}
ENCODERS = AUDIO_CONFIGS | {
    "wav2vec2": Wav2Vec2Config(**SIZE, **FRONT_END, do_stable_layer_norm=True),
    "wav2vec2, group norm": Wav2Vec2Config(**SIZE, **FRONT_END | {"feat_extract_norm": "group"}),
    "wav2vec2, long kernel": Wav2Vec2Config(**SIZE, **FRONT_END | LONG, do_stable_layer_norm=True),
    "sew, long kernel": SEWConfig(**SIZE, **FRONT_END | LONG, squeeze_factor=2),
    "paraclap": ParaClapAudioConfig(num_hidden_layers=1),
}


def model_with(encoder, dtype=torch.float32):
    """A model with random weights around one of ENCODERS."""
    torch.manual_seed(0)
    config = ParaClapConfig(audio_config=ENCODERS[encoder], text_config=TEXT_CONFIGS["roberta"], projection_dim=24)
    return ParaClapModel(config).eval().to(dtype)


@torch.no_grad()
def embeddings(model):
    """Those of a padded batch, in float32."""
    inputs = batch()
    values = inputs["input_values"].to(model.dtype)
    return model.get_audio_features(values, inputs["padding_mask"]).pooler_output.float()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_float32_is_the_same(encoder):
    model = model_with(encoder)
    expected = embeddings(model)
    assert torch.allclose(embeddings(model.optimize_for_cpu()), expected, atol=1e-5)
    assert any(isinstance(module, PackedLinear) for module in model.audio_model.modules())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_bfloat16_is_the_same_but_for_rounding(encoder):
    exact = embeddings(model_with(encoder))
    plain = model_with(encoder, torch.bfloat16)
    distance = 1 - F.cosine_similarity(embeddings(plain), exact)
    laid_out = 1 - F.cosine_similarity(embeddings(plain.optimize_for_cpu()), exact)
    assert laid_out.max() < 2 * distance.max() + 1e-4


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if name not in ("wavlm", "paraclap")])
def test_8_bit_weights_are_close(encoder):
    model = model_with(encoder)
    expected = embeddings(model)
    engine = torch.backends.quantized.engine
    found = embeddings(model.optimize_for_cpu(int8=True))
    assert F.cosine_similarity(found, expected).min() > 0.99
    assert not torch.allclose(found, expected, atol=1e-6)  # else nothing became smaller
    assert torch.backends.quantized.engine == engine


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_are_not_turned_over(dtype):
    model = model_with("wav2vec2", dtype).optimize_for_cpu()
    layer = model.audio_model.feature_extractor.conv_layers[1].conv
    output = layer(torch.randn(2, 80, 16, dtype=dtype).transpose(1, 2))
    assert output.shape == (2, 24, 10)
    assert output.transpose(1, 2).is_contiguous()


def test_no_call_rearranges_the_kernels_of_convolutions():
    model = model_with("wav2vec2", torch.bfloat16).optimize_for_cpu()
    kernels = [m.weight[:, :, None] for m in model.audio_model.feature_extractor.modules() if isinstance(m, nn.Conv1d)]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.parametrize("samples", [12, 13, 14, 15, 100])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("inputs", "kernel", "stride", "padding"),
    [(1, 10, 5, 0), (32, 3, 2, 0), (32, 2, 2, 0), (32, 1, 1, 0), (32, 5, 2, 2), (32, 3, 1, 1), (32, 2, 3, 0)],
)
@torch.no_grad()
def test_products_of_frames_are_the_convolution(inputs, kernel, stride, padding, bias, samples):
    conv = nn.Conv1d(inputs, 24, kernel, stride, padding, bias=bias)
    features = torch.randn(2, inputs, samples)
    expected = conv(features)
    for given in (features, features.transpose(1, 2).contiguous().transpose(1, 2)):
        torch.testing.assert_close(FrameConv1d(conv)(given), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 64, 65, 66, 300])
@pytest.mark.parametrize(
    ("groups", "stride", "padding", "bias"), [(4, 1, 32, True), (1, 2, 32, False), (4, 3, 63, True)]
)
@torch.no_grad()
def test_products_of_spectra_are_the_convolution(groups, stride, padding, bias, frames):
    conv = nn.Conv1d(16, 32, 64, stride, padding, groups=groups, bias=bias)
    features = torch.randn(2, 16, frames)
    torch.testing.assert_close(SpectralConv1d(conv)(features), conv(features), atol=1e-5, rtol=0)


def test_a_long_kernel_is_a_product_of_spectra_whatever_the_type():
    for dtype, int8 in ((torch.float32, False), (torch.bfloat16, False), (torch.float32, True)):
        model = model_with("wav2vec2, long kernel", dtype).optimize_for_cpu(int8=int8)
        assert isinstance(model.audio_model.encoder.pos_conv_embed.conv, SpectralConv1d)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_training_channels_last_has_the_same_gradients_and_weights(encoder):
    model = model_with(encoder)
    laid_out = copy.deepcopy(model)
    convolve_channels_last(laid_out.audio_model)
    for one in (model, laid_out):
        one(**batch(), return_loss=True).loss.backward()
    gradients = dict(laid_out.named_parameters())
    for name, parameter in model.named_parameters():
        if parameter.grad is None:  # a tower may have a parameter that it does not use
            assert gradients[name].grad is None
        else:
            torch.testing.assert_close(gradients[name].grad, parameter.grad, atol=1e-5, rtol=1e-3)
    assert laid_out.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ("encoder", "dtype", "int8", "message"),
    [
        ("wav2vec2", torch.bfloat16, True, "in float32, WavLM excepted; this is a Wav2Vec2Model in torch.bfloat16"),
        ("wavlm", torch.float32, True, "this is a WavLMModel"),
        ("paraclap", torch.float32, True, "this is a ParaClapAudioModel"),
    ],
)
def test_what_has_no_8_bit_weights(encoder, dtype, int8, message):
    model = model_with(encoder, dtype)
    expected = embeddings(model)
    with pytest.raises(ValueError, match=message):
        model.optimize_for_cpu(int8=int8)
    assert torch.equal(embeddings(model), expected)


def test_only_once_and_on_a_cpu():
    model = model_with("wav2vec2")
    model.optimize_for_cpu()
    with pytest.raises(ValueError, match="already; load it again"):
        model.optimize_for_cpu()
    with pytest.raises(ValueError, match="The model is on meta"):
        model_with("wav2vec2").to("meta").optimize_for_cpu()


def test_it_is_not_saved_and_does_not_learn(tmp_path):
    model = model_with("wav2vec2").optimize_for_cpu()
    with pytest.raises(RuntimeError, match="cannot be saved; load it again"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))
    with pytest.raises(RuntimeError, match="does not require grad"):
        model(**batch(), return_loss=True).loss.backward()


@pytest.mark.parametrize("int8", [False, True])
def test_the_pipeline_gives_the_same(tiny_release, int8):
    time = np.arange(16000) / 16000
    speech = (0.3 * np.sin(2 * np.pi * 150 * time)).astype(np.float32)
    labels = ["angry", "happy", "sad"]
    scores = []
    for optimise in (False, True):
        classifier = pipeline("zero-shot-audio-classification", model=str(tiny_release), device="cpu")
        if optimise:
            classifier.model.optimize_for_cpu(int8=int8)
        results = classifier([speech, speech[:8000]], candidate_labels=labels)
        scores.append([{entry["label"]: entry["score"] for entry in result} for result in results])
    for plain, optimised in zip(*scores, strict=True):
        for label in labels:
            assert optimised[label] == pytest.approx(plain[label], abs=0.02 if int8 else 1e-6)


@pytest.mark.parametrize(("dtype", "int8"), [(torch.float32, False), (torch.bfloat16, False), (torch.float32, True)])
def test_a_copy_leaves_the_model_as_it_was(dtype, int8):
    model = model_with("hubert", dtype)
    expected = embeddings(model)
    first, second = (embeddings(copy.deepcopy(model).optimize_for_cpu(int8=int8)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(embeddings(model), expected)
