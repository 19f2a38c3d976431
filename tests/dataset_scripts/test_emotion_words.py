"""The table of emotion words: enough of them, each in one place, and those held out never trained on."""

import collections
import csv
from pathlib import Path

import pytest

from dataset_scripts import queries
from dataset_scripts.queries import EMOTION_NOUNS, emotion_words, generate_queries, word_queries

with open(Path(queries.__file__).parent / "emotion_words.csv", encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))


def test_the_rows_are_well_formed():
    assert {row["emotion"] for row in ROWS} == set(EMOTION_NOUNS)
    assert {row["part_of_speech"] for row in ROWS} == {"adjective", "noun"}
    assert {row["held_out"] for row in ROWS} == {"yes", "no"}
    assert not [row for row in ROWS if row["word"] != row["word"].strip().lower() or not row["word"]]
    # A caption's parts are joined with "and", so that a word may not hold it.
    assert not [row["word"] for row in ROWS if " and " in row["word"]]


def test_a_word_stands_for_one_emotion():
    places = collections.Counter((row["word"], row["part_of_speech"]) for row in ROWS)
    assert [word for word, number in places.items() if number > 1] == []
    own = set(EMOTION_NOUNS) | set(EMOTION_NOUNS.values())
    assert own & {row["word"] for row in ROWS} == set()


@pytest.mark.parametrize("emotion", EMOTION_NOUNS)
def test_each_emotion_has_a_dozen_words_and_some_for_testing(emotion):
    learnt = emotion_words(emotion) + emotion_words(emotion, part_of_speech="noun")
    assert len(learnt) >= 12
    assert len(emotion_words(emotion, held_out=True)) >= 3
    asked = " ".join(word_queries(emotion))
    for word in emotion_words(emotion, held_out=True):
        assert f" {word} " not in f" {asked} "


def test_word_queries_are_the_templates_with_other_words():
    told = word_queries("angry")
    assert "speaker is enraged" in told
    assert "this is a enraged instance" in told
    assert "emotion is rage" in told
    assert len(told) == 2 * len(emotion_words("angry")) + len(emotion_words("angry", part_of_speech="noun"))
    assert not set(told) & {text for _, text in generate_queries({"emotion": "angry"})}
