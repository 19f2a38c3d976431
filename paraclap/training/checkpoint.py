"""Training checkpoints: written atomically, verified when they are read, and free of pickles.

A checkpoint is a folder `step-00000200` with

    model.safetensors                       the weights
    optimizer, scheduler, ... .safetensors  tensors of their states, with the rest in .json
    random-00000.safetensors and .json      random states of process 0, and so on
    state.json                              where the run stands
    manifest.json                           size and sha256 of each file
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from dataset_scripts.folders import partial_of, replace_folder
from modeling_paraclap.checkpoint_paraclap import hash_file
from modeling_paraclap.release_paraclap import share_rights

from .random_state import random_state, set_random_state
from .state import RunState
from .trees import load_tree, save_tree

MANIFEST, STATE, MODEL = "manifest.json", "state.json", "model.safetensors"
FORMAT = 2  # 1 was accelerate's, with pickles
UNLOADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


class Stateful(Protocol):
    """A training component with a state, such as an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state."""


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: Folder of the checkpoints.
        accelerator: The run's accelerator.
        model: The unwrapped model.
        parts: Optimizer, schedule and other components with a state, by name.
        keep: Number of checkpoints to keep.
    """

    def __init__(
        self,
        folder: Path,
        accelerator: Accelerator,
        model: torch.nn.Module,
        parts: Mapping[str, Stateful],
        keep: int = 2,
    ):
        self.folder, self.accelerator, self.model, self.parts, self.keep = folder, accelerator, model, parts, keep

    def save(self, state: RunState) -> None:
        """Write a checkpoint and remove all but the newest `keep`; all processes call this."""
        final = self.folder / f"step-{state.step:08d}"
        partial = partial_of(final)
        if self.accelerator.is_main_process:
            for killed in self.folder.glob(".step-*.partial"):
                shutil.rmtree(killed)
            partial.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        save_tree(random_state(self.accelerator.device), partial / self._random_states())
        if self.accelerator.is_main_process:
            save_model(self.model, str(partial / MODEL), metadata={"format": "pt"})
            for name, part in self.parts.items():
                save_tree(part.state_dict(), partial / name)
            _write_json(partial / STATE, state.to_dict())
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            _write_json(partial / MANIFEST, {"format": FORMAT, "files": _describe(partial)})
            share_rights(partial, MANIFEST, "*.safetensors")
            replace_folder(partial, final)
            for old in complete_checkpoints(self.folder)[: -self.keep]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def load(self, batches: int | None = None) -> RunState | None:
        """Load the newest intact checkpoint, and set damaged newer ones aside.

        Args:
            batches: Batches per epoch, to validate the state.

        Returns:
            The state of the run; None if there is no checkpoint.

        Raises:
            SystemExit: If all checkpoints are damaged, or the newest is from a version that wrote pickles.
        """
        found = complete_checkpoints(self.folder)
        reasons = []
        for checkpoint in reversed(found):
            reason, state = self._check(checkpoint, batches)
            if reason is None:
                reason = self._load(checkpoint)
            if reason is None:
                self._set_aside(found[found.index(checkpoint) + 1 :])
                return state
            reasons.append(f"{checkpoint} is damaged: {reason}.")
            self.accelerator.print(reasons[-1])
        if found:
            sys.exit(f"{reasons[0]} No older checkpoint is intact: start another run with another --output_dir.")
        return None

    def _check(self, checkpoint: Path, batches: int | None) -> tuple[str | None, RunState | None]:
        """Return the fault of a checkpoint, or its state, as determined by the main process for all."""
        answer: list[Any] = [None, None]
        if self.accelerator.is_main_process:
            try:
                answer = [None, check_checkpoint(checkpoint, batches)]
            except (OSError, ValueError) as error:
                answer = [str(error), None]
        reason, state = broadcast_object_list(answer)
        return reason, state

    def _load(self, checkpoint: Path) -> str | None:
        """Load a checkpoint whose files are intact; return the reason if its content does not fit."""
        device = self.accelerator.device
        try:
            load_model(self.model, checkpoint / MODEL)
            for name, part in self.parts.items():
                part.load_state_dict(load_tree(checkpoint / name))
            set_random_state(load_tree(checkpoint / self._random_states()), device)
        except UNLOADABLE as error:
            return f"{type(error).__name__}, {' '.join(str(error).split())[:300]}"
        return None

    def _set_aside(self, damaged: list[Path]) -> None:
        if self.accelerator.is_main_process:
            for checkpoint in damaged:
                aside = checkpoint.with_name(f"{checkpoint.name}.damaged")
                shutil.rmtree(aside, ignore_errors=True)
                checkpoint.rename(aside)
        self.accelerator.wait_for_everyone()

    def _random_states(self) -> str:
        return f"random-{self.accelerator.process_index:05d}"


def check_checkpoint(checkpoint: Path, batches: int | None = None) -> RunState:
    """Return the state of a checkpoint after verifying all its files.

    Args:
        checkpoint: Folder of the checkpoint.
        batches: Batches per epoch, to validate the state.

    Raises:
        SystemExit: If it was written by a version that wrote pickles.
        OSError: If a file cannot be read.
        ValueError: If a file is missing or differs from the manifest, or the state is invalid.
    """
    if not (checkpoint / MANIFEST).exists() and any(checkpoint.glob("*.bin")):
        sys.exit(
            f"{checkpoint} was written by paraclap 0.1, whose checkpoints hold pickles, which are no longer read: "
            "finish that run with paraclap 0.1, or start another with another --output_dir."
        )
    manifest = _read_json(checkpoint / MANIFEST)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or manifest.get("format") != FORMAT or not {MODEL, STATE} <= files.keys():
        raise ValueError(f"{MANIFEST} does not list the files of a checkpoint")
    for name, expected in files.items():
        if Path(name).name != name:
            raise ValueError(f"{MANIFEST} names {name!r}, which is not a file of the folder")
        if not (checkpoint / name).is_file():
            raise ValueError(f"{name} is missing")
        if _describe_file(checkpoint / name) != expected:
            raise ValueError(f"{name} differs from its size and checksum in {MANIFEST}")
    state = RunState.from_dict(_read_json(checkpoint / STATE), batches)
    if checkpoint.name != f"step-{state.step:08d}":
        raise ValueError(f"its state is that of step {state.step}")
    return state


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints in a folder, oldest first."""
    return sorted(path for path in folder.glob("step-????????") if path.is_dir() and path.name[5:].isdecimal())


def where_to_continue(run: str | Path) -> str:
    """Return a sentence that says how to resume an interrupted run."""
    newest = complete_checkpoints(Path(run) / "checkpoints")[-1:]
    return f"{newest[0]} is complete: resume with --resume." if newest else "There is no checkpoint yet."


def _describe(folder: Path) -> dict[str, dict[str, Any]]:
    return {file.name: _describe_file(file) for file in sorted(folder.iterdir())}


def _describe_file(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": hash_file(file)}


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{file.name} is missing") from error
    except ValueError as error:
        raise ValueError(f"{file.name} is not JSON") from error
