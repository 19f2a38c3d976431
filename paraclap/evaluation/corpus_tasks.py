"""Runs the zero-shot tasks of a corpus: its utterances are embedded once, however many tasks there are."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dataset_scripts.binning import Bins
from dataset_scripts.corpora import CORPORA, TASKS, scan_corpus
from dataset_scripts.egemaps import extract_functionals
from dataset_scripts.tables import write_csv
from dataset_scripts.tasks import Task
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings, parse_labels, parse_templates, prompts_of

from .calibrations import VOICES, fit_calibration
from .embedding import embed_audio, predict
from .measures import evaluate_task, uar_per_group
from .plots import draw_confusion


class TaskError(ValueError):
    """A task that cannot run with what was given."""


def select_tasks(
    corpora: Sequence[str], names: Sequence[str] | None, all_rows: bool = False, calibrate: str | None = None
) -> list[Task]:
    """The tasks to run: all of the corpora, or those named; with `all_rows`, on all splits.

    Raises:
        TaskError: If a task is unknown, its corpus was not given, a corpus has no task, or the calibration takes out
            what a task asks for.
    """
    if names is None:
        tasks = [task for task in TASKS.values() if task.corpus in corpora]
    else:
        unknown = [name for name in names if name not in TASKS]
        if unknown:
            raise TaskError(f"Unknown task {unknown[0]!r}; known are {', '.join(TASKS)}.")
        tasks = [TASKS[name] for name in names]
    for task in tasks:
        if task.corpus not in corpora:
            raise TaskError(f"The task {task.name} needs its corpus: --corpora {task.corpus}=DIR.")
    idle = [corpus for corpus in corpora if corpus not in {task.corpus for task in tasks}]
    if idle:
        raise TaskError(f"There is no task to run on the corpus {idle[0]!r}; tasks are {', '.join(TASKS)}.")
    emptied = [task.name for task in tasks if task.column == calibrate]
    if emptied:
        raise TaskError(f"--calibrate {calibrate} takes out what {emptied[0]} asks for: name the others with --tasks.")
    return [dataclasses.replace(task, split=None) for task in tasks] if all_rows else tasks


def load_bins(tasks: Sequence[Task], file: Path) -> Bins | None:
    """The bins that the tasks need; None where none does.

    Raises:
        FileNotFoundError: If they are needed and the file is missing.
        TaskError: If it is not a file of bins.
    """
    needy = [task.name for task in tasks if task.needs_functionals]
    if not needy:
        return None
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: {', '.join(needy)} compare with low, mid and high as the model learnt them. Give the "
            "bins.json of its query corpus with --bins, or name other tasks with --tasks."
        )
    try:
        return Bins.load(file)
    except ValueError as error:
        raise TaskError(str(error)) from error


def load_rows(corpus: str, root: Path, tasks: Sequence[Task], limit: int | None, seed: int):
    """The utterances of a corpus that any of the tasks needs.

    Returns:
        The frame of `scan_corpus`, and what it left out.
    """
    frame, left_out = scan_corpus(corpus, root)
    needed = np.full(len(frame), False)
    for task in tasks:
        needed |= task.of_split(frame) if task.needs_functionals else task.references(frame).notna().to_numpy()
    frame = frame[needed]
    if limit is not None and limit < len(frame):
        frame = frame.sample(limit, random_state=seed).sort_index()
    return frame.reset_index(drop=True), left_out


def evaluate_corpus(corpus, root, tasks, model, processor, bins, args) -> tuple[list[dict], pd.DataFrame]:
    """Runs the tasks of one corpus and writes their pictures and predictions.

    Args:
        corpus: Its name.
        root: Its folder.
        tasks: Its tasks.
        model: A ParaClapModel in evaluation mode.
        processor: Its processor.
        bins: The model's bins, where a task needs them.
        args: The command line.

    Returns:
        The results, one dict a task, and the files left out (corpus, file, reason).

    Raises:
        TaskError: If no utterance is left for a task.
    """
    frame, left_out = load_rows(corpus, root, tasks, args.limit, args.seed)
    print(f"{CORPORA[corpus].title}: {len(frame)} utterances for {', '.join(task.name for task in tasks)}")
    audio_embeds, reasons = embed_audio(
        model, processor.feature_extractor, list(frame["path"]), args.batch_size, args.max_length_s
    )
    unreadable = frame.loc[sorted(reasons), ["corpus", "file"]].assign(reason=[reasons[i] for i in sorted(reasons)])
    left_out = pd.concat([left_out, unreadable])
    frame = frame.drop(index=sorted(reasons)).reset_index(drop=True)
    if any(task.needs_functionals for task in tasks):
        functionals, without = extract_functionals(frame, args.num_proc)
        frame = bins.apply(frame.join(functionals))
        left_out = pd.concat([left_out, without.assign(reason=[f"no functionals: {r}" for r in without["reason"]])])
    results = []
    for task in tasks:
        of_split = task.of_split(frame)
        rows = task.references(frame).notna().to_numpy()
        if not rows.any():
            raise TaskError(f"{root} has no readable utterance with {task.column} of {', '.join(task.labels)}.")
        result = run_task(task, frame[rows], audio_embeds[torch.tensor(rows)], model, processor, args)
        results.append(result | {"n_without_label": int(of_split.sum() - rows.sum()), "n_unreadable": len(unreadable)})
    return results, left_out.reset_index(drop=True)


def score(audio_embeds: torch.Tensor, phrases, templates: Sequence[str], model, processor, calibration=None):
    """The prompts of each label, and the (n, labels) scores of the utterances with them."""
    prompts = prompts_of(parse_labels(phrases), tuple(templates))
    text_embeds = TextEmbeddings().of_labels(model, processor.tokenizer, prompts)
    with torch.inference_mode():
        return prompts, predict(audio_embeds, text_embeds.cpu(), model.logit_scale.cpu(), calibration)


def compare_templates(task, references, audio_embeds, templates, others, model, processor, calibration) -> list[dict]:
    """The UAR with each of the other templates alone, and with all of them averaged."""
    candidates = [*((other,) for other in others), (*templates, *others)]
    candidates = [tuple(dict.fromkeys(some)) for some in candidates]
    uars = {}
    for some in candidates:
        if some != tuple(templates) and some not in uars:
            _, scores = score(audio_embeds, task.labels, some, model, processor, calibration)
            uars[some] = evaluate_task(references, scores, task.labels, n_resamples=0)[0]["uar"]
    return [{"templates": list(some), "uar": uar} for some, uar in uars.items()]


def run_task(task: Task, frame: pd.DataFrame, audio_embeds: torch.Tensor, model, processor, args) -> dict:
    """Scores the utterances of one task, measures, and writes picture and predictions; the entry for results.json."""
    if args.paper_prompts and task.paper_prompts:
        phrases, template = {label: task.paper_prompts[label] for label in task.labels}, "{}"
    else:
        phrases, template = task.labels, task.template or args.template or model.config.hypothesis_template
    templates = parse_templates(template)
    voices = None
    if args.calibrate == "gender":
        voices = TextEmbeddings().of_labels(model, processor.tokenizer, [[voice] for voice in VOICES]).cpu()
    try:
        calibration = fit_calibration(args.calibrate, audio_embeds, frame, voices)
    except ValueError as error:
        raise TaskError(f"--calibrate {args.calibrate}: {error}") from error
    prompts, scores = score(audio_embeds, phrases, templates, model, processor, calibration)
    references = task.references(frame)
    measured, predictions = evaluate_task(references, scores, task.labels, args.n_resamples, args.seed)
    if args.compare_templates and phrases is task.labels and not task.template:
        measured["uar_per_template"] = compare_templates(
            task, references, audio_embeds, templates, args.compare_templates, model, processor, calibration
        )
    table = pd.DataFrame({"file": frame["file"], "reference": references, "prediction": predictions})
    if task.group:
        measured["uar_per_group"] = uar_per_group(table, frame[task.group], list(task.labels))
        measured["uar_mean_of_groups"] = sum(measured["uar_per_group"].values()) / len(measured["uar_per_group"])
    columns = pd.DataFrame(scores.numpy(), columns=[f"score_{label}" for label in task.labels], index=frame.index)
    write_csv(table.join(columns), args.output_dir / f"{task.name}_predictions.csv", float_format="%.6f")
    prompt = " + ".join(f'"{template}"' for template in templates)
    interval = " [{:.3f}, {:.3f}]".format(*measured["intervals"]["uar"]) if measured["intervals"] else ""
    kind = f"zero-shot, calibrated by {args.calibrate}" if args.calibrate else "zero-shot"
    title = (
        f"{CORPORA[task.corpus].title}: {task.column}, {kind}, {len(frame)} utterances"
        f"{f' of the {task.split} split' if task.split else ''}\nprompt {prompt}\n"
        f"UAR {measured['uar']:.3f}{interval}, chance {task.chance:.3f}"
    )
    draw_confusion(measured["confusion"], list(task.labels), title, args.output_dir / f"{task.name}_confusion.png")
    return {
        "task": task.name,
        "corpus": task.corpus,
        "split": task.split or "all",
        "column": task.column,
        "calibrated": args.calibrate,
        "templates": list(templates),
        "prompts": dict(zip(task.labels, prompts, strict=True)),
        "n": len(frame),
        **measured,
        "chance": task.chance,
        "paper_uar": dict(task.paper_uar),
    }
