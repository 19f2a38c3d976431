"""What a few bytes may cost: rates, channels, decoded length; each bound is stated and can be raised."""

import io
import struct
import time

import numpy as np
import pytest
import soundfile
from helpers.audio import encoded, encoded_by_ffmpeg, tone, with_size, without_flac_length

from modeling_paraclap.audio_paraclap import AudioError, load_audio, load_crop, read_audio, stream_audio
from modeling_paraclap.decode_paraclap import BLOCK_VALUES
from modeling_paraclap.inputs_paraclap import load_input, stream_input
from modeling_paraclap.limits_paraclap import LIMITS, limit

RATE_FIELD = 24
CHANNELS_FIELD = 22


def flac_of_silence(seconds, rate=16000, channels=1):
    """A few kilobytes for hours."""
    frames = np.zeros((2**20, channels), np.int16)
    buffer, left = io.BytesIO(), int(seconds * rate)
    with soundfile.SoundFile(buffer, "w", rate, channels, format="FLAC", subtype="PCM_16") as sound:
        while left > 0:
            sound.write(frames[:left])
            left -= len(frames)
    return buffer.getvalue()


@pytest.mark.parametrize("rate", [0, 1, 16, 999])
@pytest.mark.parametrize("load", [load_audio, read_audio, lambda b: next(stream_audio(b))])
def test_a_rate_below_a_kilohertz_is_refused(rate, load):
    with pytest.raises(AudioError, match="sampling rate of .* Hz; expected 1000 or more|not audio that can be read"):
        load(with_size(encoded(tone()), rate, RATE_FIELD))


@pytest.mark.parametrize("rate", [768_001, 10**6, 10**9, 2**31 - 1, 2**32 - 1])
def test_a_rate_that_no_converter_has_is_refused(rate, monkeypatch):
    content = with_size(encoded(tone(0.1)), rate, RATE_FIELD)
    for load in (load_audio, read_audio, lambda b: load_crop(b, 10, np.random.default_rng(0))):
        with pytest.raises(
            AudioError, match="768000 Hz. Set the environment variable PARACLAP_MAX_SAMP|not audio that can"
        ):
            load(content)
    if rate < 2**31:
        monkeypatch.setenv("PARACLAP_MAX_SAMPLING_RATE", "3e9")
        assert read_audio(content)[1] == rate


@pytest.mark.parametrize("channels", [33, 255, 1024])
def test_channels_are_bounded(channels, monkeypatch):
    content = encoded(np.full((100, channels), 0.1, np.float32))
    with pytest.raises(AudioError, match=f"{channels} channels; the limit is 32 .* PARACLAP_MAX_CHANNELS to raise"):
        load_audio(content)
    monkeypatch.setenv("PARACLAP_MAX_CHANNELS", str(channels))
    assert read_audio(content)[0].shape == (100, channels)
    assert load_audio(content).shape == (100,)


def test_a_length_that_is_promised_is_refused_before_anything_is_decoded():
    content = bytearray(flac_of_silence(1))
    content[21] |= 0xF
    content[22:26] = b"\xff" * 4  # 2**36 samples
    rf64 = encoded(tone(0.1), container="RF64")
    rf64 = with_size(rf64, 0xFFFFFFFF, rf64.index(b"data") + 4)
    sizes = rf64.index(b"ds64") + 8
    start = time.process_time()
    for load in (load_audio, read_audio, lambda b: next(stream_audio(b))):
        with pytest.raises(AudioError, match=r"too long \(4294967 s or more\): the limit is .* seconds"):
            load(bytes(content))
        with pytest.raises(AudioError, match="truncated"):
            load(with_size(with_size(rf64, 2**60, sizes, "<Q"), 2**60, sizes + 8, "<Q"))
    with pytest.raises(AudioError, match="too long"):
        load_crop(bytes(content), 8000, np.random.default_rng(0))
    assert time.process_time() - start < 1


@pytest.mark.parametrize("promised", [True, False])
def test_silence_that_fills_the_memory_is_refused(promised, monkeypatch):
    monkeypatch.setenv("PARACLAP_MAX_AUDIO_S", "300")
    content = flac_of_silence(400)
    assert len(content) < 25_000
    content = content if promised else without_flac_length(content)
    for load in (load_audio, read_audio):
        with pytest.raises(AudioError, match=r"too long .* PARACLAP_MAX_AUDIO_S to raise it"):
            load(content)
    assert sum(len(block) for block in stream_audio(content)) == 400 * 16000
    assert len(load_audio(flac_of_silence(100), max_seconds=100)) == 100 * 16000
    with pytest.raises(AudioError, match="too long .*the limit is 99 s here"):
        load_audio(flac_of_silence(100), max_seconds=99)
    monkeypatch.setenv("PARACLAP_MAX_AUDIO_S", "99.5")
    with pytest.raises(AudioError, match="the limit is 99.5 seconds"):
        load_audio(flac_of_silence(100))
    monkeypatch.setenv("PARACLAP_MAX_STREAM_S", "50")
    with pytest.raises(AudioError, match="the limit is 50 seconds of a recording that is read block by block"):
        list(stream_audio(flac_of_silence(100)))


def test_all_channels_of_a_recording_are_bounded_by_their_memory(monkeypatch):
    monkeypatch.setenv("PARACLAP_MAX_DECODED_MB", "1")
    stereo = encoded(np.stack([tone(5), tone(5)], 1))
    assert len(read_audio(encoded(tone(15)))[0]) == 240_000
    for content in (encoded(tone(16)), encoded(np.stack([tone(8)] * 2, 1)), encoded(tone(17), container="MP3")):
        with pytest.raises(AudioError, match="with all its samples: the limit is 1 MB .* PARACLAP_MAX_DECODED_MB"):
            read_audio(content)
        assert len(load_audio(content)) >= 8 * 16000
    assert read_audio(stereo)[0].shape == (80_000, 2)


def test_what_decodes_to_far_more_than_its_size_is_refused(monkeypatch):
    """At rates and with channels that stay within the limit on seconds."""
    monkeypatch.setattr("modeling_paraclap.decode_paraclap.FREE_VALUES", 2**22)
    content = flac_of_silence(10, 192_000, 8)
    assert 200 * len(content) < 10 * 192_000 * 8
    for load in (load_audio, read_audio, lambda b: sum(map(len, stream_audio(b)))):
        with pytest.raises(
            AudioError, match="decodes to more than .* samples: it is digital silence for the most part"
        ):
            load(content)
    assert load_audio(flac_of_silence(20, 192_000, 1)).shape == (320_000,)  # no more than is free
    noise = np.random.default_rng(0).normal(size=(6 * 192_000, 4)).astype(np.float32) / 10
    assert load_audio(encoded(noise, 192_000, "FLAC")).shape == (96_000,)


@pytest.mark.parametrize("channels", [1, 8, 32])
def test_blocks_are_bounded_by_bytes_not_by_seconds(channels):
    samples = 3 * BLOCK_VALUES // channels + 1
    content = encoded(np.full((samples, channels), 0.1, np.float32), 192_000)
    blocks = list(stream_audio(content, 192_000))
    assert max(len(block) for block in blocks) * channels <= BLOCK_VALUES
    assert sum(len(block) for block in blocks) == samples


@pytest.mark.parametrize("table", [b"stsz", b"trun"])
def test_tables_of_an_mp4_are_no_longer_than_its_file(table):
    options = {"movflags": "frag_keyframe+empty_moov"} if table == b"trun" else {}
    content = bytearray(encoded_by_ffmpeg(tone(1), **options))
    position = content.index(table) + (12 if table == b"stsz" else 8)
    if table == b"stsz":
        content[position - 4 : position] = struct.pack(">I", 1)  # all of one size, so that no table follows
    content[position : position + 4] = struct.pack(">I", 2**26)
    with pytest.raises(AudioError, match="promises 67108864 samples in"):
        load_audio(bytes(content))


def test_arrays_and_open_files_have_the_same_limits(monkeypatch):
    monkeypatch.setenv("PARACLAP_MAX_AUDIO_S", "1")
    with pytest.raises(AudioError, match="The audio is too long"):
        load_input(np.full(16001, 0.1, np.float32), 16000)
    with pytest.raises(AudioError, match="too long .*limit is 0.5 s here"):
        load_input({"array": np.full(16000, 0.1), "sampling_rate": 16000}, 16000, max_seconds=0.5)
    assert len(list(stream_input(np.full(16001, 0.1, np.float32), 16000))) == 1


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_a_number_above_0(name, monkeypatch):
    assert limit(name) == LIMITS[name][0]
    for text, value in [("7", 7), (" 2.5 ", 2.5), ("inf", float("inf")), ("", LIMITS[name][0])]:
        monkeypatch.setenv(name, text)
        assert limit(name) == value
    for text in ("0", "-1", "nan", "1 GB", "many"):
        monkeypatch.setenv(name, text)
        with pytest.raises(ValueError, match=rf"{name} is '{text}' in the environment; expected a number above 0"):
            limit(name)


@pytest.mark.parametrize(("channels", "sample"), [(1, 1e38), (2, 3e38), (2, -1e38), (1, 101.0), (1, 32767.0)])
def test_impossible_samples_of_a_file_are_refused_as_those_of_an_array(channels, sample):
    waveform = np.stack([tone()] * channels, 1)
    waveform[8000] = sample
    contents = [encoded(waveform, subtype="FLOAT"), encoded(waveform, subtype="FLOAT", container="AIFF")]
    contents.append(encoded(waveform.astype(np.float64), subtype="DOUBLE"))
    contents.append(with_size(encoded(waveform, subtype="FLOAT"), 0))  # by ffmpeg
    for content in contents:
        for load in (load_audio, read_audio, lambda b: list(stream_audio(b, 8000))):
            with pytest.raises(AudioError, match="has a sample of|NaN or infinite"):
                load(content)
    with pytest.raises(AudioError, match="has a sample of"):
        load_input(waveform.T, 16000)


def test_loud_audio_that_is_audio_is_kept():
    loud = 40 * tone()  # floats above 1 are not wrong by themselves
    assert np.abs(load_audio(encoded(loud, subtype="FLOAT"))).max() == np.abs(loud).max()
