"""The UAR metric against scikit-learn and against a bootstrap that draws utterances one by one."""

import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest
from sklearn.metrics import recall_score

METRIC = Path(__file__).parents[3] / "metrics" / "unweighted_average_recall"
EMOTIONS = ["angry", "calm", "happy", "sad"]


@pytest.fixture(scope="module")
def uar():
    return evaluate.load(str(METRIC), keep_in_memory=True)


def unbalanced(n=600, seed=0):
    """Classes of very different sizes; about half the predictions are right."""
    rng = np.random.default_rng(seed)
    references = rng.choice(4, size=n, p=[0.6, 0.25, 0.1, 0.05])
    predictions = np.where(rng.random(n) < 0.5, references, rng.integers(0, 4, n))
    return references, predictions


@pytest.mark.parametrize("seed", range(5))
def test_equals_macro_recall_of_scikit_learn(uar, seed):
    references, predictions = unbalanced(seed=seed)
    result = uar.compute(references=references, predictions=predictions)
    assert result["unweighted_average_recall"] == pytest.approx(recall_score(references, predictions, average="macro"))
    expected = recall_score(references, predictions, average=None)
    assert list(result["recall_per_class"].values()) == pytest.approx(list(expected))
    assert list(result["support_per_class"].values()) == np.bincount(references).tolist()


def test_strings_give_what_integers_give(uar):
    references, predictions = unbalanced()
    as_numbers = uar.compute(references=references, predictions=predictions)
    names = np.array(EMOTIONS)
    as_names = uar.compute(references=names[references], predictions=names[predictions].tolist())
    assert as_names["unweighted_average_recall"] == as_numbers["unweighted_average_recall"]
    assert as_names["confidence_interval"] == as_numbers["confidence_interval"]
    assert list(as_names["recall_per_class"]) == EMOTIONS


def test_numerals_as_strings_stay_strings(uar):
    result = uar.compute(references=["1", "01"], predictions=["1", "1"])
    assert result["recall_per_class"] == {"01": 0.0, "1": 1.0}


def test_class_absent_from_the_references_is_left_out(uar):
    references, predictions = ["angry", "angry", "sad"], ["angry", "calm", "sad"]
    result = uar.compute(references=references, predictions=predictions, labels=EMOTIONS)
    present = ["angry", "sad"]
    assert result["unweighted_average_recall"] == recall_score(references, predictions, labels=present, average="macro")
    assert result["unweighted_average_recall"] == 0.75
    assert result["recall_per_class"] == {"angry": 0.5, "calm": None, "happy": None, "sad": 1.0}


def test_always_the_majority_class_earns_chance(uar):
    references, _ = unbalanced()
    result = uar.compute(references=references, predictions=np.zeros_like(references))
    assert result["unweighted_average_recall"] == 0.25


def test_interval_equals_the_bootstrap_over_utterances(uar):
    references, predictions = unbalanced()
    interval = uar.compute(references=references, predictions=predictions, n_resamples=20000)["confidence_interval"]
    rng = np.random.default_rng(1)
    resampled = []
    for _ in range(4000):
        recalls = []
        for label in range(4):
            hits = (predictions == label)[references == label]
            recalls.append(rng.choice(hits, size=len(hits)).mean())
        resampled.append(np.mean(recalls))
    assert interval == pytest.approx(np.quantile(resampled, [0.025, 0.975]).tolist(), abs=0.006)


def test_interval_covers_the_true_uar(uar):
    """95 % intervals of fresh samples hold the UAR of the population (.625) about 95 % of the time."""
    rng = np.random.default_rng(0)
    true_recall = np.array([0.9, 0.7, 0.5, 0.4])
    references = np.repeat(np.arange(4), [200, 100, 60, 40])
    covered = 0
    for seed in range(200):
        hit = rng.random(len(references)) < true_recall[references]
        predictions = np.where(hit, references, (references + 1) % 4)
        low, high = uar.compute(references=references, predictions=predictions, seed=seed)["confidence_interval"]
        covered += low <= true_recall.mean() <= high
    assert 180 <= covered <= 199


def test_interval_options(uar):
    references, predictions = unbalanced()
    sample = {"references": references, "predictions": predictions}
    first, again = (uar.compute(**sample, seed=3)["confidence_interval"] for _ in range(2))
    assert first == again
    assert first != uar.compute(**sample, seed=4)["confidence_interval"]
    narrow = uar.compute(**sample, seed=3, confidence_level=0.5)["confidence_interval"]
    assert first[0] < narrow[0] < narrow[1] < first[1]
    assert uar.compute(**sample, n_resamples=0)["confidence_interval"] is None


def test_added_in_batches(uar):
    references, predictions = unbalanced()
    whole = uar.compute(references=references, predictions=predictions)
    for start in range(0, len(references), 100):
        part = slice(start, start + 100)
        uar.add_batch(references=references[part], predictions=predictions[part])
    assert uar.compute() == whole
    for reference, prediction in zip(references, predictions, strict=True):
        uar.add(reference=reference, prediction=prediction)
    assert uar.compute() == whole


def test_resampling_takes_no_step_per_resample(uar):
    """Quick enough for every epoch, told by the calls that Python makes and not by the machine's clock."""

    def calls(n_resamples):
        count = 0

        def counting(*_):
            nonlocal count
            count += 1

        before = sys.getprofile()
        sys.setprofile(counting)
        try:
            uar.compute(references=references, predictions=predictions, n_resamples=n_resamples)
        finally:
            sys.setprofile(before)
        return count

    references, predictions = np.arange(1440) % 8, np.arange(1440) % 7
    calls(10)  # what is imported and cached at first
    assert calls(20_000) < calls(10) + 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"references": [], "predictions": []}, "references are empty"),
        ({"references": [0, 1], "predictions": [0, 1, 1]}, "2 references but 3 predictions"),
        ({"references": [0, 1], "predictions": ["0", "1"]}, "different kinds"),
        ({"references": [0, 1], "predictions": [0.0, 1.7]}, "predictions hold values of type float"),
        ({"references": ["sad", None], "predictions": ["sad", "sad"]}, "references hold values of type NoneType, str"),
        ({"references": [0, 1], "predictions": None}, "predictions are None"),
        ({"references": [[0], [1]], "predictions": [0, 1]}, "references hold values of type list"),
        ({"references": [0, 5], "predictions": [0, 1], "labels": [0, 1]}, r"outside labels: \[5\]"),
        ({"references": [0, 1], "predictions": [0, 1], "labels": [0, 1, 1]}, "hold a class twice"),
        ({"references": [0, 1], "predictions": [0, 1], "confidence_level": 95}, "confidence_level is 95"),
        ({"references": [0, 1], "predictions": [0, 1], "n_resamples": -1}, "n_resamples is -1"),
    ],
)
def test_errors_say_what_was_given(arguments, message):
    metric = evaluate.load(str(METRIC), keep_in_memory=True)
    with pytest.raises(ValueError, match=message):
        metric.compute(**arguments)
