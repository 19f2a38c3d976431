"""One publication: stage the folder, list it, and upload it to the Hub."""

import argparse
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub

from paraclap.resources import resource

from .checks import files_of
from .dataset import stage_dataset
from .errors import PublishError
from .hub import Target, publish, redact
from .licences import Decision
from .others import METRIC, MODEL_FILE, sdk_of, stage_metric, stage_space
from .staging import stage_model

__all__ = ["redact", "run", "show_requests"]

STAGING = Path("build") / "publish"
REPO_TYPES = {"model": "model", "dataset": "dataset", "metric": "space", "space": "space"}


def show_requests() -> None:
    """Print the requests to the Hub."""
    logging.basicConfig()
    huggingface_hub.logging.set_verbosity_debug()


def run(args: argparse.Namespace) -> None:
    """Stage the folder, list it, and publish it.

    Raises:
        PublishError: If it cannot be published.
    """
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
    """Return the file that identifies a repo of this kind."""
    own = {"model": "configuration_paraclap.py", "dataset": "bins.json", "space": MODEL_FILE}
    return own.get(args.kind, f"{args.repo_id.split('/')[-1]}.py")


def stage(args: argparse.Namespace, folder: Path) -> None:
    """Write and check the folder.

    Raises:
        PublishError: If the source is not of the given kind, or must not be published.
    """
    if args.kind == "model":
        decision = Decision(args.license, args.license_reason) if args.license else None
        stage_model(args.folder, folder, args.repo_id, args.results, args.base_model, decision, args.watts)
    elif args.kind == "dataset":
        stage_dataset(args.folder, folder, args.repo_id, args.include_audio, args.private)
    elif args.kind == "metric":
        stage_metric(args.folder or resource(METRIC), folder, args.repo_id)
    else:
        stage_space(folder, args.repo_id, args.model)


def empty_folder(given: Path | None, default: Path) -> Path:
    """Return the folder to stage in: the default folder, emptied, or the given one, which must be empty.

    Raises:
        PublishError: If the given folder is not empty.
    """
    folder = given or default
    if given is None and folder.exists():
        shutil.rmtree(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PublishError(f"--staging_dir {folder} is not empty: name an empty or a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def listing(folder: Path) -> str:
    """Return the folder's files with their sizes in bytes, and the sum."""
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files_of(folder)}
    width = len(f"{sum(sizes.values()):,}")
    lines = [f"  {size:>{width},}  {name}" for name, size in sizes.items()]
    return "\n".join([*lines, f"  {sum(sizes.values()):>{width},}  bytes in {len(sizes)} files"])
