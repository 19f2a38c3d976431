"""Zero-shot evaluation: how well does a model tell classes apart that it was never trained to tell apart?

    python evaluate_zero_shot.py --model FOLDER --corpora ravdess=DIR librispeech=DIR --output_dir EVAL

Runs every task of `dataset_scripts.corpora` that belongs to the corpora named (or those of --tasks). Each utterance is
embedded once, whole, and compared with one prompt for each label; the most similar label is the prediction.
EVAL gets `results.json`, for each task `TASK_confusion.png` and `TASK_predictions.csv`, and `rejected.csv`: the files
that could not be read and so are in no figure. Intervals are percentile bootstraps over the utterances, stratified by
class.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch
from transformers.utils import cached_file

from dataset_scripts.corpora import CORPORA, TASKS, CorpusError, parse_corpora
from dataset_scripts.tables import format_table, write_csv
from modeling_paraclap import ParaClapModel, ParaClapProcessor, keep_freed_memory
from modeling_paraclap.checkpoint_paraclap import hash_file
from modeling_paraclap.zero_shot_paraclap import parse_templates
from paraclap.evaluation.calibrations import KINDS
from paraclap.evaluation.corpus_tasks import TaskError, evaluate_corpus, load_bins, select_tasks
from paraclap.evaluation.measures import CONFIDENCE_LEVEL
from paraclap.evaluation.tables import result_rows, template_rows


def file_of(model: str, name: str) -> Path:
    """Where a file of a release folder is, or of a model on the Hub, which is fetched; the path may not exist."""
    return Path(cached_file(model, name, _raise_exceptions_for_missing_entries=False) or Path(model) / name)


def protocol(args: argparse.Namespace) -> dict:
    """How the figures came about: everything needed to get them again."""
    root = Path(__file__).resolve().parent
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True)
    weights = file_of(args.model, "model.safetensors")
    return {
        "model": args.model,
        "weights_sha256": hash_file(weights) if weights.is_file() else None,
        "utterances": "whole" if args.max_length_s is None else f"first {args.max_length_s} s",
        "limit": args.limit,
        "batch_size": args.batch_size,
        "intervals": f"percentile bootstrap over utterances, stratified by class, {args.n_resamples} resamples",
        "confidence_level": CONFIDENCE_LEVEL,
        "seed": args.seed,
        "git_revision": git.stdout.strip() or None,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "transformers", "evaluate", "numpy", "soundfile")},
    }


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="release folder, or a name on the Hub")
    parser.add_argument("--corpora", nargs="+", required=True, metavar="NAME=DIR", help=f"of {', '.join(CORPORA)}")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument(
        "--tasks", nargs="+", metavar="TASK", help=f"of {', '.join(TASKS)}; default: all of the corpora"
    )
    # prompts and bins
    parser.add_argument(
        "--template",
        nargs="+",
        help="prompts with {} in place of the model's own, averaged; not for tasks with their own",
    )
    parser.add_argument(
        "--compare_templates",
        nargs="+",
        metavar="TEMPLATE",
        help="also measure the UAR with each of these alone and with all averaged, on the same embeddings",
    )
    parser.add_argument(
        "--paper_prompts",
        action="store_true",
        help="the prompts of the authors' evaluation, for the tasks of the paper",
    )
    parser.add_argument(
        "--calibrate",
        nargs="?",
        choices=KINDS,
        const="corpus",
        help="transductive: take out what the evaluated audio has in common, and even out how often each label comes; "
        "with `gender`, in that of women and of men, as the model hears them; with `speaker`, in the audio of each "
        "speaker, who have to be known (default: corpus)",
    )
    parser.add_argument(
        "--all_rows", action="store_true", help="all splits of each corpus: for a model that never trained on it"
    )
    parser.add_argument("--bins", type=Path, help="bins.json of the model's query corpus; default: the model folder's")
    # audio
    parser.add_argument("--batch_size", type=int, default=8, help="utterances a forward pass")
    parser.add_argument("--max_length_s", type=float, help="seconds kept of a longer utterance; default: all")
    parser.add_argument("--limit", type=int, help="utterances drawn at random from each corpus, for a quick look")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--num_proc", type=int, default=1, help="processes for openSMILE")
    # intervals
    parser.add_argument("--n_resamples", type=int, default=1000, help="of the bootstrap; 0 = no intervals")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and of --limit")
    args = parser.parse_args(arguments)
    for name in ("batch_size", "max_length_s", "limit", "num_proc"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} is {value}; expected more than 0")
    for templates in filter(None, (args.template, args.compare_templates)):
        try:
            parse_templates(templates)
        except ValueError as error:
            parser.error(str(error))
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, evaluates, prints the table. Returns the exit status."""
    args = parse_arguments(arguments)
    try:
        results, left_out = run(args)
    except (OSError, CorpusError, TaskError) as error:  # the user's input; a fault of ours keeps its traceback
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{format_table(pd.DataFrame(result_rows(results)))}\n")
    if templates := template_rows(results):
        print(f"UAR with other templates:\n{format_table(pd.DataFrame(templates))}\n")
    for task, result in results.items():
        recalls = ", ".join(f"{k} {'-' if v is None else f'{v:.2f}'}" for k, v in result["recall_per_class"].items())
        without = result["n_without_label"]
        note = f" ({without} utterances have no {result['column']})" if without else ""
        print(f"{task}: recall of {recalls}{note}")
    if len(left_out):
        print(f"\n{len(left_out)} files left out, all in {args.output_dir / 'rejected.csv'}:")
        print(format_table(left_out.head(20)))
    print(f"\nWritten to {args.output_dir}: results.json, confusion matrices (png), predictions (csv), rejected.csv")
    return 0


def run(args: argparse.Namespace) -> tuple[dict[str, dict], pd.DataFrame]:
    """Evaluates all tasks and writes results.json and rejected.csv; the results by task and the files left out."""
    corpora = parse_corpora(args.corpora)
    tasks = select_tasks(list(corpora), args.tasks, args.all_rows, args.calibrate)
    bins = load_bins(tasks, args.bins or file_of(args.model, "bins.json"))
    if torch.device(args.device).type == "cpu":
        keep_freed_memory()
    model = ParaClapModel.from_pretrained(args.model, dtype=torch.float32).eval().to(args.device)
    processor = ParaClapProcessor.from_pretrained(args.model)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    (args.output_dir / "results.json").unlink(missing_ok=True)  # never beside the pictures of another run
    results, left_out = {}, []
    for corpus, root in corpora.items():
        of_corpus = [task for task in tasks if task.corpus == corpus]
        corpus_results, corpus_left_out = evaluate_corpus(corpus, root, of_corpus, model, processor, bins, args)
        results |= {result.pop("task"): result for result in corpus_results}
        left_out.append(corpus_left_out)
    left_out = pd.concat(left_out, ignore_index=True)
    write_csv(left_out, args.output_dir / "rejected.csv")
    content = {"protocol": protocol(args), "tasks": results}
    (args.output_dir / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return results, left_out
