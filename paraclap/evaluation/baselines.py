"""Classical baselines of a zero-shot table: a linear classifier on eGeMAPS functionals, and chance.

The linear classifier is supervised: it is trained on the emotions of the training corpora, as the models are, and can
predict only their labels. It shows which performance needs no language model.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dataset_scripts.corpora import scan_corpus
from dataset_scripts.egemaps import FUNCTIONALS, extract_functionals
from dataset_scripts.tasks import Task

from .measures import evaluate_task

KIND = "supervised: 88 eGeMAPSv02 functionals, balanced multinomial logistic regression"


class FunctionalsCache:
    """The 88 functionals of corpora, extracted once and cached in Parquet shards.

    Args:
        folder: Folder of the shards.
        num_proc: Worker processes for openSMILE.
    """

    def __init__(self, folder: Path, num_proc: int = 1):
        self.folder, self.num_proc = Path(folder), num_proc

    def load(self, corpus: str, root: Path) -> pd.DataFrame:
        """Return the utterances of a corpus, with a column for each of the 88 functionals."""
        frame, _ = scan_corpus(corpus, root)
        values, _ = extract_functionals(frame, self.num_proc, all_functionals=True, shards_dir=self.folder / corpus)
        features = values.drop(columns=list(FUNCTIONALS)).add_prefix("egemaps_")
        return frame.loc[features.index].join(features)


def functional_matrix(frame: pd.DataFrame) -> np.ndarray:
    """Return the (utterances, 88) functionals, 0 where openSMILE gave no value."""
    return np.nan_to_num(frame.filter(regex="^egemaps_").to_numpy(float))


def fit_floor(frames: Mapping[str, pd.DataFrame], split: str = "train") -> Pipeline:
    """Fit the linear classifier on the emotions of a split of the training corpora.

    Raises:
        ValueError: If the split has fewer than two emotions.
    """
    rows = pd.concat([frame[(frame["split"] == split) & frame["emotion"].notna()] for frame in frames.values()])
    if rows["emotion"].nunique() < 2:
        raise ValueError(
            f"The split {split!r} of {', '.join(frames)} has {rows['emotion'].nunique()} emotions; the linear "
            "classifier needs at least two."
        )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000, C=0.1))
    return classifier.fit(functional_matrix(rows), rows["emotion"])


def evaluate_floor(classifier: Pipeline, task: Task, frame: pd.DataFrame, n_resamples: int, seed: int) -> dict:
    """Return the classifier's measures on a task, in the format of `results.json`.

    Labels missing from the training corpora are never predicted.
    """
    references = task.references(frame)
    rows = references.notna().to_numpy()
    probabilities = classifier.predict_proba(functional_matrix(frame[rows]))
    known = list(classifier.classes_)
    scores = torch.full((int(rows.sum()), len(task.labels)), -1.0)
    for column, label in enumerate(task.labels):
        if label in known:
            scores[:, column] = torch.from_numpy(probabilities[:, known.index(label)])
    measured, _ = evaluate_task(references[rows], scores, task.labels, n_resamples, seed)
    return measured | {"n": int(rows.sum()), "unknown_labels": [label for label in task.labels if label not in known]}
