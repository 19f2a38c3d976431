"""Writes the measured results of the default checkpoint into README.md; `make results` runs it after the evaluation.

    python results_table.py build/eval checkpoints/paraclap-small README.md

Copies results.json and the confusion matrix of RAVDESS from the evaluation into the checkpoint's folder, and the table
between the two marks in the README.
"""

import json
import shutil
import sys
from pathlib import Path

BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
FILES = ("results.json", "ravdess_confusion.png")


def markdown_table(results):
    """The tasks of a results.json as a table: corpus, protocol, ours with its interval, chance, the paper's best."""
    lines = [
        "| corpus, rows | told apart | prompt | UAR [95 % interval] | chance | paper, best variant |",
        "|---|---|---|---|---|---|",
    ]
    for task in results["tasks"].values():
        low, high = task["intervals"]["uar"]
        paper = max(task["paper_uar"].items(), key=lambda item: item[1], default=None)
        prompt = task["templates"][0] if task["templates"] != ["{}"] else next(iter(task["prompts"].values()))[0]
        cells = (
            f"{task['corpus']}, {task['split']} ({task['n']})",
            f"{task['column']} ({len(task['prompts'])})",
            f"“{prompt}”",
            f"**{task['uar']:.3f}** [{low:.3f}, {high:.3f}]",
            f"{task['chance']:.3f}",
            f"{paper[1]:.3f} ({paper[0]})" if paper else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    protocol = results["protocol"]
    lines += ["", f"Utterances: {protocol['utterances']}. Intervals: {protocol['intervals']}, seed {protocol['seed']}."]
    return "\n".join(lines)


def with_table(text, table):
    """The text with the table between its marks.

    Raises:
        ValueError: If a mark is missing.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"The file has no marks {BEGIN} and {END} to put the table between.")
    return f"{text.split(BEGIN)[0]}{BEGIN}\n{table}\n{END}{text.split(END)[1]}"


def main(evaluation, checkpoint, readme):
    """Copies the results and rewrites the table."""
    for name in FILES:
        shutil.copyfile(Path(evaluation) / name, Path(checkpoint) / name)
    results = json.loads((Path(checkpoint) / "results.json").read_text(encoding="utf-8"))
    text = Path(readme).read_text(encoding="utf-8")
    Path(readme).write_text(with_table(text, markdown_table(results)), encoding="utf-8")
    print(markdown_table(results))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
