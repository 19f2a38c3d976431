"""Answers every question about every recording in one pass over the audio."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from paraclap.page.questions import NamedQuestion

from .models import load_scorer
from .questions import embed_questions
from .recordings import Recording
from .tables import DIGITS
from .workers import run_in_threads, until_stopped

WINDOWS_PER_BATCH = 8  # of a long recording
Result = dict[str, Any]
Work = Callable[[Recording, threading.Event], Result]


@dataclass(frozen=True)
class ScoreTask:
    """What is done with each recording.

    Attributes:
        questions: To be answered; without any, the embedding is the result.
        model: Release folder.
    """

    questions: tuple[NamedQuestion, ...]
    model: Path

    def settings(self) -> dict[str, Any]:
        """What must be the same for a result to be the same."""
        from modeling_paraclap.checkpoint_paraclap import hash_file

        return {
            "questions": [[question.name, question.labels, question.templates] for question in self.questions],
            "model": {name: hash_file(self.model / name) for name in ("config.json", "model.safetensors")},
        }

    def start(self) -> Work:
        """Load the model and return the work: from a recording to its scores, or to its embedding.

        A result is `{"scores": {question: [score of each label]}}`, `{"embedding": [...]}`, or `{"reason": ...}` where
        the recording could not be used; with `"again": True` if that may change while the file does not.
        """
        from modeling_paraclap.clips_paraclap import LongAudio
        from modeling_paraclap.waveform_paraclap import AudioError

        scorer = load_scorer(self.model)
        asked = embed_questions(scorer, self.questions)

        def work(recording: Recording, stop: threading.Event) -> Result:
            try:
                audio = scorer.loader(recording.path)
                if isinstance(audio, LongAudio):
                    audio = LongAudio(recording.path, audio.rate, started=until_stopped(audio.blocks(), stop))
                (heard,) = scorer.hear([audio], batch_size=WINDOWS_PER_BATCH)
            except AudioError as error:
                # also where the message quotes the path, with escapes for bytes that are not UTF-8
                quoted = str(error).replace(repr(recording.path)[1:-1], recording.shown)
                result = {"reason": quoted.replace(recording.path, recording.shown)}
                return result | ({"again": True} if isinstance(error.__cause__, OSError) else {})
            if not asked:
                return {"embedding": heard.embedding.tolist()}
            answers = {name: scorer.answer(heard, question) for name, question in asked.items()}
            return {"scores": {name: [round(s, DIGITS) for s in scores.values()] for name, scores in answers.items()}}

        return work


class Record(Protocol):
    """What keeps results while a run goes on: a `Journal`, or `Shards`."""

    known: Mapping[tuple[str, int, int], Result]

    def add(self, recording: Recording, result: Result) -> None:
        """Keep a result."""


def process(
    task: ScoreTask, recordings: Sequence[Recording], jobs: int, record: Record | None = None
) -> Iterator[tuple[int, Result]]:
    """Do the task for all recordings that the record does not know.

    Args:
        task: What is done.
        recordings: Of what.
        jobs: How many at a time.
        record: Keeps the results; open.

    Yields:
        The number of a recording and its result: first what is known, then the others as they get done.
    """
    known = record.known if record else {}
    pending = []
    for number, recording in enumerate(recordings):
        if recording.key in known:
            yield number, known[recording.key]
        else:
            pending.append(number)
    if not pending:
        return
    work = task.start()

    def work_and_note(recording: Recording, stop: threading.Event) -> Result:
        result = work(recording, stop)
        # In the worker: what is done when a run is stopped is kept, whether or not anybody has taken it.
        if not result.pop("again", False) and record:
            record.add(recording, result)
        return result

    waiting = [recordings[number] for number in pending]
    with closing(run_in_threads(work_and_note, waiting, jobs)) as results:
        for position, result in results:
            yield pending[position], result
