"""Score or embed recordings, each in one pass over its audio, whatever the number of questions."""

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

WINDOWS_PER_BATCH = 8
Result = dict[str, Any]
Work = Callable[[Recording, threading.Event], Result]


@dataclass(frozen=True)
class ScoreTask:
    """What to compute for each recording.

    Attributes:
        questions: The questions to score; if there are none, the embedding is computed.
        model: Release folder.
    """

    questions: tuple[NamedQuestion, ...]
    model: Path

    def settings(self) -> dict[str, Any]:
        """Return the settings on which results depend, to be compared before results are reused."""
        from modeling_paraclap.checkpoint_paraclap import hash_file

        return {
            "questions": [[question.name, question.labels, question.templates] for question in self.questions],
            "model": {name: hash_file(self.model / name) for name in ("config.json", "model.safetensors")},
        }

    def start(self) -> Work:
        """Load the model and return a function from a recording to its result.

        A result is `{"scores": {question: [score of each label]}}`, `{"embedding": [...]}`, or `{"reason": ...}` if the
        recording could not be used, with `"again": True` if a later try may succeed on the unchanged file.
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
                # messages quote the path, with escapes for bytes that are not UTF-8
                quoted = str(error).replace(repr(recording.path)[1:-1], recording.shown)
                result = {"reason": quoted.replace(recording.path, recording.shown)}
                return result | ({"again": True} if isinstance(error.__cause__, OSError) else {})
            if not asked:
                return {"embedding": heard.embedding.tolist()}
            answers = {name: scorer.answer(heard, question) for name, question in asked.items()}
            return {"scores": {name: [round(s, DIGITS) for s in scores.values()] for name, scores in answers.items()}}

        return work


class Record(Protocol):
    """Store of the results of a run: a `Journal`, or `ResultShards`."""

    known: Mapping[tuple[str, int, int], Result]

    def add(self, recording: Recording, result: Result) -> None:
        """Store a result."""


def process(
    task: ScoreTask, recordings: Sequence[Recording], jobs: int, record: Record | None = None
) -> Iterator[tuple[int, Result]]:
    """Process all recordings that the record does not hold.

    Args:
        task: The task.
        recordings: The recordings.
        jobs: Recordings processed at once.
        record: Store of the results; open.

    Yields:
        The number of a recording and its result: first the known ones, then the others in the order of completion.
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
        # In the worker, so that results are stored even if a stopped run no longer consumes them.
        if not result.pop("again", False) and record:
            record.add(recording, result)
        return result

    waiting = [recordings[number] for number in pending]
    with closing(run_in_threads(work_and_note, waiting, jobs)) as results:
        for position, result in results:
            yield pending[position], result
