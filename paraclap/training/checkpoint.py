"""Training state on disk: written whole or not at all, so that a killed run goes on from the newest complete one."""

import json
import shutil
from pathlib import Path

from dataset_scripts.folders import replace_folder

COMPLETE = "state.json"


def save_checkpoint(accelerator, folder, state, keep=2):
    """Writes weights, optimizer, schedule, random states and the position in the epoch; keeps the newest `keep`.

    Args:
        accelerator: Its `save_state` writes all that it has prepared.
        folder: Folder of the run's checkpoints.
        state: Dict of plain values: at least `step`, `epoch` and `batch`.
        keep: Number of checkpoints to keep.
    """
    folder = Path(folder)
    final = folder / f"step-{state['step']:08d}"
    temporary = folder / f"{final.name}.partial"
    if accelerator.is_main_process:
        for killed in folder.glob("*.partial"):
            shutil.rmtree(killed)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (temporary / COMPLETE).write_text(json.dumps(state, indent=2), encoding="utf-8")
        replace_folder(temporary, final)
        for old in complete_checkpoints(folder)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def where_to_continue(run):
    """A sentence about what is left of an interrupted run."""
    newest = complete_checkpoints(Path(run) / "checkpoints")[-1:]
    return f"{newest[0]} is complete: go on with --resume." if newest else "There is no checkpoint yet."


def complete_checkpoints(folder):
    """The complete checkpoints in a folder, oldest first. A killed write leaves none that looks complete."""
    return sorted(path.parent for path in Path(folder).glob(f"step-????????/{COMPLETE}"))


def load_checkpoint(accelerator, folder):
    """Loads the newest complete checkpoint into all that the accelerator has prepared.

    Returns:
        The `state` that [`save_checkpoint`] was given, or None if there is no complete checkpoint.
    """
    found = complete_checkpoints(folder)
    if not found:
        return None
    accelerator.load_state(str(found[-1]))
    return json.loads((found[-1] / COMPLETE).read_text(encoding="utf-8"))
