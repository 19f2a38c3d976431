r"""Paths of the publisher's machine: find them in texts, and remove them from records.

A path is local if it is absolute (`/home/me/x`, `C:\Users\me\x`, `\\server\share`, `file:///x`), begins at a home
(`~/x`) or leads upwards (`../x`). Of such a path only the last part is published.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# URLs, which contain no local paths.
URL = re.compile(r"\b(?!file:)[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
# Start of a local path within a text; a POSIX path needs two parts, as a single slash is ambiguous.
START = re.compile(
    r"""(?P<file>\bfile:/)
    | (?<![A-Za-z0-9])[A-Za-z]:[\\/]                    # drive
    | (?<!\\)\\\\[\w.$-]+\\                             # server
    | (?<![\w~])~[\w.-]*[\\/]                           # home
    | (?:\$\{?HOME\}?|%USERPROFILE%|%HOMEPATH%)[\\/]
    | (?<![\w.])\.\.[\\/]                               # upwards
    | (?<![\w.~/\\<])/(?=[^\s/\\"'`<>|]+/[^\s/])        # root
    """,
    re.VERBOSE,
)
WHOLE = re.compile(r"(?:file:/|[A-Za-z]:[\\/]|\\\\[\w.$-]|~[\w.-]*(?:[\\/]|$)|\.\.?[\\/]|/[^\s/])", re.IGNORECASE)
# Between the parts of a text in which a path, blanks in its names included, does not go on.
BOUNDARY = re.compile(r"(\n|\t|[\"'`|=]|: |; |, )")
# Names of arguments whose value is a path, also a relative one, and of those that may be a repo id instead.
PATH_NAME = re.compile(r"(?:^|_)(?:dir|path|config|file|folder|bins|model|checkpoint|corpora|results)$")
MODEL_NAME = re.compile(r"(?:^|_)(?:name_or_path|model)$")
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def local_paths(text: str) -> list[str]:
    """Return the local paths in a text, each up to the next blank."""
    text = URL.sub(" ", text)
    return [text[found.start() :].split(None, 1)[0] for found in START.finditer(text)]


def without_local_paths(text: str) -> str:
    """Return a text with only the last part of each local path."""
    if WHOLE.match(text) and "\n" not in text and not BOUNDARY.search(text):
        return last_part(text)
    kept = []

    def hide(found: re.Match) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    hidden = "".join(_without_start(part) for part in BOUNDARY.split(URL.sub(hide, text)))
    return re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], hidden)


def _without_start(part: str) -> str:
    found = START.search(part) or (WHOLE.match(part) if "/" in part[1:] or "\\" in part else None)
    # Up to the last separator, since the end of a path is ambiguous where names may contain blanks.
    return part if found is None else part[: found.start()] + last_part(part[found.start() :])


def last_part(path: str) -> str:
    """Return the last component of a path of any operating system."""
    return re.split(r"[\\/]+", path.rstrip("\\/ "))[-1]


def clean_record(record: Any, name: str = "") -> Any:
    """Return a JSON-like record without local paths in keys and values.

    Values of arguments that name files (`corpus_dir`, `--config`) keep only their last part even where they are
    relative, unless they are a repo id (`ORG/NAME`) or a URL.

    Args:
        record: Mappings, lists, strings and numbers.
        name: Name of the argument whose value this is.
    """
    if isinstance(record, Mapping):
        return {without_local_paths(key): clean_record(value, key) for key, value in record.items()}
    if isinstance(record, list):
        return _clean_words(record) if name == "command" else [clean_record(value, name) for value in record]
    if not isinstance(record, str):
        return record
    if PATH_NAME.search(name) and not _is_public(record, name):
        label, separator, path = record.rpartition("=")  # emodb=FOLDER
        return label + separator + last_part(path)
    return without_local_paths(record)


def _is_public(value: str, name: str) -> bool:
    if URL.fullmatch(value):
        return value.startswith(("http", "hf://"))
    return bool(MODEL_NAME.search(name) and HUB_NAME.fullmatch(value)) and not Path(value).exists()


def _clean_words(words: list) -> list:
    """Return the words of a command line, with the value of each option cleaned."""
    cleaned, option = [], ""
    for word in words:
        if isinstance(word, str) and word.startswith("--"):
            option, separator, value = word.partition("=")
            option = option.lstrip("-").replace("-", "_")
            cleaned.append(word if not separator else word[: -len(value) or None] + clean_record(value, option))
        else:
            cleaned.append(clean_record(word, option))
    return cleaned
