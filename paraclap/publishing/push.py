"""Publishes a model, a query corpus, the metric or the demo on the Hugging Face Hub, or says why not.

    python push_to_hub.py model RUN/best --repo_id ORG/NAME --results EVAL/results.json [--dry_run]
    python push_to_hub.py dataset OUT --repo_id ORG/NAME [--private --include_audio]
    python push_to_hub.py metric --repo_id ORG/NAME
    python push_to_hub.py space --repo_id ORG/NAME --model ORG/MODEL

Each writes the very folder that is uploaded, checks it, compares it with what the Hub has, and makes one commit, or
none if nothing changed. `--dry_run` stops before the Hub. The token is the one of `hf auth login` or HF_TOKEN, read by
huggingface_hub. An interrupted or failed upload can be repeated.
"""

import argparse
import logging
import shutil
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import huggingface_hub

from paraclap.publishing.cards import CardError
from paraclap.publishing.dataset import stage_dataset
from paraclap.publishing.hub import PublishError, Target, files_of, publish, redact
from paraclap.publishing.licences import LicenceError
from paraclap.publishing.others import METRIC, MODEL_FILE, sdk_of, stage_metric, stage_space
from paraclap.publishing.staging import stage_model
from paraclap.resources import resource

STAGING = Path("build") / "publish"
REPO_TYPES = {"model": "model", "dataset": "dataset", "metric": "space", "space": "space"}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--repo_id", required=True, metavar="ORG/NAME")
    shared.add_argument("--private", action="store_true", help="make the repo private, if it has to be made")
    shared.add_argument("--revision", default="main", help="branch to commit to; made if missing")
    shared.add_argument("--create_pr", action="store_true", help="open a pull request in place of committing")
    shared.add_argument("--tag", help="tag for the published revision, such as v1.0")
    shared.add_argument("--dry_run", action="store_true", help="write, check and list the folder; upload nothing")
    shared.add_argument("--message", help="of the commit")
    shared.add_argument("--staging_dir", type=Path, help="where the folder is written; default: build/publish/NAME")
    shared.add_argument("--debug", action="store_true", help="print requests, and tracebacks of errors")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    model = kinds.add_parser("model", parents=[shared], help="a trained model")
    model.add_argument("folder", type=Path, help="release folder, as training writes it")
    model.add_argument("--results", type=Path, help="results.json of the evaluation; default: the folder's own")
    model.add_argument("--base_model", nargs="+", default=[], help="in place of those that training.json names")
    model.add_argument("--license", help="in place of the union of the conditions of base models and corpora")
    model.add_argument("--watts", type=float, help="what one of training's devices draws: adds an estimate of energy")
    dataset = kinds.add_parser("dataset", parents=[shared], help="a query corpus")
    dataset.add_argument("folder", type=Path, help="what dataset_scripts.build_query_corpus wrote")
    dataset.add_argument(
        "--include_audio",
        action="store_true",
        help="audio and labels also of corpora whose licence forbids to publish them; only with --private",
    )
    metric = kinds.add_parser("metric", parents=[shared], help="the unweighted average recall, for evaluate.load")
    metric.add_argument("folder", type=Path, nargs="?", help="default: the unweighted average recall of this project")
    space = kinds.add_parser("space", parents=[shared], help="the demo")
    space.add_argument("--model", required=True, metavar="ORG/NAME", help="the model on the Hub that it shows")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, stages, checks, publishes. Returns the exit status."""
    args = parse_arguments(arguments)
    if args.debug:
        logging.basicConfig()
        huggingface_hub.logging.set_verbosity_debug()
    try:
        run(args)
    except (PublishError, CardError, LicenceError) as error:
        if args.debug:
            print(redact(traceback.format_exc()), file=sys.stderr)
        print(f"error: {redact(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted; repeat the command to go on", file=sys.stderr)
        return 130
    return 0


def run(args: argparse.Namespace) -> None:
    """Stages the folder, lists it, and publishes it."""
    options = {"private": args.private, "revision": args.revision, "create_pr": args.create_pr, "tag": args.tag}
    target = Target(args.repo_id, REPO_TYPES[args.kind], marker_of(args), **options)
    folder = empty_folder(args.staging_dir, STAGING / args.kind / args.repo_id.replace("/", "--"))
    stage(args, folder)
    if target.repo_type == "space":
        target = replace(target, space_sdk=sdk_of(folder))
    print(f"Staged in {folder} and checked there:")
    print(listing(folder))
    if args.dry_run:
        print("Nothing uploaded (--dry_run).")
        return
    outcome = publish(folder, target, args.message or f"Publish {args.repo_id.split('/')[1]}")
    if outcome.written or outcome.deleted:
        print(f"One commit, {len(outcome.written)} files written, {len(outcome.deleted)} deleted: {outcome.url}")
    else:
        print(f"Nothing has changed, no commit: {outcome.url}")


def marker_of(args: argparse.Namespace) -> str:
    """A file by which one sees that a repo is of this sort."""
    own = {"model": "configuration_paraclap.py", "dataset": "bins.json", "space": MODEL_FILE}
    return own.get(args.kind, f"{args.repo_id.split('/')[-1]}.py")


def stage(args: argparse.Namespace, folder: Path) -> None:
    """Writes and checks the folder."""
    if args.kind == "model":
        stage_model(args.folder, folder, args.repo_id, args.results, args.base_model, args.license, args.watts)
    elif args.kind == "dataset":
        stage_dataset(args.folder, folder, args.repo_id, args.include_audio, args.private)
    elif args.kind == "metric":
        stage_metric(args.folder or resource(METRIC), folder, args.repo_id)
    else:
        stage_space(folder, args.repo_id, args.model)


def empty_folder(given: Path | None, default: Path) -> Path:
    """The folder to stage in: the default is emptied, one that the user names has to be empty.

    Raises:
        PublishError: If it is not.
    """
    folder = given or default
    if given is None and folder.exists():
        shutil.rmtree(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PublishError(f"--staging_dir {folder} is not empty; name a folder that is, or a new one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def listing(folder: Path) -> str:
    """The folder's files with their sizes in bytes, and the sum."""
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files_of(folder)}
    width = len(f"{sum(sizes.values()):,}")
    lines = [f"  {size:>{width},}  {name}" for name, size in sizes.items()]
    return "\n".join([*lines, f"  {sum(sizes.values()):>{width},}  bytes in {len(sizes)} files"])
