"""What a run writes about itself: its configuration, tables of steps and epochs, and their curves."""

import csv
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from paraclap.revision import git_revision

from .arguments import Arguments

PACKAGES = ("torch", "torchaudio", "transformers", "accelerate", "datasets", "numpy")


def write_config(run: Path, args: Arguments, device: dict[str, Any]) -> None:
    """Write the run's config.json and print the arguments.

    Args:
        run: Folder of the run.
        args: Arguments of the run.
        device: What it runs on, of [`describe_device`].
    """
    content = {
        "arguments": {name: value for name, value in args.flat().items() if name not in ("resume", "config")},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_revision": git_revision(),
        "device": device,
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    }
    (run / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for name, value in sorted(content["arguments"].items()):
        print(f"  {name:26} {value}")


def describe_device(accelerator):
    """Dict of the device's `name` and the number of `processes`, each of which has one such device."""
    if accelerator.device.type == "cuda":
        name = torch.cuda.get_device_name(accelerator.device)
    else:
        name = f"{accelerator.device.type.upper()}{_processor_of()}"
    return {"name": name, "processes": accelerator.num_processes}


def _processor_of():
    """Name of the machine's processor and the cores that this process may use, in brackets; Linux alone tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        cores = len(os.sched_getaffinity(0))
    except (OSError, AttributeError):
        return f" ({platform.machine()})"
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return f" ({names[0] if names else platform.machine()}, {cores} cores)"


def write_seconds(record, seconds):
    """Puts the seconds that training has taken so far into the record of a release.

    Args:
        record: The JSON file; written whole or not at all.
        seconds: Summed over resumes.
    """
    content = json.loads(record.read_text(encoding="utf-8")) | {"seconds": round(seconds, 1)}
    temporary = record.with_name(f"{record.name}.partial")
    with open(temporary, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(content, indent=2) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, record)


def write_row(file, row):
    """Adds a row to a CSV whose first column rises; a resumed run overwrites what it repeats.

    Args:
        file: The CSV; written whole or not at all.
        row: Column to value; the first is the step or the epoch.
    """
    key = next(iter(row))
    rows = [old for old in read_rows(file) if int(old[key]) < row[key]]
    temporary = file.with_name(f"{file.name}.partial")
    with open(temporary, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(row))
        writer.writeheader()
        writer.writerows([*rows, row])
    os.replace(temporary, file)


def read_rows(file):
    """The rows of a CSV as dicts of strings; none if there is no such file."""
    if not file.exists():
        return []
    with open(file, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def draw_curves(run):
    """Draws curves.png from steps.csv and history.csv: loss, zero-shot UAR, and the indicators of collapse."""
    steps, epochs = read_rows(run / "steps.csv"), read_rows(run / "history.csv")
    figure = Figure(figsize=(15, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    _plot(axes[0], steps, ["loss"])
    axes[0].set_title("training loss")
    measures = [name for name in (epochs[0] if epochs else {}) if name.startswith("uar")]
    _plot(axes[1], epochs, measures)
    axes[1].set(title="zero-shot UAR, validation", ylim=(0, 1))
    _plot(axes[2], epochs, ["top_class", "mean_cosine"])
    axes[2].set(title="collapse: share of one class, mean cosine", ylim=(-0.1, 1))
    for axis in axes:
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    figure.savefig(run / "curves.png", dpi=110)


def _plot(axis, rows, names):
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        if points:
            axis.plot(*zip(*points, strict=True), marker="." if len(points) < 60 else None, label=name)
    if axis.lines:
        axis.legend(fontsize=7)
