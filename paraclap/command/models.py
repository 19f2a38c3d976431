"""Find and load the model: the default one, a release folder, or a Hub repo id."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from paraclap.quiet import quiet

from .errors import CommandError

if TYPE_CHECKING:
    from modeling_paraclap.scoring_paraclap import Scorer

CONFIGURATION = "config.json"


class ModelError(CommandError):
    """Raised for a model that cannot be found or is not a ParaCLAP model."""


def model_folder(model: str | None) -> Path:
    """Return the folder of a model.

    Args:
        model: A release folder, or a Hub repo id, which is downloaded once; None for the default model, which is
            assembled once in the user's cache folder.

    Raises:
        ModelError: If there is no such model.
    """
    if model is None:
        return _default_folder()
    folder = Path(model).expanduser()
    if (folder / CONFIGURATION).is_file():
        return _checked(folder)
    if folder.exists() or model.count("/") != 1 or model.startswith((".", "~", "/")):
        raise ModelError(
            f"{model!r} is not a release folder: it has no {CONFIGURATION}. Give a folder written by training or "
            "save_release, or a Hub repo id (ORG/NAME)."
        )
    return _from_hub(model)


def _default_folder() -> Path:
    from modeling_paraclap.checkpoint_paraclap import CheckpointError
    from paraclap.publishing.default_checkpoint import default_release

    try:
        return default_release()
    except (CheckpointError, OSError) as error:
        raise ModelError(str(error)) from error


def _from_hub(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.txt", "README.md"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"The model {model!r} cannot be downloaded: {str(error).strip().splitlines()[0]} Check its name and the "
            "connection, or give a release folder."
        ) from error
    return _checked(folder)


def _checked(folder: Path) -> Path:
    """Raise ModelError if the folder is of a model of another type."""
    try:
        kind = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / CONFIGURATION} cannot be read: {error}") from error
    if kind != "paraclap":
        raise ModelError(f"{folder} holds a model of the type {kind!r}; expected 'paraclap'.")
    return folder


@lru_cache(maxsize=1)
def load_scorer(folder: Path) -> "Scorer":
    """Load a release for inference on this machine's processor.

    Raises:
        ModelError: If its files are damaged or incomplete.
    """
    from safetensors import SafetensorError

    from modeling_paraclap.scoring_paraclap import Scorer

    try:
        with quiet():  # the weights are there in no time
            scorer = Scorer.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"The model in {folder} cannot be loaded, its files may be damaged: {reason}") from error
    gc.freeze()  # what is loaded stays: collections need not traverse it
    gc.enable()
    return scorer


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection while importing and loading, which saves a sixth of the time to the first answer.

    Loading a model, or the end of the context, enables it again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def facts_of(folder: Path, is_default: bool) -> list[tuple[str, str]]:
    """Return name, folder, licence, towers, template and size of a model, and the sha256 of its parts."""
    import yaml

    from modeling_paraclap.checkpoint_paraclap import hash_file

    configuration = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    card = folder / "README.md"
    parts = card.read_text(encoding="utf-8").split("---\n", 2) if card.is_file() else []
    header = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    towers = [f"{kind} {configuration[f'{kind}_config'].get('model_type', '?')}" for kind in ("audio", "text")]
    sizes = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    facts = [
        ("model", f"{folder.name}{' (the default)' if is_default else ''}"),
        ("folder", str(folder)),
        ("licence", str((header or {}).get("license", "not stated"))),
        ("towers", ", ".join(towers)),
        ("template", str(configuration.get("hypothesis_template"))),
        ("size", f"{sizes / 1e6:.0f} MB"),
    ]
    if (folder / "parts.json").is_file():
        from paraclap.publishing.default_checkpoint import describe_parts

        facts += describe_parts(folder)
    names = sorted(file.name for file in folder.iterdir() if file.suffix in (".safetensors", ".json"))
    return facts + [("sha256", f"{hash_file(folder / name)}  {name}") for name in names]
