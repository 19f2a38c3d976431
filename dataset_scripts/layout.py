"""Helpers of the corpus modules: find folders and audio, read owners' tables, refuse unsafe names."""

import csv
import io
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from .corpus import Reading

T = TypeVar("T")

# What can be decoded, by the extensions that corpora use. The content decides in the end (a WAV may be named .opus).
AUDIO_EXTENSIONS = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf")
    + (".w64", ".rf64", ".sph", ".nist")
)
IN_MESSAGES = 8  # names of a folder's content that an error lists


class CorpusError(ValueError):
    """Raised for a corpus folder or label table that differs from the owner's layout."""


def locate(root: Path, is_corpus: Callable[[Path], bool], expected: str, inner: Iterable[str] = ()) -> Path:
    """Find the corpus folder at, one level below, or (from a folder named in `inner`) one level above `root`.

    Args:
        root: the folder that the user named.
        is_corpus: tells whether a folder has the owner's layout.
        expected: the layout in words, for the error.
        inner: names of the corpus's own sub-folders, which people pass in place of the corpus.

    Raises:
        CorpusError: If `root` is not a folder, no folder fits, or several do.
    """
    root = Path(root)
    if not root.is_dir():
        raise CorpusError(f"{root} is not a folder; expected {expected}.")
    if is_corpus(root):
        return root
    parent = root.resolve().parent
    if root.resolve().name in inner and is_corpus(parent):
        return parent
    below = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and is_corpus(folder)]
    if len(below) > 1:
        names = ", ".join(folder.name for folder in below)
        raise CorpusError(f"{root} holds several such corpora ({names}); name the one to read. Expected {expected}.")
    if not below:
        found = ", ".join(sorted(entry.name for entry in root.iterdir())[:IN_MESSAGES]) or "nothing"
        raise CorpusError(f"{root} does not have the owner's layout: expected {expected}; found {found}.")
    return below[0]


def has_named_audio(folders: Iterable[Path], name: re.Pattern) -> bool:
    """Return whether one of some folders holds an audio file whose name without extension matches.

    Folders that do not exist hold none; sub-folders are not searched.
    """
    return any(
        path.suffix.lower() in AUDIO_EXTENSIONS and name.fullmatch(path.stem) is not None
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
    )


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted; hidden ones are skipped."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def audio_files(folder: Path) -> list[Path]:
    """List the audio files below `folder`, sorted; hidden files (macOS writes ``._name.wav``) are skipped."""
    return sorted(
        path
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in AUDIO_EXTENSIONS and not path.name.startswith(".")
    )


def stem_of(name: str) -> str:
    """Drop an audio extension, and only that: tables say ``a.wav`` where the disk has ``a.opus``."""
    return name[: -len(suffix)] if (suffix := PurePosixPath(name).suffix).lower() in AUDIO_EXTENSIONS else name


def printable(name: str) -> str:
    r"""Return a file name with ``\xff`` in the place of each byte that is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def index_by_stem(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Map each file's path relative to `folder`, without extension and in POSIX form, to the file.

    Raises:
        CorpusError: If the same utterance is there twice (say as .wav and as .flac).
    """
    index: dict[str, Path] = {}
    for path in files:
        stem = stem_of(path.relative_to(folder).as_posix())
        if stem in index:
            raise CorpusError(f"Duplicate utterance: {index[stem]} and {path} have the same id; remove one of them.")
        index[stem] = path
    return index


def rejection(path: Path, root: Path, reason: str) -> dict[str, str]:
    """Return the entry of `Reading.rejected` for a file below `root`."""
    return {"file": path.relative_to(root).as_posix(), "reason": reason}


def read_names(
    root: Path,
    files: Iterable[Path],
    name: re.Pattern,
    expected: str,
    row_of: Callable[[re.Match], dict | str],
    with_folders: bool = False,
) -> Reading:
    """Read a corpus whose file names, or folders and file names, hold the labels.

    Args:
        root: the corpus folder.
        files: its audio.
        name: the pattern of a file's name without extension.
        expected: whose names they are and how they are built, for the reason of a rejection.
        row_of: gives a matching name's row (without ``path``), or the reason why the file is left out.
        with_folders: match the whole path below `root`, in POSIX form and Unicode's composed form (NFC), without the
            extension.

    Raises:
        CorpusError: If the same utterance is there twice.
    """
    rows, rejected = [], []
    for stem, path in index_by_stem(files, root).items():
        named = unicodedata.normalize("NFC", stem if with_folders else PurePosixPath(stem).name)
        match = name.fullmatch(named)
        row = row_of(match) if match else f"the name {named!r} is not one of {expected}"
        if isinstance(row, str):
            rejected.append(rejection(path, root, row))
        else:
            rows.append({"path": path, **row})
    return Reading(root, rows, rejected)


def check_inside(root: Path, name: str, where: str, folder: Path | None = None) -> Path:
    """Return ``folder / name`` if it is inside `folder` after following symbolic links.

    Args:
        root: the corpus folder.
        name: a relative path as an owner's table gives it.
        where: the table and row, for the error.
        folder: the part of the corpus where the name starts; None is `root`.

    Raises:
        CorpusError: If the name is empty, contains NUL, is absolute, or leads out of `root`.
    """
    if not name:
        raise CorpusError(f"{where}: the file name is empty.")
    if "\0" in name:
        raise CorpusError(f"{where}: the file name {name!r} contains a NUL byte.")
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root:
        raise CorpusError(f"{where}: the file name {name!r} is absolute; expected one relative to {root}.")
    path = Path(folder or root) / name
    if not path.resolve().is_relative_to(Path(folder or root).resolve()):
        raise CorpusError(f"{where}: the file name {name!r} leads out of the corpus folder {root}.")
    return path


class Listing:
    """The audio that an owner's table lists, matched with the audio on disk.

    Args:
        root: the corpus folder.
        folder: where the audio lies, `root` or below it.
        table: the table's name, for the reasons.
        by_name: True if the table gives bare names of files that lie at any depth below `folder`.

    Raises:
        CorpusError: If the same utterance is on disk twice.
    """

    def __init__(self, root: Path, folder: Path, table: str, by_name: bool = False):
        self.root, self.folder, self.table, self.by_name = root, folder, table, by_name
        self._on_disk: dict[str, Path] = {}
        for stem, path in index_by_stem(audio_files(folder), folder).items():
            key = PurePosixPath(stem).name if by_name else stem
            if key in self._on_disk:
                raise CorpusError(
                    f"Duplicate utterance: {self._on_disk[key]} and {path} have the same id; remove one of them."
                )
            self._on_disk[key] = path
        self._listed: dict[str, str] = {}
        self._missing: list[dict] = []

    def find(self, name: str, where: str) -> Path | None:
        """Return the file that a row names, whatever its extension on disk; None (and a reason) if it is not there.

        Raises:
            CorpusError: If the name is unsafe (see `check_inside`) or was listed before.
        """
        listed = check_inside(self.root, name, where, self.folder)
        stem = stem_of(PurePosixPath(name).name if self.by_name else PurePosixPath(name).as_posix())
        if stem in self._listed:
            raise CorpusError(f"{where}: duplicate file {name!r}, first in {self._listed[stem]}.")
        self._listed[stem] = where
        path = self._on_disk.get(stem)
        if path is None:
            inner = self.folder.relative_to(self.root).as_posix()
            reason = f"listed in {where}, but {inner}/ has no audio file of that name"
            self._missing.append(rejection(listed, self.root, reason))
            return None
        if path != listed:
            check_inside(self.root, path.relative_to(self.folder).as_posix(), where, self.folder)
        return path

    def rejected(self) -> list[dict]:
        """Return what is listed but not on disk, then what is on disk but not listed."""
        return self._missing + [
            rejection(path, self.root, f"not listed in {self.table}")
            for stem, path in self._on_disk.items()
            if stem not in self._listed
        ]


def read_table(
    path: Path, columns: Iterable[str], delimiter: str = ",", header: bool = True, latin1: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ``(where, row)`` of an owner's label table; `where` is like ``data.tsv, row 7`` (a header is row 1).

    Args:
        path: the table, UTF-8.
        columns: the columns that must be there; more may be.
        delimiter: a table separated by tabs or blanks has no quoting.
        header: False if the table has none; `columns` are then all it has, in order.
        latin1: True where copies in Latin-1 are in circulation; what is not UTF-8 is then read as that.

    Raises:
        CorpusError: If a column is missing, a row has another number of fields, or the file is not UTF-8 text.
    """
    columns = list(columns)
    quoting = csv.QUOTE_NONE if delimiter in "\t " else csv.QUOTE_MINIMAL
    where = f"{path.name}, row 1"
    try:
        reader = csv.reader(io.StringIO(_decode(path, latin1), newline=""), delimiter=delimiter, quoting=quoting)
        names = [name.strip() for name in next(reader, [])] if header else columns
        if missing := [name for name in columns if name not in names]:
            raise CorpusError(
                f"{path}, row 1, has the columns {', '.join(names) or '(none)'}; expected {', '.join(columns)} "
                f"(missing: {', '.join(missing)})."
            )
        for number, fields in enumerate(reader, start=2 if header else 1):
            where = f"{path.name}, row {number}"
            if not fields:
                continue
            if len(fields) != len(names):
                raise CorpusError(f"{where}: {len(fields)} fields; expected {len(names)} ({', '.join(names)}).")
            yield where, {name: field.strip() for name, field in zip(names, fields, strict=True)}
    except csv.Error as error:  # Python 3.10 refuses NUL here, later versions hand it on
        raise CorpusError(f"{where} or the next: {error}.") from error


def read_lines(path: Path, latin1: bool = False) -> Iterator[tuple[str, str]]:
    """Yield ``(where, line)`` of a text file; `where` is like ``Ses01F_impro01.txt, row 3``.

    Raises:
        CorpusError: If the file is not UTF-8 text (and `latin1` is False).
    """
    for number, line in enumerate(_decode(path, latin1).splitlines(), start=1):
        yield f"{path.name}, row {number}", line


def _decode(path: Path, latin1: bool) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if latin1:
            return content.decode("latin-1")
        raise CorpusError(f"{path} is not UTF-8 text ({error}); convert it, for instance with iconv.") from error


def choice(value: str, allowed: Mapping[str, T], what: str, where: str) -> T:
    """Return ``allowed[value]``.

    Raises:
        CorpusError: If the value is not among those; names the table's row.
    """
    if value not in allowed:
        raise CorpusError(f"{where}: {what} is {value!r}; expected one of {', '.join(allowed)}.")
    return allowed[value]


def whole_years(text: str, what: str, where: str) -> int:
    """Return an age in years.

    Raises:
        CorpusError: If the text is not a whole number; names the table's row.
    """
    if not text.isdecimal():
        raise CorpusError(f"{where}: {what} is {text!r}; expected a whole number of years.")
    return int(text)


def number_in(text: str, lowest: float, highest: float, what: str, where: str) -> float:
    """Return a number on a scale.

    Raises:
        CorpusError: If the text is not a number from `lowest` to `highest`; names the table's row.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        raise CorpusError(f"{where}: {what} is {text!r}; expected a number from {lowest:g} to {highest:g}.")
    return value
