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
from collections.abc import Sequence
from pathlib import Path

import torch

from dataset_scripts.corpora import CORPORA, OWN, TASKS
from modeling_paraclap.zero_shot_paraclap import parse_templates

from ..command.models import ModelError, model_folder
from .pooled import POOLED_TASKS

CALIBRATIONS = ("corpus", "gender", "speaker")
POSITIVE = ("batch_size", "max_length_s", "limit", "num_proc")


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
    parser.add_argument("--calibrate", nargs="?", choices=CALIBRATIONS, const="corpus", help=calibrate)


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
        except ModelError as error:
            parser.error(f"--model is not given, and the default model cannot be had: {error}")
    if args.answers is not None and args.text_encoder is None:
        from paraclap.publishing.default_checkpoint import text_encoder_folder

        try:
            args.text_encoder = text_encoder_folder()
        except FileNotFoundError as error:
            parser.error(f"--answers needs a sentence encoder: give --text_encoder, or install one. {error}")
    return args
