"""Write Table 1 with our results and the paper's: Markdown, CSV and a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

from dataset_scripts.tables import markdown_table

PAPER = {
    "IEMOCAP": "iemocap",
    "RAVDESS": "ravdess",
    "CREMA-D": "crema_d",
    "TESS": "tess",
    "FAU-Aibo-2": "fau_aibo-2",
    "FAU-Aibo-5": "fau_aibo-5",
    "ALC": "alc",
    "SLD": "sld",
}
PAPER_COLUMNS = {
    "clap_cnn14_bert": "CLAP",
    "pengi_htsat_gpt2": "Pengi",
    "paraclap_noemo_rand5": "no emo",
    "paraclap_onlyemo": "only emo",
    "paraclap_rand1": "rand 1",
    "paraclap_rand5": "rand 5",
}


@dataclass
class Table:
    """Figures of several systems on several tasks.

    Attributes:
        systems: Column titles, in order.
        chance: Task -> chance-level UAR.
        figures: (task, system) -> (UAR, lower, upper end of its 95 % interval).
        most_predicted: (task, system) -> (label predicted most often, its share of the predictions).
        paper: Task -> variant's title -> UAR, as printed in the paper.
        missing: Task -> reason why it has no row.
        notes: Task -> remark, such as "in training".
    """

    systems: list[str]
    chance: dict[str, float] = field(default_factory=dict)
    figures: dict[tuple[str, str], tuple[float, float, float]] = field(default_factory=dict)
    most_predicted: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def read_paper(file: Path) -> dict[str, dict[str, float]]:
    """Return the paper's Table 1: task -> title of the column -> UAR."""
    with open(file, encoding="utf-8", newline="") as lines:
        return {
            PAPER[row["corpus"]]: {title: float(row[name]) for name, title in PAPER_COLUMNS.items()}
            for row in csv.DictReader(lines)
        }


def markdown_of(table: Table) -> str:
    """Return the table as Markdown: our systems with intervals, the paper's results, and the most predicted labels."""
    rows, most = [], []
    for task, chance in table.chance.items():
        known = {system: table.figures[task, system] for system in table.systems if (task, system) in table.figures}
        best = max(uar for uar, _, _ in known.values())
        ours = {name: _cell(*known[name], known[name][0] == best) if name in known else "" for name in table.systems}
        paper = table.paper.get(task, {})
        name = f"{task}{f' ({table.notes[task]})' if task in table.notes else ''}"
        shares = {system: table.most_predicted.get((task, system)) for system in table.systems}
        most.append({"task": name} | {n: "" if m is None else f"{m[0]} {m[1]:.3f}" for n, m in shares.items()})
        rows.append(
            {
                "task": name,
                "chance": f"{chance:.3f}",
                **ours,
                **{f"paper: {name}": f"{paper[name]:.3f}" if paper else "" for name in PAPER_COLUMNS.values()},
            }
        )
    missing = "\n".join(f"- {task} has no row: {why}" for task, why in table.missing.items())
    parts = (markdown_table(rows), "Most predicted label, and its share:", markdown_table(most), missing)
    return "\n\n".join(parts).rstrip() + "\n"


def _cell(uar: float, low: float, high: float, is_best: bool) -> str:
    return f"{f'**{uar:.3f}**' if is_best else f'{uar:.3f}'} [{low:.3f}, {high:.3f}]"


def figure_rows(table: Table) -> list[dict[str, str | float | None]]:
    """Return a row per task and system: UAR, interval, chance and most predicted label; the paper states UARs only."""
    ours = [
        (task, system, *figure, *table.most_predicted.get((task, system), (None, None)))
        for (task, system), figure in table.figures.items()
    ]
    paper = [
        (task, f"paper: {title}", uar, None, None, None, None)
        for task, figures in table.paper.items()
        for title, uar in figures.items()
    ]
    names = ("task", "system", "uar", "lower", "upper", "most_predicted", "share")
    return [{**dict(zip(names, row, strict=True)), "chance": table.chance.get(row[0])} for row in (*ours, *paper)]


def draw_table(table: Table, file: Path) -> None:
    """Draw a panel for each task: ours as points with intervals, the paper's as hollow marks, chance as a line."""
    from matplotlib.figure import Figure

    tasks = list(table.chance)
    rows = -(-len(tasks) // 2)
    names = [*table.systems, *(f"paper: {title}" for title in PAPER_COLUMNS.values())]
    figure = Figure(figsize=(11, 0.75 + rows * (0.9 + 0.24 * len(names))), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, 2, squeeze=False)).ravel()
    for axes, task in zip(grid[: len(tasks)], tasks, strict=True):
        _draw_task(axes, table, task, names)
    for axes in grid[len(tasks) :]:
        axes.set_visible(False)
    figure.suptitle("Unweighted average recall, zero-shot; bars are 95 % intervals, dashed is chance", fontsize=11)
    figure.savefig(file, dpi=130)


def _draw_task(axes: Axes, table: Table, task: str, names: Sequence[str]) -> None:
    """Draw one panel of `draw_table`."""
    known: Mapping[str, float] = table.paper.get(task, {})
    shown = [
        name
        for name in names
        if (task, name) in table.figures or (name.startswith("paper: ") and name.removeprefix("paper: ") in known)
    ]
    for y, name in enumerate(shown):
        if (task, name) in table.figures:
            uar, low, high = table.figures[task, name]
            axes.errorbar(uar, y, xerr=[[uar - low], [high - uar]], fmt="o", color="tab:blue", capsize=3)
        else:
            uar = high = known[name.removeprefix("paper: ")]
            axes.plot(uar, y, "D", mfc="white", mec="tab:orange")
        axes.annotate(f"{uar:.2f}", (high, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.axvline(table.chance[task], color="0.5", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(shown)), shown, fontsize=8)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, 1.05)
    axes.set_title(f"{task}{f' ({table.notes[task]})' if task in table.notes else ''}", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
