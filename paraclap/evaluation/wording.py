"""Sensitivity to the wording of a prompt: ten paraphrases of the template, and words not in any training query."""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files

import numpy as np
import pandas as pd

PARAPHRASES = (
    "speaker is {}.",
    "the speaker sounds {}.",
    "this person is feeling {}.",
    "somebody speaks in a {} voice",
    "{} speech",
    "a {} tone of voice",
    "a recording of a {} person",
    "the voice in this clip is {}.",
    "she or he sounds {} here",
    "{}",
)
Measure = Callable[[Mapping[str, str], Sequence[str]], float]


def held_out_words(labels: Sequence[str]) -> list[dict[str, str]]:
    """Return sets of words for the labels that do not occur in training queries.

    Read from `dataset_scripts/emotion_words.csv`; the k-th set has the k-th held-out adjective of each emotion, and
    there are as many sets as the emotion with the fewest has adjectives. Empty if a label is not in the table.
    """
    with (files("dataset_scripts") / "emotion_words.csv").open(encoding="utf-8") as stream:
        table = pd.read_csv(stream)
    table = table[(table["held_out"] == "yes") & (table["part_of_speech"] == "adjective")]
    words = {label: list(table.loc[table["emotion"] == label, "word"]) for label in labels}
    return [{label: words[label][k] for label in labels} for k in range(min(map(len, words.values())))]


def measure_wording(labels: Mapping[str, str], template: str, uar: float, measure: Measure) -> dict:
    """Measure the effect of other wordings on the unweighted average recall.

    Args:
        labels: Label -> its phrase in the task.
        template: The model's own template.
        uar: UAR with the labels and that template.
        measure: Function that returns the UAR of phrases (label -> phrase) and templates.

    Returns:
        `paraphrases`: the UAR of each template of `PARAPHRASES`, their mean and standard deviation; `held_out`: the UAR
        of each set of held-out words, their mean, and its share of `uar`; None where the table lacks a label.
    """
    paraphrased = {other: measure(labels, [other]) for other in PARAPHRASES}
    values = np.array(list(paraphrased.values()))
    found = {
        "paraphrases": {"uars": paraphrased, "mean": float(values.mean()), "standard_deviation": float(values.std())},
        "held_out": None,
    }
    sets = held_out_words(list(labels))
    if sets:
        uars = [measure(words, [template]) for words in sets]
        mean = float(np.mean(uars))
        found["held_out"] = {"words": sets, "uars": uars, "mean": mean, "share": mean / uar if uar else None}
    return found
