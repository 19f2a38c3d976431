"""The one path from audio to scores: what it accepts, how it cuts, what it says of audio that cannot be used."""

import io
import pickle

import numpy as np
import pytest
import soundfile
import torch
from helpers.audio import encoded
from helpers.scores import LABELS, RATE, speech

from modeling_paraclap.clips_paraclap import LONGEST_WHOLE_S, Clip, Loader, LongAudio, Unusable, Windows
from modeling_paraclap.scoring_paraclap import Question, Scorer
from modeling_paraclap.waveform_paraclap import AudioError

CLIPS = [speech(seconds, seed=i) for i, seconds in enumerate((0.3, 0.55, 0.1, 0.41, 0.8))]
QUESTION = Question.parse(LABELS)


@pytest.fixture(scope="module")
def scorer(release):
    """The scorer of the small release."""
    return Scorer.from_pretrained(release)


def test_it_gives_the_scores_of_the_model_itself(scorer, pipe):
    heard = scorer.embed(speech())
    texts = scorer.tokenizer([f"speaker is {label}." for label in LABELS], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = scorer.model(**texts, input_values=torch.from_numpy(speech())[None]).logits_per_audio[0]
    answer = scorer.answer(heard, QUESTION)
    assert list(answer) == LABELS
    np.testing.assert_allclose(list(answer.values()), logits.softmax(0).numpy(), atol=1e-6)
    assert np.ptp(list(answer.values())) > 0.01
    by_pipeline = {entry["label"]: entry["score"] for entry in pipe(speech(), candidate_labels=LABELS)}
    assert by_pipeline == pytest.approx(answer, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_many_audios_are_embedded_as_each_alone_in_their_order(scorer, batch_size):
    alone = [scorer.embed(clip) for clip in CLIPS]
    together = list(scorer.embed_all(iter(CLIPS), batch_size=batch_size))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.embeds, other.embeds, atol=1e-5, rtol=0)
        assert one.times == other.times
    assert together[1].times == ((0.0, 0.55),)


def test_several_questions_take_one_pass_over_the_audio(scorer, monkeypatch):
    calls = []
    embed = scorer.model.get_audio_features
    monkeypatch.setattr(scorer.model, "get_audio_features", lambda *a, **k: calls.append(len(a[0])) or embed(*a, **k))
    questions = {
        "emotion": QUESTION,
        "gender": Question.parse("a female is speaking, a male is speaking", "{}", "sigmoid"),
    }
    answers = list(scorer.ask(CLIPS, questions))
    assert calls == [1] * len(CLIPS)
    assert [list(answer) for answer in answers] == [["emotion", "gender"]] * len(CLIPS)
    assert sum(answers[0]["emotion"].values()) == pytest.approx(1, abs=1e-6)
    assert list(answers[0]["gender"]) == ["a female is speaking", "a male is speaking"]


def test_audio_that_cannot_be_used_is_raised_reported_or_skipped(scorer, tmp_path):
    (tmp_path / "cut.wav").write_bytes(encoded(speech(), subtype="FLOAT")[:5000])
    bad = [np.zeros(8000, np.float32), {"audio": {"path": str(tmp_path / "cut.wav"), "bytes": None}}, speech()[:50]]
    audios = [CLIPS[0], bad[0], CLIPS[1], bad[1], bad[2], CLIPS[2]]
    for batch_size in (1, 4):
        reported = list(scorer.embed_all(audios, batch_size=batch_size, on_error="report"))
        assert [isinstance(heard, Unusable) for heard in reported] == [False, True, False, True, True, False]
        assert "is silent" in reported[1].reason
        assert reported[1].name is None
        assert reported[3].name == str(tmp_path / "cut.wav")
        assert "is truncated" in reported[3].reason
        assert "too short" in reported[4].reason
        skipped = list(scorer.embed_all(audios, batch_size=batch_size, on_error="skip"))
        for heard, clip in zip(skipped, CLIPS[:3], strict=True):
            torch.testing.assert_close(heard.embeds, scorer.embed(clip).embeds, atol=1e-5, rtol=0)
        with pytest.raises(AudioError, match="is silent"):
            list(scorer.embed_all(audios, batch_size=batch_size))
    with pytest.raises(ValueError, match="on_error is 'ignore'; expected"):
        list(scorer.embed_all(audios, on_error="ignore"))


def test_more_than_a_minute_is_heard_in_windows_unless_it_is_asked_for_in_one_piece(scorer, tmp_path):
    minute = np.tile(speech(5), 12)
    assert len(scorer.embed(minute).times) == 1
    waveform = np.concatenate([minute, speech(5.5)])
    soundfile.write(tmp_path / "long.wav", waveform, RATE, subtype="FLOAT")
    by_array = scorer.embed(waveform, batch_size=3)
    for source in (tmp_path / "long.wav", io.BytesIO((tmp_path / "long.wav").read_bytes())):
        heard = scorer.embed(source, batch_size=3)
        assert heard.times == (*((10.0 * i, 10.0 * i + 10) for i in range(6)), (55.5, 65.5))
        torch.testing.assert_close(heard.embeds, by_array.embeds, atol=1e-6, rtol=0)
    for (start, end), embedding in zip(heard.times, heard.embeds, strict=True):
        alone = scorer.embed(waveform[round(start * RATE) : round(end * RATE)]).embeds[0]
        torch.testing.assert_close(embedding, alone, atol=1e-5, rtol=0)
    assert len(scorer.embed(waveform, windows=Windows("whole")).times) == 1
    assert np.linalg.norm(heard.embedding) == pytest.approx(1, abs=1e-6)
    window_scores = scorer.scores(heard.embeds, QUESTION)
    np.testing.assert_allclose(list(scorer.answer(heard, QUESTION).values()), window_scores.mean(0), atol=1e-6)


def test_audio_that_cannot_be_read_twice_is_read_once(scorer, tmp_path):
    """A pipe, or a download that is being read."""

    class Unseekable(io.RawIOBase):
        def __init__(self, content):
            self.content = io.BytesIO(content)

        def read(self, size=-1):
            return self.content.read(size)

    content = encoded(np.tile(speech(5), 13), subtype="FLOAT")
    assert len(scorer.embed(Unseekable(content)).times) == 7


def test_the_loader_needs_no_model_and_long_audio_can_be_sent_to_another_process(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.tile(speech(5), 13), RATE)
    loader = pickle.loads(pickle.dumps(Loader(RATE, 400)))
    assert isinstance(loader(speech()), Clip)
    with (tmp_path / "long.wav").open("rb") as file:
        for source in (tmp_path / "long.wav", file, file.read()):
            long = loader(source)
            assert isinstance(long, LongAudio)
            copy = pickle.loads(pickle.dumps(long))
            assert sum(map(len, copy.blocks())) == 65 * RATE
            assert sum(map(len, long.blocks())) == 65 * RATE
    assert LONGEST_WHOLE_S == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), 'window_length_s is 0; expected a number of seconds above 0, or "whole"'),
        (("all",), "window_length_s is 'all'"),
        ((True,), "window_length_s is True"),
        ((float("inf"),), "window_length_s is inf"),
        ((float("nan"),), "window_length_s is nan"),
        ((1, 2), "would be skipped"),
        ((None, 2), "stride_length_s is 2 without a window"),
        (("whole", 2), "stride_length_s is 2 without a window"),
        ((1, -1), "stride_length_s is -1"),
    ],
)
def test_windows_that_make_no_sense_say_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        Windows(*arguments)


def test_windows_shorter_than_a_frame_are_refused(scorer):
    with pytest.raises(ValueError, match="window_length_s is 0.001; the audio encoder needs"):
        scorer.embed(speech(), windows=Windows(0.001))
    with pytest.raises(ValueError, match="less than one sample"):
        scorer.embed(speech(), windows=Windows(0.1, 1e-9))
    assert Windows(np.float32(0.5)).in_samples(RATE, 400) == (8000, 8000)
