"""Run an evaluation: every task of the corpora, results.json, and tables for the terminal."""

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch
from transformers.utils import cached_file

from dataset_scripts.corpora import CorpusError, parse_corpora
from dataset_scripts.tables import WIDTH, format_table, rejected_lines, write_csv
from modeling_paraclap import keep_freed_memory
from modeling_paraclap.checkpoint_paraclap import hash_file

from ..revision import git_revision
from .answers import AnswerError
from .arguments import POSITIVE
from .corpus_tasks import Options, TaskError, evaluate_corpora, load_task_bins, select_tasks, split_templates
from .measures import CONFIDENCE_LEVEL
from .models import ModelFacts, UnusableModel
from .systems import is_factory, load_system
from .tables import result_rows, template_rows, wording_rows

LISTED = 20  # files left out that are printed; the CSV has all


def file_of(model: str, name: str) -> Path:
    """Return the path of a file of a release folder or a model on the Hub, downloaded if needed; it may not exist."""
    if is_factory(model):
        return Path(model) / name
    return Path(cached_file(model, name, _raise_exceptions_for_missing_entries=False) or Path(model) / name)


def protocol(args: argparse.Namespace, facts: ModelFacts) -> dict:
    """Return everything needed to reproduce the results."""
    weights = file_of(args.model, "model.safetensors") if args.answers is None else None
    return {
        "model": args.model,
        "model_facts": facts.as_dict(),
        "weights_sha256": hash_file(weights) if weights is not None and weights.is_file() else None,
        "utterances": "whole" if args.max_length_s is None else f"first {args.max_length_s} s",
        "limit": args.limit,
        "batch_size": args.batch_size,
        "intervals": f"percentile bootstrap over utterances, stratified by class, {args.n_resamples} resamples",
        "confidence_level": CONFIDENCE_LEVEL,
        "seed": args.seed,
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "transformers", "evaluate", "numpy", "soundfile")},
    }


def evaluate(args: argparse.Namespace) -> int:
    """Evaluate, and print the tables; return the exit status."""
    try:
        results, left_out = run(args)
    except (OSError, AnswerError, CorpusError, UnusableModel, TaskError) as error:  # the user's input
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{format_table(pd.DataFrame(result_rows(results)), WIDTH)}\n")
    for title, rows in {
        "UAR with other templates": template_rows(results),
        "UAR with other wordings": wording_rows(results),
    }.items():
        if rows:
            print(f"{title}:\n{format_table(pd.DataFrame(rows), WIDTH)}\n")
    for task, result in results.items():
        recalls = ", ".join(f"{k} {'-' if v is None else f'{v:.2f}'}" for k, v in result["recall_per_class"].items())
        without = result["n_without_label"]
        note = f" ({without} without {result['column']})" if without else ""
        print(f"{task}: recall of {recalls}{note}")
    if len(left_out):
        files = "file" if len(left_out) == 1 else "files"
        print(f"\n{len(left_out)} {files} left out, all in {args.output_dir / 'rejected.csv'}:")
        print("\n".join(rejected_lines(left_out, LISTED)))
    print(f"\nWritten to {args.output_dir}: results.json, confusion matrices (png), predictions (csv), rejected.csv")
    return 0


def run(args: argparse.Namespace) -> tuple[dict[str, dict], pd.DataFrame]:
    """Evaluate all tasks, write results.json and rejected.csv; return the results by task and the files left out."""
    corpora = parse_corpora(args.corpora)
    tasks = select_tasks(list(corpora), args.tasks, args.all_rows, args.calibrate)
    own_bins = Path("bins.json") if args.answers else file_of(args.model, "bins.json")
    bins = load_task_bins(tasks, args.bins or own_bins)
    if torch.device(args.device).type == "cpu":
        keep_freed_memory()
    system = load_system(args.model, args.device, args.answers, args.text_encoder)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    (args.output_dir / "results.json").unlink(missing_ok=True)  # of an earlier run
    options = Options(
        output_dir=args.output_dir,
        **dict(zip(("templates", "templates_by_task"), split_templates(args.template or (), tasks), strict=True)),
        compare_templates=tuple(args.compare_templates or ()),
        **{
            name: getattr(args, name)
            for name in ("paper_prompts", "wording", "calibrate", "limit", "n_resamples", "seed", *POSITIVE)
        },
    )
    results, left_out = evaluate_corpora(corpora, tasks, system, bins, options)
    write_csv(left_out, args.output_dir / "rejected.csv")
    content = {"protocol": protocol(args, system.facts), "tasks": results}
    (args.output_dir / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return results, left_out
