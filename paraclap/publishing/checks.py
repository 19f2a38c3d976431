"""Checks of every staged folder: regular files only, no token, no path of this machine."""

import json
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import PublishError
from .local_paths import local_paths

TOKEN = re.compile(r"\b(?:hf|api_org)_(?:oauth_|jwt_)?[A-Za-z0-9.-]{16,}")
TOKEN_BYTES = re.compile(TOKEN.pattern.encode())
# A home folder, in a file of any kind.
HOME_BYTES = re.compile(
    rb"(?:/home/|/Users/|[A-Za-z]:(?:\\{1,2}|/)Users(?:\\{1,2}|/))[\w.-]+[/\\]|file:///(?:home|Users|[A-Za-z]:)"
)
TEXTS = (".md", ".txt", ".csv", ".yaml", ".yml", "")
# Tokens of a vocabulary can look like paths.
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json")
PIECE, OVERLAP = 2**20, 512


def copy_file(source: Path, target: Path) -> None:
    """Copy a file into a staged folder.

    Raises:
        PublishError: If it is missing or not a regular file; the target of a link may not be meant for publication.
    """
    try:
        mode = source.lstat().st_mode
    except OSError as error:
        raise PublishError(f"{source} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
        raise PublishError(f"{source} is {kind}; only regular files are published. Replace it with the file itself.")
    shutil.copyfile(source, target)


def files_of(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def check_staged(folder: Path) -> None:
    """Check a folder before it is published.

    Raises:
        PublishError: If it contains anything but regular files and folders, or something that looks like a token (which
            is not printed) or a path of this machine.
    """
    for path in sorted(Path(folder).rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise PublishError(f"{path.relative_to(folder)} is not a regular file and cannot be published.")
    own = own_folders()
    for file in files_of(folder):
        name = file.relative_to(folder).as_posix()
        for piece in pieces_of(file):
            if TOKEN_BYTES.search(piece):
                raise PublishError(f"{name} holds what looks like a token of the Hub. Remove it from the source.")
            if found := HOME_BYTES.search(piece) or own.search(piece):
                raise _path_error(name, found[0].decode(errors="replace"))
        if found := paths_in(file):
            raise _path_error(name, found[0])


def own_folders() -> re.Pattern[bytes]:
    """Return a pattern of the home and the working folder of this process."""
    folders = [Path.home(), Path.cwd()]
    names = [re.escape(folder.as_posix().encode()) for folder in folders if len(folder.parts) > 1]
    # Not within a longer name, as /root is in /rootless.
    return re.compile(rb"(?<![\w.-])(?:" + b"|".join(names) + rb")/" if names else rb"(?!)")


def pieces_of(file: Path) -> Iterator[bytes]:
    """Yield a file's content in overlapping pieces, so that no short match is split."""
    with file.open("rb") as stream:
        end = b""
        while piece := stream.read(PIECE):
            yield end + piece
            end = piece[-OVERLAP:]


def paths_in(file: Path) -> list[str]:
    """Return the local paths in a text file or in the strings of a JSON file; empty for other files."""
    if file.name in VOCABULARIES or file.suffix not in (".json", *TEXTS):
        return []
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix != ".json":
        return local_paths(text)
    return [path for value in strings_of(json.loads(text)) for path in _paths_of_value(value)]


def _paths_of_value(value: str) -> list[str]:
    whole = value.startswith("/") and len(value) > 1 and value[1] not in "/ "
    return [value] if whole else local_paths(value)


def strings_of(content: object) -> Iterator[str]:
    """Yield all strings in the content of a JSON file, keys included."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from strings_of(value)
    elif isinstance(content, list):
        for value in content:
            yield from strings_of(value)
    elif isinstance(content, str):
        yield content


def _path_error(name: str, found: str) -> PublishError:
    return PublishError(
        f"{name} holds a path of this machine ({found[:100]}). Remove it from the source, then repeat the command."
    )
