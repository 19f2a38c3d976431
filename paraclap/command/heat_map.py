"""Picture of a timeline, readable for a minute or an hour of audio: a heat map of the labels below the waveform."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from paraclap.fonts import drawable, families_for
from paraclap.page.smoothing import clock

from .timeline import Timeline

COLUMNS = 1000  # maximum resolution of heat map and envelope
FINEST = 0.5  # minimum length of a column in s: pauses within words do not count as silence
WIDTH, DPI = 14, 110  # inches, and pixels per inch
WAVEFORM, BAND, GAP, MARGIN = 1.0, 0.27, 0.34, 0.95  # heights in inches
COLOURS = "viridis"  # readable with any colour vision
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)  # s


def draw_timeline(timeline: Timeline, file: Path) -> None:
    """Draw the waveform's envelope, and below it one band for each label of each question.

    The colour is the score, averaged over `timeline.smoothing` seconds; the scale of each question ends at its highest
    score. A red line marks the best label. Silence is left blank.

    Args:
        timeline: The scores.
        file: The PNG to write.
    """
    questions = timeline.questions
    labels = sum(len(question.names) for question in questions.values())
    heights = [WAVEFORM] + [BAND * len(question.names) for question in questions.values()]
    texts = [timeline.name, *questions, *(label for question in questions.values() for label in question.names)]
    families = families_for(texts)
    weight = "bold" if len(families) == 1 else "normal"  # other fonts may lack a bold weight
    with matplotlib.rc_context({"font.family": families, "font.size": 9, "axes.titleweight": weight}):
        height = WAVEFORM + BAND * labels + GAP * len(questions) + MARGIN
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        edges = np.linspace(0, timeline.duration, min(COLUMNS, max(2, round(timeline.duration / 0.1))) + 1)
        _draw_envelope(rows[0], timeline, edges)
        for axes, name in zip(rows[1:], questions, strict=True):
            _draw_bands(figure, axes, timeline, name, families)
        rows[0].set_title(drawable(timeline.name, families), loc="left", fontsize=11)
        rows[-1].set_xlim(0, timeline.duration)
        _draw_times(rows[-1], timeline)
        rows[-1].tick_params(axis="x", length=3)
        figure.savefig(file)


def _draw_envelope(axes: Axes, timeline: Timeline, edges: np.ndarray) -> None:
    extremes = timeline.envelope.extremes(edges)
    top = float(np.abs(extremes).max()) or 1.0
    middles = (edges[:-1] + edges[1:]) / 2
    axes.fill_between(middles, extremes[:, 0], extremes[:, 1], color="0.35", linewidth=0.3, edgecolor="0.35")
    axes.set(ylim=(-1.05 * top, 1.05 * top), yticks=[-top, 0, top], yticklabels=[f"−{top:.2g}", "0", f"{top:.2g}"])
    axes.set_ylabel("waveform")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bands(figure: Figure, axes: Axes, timeline: Timeline, name: str, families: list[str]) -> None:
    columns = min(COLUMNS, max(1, round(timeline.duration / min(timeline.view.stride, FINEST))))
    edges = np.linspace(0, timeline.duration, columns + 1)
    scores = timeline.smoothed(name, edges)
    labels = timeline.questions[name].names
    highest = float(np.nanmax(scores)) if np.isfinite(scores).any() else 1.0
    extent = (0, timeline.duration, len(labels) - 0.5, -0.5)
    image = axes.imshow(
        scores.T, aspect="auto", interpolation="nearest", extent=extent, cmap=COLOURS, vmin=0, vmax=highest
    )
    heard = np.isfinite(scores[:, 0])
    best = np.where(heard, np.argmax(np.where(heard[:, None], scores, 0), axis=1), -1)
    for position in range(len(labels)):
        won = best == position
        axes.hlines(np.full(won.sum(), position + 0.4), edges[:-1][won], edges[1:][won], color="red", linewidth=1.8)
    axes.set_yticks(range(len(labels)), [drawable(label, families) for label in labels])
    axes.tick_params(length=0)
    for boundary in range(1, len(labels)):
        axes.axhline(boundary - 0.5, color="white", linewidth=0.8)
    axes.set_title(drawable(name, families), loc="left", pad=3)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.008, aspect=max(4, 5 * len(labels) * BAND), fraction=0.012)
    bar.set_ticks([0, highest], labels=["0", f"{highest:.2f}"])
    bar.outline.set_visible(False)


def _draw_times(axes: Axes, timeline: Timeline) -> None:
    step = next((tick for tick in TICKS if timeline.duration / tick <= 14), TICKS[-1])
    if timeline.duration < 2:
        axes.xaxis.set_major_locator(MaxNLocator(8))
    else:
        axes.set_xticks(np.arange(0, timeline.duration, step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds, timeline.duration)))
    view = timeline.view
    axes.set_xlabel(
        f"time ({'s' if timeline.duration < 60 else 'min:s' if timeline.duration < 3600 else 'h:min:s'})\n"
        f"Colour: score of windows of {view.length:g} s, one every {view.stride:g} s, averaged over "
        f"{timeline.smoothing:.3g} s; red: the best label; blank: below {view.floor:g} dB of full scale"
    )
