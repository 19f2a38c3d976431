"""A look at a query corpus on one page: label counts, duration and pitch with their bins' edges, example captions."""

from pathlib import Path

import pandas as pd

from .binning import UNITS, Bins
from .queries import TemplateIndex
from .query_columns import query_columns

EXAMPLES = 8


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
    grid = figure.add_gridspec(3, 2, height_ratios=(3, 3, 2))
    _counts(figure.add_subplot(grid[0, :]), frame)
    for column, attribute in enumerate(("duration", "pitch_mean")):
        _histogram(figure.add_subplot(grid[1, column]), frame[attribute].dropna(), attribute, bins)
    _captions(figure.add_subplot(grid[2, :]), frame, index)
    figure.suptitle(f"{len(frame):,} utterances, {frame['duration'].sum() / 3600:.2f} h")
    figure.savefig(path, dpi=100)


def _counts(axes, frame: pd.DataFrame) -> None:
    counts = pd.crosstab(frame["emotion"].fillna("no label"), frame["corpus"])
    bottom = pd.Series(0, index=counts.index)
    for corpus in counts:
        axes.bar(counts.index, counts[corpus], bottom=bottom, label=corpus)
        bottom += counts[corpus]
    axes.set(title="Utterances per label", ylabel="utterances")
    axes.legend()


def _histogram(axes, values: pd.Series, attribute: str, bins: Bins) -> None:
    axes.hist(values, bins=60)
    for edge in bins.edges.get(attribute, ()):
        axes.axvline(edge, color="black", linestyle="--")
    axes.set(title=f"{attribute}, dashed: low | mid | high", xlabel=UNITS[attribute], ylabel="utterances")


def _captions(axes, frame: pd.DataFrame, index: TemplateIndex) -> None:
    rows = frame.sample(min(EXAMPLES, len(frame)), random_state=0)
    texts, attributes = (column.to_pylist() for column in query_columns(rows, index))
    lines = []
    for file, own, of in zip(rows["file"], texts, attributes, strict=True):
        first = dict(zip(reversed(of), reversed(own), strict=True))
        caption = " and ".join(list(reversed(first.values()))[:4])
        lines.append(f"{Path(file).name}: {caption}")
    axes.axis("off")
    axes.set_title("Captions")
    # parse_math: a name with $ in it is a name
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=9, transform=axes.transAxes, wrap=True, parse_math=False)
