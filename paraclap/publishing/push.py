"""Publish a model, a query corpus, the metric or the demo's page on the Hugging Face Hub, or say why not.

    paraclap push model RUN/best --repo_id ORG/NAME --results EVAL/results.json [--dry_run]
    paraclap push dataset OUT --repo_id ORG/NAME [--private --include_audio]
    paraclap push metric --repo_id ORG/NAME
    paraclap push space --repo_id ORG/NAME --model ORG/MODEL

In a checkout, `python push_to_hub.py` is the same program. Each kind writes the very folder that is uploaded, checks
it, compares it with what the Hub has, and makes one commit, or none if nothing has changed. `--dry_run` stops before
the Hub. The token is the one of `hf auth login` or HF_TOKEN, read by huggingface_hub. An interrupted or failed upload
can be repeated.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from dataset_scripts.extras import program_extra

from .errors import PublishError


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    shared = shared_options()
    model = kinds.add_parser("model", parents=[shared], help="a trained model")
    model.add_argument("folder", type=Path, help="release folder, as training writes it")
    model.add_argument("--results", type=Path, help="results.json of the evaluation; default: the folder's own")
    model.add_argument("--base_model", nargs="+", default=[], help="in place of those that training.json names")
    model.add_argument("--license", help="in place of the union of the conditions of base models and corpora")
    model.add_argument(
        "--license_reason",
        default="",
        metavar="TEXT",
        help="why --license may drop a condition that a base model or corpus has; goes into the card",
    )
    model.add_argument("--watts", type=float, help="power of one training device: adds an estimate of the energy")
    dataset = kinds.add_parser("dataset", parents=[shared], help="a query corpus")
    dataset.add_argument("folder", type=Path, help="what `paraclap corpus build` wrote")
    dataset.add_argument(
        "--include_audio",
        action="store_true",
        help="audio and labels also of corpora whose licence forbids publishing them; only with --private",
    )
    metric = kinds.add_parser("metric", parents=[shared], help="the unweighted average recall, for evaluate.load")
    metric.add_argument("folder", type=Path, nargs="?", help="another metric's; default: the one of this project")
    space = kinds.add_parser("space", parents=[shared], help="the demo's page")
    space.add_argument("--model", required=True, metavar="ORG/NAME", help="the model on the Hub that it shows")
    args = parser.parse_args(arguments)
    if args.kind == "model" and args.license_reason and not args.license:
        parser.error("--license_reason is given without --license")
    return args


def shared_options() -> argparse.ArgumentParser:
    """Return the options that all kinds have."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--repo_id", required=True, metavar="ORG/NAME")
    shared.add_argument("--private", action="store_true", help="make the repo private, if it is created")
    shared.add_argument("--revision", default="main", help="branch to commit to; created if missing")
    shared.add_argument("--create_pr", action="store_true", help="open a pull request in place of committing")
    shared.add_argument("--tag", help="tag for the published revision, such as v1.0")
    shared.add_argument("--dry_run", action="store_true", help="write, check and list the folder; upload nothing")
    shared.add_argument("--message", help="commit message")
    shared.add_argument("--staging_dir", type=Path, help="folder to write; default: build/publish/KIND/NAME")
    shared.add_argument("--debug", action="store_true", help="print requests, and tracebacks of errors")
    return shared


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = parse_arguments(arguments)
    with program_extra("publish"):
        from . import publication
    if args.debug:
        publication.show_requests()
    try:
        publication.run(args)
    except PublishError as error:
        if args.debug:
            print(publication.redact(traceback.format_exc()), file=sys.stderr)
        print(f"error: {publication.redact(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted; repeat the command to go on", file=sys.stderr)
        return 130
    return 0
