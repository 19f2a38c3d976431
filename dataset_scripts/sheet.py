"""One-page overview of a query corpus: counts per label, every functional with its bins, and example captions."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .binning import UNITS, Bins
from .corpora import CORPORA
from .egemaps import FUNCTIONALS
from .queries import EMOTION_NOUNS, TemplateIndex
from .query_columns import query_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXAMPLES = 8
QUERIES = 3  # of a caption
NO_LABEL = "no label"
TITLES = {
    "pitch_mean": "mean pitch",
    "pitch_std": "pitch variation",
    "intensity": "equivalent sound level",
    "duration": "duration",
    "jitter": "jitter",
    "shimmer": "shimmer",
}
OUTLIERS = 0.005  # share of the values at either end that is not drawn, so that the rest can be seen


def draw_sheet(frame: pd.DataFrame, bins: Bins, path: Path, index: TemplateIndex) -> None:
    """Draw the sheet.

    Args:
        frame: the rows of the corpus, with functionals and bins.
        bins: the edges.
        path: the PNG to write.
        index: the templates.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"--report needs matplotlib (pip install matplotlib): {error}") from error
    captions = _captions(frame, index)
    figure = Figure(figsize=(12, 10 + 0.25 * len(captions)), layout="constrained")
    grid = figure.add_gridspec(4, 3, height_ratios=(4, 3, 3, 0.3 + 0.25 * len(captions)), hspace=0.06)
    _draw_counts(figure.add_subplot(grid[0, :]), frame)
    for place, attribute in enumerate(FUNCTIONALS):
        axes = figure.add_subplot(grid[1 + place // 3, place % 3])
        _draw_histogram(axes, frame[attribute], attribute, bins)
    _draw_captions(figure.add_subplot(grid[3, :]), captions)
    figure.suptitle(f"{len(frame):,} utterances, {frame['duration'].sum() / 3600:.2f} h", fontsize=13)
    figure.savefig(path, dpi=100)


def _draw_counts(axes: "Axes", frame: pd.DataFrame) -> None:
    from matplotlib import colormaps

    counts = pd.crosstab(frame["emotion"].fillna(NO_LABEL), frame["corpus"])
    counts = counts.reindex([label for label in (*EMOTION_NOUNS, NO_LABEL) if label in counts.index])
    bottom = pd.Series(0, index=counts.index)
    colors = cycle((*colormaps["tab10"].colors, *colormaps["Set3"].colors))
    for corpus, color in zip(counts, colors, strict=False):
        axes.bar(counts.index, counts[corpus], bottom=bottom, label=CORPORA[corpus].title, width=0.7, color=color)
        bottom += counts[corpus]
    for place, number in enumerate(bottom):
        axes.annotate(f"{number:,}", (place, number), ha="center", va="bottom")
    axes.margins(y=0.12)
    axes.set_xlim(-0.6, max(len(counts), 4) - 0.4)  # a bar or two do not fill the page
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("utterances")
    axes.set_title("Utterances per emotion", loc="left")
    # above the bars, never on them
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, fontsize=9, columnspacing=1.2)


def _draw_histogram(axes: "Axes", column: pd.Series, attribute: str, bins: Bins) -> None:
    """Draw the values of a functional with the edges of its bins, and say how many values are not shown."""
    values = column.dropna().astype("float64")
    edges = bins.edges.get(attribute, ())
    title = f": low < {edges[0]:.3g}, high ≥ {edges[1]:.3g}" if edges else ""
    axes.set_title(f"{TITLES[attribute]}{title}", loc="left", fontsize=10)
    notes = [f"{len(column) - len(values):,} have none"] if len(values) < len(column) else []
    if len(values):
        tail = OUTLIERS if len(values) > 2 / OUTLIERS else 0
        lowest, highest = np.quantile(values, [tail, 1 - tail])
        lowest, highest = min(lowest, *edges, values.max()), max(highest, *edges, values.min())
        number = int(np.clip(2 * np.sqrt(len(values)), 10, 50))
        axes.hist(values, bins=number, range=(lowest, highest) if lowest < highest else None)
        if beyond := int(((values < lowest) | (values > highest)).sum()):
            notes.append(f"{beyond:,} beyond the axis")
        axes.yaxis.get_major_locator().set_params(integer=True)
    else:
        axes.set(xticks=[], yticks=[])
    for edge in edges if len(values) else ():
        axes.axvline(edge, color="black", linestyle="--", linewidth=1)
    more = f" ({', '.join(notes)})" if notes else ""
    axes.set_xlabel(f"{UNITS[attribute]}{more}")


def _captions(frame: pd.DataFrame, index: TemplateIndex) -> list[str]:
    """Return a caption for some utterances of every corpus, no query in two of them as long as there are others."""
    chosen = frame.groupby("corpus", sort=False).sample(frac=1, random_state=0)
    rows = chosen.loc[chosen.groupby("corpus").cumcount().sort_values(kind="stable").index].head(EXAMPLES)
    texts, attributes = (column.to_pylist() for column in query_columns(rows, index))
    rng = np.random.default_rng(0)
    used: set[str] = set()
    lines = []
    for corpus, own, of in zip(rows["corpus"], texts, attributes, strict=True):
        drawn = _draw_queries(own, of, used, rng)
        used |= set(drawn)
        lines.append(f"{CORPORA[corpus].title}: {' and '.join(drawn) or '(no query)'}")
    return lines


def _draw_queries(
    queries: Sequence[str], attributes: Sequence[str], used: set[str], rng: np.random.Generator
) -> list[str]:
    """Draw at most `QUERIES` queries of different attributes, those that were not used before first."""
    order = sorted(rng.permutation(len(queries)), key=lambda place: queries[place] in used)
    drawn: dict[str, str] = {}
    for place in order:
        about = set(attributes[place].split("+"))
        if len(drawn) < QUERIES and not about & {name for names in drawn for name in names.split("+")}:
            drawn[attributes[place]] = queries[place]
    return list(drawn.values())


def _draw_captions(axes: "Axes", captions: Sequence[str]) -> None:
    axes.axis("off")
    title = f"Examples of captions: up to {QUERIES} queries of different attributes; training draws from all"
    axes.set_title(title, loc="left")
    # parse_math: a title with $ in it is a title
    axes.text(0, 1, "\n".join(captions), va="top", fontsize=9, transform=axes.transAxes, parse_math=False)
