"""Write the measured results of the default model into the documentation; `make results` runs it.

    python -m paraclap.evaluation.results_table checkpoints/paraclap-base docs/evaluating.md README.md build/eval …

Copies results.json and the confusion matrix of RAVDESS of the first evaluation into the checkpoint's folder, the
results.json of the others under the names of their folders, and writes the whole table between the two marks of the
page, and the rows of `FIRST_SCREEN` between those of the README.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_scripts.tables import markdown_table

BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
CALIBRATED = {
    "corpus": "**transductive**: calibrated with this audio, unlabelled",
    "gender": "**transductive**: calibrated with this audio, unlabelled, women and men apart as the model hears them",
    "speaker": "**transductive**: calibrated with each speaker's audio, unlabelled; speakers known",
}
CONFUSION = "ravdess_confusion.png"
# Task -> (title in the README, results file): results on unseen voices and corpora.
FIRST_SCREEN = {
    "ravdess": ("RAVDESS, English, 8 emotions", "results.json"),
    "ravdess, calibrated": ("RAVDESS, calibrated with its own unlabelled audio", "results-calibrated.json"),
    "crema_d": ("CREMA-D, English, 6 emotions, by the twin trained without it", "results-without-crema_d.json"),
    "emodb": ("EMO-DB, German, 7 emotions, by the twin trained without it", "results-without-emodb.json"),
}


def results_markdown(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """Return the tasks of several results.json as one table, with the wordings below it."""
    rows = [
        _row(name, task, results["protocol"]["model"])
        for results in evaluations
        for name, task in results["tasks"].items()
    ]
    protocol = evaluations[0]["protocol"]
    lines = [
        markdown_table(rows),
        "",
        f"Utterances: {protocol['utterances']}. Intervals: {protocol['intervals']}, seed {protocol['seed']}.",
    ]
    worded = [
        (name, task)
        for results in evaluations
        for name, task in results["tasks"].items()
        if task.get("wording") and not task["calibrated"]
    ]
    if worded:
        lines += ["", markdown_table([_wording_row(*one) for one in worded])]
    return "\n".join(lines)


def _row(name: str, task: Mapping[str, Any], model: str) -> dict[str, str]:
    low, high = task["intervals"]["uar"]
    paper = max(task["paper_uar"].items(), key=lambda item: item[1], default=None)
    prompts = [texts[0] for texts in task["prompts"].values()]
    whole = task["templates"] == ["{}"]
    notes = [task["split"]]
    notes += [CALIBRATED[task["calibrated"]]] if task["calibrated"] else []
    notes += ["by the twin trained without it"] if "without" in model else []
    prompt = prompts[0] if whole else task["templates"][0]
    return {
        "corpus, rows": f"{task['corpus']}, {', '.join(notes)} ({task['n']})",
        "told apart": f"{task['column']} ({len(task['prompts'])})",
        "prompt": f"“{prompt}”{' with synonyms' if name.endswith('-synonyms') else ''}",
        "UAR [95 % interval]": f"**{task['uar']:.3f}** [{low:.3f}, {high:.3f}]",
        "chance": f"{task['chance']:.3f}",
        "paper, best variant": f"{paper[1]:.3f} ({paper[0]})" if paper else "",
        "most predicted": f"{task['most_predicted']['label']} {task['most_predicted']['share']:.0%}",
    }


def _wording_row(name: str, task: Mapping[str, Any]) -> dict[str, str]:
    paraphrases, held_out = task["wording"]["paraphrases"], task["wording"]["held_out"]
    lowest = min(paraphrases["uars"].values())
    spread = f"{paraphrases['mean']:.3f} ± {paraphrases['standard_deviation']:.3f} ({lowest:.3f})"
    words = ("", "")
    if held_out:
        each = ", ".join(f"{uar:.3f}" for uar in held_out["uars"])
        words = (f"{held_out['mean']:.3f} ({each})", f"{held_out['share']:.0%}")
    return {
        "task": name,
        "UAR": f"{task['uar']:.3f}",
        "ten paraphrases, mean ± deviation (lowest)": spread,
        "held-out words, mean of sets (each)": words[0],
        "share": words[1],
    }


def first_screen(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the README's short table.

    Args:
        results: File name in the checkpoint's folder -> its content.
    """
    rows = []
    for name, (title, file) in FIRST_SCREEN.items():
        task = results[file]["tasks"][name.split(",")[0]]
        paper = f"{max(task['paper_uar'].values()):.3f}" if task["paper_uar"] else ""
        rows.append(
            {
                "never heard in training": title,
                "UAR": f"**{task['uar']:.3f}**",
                "the paper's best": paper,
                "chance": f"{task['chance']:.3f}",
            }
        )
    return markdown_table(rows)


def with_table(text: str, table: str, begin: str = BEGIN) -> str:
    """Return the text with the table between its marks.

    Raises:
        ValueError: If a mark is missing.
    """
    if begin not in text or END not in text:
        raise ValueError(f"The text lacks the marks {begin} and {END}, between which the table is written.")
    return f"{text.split(begin)[0]}{begin}\n{table}\n{END}{text.split(END)[1]}"


def read_kept(checkpoint: Path) -> dict[str, dict[str, Any]]:
    """Return the results in the checkpoint's folder by file name, results.json first."""
    files = sorted(Path(checkpoint).glob("results*.json"), key=lambda file: (file.name != "results.json", file.name))
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def main(checkpoint: str, page: str, readme: str, *folders: str) -> None:
    """Copy the results and write both tables."""
    for i, folder in enumerate(map(Path, folders)):
        name = "results.json" if i == 0 else f"results-{folder.name.removeprefix('eval-')}.json"
        shutil.copyfile(folder / "results.json", Path(checkpoint) / name)
    shutil.copyfile(Path(folders[0]) / CONFUSION, Path(checkpoint) / CONFUSION)
    results = read_kept(Path(checkpoint))
    for file, table in ((page, results_markdown(list(results.values()))), (readme, first_screen(results))):
        text = Path(file).read_text(encoding="utf-8")
        Path(file).write_text(with_table(text, table), encoding="utf-8")
        print(f"{table}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in {
        "checkpoint": "folder of the checkpoint, which keeps the results",
        "page": "Markdown file of the whole table",
        "readme": "Markdown file of the short table",
    }.items():
        parser.add_argument(name, help=text)
    parser.add_argument("folders", nargs="+", help="evaluations, the plain one first")
    args = parser.parse_args()
    main(args.checkpoint, args.page, args.readme, *args.folders)
