"""Plot confusion matrices."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..fonts import drawable, families_for

WRAP = 20  # letters of a line of a label
LINES = 2  # of a label
DETAILED = 12  # classes up to which a cell has its count beside the share
CELL, SMALL_CELL = 0.78, 0.4  # inches
LETTERS_PER_INCH = 11.5  # of the title


def draw_confusion(confusion: np.ndarray, labels: Sequence[str], title: str, file: Path) -> None:
    """Draw a confusion matrix as PNG, coloured by the share of each row (the recall on the diagonal).

    With more than `DETAILED` classes, small cells show only the share in per cent.

    Args:
        confusion: (classes, classes) counts; rows are references, columns predictions.
        labels: Names of the classes.
        title: One or more lines above it.
        file: The PNG to write.
    """
    draw_confusions({"": confusion}, labels, title, file)


def draw_confusions(confusions: Mapping[str, np.ndarray], labels: Sequence[str], title: str, file: Path) -> None:
    """Draw the confusion matrices of several systems on one task side by side, as [`draw_confusion`] draws one.

    Args:
        confusions: Title of each matrix -> (classes, classes) counts.
        labels: Names of the classes.
        title: One or more lines above all of them.
        file: The PNG to write.
    """
    detailed = len(labels) <= DETAILED
    families = families_for([*labels, *confusions, title])
    names = [_label_lines(drawable(label, families)) for label in labels]
    longest = max(len(line) for name in names for line in name.split("\n"))
    size = 1.2 + (CELL if detailed else SMALL_CELL) * len(labels) + 0.08 * longest
    width = max(len(confusions) * (size + 0.5) + 1.1, 6.5)
    with matplotlib.rc_context({"font.family": families, "text.parse_math": False}):
        figure = Figure(figsize=(width, size + 0.8), layout="constrained")
        lines = [textwrap.wrap(drawable(line, families), int(width * LETTERS_PER_INCH)) for line in title.split("\n")]
        figure.suptitle("\n".join(line for wrapped in lines for line in wrapped), fontsize=10)
        axes = figure.subplots(1, len(confusions), squeeze=False)[0]
        for one, (name, confusion) in zip(axes, confusions.items(), strict=True):
            image = _draw_matrix(one, np.asarray(confusion), names, detailed)
            one.set_title(drawable(name, families), fontsize=10)
        axes[0].set_ylabel("reference (utterances)")
        figure.colorbar(
            image,
            ax=axes,
            shrink=0.8,
            aspect=25,
            fraction=(0.05 if detailed else 0.025) / len(confusions),
            format=lambda share, _: f"{share:.0%}",
            label=f"share of the reference{'' if detailed else ' (the numbers, in %)'}",
        )
        figure.savefig(file, dpi=150, bbox_inches="tight")


def _draw_matrix(axes: Axes, confusion: np.ndarray, names: Sequence[str], detailed: bool) -> AxesImage:
    support = confusion.sum(axis=1)
    shares = confusion / np.maximum(support, 1)[:, None]
    _write_cells(axes, confusion, shares, detailed)
    positions, small = range(len(names)), None if detailed else 8
    axes.set_xticks(positions, names, rotation=40, ha="right", rotation_mode="anchor", fontsize=small)
    axes.set_yticks(positions, [f"{name} ({n})" for name, n in zip(names, support, strict=True)], fontsize=small)
    axes.set_xlabel("prediction")
    return axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)


def _label_lines(label: str) -> str:
    """Return a label in at most `LINES` lines, cut where it is longer."""
    lines = textwrap.wrap(label, WRAP) or [label]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][: WRAP - 1]}…"]
    return "\n".join(lines)


def _write_cells(axes: Axes, confusion: np.ndarray, shares: np.ndarray, detailed: bool) -> None:
    for row, column in np.ndindex(*confusion.shape):
        count, share = confusion[row, column], shares[row, column]
        text = f"{share:.0%}\n{count}" if detailed else f"{100 * share:.0f}"
        if not count:
            text = "0" if detailed else ""
        color = "white" if share > 0.5 else "black" if count else "0.6"
        axes.text(column, row, text, ha="center", va="center", fontsize=8 if detailed else 7, color=color)
