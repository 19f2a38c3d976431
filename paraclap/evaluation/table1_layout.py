"""Write the paper's Table 1 with our figures beside the paper's: Markdown, CSV and a picture."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
        chance: Task -> UAR of guessing.
        figures: (task, system) -> (UAR, lower, upper end of its 95 % interval).
        paper: Task -> variant's title -> UAR, as printed in the paper.
        missing: Task -> why it has no row.
        notes: Task -> what a reader must know, such as "in training".
    """

    systems: list[str]
    chance: dict[str, float] = field(default_factory=dict)
    figures: dict[tuple[str, str], tuple[float, float, float]] = field(default_factory=dict)
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
    """Return the table as Markdown: our systems with intervals, then the paper's figures of the same row."""
    paper = list(PAPER_COLUMNS.values())
    head = ["task", "chance", *table.systems, *(f"paper: {title}" for title in paper)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for task, chance in table.chance.items():
        cells = [f"{task}{f' ({table.notes[task]})' if task in table.notes else ''}", f"{chance:.3f}"]
        best = max(table.figures[task, system][0] for system in table.systems if (task, system) in table.figures)
        for system in table.systems:
            figure = table.figures.get((task, system))
            if figure is None:
                cells.append("")
                continue
            uar = f"**{figure[0]:.3f}**" if figure[0] == best else f"{figure[0]:.3f}"
            cells.append(f"{uar} [{figure[1]:.3f}, {figure[2]:.3f}]")
        cells += [f"{table.paper[task][title]:.3f}" if task in table.paper else "" for title in paper]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {task} has no row: {why}" for task, why in table.missing.items())]
    return "\n".join(lines).rstrip() + "\n"


def write_csv(table: Table, file: Path) -> None:
    """Write one row for each task and system: task, system, uar, lower, upper, chance; the paper's have no interval."""
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["task", "system", "uar", "lower", "upper", "chance"])
        for (task, system), (uar, low, high) in table.figures.items():
            writer.writerow([task, system, f"{uar:.4f}", f"{low:.4f}", f"{high:.4f}", f"{table.chance[task]:.4f}"])
        for task, figures in table.paper.items():
            for title, uar in figures.items():
                chance = f"{table.chance[task]:.4f}" if task in table.chance else ""
                writer.writerow([task, f"paper: {title}", f"{uar:.4f}", "", "", chance])


def draw_table(table: Table, file: Path) -> None:
    """Draw a panel for each task: ours as points with intervals, the paper's as hollow marks, chance as a line."""
    tasks = list(table.chance)
    rows = -(-len(tasks) // 2)
    names = [*table.systems, *(f"paper: {title}" for title in PAPER_COLUMNS.values())]
    figure = Figure(figsize=(11, 0.75 + rows * (0.9 + 0.24 * len(names))), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, 2, squeeze=False)).ravel()
    for axes, task in zip(grid, tasks, strict=False):
        _draw_task(axes, table, task, names)
    for axes in grid[len(tasks) :]:
        axes.set_visible(False)
    figure.suptitle("Unweighted average recall, zero-shot; bars are 95 % intervals, dashed is chance", fontsize=11)
    figure.savefig(file, dpi=130)


def _draw_task(axes: Axes, table: Table, task: str, names: Sequence[str]) -> None:
    """One panel of `draw_table`."""
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
