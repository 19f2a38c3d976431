"""The default model: stripped to a checkpoint small enough for the repository, and assembled again for use.

`checkpoints/NAME/` holds the trained tensors. Tensors identical to a base model's, such as those of a frozen encoder,
are left out; `parts.json` lists the base models and the sha256 of every tensor. `default_release()` assembles the model
once in the user's cache folder, from the checkpoint and the base models from Python packages or the Hub.

    python -m paraclap.publishing.default_checkpoint strip RUN/best checkpoints/NAME --extra EVAL/results.json
    python -m paraclap.publishing.default_checkpoint assemble checkpoints/NAME build/NAME
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load_file
from tqdm import tqdm

import modeling_paraclap
from dataset_scripts.folders import locked, written_whole
from modeling_paraclap import ParaClapConfig, ParaClapProcessor
from modeling_paraclap.checkpoint_paraclap import CheckpointError, hash_file, load_strictly
from modeling_paraclap.release_paraclap import save_release
from paraclap.quiet import quiet
from paraclap.resources import resource

from .base_model_names import published_training
from .base_models import BASE_MODELS, WEIGHTS, BaseModel, text_encoder_folder
from .weights import save_weights, tensor_sha256

__all__ = ["CheckpointError", "assemble_release", "default_release", "describe_parts", "text_encoder_folder"]

DEFAULT = "paraclap-base"
PARTS = "parts.json"
WAIT_S = 600.0  # timeout while another process assembles the same release
PREFIXES = ("audio_model.", "text_model.")  # of the towers' tensors, followed by the base models' own names
READABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)


# ------------------------------------------------------------------------------------------------------- taking apart


def strip_base_models(
    release: Path, checkpoint: Path, base_models: Sequence[str], licence: str, extras: Sequence[Path] = ()
) -> Path:
    """Write a release folder without code and without the tensors of its base models.

    Args:
        release: Folder written by `save_release`.
        checkpoint: Folder to write; its earlier files are replaced.
        base_models: Names in `BASE_MODELS` of the encoders that training started from.
        licence: Hub identifier of the model's licence.
        extras: Further files to include, such as the results of an evaluation.

    Returns:
        The checkpoint folder.

    Raises:
        FileNotFoundError: If the release has no model.safetensors, or a base model is missing.
        CheckpointError: If a base model shares no tensor with the release, or the name of an extra file is taken.
    """
    release, checkpoint = Path(release), Path(checkpoint)
    if not (release / WEIGHTS).is_file():
        raise FileNotFoundError(f"{release / WEIGHTS} is missing; expected a release folder with one weights file.")
    files = [file for file in release.iterdir() if file.is_file() and file.suffix != ".py" and file.name != WEIGHTS]
    for extra in map(Path, extras):
        if extra.name in {file.name for file in files}:
            raise CheckpointError(f"{extra} would replace the release's own {extra.name}; give it another name.")
        files.append(extra)
    weights, parts = load_file(release / WEIGHTS), []
    trained = dict(weights)
    for name in base_models:
        taken = shared_tensors(trained, _base_model(name).load())
        if not taken:
            raise CheckpointError(
                f"{release} has no tensor of {name}: all were trained, or training did not start from it. Leave it out."
            )
        parts.append({"base_model": name, "tensors": taken})
        trained = {key: value for key, value in trained.items() if key not in taken}
    checkpoint.mkdir(parents=True, exist_ok=True)
    save_weights(trained, checkpoint / WEIGHTS)
    for file in files:
        shutil.copyfile(file, checkpoint / file.name)
    record = checkpoint / "training.json"
    if record.is_file():
        training = json.loads(record.read_text(encoding="utf-8"))
        record.write_text(json.dumps(published_training(training), indent=2) + "\n", encoding="utf-8")
    content = {
        "licence": licence,
        "parts": [
            {**part, "tensors": {key: tensor_sha256(weights[key]) for key in sorted(part["tensors"])}} for part in parts
        ],
        "trained": {key: tensor_sha256(trained[key]) for key in sorted(trained)},
    }
    (checkpoint / PARTS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return checkpoint


def shared_tensors(weights: Mapping[str, torch.Tensor], base: Mapping[str, torch.Tensor]) -> set[str]:
    """Return the names of a tower's tensors that equal a base model's exactly."""
    return {
        prefix + name
        for prefix in PREFIXES
        for name, value in base.items()
        if prefix + name in weights and torch.equal(weights[prefix + name].float(), value.float())
    }


def _base_model(name: str) -> BaseModel:
    if name not in BASE_MODELS:
        raise CheckpointError(f"Unknown base model {name!r}: expected one of {', '.join(BASE_MODELS)}.")
    return BASE_MODELS[name]


# --------------------------------------------------------------------------------------------------- putting together


def read_parts(checkpoint: Path) -> dict:
    """Return the content of a checkpoint's parts.json.

    Raises:
        FileNotFoundError: If the folder is not a checkpoint.
        CheckpointError: If the file is damaged, or names an unknown base model.
    """
    for name in ("config.json", WEIGHTS, PARTS):
        if not (checkpoint / name).is_file():
            raise FileNotFoundError(f"{checkpoint / name} is missing; expected a checkpoint without its base models.")
    try:
        content = json.loads((checkpoint / PARTS).read_text(encoding="utf-8"))
        names = [part["base_model"] for part in content["parts"]]
        groups = [content["trained"], *(part["tensors"] for part in content["parts"])]
        texts = [content["licence"], *(sha256 for group in groups for sha256 in group.values())]
    except READABLE as error:
        raise CheckpointError(f"{checkpoint / PARTS} cannot be read: {type(error).__name__}: {error}.") from error
    if not all(isinstance(text, str) for text in texts):
        raise CheckpointError(f"{checkpoint / PARTS} is damaged: licence and sha256 must be strings.")
    for name in names:
        _base_model(name)
    return content


def gather_weights(checkpoint: Path, parts: Mapping) -> dict[str, torch.Tensor]:
    """Return all tensors of the model, from the checkpoint and its base models, each checked by its sha256.

    Raises:
        FileNotFoundError: If a base model is missing.
        CheckpointError: If a tensor is missing, unexpected or differs from the one in training.
    """
    total = 1 + len(parts["parts"])
    with tqdm(total=total, desc=f"Assembling {checkpoint.name}", unit="part", leave=False) as bar:
        bar.set_postfix_str(checkpoint.name)
        try:
            weights = load_file(checkpoint / WEIGHTS)
        except SafetensorError as error:
            raise CheckpointError(f"{checkpoint / WEIGHTS} is damaged: {error}.") from error
        _check(weights, parts["trained"], str(checkpoint))
        bar.update()
        for part in parts["parts"]:
            bar.set_postfix_str(part["base_model"])
            base = _base_model(part["base_model"]).load()
            taken = {name: base.get(name.partition(".")[2]) for name in part["tensors"]}
            _check({k: v for k, v in taken.items() if v is not None}, part["tensors"], part["base_model"])
            weights |= taken
            bar.update()
    return weights


def _check(weights: Mapping[str, torch.Tensor], expected: Mapping[str, str], source: str) -> None:
    wrong = sorted(weights.keys() ^ expected.keys())
    wrong += sorted(name for name in weights.keys() & expected.keys() if tensor_sha256(weights[name]) != expected[name])
    if wrong:
        raise CheckpointError(
            f"{len(wrong)} tensors of {source} are missing, unexpected or differ from those in training, "
            f"such as {wrong[0]}. Install it again."
        )


def write_release(checkpoint: Path, parts: Mapping, release: Path) -> None:
    """Write a complete release folder, with the checkpoint's other files.

    Raises:
        FileNotFoundError: If a base model is missing.
        CheckpointError: If checkpoint and base models do not form a complete model.
    """
    weights = gather_weights(checkpoint, parts)
    model = load_strictly(ParaClapConfig.from_pretrained(checkpoint), weights, f"{checkpoint} and its base models")
    with quiet():
        save_release(model, ParaClapProcessor.from_pretrained(checkpoint), release)
    save_weights(weights, release / WEIGHTS)
    for file in checkpoint.iterdir():
        if file.is_file() and not (release / file.name).exists():
            shutil.copyfile(file, release / file.name)


def assemble_release(checkpoint: Path, release: Path) -> bool:
    """Assemble a complete release folder from a checkpoint and its base models.

    The sources are recorded in RELEASE.sources.json beside the folder; a second call does nothing while that file and
    the folder are unchanged.

    Args:
        checkpoint: Folder written by `strip_base_models`.
        release: Folder to write. An existing one is replaced only once the new one is complete.

    Returns:
        Whether the folder was written.

    Raises:
        FileNotFoundError: If the checkpoint or a base model is missing.
        CheckpointError: If weights are missing, unexpected or changed.
    """
    checkpoint, release = Path(checkpoint), Path(release)
    parts = read_parts(checkpoint)
    record = release.parent / f"{release.name}.sources.json"
    sources = hash_sources(checkpoint)
    if record.is_file() and release.is_dir():
        made = record.read_text(encoding="utf-8")
        if made == describe_sources(sources, release):
            return False
    with locked(release, WAIT_S), written_whole(release) as folder:
        write_release(checkpoint, parts, folder)
    record.write_text(describe_sources(sources, release), encoding="utf-8")
    return True


def describe_sources(sources: Mapping[str, Mapping[str, str]], release: Path) -> str:
    """Return the sources and the files of a release as JSON."""
    return json.dumps({"sources": sources, "release": hash_files(release.iterdir())}, indent=2) + "\n"


def hash_sources(checkpoint: Path) -> dict[str, dict[str, str]]:
    """Return the sha256 of all source files of a release of this checkpoint, except the base models'."""
    code = Path(modeling_paraclap.__file__).parent.glob("*.py")
    return {"checkpoint": hash_files(checkpoint.iterdir()), "code": hash_files(code)}


def hash_files(files: Iterable[Path]) -> dict[str, str]:
    """Return name -> sha256 of the files among these paths."""
    return {file.name: hash_file(file) for file in sorted(files) if file.is_file()}


# -------------------------------------------------------------------------------------------------- the default model


def default_folder(cache_dir: Path | None = None) -> Path:
    """Return the folder of the default model's release; its name has the version of weights and code."""
    sources = json.dumps(hash_sources(resource(f"checkpoints/{DEFAULT}")), sort_keys=True)
    version = hashlib.sha256(sources.encode()).hexdigest()[:12]
    return Path(cache_dir or user_cache_path("paraclap")) / f"{DEFAULT}-{version}"


def default_release(cache_dir: Path | None = None) -> Path:
    """Return the release folder of the default model, assembled first if it does not exist.

    Args:
        cache_dir: Parent folder; the user's cache folder if not given.

    Raises:
        FileNotFoundError: If a base model is missing.
        CheckpointError: If the parts do not form the model.
    """
    release = default_folder(cache_dir)
    record = release.with_name(f"{release.name}.files.json")

    def is_complete() -> bool:
        try:
            return json.loads(record.read_text(encoding="utf-8")) == file_sizes(release)
        except (FileNotFoundError, ValueError):
            return False

    if is_complete():
        return release
    checkpoint = resource(f"checkpoints/{DEFAULT}")
    with locked(release, WAIT_S):
        if not is_complete():  # another process may have assembled it meanwhile
            with written_whole(release) as folder:
                write_release(checkpoint, read_parts(checkpoint), folder)
            record.write_text(json.dumps(file_sizes(release)) + "\n", encoding="utf-8")
    return release


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes in bytes of a folder's files by name; empty if the folder does not exist."""
    return {file.name: file.stat().st_size for file in sorted(folder.glob("*")) if file.is_file()}


def describe_parts(folder: Path) -> list[tuple[str, str]]:
    """Return the sources of a checkpoint, or of the release assembled from it, as pairs of subject and description.

    Raises:
        CheckpointError: If its parts.json is damaged.
    """
    parts = read_parts(folder)
    lines = [("trained", f"{len(parts['trained'])} tensors")]
    for part in parts["parts"]:
        base = _base_model(part["base_model"])
        lines += [
            ("base model", f"{base.name} ({base.licence}), {len(part['tensors'])} tensors; revision {base.revision}"),
            ("", f"{base.sha256}  {', '.join(base.packages)}"),
        ]
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    strip = commands.add_parser("strip", help="write a release folder as a checkpoint without its base models")
    strip.add_argument("release", type=Path)
    strip.add_argument("checkpoint", type=Path)
    strip.add_argument(
        "--base_model", nargs="+", required=True, choices=BASE_MODELS, help="base models that training started from"
    )
    strip.add_argument("--license", required=True, help="of the model")
    strip.add_argument("--extra", type=Path, nargs="*", default=[], help="further files to include")
    assemble = commands.add_parser("assemble", help="write a release folder from a checkpoint and its base models")
    assemble.add_argument("checkpoint", type=Path)
    assemble.add_argument("release", type=Path)
    args = parser.parse_args(arguments)
    try:
        print(_run(args))
    except (FileNotFoundError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(args: argparse.Namespace) -> str:
    if args.command == "strip":
        folder = strip_base_models(args.release, args.checkpoint, args.base_model, args.license, args.extra)
        size = sum(file.stat().st_size for file in folder.iterdir())
        return f"{folder}: {size / 1e6:.1f} MB without {' and '.join(args.base_model)}"
    if assemble_release(args.checkpoint, args.release):
        return f"{args.release}: assembled from {args.checkpoint} and its base models"
    return f"{args.release}: already assembled from {args.checkpoint}, nothing to do"


if __name__ == "__main__":
    raise SystemExit(main())
