"""From what is named on a command line (files, folders, patterns, a list on standard input) to recordings."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CommandError

STDIN = "-"
URLS = ("http://", "https://")
# What soundfile and PyAV read, by the extensions that such files have; a file named on its own may have any.
AUDIO = (
    "aac ac3 aif aifc aiff alac amr ape au avr caf dts eac3 f4a flac gsm htk ircam m4a m4b mka mp1 mp2 mp3 mpc nist "
    "nut oga ogg opus paf pvf ra rf64 sd2 sds shn snd sph spx svx tak tta voc vox w64 wav wave weba wma wv wve xi"
)
VIDEO = "3g2 3gp asf avi f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv rm rmvb vob webm wmv"
EXTENSIONS = frozenset(f".{name}" for name in f"{AUDIO} {VIDEO}".split())


class PathsError(CommandError):
    """Paths that lead to no recording at all."""


@dataclass(frozen=True)
class Recording:
    """A file, and what tells whether it has changed.

    Attributes:
        path: As it was named, or as its folder and its name in it.
        size: Bytes; None if there is no such file.
        modified: Time of change in ns; None if there is no such file.
    """

    path: str
    size: int | None
    modified: int | None

    @property
    def key(self) -> tuple[str, int, int] | None:
        """Path, size and time of change; None for what cannot be told apart from its next version (URLs)."""
        return None if self.size is None else (self.shown, self.size, self.modified)

    @property
    def shown(self) -> str:
        """The path as valid Unicode: of a name that is not UTF-8, the other bytes are written in hexadecimal."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


def recording_of(path: str) -> Recording:
    """Return a path with its size and time of change."""
    try:
        status = None if path.startswith(URLS) else os.stat(path)
    except (OSError, ValueError):  # missing, or a name that no file can have; reading it gives the reason
        status = None
    return Recording(path, *((None, None) if status is None else (status.st_size, status.st_mtime_ns)))


def find_recordings(paths: Iterable[str | os.PathLike]) -> list[Recording]:
    """Return the recordings that the paths lead to, each once, in the order of the paths; a folder's by name.

    Args:
        paths: Files with any extension; folders, searched recursively for `EXTENSIONS`, hidden files and folders
            excepted; patterns with *, ? or [], ** for any depth; http(s) URLs; "-" for a list of all these on standard
            input, one a line or separated by NUL. A file that does not exist is kept, so that it is reported.

    Raises:
        PathsError: If they lead to nothing, or a folder cannot be listed.
    """
    paths = [os.fspath(path) for path in paths]
    found = dict.fromkeys(file for path in paths for file in _expand(path))
    if not found:
        raise PathsError(
            f"There is no recording in {', '.join(map(repr, paths)) or 'an empty list'}. In folders, files with the "
            "extensions of audio and video are taken (wav, flac, mp3, m4a, …); name others one by one."
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
    """The paths on standard input; bytes that are not UTF-8 stay what they are."""
    stream = getattr(sys.stdin, "buffer", None)
    content = stream.read() if stream is not None else os.fsencode(sys.stdin.read())
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    paths = [os.fsdecode(line) for line in lines if line.strip()]
    if STDIN in paths:
        raise PathsError('The list on standard input names "-", standard input itself. Take it out.')
    return paths
