"""Resampling is soxr's, block by block, for any pair of rates."""

import time

import numpy as np
import pytest
import soxr
from helpers.audio import encoded, tone

from modeling_paraclap.audio_paraclap import load_audio
from modeling_paraclap.clips_paraclap import Loader, Windows
from modeling_paraclap.inputs_paraclap import load_input
from modeling_paraclap.resample_paraclap import part_to_read, resample_blocks, resampled_length
from modeling_paraclap.waveform_paraclap import AudioError, is_silent

RATES = [1000, 8000, 11025, 11127, 16000, 16001, 22050, 22254, 24414, 44056, 44100, 44101, 48000, 96000, 96001, 192000]


@pytest.mark.parametrize("rate", RATES)
def test_load_audio_resamples_like_soxr_in_one_piece(rate, monkeypatch):
    waveform = tone(1.3, rate)
    monkeypatch.setattr("modeling_paraclap.decode_paraclap.BLOCK_VALUES", 1013)
    loaded = load_audio(encoded(waveform, rate, subtype="FLOAT"))
    np.testing.assert_allclose(loaded, soxr.resample(waveform, rate, 16000, "HQ"), atol=1e-6)
    assert len(loaded) == resampled_length(len(waveform), rate, 16000)


@pytest.mark.parametrize("rate", [8000, 24414, 44100, 44101])
def test_the_length_is_what_soxr_gives(rate):
    for samples in [*range(1, 40), 999, 1000, 12345]:
        assert resampled_length(samples, rate, 16000) == len(soxr.resample(np.zeros(samples, np.float32), rate, 16000))


@pytest.mark.parametrize("sizes", [[1] * 50, [7, 5000, 1, 1, 9000], [3]])
def test_blocks_of_any_size_resample_to_the_same(sizes):
    waveform = tone(rate=sum(sizes))[: sum(sizes)]
    blocks = np.split(waveform, np.cumsum(sizes)[:-1])
    joined = np.concatenate([np.zeros(0, np.float32), *resample_blocks(blocks, 44100, 16000)])
    np.testing.assert_allclose(joined, soxr.resample(waveform, 44100, 16000), atol=1e-6)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > 8000])
def test_a_part_resamples_as_it_does_in_the_whole(rate):
    waveform = tone(3, rate)
    whole = soxr.resample(waveform, rate, 16000) if rate != 16000 else waveform
    for start, samples in [(0, 5000), (21_111, 8000), (47_000, 1000), (30_000, 18_000)]:
        first, last, offset = part_to_read(start, samples, rate, 16000)
        assert last - first < 1.2 * rate * samples / 16000 + 2 * rate
        part = np.concatenate(list(resample_blocks([waveform[first:last]], rate, 16000)))[offset : offset + samples]
        # Between rates without a small common step, soxr's phase is exact to some 1e-5.
        np.testing.assert_allclose(part, whole[start : start + samples], atol=5e-5)


def test_the_cost_does_not_depend_on_the_rates():
    """In the CPU's time, so that others on the machine do not count; a filter for every phase takes 8 to 23 s here."""
    for rate in (11_127, 16_001, 24_414, 44_101, 96_001, 767_999):
        waveform = tone(1.9, rate)
        start = time.process_time()
        list(resample_blocks([waveform], rate, 16000))
        assert time.process_time() - start < 0.5


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 96000])
@pytest.mark.parametrize("form", ["wav", "flac", "stereo", "array", "opposite channels", "blocks"])
def test_a_constant_offset_is_silence_at_any_rate(rate, form, monkeypatch):
    offset = np.full(rate, 0.25, np.float32)
    if form == "blocks":
        monkeypatch.setattr("modeling_paraclap.decode_paraclap.BLOCK_VALUES", 997)
    stereo = np.stack([0.5 * offset, -2 * offset if form == "opposite channels" else offset], 1)
    audio = {
        "flac": encoded(offset, rate, "FLAC"),
        "stereo": encoded(stereo, rate),
        "opposite channels": encoded(stereo, rate),
        "array": offset,
    }.get(form, encoded(offset, rate))
    waveform = load_input(audio, 16000, rate)
    assert len(waveform) == 16000
    assert is_silent(waveform)
    with pytest.raises(AudioError, match="is silent: all samples are the same"):
        Loader(16000, 400)(audio, rate)
    with pytest.raises(AudioError, match="is silent"):
        list(Loader(16000, 400)(audio, rate, Windows(0.25)).windows(4000, 4000, 400))


@pytest.mark.parametrize("start", [0.0, 0.25, -1.0])
def test_a_constant_start_is_resampled_as_any_other(start):
    waveform = np.concatenate([np.full(30_000, start, np.float32), tone(1.0, 44100)])
    for size in (7000, 30_000, len(waveform)):
        blocks = [waveform[first : first + size] for first in range(0, len(waveform), size)]
        resampled = np.concatenate(list(resample_blocks(blocks, 44100, 16000)))
        np.testing.assert_allclose(resampled, soxr.resample(waveform, 44100, 16000), atol=1e-6)
