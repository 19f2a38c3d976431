"""Every form in which a user may hold audio, and what is said of those that cannot be used."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from helpers.audio import encoded, tone

from modeling_paraclap.audio_paraclap import AudioError, load_audio
from modeling_paraclap.decode_paraclap import BLOCK_VALUES
from modeling_paraclap.inputs_paraclap import load_input, stream_input

RATE = 16000
SPEECH = tone(0.5)
FILE = encoded(SPEECH, subtype="FLOAT")
STEREO = np.stack([SPEECH * 1.5, SPEECH * 0.5])
SAMPLES = SimpleNamespace(data=torch.from_numpy(STEREO), sample_rate=RATE)  # what torchcodec gives
DECODER = SimpleNamespace(get_all_samples=lambda: SAMPLES)


@pytest.mark.parametrize(
    "audio",
    [
        SPEECH,
        SPEECH.astype(np.float64),
        SPEECH[None],
        SPEECH[:, None],
        STEREO,
        STEREO.T,
        torch.from_numpy(SPEECH),
        torch.from_numpy(STEREO).requires_grad_(),
        FILE,
        bytearray(FILE),
        memoryview(FILE),
        io.BytesIO(FILE),
        {"array": SPEECH, "sampling_rate": RATE},
        {"raw": SPEECH, "sampling_rate": RATE},
        {"array": SPEECH.tolist(), "sampling_rate": float(RATE), "path": None},
        {"bytes": FILE, "path": "gone.wav"},
        {"audio": {"array": torch.from_numpy(SPEECH), "sampling_rate": RATE}, "emotion": "sad"},
        {"audio": {"bytes": FILE, "path": None}},
        {"audio": FILE},
        DECODER,
        SAMPLES,
        {"audio": DECODER},
        SimpleNamespace(data=torch.from_numpy(STEREO[:, :1]), sample_rate=RATE),
    ],
)
def test_forms_of_audio(audio):
    loaded = load_input(audio, RATE)
    assert loaded.dtype == np.float32
    expected = SPEECH[:1] if isinstance(audio, SimpleNamespace) and loaded.size < 9 else SPEECH
    np.testing.assert_allclose(loaded, expected, atol=1e-6)


def test_paths(tmp_path, monkeypatch):
    file = tmp_path / "speech with ü.wav"
    file.write_bytes(FILE)
    monkeypatch.setenv("HOME", str(tmp_path))
    with file.open("rb") as opened:
        for audio in (
            file,
            str(file),
            {"path": str(file), "bytes": None},
            {"path": file},
            {"audio": str(file)},
            opened,
            file.as_uri(),
            f"FILE://{file}",
            f"file://localhost{file}",
            "~/speech with ü.wav",
        ):
            np.testing.assert_array_equal(load_input(audio, RATE), SPEECH)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~odd.wav").write_bytes(FILE)
    np.testing.assert_array_equal(load_input("~odd.wav", RATE), SPEECH)
    with pytest.raises(AudioError, match="nowhere.wav' does not exist"):
        load_input("~/nowhere.wav", RATE)
    with pytest.raises(AudioError, match="on another machine"):
        load_input("file://server/speech.wav", RATE)
    with pytest.raises(AudioError, match="s3://bucket/speech.wav is no local file.*download others first"):
        load_input("s3://bucket/speech.wav?token=secret", RATE)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_an_open_sound_file(tmp_path, mode):
    stereo = np.tile(STEREO.T, (40, 1))
    soundfile.write(tmp_path / "a.wav", stereo, 22050, subtype="FLOAT")
    with soundfile.SoundFile(tmp_path / "a.wav", mode) as sound:
        sound.seek(1000)
        expected = load_input(tmp_path / "a.wav", RATE)
        for audio in (sound, {"audio": sound}):
            np.testing.assert_array_equal(load_input(audio, RATE), expected)
        with pytest.raises(TypeError, match="gives ndarray objects when it is read; expected bytes"):
            load_audio(sound)
    with pytest.raises(AudioError, match="is closed"):
        load_input(sound, RATE)
    with soundfile.SoundFile(tmp_path / "b.wav", "w", RATE, 1) as sound, pytest.raises(AudioError, match="for writing"):
        load_input(sound, RATE)


def test_the_callers_array_is_never_returned():
    for audio in (SPEECH, SPEECH[None], torch.from_numpy(SPEECH), {"array": SPEECH, "sampling_rate": RATE}):
        loaded = load_input(audio, RATE)
        assert not np.shares_memory(loaded, SPEECH)
        loaded[:] = 0
    long = np.tile(SPEECH, 150)
    kept = long.copy()
    assert load_input(long, RATE).sum() == pytest.approx(kept.sum())
    np.testing.assert_array_equal(long, kept)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_bare_array_has_the_rate_that_is_said_and_others_know_their_own(rate):
    waveform = tone(0.5, rate)
    expected = load_input(encoded(waveform, rate, subtype="FLOAT"), RATE)
    assert len(expected) == 8000
    for audio in (waveform, np.stack([waveform] * 2), torch.from_numpy(waveform)):
        for given in (rate, float(rate), np.int64(rate)):
            np.testing.assert_array_equal(load_input(audio, RATE, sampling_rate=given), expected)
    for audio in ({"array": waveform, "sampling_rate": rate}, encoded(waveform, rate, subtype="FLOAT")):
        np.testing.assert_array_equal(load_input(audio, RATE, sampling_rate=16001), expected)
    np.testing.assert_array_equal(load_input({"array": waveform}, RATE, sampling_rate=rate), expected)


@pytest.mark.parametrize(
    ("integers", "error"),
    [
        ((SPEECH * 2**15).astype(">i2"), 1e-4),
        (torch.from_numpy((SPEECH * 2.0**31).astype(np.int32)), 1e-6),
        ((SPEECH * 128).astype(np.int8), 1e-2),
        ((SPEECH * 2**15).astype(np.int16), 1e-4),
        (torch.from_numpy((SPEECH * 2**15).astype(np.int16)), 1e-4),
        ((SPEECH * 2.0**31).astype(np.int32), 1e-6),
        ((SPEECH * 128 + 128).astype(np.uint8), 1e-2),
    ],
)
def test_integers_are_scaled_as_in_a_wav(integers, error):
    np.testing.assert_allclose(load_input(integers, RATE), SPEECH, atol=error)


def test_long_arrays_are_converted_block_by_block():
    for audio, most in (
        (np.tile(SPEECH.astype(np.float64), 150), BLOCK_VALUES),
        (np.tile(STEREO, 75), BLOCK_VALUES // 2),
    ):
        lengths = [len(block) for block in stream_input(audio, RATE)]
        assert sum(lengths) == max(audio.shape)
        assert set(lengths[:-1]) == {most}


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.float32), "is empty"),
        (np.zeros((2, 0), np.float32), "is empty"),
        (np.full(8000, np.nan, np.float32), "NaN or infinite"),
        (np.where(np.arange(8000) == 7000, np.inf, 0.1), "NaN or infinite"),
        (SPEECH * 32768, "divide by 32768"),
        (np.arange(8000), "samples of the type int64"),
        (np.array(["a"] * 8000), "samples of the type"),
        (np.zeros(8000, np.complex64), "samples of the type complex64"),
        (np.array(0.1), r"has the shape \(\)"),
        (np.zeros((4, 5, 6)), r"has the shape \(4, 5, 6\)"),
        (np.zeros((40, 8000)), "40 channels.*list of waveforms"),
        (np.zeros((4, 4)), "which axis is time"),
        ({"array": SPEECH}, "has 'array' but no \"sampling_rate\""),
        ({"array": SPEECH, "sampling_rate": 16}, "sampling rate is 16; expected a whole number of Hz"),
        ({"array": SPEECH, "sampling_rate": 44100.5}, "sampling rate is 44100.5"),
        ({"array": SPEECH, "sampling_rate": 10**9}, "limit is 768000 Hz. Set .* PARACLAP_MAX_SAMPLING_RATE"),
        ({"array": SPEECH, "sampling_rate": float("inf")}, "sampling rate is inf"),
        ({"array": SPEECH, "sampling_rate": float("nan")}, "sampling rate is nan"),
        ({"array": SPEECH, "sampling_rate": "16000"}, "sampling rate is '16000'"),
        ({"samples": SPEECH}, r"the keys \['samples'\], and no audio"),
        ({"bytes": None, "path": None}, "no audio under any"),
        ({"bytes": FILE[:999], "path": "a.wav"}, r"a\.wav.* is truncated"),
        ({"bytes": b"", "path": None}, "is empty"),
    ],
)
def test_audio_that_cannot_be_used_says_why(audio, message):
    with pytest.raises(AudioError, match=message):
        load_input(audio, RATE)


@pytest.mark.parametrize("audio", [None, 3, 0.5, [0.1, 0.2], (SPEECH, RATE), {1, 2}])
def test_what_is_no_audio_is_a_type_error(audio):
    with pytest.raises(TypeError, match=r"is not a supported audio input\. Pass a path"):
        load_input(audio, RATE)
