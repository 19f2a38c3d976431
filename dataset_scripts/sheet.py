"""A look at a query corpus on one page: label counts, duration and pitch with their bins' edges, example captions."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .binning import UNITS, Bins
from .corpora import CORPORA
from .queries import EMOTION_NOUNS, TemplateIndex, sample_queries
from .query_columns import query_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXAMPLES = 8
NO_LABEL = "no label"


def draw_sheet(frame: pd.DataFrame, bins: Bins, path: Path, index: TemplateIndex) -> None:
    """Draw the sheet.

    Args:
        frame: the rows of the corpus, with functionals and bins.
        bins: the edges.
        path: the PNG to write.
        index: the templates.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"--report needs matplotlib (pip install matplotlib): {error}") from error
    figure = Figure(figsize=(12, 9), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=(5, 5, 3))
    _counts(figure.add_subplot(grid[0, :]), frame)
    for column, attribute in enumerate(("duration", "pitch_mean")):
        _histogram(figure.add_subplot(grid[1, column]), frame[attribute].dropna(), attribute, bins)
    _captions(figure.add_subplot(grid[2, :]), frame, index)
    figure.suptitle(f"{len(frame):,} utterances, {frame['duration'].sum() / 3600:.2f} h")
    figure.savefig(path, dpi=100)


def _counts(axes: "Axes", frame: pd.DataFrame) -> None:
    counts = pd.crosstab(frame["emotion"].fillna(NO_LABEL), frame["corpus"])
    counts = counts.reindex([label for label in (*EMOTION_NOUNS, NO_LABEL) if label in counts.index])
    bottom = pd.Series(0, index=counts.index)
    for corpus in counts:
        axes.bar(counts.index, counts[corpus], bottom=bottom, label=CORPORA[corpus].title)
        bottom += counts[corpus]
    for place, number in enumerate(bottom):
        axes.annotate(f"{number:,}", (place, number), ha="center", va="bottom")
    axes.margins(y=0.12)
    axes.set(title="Utterances per label", ylabel="utterances")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside the bars, never on them


def _histogram(axes: "Axes", values: pd.Series, attribute: str, bins: Bins) -> None:
    counts, _, _ = axes.hist(values, bins=60)
    edges = bins.edges.get(attribute, ())
    for edge, side in zip(edges, ("right", "left")[: len(edges)], strict=True):
        axes.axvline(edge, color="black", linestyle="--")
        gap = " " if side == "left" else ""
        axes.annotate(f"{gap}{edge:.3g}{' ' if side == 'right' else ''}", (edge, 1.02 * max(counts)), ha=side)
    axes.margins(y=0.12)
    axes.set(title=f"{attribute}, low | mid | high", xlabel=UNITS[attribute], ylabel="utterances")


def _captions(axes: "Axes", frame: pd.DataFrame, index: TemplateIndex) -> None:
    """What training would draw for some utterances of every corpus."""
    chosen = frame.groupby("corpus", sort=False).sample(frac=1, random_state=0)
    rows = chosen.loc[chosen.groupby("corpus").cumcount().sort_values(kind="stable").index].head(EXAMPLES)
    texts, attributes = (column.to_pylist() for column in query_columns(rows, index))
    rng = np.random.default_rng(0)
    lines = []
    for file, own, of in zip(rows["file"], texts, attributes, strict=True):
        caption = sample_queries(own, of, "rand5", rng, max_queries=3) or "(no query)"
        lines.append(f"{Path(file).name}: {caption}")
    axes.axis("off")
    axes.set_title("Captions, as training draws them (at most three queries here)")
    # parse_math: a name with $ in it is a name
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=9, transform=axes.transAxes, wrap=True, parse_math=False)
