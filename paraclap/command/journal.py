"""An append-only journal of results, from which a stopped run resumes.

The first line holds the questions and the model; each further line is the result of one recording, written and flushed
as soon as it is done. A line cut short by a kill is dropped. The journal stays beside its table, so that a later run
only processes new or changed files.
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import CommandError
from .recordings import Recording


class JournalError(CommandError):
    """Raised for a journal that belongs to another run or is in use."""


class Journal:
    """The journal of one table.

    Args:
        file: Path of the journal.
        settings: Questions and model; results of other settings are not reused.
    """

    def __init__(self, file: Path, settings: dict[str, Any]):
        self.file = Path(file)
        self.settings = json.loads(json.dumps(settings))
        self.known: dict[tuple[str, int, int], dict[str, Any]] = {}
        self._stream = None
        self._writing = threading.Lock()

    @contextmanager
    def open(self, resume: bool | None) -> Iterator["Journal"]:
        """Hold the journal for one run.

        Args:
            resume: True resumes, False starts over, and None starts over unless a run was stopped.

        Raises:
            JournalError: If another run holds it, results of a stopped run would be lost, or the settings differ.
        """
        with hold(self.file):
            lines, whole = _read(self.file)
            self._begin(lines, whole, resume)
            with self.file.open("ab") as self._stream:
                yield self

    def _begin(self, lines: list[dict], whole: int, resume: bool | None) -> None:
        """Read the results of the file, or start a new one."""
        settings, *rows = lines or [None]
        finished = bool(rows) and rows[-1].get("finished") is not None
        rows = [row for row in rows if "key" in row]
        check_resume(self.file, resume, 0 if finished else len(rows), (settings or {}).get("settings"), self.settings)
        if resume and settings is not None:
            self.known = {tuple(row["key"]): row["result"] for row in rows}
            os.truncate(self.file, whole)
        else:
            line = json.dumps({"settings": self.settings}) + "\n"
            self.file.write_text(line, encoding="ascii")

    def add(self, recording: Recording, result: dict[str, Any]) -> None:
        """Write the result of a recording; without a key, a later change could not be noticed, so it is not written."""
        if recording.key is not None:
            self._write({"key": recording.key, "result": result})

    def finish(self, recordings: Sequence[Recording]) -> None:
        """Mark the run as complete."""
        self._write({"finished": len(recordings)})

    def _write(self, line: dict[str, Any]) -> None:
        with self._writing:  # one write a line: a kill leaves no line mixed with another
            self._stream.write(json.dumps(line).encode("ascii") + b"\n")
            self._stream.flush()


def _read(file: Path) -> tuple[list[dict], int]:
    """Return the complete lines of a file and their length in bytes."""
    lines, whole = [], 0
    if file.is_file():
        for line in file.read_bytes().splitlines(keepends=True):
            try:
                content = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                content = None
            if not isinstance(content, dict):
                break
            lines.append(content)
            whole += len(line)
        if file.stat().st_size and not whole and b"\n" in file.read_bytes():
            raise JournalError(f"{file} is not a journal of paraclap. Move it away, or choose another output.")
    return lines, whole


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Lock a file or folder against other runs.

    Raises:
        JournalError: If another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise JournalError(f"Another run is writing {path}. Wait for it, or choose another output.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # where an open file cannot be removed
            os.unlink(lock.lock_file)
        lock.release()


def check_resume(path: Path, resume: bool | None, unfinished: int, old: dict | None, new: dict[str, Any]) -> None:
    """Check that a run may write where an earlier one has left results.

    Args:
        path: Where the results are.
        resume: See `Journal.open`.
        unfinished: Number of results that a stopped run has left; 0 after a complete run.
        old: Settings of the earlier run; None if there was none.
        new: Settings of this run.

    Raises:
        JournalError: If results of a stopped run would be lost, or results of other settings reused.
    """
    if resume is None and unfinished:
        raise JournalError(
            f"A run that wrote {path} was stopped after {unfinished} recordings. Continue it with --resume, or start "
            "over with --no-resume."
        )
    if resume and old is not None and old != new:
        changed = [name for name in new if old.get(name) != new[name]]
        raise JournalError(
            f"{path} belongs to a run with another {' and another '.join(changed) or 'version of paraclap'}. Repeat "
            "that run's options, choose another output, or start over with --no-resume."
        )
