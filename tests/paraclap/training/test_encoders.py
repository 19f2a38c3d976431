"""The model that a run starts from."""

import pytest
import torch
from helpers.training_runs import arguments
from transformers import Wav2Vec2Config

from modeling_paraclap import ParaClapAudioConfig, ParaClapModel
from paraclap.training.arguments import ModelArguments, parse_arguments
from paraclap.training.build import build
from paraclap.training.encoders import build_model, initialise_filter_bank


def test_a_frozen_front_end_gets_no_gradient(corpus_dir, text_encoder, tmp_path):
    args = parse_arguments(arguments(corpus_dir, text_encoder, tmp_path, "--freeze_feature_encoder"))
    model, _ = build(args)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen
    assert all(name.startswith("audio_model.feature_extractor.") for name in frozen)
    hidden = model.train().audio_model.feature_extractor(torch.randn(1, 4000))
    assert not hidden.requires_grad


def test_a_tower_needs_one_source(text_encoder):
    with pytest.raises(ValueError, match="audio encoder needs one source.*got none"):
        build_model(ModelArguments(text_model_name_or_path=text_encoder))
    (text_encoder / "wrong.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ValueError, match="model_type 'nonsense'"):
        build_model(ModelArguments(audio_config=text_encoder / "wrong.json", text_model_name_or_path=text_encoder))


def test_the_filter_bank_answers_to_its_frequencies(tiny_config):
    shape = dict(conv_dim=[128, 16, 16], conv_kernel=[320, 8, 4], conv_stride=[80, 4, 2], num_feat_extract_layers=3)
    model = ParaClapModel(tiny_config(audio_config=Wav2Vec2Config(**shape, num_hidden_layers=1)))
    initialise_filter_bank(model.audio_model)
    filters = model.audio_model.feature_extractor.conv_layers[0].conv.weight.detach()[:, 0]
    hertz = torch.fft.rfft(filters, 4096).abs().argmax(1) * 16000 / 4096
    cosines, sines = hertz.chunk(2)
    assert (cosines.diff() >= 0).all()
    assert cosines[0] < 200
    assert cosines[-1] == pytest.approx(7600, abs=50)
    assert torch.allclose(cosines[8:], sines[8:], atol=60)


def test_a_filter_bank_needs_a_waveform_encoder(tiny_config):
    model = ParaClapModel(tiny_config(audio_config=ParaClapAudioConfig(num_hidden_layers=1)))
    with pytest.raises(ValueError, match="paraclap_audio has no waveform convolution"):
        initialise_filter_bank(model.audio_model)
