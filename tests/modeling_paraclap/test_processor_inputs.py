"""Whatever form audio has, the processor and the feature extractor take it as the pipeline does, or refuse it."""

import io
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from helpers.audio import encoded, encoded_by_ffmpeg, tone

from modeling_paraclap.audio_paraclap import AudioError

RATE = 16000
INTEGERS = np.round(tone(0.5) * 32767).astype(np.int16)
EXPECTED = torch.from_numpy(INTEGERS / np.float32(32768))
FILE = encoded(INTEGERS)


@pytest.fixture(params=["processor", "feature extractor"])
def prepare(request, tiny_processor):
    """The processor, and the feature extractor alone, called with audio."""
    if request.param == "processor":
        return lambda audio, **options: tiny_processor(audio=audio, return_tensors="pt", **options)
    return lambda audio, **options: tiny_processor.feature_extractor(audio, return_tensors="pt", **options)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Where a server of this machine has the file."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "a.wav").write_bytes(FILE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.wav"
        server.shutdown()


def assert_same_audio(batch, rows=1, atol=1e-6):
    assert batch["input_values"].dtype == torch.float32
    torch.testing.assert_close(batch["input_values"], EXPECTED.expand(rows, -1), atol=atol, rtol=0)
    assert batch["padding_mask"].all()


@pytest.mark.parametrize(
    ("audio", "atol"),
    [
        (INTEGERS, 1e-6),
        (INTEGERS.astype(">i2"), 1e-6),
        (INTEGERS.astype("<i4") * 65536, 1e-6),
        (INTEGERS.astype(">i4") * 65536, 1e-6),
        ((INTEGERS // 256).astype(np.int8), 0.01),
        ((INTEGERS // 256 + 128).astype(np.uint8), 0.01),
        (EXPECTED.numpy().astype(">f4"), 1e-6),
        (EXPECTED.numpy().astype(np.float16), 1e-3),
        (torch.from_numpy(INTEGERS), 1e-6),
        (torch.from_numpy(INTEGERS).int() * 65536, 1e-6),
        (torch.from_numpy(INTEGERS // 256 + 128).to(torch.uint8), 0.01),
        ([INTEGERS], 1e-6),
        (list(INTEGERS), 1e-6),
        (INTEGERS[None], 1e-6),
    ],
)
def test_integers_are_scaled_by_their_type(prepare, audio, atol):
    assert_same_audio(prepare(audio, sampling_rate=RATE), atol=atol)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (INTEGERS.astype(np.int64), "type int64. Pass floats in .*, or 16-bit integers"),
        (INTEGERS.tolist(), "type int64"),
        ([INTEGERS.tolist(), INTEGERS.tolist()], "type int64"),
        (torch.from_numpy(INTEGERS).long(), "type int64"),
        (INTEGERS.astype(np.uint16), "type uint16"),
        (INTEGERS > 0, "type bool"),
        (torch.from_numpy(INTEGERS) > 0, "type bool"),
        (INTEGERS.astype(complex), "type complex128"),
        (INTEGERS.astype(np.float32), "has a sample of .*; floats are expected in .*divide by 32768"),
        ([EXPECTED, EXPECTED * torch.nan], "Utterance 1 holds samples that are NaN or infinite"),
        (np.append(EXPECTED.numpy(), np.inf), "Utterance 0 holds samples that are NaN or infinite"),
        ([0.1, -np.inf], "NaN or infinite"),
        (EXPECTED.double() * 1e300, "NaN or infinite"),
        ([None, 0.5], r"Utterance 0 is \[None, 0.5\] \(list\); expected a waveform"),
        ([INTEGERS, None], r"Utterance 1 is None \(NoneType\); expected a waveform"),
        ([[0.1, [0.2]]], r"Utterance 0 is \[+0.1, \[0.2\]+ \(list\); expected a waveform"),
        ({}, "no audio under any that is known"),
        (encoded_by_ffmpeg(None, pictures=2), "has no sound: it holds video alone"),
    ],
)
def test_what_has_no_scale_or_is_no_audio_is_refused(prepare, audio, message):
    with pytest.raises(AudioError, match=message):
        prepare(audio, sampling_rate=RATE)


def test_what_knows_its_rate_is_loaded_and_resampled(prepare, url, tmp_path, monkeypatch):
    file = tmp_path / "Grüße an alle.wav"
    file.write_bytes(FILE)
    monkeypatch.setenv("HOME", str(tmp_path))
    decoder = SimpleNamespace(get_all_samples=lambda: SimpleNamespace(data=EXPECTED[None], sample_rate=RATE))
    with soundfile.SoundFile(file) as sound, file.open("rb") as opened:
        forms = [
            file,
            str(file),
            file.as_uri(),
            f"FILE://{file}",
            "~/Grüße an alle.wav",
            url.replace("http", "HTTP"),
            FILE,
            io.BytesIO(FILE),
            opened,
            sound,
            decoder,
            {"audio": decoder, "emotion": "sad"},
            {"path": str(file), "bytes": None},
            {"path": None, "bytes": FILE},
            {"audio": {"path": "gone.wav", "bytes": FILE}, "speaker": 3},
            {"array": EXPECTED.numpy(), "sampling_rate": RATE},
            {"array": EXPECTED.tolist(), "sampling_rate": np.int64(RATE)},
        ]
        for audio in forms:
            assert_same_audio(prepare(audio), atol=1e-6)
        assert_same_audio(prepare(forms, sampling_rate=RATE), rows=len(forms))
        assert_same_audio(prepare([INTEGERS, Path(file)], sampling_rate=RATE), rows=2)
    slow = encoded(tone(0.5, 8000), 8000)
    assert prepare([slow, FILE])["input_values"].shape == (2, 8000)


def test_rows_of_a_dataset(prepare, tmp_path):
    pytest.importorskip("torchcodec", reason="datasets encodes audio with it")
    datasets = pytest.importorskip("datasets")
    (tmp_path / "a.wav").write_bytes(FILE)
    features = datasets.Features({"audio": datasets.Audio(decode=False)})
    rows = datasets.Dataset.from_dict({"audio": [str(tmp_path / "a.wav")] * 2}, features=features)
    for audio, count in ((rows[0], 1), (rows[0]["audio"], 1), (rows["audio"], 2), (list(rows), 2)):
        assert_same_audio(prepare(audio), rows=count)


@pytest.mark.parametrize("audio", [tone(0.5), INTEGERS, 5, [tone(0.5)], ["speaker is sad", None], [["sad"]]])
def test_the_first_argument_is_text_and_nothing_else(tiny_processor, audio):
    with pytest.raises(TypeError, match="first argument is text, a string or a list.*Pass audio as `audio=`"):
        tiny_processor(audio)


def test_nothing_given_is_an_error_and_text_alone_is_text(tiny_processor):
    for arguments in ({}, {"text": None}, {"audio": None}, {"return_tensors": "pt"}):
        with pytest.raises(ValueError, match="given neither text nor audio. Pass them"):
            tiny_processor(**arguments)
    for arguments in ({"text": []}, {"audio": []}, {"text": np.array([], dtype=str)}):
        with pytest.raises(ValueError, match="the list is empty. Pass at least one"):
            tiny_processor(**arguments)
    with pytest.raises(TypeError, match="takes text and audio, and was given images"):
        tiny_processor(["speaker is sad"], images=np.zeros((3, 8, 8)))
    assert tiny_processor(["speaker is sad", "sad"], return_tensors="pt")["input_ids"].shape == (2, 5)
    assert tiny_processor(np.array(["sad"]))["input_ids"] == tiny_processor(["sad"])["input_ids"]


@pytest.mark.parametrize("top_k", [np.int64(1), np.uint8(1), torch.tensor(1), np.array(1)])
def test_top_k_of_any_whole_type(pipe, top_k):
    assert len(pipe(INTEGERS, candidate_labels=["angry", "sad"], top_k=top_k)) == 1


@pytest.mark.parametrize("top_k", [0, -1, 1.0, "1", True, np.float64(1), np.bool_(True), [1]])
def test_top_k_that_is_no_number_of_labels(pipe, top_k):
    with pytest.raises(ValueError, match="top_k is .*expected a whole number of labels, 1 or more"):
        pipe(INTEGERS, candidate_labels=["angry", "sad"], top_k=top_k)
