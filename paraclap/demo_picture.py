"""The demo's picture: one row per recording, with waveform, spectrogram and the scores of all questions."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .fonts import drawable, families_for
from .page.questions import NamedQuestion

if TYPE_CHECKING:
    from .demo import Answered

WRAP = 22  # characters per line of a label
TOP_HZ = 5000


def draw_clips(
    answers: Mapping[str, "Answered"], questions: Sequence[NamedQuestion], sampling_rate: int, file: Path
) -> None:
    """Draw waveform over spectrogram, and the scores of each question as bars.

    Args:
        answers: Waveform and scores of each recording by its name.
        questions: The questions.
        sampling_rate: Sampling rate of the waveforms in Hz.
        file: The PNG to write.
    """
    texts = [*answers, *(text for question in questions for text in (question.name, *question.names))]
    families = families_for(texts)
    most = max(len(question.names) for question in questions)
    width, height = 4.4 + 2.7 * len(questions), max(1.9, 0.27 * most + 0.5) * len(answers) + 0.5
    with matplotlib.rc_context({"font.family": families, "font.size": 8}):
        figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
        grid = figure.add_gridspec(2 * len(answers), 1 + len(questions), width_ratios=[1.4] + [1] * len(questions))
        for row, (name, found) in enumerate(answers.items()):
            last = row == len(answers) - 1
            _draw_waveform(figure.add_subplot(grid[2 * row, 0]), drawable(name, families), found.waveform)
            _draw_spectrogram(figure.add_subplot(grid[2 * row + 1, 0]), found.waveform, sampling_rate, last)
            for column, question in enumerate(questions, start=1):
                axes = figure.add_subplot(grid[2 * row : 2 * row + 2, column])
                _draw_scores(axes, question, found.scores[question.name], families, most)
                axes.set_xlabel("score" if last else "")
                axes.tick_params(axis="x", labelbottom=last)
                if row == 0:
                    axes.set_title(drawable(question.name, families), fontsize=10)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)


def _draw_waveform(axes: Axes, name: str, waveform: np.ndarray) -> None:
    """Draw the waveform scaled to its peak, so that quiet ones are visible; the axis shows the peak."""
    peak = float(np.abs(waveform).max())
    axes.plot(waveform, linewidth=0.4, color="tab:blue")
    axes.set(xlim=(0, len(waveform)), ylim=(-1.05 * peak, 1.05 * peak), xticks=[])
    axes.set(yticks=[-peak, 0, peak], yticklabels=[f"−{peak:.2g}", "0", f"{peak:.2g}"])
    axes.set_title(name, fontsize=10, loc="left")


def _draw_spectrogram(axes: Axes, waveform: np.ndarray, sampling_rate: int, last: bool) -> None:
    window = round(0.032 * sampling_rate)
    peak = float(np.abs(waveform).max())
    padded = np.pad(waveform / peak, window)  # a clip may be shorter than a window
    with np.errstate(divide="ignore"):  # digital silence has no level in dB, and is drawn black
        axes.specgram(
            padded, Fs=sampling_rate, NFFT=window, noverlap=window * 11 // 16, cmap="magma", vmin=-120, vmax=-20
        )
    axes.set_facecolor("black")
    start = window / sampling_rate
    seconds = len(waveform) / sampling_rate
    ticks = np.linspace(0, seconds, 4)
    axes.set(xlim=(start, start + seconds), ylim=(0, min(TOP_HZ, sampling_rate / 2)), ylabel="kHz")
    axes.set(yticks=[0, TOP_HZ / 2, TOP_HZ], yticklabels=["0", "2.5", "5"])
    axes.set_xticks(start + ticks, [f"{tick:.1f}" for tick in ticks] if last else [])
    if last:
        axes.set_xlabel("time (s)")


def _draw_scores(
    axes: Axes, question: NamedQuestion, scores: Sequence[float], families: Sequence[str], most: int
) -> None:
    best = max(scores)
    labels = [textwrap.fill(drawable(name, families), WRAP) for name in question.names]
    bars = axes.barh(range(len(labels)), scores, color=["tab:orange" if score == best else "0.75" for score in scores])
    axes.bar_label(bars, fmt="%.2f", padding=2)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlim=(0, 1.18), ylim=(most - 0.4, -0.6), xticks=[0, 0.5, 1])
    axes.spines[["top", "right"]].set_visible(False)
