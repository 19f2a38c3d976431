"""Publish a model, a query corpus, the metric or the demo page on the Hugging Face Hub.

    paraclap push model RUN/best --repo_id ORG/NAME --results EVAL/results.json [--dry_run]
    paraclap push dataset OUT --repo_id ORG/NAME [--private --include_audio]
    paraclap push metric --repo_id ORG/NAME
    paraclap push space --repo_id ORG/NAME --model ORG/MODEL

In a checkout, `python push_to_hub.py` is the same program. It stages the folder to upload, checks it, compares it with
the repo, and makes one commit, or none if nothing has changed. `--dry_run` stops before uploading. The token is that of
`hf auth login` or HF_TOKEN, read by huggingface_hub. An interrupted or failed upload can be repeated.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from dataset_scripts.extras import program_extra

from .errors import PublishError


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    shared = shared_options()
    model = kinds.add_parser("model", parents=[shared], help="a trained model")
    model.add_argument("folder", type=Path, help="release folder written by training")
    model.add_argument("--results", type=Path, help="results.json of the evaluation; default: the folder's own")
    model.add_argument("--base_model", nargs="+", default=[], help="base models, in place of those in training.json")
    model.add_argument("--license", help="licence, in place of the one derived from base models and corpora")
    model.add_argument(
        "--license_reason",
        default="",
        metavar="TEXT",
        help="why --license may drop a condition of a base model or corpus; shown in the card",
    )
    model.add_argument("--watts", type=float, help="power of one training device in W, to estimate the energy")
    dataset = kinds.add_parser("dataset", parents=[shared], help="a query corpus")
    dataset.add_argument("folder", type=Path, help="corpus written by `paraclap corpus build`")
    dataset.add_argument(
        "--include_audio",
        action="store_true",
        help="include audio and labels of corpora whose licence forbids publishing them; needs --private",
    )
    metric = kinds.add_parser("metric", parents=[shared], help="the unweighted average recall, for evaluate.load")
    metric.add_argument("folder", type=Path, nargs="?", help="folder of another metric; default: this project's")
    space = kinds.add_parser("space", parents=[shared], help="the demo page")
    space.add_argument("--model", required=True, metavar="ORG/NAME", help="model on the Hub that the page shows")
    args = parser.parse_args(arguments)
    if args.kind == "model" and args.license_reason and not args.license:
        parser.error("--license_reason needs --license")
    return args


def shared_options() -> argparse.ArgumentParser:
    """Return the options common to all kinds."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--repo_id", required=True, metavar="ORG/NAME")
    shared.add_argument("--private", action="store_true", help="create the repo as private if it does not exist")
    shared.add_argument("--revision", default="main", help="branch to commit to; created if missing")
    shared.add_argument("--create_pr", action="store_true", help="open a pull request instead of committing")
    shared.add_argument("--tag", help="tag for the published revision, such as v1.0")
    shared.add_argument("--dry_run", action="store_true", help="stage, check and list the folder without uploading")
    shared.add_argument("--message", help="commit message")
    shared.add_argument("--staging_dir", type=Path, help="folder to stage in; default: build/publish/KIND/NAME")
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
