"""A run's config.json: its arguments and environment, and what a resumed run may change."""

import hashlib
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from modeling_paraclap.modeling_paraclap import ParaClapModel
from modeling_paraclap.processing_paraclap import ParaClapProcessor
from paraclap.revision import git_revision

from .arguments import Arguments

CONFIG = "config.json"
PACKAGES = ("torch", "torchaudio", "transformers", "accelerate", "datasets", "numpy")
UNRECORDED = ("config", "resume", "output_dir")
# Arguments that a resumed run may change: technical ones, and remedies for failures. Each change is recorded.
MAY_CHANGE = (
    "audio_states_dir",
    "checkpoint_every",
    "compile",
    "keep_checkpoints",
    "keep_decoded",
    "log_every",
    "max_grad_norm",
    "micro_batch_size",
    "num_workers",
    "profile",
    "report_to",
    "tf32",
)
# Arguments that may change if the learning rate schedule does not depend on them.
LENGTH = ("num_train_epochs", "max_steps")
# Locations, which may change if their content is the same according to `identity`.
ADDRESSES = {
    "corpus_dir": "corpus",
    "audio_model_name_or_path": "model",
    "audio_config": "model",
    "text_model_name_or_path": "model",
    "text_config": "model",
    "tokenizer_name_or_path": "tokenizer",
}


def describe_run(args: Arguments, accelerator: Accelerator) -> dict[str, Any]:
    """Return the content of config.json without the `identity`, which is determined later."""
    versions = {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    return {
        "arguments": {name: value for name, value in args.flat().items() if name not in UNRECORDED},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_revision": git_revision(),
        "device": describe_device(accelerator),
        "mixed_precision": accelerator.mixed_precision,
        "versions": {name: value for name, value in versions.items() if value},
    }


def identify(corpus: str, model: ParaClapModel, processor: ParaClapProcessor) -> dict[str, str]:
    """Return hashes of the corpus, the model's configuration, and the tokenizer.

    Args:
        corpus: Hash of the corpus.
        model: The model; its weights are ignored, as a resumed run loads those of its checkpoint.
        processor: The processor.
    """
    tokenizer = processor.tokenizer
    return {
        "corpus": corpus,
        "model": _hash(_without_addresses(model.config.to_dict())),
        "tokenizer": _hash(
            [tokenizer.get_vocab(), tokenizer.special_tokens_map, tokenizer("A Test, äöü")["input_ids"]]
        ),
    }


def read_config(run: Path) -> dict[str, Any] | None:
    """Return a run's config.json; None if there is none.

    Raises:
        SystemExit: If it cannot be read.
    """
    file = run / CONFIG
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content["arguments"], dict) or not isinstance(content["device"]["processes"], int):
            raise ValueError("it does not describe a run")
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{file} is damaged ({error!r}): start another run with another --output_dir.")
    return content


def write_config(run: Path, content: dict[str, Any]) -> None:
    """Write config.json atomically."""
    partial = run / f"{CONFIG}.partial"
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, run / CONFIG)


def refuse_changes(run: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to resume a run with arguments that must not change.

    Args:
        run: Folder of the run, for the message.
        before: The run's config.json.
        now: The output of [`describe_run`], with or without the `identity`.

    Raises:
        SystemExit: If such an argument differs; the message has the old and the new values.
    """
    changed = [
        f"--{name} {_shown(old)} (given: {_shown(new)})"
        for name, (old, new) in _changed_arguments(before, now).items()
        if not _may_change(name, now) and name not in ADDRESSES
    ]
    for what, old, new in (
        ("processes", before["device"]["processes"], now["device"]["processes"]),
        ("mixed precision", before.get("mixed_precision"), now["mixed_precision"]),
    ):
        if old != new and not (what == "mixed precision" and any("--mixed_precision" in text for text in changed)):
            changed.append(f"{what} {old} (now: {new})")
    if "identity" in now:
        was = before.get("identity", {})
        changed += [
            f"another {what} than the present one" for what in now["identity"] if was.get(what) != now["identity"][what]
        ]
    if changed:
        sys.exit(
            f"{run} was started with {', '.join(changed)}. A run cannot change that: "
            "resume it as it was started, or start another with another --output_dir."
        )


def record_resume(before: dict[str, Any], now: dict[str, Any], step: int) -> dict[str, Any]:
    """Return the content of config.json after a resume, with the changes and their step under `changes`."""
    changes = {
        name: {"from": old, "to": new}
        for name, (old, new) in _changed_arguments(before, now).items()
        if name not in ("corpus_dir",)
    }
    for name in ("git_revision", "device", "versions"):
        if before.get(name) != now[name]:
            changes[name] = {"from": before.get(name), "to": now[name]}
    history = before.get("changes", [])
    if changes:
        history = [*history, {"step": step, **changes}]
    return before | now | {"changes": history}


def _changed_arguments(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    old, new = before["arguments"], now["arguments"]
    return {name: (old.get(name), value) for name, value in new.items() if old.get(name) != value}


def _may_change(name: str, now: dict[str, Any]) -> bool:
    return name in MAY_CHANGE or (name in LENGTH and now["arguments"]["lr_scheduler_type"] == "constant")


def _shown(value: Any) -> str:
    return "not given" if value is None else repr(value) if isinstance(value, str) else str(value)


def _without_addresses(content: Any) -> Any:
    """Return a configuration without the values that depend on machine or version."""
    if not isinstance(content, dict):
        return content
    dropped = ("_name_or_path", "transformers_version")
    return {name: _without_addresses(value) for name, value in content.items() if name not in dropped}


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe_device(accelerator: Accelerator) -> dict[str, Any]:
    """Return the device's `name` and the number of `processes`, each of which has one such device."""
    if accelerator.device.type == "cuda":
        name = torch.cuda.get_device_name(accelerator.device)
    else:
        name = f"{accelerator.device.type.upper()}{_describe_processor()}"
    return {"name": name, "processes": accelerator.num_processes}


def _describe_processor() -> str:
    """Return the processor's name and the number of usable cores, in brackets; known on Linux only."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        cores = len(os.sched_getaffinity(0))
    except (OSError, AttributeError):
        return f" ({platform.machine()})"
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return f" ({names[0] if names else platform.machine()}, {cores} cores)"
