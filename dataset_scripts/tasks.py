"""Zero-shot tasks: the rows of a corpus, the column with the true labels, and the phrase of each label in a prompt.

Each module of `dataset_scripts.corpora` lists its corpus's own; `dataset_scripts.corpora.TASKS` has all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Task:
    """One zero-shot classification task.

    Attributes:
        name: the name on the command line and in results.
        column: the column with the truth.
        labels: value in the column -> phrase for the prompt, in the order of the confusion matrix; rows with any other
            value (or none) do not belong to the task.
        template: prompt with one ``{}``; None takes the model's own (`hypothesis_template`).
        split: the rows that are used; None takes all.
        needs_functionals: True if the column is made of openSMILE functionals and the model's bins.
        paper_uar: variant -> unweighted average recall in Table 1 of the paper; empty where the paper has none.
        paper_prompts: label -> the whole prompt of the authors' evaluation; empty where the paper has none.
        merge: value in the column -> the label that it counts as.
        counts: label -> rows in the owner's whole release (section 3.2 of the paper); empty where not known.
        group: a column: beside the recall of all rows, the mean over this column's values is reported.
        corpus: the corpus's name; `Corpus` fills it in.
    """

    name: str
    column: str
    labels: Mapping[str, str]
    template: str | None = None
    split: str | None = "test"
    needs_functionals: bool = False
    paper_uar: Mapping[str, float] = field(default_factory=dict)
    paper_prompts: Mapping[str, str] = field(default_factory=dict)
    merge: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    group: str | None = None
    corpus: str = ""

    def of_split(self, frame: pd.DataFrame) -> np.ndarray:
        """Return which rows of the corpus are in the task's split, as booleans of shape (rows,)."""
        return np.full(len(frame), True) if self.split is None else (frame["split"] == self.split).to_numpy()

    def references(self, frame: pd.DataFrame) -> pd.Series:
        """Return the true label of each row; None for the rows that do not belong to the task."""
        truth = frame[self.column].astype(object).replace(dict(self.merge))
        belongs = self.of_split(frame) & truth.isin(list(self.labels)).to_numpy()
        return truth.where(belongs, None)

    @property
    def chance(self) -> float:
        """Return the unweighted average recall of guessing."""
        return 1 / len(self.labels)


def same_words(labels: str) -> dict[str, str]:
    """Map labels, given in one string, to themselves: labels whose word goes into the prompt as it is."""
    return {label: label for label in labels.split()}


def prompts_by_label(prompts: str, **labels: str) -> dict[str, str]:
    """Map labels to the authors' one-word prompts.

    Args:
        prompts: the words, in one string.
        labels: word -> label, where the two differ.
    """
    return {labels.get(word, word): word for word in prompts.split()}


def gender_task(name: str, split: str | None = "test") -> Task:
    """Return the task of telling women from men, in the paper's words."""
    labels = {"female": "a female is speaking", "male": "a male is speaking"}
    return Task(name, "gender", labels, template="{}", split=split)


def age_task(name: str, split: str | None = "test") -> Task:
    """Return the task of telling `corpus.AGE_GROUPS` apart."""
    labels = {
        "young": "a young person is speaking",
        "middle-aged": "a middle-aged person is speaking",
        "elderly": "an elderly person is speaking",
    }
    return Task(name, "age_group", labels, template="{}", split=split)


def acoustic_tasks(prefix: str) -> tuple[Task, ...]:
    """Return the tasks of telling low, mid and high pitch, loudness and duration apart, in the paper's words."""
    level = "has a {} equivalent sound level"
    phrases = {
        "pitch": ("pitch_mean_bin", ("has a low pitch", "has a normal pitch", "has a high pitch")),
        "loudness": ("intensity_bin", tuple(level.format(word) for word in ("low", "normal", "high"))),
        "duration": ("duration_bin", ("has a short duration", "is of average duration", "has a long duration")),
    }
    return tuple(
        Task(
            f"{prefix}-{name}",
            column,
            dict(zip(("low", "mid", "high"), texts, strict=True)),
            template="{}",
            needs_functionals=True,
        )
        for name, (column, texts) in phrases.items()
    )
