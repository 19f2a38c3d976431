"""Write what seeds and experiments of the default recipe gave into its log; `make experiment` and `make seed` run it.

    python -m paraclap.evaluation.runs_table build/runs docs/runs.csv checkpoints/paraclap-base/README.md

Reads every `RECIPE/seed-N/eval-MODEL[-calibrated]/results.json` below the first folder. MODEL is `release`, or
`without-CORPUS` for the twin trained without a corpus. Their rows replace those of the same name in the CSV, from which
two tables are written between the marks of the log: the seeds of the released recipe, and the experiments.
"""

import argparse
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dataset_scripts.extras import program_extra
from dataset_scripts.tables import markdown_table

from .results_table import with_table

if TYPE_CHECKING:
    import pandas as pd

BEGIN = "<!-- runs: written by `make experiment` and `make seed` -->"
RECIPE = "paraclap-base"
EXPERIMENTS = Path("configs/experiments")
KEY = ["recipe", "seed", "model", "task", "calibrated"]
PLACE = re.compile(r"([^/]+)/seed-(\d+)/eval-(release|without-\w+?)(-calibrated)?/results\.json")
# Column of the experiments' table -> the twin, and the task it is tested with.
TWINS = {
    "without EMO-DB": ("without-emodb", "emodb"),
    "without CREMA-D": ("without-crema_d", "crema_d"),
}


def measured(folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each task of each evaluation below a folder.

    Raises:
        ValueError: If there is none, or one lies where nothing says of which run it is.
    """
    files = sorted(folder.glob("**/results.json"))
    if not files:
        raise ValueError(f"{folder} holds no results.json; run `make experiment` or `make seed`, which write them.")
    for file in files:
        place = PLACE.fullmatch(file.relative_to(folder).as_posix())
        if place is None:
            raise ValueError(
                f"{file}: expected RECIPE/seed-N/eval-MODEL[-calibrated]/results.json below {folder}, MODEL being "
                "release or without-CORPUS. Move it elsewhere."
            )
        recipe, seed, model, calibrated = place.groups()
        results = json.loads(file.read_text(encoding="utf-8"))
        for task, result in results["tasks"].items():
            yield {
                "recipe": recipe,
                "seed": int(seed),
                "model": model,
                "task": task,
                "calibrated": bool(calibrated),
                "n": result["n"],
                "uar": result["uar"],
                "most_predicted": result["most_predicted"]["label"],
                "share": result["most_predicted"]["share"],
                "weights_sha256": results["protocol"]["weights_sha256"],
            }


def merged(*tables: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows of all tables in order; those of a later one replace those with the same `KEY`."""
    import pandas as pd

    rows = pd.concat(tables, ignore_index=True).drop_duplicates(KEY, keep="last")
    return rows.sort_values(KEY, ignore_index=True)


def seeds_markdown(runs: "pd.DataFrame") -> str:
    """Return the seeds of the released recipe side by side, with their spread and, on RAVDESS, the largest class."""
    runs = runs[runs["recipe"] == RECIPE]
    seeds, rows = sorted(runs["seed"].unique()), []
    for (model, task, calibrated), group in runs.groupby(["model", "task", "calibrated"]):
        by_seed = group.set_index("seed").reindex(seeds)
        rows.append(_seeds_row(_title(model, task, calibrated), by_seed["uar"], "{:.3f}"))
        if (task, calibrated) == ("ravdess", False):
            rows.append(_seeds_row("the same, share of the most predicted class", by_seed["share"], "{:.1%}"))
    return markdown_table(rows)


def _title(model: str, task: str, calibrated: bool) -> str:
    rows = "all" if task == "ravdess" or model != "release" else "test speakers"
    twin = "" if model == "release" else f", by the twin {model.replace('-', ' ')}"
    return f"{task.removesuffix('-test')}, {rows}{twin}{', calibrated' if calibrated else ''}"


def _seeds_row(title: str, values: "pd.Series", figure: str) -> dict[str, str]:
    seeds = {f"seed {seed}": "" if math.isnan(value) else figure.format(value) for seed, value in values.items()}
    spread = "" if values.count() < 2 else f" ± {figure.format(values.std())}"
    return {"corpus, rows": title, **seeds, "mean ± deviation": f"{figure.format(values.mean())}{spread}"}


def experiments_markdown(runs: "pd.DataFrame", folder: Path = EXPERIMENTS) -> str:
    """Return a row for each recipe: what changed, and the mean UAR of its seeds' twins.

    Args:
        runs: The rows of the CSV.
        folder: Where each experiment's YAML begins with a comment that says what it changes and expects.
    """
    rows = []
    for recipe in sorted(runs["recipe"].unique(), key=lambda name: (name != RECIPE, name)):
        of_recipe = runs[(runs["recipe"] == recipe) & (runs["model"] != "release") & ~runs["calibrated"]]
        means = of_recipe.groupby(["model", "task"])["uar"].mean()
        expected = "the released recipe" if recipe == RECIPE else expectation(folder / f"{recipe}.yaml")
        rows.append(
            {
                "recipe": recipe,
                "change, and what it was to do": expected,
                "seeds": ", ".join(map(str, sorted(of_recipe["seed"].unique()))),
                **{column: f"{means[twin]:.3f}" if twin in means else "" for column, twin in TWINS.items()},
            }
        )
    return markdown_table(rows)


def expectation(file: Path) -> str:
    """Return the comment at the head of an experiment's YAML as one line.

    Raises:
        ValueError: If there is none, or the file changes nothing.
    """
    text = file.read_text(encoding="utf-8")
    comment = re.match(r"(?:#.*\n)+", text)
    if comment is None or not yaml.safe_load(text):
        raise ValueError(f"{file}: expected a comment that says what is changed and expected, then what is changed.")
    return " ".join(line.removeprefix("#").strip() for line in comment[0].splitlines())


def tables(runs: "pd.DataFrame") -> str:
    """Return both tables, as they stand in the log."""
    return f"{seeds_markdown(runs)}\n\n{experiments_markdown(runs)}"


def main(folder: Path, table: Path, log: Path) -> None:
    """Merge the evaluations below the folder into the CSV, and write both tables."""
    with program_extra("evaluate"):
        import pandas as pd
    kept = [pd.read_csv(table)] if table.is_file() else []
    runs = merged(*kept, pd.DataFrame(measured(folder)))
    runs.to_csv(table, index=False)
    text = tables(runs)
    log.write_text(with_table(log.read_text(encoding="utf-8"), text, BEGIN), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, help_text in {
        "folder": "folder of the runs, RECIPE/seed-N/eval-MODEL",
        "table": "CSV that keeps the results",
        "log": "Markdown file of the tables",
    }.items():
        parser.add_argument(name, type=Path, help=help_text)
    main(**vars(parser.parse_args()))
