"""Interpret the columns of a user's table: labels, their tasks, and remarks for the user.

Columns that the project knows (emotion, gender, age, arousal, valence, dominance) get its words and prompts. Any other
column is a task whose classes are its values; a column of numbers becomes low, mid and high, as functionals do.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .corpus import AGE_GROUPS, COLUMNS, DIMENSIONS, age_group_of
from .own_table import OwnTable, key_of, shown
from .quantiles import BINS, bin_of, fit_edges
from .queries import EMOTION_NOUNS, INDEX, canonical_emotion
from .tasks import Task, age_task, gender_task

Values = Sequence[str | None]
MAX_CLASSES = 50
MAX_LABEL = 60  # letters; longer values are texts
OLDEST = 120  # years
FUNCTIONALS = ("pitch_mean", "pitch_std", "intensity", "duration", "jitter", "shimmer")  # columns of a query corpus
SLUG = 40  # letters of a column's name in the names of tasks and files
GENDERS = {
    **dict.fromkeys(("female", "f", "w", "woman", "weiblich", "frau", "femme", "female_feminine"), "female"),
    **dict.fromkeys(("male", "m", "man", "männlich", "mann", "homme", "male_masculine"), "male"),
}
# Common Voice states ages as decades, and spells forty so.
DECADES = {
    **{"teens": 15, "twenties": 25, "thirties": 35, "fourties": 45, "forties": 45, "fifties": 55, "sixties": 65},
    **{"seventies": 75, "eighties": 85, "nineties": 95},
}
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
YES_NO = {"yes": True, "true": True, "no": False, "false": False}
SEGMENTS = frozenset(("start", "end", "onset", "offset", "start_time", "end_time", "begin"))
# Columns about the file, the row or the measurement, which no prompt can ask for.
NO_LABELS = SEGMENTS | {
    *("id", "index", "row", "nr", "no", "number", "unnamed_0", "duration", "length", "seconds", "samples", "channels"),
    *("sampling_rate", "sample_rate", "samplerate", "fs", "md5", "sha256", "url", "corpus", "database", "source"),
}


@dataclass
class Labels:
    """Labels, tasks and remarks found in the columns.

    Attributes:
        columns: column of the corpus -> value of each row.
        tasks: the tasks, in the order of the table's columns.
        remarks: what is not as one might expect.
    """

    columns: dict[str, list] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def label_rows(corpus: str, table: OwnTable, cells: Sequence[dict[str, str | None]], splits: Sequence[str]) -> Labels:
    """Read the labels of the rows that are kept.

    Args:
        corpus: the name that the user gave the corpus, with which the names of its tasks begin.
        table: the table.
        cells: the cells of each row.
        splits: the split of each row.
    """
    found = Labels()
    roles = {key: role for role, key in table.roles.items()}
    for key, header in table.headers.items():
        role = roles.get(key)
        values = [row.get(key) for row in cells]
        if role in ("file", "split"):
            continue
        if role in ("speaker", "transcript"):
            found.columns[role] = values
        elif key in NO_LABELS:
            found.remarks.append(f"column {header}: not a label")
        else:
            column = _Column(corpus, header, key, values, splits, found)
            if role is None and "emotion" not in {*table.roles, *found.columns} and _are_emotions(values):
                role = "emotion"
                column.remark("its values are emotions, and read as such")
            KNOWN.get(role, _Column.add_classes)(column)
    if segments := [table.headers[key] for key in table.headers if key in SEGMENTS]:
        found.remarks.append(f"column {' and '.join(segments)}: recordings are not cut, each row is the whole file")
    return found


@dataclass
class _Column:
    """One column of labels; each method adds its labels, its task and its remarks to `found`."""

    corpus: str
    header: str
    key: str
    values: Values
    splits: Sequence[str]
    found: Labels

    def remark(self, text: str) -> None:
        self.found.remarks.append(f"column {self.header}: {text}")

    def free(self, name: str) -> str:
        """Return the name for a column of labels that only this corpus has: another one where the corpora have it."""
        return (
            f"{name}_label" if name in {*COLUMNS, *FUNCTIONALS, *self.found.columns} or name.endswith("_bin") else name
        )

    @property
    def task(self) -> str:
        return f"{self.corpus}-{self.key[:SLUG]}"

    def add_task(self, task: Task, present: int) -> None:
        if present > 1:
            self.found.tasks.append(task)
        else:
            self.remark("fewer than two classes have rows, so there is nothing to tell apart")

    def add_emotions(self) -> None:
        canonical = {value: _emotion_of(value) for value in set(self.values) - {None}}
        self.found.columns["emotion"] = [canonical.get(value) for value in self.values]
        unknown = sorted(value for value, emotion in canonical.items() if emotion is None)
        if not unknown:
            counts = Counter(self.found.columns["emotion"])
            labels = {emotion: emotion for emotion in EMOTION_NOUNS if counts[emotion]}
            self.add_task(Task(self.task, "emotion", labels), len(labels))
            return
        self.remark(f"not among the emotions of the queries, so evaluated but never trained on: {_listed(unknown)}")
        words = [canonical.get(value) or value for value in self.values]
        _Column(self.corpus, self.header, self.key, words, self.splits, self.found).add_classes()

    def add_genders(self) -> None:
        genders = {value: GENDERS.get(key_of(value)) for value in set(self.values) - {None}}
        self.found.columns["gender"] = [genders.get(value) for value in self.values]
        if unknown := sorted(value for value, gender in genders.items() if gender is None):
            rows = sum(value in unknown for value in self.values)
            self.remark(f"{rows} rows are neither female nor male and have no gender here: {_listed(unknown)}")
        self.add_task(gender_task(self.task, split=None), len(set(genders.values()) - {None}))

    def add_ages(self) -> None:
        ages = {value: _age_of(value) for value in set(self.values) - {None}}
        self.found.columns["age"] = [ages[value][0] if value else None for value in self.values]
        groups = [ages[value][1] if value else None for value in self.values]
        self.found.columns["age_group"] = groups
        if unknown := sorted(value for value, (_, group) in ages.items() if group is None):
            rows = sum(value in unknown for value in self.values)
            self.remark(
                f"{rows} rows have no age, which is in years up to {OLDEST}, a decade (twenties) or one of "
                f"{', '.join(AGE_GROUPS)}: {_listed(unknown)}"
            )
        self.add_task(age_task(self.task, split=None), len(set(groups) - {None}))

    def add_dimension(self, dimension: str) -> None:
        numbers = self.numbers()
        if numbers is None:
            self.add_classes()
            return
        self.found.columns[dimension] = [None if math.isnan(number) else number for number in numbers]
        texts = [
            next(template.text for template in INDEX[dimension, bin_] if "{" not in template.text) for bin_ in BINS
        ]
        self.add_levels(numbers, texts)

    def add_languages(self) -> None:
        if all(re.fullmatch(r"[A-Za-z]{2,3}([-_]\w+)?", value) for value in self.values if value):
            codes = [value and re.split("[-_]", value)[0].lower() for value in self.values]
            self.found.columns["language"] = codes
        else:
            self.add_classes()

    def add_classes(self) -> None:
        """Add the column's values as classes; numbers as low, mid and high."""
        numbers = self.numbers()
        if numbers is not None:
            words = self.key.replace("_", " ")
            self.add_levels(numbers, [f"has low {words}", f"{words} is at an average level", f"has high {words}"])
            return
        spellings = Counter(value for value in self.values if value)
        if not spellings:
            self.remark("empty")
            return
        numeric = sum(count for value, count in spellings.items() if _number(value) is not None)
        if numeric > sum(spellings.values()) / 2:
            words = sorted(value for value in spellings if _number(value) is None)
            self.remark(f"most values are numbers; leave the other cells empty to have it evaluated: {_listed(words)}")
            return
        common = _common_spellings(spellings)
        classes = sorted(set(common.values()))
        if len(classes) > MAX_CLASSES or max(map(len, classes)) > MAX_LABEL:
            self.remark(f"{len(classes)} different values; at most {MAX_CLASSES} of {MAX_LABEL} letters are a task")
            return
        if merged := sorted(f"{value} as {common[value]}" for value in spellings if common[value] != value):
            self.remark(f"spellings counted as one: {_listed(merged)}")
        name = self.free(self.key)
        self.found.columns[name] = [value and common[value] for value in self.values]
        self.add_task(Task(self.task, name, self.phrases(classes)), len(classes))

    def phrases(self, classes: Sequence[str]) -> dict[str, str]:
        """Return the phrase of each class in a prompt."""
        words = self.key.replace("_", " ")
        if set(map(str.lower, classes)) <= set(YES_NO):
            phrases = {value: words if YES_NO[value.lower()] else f"not {words}" for value in classes}
            self.remark(f"prompts say {' and '.join(repr(phrase) for phrase in phrases.values())}")
            return phrases
        return {value: value.replace("_", " ") for value in classes}

    def numbers(self) -> np.ndarray | None:
        """Return the values as (rows,) float64, NaN where there are none; None if any value is not a number."""
        numbers = [math.nan if value is None else _number(value) for value in self.values]
        return None if None in numbers or all(map(math.isnan, numbers)) else np.array(numbers)

    def add_levels(self, numbers: np.ndarray, texts: Sequence[str]) -> None:
        """Add low, mid and high by the quantiles of the training rows, or of all where none has a value."""
        train = np.array([split == "train" for split in self.splits]) & np.isfinite(numbers)
        fitted_on = numbers[train] if train.any() else numbers[np.isfinite(numbers)]
        if len(np.unique(fitted_on)) < len(BINS):
            values = ", ".join(f"{value:g}" for value in np.unique(fitted_on))
            self.remark(f"the numbers {values} tell a model nothing; write what they mean in words")
            return
        lower, upper = fit_edges(fitted_on)
        bins = [bin_of(number, lower, upper) for number in numbers]
        if missing := [bin_ for bin_ in BINS if bin_ not in bins]:
            self.remark(f"30 and 70 % quantiles leave no row for {' and '.join(missing)}, so it is not a task")
            return
        rows = (
            f"{len(fitted_on)} training rows" if train.any() else f"all {len(fitted_on)} rows, none being for training"
        )
        self.remark(f"low is below {lower:g}, high from {upper:g} on: the 30 and 70 % quantiles of {rows}")
        name = self.free(f"{self.key}_level")
        self.found.columns[name] = bins
        self.found.tasks.append(Task(self.task, name, dict(zip(BINS, texts, strict=True)), template="{}"))


KNOWN: dict[str | None, Callable[[_Column], None]] = {
    "emotion": _Column.add_emotions,
    "gender": _Column.add_genders,
    "age": _Column.add_ages,
    "language": _Column.add_languages,
    **{name: lambda column, name=name: column.add_dimension(name) for name in DIMENSIONS},
}


def _emotion_of(value: str) -> str | None:
    """Return the canonical name of an emotion; None if queries do not know it."""
    try:
        return canonical_emotion(value)
    except ValueError:
        return None


def _are_emotions(values: Values) -> bool:
    """Return whether all values are emotion words; codes such as N or SUR are not."""
    words = set(values) - {None}
    return len(words) > 1 and all(len(word) > 3 and _emotion_of(word) for word in words)


def _age_of(value: str) -> tuple[int | None, str | None]:
    """Return years and age group; None where a value says neither."""
    if (number := _number(value)) is not None:
        return (int(number), age_group_of(number)) if 0 <= number <= OLDEST else (None, None)
    key = key_of(value)
    if key in DECADES:
        return None, age_group_of(DECADES[key])
    groups = {key_of(group): group for group in AGE_GROUPS}
    return None, groups.get(key)


def _number(value: str) -> float | None:
    return float(value.replace(",", ".")) if NUMBER.fullmatch(value) else None


def _common_spellings(spellings: Counter) -> dict[str, str]:
    """Return value -> the most frequent spelling of those that differ from it in case alone."""
    by_key: dict[str, list[str]] = {}
    for value in spellings:
        by_key.setdefault(value.casefold(), []).append(value)
    best = {key: max(values, key=lambda value: (spellings[value], value)) for key, values in by_key.items()}
    return {value: best[value.casefold()] for value in spellings}


def _listed(values: Sequence[str], most: int = 5) -> str:
    """Return values for a message, shortened."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shown(value, 30) for value in values[:most]) + more
