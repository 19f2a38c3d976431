"""An append-only record of what each recording gave, so that a run that was stopped goes on where it was.

The first line says what was asked of which model; every further line is one recording, written and flushed as soon as
it is done. A line that was cut short by a kill is dropped. The journal stays beside the table that it belongs to, and
with it a later run takes only what is new or has changed.
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
    """A journal that belongs to another run, or is in use."""


class Journal:
    """The record of one table.

    Args:
        file: Where it is kept.
        settings: What must be the same for its lines to count: questions, model.
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
            resume: True goes on; False starts over; None starts over unless a run was stopped, which is an error.

        Raises:
            JournalError: If another run holds it, a stopped run's would be overwritten, or it is of other settings.
        """
        with hold(self.file):
            lines, whole = _read(self.file)
            self._begin(lines, whole, resume)
            with self.file.open("ab") as self._stream:
                yield self

    def _begin(self, lines: list[dict], whole: int, resume: bool | None) -> None:
        """Take over what the file holds, or begin it anew."""
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
        """Write what a recording gave; one without a key is not written, for its next version looks the same."""
        if recording.key is not None:
            self._write({"key": recording.key, "result": result})

    def finish(self, recordings: Sequence[Recording]) -> None:
        """Note that all recordings are done."""
        self._write({"finished": len(recordings)})

    def _write(self, line: dict[str, Any]) -> None:
        with self._writing:  # one write a line: a kill leaves no line mixed with another
            self._stream.write(json.dumps(line).encode("ascii") + b"\n")
            self._stream.flush()


def _read(file: Path) -> tuple[list[dict], int]:
    """The whole lines of a file, and how many bytes they take."""
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
            raise JournalError(f"{file} is not a journal of this program. Move it away, or choose another output.")
    return lines, whole


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep other runs away from a file or folder.

    Raises:
        JournalError: If another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise JournalError(f"Another run writes {path}. Wait for it, or choose another output.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # where an open file cannot be removed
            os.unlink(lock.lock_file)
        lock.release()


def check_resume(path: Path, resume: bool | None, unfinished: int, old: dict | None, new: dict[str, Any]) -> None:
    """Raise JournalError if a stopped run's results would be lost, or those of another run taken for this one's.

    Args:
        path: Where the results are kept.
        resume: See `Journal.open`.
        unfinished: How many results a stopped run has left; 0 after one that ended.
        old: The settings that they are of; None if there are none.
        new: The settings of this run.
    """
    if resume is None and unfinished:
        raise JournalError(
            f"A run that wrote {path} was stopped after {unfinished} recordings. --resume goes on with it, --no-resume "
            "starts over."
        )
    if resume and old is not None and old != new:
        changed = [name for name in new if old.get(name) != new[name]]
        raise JournalError(
            f"{path} is of a run with another {' and another '.join(changed) or 'version of this program'}. Run with "
            "the same, choose another output, or start over with --no-resume."
        )
