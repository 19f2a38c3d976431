"""The `paraclap score` command as a function."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataset_scripts.extras import extra

from .command.errors import CommandError
from .command.models import model_folder
from .command.questions import collect_questions, questions_of
from .command.recordings import find_recordings
from .command.run import Plan, process_recordings
from .command.score import ScoreTask
from .command.tables import score_rows

if TYPE_CHECKING:
    import pandas as pd


def score(
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    labels: str | Sequence[str] | Mapping[str, Any] | None = None,
    template: str | Sequence[str] | None = None,
    *,
    questions: Mapping[str, Any] | Sequence[str] | None = None,
    model: str | os.PathLike | None = None,
    jobs: int | None = None,
) -> "pd.DataFrame":
    """Score recordings against questions, reading each recording once.

    Args:
        paths: Files, folders (searched recursively), patterns or http(s) URLs; one or several.
        labels: Your own labels: a list, a string separated by commas, or a dict from each label to its phrase or
            phrases. If neither labels nor questions are given, the five built-in questions are asked.
        template: Prompt template with {} for the label; several are averaged. None for the model's.
        questions: Names of built-in questions (emotion, gender, pitch, loudness, tempo), or a dict from the name of
            each question to its labels, or to `{"labels": ..., "template": ...}`.
        model: Release folder or Hub repo id; None for the default model.
        jobs: Recordings processed at once; None for one per core.

    Returns:
        One row per recording: `file`, for each question NAME its best label in the column `NAME` and the scores in
        `NAME.LABEL`, and `reason`, which says why a recording could not be used. `labels` are the question `label`.

    Raises:
        ValueError: If an argument is invalid, or the paths name no recording.
    """
    with extra("cli"):
        import pandas as pd
    if jobs is not None and jobs < 1:
        raise CommandError(f"jobs is {jobs}; expected 1 or more.")
    templates = [template] if isinstance(template, str) else list(template or ())
    named = list(questions) if questions is not None and not isinstance(questions, Mapping) else []
    own = questions_of(questions, "questions") if isinstance(questions, Mapping) else []
    asked = collect_questions(labels, named, own, templates)
    recordings = find_recordings([paths] if isinstance(paths, (str, os.PathLike)) else paths)
    task = ScoreTask(tuple(asked), model_folder(None if model is None else os.fspath(model)))
    results = process_recordings(task, recordings, Plan(jobs=jobs))
    return pd.DataFrame(score_rows(recordings, results, asked))
