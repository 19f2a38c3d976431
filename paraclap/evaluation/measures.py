"""UAR, accuracy and macro-F1 with bootstrap intervals, from predicted labels."""

from collections.abc import Iterable, Sequence

import evaluate
import numpy as np
import pandas as pd
import torch

from paraclap.resources import resource

METRIC = "metrics/unweighted_average_recall"
CONFIDENCE_LEVEL = 0.95


def measure(
    references: Sequence[str], predictions: Sequence[str], labels: Iterable[str], n_resamples: int = 1000, seed: int = 0
) -> dict:
    """Return UAR, accuracy and macro-F1 with intervals, and the underlying counts.

    Args:
        references: (n,) true labels.
        predictions: (n,) predicted labels.
        labels: All labels of the task, in the order of the confusion matrix.
        n_resamples: Number of bootstrap resamples; 0 disables intervals.
        seed: Seed of the bootstrap.

    Returns:
        A JSON-serialisable dict: `uar`, `accuracy`, `macro_f1` (of the classes that occur), `intervals` of the three,
        `recall_per_class`, `support_per_class`, `most_predicted` (label and share), `confusion` (rows are references).
    """
    labels = list(labels)
    metric = evaluate.load(str(resource(METRIC)), keep_in_memory=True)
    uar = metric.compute(
        references=references,
        predictions=predictions,
        labels=labels,
        n_resamples=n_resamples,
        confidence_level=CONFIDENCE_LEVEL,
        seed=seed,
    )
    position = {label: index for index, label in enumerate(labels)}
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    pairs = [[position[label] for label in column] for column in (references, predictions)]
    np.add.at(confusion, tuple(pairs), 1)
    intervals = {"uar": uar["confidence_interval"]}
    if n_resamples:
        resampled = resample_confusions(confusion, n_resamples, seed)
        tail = (1 - CONFIDENCE_LEVEL) / 2
        for name, function in (("accuracy", accuracy_of), ("macro_f1", macro_f1_of)):
            intervals[name] = np.quantile(function(resampled), [tail, 1 - tail]).tolist()
    predicted = confusion.sum(axis=0)
    return {
        "uar": uar["unweighted_average_recall"],
        "accuracy": float(accuracy_of(confusion)),
        "macro_f1": float(macro_f1_of(confusion)),
        "intervals": intervals if n_resamples else None,
        "recall_per_class": uar["recall_per_class"],
        "support_per_class": uar["support_per_class"],
        "most_predicted": {"label": labels[predicted.argmax()], "share": float(predicted.max() / predicted.sum())},
        "confusion": confusion.tolist(),
    }


def resample_confusions(confusion: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Return (n_resamples, classes, classes) confusion matrices of utterances resampled within each true class."""
    rng = np.random.default_rng(seed)
    resampled = np.zeros((n_resamples, *confusion.shape), dtype=int)
    for index, row in enumerate(confusion):
        if row.sum():
            resampled[:, index] = rng.multinomial(row.sum(), row / row.sum(), size=n_resamples)
    return resampled


def accuracy_of(confusions: np.ndarray) -> np.ndarray:
    """Return the accuracy of each (..., classes, classes) confusion matrix."""
    return np.trace(confusions, axis1=-2, axis2=-1) / confusions.sum(axis=(-2, -1))


def macro_f1_of(confusions: np.ndarray) -> np.ndarray:
    """Return the F1 of each (..., classes, classes) confusion matrix, averaged over the references' classes."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    support, predicted = confusions.sum(axis=-1), confusions.sum(axis=-2)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    return f1.sum(axis=-1) / (support > 0).sum(axis=-1)


def uar_per_group(table: pd.DataFrame, groups: pd.Series, labels: list[str]) -> dict[str, float]:
    """Return the UAR of each group, such as each session of IEMOCAP, whose mean the paper reports.

    Args:
        table: Columns `reference` and `prediction`.
        groups: The group of each row; rows without a group are ignored.
        labels: All labels of the task.
    """
    return {
        str(group): measure(list(rows["reference"]), list(rows["prediction"]), labels, n_resamples=0)["uar"]
        for group, rows in table.groupby(groups)
    }


def evaluate_task(
    references: Iterable[str], scores: torch.Tensor, labels: Iterable[str], n_resamples: int = 1000, seed: int = 0
) -> tuple[dict, list]:
    """Return the measures of the predictions that the scores give.

    Args:
        references: (n,) true labels.
        scores: (n, labels), as returned by `predict`.
        labels: Labels of the columns of `scores`.
        n_resamples: Number of bootstrap resamples; 0 disables intervals.
        seed: Seed of the bootstrap.

    Returns:
        The dict of `measure`, and the (n,) predicted labels.
    """
    labels = list(labels)
    predictions = [labels[index] for index in scores.argmax(dim=-1).tolist()]
    return measure(list(references), predictions, labels, n_resamples, seed), predictions
