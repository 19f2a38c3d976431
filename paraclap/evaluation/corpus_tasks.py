"""Run the zero-shot tasks of a corpus, whose utterances are embedded once for all tasks."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dataset_scripts.binning import Bins
from dataset_scripts.catalogue import remarks_of
from dataset_scripts.corpora import CORPORA, TASKS, scan_corpus
from dataset_scripts.egemaps import extract_functionals
from dataset_scripts.tables import write_csv
from dataset_scripts.tasks import Task
from modeling_paraclap.zero_shot_paraclap import parse_labels, parse_templates, prompts_of

from .calibrations import VOICES, fit_calibration
from .embedding import predict
from .measures import evaluate_task, uar_per_group
from .plots import draw_confusion
from .pooled import POOLED, POOLED_TASKS, pool
from .systems import System
from .wording import measure_wording

TASK_TEMPLATE = re.compile(r"(?P<task>\w[\w.-]*)=(?P<template>.+)", re.DOTALL)


class TaskError(ValueError):
    """A task that cannot run with the given corpora and options."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of an evaluation.

    Attributes:
        output_dir: Folder for pictures and predictions.
        templates: Prompt templates in place of the system's own, averaged; None for its own.
        templates_by_task: Task -> prompt templates in place of these and of the task's own.
        paper_prompts: Whether the paper's tasks use the prompts of the authors' evaluation.
        compare_templates: Further templates to measure on the same embeddings.
        wording: Whether to measure paraphrases and held-out words, for emotion tasks.
        calibrate: `"corpus"`, `"gender"`, `"speaker"`, or None.
        batch_size: Utterances per forward pass.
        max_length_s: Seconds to keep of a longer utterance; None for all.
        limit: Utterances drawn at random from each corpus; None for all.
        num_proc: Processes for openSMILE.
        n_resamples: Number of bootstrap resamples; 0 disables intervals.
        seed: Seed of the bootstrap and of `limit`.
    """

    output_dir: Path
    templates: tuple[str, ...] | None = None
    templates_by_task: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    paper_prompts: bool = False
    compare_templates: tuple[str, ...] = ()
    wording: bool = False
    calibrate: str | None = None
    batch_size: int = 8
    max_length_s: float | None = None
    limit: int | None = None
    num_proc: int = 1
    n_resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass
class HeardCorpus:
    """The utterances of a corpus with their embeddings.

    Attributes:
        name: Name of the corpus.
        frame: A row for each usable utterance, with functionals and bins where a task needs them.
        embeds: (rows, dim), of unit length.
        left_out: Excluded files: corpus, file, reason.
        n_unusable: Number of excluded files that have labels but unusable audio.
    """

    name: str
    frame: pd.DataFrame
    embeds: torch.Tensor
    left_out: pd.DataFrame
    n_unusable: int


def select_tasks(
    corpora: Sequence[str], names: Sequence[str] | None, all_rows: bool = False, calibrate: str | None = None
) -> list[Task]:
    """Return the tasks to run: all tasks of the corpora, or the named ones; with `all_rows`, on all splits.

    Raises:
        TaskError: If a task is unknown, its corpus was not given, a corpus has no task, or the calibration removes
            the attribute of a task.
    """
    if names is None:
        tasks = [task for task in TASKS.values() if task.corpus in corpora]
    else:
        known = TASKS | POOLED_TASKS
        unknown = [name for name in names if name not in known]
        if unknown:
            raise TaskError(f"Unknown task {unknown[0]!r}: expected one of {', '.join(known)}.")
        tasks = [known[name] for name in names]
    for task in tasks:
        if task.corpus not in (*corpora, POOLED):
            raise TaskError(f"The task {task.name} needs its corpus: --corpora {task.corpus}=DIR.")
    pooled = any(task.corpus == POOLED for task in tasks)
    idle = [corpus for corpus in corpora if corpus not in {task.corpus for task in tasks} and not pooled]
    if idle:
        reasons = " ".join(f"{remark}." for remark in CORPORA[idle[0]].remarks)
        raise TaskError(
            f"There is no task to run on the corpus {idle[0]!r}. {reasons or 'Tasks are ' + ', '.join(TASKS) + '.'}"
        )
    emptied = [task.name for task in tasks if task.column == calibrate]
    if emptied:
        raise TaskError(
            f"--calibrate {calibrate} removes the attribute of {emptied[0]}: select other tasks with --tasks."
        )
    return [dataclasses.replace(task, split=None) for task in tasks] if all_rows else tasks


def split_templates(
    templates: Sequence[str], tasks: Sequence[Task]
) -> tuple[tuple[str, ...] | None, dict[str, tuple[str, ...]]]:
    """Return the templates of all tasks (None if there are none), and those that ``TASK=TEMPLATE`` gives to one.

    Raises:
        TaskError: If a template is of a task that does not run.
    """
    of_all: list[str] = []
    of_task: dict[str, tuple[str, ...]] = {}
    for template in templates:
        match = TASK_TEMPLATE.fullmatch(template)
        if match is None:
            of_all.append(template)
        elif match["task"] not in {task.name for task in tasks}:
            raise TaskError(
                f"--template {template!r} is of a task that does not run; these do: "
                f"{', '.join(task.name for task in tasks)}."
            )
        else:
            of_task[match["task"]] = (*of_task.get(match["task"], ()), match["template"])
    return tuple(of_all) or None, of_task


def load_task_bins(tasks: Sequence[Task], file: Path) -> Bins | None:
    """Return the bins that the tasks need; None if none needs any.

    Raises:
        FileNotFoundError: If they are needed but the file is missing.
        TaskError: If the file is not a file of bins.
    """
    needy = [task.name for task in tasks if task.needs_functionals]
    if not needy:
        return None
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: {', '.join(needy)} need the bin edges that the model was trained with. Give the "
            "bins.json of its query corpus with --bins, or select other tasks with --tasks."
        )
    try:
        return Bins.load(file)
    except ValueError as error:
        raise TaskError(str(error)) from error


def load_rows(corpus: str, root: Path, tasks: Sequence[Task], options: Options) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the utterances of a corpus that any of the tasks needs, and the files that `scan_corpus` left out."""
    frame, left_out = scan_corpus(corpus, root)
    needed = np.full(len(frame), False)
    for task in tasks:
        whole = task.needs_functionals or task.corpus == POOLED
        needed |= task.of_split(frame) if whole else task.references(frame).notna().to_numpy()
    frame = frame[needed]
    if options.limit is not None and options.limit < len(frame):
        frame = frame.sample(options.limit, random_state=options.seed).sort_index()
    return frame.reset_index(drop=True), left_out


def hear_corpus(
    corpus: str, root: Path, tasks: Sequence[Task], system: System, bins: Bins | None, options: Options
) -> HeardCorpus:
    """Embed the utterances that the tasks need, and compute functionals where one needs them."""
    frame, left_out = load_rows(corpus, root, tasks, options)
    named = [task.name for task in tasks if task.corpus == corpus] or ["the pooled tasks"]
    print(f"{CORPORA[corpus].title}: {len(frame)} utterances for {', '.join(named)}")
    for line in remarks_of(CORPORA[corpus]):
        print(line)
    embeds, reasons = system.embed_utterances(frame, options.batch_size, options.max_length_s)
    unusable = frame.loc[sorted(reasons), ["corpus", "file"]].assign(reason=[reasons[i] for i in sorted(reasons)])
    left_out = pd.concat([left_out, unusable])
    frame = frame.drop(index=sorted(reasons)).reset_index(drop=True)
    if any(task.needs_functionals for task in tasks):
        functionals, without = extract_functionals(frame, options.num_proc)
        frame = bins.apply(frame.join(functionals))
        left_out = pd.concat([left_out, without.assign(reason=[f"no functionals: {r}" for r in without["reason"]])])
    return HeardCorpus(corpus, frame, embeds, left_out, len(unusable))


def evaluate_corpora(
    corpora: Mapping[str, Path], tasks: Sequence[Task], system: System, bins: Bins | None, options: Options
) -> tuple[dict[str, dict], pd.DataFrame]:
    """Run all tasks, corpus by corpus and then on the pooled test speakers.

    Returns:
        The entries of results.json by task, and the excluded files (corpus, file, reason).

    Raises:
        TaskError: If no utterance is left for a task.
    """
    of_all = [task for task in tasks if task.corpus == POOLED]
    results, left_out, kept = {}, [], []
    for corpus, root in corpora.items():
        own = [task for task in tasks if task.corpus == corpus]
        heard = hear_corpus(corpus, root, [*own, *of_all], system, bins, options)
        results |= {task.name: run_on(task, heard, system, options, where=root) for task in own}
        left_out.append(heard.left_out)
        if of_all:
            kept.append(heard)
    if of_all:
        frame, embeds = pool([heard.frame for heard in kept], [heard.embeds for heard in kept])
        unusable = sum(heard.n_unusable for heard in kept)
        together = HeardCorpus(POOLED, frame, embeds, pd.DataFrame(), unusable)
        results |= {task.name: run_on(task, together, system, options, where="the test splits") for task in of_all}
    return results, pd.concat(left_out, ignore_index=True)


def run_on(task: Task, heard: HeardCorpus, system: System, options: Options, where: str | Path) -> dict:
    """Run a task on the utterances that belong to it.

    Raises:
        TaskError: If there are no such utterances.
    """
    of_split = task.of_split(heard.frame)
    rows = task.references(heard.frame).notna().to_numpy()
    if not rows.any():
        raise TaskError(f"{where} has no readable utterance with {task.column} of {', '.join(task.labels)}.")
    result = run_task(task, heard.frame[rows], heard.embeds[torch.tensor(rows)], system, options)
    counts = {"n_without_label": int(of_split.sum() - rows.sum()), "n_unreadable": heard.n_unusable}
    return result | counts


class TaskScorer:
    """Scores one task's utterances with any phrases and templates.

    Args:
        embeds: (utterances, dim), of unit length.
        system: System that embedded them.
        calibration: Calibration fitted on them; None for none.
    """

    def __init__(self, embeds: torch.Tensor, system: System, calibration: Any):
        self.embeds, self.system, self.calibration = embeds, system, calibration

    def __call__(self, phrases: Mapping[str, str], templates: Sequence[str]) -> tuple[list[list[str]], torch.Tensor]:
        """Return the prompts of each label, and the (utterances, labels) scores."""
        prompts = prompts_of(parse_labels(phrases), tuple(templates))
        text_embeds = self.system.embed_labels(prompts)
        with torch.inference_mode():
            return prompts, predict(self.embeds, text_embeds, self.system.facts.logit_scale, self.calibration)


def prompts_of_task(task: Task, system: System, options: Options) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the phrase of each label, and the templates for it."""
    if templates := options.templates_by_task.get(task.name):
        return task.labels, templates
    if options.paper_prompts and task.paper_prompts:
        return {label: task.paper_prompts[label] for label in task.labels}, ("{}",)
    return task.labels, parse_templates(task.template or options.templates or system.facts.template)


def run_task(task: Task, frame: pd.DataFrame, embeds: torch.Tensor, system: System, options: Options) -> dict:
    """Score the utterances of one task, write picture and predictions, and return the entry for results.json."""
    phrases, templates = prompts_of_task(task, system, options)
    voices = system.embed_labels([[voice] for voice in VOICES]) if options.calibrate == "gender" else None
    try:
        calibration = fit_calibration(options.calibrate, embeds, frame, voices)
    except ValueError as error:
        raise TaskError(f"--calibrate {options.calibrate}: {error}") from error
    score = TaskScorer(embeds, system, calibration)
    prompts, scores = score(phrases, templates)
    references = task.references(frame)
    measured, predictions = evaluate_task(references, scores, task.labels, options.n_resamples, options.seed)

    def uar_of(phrases: Mapping[str, str], templates: Sequence[str]) -> float:
        return evaluate_task(references, score(phrases, templates)[1], task.labels, n_resamples=0)[0]["uar"]

    plain = phrases is task.labels and not task.template and task.name not in options.templates_by_task
    if options.compare_templates and plain:
        others = compared_templates(templates, options.compare_templates)
        measured["uar_per_template"] = [{"templates": list(o), "uar": uar_of(task.labels, o)} for o in others]
    if options.wording and plain and task.column == "emotion":
        measured["wording"] = measure_wording(task.labels, templates[0], measured["uar"], uar_of)
    table = pd.DataFrame({"file": frame["file"], "reference": references, "prediction": predictions})
    if task.group:
        measured["uar_per_group"] = uar_per_group(table, frame[task.group], list(task.labels))
        measured["uar_mean_of_groups"] = sum(measured["uar_per_group"].values()) / len(measured["uar_per_group"])
    columns = pd.DataFrame(scores.numpy(), columns=[f"score_{label}" for label in task.labels], index=frame.index)
    write_csv(table.join(columns), options.output_dir / f"{task.name}_predictions.csv", float_format="%.6f")
    draw_task(task, measured, templates, options)
    return {
        "corpus": task.corpus,
        "split": task.split or "all",
        "column": task.column,
        "calibrated": options.calibrate,
        "templates": list(templates),
        "prompts": dict(zip(task.labels, prompts, strict=True)),
        "n": len(frame),
        **measured,
        "chance": task.chance,
        "paper_uar": dict(task.paper_uar),
    }


def compared_templates(own: Sequence[str], others: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each of the other templates alone, and all of them together with the task's own."""
    candidates = [*((other,) for other in others), (*own, *others)]
    unique = dict.fromkeys(tuple(dict.fromkeys(some)) for some in candidates)
    return [some for some in unique if some != tuple(own)]


def draw_task(task: Task, measured: Mapping[str, Any], templates: Sequence[str], options: Options) -> None:
    """Draw the task's confusion matrix, with the protocol above it."""
    prompt = " + ".join(f'"{template}"' for template in templates)
    interval = " [{:.3f}, {:.3f}]".format(*measured["intervals"]["uar"]) if measured["intervals"] else ""
    kind = f"zero-shot, calibrated by {options.calibrate}" if options.calibrate else "zero-shot"
    corpus = "All corpora" if task.corpus == POOLED else CORPORA[task.corpus].title
    count = int(np.sum(measured["confusion"]))
    title = (
        f"{corpus}: {task.column}, {kind}, {count} utterances{f' of the {task.split} split' if task.split else ''}\n"
        f"prompt {prompt}\nUAR {measured['uar']:.3f}{interval}, chance {task.chance:.3f}"
    )
    file = options.output_dir / f"{task.name}_confusion.png"
    draw_confusion(measured["confusion"], list(task.labels), title, file)
