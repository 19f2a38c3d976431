r"""Paths of the publisher's machine: found in texts, and left out of records.

A path is local if it is absolute (`/home/me/x`, `C:\Users\me\x`, `\\server\share`, `file:///x`), begins at a home
(`~/x`) or leads upwards (`../x`). Of such a path only the last part is published.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Addresses of others; what looks like a path in them is none.
URL = re.compile(r"\b(?!file:)[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
# Where a local path begins inside a text; that of a POSIX path takes two parts, as a single slash says little.
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
# Names of arguments whose value is a path, relative ones included, and of those that may be a name on the Hub instead.
PATH_NAME = re.compile(r"(?:^|_)(?:dir|path|config|file|folder|bins|model|checkpoint|corpora|results)$")
MODEL_NAME = re.compile(r"(?:^|_)(?:name_or_path|model)$")
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def local_paths(text: str) -> list[str]:
    """Return the beginnings of the local paths in a text, up to the next blank."""
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
    # Up to the last separator: names may have blanks, so it cannot be told where else the path ends.
    return part if found is None else part[: found.start()] + last_part(part[found.start() :])


def last_part(path: str) -> str:
    """Return the name behind the last separator of a path, on whatever system it was written."""
    return re.split(r"[\\/]+", path.rstrip("\\/ "))[-1]


def clean_record(record: Any, name: str = "") -> Any:
    """Return a record as JSON has it without local paths, in keys and values.

    Values of arguments that name files (`corpus_dir`, `--config`) keep their last part alone even where they are
    relative, unless they are a name on the Hub (`ORG/NAME`) or an address.

    Args:
        record: Mappings, lists, texts and numbers.
        name: Of the argument whose value this is.
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
    """Return the words of a command line, each value cleaned as that of its option."""
    cleaned, option = [], ""
    for word in words:
        if isinstance(word, str) and word.startswith("--"):
            option, separator, value = word.partition("=")
            option = option.lstrip("-").replace("-", "_")
            cleaned.append(word if not separator else word[: -len(value) or None] + clean_record(value, option))
        else:
            cleaned.append(clean_record(word, option))
    return cleaned
