"""Queries: all templates of the table and none other, exactly under their conditions; the sampling; the tasks."""

import csv
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dataset_scripts
from dataset_scripts.binning import ATTRIBUTES, fit_bins
from dataset_scripts.corpora import CORPORA, TASKS, load_corpus
from dataset_scripts.egemaps import extract_functionals
from dataset_scripts.queries import (
    EMOTION_NOUNS,
    TEMPLATES,
    USUAL_DIMENSIONS,
    canonical_emotion,
    generate_queries,
    sample_queries,
    usual_dimensions,
)

BINS = ("low", "mid", "high", None)
with open(Path(dataset_scripts.__file__).parent / "queries.csv", newline="", encoding="utf-8") as file:
    TABLE = list(csv.DictReader(file))


def expected_texts(row):
    """The plain reading of the table, row by row, to compare with."""
    texts = []
    for entry in TABLE:
        own, _, condition = entry["bin"].partition(" & ")
        if own != "label" and row.get(f"{entry['attribute']}_bin") != own:
            continue
        if condition:
            name, *negation, wanted = condition.split()
            value = row.get(f"{name}_bin")
            if value is None or (value == wanted) == bool(negation):
                continue
        text = entry["query"]
        if ("{emotion" in text and not row.get("emotion")) or ("{gender" in text and not row.get("gender")):
            continue
        text = text.replace("{emotion}", row.get("emotion") or "").replace("{gender}", row.get("gender") or "")
        texts.append(text.replace("{emotion_noun}", EMOTION_NOUNS.get(row.get("emotion"), "")))
    return texts


def synthetic_rows():
    """Every bin of every attribute, every pair of bins that templates combine, every emotion and gender."""
    for emotion, gender in itertools.product([*EMOTION_NOUNS, None], ["female", "male", None]):
        for arousal in BINS:
            yield {"emotion": emotion, "gender": gender, "arousal_bin": arousal}
    for jitter, shimmer, pitch_std in itertools.product(BINS, BINS, BINS):
        yield {"jitter_bin": jitter, "shimmer_bin": shimmer, "pitch_std_bin": pitch_std}
    for attribute, bin_ in itertools.product(ATTRIBUTES, BINS):
        yield {f"{attribute}_bin": bin_}


def test_every_template_is_reachable_and_nothing_else_is_produced():
    produced = set()
    for row in synthetic_rows():
        texts = [text for _, text in generate_queries(row)]
        assert texts == expected_texts(row), row
        produced.update(texts)
    forms = itertools.product(EMOTION_NOUNS.items(), ("female", "male"))
    possible = {
        entry["query"].format(emotion=adjective, emotion_noun=noun, gender=gender)
        for (adjective, noun), gender in forms
        for entry in TABLE
    }
    assert produced == possible
    assert len(TABLE) == len(TEMPLATES) == 76
    assert len({entry["query"] for entry in TABLE}) == 76


def test_combined_templates_follow_the_pitch_variation():
    combined = {
        "high": {"has a low jitter but a high pitch variance", "has a low jitter but the pitch is unstable"}
        | {"has a low jitter but not a low pitch variance"},
        "mid": {"has a low jitter but not a low pitch variance"},
        "low": set(),
        None: set(),
    }
    for pitch_std, texts in combined.items():
        pairs = generate_queries({"jitter_bin": "low", "pitch_std_bin": pitch_std})
        assert {text for attribute, text in pairs if attribute == "jitter+pitch_std"} == texts
        assert ("jitter", "has a low jitter") in pairs


def test_attributes_tell_what_a_query_speaks_of():
    row = {"emotion": "angry", "gender": "male", "arousal_bin": "high", "shimmer_bin": "high", "pitch_std_bin": "low"}
    attributes = {text: attribute for attribute, text in generate_queries(row)}
    assert attributes["speaker is very angry"] == "arousal+emotion"
    assert attributes["speaker is aroused"] == "arousal"
    assert attributes["emotion is anger"] == attributes["speaker is angry"] == "emotion"
    assert attributes["a male is speaking"] == "gender"
    assert attributes["has a high shimmer but the pitch is stable"] == "shimmer+pitch_std"
    assert attributes["has a very stable pitch"] == "pitch_std"


@pytest.mark.parametrize("null", [None, np.nan, pd.NA])
def test_what_is_not_known_is_not_said(null):
    names = [f"{attribute}_bin" for attribute in ATTRIBUTES]
    assert generate_queries({}) == []
    assert generate_queries(dict.fromkeys([*names, "emotion", "gender"], null)) == []
    texts = [text for _, text in generate_queries({"arousal_bin": "high", "emotion": null})]
    assert texts == ["has high arousal", "speaker is aroused"]


def test_a_pandas_row_does():
    row = {"pitch_mean_bin": "mid", "emotion": None, "gender": "female"}
    assert [text for _, text in generate_queries(pd.Series(row))] == expected_texts(row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"jitter_bin": "medium"}, "jitter_bin is 'medium'; expected low, mid, high or null"),
        ({"gender": "F"}, "gender is 'F'; expected female, male or null"),
        ({"emotion": "hangry"}, "unknown emotion 'hangry'"),
    ],
)
def test_wrong_values_are_refused(row, message):
    with pytest.raises(ValueError, match=message):
        generate_queries(row)


@pytest.mark.parametrize(
    ("names", "adjective"),
    [
        ("anger Angry Wut", "angry"),
        ("bored boredom Langeweile", "bored"),
        ("surprise surprised pleasant_surprise", "surprised"),
        ("happy happiness", "happy"),
        ("disgust disgusted Ekel", "disgusted"),
        ("fear fearful Angst", "fearful"),
        ("sad sadness", "sad"),
        ("neutral", "neutral"),
        ("calm", "calm"),
    ],
)
def test_emotion_names_are_mapped_to_the_adjective(names, adjective):
    assert {canonical_emotion(name) for name in names.split()} == {adjective}
    assert canonical_emotion(" Pleasant Surprise ") == "surprised"


def test_every_template_is_reached_on_real_speech_and_nothing_else_is_produced(corpora):
    frame = load_corpus("emodb", corpora / "EMO-DB")
    frame = frame[frame["split"] == "train"].iloc[::2].reset_index(drop=True)
    rng = np.random.default_rng(0)  # EMO-DB has no dimensions
    frame[["arousal", "valence", "dominance"]] = rng.uniform(1, 7, (len(frame), 3))
    binned = fit_bins(joined := frame.join(extract_functionals(frame)[0])).apply(joined)
    texts = Counter()
    for row in binned.to_dict("records"):
        assert [text for _, text in generate_queries(row)] == expected_texts(row)
        texts.update(text for _, text in generate_queries(row))
    labels = [(emotion, EMOTION_NOUNS[emotion], gender) for emotion in EMOTION_NOUNS for gender in ("female", "male")]
    for entry in TABLE:
        forms = {entry["query"].format(emotion=e, emotion_noun=n, gender=g) for e, n, g in labels}
        assert forms & set(texts), f"{entry['query']} is not reached"
    assert texts["has a low pitch"] == pytest.approx(0.3 * len(frame), abs=2)
    assert texts["has a normal pitch"] == pytest.approx(0.4 * len(frame), abs=2)


PAIRS = [
    *(("pitch_mean", "has a low pitch"), ("gender", "a male is speaking"), ("arousal", "has high arousal")),
    *(("emotion", "speaker is sad"), ("emotion", "emotion is sadness"), ("arousal+emotion", "speaker is very sad")),
    *(("duration", "is long"), ("intensity", "is loud")),
]
ATTRIBUTE_LIST, QUERY_LIST = [pair[0] for pair in PAIRS], [pair[1] for pair in PAIRS]


def draw(variant, times=4000, **kwargs):
    rng = np.random.default_rng(0)
    return [sample_queries(QUERY_LIST, ATTRIBUTE_LIST, variant, rng, **kwargs).split(" and ") for _ in range(times)]


def test_rand5_draws_one_to_five_different_queries_evenly():
    captions = draw("rand5")
    assert all(len(set(caption)) == len(caption) for caption in captions)
    counts = Counter(map(len, captions))
    assert set(counts) == {1, 2, 3, 4, 5}
    assert min(counts.values()) > 700
    used = Counter(query for caption in captions for query in caption)
    assert set(used) == set(QUERY_LIST)
    assert max(used.values()) < 1.2 * min(used.values())
    assert max(map(len, draw("rand5", max_queries=2, times=200))) == 2
    assert max(map(len, draw("rand5", max_queries=50, times=200))) == len(PAIRS), "never more than there are"


def test_the_other_variants():
    assert {len(caption) for caption in draw("rand1", times=200)} == {1}
    assert {query for caption in draw("rand1") for query in caption} == set(QUERY_LIST)
    only = {query for caption in draw("only_emo") for query in caption}
    assert only == {"speaker is sad", "emotion is sadness"}
    without = {query for caption in draw("no_emo") for query in caption}
    assert without == {q for q, a in zip(QUERY_LIST, ATTRIBUTE_LIST, strict=True) if "emotion" not in a}


def test_sampling_is_reproducible_and_says_when_there_is_nothing():
    assert draw("rand5", times=20) == draw("rand5", times=20)
    rng = np.random.default_rng(0)
    assert sample_queries(["is loud"], ["intensity"], "only_emo", rng) is None
    assert sample_queries(["speaker is sad"], ["emotion"], "no_emo", rng) is None
    assert sample_queries([], [], "rand5", rng) is None
    with pytest.raises(ValueError, match="Unknown variant 'rand7'; expected one of rand5, rand1, only_emo, no_emo"):
        sample_queries([], [], "rand7", rng)
    with pytest.raises(ValueError, match="max_queries is 0; expected 1 or more"):
        sample_queries(["is loud"], ["intensity"], "rand5", rng, max_queries=0)
    with pytest.raises(ValueError, match="1 queries and 0 attributes"):
        sample_queries(["is loud"], [], "rand5", rng)


def test_tasks_fit_the_corpora_and_the_templates():
    texts = {
        template.text.format(emotion="", emotion_noun="", gender=g)
        for template in TEMPLATES
        for g in ("female", "male")
    }
    for name, task in TASKS.items():
        assert task.name == name
        assert task.corpus in CORPORA
        columns = CORPORA[task.corpus].columns
        assert task.column in columns or task.column.removesuffix("_bin") in ATTRIBUTES
        assert task.needs_functionals == (task.column not in columns)
        if task.column == "emotion":
            emotions = set(CORPORA[task.corpus].emotions) or set(task.labels)
            assert set(task.labels) == emotions or task.name == "iemocap", "IEMOCAP's task is four of its labels"
            assert all(canonical_emotion(label) == label for label in task.labels)
        unspoken = ("age_group", *CORPORA[task.corpus].label_columns)  # columns that no template speaks of
        if task.template == "{}" and not task.paper_uar and task.column not in unspoken:
            assert set(task.labels.values()) <= texts, "what the model is asked is what it was trained on"
    assert TASKS["ravdess"].chance == 0.125
    assert TASKS["ravdess"].split is None
    assert TASKS["ravdess"].paper_uar["only_emo"] == 0.302
    assert list(TASKS["librispeech-pitch"].labels) == ["low", "mid", "high"]


def test_dimensions_as_usual_for_an_emotion_leave_what_was_annotated():
    usual, holds, unknown = usual_dimensions({"emotion": "sadness", "valence_bin": "high", "pitch_mean_bin": "low"})
    assert usual == {"arousal_bin": "low", "dominance_bin": "low"}
    assert {attribute for attribute, _ in holds} == {"arousal", "dominance"}
    assert ("arousal", "speaker is calm") in holds
    # How sad, nobody knows.
    assert unknown == [("arousal+emotion", "speaker is not very sad")]
    usual, holds, unknown = usual_dimensions({"emotion": "sad", "arousal_bin": "high"})
    assert "arousal_bin" not in usual
    assert {attribute for attribute, _ in holds} == {"valence", "dominance"}
    assert not unknown


@pytest.mark.parametrize("emotion", [None, float("nan")])
def test_without_an_emotion_nothing_is_usual(emotion):
    assert usual_dimensions({"emotion": emotion, "pitch_mean_bin": "high"}) == ({}, [], [])


def test_usual_dimensions_are_bins():
    assert USUAL_DIMENSIONS.keys() == EMOTION_NOUNS.keys()
    for bins in USUAL_DIMENSIONS.values():
        assert set(bins) <= {"arousal_bin", "valence_bin", "dominance_bin"}
        assert set(bins.values()) <= set(BINS)
