"""Labels, templates, the cache of text embeddings, and the windows of long audio."""

import numpy as np
import pytest
import torch
from helpers.scores import speech

from modeling_paraclap.clips_paraclap import LongAudio
from modeling_paraclap.windows_paraclap import windows_of
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings, parse_labels, parse_templates, prompts_of


def test_forms_of_labels():
    expected = (("angry", ("angry",)), ("very sad", ("very sad",)))
    for labels in (" angry,very sad ,", ["angry", "very sad"], ("angry", "very sad"), np.array(["angry", "very sad"])):
        assert parse_labels(labels) == expected
    assert parse_labels(label for label in ("angry", "very sad")) == expected
    assert parse_labels({"angry": "angry", "very sad": ["very sad"]}) == expected
    assert parse_labels("中文, żółty")[0] == ("中文", ("中文",))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([], ValueError, "There are no candidate_labels"),
        ("", ValueError, "There are no candidate_labels"),
        (" , ", ValueError, "There are no candidate_labels"),
        ({}, ValueError, "There are no candidate_labels"),
        (None, TypeError, "candidate_labels is None; expected a list"),
        (3, TypeError, "candidate_labels is 3; expected a list"),
        (["angry", "sad", "angry"], ValueError, "more than once: angry"),
        ("angry, sad, angry", ValueError, "more than once: angry"),
        (["angry", " "], ValueError, "empty text"),
        ({"angry": ["mad", ""]}, ValueError, "'angry' is, or has, an empty text"),
        (["angry", 3], TypeError, "3 of the label 3 is a int; labels are strings"),
        ({"angry": 3}, TypeError, "3 of the label 'angry' is a int"),
        ({"angry": []}, ValueError, "'angry' has no phrases"),
    ],
)
def test_wrong_labels_say_what_is_right(labels, error, message):
    with pytest.raises(error, match=message):
        parse_labels(labels)


def test_prompts_are_every_phrase_in_every_template():
    prompts = prompts_of(parse_labels({"a": ["x", "y"], "b": "z{"}), parse_templates(["{}!", "{} and {}, {0}"]))
    assert prompts == [["x!", "x and x, {0}", "y!", "y and y, {0}"], ["z{!", "z{ and z{, {0}"]]
    assert parse_templates("{}") == ("{}",)


@pytest.mark.parametrize(
    ("template", "error", "message"),
    [
        ("speaker is angry.", ValueError, "has no {}.*all labels would be the same"),
        (["{}", "angry"], ValueError, "'angry' has no {}"),
        ([], ValueError, "is empty"),
        (3, TypeError, "is 3; expected a string or a list of strings"),
        (["{}", None], TypeError, "expected a string or a list of strings"),
    ],
)
def test_wrong_templates_say_what_is_right(template, error, message):
    with pytest.raises(error, match=message):
        parse_templates(template)


def test_the_cache_is_bounded_and_forgets_the_least_recently_used(tiny_model, tiny_processor):
    cache = TextEmbeddings(capacity=3)
    tokenizer = tiny_processor.tokenizer
    for texts in (["a", "b"], ["c"], ["a"], ["d"]):
        cache.of_labels(tiny_model, tokenizer, [[text] for text in texts])
    assert [text for _, text in cache._cache] == ["c", "a", "d"]
    many = cache.of_labels(tiny_model, tokenizer, [[str(i)] for i in range(10)])
    assert many.shape == (10, 24)
    assert len(cache) == 10
    assert cache.of_labels(tiny_model, tokenizer, [[str(i)] for i in range(10)]) is many
    torch.testing.assert_close(many.norm(dim=1), torch.ones(10))
    cache.of_labels(tiny_model, tokenizer, [["a"]])
    assert len(cache) == 3


def test_a_cached_text_is_not_of_another_model_precision_or_training_step(tiny_model, tiny_processor):
    cache = TextEmbeddings()
    prompts = [["angry"], ["happy"]]
    first = cache.of_labels(tiny_model, tiny_processor.tokenizer, prompts)
    with torch.no_grad():
        tiny_model.text_projection.linear1.weight.normal_()
    stepped = cache.of_labels(tiny_model, tiny_processor.tokenizer, prompts)
    assert not torch.allclose(stepped, first, atol=1e-3)
    low = cache.of_labels(tiny_model.to(torch.bfloat16), tiny_processor.tokenizer, prompts)
    assert low.dtype == torch.float32
    assert not torch.equal(low, stepped)
    torch.testing.assert_close(low, stepped, atol=0.02, rtol=0)


def test_many_texts_are_encoded_in_batches_and_long_ones_refused(tiny_model, tiny_processor, monkeypatch):
    monkeypatch.setattr("modeling_paraclap.zero_shot_paraclap.TEXTS_PER_BATCH", 3)
    prompts = [["angry"], ["speaker is happy"], ["sad", "calm"], ["a"], ["low", "angry"]]
    together = TextEmbeddings().of_labels(tiny_model, tiny_processor.tokenizer, prompts)
    for row, group in zip(together, prompts, strict=True):
        alone = TextEmbeddings().of_labels(tiny_model, tiny_processor.tokenizer, [group])[0]
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"'sad sad.*has 1\d+ tokens; the text encoder takes \d+\. Shorten"):
        TextEmbeddings().of_labels(tiny_model, tiny_processor.tokenizer, [["sad " * 999]])


@pytest.mark.parametrize(
    ("total", "length", "stride", "starts"),
    [
        (10, 4, 4, [0, 4, 6]),
        (8, 4, 4, [0, 4]),
        (9, 4, 4, [0, 4]),  # a rest of one sample is dropped, as `least` is 2
        (10, 4, 2, [0, 2, 4, 6]),
        (11, 4, 3, [0, 3, 6]),
        (12, 4, 3, [0, 3, 6, 8]),
        (3, 4, 4, [0]),
        (4, 4, 1, [0]),
        (0, 4, 4, [0]),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 100])
def test_windows_cover_the_audio_whatever_the_blocks(total, length, stride, starts, block):
    samples = np.arange(total, dtype=np.float32)
    blocks = (samples[i : i + block] for i in range(0, total, block))
    windows = list(windows_of(blocks, length, stride, least=2))
    assert [start for start, _ in windows] == starts
    for start, window in windows:
        np.testing.assert_array_equal(window, samples[start : start + length])


def test_long_audio_is_read_only_when_its_blocks_are_asked_for():
    audio = LongAudio("nowhere.wav", 16000)
    with pytest.raises(ValueError, match="does not exist"):
        next(audio.blocks())


# ------------------------------------------------------------- labels of which the text encoder's tokens say nothing


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["😀", "😡"], r"knows nothing of '😀': to its tokenizer it is \[UNK\] alone.*Put it into words"),
        (["angry", "😡"], r"knows nothing of '😡'"),
        (["angry", "злой"], r"knows nothing of 'злой'"),
        ({"angry": ["angry", "😡"], "happy": "happy"}, r"knows nothing of '😡' of the label 'angry'"),
        (["angry", "\u200b"], r"knows nothing of '\\u200b'"),
        (["angry", "☂" * 100], r"knows nothing of '☂+\.\.\.': to"),
        (["Angry", "angry"], r"'Angry' and 'angry' are the same tokens.*Put them into words .* or leave one"),
        (["happy", "sad 😀", "sad 😡"], r"'sad 😀' and 'sad 😡' are the same tokens"),
        (["calm", "sad  and  low", "sad and low"], r"'sad  and  low' and 'sad and low' are the same"),
        ({"a": ["happy", "calm"], "b": ["calm", "happy"]}, r"'a' and 'b' are the same tokens"),
    ],
)
@pytest.mark.parametrize("template", ["speaker is {}.", "{}"])
def test_labels_that_cannot_be_told_apart_are_refused(pipe, labels, message, template):
    for _ in range(2):  # the second time from the cache
        with pytest.raises(ValueError, match=message):
            pipe(speech(), candidate_labels=labels, hypothesis_template=template)


@pytest.mark.parametrize(
    "labels", [["sad 😀", "angry 😀"], ["!", "?"], {"a": ["happy", "calm"], "b": "calm"}, ["1", "11"]]
)
def test_labels_that_can_be_told_apart_are_scored(pipe, labels):
    assert len(pipe(speech(), candidate_labels=labels)) == 2


def test_prompts_without_labels_are_compared_too(tiny_model, tiny_processor):
    with pytest.raises(ValueError, match="'Sad' and 'sad' are the same tokens"):
        TextEmbeddings().of_labels(tiny_model, tiny_processor.tokenizer, [["Sad"], ["calm"], ["sad"]])
