"""What the corpus modules share: finding folders and audio, reading owners' tables, refusing unsafe names."""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

# What libsndfile reads, by the extensions that corpora use. Content decides in the end (a WAV may be named .opus).
AUDIO_EXTENSIONS = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64 .sph .nist".split()
)


class CorpusError(ValueError):
    """A corpus folder or its label table is not what its owner ships."""


def locate(root: Path, is_corpus: Callable[[Path], bool], expected: str, inner: Iterable[str] = ()) -> Path:
    """Find the corpus folder at, one level below, or (from a folder named in `inner`) one level above `root`.

    Args:
        root: the folder that the user named.
        is_corpus: tells whether a folder has the owner's layout.
        expected: the layout in words, for the error.
        inner: names of the corpus's own sub-folders that people pass instead of the corpus.

    Raises:
        CorpusError: `root` is no folder, none fits, or several do.
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
        found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
        raise CorpusError(f"{root} does not have the owner's layout: expected {expected}; found {found}.")
    return below[0]


def audio_files(folder: Path) -> list[Path]:
    """List the audio files below `folder`, sorted; hidden files (macOS writes ``._name.wav``) are no audio."""
    return sorted(
        path
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in AUDIO_EXTENSIONS and not path.name.startswith(".")
    )


def stem_of(name: str) -> str:
    """Drop an audio extension, and only that: tables say ``a.wav`` where the disk has ``a.opus``."""
    return name[: -len(suffix)] if (suffix := PurePosixPath(name).suffix).lower() in AUDIO_EXTENSIONS else name


def index_by_stem(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Map each file's path relative to `folder`, without extension and in POSIX form, to the file.

    Raises:
        CorpusError: the same utterance is there twice (say as .wav and as .flac).
    """
    index: dict[str, Path] = {}
    for path in files:
        stem = stem_of(path.relative_to(folder).as_posix())
        if stem in index:
            raise CorpusError(f"Duplicate utterance: {index[stem]} and {path} have the same id; remove one of them.")
        index[stem] = path
    return index


def check_inside(root: Path, name: str, where: str) -> Path:
    """Return ``root / name`` if it lies inside `root`, symbolic links followed.

    Args:
        root: the corpus folder.
        name: a relative path as an owner's table gives it.
        where: the table and row, for the error.

    Raises:
        CorpusError: the name is empty, contains NUL, is absolute, or leads out of `root`.
    """
    if not name:
        raise CorpusError(f"{where}: the file name is empty.")
    if "\0" in name:
        raise CorpusError(f"{where}: the file name {name!r} contains a NUL byte.")
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root:
        raise CorpusError(f"{where}: the file name {name!r} is absolute; expected one relative to {root}.")
    path = Path(root) / name
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise CorpusError(f"{where}: the file name {name!r} leads out of the corpus folder {root}.")
    return path


def read_table(path: Path, columns: Iterable[str], delimiter: str = ",") -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ``(where, row)`` of an owner's label table; `where` is like ``data.tsv, row 7`` (the header is row 1).

    Args:
        path: the table, UTF-8.
        columns: the columns that must be there; more may be.
        delimiter: a tab-separated table has no quoting.

    Raises:
        CorpusError: a column is missing, a row has another number of fields, or the file is not UTF-8 text.
    """
    columns = list(columns)
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    where = f"{path.name}, row 1"
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
            header = [name.strip() for name in next(reader, [])]
            if missing := [name for name in columns if name not in header]:
                raise CorpusError(
                    f"{path} has the columns {', '.join(header) or '(none)'}; expected {', '.join(columns)} "
                    f"(missing: {', '.join(missing)})."
                )
            for number, fields in enumerate(reader, start=2):
                where = f"{path.name}, row {number}"
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise CorpusError(f"{where}: {len(fields)} fields; expected {len(header)} ({', '.join(header)}).")
                yield where, {name: field.strip() for name, field in zip(header, fields, strict=True)}
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text ({error}); convert it, for instance with iconv.") from error
    except csv.Error as error:  # Python 3.10 refuses NUL here, later versions hand it on
        raise CorpusError(f"{where} or the next: {error}.") from error
