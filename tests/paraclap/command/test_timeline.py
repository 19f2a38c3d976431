"""`paraclap timeline`: scores over time, their smoothing, labels for other programs, and the picture."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers.audio import tone
from matplotlib.image import imread

from paraclap.command.annotations import audacity, srt, textgrid
from paraclap.command.timeline import Timeline, View
from paraclap.page.questions import NamedQuestion
from paraclap.page.smoothing import Envelope, smooth
from paraclap.synthetic_speech import VOICES, synthesise

QUESTION = NamedQuestion("mood", (("good", ("good",)), ('"bad"', ("bad",))))


def made(scores, sounding, rate=1000, stride=1.0, **view):
    """A timeline with windows of 1 s, and audio of noise in the seconds that sound."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(len(sounding), rate))
    waveform = np.where(np.array(sounding, bool)[:, None], noise, 0).astype(np.float32).ravel()
    envelope = Envelope(rate)
    for _ in envelope.watch(np.array_split(waveform, 7)):
        pass
    starts = np.array([number * stride for number, score in enumerate(scores) if score is not None])
    table = np.array([[score, 1 - score] for score in scores if score is not None])
    return Timeline(
        "a.wav", View(1.0, stride, **view), starts, starts + 1, {"mood": table}, {"mood": QUESTION}, envelope
    )


def test_the_files_of_a_recording(run, recordings, pipe, tmp_path):
    waveform = np.concatenate([synthesise(VOICES[0], 3.0), np.zeros(64000, np.float32), synthesise(VOICES[1], 3.0)])
    soundfile.write(tmp_path / "talk.flac", waveform, 16000)
    options = [
        "--labels",
        "angry,calm",
        "--window",
        "1",
        "--stride",
        "0.5",
        "--format",
        "textgrid",
        "-o",
        tmp_path / "o",
    ]
    result = run("timeline", tmp_path / "talk.flac", recordings / "broken.wav", *options, status=1)
    assert "broken.wav' is not audio" in result.stderr
    assert "10 s of audio, smoothed over 1 s" in result.stdout
    names = ["talk.TextGrid", "talk.timeline.csv", "talk.timeline.png"]
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == names
    table = pd.read_csv(tmp_path / "o" / "talk.timeline.csv")
    assert not table["start"].between(3, 6).any(), "silent windows are left out"
    expected = pipe(
        str(tmp_path / "talk.flac"), candidate_labels=["angry", "calm"], window_length_s=1.0, stride_length_s=0.5
    )["windows"]
    heard = table.set_index("start")
    assert list(heard.index) == [window["start"] for window in expected]
    for window in expected:
        for entry in window["scores"]:
            assert heard.loc[window["start"], f"label.{entry['label']}"] == pytest.approx(entry["score"], abs=1e-5)
    assert imread(tmp_path / "o" / "talk.timeline.png").shape[1] == 1540


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "0"], "--window is 0.0; expected a number of seconds above 0"),
        (["--window", "1", "--stride", "2"], "the stride must not exceed the window"),
        (["--smooth", "nan"], "--smooth is nan"),
    ],
)
def test_windows_that_cannot_be(run, recordings, options, message):
    assert message in run("timeline", recordings / "voice0.wav", *options, status=2).stderr


def test_recordings_of_one_name_have_files_of_their_own(run, recordings, tmp_path):
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, tone(0.6), 16000)
    run("timeline", tmp_path / "a.wav", tmp_path / "a.flac", "--labels", "a,b", "-o", tmp_path / "o")
    assert len(list((tmp_path / "o").glob("*.timeline.csv"))) == 2
    (tmp_path / "b").mkdir()
    soundfile.write(tmp_path / "b" / "a.wav", tone(0.6), 16000)
    result = run("timeline", tmp_path / "a.wav", tmp_path / "b" / "a.wav", "--labels", "a,b", status=2)
    assert "Two recordings are named 'a.wav'" in result.stderr


def test_smoothing_is_the_mean_of_the_windows_around_a_moment():
    rng = np.random.default_rng(0)
    centres, scores = np.delete(np.arange(0.5, 60), slice(20, 25)), rng.uniform(size=(55, 3))
    at = np.linspace(0, 60, 123)
    for moment, row in zip(at, smooth(centres, scores, at, 7.0, reach=1.5), strict=True):
        if np.abs(centres - moment).min() > 1.5:
            assert 20.5 < moment < 24.5
            assert np.isnan(row).all()
        else:
            np.testing.assert_allclose(row, scores[np.abs(centres - moment) <= 3.5].mean(axis=0))


def test_smoothing_is_never_narrower_than_a_window_and_counts_what_is_nearest():
    found = smooth(np.array([0.5, 10.5]), np.array([[0.2], [0.8]]), np.array([0.0, 4.0, 9.0, 99.0]), 0.1, reach=5.0)
    assert found.ravel().tolist() == pytest.approx([0.2, 0.2, 0.8, np.nan], nan_ok=True)


def test_an_envelope_does_not_depend_on_the_blocks_and_holds_the_extremes():
    waveform = np.random.default_rng(0).normal(size=10_007).astype(np.float32)
    whole, parts = Envelope(1000), Envelope(1000)
    for envelope, blocks in ((whole, [waveform]), (parts, np.array_split(waveform, 613))):
        assert np.array_equal(np.concatenate(list(envelope.watch(blocks))), waveform)
    edges = np.linspace(0, whole.duration, 11)
    np.testing.assert_array_equal(whole.extremes(edges), parts.extremes(edges))
    np.testing.assert_allclose(whole.levels(edges), parts.levels(edges))
    extremes = whole.extremes(edges)
    assert extremes.min() == waveform.min()
    assert extremes.max() == waveform.max()
    part = waveform[: 50 * 20]
    assert whole.levels(np.array([0, 1.0]))[0] == pytest.approx(10 * np.log10(np.mean(part**2)), abs=1e-3)


def test_segments_join_what_is_alike_and_leave_silence_out():
    timeline = made([0.9, 0.9, 0.1, None, None, 0.8], [1, 1, 1, 0, 0, 1], smoothing=1e-6)
    assert list(timeline.segments("mood")) == [(0, 2, "good"), (2, 3, '"bad"'), (5, 6, "good")]


def test_a_pause_shorter_than_a_window_is_blank_too():
    timeline = made([0.9] * 9, [1, 0, 1, 1, 1], stride=0.5, smoothing=1e-6)
    assert list(timeline.segments("mood")) == [(0, 1, "good"), (2, 5, "good")]


def test_labels_for_other_programs():
    timeline = made([0.9, 0.1, None, 0.8], [1, 1, 0, 1], smoothing=1e-6)
    assert audacity(timeline) == ('0.000000\t1.000000\tgood\n1.000000\t2.000000\t"bad"\n3.000000\t4.000000\tgood\n')
    assert srt(timeline).split("\n\n")[1] == '2\n00:00:01,000 --> 00:00:02,000\n"bad"'
    text = textgrid(timeline)
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 4.000000\n')
    bounds = [float(value) for value in re.findall(r"^ {12}x(?:min|max) = (.*)$", text, re.M)]
    assert bounds == [0, 1, 1, 2, 2, 3, 3, 4], "an interval tier has no gaps"
    assert re.findall(r"^ {12}text = (.*)$", text, re.M) == ['"good"', '"""bad"""', '""', '"good"']


def test_subtitles_of_several_questions_change_together():
    timeline = made([0.9, 0.1, 0.1], [1, 1, 1], smoothing=1e-6)
    timeline.questions["other"] = NamedQuestion("other", (("x", ("x",)), ("y", ("y",))))
    timeline.scores["other"] = np.array([[1.0, 0], [1.0, 0], [0, 1.0]])
    texts = [block.split("\n", 2)[2].strip() for block in srt(timeline).split("\n\n")]
    assert texts == ["mood: good\nother: x", 'mood: "bad"\nother: x', 'mood: "bad"\nother: y']
    assert len(list(itertools.pairwise(texts))) == 2


def test_the_picture_shows_silence_blank_and_any_script(tmp_path, recwarn):
    from paraclap.command.heat_map import draw_timeline

    timeline = made([0.9] * 3 + [None] * 4 + [0.2] * 3, [1] * 3 + [0] * 4 + [1] * 3)
    timeline.questions["mood"] = NamedQuestion("气氛", (("高兴", ("x",)), ("😀 بد", ("y",))))
    draw_timeline(timeline, tmp_path / "a.png")
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]
    picture = imread(tmp_path / "a.png")[..., :3]
    row = picture[int(picture.shape[0] * 0.68)]
    coloured = row.max(axis=1) - row.min(axis=1) > 0.1
    left, right = np.flatnonzero(coloured)[[0, -1]]
    middle = coloured[left + int(0.35 * (right - left)) : left + int(0.6 * (right - left))]
    assert not middle.any()
    assert coloured[left : left + int(0.2 * (right - left))].all()
