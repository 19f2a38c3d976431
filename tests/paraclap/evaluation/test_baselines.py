"""The classical floor: what it learns, what it cannot answer, and that functionals are computed once."""

import numpy as np
import pandas as pd
import pytest
from helpers.owners_layouts import make_emodb

import paraclap.evaluation.baselines as baselines
from dataset_scripts.corpora import TASKS
from paraclap.evaluation.baselines import FunctionalsCache, evaluate_floor, fit_floor, functional_matrix


def frame_of(emotions, split="train", seed=0):
    """Utterances whose first functional tells the emotion, but for noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(emotions), 88))
    values[:, 0] += [{"angry": 6, "sad": -6}.get(emotion, 0) for emotion in emotions]
    frame = pd.DataFrame(values, columns=[f"egemaps_{i}" for i in range(88)])
    return frame.assign(emotion=emotions, split=split)


def test_the_linear_classifier_learns_and_never_answers_what_nobody_taught():
    classifier = fit_floor({"a": frame_of(["angry", "sad", "neutral"] * 40)})
    tested = frame_of(["angry", "sad", "happy"] * 20, split="test", seed=1)
    result = evaluate_floor(classifier, TASKS["emodb"], tested, n_resamples=50, seed=0)
    recall = result["recall_per_class"]
    assert min(recall["angry"], recall["sad"]) > 0.6
    assert recall["happy"] == 0
    assert result["unknown_labels"] == ["happy", "fearful", "disgusted", "bored"]
    assert result["n"] == 60
    low, high = result["intervals"]["uar"]
    assert low <= result["uar"] <= high


def test_one_emotion_is_not_enough():
    with pytest.raises(ValueError, match="of a has 1 emotions; the linear classifier needs at least two"):
        fit_floor({"a": frame_of(["angry"] * 5)})


def test_functionals_are_computed_once(tmp_path, monkeypatch):
    root = make_emodb(tmp_path / "emodb", speakers=("03", "12"))
    cache = FunctionalsCache(tmp_path / "cache")
    frame = cache.load("emodb", root)
    assert functional_matrix(frame).shape == (4, 88)
    assert np.isfinite(functional_matrix(frame)).all()
    monkeypatch.setattr("dataset_scripts.egemaps.functionals_of", lambda *_: pytest.fail("computed again"))
    again = baselines.FunctionalsCache(tmp_path / "cache").load("emodb", root)
    pd.testing.assert_frame_equal(frame, again)
