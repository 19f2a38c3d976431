"""The zero-shot tasks: the rows of a corpus, the column with the truth, and how a label is said in a prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """

    name: str
    corpus: str
    column: str
    labels: Mapping[str, str]
    template: str | None = None
    split: str | None = "test"
    needs_functionals: bool = False
    paper_uar: Mapping[str, float] = field(default_factory=dict)

    @property
    def chance(self) -> float:
        """The unweighted average recall of guessing."""
        return 1 / len(self.labels)


def _words(text: str) -> dict[str, str]:
    return {word: word for word in text.split()}


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
