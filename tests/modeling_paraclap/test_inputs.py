"""Every form in which a user may hold audio, and what is said of those that cannot be used."""

import functools
import http.server
import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.audio import encoded, tone

from modeling_paraclap.audio_paraclap import AudioError
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


def test_paths(tmp_path):
    file = tmp_path / "speech with ü.wav"
    file.write_bytes(FILE)
    with file.open("rb") as opened:
        for audio in (file, str(file), {"path": str(file), "bytes": None}, {"audio": str(file)}, opened):
            np.testing.assert_array_equal(load_input(audio, RATE), SPEECH)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and logs nothing."""

    def log_message(self, *args):
        """Nothing."""


def test_urls(tmp_path):
    (tmp_path / "speech.wav").write_bytes(FILE)
    (tmp_path / "page.html").write_text("<html>Please log in</html>" * 10)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        np.testing.assert_array_equal(load_input(f"{address}/speech.wav", RATE), SPEECH)
        with pytest.raises(AudioError, match=r"nowhere\.wav cannot be downloaded.*404"):
            load_input(f"{address}/nowhere.wav", RATE)
        with pytest.raises(AudioError, match=r"page\.html.*not audio"):
            load_input(f"{address}/page.html", RATE)
        server.shutdown()
    with pytest.raises(AudioError, match=r"speech\.wav cannot be downloaded.*refused"):
        load_input(f"{address}/speech.wav", RATE)


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
        ((SPEECH * 2**15).astype(np.int16), 1e-4),
        (torch.from_numpy((SPEECH * 2**15).astype(np.int16)), 1e-4),
        ((SPEECH * 2.0**31).astype(np.int32), 1e-6),
        ((SPEECH * 128 + 128).astype(np.uint8), 1e-2),
    ],
)
def test_integers_are_scaled_as_in_a_wav(integers, error):
    np.testing.assert_allclose(load_input(integers, RATE), SPEECH, atol=error)


def test_long_arrays_are_converted_block_by_block():
    blocks = list(stream_input(np.tile(SPEECH.astype(np.float64), 150), RATE))
    assert [len(block) for block in blocks] == [480000, 480000, 240000]


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
    with pytest.raises(TypeError, match=r"is no audio\. Pass a path"):
        load_input(audio, RATE)
