"""Unweighted average recall (UAR) with a bootstrap interval, as a metric of the `evaluate` library.

`evaluate.load` copies this one file into a cache and imports it from there, so it needs nothing beside it.
"""

from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """
Unweighted average recall (UAR): the recall of each class, averaged without regard to how many utterances each class
has. It is the standard measure of computational paralinguistics, where classes are rarely balanced: chance is
1 / (number of classes), and always answering the most frequent class earns no more than that. The average runs over the
classes that occur in the references. A percentile bootstrap over the utterances, stratified by class, gives a
confidence interval.
"""

_CITATION = """
@inproceedings{schuller2009interspeech,
  title     = {The {INTERSPEECH} 2009 Emotion Challenge},
  author    = {Schuller, Bj{\\"o}rn and Steidl, Stefan and Batliner, Anton},
  booktitle = {Proc. Interspeech},
  pages     = {312--315},
  year      = {2009}
}
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (list of int or str): the predicted class of each utterance.
    references (list of int or str): the true class of each utterance; of the same kind as the predictions.
    labels (list of int or str, optional): all classes of the task, in the order wanted in the output. A reference
        outside of it is an error; a prediction outside of it counts as a miss. Default: the classes of the references,
        sorted.
    confidence_level (float, optional): of the bootstrap interval, between 0 and 1. Default: 0.95.
    n_resamples (int, optional): bootstrap resamples; 0 leaves the interval out. Default: 1000.
    seed (int, optional): of the bootstrap; the same seed gives the same interval. Default: 0.

Returns:
    unweighted_average_recall (float): in [0, 1].
    recall_per_class (dict): label -> recall in [0, 1], or None for a label without any reference; the average leaves
        such a label out.
    support_per_class (dict): label -> number of references.
    confidence_interval (list of two floats, or None when n_resamples is 0).
    confidence_level, n_resamples, seed: as given.

Examples:
    >>> uar = evaluate.load("metrics/unweighted_average_recall")
    >>> references = ["angry", "angry", "angry", "sad"]
    >>> predictions = ["angry", "angry", "angry", "angry"]
    >>> uar.compute(predictions=predictions, references=references)["unweighted_average_recall"]
    0.5
"""


def unweighted_average_recall(
    references: Any,
    predictions: Any,
    labels: Any = None,
    confidence_level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """Compute the UAR, the recalls it averages and its bootstrap interval.

    The bootstrap is stratified by class, so the hits of a class with n utterances and recall r are binomial(n, r). The
    interval is over utterances of these speakers; for unheard speakers the uncertainty is larger.

    Args:
        references: (n,) true classes, int or str.
        predictions: (n,) predicted classes, of the same kind.
        labels: all classes of the task in the order of the output; None = the sorted classes of the references.
        confidence_level: in (0, 1).
        n_resamples: 0 = no interval.
        seed: of the bootstrap.

    Returns:
        The dict described in the metric's inputs description.

    Raises:
        ValueError: empty inputs, unequal lengths, mixed kinds, missing values, a reference outside `labels`.
    """
    references, predictions = paired_classes(references, predictions)
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level is {confidence_level}; expected a number between 0 and 1, such as 0.95.")
    if n_resamples < 0:
        raise ValueError(f"n_resamples is {n_resamples}; expected 0 (no interval) or more.")
    present = np.unique(references)
    labels = present if labels is None else as_classes(labels, "labels")
    if len(np.unique(labels)) != len(labels):
        raise ValueError(f"labels {labels.tolist()} hold a class twice.")
    if len(unknown := np.setdiff1d(present, labels)):
        raise ValueError(f"references hold classes outside labels: {unknown.tolist()}; labels are {labels.tolist()}.")

    support = np.array([np.sum(references == label) for label in labels])
    hits = np.array([np.sum((references == label) & (predictions == label)) for label in labels])
    occurs = support > 0
    recalls = hits[occurs] / support[occurs]
    interval = None
    if n_resamples:
        hits_of = np.random.default_rng(seed).binomial(support[occurs], recalls, size=(n_resamples, len(recalls)))
        # A class whose recall is 0 or 1 does not vary: with few utterances the interval is then too narrow.
        tail = (1 - confidence_level) / 2
        interval = np.quantile((hits_of / support[occurs]).mean(axis=1), [tail, 1 - tail]).tolist()

    recall_of = dict(zip(labels[occurs].tolist(), recalls.tolist(), strict=True))
    return {
        "unweighted_average_recall": float(recalls.mean()),
        "recall_per_class": {label: recall_of.get(label) for label in labels.tolist()},
        "support_per_class": dict(zip(labels.tolist(), support.tolist(), strict=True)),
        "confidence_interval": interval,
        "confidence_level": confidence_level,
        "n_resamples": n_resamples,
        "seed": seed,
    }


def paired_classes(references: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return references and predictions as two arrays of one length and one kind.

    Raises:
        ValueError: unequal lengths, one int and the other str, or what `as_classes` refuses.
    """
    references, predictions = as_classes(references, "references"), as_classes(predictions, "predictions")
    if len(references) != len(predictions):
        raise ValueError(
            f"{len(references)} references but {len(predictions)} predictions: expected one of each an utterance."
        )
    if references.dtype.kind != predictions.dtype.kind:
        raise ValueError(
            f"references such as {references[0]!r} and predictions such as {predictions[0]!r} are of different kinds: "
            "give both as int or both as str, or no prediction can ever be right."
        )
    return references, predictions


def as_classes(values: Any, name: str) -> np.ndarray:
    """Return a list, array, tensor or Series of classes as a 1-D array of int or str.

    Raises:
        ValueError: when it is empty, not one-dimensional, or holds something else than int or str, such as None or 0.5.
    """
    if values is None:
        raise ValueError(f"{name} are None: expected one class an utterance.")
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    if not values:
        raise ValueError(f"{name} are empty: the recall of no utterances is not defined.")
    kinds = {type(value) for value in values}
    if all(issubclass(kind, str) for kind in kinds):
        return np.array(values, dtype=str)
    if all(issubclass(kind, (int, np.integer)) for kind in kinds):
        return np.array(values, dtype=np.int64)
    names = sorted(kind.__name__ for kind in kinds)
    raise ValueError(
        f"{name} hold values of type {', '.join(names)}: expected one class an utterance, all int or all str."
    )


class UnweightedAverageRecall(evaluate.Metric):
    """The UAR behind `evaluate.load` and `compute`."""

    def _info(self) -> evaluate.MetricInfo:
        # The string features stand first: the integer ones would take "1" for 1.
        features = [
            datasets.Features({"predictions": datasets.Value(kind), "references": datasets.Value(kind)})
            for kind in ("string", "int64")
        ]
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=features,
            reference_urls=["https://scikit-learn.org/stable/modules/generated/sklearn.metrics.recall_score.html"],
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs) -> None:
        """Check the classes before `evaluate` casts them: it would cut 1.7 to 1 and take "1" for 1 without a word."""
        references, predictions = paired_classes(references, predictions)
        super().add_batch(predictions=predictions.tolist(), references=references.tolist(), **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs) -> None:
        """Add one utterance, with the checks of a batch."""
        self.add_batch(predictions=[prediction], references=[reference], **kwargs)

    def _compute(self, predictions: Any, references: Any, **options) -> dict:
        return unweighted_average_recall(references, predictions, **options)
