"""The pipeline on long audio: scores over time, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from helpers.scores import LABELS, RATE, TASK, assert_same, by_label, speech
from transformers import pipeline


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_long_audio_gives_scores_over_time(pipe, batch_size, tmp_path):
    waveform = np.concatenate([speech(1, seed=1), speech(1.5, seed=2)])
    soundfile.write(tmp_path / "long.flac", waveform, RATE, subtype="PCM_24")
    arguments = dict(candidate_labels=LABELS, window_length_s=0.5, stride_length_s=0.25, batch_size=batch_size)
    results = [pipe(waveform, **arguments), pipe([tmp_path / "long.flac"], **arguments)[0]]
    for result in results:
        assert set(result) == {"scores", "windows"}
        assert [window["start"] for window in result["windows"]] == [0.25 * i for i in range(9)]
        for window in result["windows"]:
            assert window["end"] == window["start"] + 0.5
            first, last = round(window["start"] * RATE), round(window["end"] * RATE)
            assert_same(window["scores"], pipe(waveform[first:last], candidate_labels=LABELS), atol=1e-4)
        mean = np.mean([by_label(window["scores"]) for window in result["windows"]], 0)
        np.testing.assert_allclose(by_label(result["scores"]), mean, atol=1e-6)


def test_long_audio_options(pipe):
    waveform = speech(1.2)
    result = pipe(waveform, candidate_labels=LABELS, window_length_s=0.5, top_k=1, return_embeddings=True, batch_size=2)
    assert [(window["start"], window["end"]) for window in result["windows"]] == [(0, 0.5), (0.5, 1.0), (0.7, 1.2)]
    assert [len(window["scores"]) for window in result["windows"]] == [1, 1, 1]
    assert len(result["scores"]) == 1
    assert result["windows"][0]["embedding"].shape == result["embedding"].shape == (24,)
    assert abs(np.linalg.norm(result["embedding"]) - 1) < 1e-5
    short = pipe(waveform[:4000], candidate_labels=LABELS, window_length_s=5)
    assert [(window["start"], window["end"]) for window in short["windows"]] == [(0, 0.25)]
    assert_same(short["scores"], pipe(waveform[:4000], candidate_labels=LABELS))


def test_several_long_audios_with_the_batch_size_of_the_constructor(release, pipe):
    clips = [speech(1.1, seed=1), speech(0.3, seed=2), speech(0.8, seed=3)]
    batched = pipeline(TASK, model=str(release), device="cpu", batch_size=4, window_length_s=0.2)
    for result, clip in zip(batched(clips, candidate_labels=LABELS), clips, strict=True):
        single = pipe(clip, candidate_labels=LABELS, window_length_s=0.2)
        assert [w["start"] for w in result["windows"]] == [w["start"] for w in single["windows"]]
        assert_same(result["scores"], single["scores"], atol=1e-5)
    # None takes the windows away again.
    whole = batched(clips[0], candidate_labels=LABELS, window_length_s=None)
    assert_same(whole, pipe(clips[0], candidate_labels=LABELS))


def test_windows_of_digital_silence_are_left_out(pipe):
    waveform = np.concatenate([speech(0.5), np.zeros(RATE, np.float32), speech(0.5)])
    result = pipe(waveform, candidate_labels=LABELS, window_length_s=0.5)
    assert [window["start"] for window in result["windows"]] == [0, 1.5]


def test_an_hour_in_bounded_memory(pipe, tmp_path):
    minute = speech(60)
    with soundfile.SoundFile(tmp_path / "hour.wav", "w", RATE, 1) as sound:
        for _ in range(60):
            sound.write(minute)
    tracemalloc.start()
    result = pipe(tmp_path / "hour.wav", candidate_labels=LABELS, window_length_s=20, batch_size=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(result["windows"]) == 180
    assert result["windows"][-1]["end"] == 3600
    assert peak < 40e6  # the hour itself is 230 MB
