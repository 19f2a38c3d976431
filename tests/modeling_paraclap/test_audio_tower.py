"""The audio tower for little data: what it is blind to, what it sees, and that padding changes nothing."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from modeling_paraclap import ParaClapAudioConfig, ParaClapAudioModel, ParaClapConfig, ParaClapModel
from modeling_paraclap.audio_tower_paraclap import LEVEL_BINS, soft_bins
from modeling_paraclap.pooling_paraclap import masked_statistics
from modeling_paraclap.release_paraclap import save_release
from paraclap.synthetic_speech import VOICES, synthesise

SMALL = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(16, 16, 16))


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return ParaClapAudioModel(ParaClapAudioConfig(**SMALL)).eval()


@pytest.fixture(scope="module")
def speech():
    return torch.from_numpy(synthesise(VOICES[0], 2.0, seed=0).astype(np.float32))[None]


def features_of(tower, waveform, mask=None):
    mask = torch.ones_like(waveform) if mask is None else mask
    return tower.feature_extractor.front_end(waveform, mask)


def test_gain_moves_nothing_but_the_level_cue(tower, speech):
    loud, _, loud_cues, loud_timbre = features_of(tower, speech)
    quiet, _, quiet_cues, quiet_timbre = features_of(tower, speech / 10)
    # A hundred times less power: only what is as weak as the logarithm's floor changes.
    assert (loud - quiet).abs().mean() < 1e-2
    assert (loud_timbre - quiet_timbre).abs().mean() < 1e-2
    steps = torch.arange(LEVEL_BINS, dtype=torch.float32)
    loud_level, quiet_level = ((cues[0, :LEVEL_BINS] * steps).sum() for cues in (loud_cues, quiet_cues))
    assert (loud_level - quiet_level).item() == pytest.approx(8, abs=1e-3)  # 20 dB in steps of 2.5
    assert torch.equal(loud_cues[0, LEVEL_BINS:], quiet_cues[0, LEVEL_BINS:])


def test_a_value_is_shared_between_the_two_nearest_bins():
    found = soft_bins(torch.tensor([0.0, 0.25, 1.9, -3.0, 9.0]), 0.0, 2.0, 5)
    expected = [[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.2, 0.8], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)


def test_training_leaves_the_timbre_out_now_and_then_and_evaluation_never(tower, speech):
    torch.manual_seed(0)
    config = ParaClapAudioConfig(**SMALL, apply_spec_augment=False, timbre_dropout=0.5)
    for name in ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"):
        setattr(config, name, 0.0)
    model = ParaClapAudioModel(config)
    with torch.no_grad():
        trained = model.train()(speech.repeat(16, 1)).last_hidden_state
        evaluated = model.eval()(speech.repeat(16, 1)).last_hidden_state
    heard = (trained - evaluated).abs().amax((1, 2)) < 1e-5
    assert 0 < heard.sum() < 16
    torch.testing.assert_close(evaluated, evaluated[:1].expand_as(evaluated), atol=1e-5, rtol=0)


def test_a_filter_moves_less_than_the_mean_that_is_taken_out(tower, speech):
    filtered = speech - 0.9 * torch.nn.functional.pad(speech, (1, 0))[:, :-1]  # 6 dB an octave
    before, after = (features_of(tower, waveform)[0][..., :80] for waveform in (speech, filtered))
    power_before, power_after = (
        (torch.stft(w, 1024, 160, 512, torch.hann_window(512), return_complex=True)[0].abs().square() + 1e-10).log()
        for w in (speech, filtered)
    )
    assert (before - after).abs().mean() * 3 < 0.4 * (power_before - power_after).abs().mean()


@pytest.mark.parametrize("hertz", [90, 150, 240])
def test_the_pitch_bins_peak_at_the_pitch(tower, hertz):
    time = torch.arange(16000) / 16000
    voiced = sum(torch.cos(2 * np.pi * hertz * k * time) / k for k in range(1, 15))[None] * 0.1
    pitch = features_of(tower, voiced)[0][0, 30, 80:]
    found = 60 * 2 ** (int(pitch.argmax()) / 16)
    assert abs(np.log2(found / hertz)) < 1 / 12


def test_padding_changes_nothing(tower):
    lengths = (1, 700, 16000, 30001)
    waveforms = [torch.randn(n, generator=torch.Generator().manual_seed(n)) * 0.1 for n in lengths]
    batch, mask = torch.full((4, max(lengths)), 7.0), torch.zeros(4, max(lengths), dtype=torch.long)
    for row, waveform in enumerate(waveforms):
        batch[row, : len(waveform)], mask[row, : len(waveform)] = waveform, 1
    with torch.no_grad():
        together = tower(batch, attention_mask=mask).last_hidden_state
        for row, waveform in enumerate(waveforms):
            alone = tower(waveform[None]).last_hidden_state[0]
            assert len(alone) == tower._get_feat_extract_output_lengths(len(waveform))
            torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-5, rtol=0)


def test_the_convolutions_can_be_frozen():
    model = ParaClapAudioModel(ParaClapAudioConfig(**SMALL))
    model.freeze_feature_encoder()
    frozen = {name.split(".")[0] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"feature_extractor"}


def test_digital_silence_has_finite_features(tower):
    features, mask, cues, timbre = features_of(tower, torch.zeros(1, 8000))
    assert torch.isfinite(timbre).all()
    assert torch.isfinite(features).all()
    assert torch.isfinite(cues).all()
    assert mask.all()


def test_every_parameter_learns_and_the_filters_do_not(tower, speech):
    model = ParaClapAudioModel(ParaClapAudioConfig(**SMALL, apply_spec_augment=False, mask_time_prob=0.0)).train()
    model(speech).last_hidden_state.square().sum().backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without <= {"masked_spec_embed"}
    assert {"mel", "lags"} == {name for name, _ in model.feature_extractor.front_end.named_buffers()}


@pytest.mark.parametrize("pooling", ["mean", "statistics"])
def test_save_equals_load_in_a_whole_model(tiny_config, tmp_path, speech, pooling):
    model = ParaClapModel(tiny_config(audio_config=ParaClapAudioConfig(**SMALL), audio_pooling=pooling)).eval()
    model.save_pretrained(tmp_path)
    loaded = ParaClapModel.from_pretrained(tmp_path).eval()
    assert isinstance(loaded.config.audio_config, ParaClapAudioConfig)
    assert loaded.config.audio_pooling == pooling
    with torch.no_grad():
        before, after = (m.get_audio_features(speech).pooler_output for m in (model, loaded))
        half = ParaClapModel.from_pretrained(tmp_path, dtype=torch.bfloat16).get_audio_features(speech).pooler_output
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    # Where weights lie in memory decides in which order some products are summed.
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)
    assert torch.cosine_similarity(before, half.float()).item() > 0.999


def test_statistics_pooling_leaves_the_padding_out():
    states = torch.randn(1, 5, 3)
    padded = torch.cat([states, torch.full((1, 4, 3), 9.0)], 1)
    mask = torch.tensor([[1] * 5 + [0] * 4])
    expected = torch.cat([states.mean(1), (states.var(1, unbiased=False) + 1e-4).sqrt()], 1)
    torch.testing.assert_close(masked_statistics(padded, mask), expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(conv_stride=(2, 2)), "have 3, 3 and 2 entries; give each convolution one of each"),
        (dict(conv_kernel=(4, 5, 3)), "odd widths keep a frame at its place"),
        (dict(window_samples=2048), "a window has at most 1024 samples"),
        (dict(hop_samples=600), "a hop no more than a window"),
        (dict(longest_duration_s=0.2), "longest_duration_s is 0.2; durations are told apart from 0.25 s up"),
        (dict(timbre_dropout=1.0), "timbre_dropout is 1.0; it must be from 0 up to"),
    ],
)
def test_configurations_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ParaClapAudioConfig(**wrong)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="audio_pooling is 'max'; choose one of mean, statistics"):
        ParaClapConfig(audio_pooling="max")


def test_onnxruntime_has_the_same_embeddings(tiny_config, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from modeling_paraclap.export_onnx import export_onnx

    torch.manual_seed(0)
    config = tiny_config(audio_config=ParaClapAudioConfig(**SMALL), audio_pooling="statistics", center_audio=True)
    model = ParaClapModel(config).eval()
    export_onnx(model, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "audio.onnx")
    for batch, samples in ((1, 5000), (3, 40001)):
        waveforms, mask = torch.randn(batch, samples) * 0.1, torch.ones(batch, samples, dtype=torch.bool)
        mask[-1, samples // 2 :] = False
        with torch.no_grad():
            expected = model.get_audio_features(waveforms, mask).pooler_output
        (found,) = session.run(None, {"input_values": waveforms.numpy(), "padding_mask": mask.numpy()})
        expected = torch.nn.functional.normalize(expected, dim=-1)
        torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)


def test_the_folder_alone_equals_the_package(tiny_config, tiny_processor, tmp_path):
    torch.manual_seed(0)
    config = tiny_config(audio_config=ParaClapAudioConfig(**SMALL), audio_pooling="statistics", center_audio=True)
    model = ParaClapModel(config).eval()
    save_release(model, tiny_processor, tmp_path / "release")
    waveform = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)) * 0.1
    code = (
        "import sys, torch; from transformers import AutoModel\n"
        "model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True).eval()\n"
        "waveform = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)) * 0.1\n"
        "torch.save(model.get_audio_features(waveform).pooler_output.detach(), sys.argv[2])\n"
    )
    # -I: neither the working directory nor PYTHONPATH can bring the package in.
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "release"), str(tmp_path / "alone.pt")]
    environment = os.environ | {"HF_HOME": str(tmp_path / "hub")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=600)
    with torch.no_grad():
        expected = model.get_audio_features(waveform).pooler_output
    torch.testing.assert_close(torch.load(tmp_path / "alone.pt", weights_only=True), expected, atol=1e-6, rtol=0)
