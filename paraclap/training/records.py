"""Records that a run writes during training: tables of steps and epochs, and the progress."""

import csv
import json
import os
from pathlib import Path
from typing import Any


def write_progress(record: Path, seconds: float, steps_made: int, steps_of_all_epochs: int) -> None:
    """Write the progress of training to the record of a release, whose card says whether it was cut short.

    Args:
        record: The JSON file, written atomically.
        seconds: Duration in s, summed over resumes.
        steps_made: Steps so far, including those after the released epoch.
        steps_of_all_epochs: Steps of `num_train_epochs` epochs.
    """
    progress = {"seconds": round(seconds, 1), "steps_made": steps_made, "steps_of_all_epochs": steps_of_all_epochs}
    content = json.loads(record.read_text(encoding="utf-8")) | progress
    temporary = record.with_name(f"{record.name}.partial")
    with open(temporary, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(content, indent=2) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, record)


def write_row(file: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV whose first column is increasing; a resumed run overwrites the rows that it repeats.

    Args:
        file: The CSV, written atomically.
        row: Values by column; the first is the step or the epoch.
    """
    key = next(iter(row))
    rows = [old for old in read_rows(file) if int(old[key]) < row[key]]
    temporary = file.with_name(f"{file.name}.partial")
    with open(temporary, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(row))
        writer.writeheader()
        writer.writerows([*rows, row])
    os.replace(temporary, file)


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV as dicts of strings; empty if the file does not exist."""
    if not file.exists():
        return []
    with open(file, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
