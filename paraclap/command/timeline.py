"""Scores of one recording over time, in memory that does not depend on its length."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from paraclap.page.questions import NamedQuestion
from paraclap.page.smoothing import Envelope, default_smoothing, smooth

from .errors import CommandError
from .questions import embed_questions
from .tables import DIGITS, best_label
from .workers import run_in_threads

if TYPE_CHECKING:
    from modeling_paraclap.scoring_paraclap import Scorer

WINDOWS_PER_BATCH = 8


@dataclass(frozen=True)
class View:
    """How a recording is cut into windows and displayed.

    Attributes:
        length: Window length in s.
        stride: Time between the starts of consecutive windows in s.
        smoothing: Smoothing window of pictures and annotations in s; None for `default_smoothing`.
        floor: Level in dB of full scale below which audio counts as silence.
    """

    length: float = 3.0
    stride: float = 1.0
    smoothing: float | None = None
    floor: float = -60.0

    def __post_init__(self) -> None:
        for name, value in (("window", self.length), ("stride", self.stride), ("smooth", self.smoothing)):
            if value is not None and not 0 < value < float("inf"):
                raise CommandError(f"--{name} is {value}; expected a number of seconds above 0.")
        if self.stride > self.length:
            raise CommandError(
                f"--stride is {self.stride:g} and --window {self.length:g}: the stride must not exceed the window, or "
                "audio between windows would be skipped."
            )


@dataclass(frozen=True)
class Timeline:
    """Scores of a recording over time.

    Attributes:
        name: Name of the recording.
        view: How it was cut into windows.
        starts: Start of each window in s, (windows,); silent windows are left out.
        ends: End of each window in s, (windows,).
        scores: For each question an array (windows, labels) whose rows sum to 1.
        questions: The questions by name.
        envelope: Envelope of the waveform.
    """

    name: str
    view: View
    starts: np.ndarray
    ends: np.ndarray
    scores: dict[str, np.ndarray]
    questions: dict[str, NamedQuestion]
    envelope: Envelope

    @property
    def duration(self) -> float:
        """Duration of the recording in s."""
        return self.envelope.duration

    @property
    def smoothing(self) -> float:
        """Smoothing window in s."""
        return self.view.smoothing or default_smoothing(self.duration, self.view.length)

    def smoothed(self, question: str, edges: np.ndarray) -> np.ndarray:
        """Return a question's smoothed scores between consecutive edges in s, (edges - 1, labels); NaN in silence."""
        centres, moments = (self.starts + self.ends) / 2, (edges[:-1] + edges[1:]) / 2
        means = smooth(centres, self.scores[question], moments, self.smoothing, self.view.length / 2)
        means[self.envelope.levels(edges) < self.view.floor] = np.nan
        return means

    def segments(self, question: str) -> Iterator[tuple[float, float, str]]:
        """Yield start in s, end in s and best label of each stretch with the same best label, without silence.

        The resolution is the stride of the windows.
        """
        edges = np.append(np.arange(0, self.duration, self.view.stride), self.duration)
        labels = [
            None if np.isnan(row).any() else best_label(self.questions[question], row)
            for row in self.smoothed(question, edges)
        ]
        start = 0
        for position in range(1, len(labels) + 1):
            if position == len(labels) or labels[position] != labels[start]:
                if labels[start] is not None:
                    yield float(edges[start]), float(edges[position]), labels[start]
                start = position

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one row per window, not smoothed: start, end, and the columns of `score_rows` for each question."""
        for number, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            row: dict[str, Any] = {"start": round(float(start), 3), "end": round(float(end), 3)}
            for name, question in self.questions.items():
                scores = self.scores[name][number]
                row[name] = best_label(question, scores)
                for label, score in zip(question.names, scores, strict=True):
                    row[f"{name}.{label}"] = round(float(score), DIGITS)
            yield row


def listen_along(
    scorer: "Scorer", source: str | os.PathLike, questions: Sequence[NamedQuestion], view: View, jobs: int
) -> Timeline:
    """Score a recording window by window, once for all questions.

    Args:
        scorer: The model.
        source: Path or URL.
        questions: The questions.
        view: How to cut the recording into windows.
        jobs: Batches of windows processed at once, each in its own thread.

    Raises:
        AudioError: If the recording cannot be used.
        QuestionError: If the text encoder cannot take a label or a template.
    """
    from modeling_paraclap.audio_paraclap import name_of
    from modeling_paraclap.clips_paraclap import LongAudio, Windows
    from modeling_paraclap.inputs_paraclap import stream_input
    from modeling_paraclap.waveform_paraclap import AudioError

    rate, least = scorer.loader.rate, scorer.loader.least_samples
    asked = embed_questions(scorer, questions)
    envelope = Envelope(rate)
    audio = LongAudio(source, rate, started=envelope.watch(stream_input(source, rate)))
    cut = audio.windows(*Windows(view.length, view.stride).in_samples(rate, least), least)

    def work(batch: list[tuple[int, np.ndarray]], _: Any) -> list[np.ndarray]:
        heard = [(start, waveform) for start, waveform in batch if level_of(waveform) >= view.floor]
        if not heard:
            return [np.zeros((0, 2)), *(np.zeros((0, len(question.names))) for question in asked.values())]
        embeds = scorer.embed_waveforms([waveform for _, waveform in heard])
        times = np.array([(start / rate, (start + len(waveform)) / rate) for start, waveform in heard])
        return [times, *(scorer.scores(embeds, question).numpy() for question in asked.values())]

    parts = dict(run_in_threads(work, _batches(cut), jobs))
    times, *scores = (
        np.concatenate(part) for part in zip(*(parts[number] for number in range(len(parts))), strict=True)
    )
    if not len(times):
        raise AudioError(f"{name_of(source)} is silent: none of its windows reaches {view.floor:g} dB of full scale.")
    name, named = os.path.basename(os.fsdecode(source)), {question.name: question for question in questions}
    return Timeline(name, view, times[:, 0], times[:, 1], dict(zip(asked, scores, strict=True)), named, envelope)


def _batches(windows: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(windows, WINDOWS_PER_BATCH)):
        yield batch


def level_of(waveform: np.ndarray) -> float:
    """Return the root mean square of a waveform in dB of full scale."""
    return 10 * float(np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-20))
