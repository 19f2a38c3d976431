"""Whisper's encoder on raw waveforms: transformers' states on a full clip, and nothing but the clip in a batch."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, SIZE, batch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperModel

from modeling_paraclap import ParaClapConfig, ParaClapModel, ParaClapWhisperConfig, ParaClapWhisperModel
from modeling_paraclap.release_paraclap import save_release
from modeling_paraclap.towers_paraclap import least_samples, load_encoder
from modeling_paraclap.whisper_tower_paraclap import HOP, WhisperLogMel

POSITIONS = 50  # frames of a full clip of the small Whisper: one second
FULL = POSITIONS * 2 * HOP
SMALL = dict(
    d_model=32,
    encoder_layers=3,
    encoder_attention_heads=2,
    encoder_ffn_dim=48,
    decoder_layers=1,
    decoder_attention_heads=2,
    decoder_ffn_dim=48,
    max_source_positions=POSITIONS,
    vocab_size=60,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    decoder_start_token_id=1,
)


@pytest.fixture(scope="module")
def whisper():
    """A small Whisper with weights large enough that its layers matter."""
    torch.manual_seed(0)
    model = WhisperModel(WhisperConfig(**SMALL)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and parameter.requires_grad:
                parameter.mul_(5)
    return model


@pytest.fixture(scope="module")
def folder(whisper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    whisper.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tower(folder):
    return load_encoder(folder)


def noise(samples, seed=0):
    """Noise that swells, so that its loudest frame is at the end."""
    values = torch.randn(samples, generator=torch.Generator().manual_seed(seed)) * 0.1
    return values * torch.linspace(0.01, 1, samples)


def reference_features(waveform, bands=80, padding="do_not_pad"):
    extractor = WhisperFeatureExtractor(feature_size=bands)
    return extractor(waveform.numpy(), sampling_rate=16000, padding=padding, return_tensors="pt").input_features


# ------------------------------------------------------------------------------------------------------- the front end


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("samples", [201, 399, 400, 16000, 50001])
def test_the_spectrogram_is_whisper_feature_extractors(bands, samples):
    front_end = WhisperLogMel(bands)
    front_end.fill()
    for waveform in (noise(samples), torch.zeros(samples), torch.sin(torch.arange(samples) * 0.3)):
        found, mask = front_end(waveform[None])
        assert mask is None
        torch.testing.assert_close(found, reference_features(waveform, bands), atol=1e-4, rtol=0)


def test_the_mask_decides_where_a_clip_ends_and_what_its_maximum_is():
    front_end = WhisperLogMel(80)
    front_end.fill()
    lengths = (201, 4000, 16077, 20000)
    waveforms = [noise(n, seed=n) / 10**row for row, n in enumerate(lengths)]
    values, mask = torch.full((4, 20000), torch.nan), torch.zeros(4, 20000, dtype=torch.bool)
    for row, waveform in enumerate(waveforms):
        values[row, : len(waveform)], mask[row, : len(waveform)] = waveform, True
    together, valid = front_end(values, mask)
    assert valid.sum(1).tolist() == [n // HOP for n in lengths]
    for row, waveform in enumerate(waveforms):
        expected = reference_features(waveform)[0]
        torch.testing.assert_close(together[row, :, : expected.shape[1]], expected, atol=1e-4, rtol=0)
        assert (together[row, :, expected.shape[1] :] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_leaves_the_filters_and_the_waveform_exact(tower, folder, dtype):
    expected = tower.log_mel(noise(8000)[None])[0]
    for low in (
        load_encoder(folder).to(dtype),
        ParaClapWhisperModel.from_pretrained(_saved(tower, folder), dtype=dtype),
    ):
        assert low.log_mel.filters.dtype == torch.float32
        assert torch.equal(low.log_mel(noise(8000)[None])[0], expected)
        assert low.conv1.weight.dtype == low.embed_positions.weight.dtype == dtype


def _saved(tower, folder):
    tower.save_pretrained(folder / "tower")
    return folder / "tower"


# -------------------------------------------------------------------------------------------------------- the encoder


@torch.no_grad()
def test_a_full_clip_has_the_states_of_transformers_encoder(whisper, tower):
    waveform = noise(FULL)
    expected = whisper.encoder(reference_features(waveform), output_hidden_states=True)
    found = tower(waveform[None], output_hidden_states=True)
    assert len(found.hidden_states) == len(expected.hidden_states) == 4
    for mine, theirs in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, atol=1e-4, rtol=1e-5)
    assert (found.hidden_states[2] - found.hidden_states[1]).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("frames_per_state", [1, 4])
def test_padding_changes_nothing(folder, frames_per_state):
    tower = load_encoder(folder)
    tower.config.frames_per_state = frames_per_state
    # The last is longer than a full clip, and so read in windows; the second ends with the first window.
    lengths = (201, FULL, 9001, 2 * FULL + 777)
    values, mask = torch.full((4, max(lengths)), 9.0), torch.zeros(4, max(lengths), dtype=torch.long)
    for row, n in enumerate(lengths):
        values[row, :n], mask[row, :n] = noise(n, seed=row), 1
    together = tower(values, attention_mask=mask, output_hidden_states=True)
    counts = tower._get_feat_extract_output_lengths(mask.sum(1))
    assert together.last_hidden_state.isfinite().all()
    for row, n in enumerate(lengths):
        alone = tower(values[row : row + 1, :n], output_hidden_states=True)
        assert alone.last_hidden_state.shape[1] == counts[row] == tower._get_feat_extract_output_lengths(n)
        for one, state in zip(together.hidden_states, alone.hidden_states, strict=True):
            torch.testing.assert_close(one[row, : counts[row]], state[0], atol=1e-4, rtol=0)


@torch.no_grad()
def test_longer_clips_are_read_in_windows_each_from_the_first_position(tower):
    waveform = noise(2 * FULL + 3000)
    features, _ = tower.log_mel(waveform[None])
    whole = tower(waveform[None]).last_hidden_state
    parts = [tower._encode(part, None, all_states=False)[-1] for part in features.split(2 * POSITIONS, 2)]
    assert [part.shape[1] for part in parts] == [POSITIONS, POSITIONS, 9]
    assert torch.equal(whole, torch.cat(parts, 1))


@torch.no_grad()
def test_a_truncated_encoder_has_raw_states_and_no_norm(tower, folder, recwarn):
    whole = tower(noise(9000)[None], output_hidden_states=True)
    for layers in (1, 2):
        truncated = load_encoder(folder, layers)
        assert truncated.layer_norm is None
        assert truncated.config.num_hidden_layers == layers
        torch.testing.assert_close(truncated(noise(9000)[None]).last_hidden_state, whole.hidden_states[layers])
    assert load_encoder(folder, 3).layer_norm is not None
    for wrong in (0, 4):
        with pytest.raises(ValueError, match=f"num_layers is {wrong}; this encoder has 3 layers"):
            load_encoder(folder, wrong)


@torch.no_grad()
def test_frames_are_averaged_behind_the_last_layer(tower, folder):
    averaging = load_encoder(folder)
    averaging.config.frames_per_state = 4
    states, means = (model(noise(9000)[None]).last_hidden_state for model in (tower, averaging))
    assert (states.shape[1], means.shape[1]) == (28, 7)
    torch.testing.assert_close(means, states.unflatten(1, (7, 4)).mean(2), atol=1e-5, rtol=0)


def test_a_clip_below_the_least_length_is_refused(tower):
    assert least_samples(tower) == 201
    assert tower(torch.randn(1, 201)).last_hidden_state.shape == (1, 1, 32)
    with pytest.raises(ValueError, match="The audio has 200 samples; Whisper's encoder needs 201"):
        tower(torch.randn(1, 200))


@torch.no_grad()
def test_attentions_and_their_implementations(tower, folder):
    eager = load_encoder(folder)
    eager.set_attn_implementation("eager")
    inputs = batch()
    values, mask = inputs["input_values"], inputs["padding_mask"]
    found = eager(values, attention_mask=mask, output_attentions=True)
    assert [tuple(weights.shape) for weights in found.attentions] == [(3, 2, 25, 25)] * 3
    padding = found.attentions[0][2, :, :, tower._get_feat_extract_output_lengths(mask[2].sum()) :]
    assert padding.abs().max() == 0
    expected = tower(values, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found.last_hidden_state[0], expected[0], atol=1e-4, rtol=0)


# --------------------------------------------------------------------------------------------------------- pretrained


@torch.no_grad()
def test_any_way_to_save_a_whisper_is_a_source(whisper, tower, tmp_path):
    torch.manual_seed(0)
    generating = WhisperForConditionalGeneration(WhisperConfig(**SMALL))
    generating.model.load_state_dict(whisper.state_dict())
    generating.save_pretrained(tmp_path / "generating")
    whisper.encoder.save_pretrained(tmp_path / "encoder")
    tower.save_pretrained(tmp_path / "tower")
    expected = tower(noise(9000)[None]).last_hidden_state
    for source in ("generating", "encoder", "tower"):
        loaded = load_encoder(tmp_path / source)
        assert isinstance(loaded, ParaClapWhisperModel)
        assert torch.equal(loaded(noise(9000)[None]).last_hidden_state, expected)


def test_an_incomplete_whisper_is_refused(whisper, tmp_path):
    weights = {name: value for name, value in whisper.state_dict().items() if "encoder.layers.1.fc1" not in name}
    whisper.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(RuntimeError, match=r"lacks 2 weights of Whisper's encoder, such as .*layers.1.fc1.bias"):
        load_encoder(tmp_path)


@torch.no_grad()
def test_a_paraclap_from_a_whisper(folder, tower, tiny_model, tmp_path):
    tiny_model.text_model.save_pretrained(tmp_path / "text")
    model = ParaClapModel.from_encoders_pretrained(folder, tmp_path / "text", projection_dim=24).eval()
    assert model.config.audio_config.model_type == "paraclap_whisper"
    states = model.get_audio_features(noise(9000)[None]).last_hidden_state
    assert torch.equal(states, tower(noise(9000)[None]).last_hidden_state)
    model.save_pretrained(tmp_path / "model")
    loaded, info = ParaClapModel.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert isinstance(loaded.config.audio_config, ParaClapWhisperConfig)
    inputs = batch()
    assert torch.equal(loaded(**inputs).logits_per_audio, model(**inputs).logits_per_audio)


def test_a_whispers_configuration_becomes_the_towers():
    for given in (WhisperConfig(**SMALL), {"model_type": "whisper", **SMALL}):
        config = ParaClapConfig(audio_config=given).audio_config
        assert isinstance(config, ParaClapWhisperConfig)
        assert (config.hidden_size, config.num_hidden_layers, config.max_source_positions) == (32, 3, POSITIONS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(frames_per_state=0), "frames_per_state is 0; expected a whole number of frames"),
        (dict(encoder_layerdrop=0.1), "encoder_layerdrop is 0.1; this tower drops no layers"),
    ],
)
def test_configurations_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ParaClapWhisperConfig(**wrong)


# ---------------------------------------------------------------------------------------------------------- in a model


def model_with(tiny_config, **options):
    torch.manual_seed(0)
    return ParaClapModel(tiny_config(audio_config=AUDIO_CONFIGS["whisper"], **options))


def test_every_parameter_learns_and_the_positions_do_not(tiny_config):
    model = model_with(tiny_config).train()
    model(**batch(), return_loss=True).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    model.freeze_towers()  # all learn again
    assert "audio_model.embed_positions.weight" not in dict(model.named_parameters())
    assert "audio_model.embed_positions.weight" in model.state_dict()


def test_gradient_checkpointing_gives_the_same_gradients(tiny_config):
    model, gradients = model_with(tiny_config, projection_dropout=0.0), []
    for checkpointing in (False, True):
        model.train().zero_grad()
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.audio_model(batch()["input_values"]).last_hidden_state.square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.audio_model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-4)


def test_spec_augment_masks_in_training_alone(tiny_config):
    config = ParaClapWhisperConfig(
        **SIZE, encoder_ffn_dim=48, apply_spec_augment=True, mask_time_prob=0.3, mask_feature_prob=0.2
    )
    torch.manual_seed(0)
    tower, waveform = ParaClapWhisperModel(config), noise(16000)[None]
    with torch.no_grad():
        first, second = (tower.train()(waveform).last_hidden_state for _ in range(2))
        assert not torch.equal(first, second)
        first, second = (tower.eval()(waveform).last_hidden_state for _ in range(2))
        assert torch.equal(first, second)


@torch.no_grad()
def test_it_compiles_without_a_break_in_the_graph(tiny_config):
    model = model_with(tiny_config).eval()
    compiled = model_with(tiny_config).eval()
    compiled.audio_model.compile(dynamic=True, fullgraph=True, backend="aot_eager")
    for n, samples in ((2, 8000), (2, 9123), (3, 12001)):
        inputs = {name: value[:n] for name, value in batch(3, samples).items()}
        found, expected = compiled(**inputs).audio_embeds, model(**inputs).audio_embeds
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_onnxruntime_has_the_same_embeddings(tiny_config, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from modeling_paraclap.export_onnx import export_onnx

    pooling = dict(audio_pooling="attentive_statistics", audio_pooling_size=16, audio_pooling_heads=2)
    model = model_with(tiny_config, audio_layer_weights=True, **pooling).eval()
    export_onnx(model, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "audio.onnx")
    for n, samples in ((1, 5000), (3, 30001)):
        waveforms, mask = torch.stack([noise(samples, seed=row) for row in range(n)]), torch.ones(n, samples).bool()
        mask[-1, samples // 2 :] = False
        with torch.no_grad():
            expected = model.get_audio_features(waveforms, mask).pooler_output
        (found,) = session.run(None, {"input_values": waveforms.numpy(), "padding_mask": mask.numpy()})
        expected = torch.nn.functional.normalize(expected, dim=-1)
        torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-4, rtol=0)


def test_the_folder_alone_equals_the_package(tiny_config, tiny_processor, tmp_path):
    model = model_with(tiny_config, audio_pooling="attentive_statistics", audio_layer_weights=True).eval()
    save_release(model, tiny_processor, tmp_path / "release")
    np.save(tmp_path / "waveform.npy", noise(8000)[None].numpy())
    code = (
        "import sys, numpy, torch; from transformers import AutoModel\n"
        "model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True).eval()\n"
        "waveform = torch.from_numpy(numpy.load('waveform.npy'))\n"
        "numpy.save('alone.npy', model.get_audio_features(waveform).pooler_output.detach().numpy())\n"
    )
    # -I: neither the working directory nor PYTHONPATH can bring the package in.
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "release")]
    environment = os.environ | {"HF_HOME": str(tmp_path / "hub")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    with torch.no_grad():
        expected = model.get_audio_features(noise(8000)[None]).pooler_output
    torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "alone.npy")), expected, atol=1e-5, rtol=0)
