"""What the pipeline does with audio that cannot be used, among audio that can, and its progress bar."""

import io

import numpy as np
import pytest
import torch
from helpers.audio import encoded
from helpers.scores import LABELS, RATE, assert_same, speech

from modeling_paraclap.audio_paraclap import AudioError

NO_AUDIO = {
    "nothing": (None, "None (NoneType) is not a supported audio input"),
    "a number": (5, "5 (int) is not a supported audio input"),
    "a NumPy number": (np.float32(5), "is not a supported audio input"),
    "a list of numbers": ([0.1, 0.2], "is not a supported audio input"),
    "an empty dict": ({}, "no audio under any that is known"),
    "a dict that leads to a number": ({"path": 5}, "5 (int) is not a supported audio input"),
    "text for bytes": ({"bytes": "RIFF"}, "expected the bytes of an audio file"),
    "lists of unequal length": ({"array": [[1.0], [1.0, 2.0]], "sampling_rate": RATE}, "'array' is no array"),
    "words for samples": (np.array(["a", "b"]), "samples of the type <U1"),
    "no rate": ({"array": speech()}, 'no "sampling_rate"'),
    "a file of text": (io.StringIO("RIFF"), "Open the file in binary mode"),
    "three axes": (torch.zeros(2, 2, 2), "the shape (2, 2, 2)"),
    "a cut file": (encoded(speech())[:5000], "is truncated"),
}


@pytest.mark.parametrize("kind", NO_AUDIO)
@pytest.mark.parametrize("window_length_s", [None, 0.2])
def test_what_is_no_audio_is_reported_in_its_place(pipe, kind, window_length_s):
    item, message = NO_AUDIO[kind]
    options = dict(candidate_labels=LABELS, window_length_s=window_length_s)
    before, report, after = pipe([speech(), item, speech()], on_error="report", **options)
    assert message in report["error"]
    assert report["audio"] is None
    assert before == after
    assert pipe(item, on_error="report", **options) == report or isinstance(item, list)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_left_out_audio_moves_later_results_up_with_a_warning(pipe, batch_size, monkeypatch):
    warnings = []
    monkeypatch.setattr("modeling_paraclap.pipeline_paraclap.logger.warning", warnings.append)
    low, high = speech(), speech(seed=1)
    cut = encoded(low)[:5000]
    options = dict(candidate_labels=LABELS, batch_size=batch_size)
    expected = pipe([low, high], **options)
    for found, right in zip(pipe([cut, low, None, cut, high, cut], on_error="skip", **options), expected, strict=True):
        assert_same(found, right)
    assert len(warnings) == 4
    assert all(warning.startswith("Left out: ") for warning in warnings)
    assert "is truncated" in warnings[0]
    of_stream = pipe((audio for audio in [cut, low, high]), on_error="skip", **options)
    for found, right in zip(of_stream, expected, strict=True):
        assert_same(found, right)
    assert pipe([cut, cut], on_error="skip", **options) == []
    assert pipe(cut, on_error="skip", candidate_labels=LABELS) is None
    with pytest.raises(AudioError, match="is truncated"):
        pipe([low, cut], **options)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_first_that_cannot_be_used_is_raised_with_its_class(pipe, tmp_path, num_workers):
    files = []
    for number, content in enumerate([encoded(speech()), b"text", encoded(speech())]):
        files.append(tmp_path / f"{number}.wav")
        files[-1].write_bytes(content)
    with pytest.raises(AudioError, match=r"1.wav' is not audio"):
        pipe(files, candidate_labels=LABELS, num_workers=num_workers)
    with pytest.raises(TypeError, match="expected the bytes of an audio file"):
        pipe([{"path": str(files[0])}, {"bytes": "x"}], candidate_labels=LABELS, num_workers=num_workers)


def test_progress_is_shown_for_several_audios(pipe, monkeypatch):
    bars = []

    def bar(results, **options):
        bars.append(options)
        return results

    monkeypatch.setattr("modeling_paraclap.pipeline_paraclap.logging.tqdm", bar)
    expected = pipe([speech(), speech()], candidate_labels=LABELS)
    assert bars == []
    for audios in ([speech(), speech()], (speech() for _ in range(2))):
        for found, right in zip(pipe(audios, candidate_labels=LABELS, progress=True), expected, strict=True):
            assert_same(found, right)
    pipe([None, speech()], candidate_labels=LABELS, progress=True, on_error="skip")
    pipe(speech(), candidate_labels=LABELS, progress=True)
    assert [entry["total"] for entry in bars] == [2, None, 2]


def test_the_real_bar_counts_to_the_end(pipe, capsys):
    pipe([speech(), speech(), speech()], candidate_labels=LABELS, progress=True)
    assert "3/3" in capsys.readouterr().err
