"""Find the recordings that command line arguments name: files, folders, patterns, or a list on standard input."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CommandError

STDIN = "-"
URLS = ("http://", "https://")
# Extensions of what soundfile and PyAV read, for folders; a file named by itself may have any extension.
AUDIO = (
    "aac ac3 aif aifc aiff alac amr ape au avr caf dts eac3 f4a flac gsm htk ircam m4a m4b mka mp1 mp2 mp3 mpc nist "
    "nut oga ogg opus paf pvf ra rf64 sd2 sds shn snd sph spx svx tak tta voc vox w64 wav wave weba wma wv wve xi"
)
VIDEO = "3g2 3gp asf avi f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv rm rmvb vob webm wmv"
EXTENSIONS = frozenset(f".{name}" for name in f"{AUDIO} {VIDEO}".split())


class PathsError(CommandError):
    """Raised for paths without any recording."""


@dataclass(frozen=True)
class Recording:
    """A file, with what shows whether it has changed.

    Attributes:
        path: Path as given, or the given folder joined with the file's name in it.
        size: Size in bytes; None if the file does not exist.
        modified: Modification time in ns; None if the file does not exist.
    """

    path: str
    size: int | None
    modified: int | None

    @property
    def key(self) -> tuple[str, int, int] | None:
        """Path, size and modification time; None for URLs, whose changes cannot be noticed."""
        return None if self.size is None else (self.shown, self.size, self.modified)

    @property
    def shown(self) -> str:
        """The path as valid Unicode; bytes that are not UTF-8 are written in hexadecimal."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


def recording_of(path: str) -> Recording:
    """Return a path with its size and modification time."""
    try:
        status = None if path.startswith(URLS) else os.stat(path)
    except (OSError, ValueError):  # missing, or not a valid file name; reading it will give the reason
        status = None
    return Recording(path, *((None, None) if status is None else (status.st_size, status.st_mtime_ns)))


def find_recordings(paths: Iterable[str | os.PathLike]) -> list[Recording]:
    """Return the recordings that paths name, each once, in the order of the paths; those of a folder by name.

    Args:
        paths: Files with any extension; folders, searched recursively for `EXTENSIONS` except hidden files and
            folders; patterns with *, ? or [], and ** for any depth; http(s) URLs; "-" for a list of these on standard
            input, separated by newlines or NUL. A file that does not exist is kept, so that it is reported.

    Raises:
        PathsError: If there is no recording, or a folder cannot be listed.
    """
    paths = [os.fspath(path) for path in paths]
    found = dict.fromkeys(file for path in paths for file in _expand(path))
    if not found:
        raise PathsError(
            f"There is no recording in {', '.join(map(repr, paths)) or 'an empty list'}. Folders are searched for "
            "files with audio and video extensions (wav, flac, mp3, m4a, …); name other files one by one."
        )
    return [recording_of(path) for path in found]


def _expand(path: str) -> Iterator[str]:
    if path == STDIN:
        for line in _read_list():
            yield from _expand(line)
    elif path.startswith(URLS):
        yield path
    elif os.path.isdir(path):
        yield from _walk(path)
    elif glob.has_magic(path) and not os.path.lexists(path):
        matches = [
            match for match in sorted(glob.glob(os.path.expanduser(path), recursive=True)) if os.path.isfile(match)
        ]
        if not matches:
            raise PathsError(f"No file matches {path!r}. Check the pattern and the folder that it starts from.")
        yield from matches
    else:
        expanded = os.path.expanduser(path)
        yield from _walk(expanded) if os.path.isdir(expanded) else [expanded]


def _walk(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise PathsError(f"The folder {error.filename!r} cannot be listed: {error.strerror}.") from error

    for root, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield os.path.join(root, name)


def _read_list() -> list[str]:
    """Read the paths on standard input; bytes that are not UTF-8 are preserved."""
    stream = getattr(sys.stdin, "buffer", None)
    content = stream.read() if stream is not None else os.fsencode(sys.stdin.read())
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    paths = [os.fsdecode(line) for line in lines if line.strip()]
    if STDIN in paths:
        raise PathsError('The list on standard input names "-", standard input itself. Take it out.')
    return paths
