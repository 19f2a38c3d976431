"""Writes the measured results of the default checkpoint into README.md; `make results` runs it after the evaluations.

    python -m paraclap.evaluation.results_table checkpoints/paraclap-small README.md build/eval build/eval-calibrated

Copies results.json and the confusion matrix of RAVDESS of the first evaluation into the checkpoint's folder, the
results.json of the others under the name of their folder, and writes one table between the two marks in the README.
"""

import json
import shutil
import sys
from pathlib import Path

BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
CALIBRATED = {
    "corpus": "**transductive**: calibrated with this audio, unlabelled",
    "gender": "**transductive**: calibrated with this audio, unlabelled, of each gender as the model hears it",
    "speaker": "**transductive**: calibrated with each speaker's audio, unlabelled; speakers known",
}
CONFUSION = "ravdess_confusion.png"


def markdown_table(evaluations):
    """The tasks of several results.json as one table: protocol, ours with its interval, chance, the paper's best."""
    lines = [
        "| corpus, rows | told apart | prompt | UAR [95 % interval] | chance | paper, best variant | most predicted |",
        "|---|---|---|---|---|---|---|",
    ]
    for results in evaluations:
        lines += [_row(task, results["protocol"]["model"]) for task in results["tasks"].values()]
    protocol = evaluations[0]["protocol"]
    lines += ["", f"Utterances: {protocol['utterances']}. Intervals: {protocol['intervals']}, seed {protocol['seed']}."]
    return "\n".join(lines)


def _row(task, model):
    low, high = task["intervals"]["uar"]
    paper = max(task["paper_uar"].items(), key=lambda item: item[1], default=None)
    prompts = [texts[0] for texts in task["prompts"].values()]
    synonyms = any(label not in text for label, text in zip(task["prompts"], prompts, strict=True))
    whole = task["templates"] == ["{}"]
    notes = [task["split"]]
    notes += [CALIBRATED[task["calibrated"]]] if task["calibrated"] else []
    notes += [f"model trained without it (`{Path(model).name}`)"] if "without" in Path(model).name else []
    cells = (
        f"{task['corpus']}, {', '.join(notes)} ({task['n']})",
        f"{task['column']} ({len(task['prompts'])})",
        f"“{prompts[0] if whole else task['templates'][0]}”{' with synonyms' if synonyms and not whole else ''}",
        f"**{task['uar']:.3f}** [{low:.3f}, {high:.3f}]",
        f"{task['chance']:.3f}",
        f"{paper[1]:.3f} ({paper[0]})" if paper else "",
        f"{task['most_predicted']['label']} {task['most_predicted']['share']:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def with_table(text, table):
    """The text with the table between its marks.

    Raises:
        ValueError: If a mark is missing.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"The file has no marks {BEGIN} and {END} to put the table between.")
    return f"{text.split(BEGIN)[0]}{BEGIN}\n{table}\n{END}{text.split(END)[1]}"


def kept_results(checkpoint, folders):
    """Where the checkpoint's folder keeps the results of each evaluation: results.json for the first."""
    return [
        Path(checkpoint) / ("results.json" if i == 0 else f"results-{Path(folder).name.removeprefix('eval-')}.json")
        for i, folder in enumerate(folders)
    ]


def main(checkpoint, readme, *folders):
    """Copies the results and rewrites the table."""
    kept = kept_results(checkpoint, folders)
    for folder, file in zip(folders, kept, strict=True):
        shutil.copyfile(Path(folder) / "results.json", file)
    shutil.copyfile(Path(folders[0]) / CONFUSION, Path(checkpoint) / CONFUSION)
    table = markdown_table([json.loads(file.read_text(encoding="utf-8")) for file in kept])
    text = Path(readme).read_text(encoding="utf-8")
    Path(readme).write_text(with_table(text, table), encoding="utf-8")
    print(table)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
