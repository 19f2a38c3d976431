"""Folders that are written whole or not at all, and by one process at a time."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

RELEASE_S = 30.0  # in which the worker processes of a killed process notice that and end


class FolderInUseError(RuntimeError):
    """Another process writes to the folder."""


@contextmanager
def written_whole(final: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `final` when the block ends without an error.

    If the block raises, `final` stays as it was and the new folder is removed. Where two processes may write the same
    folder, hold [`locked`] around this.

    Args:
        final: The folder to make or to replace.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    restore_folder(final)
    partial = partial_of(final)
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    partial.mkdir()
    try:
        yield partial
        replace_folder(partial, final)
    except BaseException:  # on Ctrl-C, too
        shutil.rmtree(partial, ignore_errors=True)
        raise


def partial_of(final: Path) -> Path:
    """Return where a folder is written before it is complete."""
    return final.with_name(f".{final.name}.partial")


def replace_folder(partial: Path, final: Path) -> None:
    """Make a folder the final one, in the place of a former one, after its files have reached the disk."""
    for path in (*sorted(partial.rglob("*")), partial):
        _sync(path)
    former = _former_of(final)
    shutil.rmtree(former, ignore_errors=True)
    if final.exists():
        final.rename(former)
    partial.rename(final)
    shutil.rmtree(former, ignore_errors=True)
    _sync(final.parent)


def restore_folder(final: Path) -> None:
    """Undo a [`replace_folder`] that was killed after the former folder had gone and before the new one had come."""
    former = _former_of(final)
    if former.exists() and not final.exists():
        former.rename(final)
    shutil.rmtree(former, ignore_errors=True)


def _former_of(final: Path) -> Path:
    return final.with_name(f".{final.name}.former")


def _sync(path: Path) -> None:
    if path.is_symlink() or (path.is_dir() and os.name == "nt"):  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, timeout: float = 0.0, lock: Path | None = None) -> Iterator[None]:
    """Lock a folder; a lock left by a dead process is taken over.

    Args:
        folder: The folder, which need not exist.
        timeout: Seconds to wait for another process.
        lock: The lock's file, if not beside the folder; who holds it is written beside that. It stays, empty: removing
            a file that another process waits for would give two locks.

    Raises:
        FolderInUseError: If another process holds the lock for longer than that.
    """
    lock = lock or folder.with_name(f".{folder.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    owner = lock.with_name(f"{lock.name}.json")
    held = FileLock(lock)
    try:
        try:
            held.acquire(timeout=timeout)
        except Timeout:
            if not _is_dead(_read_owner(owner)):
                raise
            held.acquire(timeout=RELEASE_S)
    except Timeout as error:
        raise FolderInUseError(_in_use(folder, _read_owner(owner))) from error
    try:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        owner.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": now}), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        held.release()


def _read_owner(owner: Path) -> dict[str, object]:
    """Return who holds a lock; empty if that is not written, or not readable, yet."""
    try:
        content = json.loads(owner.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_dead(owner: dict[str, object]) -> bool:
    """Return whether a process of this machine has ended; false for one that cannot be known."""
    pid = owner.get("pid")
    if owner.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # somebody else's process; no number of a process
        return False
    return False


def _in_use(folder: Path, owner: dict[str, object]) -> str:
    who = f"process {owner.get('pid', '?')} on {owner.get('host', 'an unknown host')}"
    since = f" since {owner['since']}" if "since" in owner else ""
    return f"{folder} is in use by {who}{since}: wait for it to end, or name another folder."
