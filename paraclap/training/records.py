"""What a run writes as it goes: tables of steps and epochs, and the time that training took."""

import csv
import json
import os
from pathlib import Path
from typing import Any


def write_seconds(record: Path, seconds: float) -> None:
    """Put the seconds that training has taken so far into the record of a release.

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


def write_row(file: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV whose first column rises; a resumed run overwrites what it repeats.

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


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV as dicts of strings; none if there is no such file."""
    if not file.exists():
        return []
    with open(file, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
