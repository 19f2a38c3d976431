"""The picture of an evaluation: a confusion matrix that can be read at a glance and in detail."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_confusion(confusion: np.ndarray, labels: list[str], title: str, file: Path) -> None:
    """Draws a confusion matrix as PNG: colours are shares of a row (the diagonal is the recall), numbers are both.

    Args:
        confusion: (classes, classes) counts; rows are references, columns predictions.
        labels: Names of the classes.
        title: One or more lines above it.
        file: The PNG to write.
    """
    confusion = np.asarray(confusion)
    support = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(support, 1)
    size = 2.6 + 0.78 * len(labels)
    figure = Figure(figsize=(size + 1.4, size), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*confusion.shape):
        count = confusion[row, column]
        text = f"{shares[row, column]:.0%}\n{count}" if count else "0"
        color = "white" if shares[row, column] > 0.5 else "black" if count else "0.6"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    positions = range(len(labels))
    axes.set_xticks(positions, labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(positions, [f"{label} ({n})" for label, n in zip(labels, support[:, 0], strict=True)])
    axes.set(xlabel="prediction", ylabel="reference (utterances)")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8, format=lambda share, _: f"{share:.0%}", label="share of the reference")
    figure.savefig(file, dpi=150)
