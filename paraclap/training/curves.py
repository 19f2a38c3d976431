"""Plot the curves of a run: loss, zero-shot UAR with chance, and indicators of collapse."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .records import read_rows
from .validation import measure_name

GREY = "0.55"
SMOOTHED = 60  # minimum number of points for a running mean of the loss
TOP = 1.02  # upper limit of line labels
MEASURES = ("uar", "top_class", "mean_cosine")  # columns of history.csv that validation fills

Line = tuple[str, str, np.ndarray, np.ndarray]  # name, colour, epochs, values


def draw_curves(run: Path, chances: dict[str, float]) -> None:
    """Draw curves.png from steps.csv and history.csv; of a run without validation, the loss alone.

    Args:
        run: Folder of the run.
        chances: Measure of history.csv -> its chance level.
    """
    steps, epochs = read_rows(run / "steps.csv"), read_rows(run / "history.csv")
    epochs = [row for row in epochs if any(row.get(name) for name in row if name.startswith(MEASURES))]
    widths = (1, 1.5, 1.2) if epochs else (1,)
    figure = Figure(figsize=(15 if epochs else 6, 4.6), layout="constrained")
    loss, *validated = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
    _draw_loss(loss, steps)
    if epochs:
        _draw_uars(validated[0], epochs, chances)
        _draw_collapse(validated[1], epochs)
    for axis in validated:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axis in (loss, *validated):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(run / "curves.png", dpi=110)


def _draw_loss(axis: Axes, steps: list[dict[str, str]]) -> None:
    axis.set(title="Training loss", xlabel="step")
    points, values = _points(steps, "step", "loss")
    if len(points) < SMOOTHED:
        axis.plot(points, values, color="C0", marker=".")
        return
    width = len(points) // 20
    mean = np.convolve(values, np.ones(width) / width, mode="valid")
    axis.plot(points, values, color="C0", alpha=0.3, label="as logged")
    axis.plot(points[width - 1 :], mean, color="C0", label=f"mean of {width}")
    axis.legend(frameon=False)


def _draw_uars(axis: Axes, epochs: list[dict[str, str]], chances: dict[str, float]) -> None:
    axis.set(title="Zero-shot UAR on validation (dashed: chance, star: best epoch)", xlabel="epoch", ylim=(0, 1.03))
    names = [name for name in (epochs[0] if epochs else {}) if name.startswith("uar_")]
    colours: dict[str, str] = {}  # emotions of a corpus and their synonyms share one
    lines = []
    for name in names:
        words = measure_name(name)
        colour = colours.setdefault(words.rpartition(" of ")[2], f"C{len(colours) % 10}")
        lines.append((words, colour, *_points(epochs, "epoch", name)))
        _draw_line(axis, *lines[-1][1:], alpha=0.8, linestyle=":" if words.startswith("synonyms") else "-")
        if name in chances:
            axis.axhline(chances[name], color=colour, linestyle="--", linewidth=0.8, alpha=0.6)
    points, values = _points(epochs, "epoch", "uar")
    if len(points):
        lines.append(
            ("mean of the emotions" if any("emotion" in name for name in names) else "mean", "black", points, values)
        )
        _draw_line(axis, *lines[-1][1:], linewidth=2)
        best = int(np.argmax(values))
        axis.plot(points[best], values[best], marker="*", markersize=14, color="black", zorder=3, clip_on=False)
    _name_lines(axis, lines)


def _draw_collapse(axis: Axes, epochs: list[dict[str, str]]) -> None:
    axis.set(title="Collapse: near 1, all answers are the same", xlabel="epoch", ylim=(-0.08, 1.08))
    axis.axhline(1, color=GREY, linestyle="--", linewidth=0.8)
    lines = []
    for name, words, colour in (
        ("top_class", "share of the most\npredicted emotion", "C1"),
        ("mean_cosine", "mean cosine of\ntwo utterances", "C4"),
    ):
        points, values = _points(epochs, "epoch", name)
        if len(points):
            lines.append((words, colour, points, values))
            _draw_line(axis, *lines[-1][1:])
    _name_lines(axis, lines, gap=0.14)


def _draw_line(axis: Axes, colour: str, points: np.ndarray, values: np.ndarray, **style: Any) -> None:
    axis.plot(points, values, color=colour, marker="." if len(points) < SMOOTHED else None, clip_on=False, **style)


def _name_lines(axis: Axes, lines: list[Line], gap: float = 0.055) -> None:
    """Label each line at its end, without overlaps."""
    lines = sorted(lines, key=lambda line: line[3][-1])
    places = [line[3][-1] for line in lines]
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1] + gap)
    limit = TOP
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    for (words, colour, points, values), place in zip(lines, places, strict=True):
        axis.annotate(
            words,
            (points[-1], values[-1]),
            xytext=(1.03, place),
            textcoords=axis.get_yaxis_transform(),
            color=colour,
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.4, "linewidth": 0.6, "relpos": (0, 0.5)},
            annotation_clip=False,
        )


def _points(rows: list[dict[str, str]], x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of two columns, for the rows that have the second."""
    pairs = [(int(row[x]), float(row[y])) for row in rows if row.get(y)]
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
