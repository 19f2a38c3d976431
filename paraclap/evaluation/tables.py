"""Results of the tasks as rows, for the terminal and for the model card."""

from collections.abc import Collection, Mapping


def result_rows(tasks: Mapping[str, dict], trained_on: Collection[str] | None = None) -> list[dict[str, str | int]]:
    """Return a row for each task: UAR, its interval, chance, and the paper's best result.

    Args:
        tasks: Task -> its entry in results.json.
        trained_on: The model's training corpora, to mark tasks on them; None if unknown.
    """
    rows = []
    for task, result in tasks.items():
        calibrated = result.get("calibrated")
        paper, interval, most = result["paper_uar"], result["intervals"], result["most_predicted"]
        best = max(paper, key=paper.get) if paper else None
        heard = {} if trained_on is None else {"in training": "yes" if result["corpus"] in trained_on else "no"}
        rows.append(
            {
                "task": f"{task}, calibrated by {calibrated}" if calibrated else task,
                "classes": len(result["prompts"]),
                "utterances": result["n"],
                **heard,
                "UAR": f"{result['uar']:.3f}",
                "95 % interval": "[{:.3f}, {:.3f}]".format(*interval["uar"]) if interval else "",
                "chance": f"{result['chance']:.3f}",
                "paper": f"{paper[best]:.3f} ({best})" if best else "",
                "accuracy": f"{result['accuracy']:.3f}",
                "macro-F1": f"{result['macro_f1']:.3f}",
                "most predicted": f"{most['label']} {most['share']:.0%}",
            }
        )
    return rows


def template_rows(tasks: Mapping[str, dict]) -> list[dict[str, str]]:
    """Return a row for each prompt template, or several averaged ones: the UAR of each task measured with it.

    Args:
        tasks: Task -> its entry in results.json; without `uar_per_template` it has no column.
    """
    compared = {task: result for task, result in tasks.items() if result.get("uar_per_template")}
    found: dict[str, dict[str, str]] = {}
    for task, result in compared.items():
        for entry in [{"templates": result["templates"], "uar": result["uar"]}, *result["uar_per_template"]]:
            name = " + ".join(f'"{template}"' for template in entry["templates"])
            found.setdefault(name, dict.fromkeys(compared, ""))[task] = f"{entry['uar']:.3f}"
    return [{"template": name, **uars} for name, uars in found.items()]


def wording_rows(tasks: Mapping[str, dict]) -> list[dict[str, str]]:
    """Return a row for each emotion task whose wording was measured.

    Args:
        tasks: Task -> its entry in results.json; without `wording` it has no row.
    """
    rows = []
    for task, result in tasks.items():
        if not (wording := result.get("wording")):
            continue
        paraphrases, held_out = wording["paraphrases"], wording["held_out"]
        rows.append(
            {
                "task": task,
                "UAR": f"{result['uar']:.3f}",
                "ten paraphrases": f"{paraphrases['mean']:.3f} ± {paraphrases['standard_deviation']:.3f}",
                "held-out words": f"{held_out['mean']:.3f}" if held_out else "",
                "share": f"{held_out['share']:.0%}" if held_out else "",
            }
        )
    return rows
