"""Cues beside an encoder: level, duration, pitch and timbre of the waveform; and an encoder deaf to level."""

import pytest
import torch
from helpers.audio import tone

from modeling_paraclap import ParaClapModel, ParaClapWhisperConfig, ParaClapWhisperModel
from modeling_paraclap.cues_paraclap import ParaClapCues
from modeling_paraclap.heard_paraclap import HeardAudio

WHISPER = dict(d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48)


@pytest.fixture
def cues():
    cues = ParaClapCues(8)
    cues.front_end.fill()
    return cues.eval()


def test_level_and_duration_are_measured(cues):
    waveform = torch.from_numpy(tone(2.0))[None]
    loud, quiet = cues.measure(waveform), cues.measure(waveform / 10)
    assert loud[0, 0] - quiet[0, 0] == pytest.approx(20, abs=1e-3)
    assert loud[0, 1] == pytest.approx(1)  # two seconds, an octave above one
    torch.testing.assert_close(loud[:, 1:], quiet[:, 1:], atol=2e-3, rtol=0)


@pytest.mark.parametrize("hertz", [100, 220, 400])
def test_the_histogram_of_pitch_peaks_at_the_pitch(cues, hertz):
    voice = sum(torch.from_numpy(tone(1.0, frequency=hertz * harmonic)) / harmonic for harmonic in range(1, 6))
    measured = cues.measure(voice[None])
    config = cues.front_end.config
    peak = int(measured[0, 2 : 2 + config.num_pitch_bins].argmax())
    assert config.lowest_pitch_hz * 2 ** (peak / config.bins_per_octave) == pytest.approx(hertz, rel=0.05)


def test_padding_changes_no_cue(cues):
    alone = torch.from_numpy(tone(0.7))
    padded = torch.nn.functional.pad(alone, (0, 5000))[None]
    mask = torch.arange(padded.shape[1])[None] < len(alone)
    torch.testing.assert_close(cues.measure(padded, mask), cues.measure(alone[None]), atol=1e-4, rtol=0)
    assert torch.equal(cues.measure(padded), cues.measure(padded, torch.ones_like(mask)))


def test_an_encoder_can_be_deaf_to_level():
    config = ParaClapWhisperConfig(**WHISPER, normalize_level=True)
    torch.manual_seed(0)
    tower = ParaClapWhisperModel(config).eval()
    waveform = torch.from_numpy(tone(0.5))[None]
    loud, quiet = (tower(waveform * gain).last_hidden_state for gain in (1, 0.05))
    torch.testing.assert_close(loud, quiet, atol=1e-3, rtol=0)
    config.normalize_level = False
    hears = ParaClapWhisperModel(config).eval()
    hears.load_state_dict(tower.state_dict())
    loud, quiet = (hears(waveform * gain).last_hidden_state for gain in (1, 0.05))
    assert (loud - quiet).abs().max() > 0.01


@pytest.mark.parametrize("layers", [None, [0, 2]])
@pytest.mark.parametrize("audio_cues", [False, True])
def test_states_from_before_give_the_embedding_of_the_waveform(tiny_config, layers, audio_cues):
    config = tiny_config(
        audio_config=ParaClapWhisperConfig(**WHISPER, frames_per_state=4),
        audio_layer_weights=layers,
        audio_cues=audio_cues,
        audio_pooling="statistics",
    )
    torch.manual_seed(0)
    model = ParaClapModel(config).eval()
    waveforms, mask = torch.randn(2, 9000), torch.arange(9000)[None] < torch.tensor([[9000], [5000]])
    with torch.no_grad():
        expected = model.get_audio_features(waveforms, mask).pooler_output
        heard = model.hear(waveforms, mask)
        states = torch.stack([heard.states[layer] for layer in layers or [-1]], 1)
        found = model.get_audio_features(padding_mask=heard.mask, audio_states=states, audio_cues=heard.cues)
        torch.testing.assert_close(found.pooler_output, expected)
        quieter = model.get_audio_features(waveforms / 10, mask).pooler_output
    assert (quieter - expected).abs().max() > 1e-3
    assert isinstance(heard, HeardAudio)
    assert (heard.cues is not None) == audio_cues


def test_a_model_with_cues_survives_saving(tiny_config, tmp_path):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(audio_cues=True)).eval()
    waveform = torch.from_numpy(tone(1.0))[None]
    expected = model.get_audio_features(waveform).pooler_output
    model.save_pretrained(tmp_path)
    again = ParaClapModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again.get_audio_features(waveform).pooler_output, expected)
    without = ParaClapModel(tiny_config()).eval()
    assert without.cues is None
