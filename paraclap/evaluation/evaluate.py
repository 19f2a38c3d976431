"""Evaluate a model on zero-shot classification.

    paraclap evaluate --model FOLDER --corpora ravdess=DIR librispeech=DIR --output_dir EVAL
    paraclap evaluate --corpora mine=DIR --output_dir EVAL

The second evaluates the default model on a corpus of your own: DIR/files.csv names files and labels (docs/corpora.md).
Run every task of the given corpora (or those of --tasks). Each utterance is embedded once, uncropped, and compared with
one prompt for each label; the most similar label is the prediction. --model takes a ParaCLAP release, any transformers
or sentence-transformers model that embeds audio and text, or MODULE:FACTORY (paraclap/evaluation/models.py); --answers
scores a system that answers in free text.

EVAL receives `results.json`, for each task `TASK_confusion.png` and `TASK_predictions.csv`, and `rejected.csv`, the
files excluded as unusable. Intervals are percentile bootstraps over the utterances, stratified by
class.
"""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch
from transformers.utils import cached_file

from dataset_scripts.corpora import CORPORA, OWN, TASKS, CorpusError, parse_corpora
from dataset_scripts.tables import WIDTH, format_table, rejected_lines, write_csv
from modeling_paraclap import keep_freed_memory
from modeling_paraclap.checkpoint_paraclap import hash_file
from modeling_paraclap.zero_shot_paraclap import parse_templates

from ..command.models import ModelError as ModelFolderError
from ..command.models import model_folder
from ..revision import git_revision
from .answers import AnswerError
from .calibrations import KINDS
from .corpus_tasks import Options, TaskError, evaluate_corpora, load_task_bins, select_tasks, split_templates
from .measures import CONFIDENCE_LEVEL
from .models import ModelFacts, UnusableModel
from .pooled import POOLED_TASKS
from .systems import is_factory, load_system
from .tables import result_rows, template_rows, wording_rows

LISTED = 20  # files left out that are printed; the CSV has all
POSITIVE = ("batch_size", "max_length_s", "limit", "num_proc")


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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="release folder, Hub id or MODULE:FACTORY; default: the default model")
    parser.add_argument(
        "--corpora", nargs="+", required=True, metavar="NAME=DIR", help=f"of {', '.join(CORPORA)}, or {OWN}"
    )
    parser.add_argument("--output_dir", type=Path, required=True)
    tasks = f"of {', '.join([*TASKS, *POOLED_TASKS])}; default: all of the corpora"
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help=tasks)
    rows = "use all splits of each corpus, for a model that was not trained on it"
    parser.add_argument("--all_rows", action="store_true", help=rows)
    parser.add_argument("--bins", type=Path, help="bins.json of the model's query corpus; default: the model folder's")
    parser.add_argument("--answers", type=Path, help="CSV (file, answer) of a system that answers in free text")
    parser.add_argument("--text_encoder", help="sentence encoder for --answers; default: all-MiniLM-L6-v2")
    _add_prompts(parser)
    parser.add_argument("--batch_size", type=int, default=8, help="utterances per forward pass")
    parser.add_argument("--max_length_s", type=float, help="seconds to keep of a longer utterance; default: all")
    parser.add_argument("--limit", type=int, help="evaluate a random sample of this many utterances of each corpus")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--num_proc", type=int, default=1, help="processes for openSMILE")
    parser.add_argument("--n_resamples", type=int, default=1000, help="bootstrap resamples; 0 disables intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap and of --limit")
    return parser


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    """Add the options for prompts and calibration."""
    own = (
        "prompt templates with {} in place of the model's own, averaged; tasks with a template of their own keep it, "
        "unless TASK=TEMPLATE names them"
    )
    parser.add_argument("--template", nargs="+", metavar="[TASK=]TEMPLATE", help=own)
    compared = "also measure the UAR with each of these alone and with all averaged, on the same embeddings"
    parser.add_argument("--compare_templates", nargs="+", metavar="TEMPLATE", help=compared)
    wording = "for emotions, also measure the UAR over ten paraphrases of the prompt and with held-out emotion words"
    parser.add_argument("--wording", action="store_true", help=wording)
    paper = "use the prompts of the authors' evaluation for the paper's tasks"
    parser.add_argument("--paper_prompts", action="store_true", help=paper)
    calibrate = (
        "transductive: remove what the evaluated audio has in common, and balance the predicted labels; with "
        "`gender`, separately for voices predicted as female and male; with `speaker`, separately for each known "
        "speaker (default: corpus)"
    )
    parser.add_argument("--calibrate", nargs="?", choices=KINDS, const="corpus", help=calibrate)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse and validate the command line."""
    parser = build_parser()
    args = parser.parse_args(arguments)
    for name in POSITIVE:
        value = getattr(args, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} is {value}; expected more than 0")
    for templates in filter(None, (args.template, args.compare_templates)):
        try:
            parse_templates(templates)
        except ValueError as error:
            parser.error(str(error))
    if args.model is None:
        if args.answers is not None:
            parser.error("--answers needs --model: the name of the system that answered")
        try:
            args.model = str(model_folder(None))
        except ModelFolderError as error:
            parser.error(f"--model is not given, and the default model cannot be had: {error}")
    if args.answers is not None and args.text_encoder is None:
        from paraclap.publishing.default_checkpoint import text_encoder_folder

        try:
            args.text_encoder = text_encoder_folder()
        except FileNotFoundError as error:
            parser.error(f"--answers needs a sentence encoder: give --text_encoder, or install one. {error}")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, and print the tables; return the exit status."""
    args = parse_arguments(arguments)
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
