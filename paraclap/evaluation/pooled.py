"""Tasks on the pooled test speakers of all corpora, as one corpus may have a single utterance of a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from dataset_scripts.tasks import Task, acoustic_tasks, age_task, gender_task

if TYPE_CHECKING:
    import pandas as pd

POOLED = "pooled"
PITCH_VARIATION = Task(
    "pooled-pitch-variation",
    "pitch_std_bin",
    {
        "low": "has a low pitch variation",
        "mid": "has a normal pitch variation",
        "high": "has a high pitch variation",
    },
    template="{}",
    needs_functionals=True,
)
POOLED_TASKS: dict[str, Task] = {
    task.name: replace(task, corpus=POOLED)
    for task in (*acoustic_tasks(POOLED), PITCH_VARIATION, gender_task("pooled-gender"), age_task("pooled-age"))
}


def pool(frames: Sequence[pd.DataFrame], embeds: Sequence[torch.Tensor]) -> tuple[pd.DataFrame, torch.Tensor]:
    """Return the test rows of all corpora in one table, and their embeddings in the same order."""
    import pandas as pd

    rows = [(frame["split"] == "test").to_numpy() for frame in frames]
    frame = pd.concat([frame[kept] for frame, kept in zip(frames, rows, strict=True)], ignore_index=True)
    return frame, torch.cat([some[torch.tensor(kept)] for some, kept in zip(embeds, rows, strict=True)])
