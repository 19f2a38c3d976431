"""The zero-shot tasks: the rows of a corpus, the column with the truth, and how a label is said in a prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Task:
    """One zero-shot classification task; a new task is a new row of `TASKS`.

    Attributes:
        name: the name on the command line and in results.
        corpus: a key of `dataset_scripts.corpora.CORPORA`.
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
    """

    name: str
    corpus: str
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

    def of_split(self, frame: pd.DataFrame) -> np.ndarray:
        """(rows,) booleans: which rows of the corpus are in the task's split."""
        return np.full(len(frame), True) if self.split is None else (frame["split"] == self.split).to_numpy()

    def references(self, frame: pd.DataFrame) -> pd.Series:
        """The true label of each row; None for the rows that do not belong to the task."""
        truth = frame[self.column].astype(object).replace(dict(self.merge))
        belongs = self.of_split(frame) & truth.isin(list(self.labels)).to_numpy()
        return truth.where(belongs, None)

    @property
    def chance(self) -> float:
        """The unweighted average recall of guessing."""
        return 1 / len(self.labels)


def _words(text: str) -> dict[str, str]:
    return {word: word for word in text.split()}


def _said(prompts: str, **labels: str) -> dict[str, str]:
    """Label -> prompt, from prompts that are single words; `labels` has the label of those that are none."""
    return {labels.get(word, word): word for word in prompts.split()}


_AGES = (("a", "young"), ("a", "middle-aged"), ("an", "elderly"))
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="ravdess",
            corpus="ravdess",
            column="emotion",
            labels=_words("neutral calm happy sad angry fearful disgusted surprised"),
            split=None,
            paper_uar={"only_emo": 0.302, "rand5": 0.234, "rand1": 0.116, "no_emo": 0.170},
            paper_prompts=_said("neutral calm happy sad angry fearful disgust surprised", disgust="disgusted"),
            counts={
                "neutral": 96,
                **dict.fromkeys(["calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"], 192),
            },
        ),
        Task(
            name="ravdess-synonyms",
            corpus="ravdess",
            column="emotion",
            # Words of the same meaning that no template of the query corpus has.
            labels={
                "neutral": "unemotional",
                "calm": "relaxed",
                "happy": "joyful",
                "sad": "gloomy",
                "angry": "furious",
                "fearful": "frightened",
                "disgusted": "repulsed",
                "surprised": "astonished",
            },
            split=None,
        ),
        Task(
            name="iemocap",
            corpus="iemocap",
            column="emotion",
            labels=_words("neutral happy angry sad"),
            split=None,
            paper_uar={"only_emo": 0.567, "rand5": 0.560, "rand1": 0.307, "no_emo": 0.309},
            paper_prompts={
                "neutral": "this person is feeling neutral.",
                "happy": "this person is feeling happy.",
                "angry": "this person is feeling anger.",
                "sad": "this person is feeling sadness.",
            },
            merge={"excited": "happy"},
            counts={"neutral": 1708, "happy": 1636, "angry": 1103, "sad": 1084},
            group="session",
        ),
        Task(
            name="crema_d",
            corpus="crema_d",
            column="emotion",
            labels=_words("sad angry disgusted fearful happy neutral"),
            split=None,
            paper_uar={"only_emo": 0.332, "rand5": 0.291, "rand1": 0.202, "no_emo": 0.201},
            paper_prompts=_said("sad angry disgust fear happy neutral", disgust="disgusted", fear="fearful"),
            counts={"neutral": 1087, **dict.fromkeys(["sad", "angry", "disgusted", "fearful", "happy"], 1271)},
        ),
        Task(
            name="crema_d-test",
            corpus="crema_d",
            column="emotion",
            labels=_words("sad angry disgusted fearful happy neutral"),
        ),
        Task(
            name="crema_d-listeners",
            corpus="crema_d",
            column="listeners_emotion",
            labels=_words("sad angry disgusted fearful happy neutral"),
        ),
        Task(
            name="crema_d-gender",
            corpus="crema_d",
            column="gender",
            labels={"female": "a female is speaking", "male": "a male is speaking"},
            template="{}",
        ),
        Task(
            name="crema_d-age",
            corpus="crema_d",
            column="age_group",
            labels={name: f"{article} {name} person is speaking" for article, name in _AGES},
            template="{}",
        ),
        Task(
            name="tess",
            corpus="tess",
            column="emotion",
            labels=_words("neutral happy sad angry fearful disgusted surprised"),
            split=None,
            paper_uar={"only_emo": 0.484, "rand5": 0.389, "rand1": 0.219, "no_emo": 0.212},
            paper_prompts={
                **_said("neutral happy sadness angry fear disgust", sadness="sad", fear="fearful", disgust="disgusted"),
                "surprised": "pleasant surprise",
            },
            counts=dict.fromkeys(["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"], 400),
        ),
        Task(
            name="fau_aibo-2",
            corpus="fau_aibo",
            column="negativity",
            labels={"non-negative": "non-negative", "negative": "negative"},
            template="{}",
            paper_uar={"only_emo": 0.535, "rand5": 0.604, "rand1": 0.468, "no_emo": 0.538},
            paper_prompts=_words("non-negative negative"),
            counts={"non-negative": 5792, "negative": 2465},
        ),
        Task(
            name="fau_aibo-5",
            corpus="fau_aibo",
            column="aibo_class",
            labels=_words("angry emphatic neutral motherese rest"),
            template="{}",
            paper_uar={"only_emo": 0.216, "rand5": 0.232, "rand1": 0.216, "no_emo": 0.225},
            paper_prompts=_words("angry emphatic neutral motherese rest"),
            counts={"angry": 611, "emphatic": 1508, "neutral": 5377, "motherese": 215, "rest": 546},
        ),
        Task(
            name="alc",
            corpus="alc",
            column="intoxication",
            labels={
                "intoxicated": "intoxicated with alcohol",
                "not intoxicated": "not intoxicated with alcohol",
            },
            template="{}",
            paper_uar={"only_emo": 0.512, "rand5": 0.503, "rand1": 0.501, "no_emo": 0.490},
            paper_prompts={
                "intoxicated": "intoxicated with alcohol",
                "not intoxicated": "not intoxicated with alcohol",
            },
            counts={"intoxicated": 1380, "not intoxicated": 1620},
        ),
        Task(
            name="sld",
            corpus="sld",
            column="likability",
            labels={"likable": "likeable", "not likable": "not likeable"},
            template="{}",
            paper_uar={"only_emo": 0.554, "rand5": 0.507, "rand1": 0.443, "no_emo": 0.472},
            paper_prompts={"likable": "likeable", "not likable": "not likeable"},
        ),
        Task(
            name="msp_podcast",
            corpus="msp_podcast",
            column="emotion",
            labels=_words("neutral happy sad angry fearful disgusted surprised contemptuous"),
        ),
        Task(
            name="emodb",
            corpus="emodb",
            column="emotion",
            labels=_words("neutral happy sad angry fearful disgusted bored"),
        ),
        Task(
            name="nemo",
            corpus="nemo",
            column="emotion",
            labels=_words("neutral happy sad angry fearful surprised"),
        ),
        Task(
            name="librispeech-gender",
            corpus="librispeech",
            column="gender",
            labels={"female": "a female is speaking", "male": "a male is speaking"},
            template="{}",
        ),
        Task(
            name="librispeech-pitch",
            corpus="librispeech",
            column="pitch_mean_bin",
            labels={"low": "has a low pitch", "mid": "has a normal pitch", "high": "has a high pitch"},
            template="{}",
            needs_functionals=True,
        ),
        Task(
            name="librispeech-loudness",
            corpus="librispeech",
            column="intensity_bin",
            labels={
                "low": "has a low equivalent sound level",
                "mid": "has a normal equivalent sound level",
                "high": "has a high equivalent sound level",
            },
            template="{}",
            needs_functionals=True,
        ),
        Task(
            name="librispeech-duration",
            corpus="librispeech",
            column="duration_bin",
            labels={"low": "has a short duration", "mid": "is of average duration", "high": "has a long duration"},
            template="{}",
            needs_functionals=True,
        ),
    )
}
