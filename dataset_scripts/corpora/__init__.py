"""The registry of speech corpora. Each module beside this one is a corpus, and holds all that is known of it.

All corpora give one table with the same columns; absent information is null::

    from dataset_scripts.corpora import load_corpus

    frame = load_corpus("emodb", "/data/EMO-DB")
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import AGE_GROUPS, COLUMNS, DIMENSIONS, GENDERS, SPLITS, Corpus, Reading, age_group_of
from ..layout import CorpusError, printable
from ..own_corpus import read_own_corpus, tables_of, unread_corpus
from ..tasks import Task

if TYPE_CHECKING:
    import pandas as pd

CORPORA: dict[str, Corpus] = {}
TASKS: dict[str, Task] = {}
OWN = "a name of your own for a folder with files.csv"  # for help and errors


def register(corpus: Corpus) -> None:
    """Add a corpus and its tasks to `CORPORA` and `TASKS`, in place of those of the same name.

    Raises:
        CorpusError: If a task has the name of another corpus's.
    """
    for task in CORPORA[corpus.name].tasks if corpus.name in CORPORA else ():
        TASKS.pop(task.name, None)
    for task in corpus.tasks:
        if task.name in TASKS and TASKS[task.name].corpus != corpus.name:
            raise CorpusError(
                f"{TASKS[task.name].corpus} and {corpus.name} both have a task {task.name!r}; rename one."
            )
    CORPORA[corpus.name] = corpus
    TASKS.update({task.name: task for task in corpus.tasks})


def discover() -> None:
    """Register the ``CORPUS`` of every module of this package, in alphabetical order."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
        if module.name.startswith("_"):
            continue
        corpus = importlib.import_module(f"{__name__}.{module.name}").CORPUS
        if corpus.name != module.name:
            raise ValueError(f"The module {module.name} defines the corpus {corpus.name!r}; expected the same name.")
        register(corpus)


def corpus_of(name: str) -> Corpus:
    """Return the corpus of that name.

    Raises:
        CorpusError: If there is none.
    """
    if name not in CORPORA:
        raise CorpusError(f"Unknown corpus {name!r}; known are {', '.join(CORPORA)}.")
    return CORPORA[name]


def recorded_corpus(name: str) -> Corpus:
    """Return the corpus that a record names; of a user's own, whose table is elsewhere, the name alone is known.

    Raises:
        CorpusError: If the name cannot be that of a corpus.
    """
    return CORPORA.get(name) or unread_corpus(name)


def parse_corpora(arguments: Sequence[str]) -> dict[str, Path]:
    """Parse ``NAME=DIR`` arguments, and read the tables of corpora of the user's own (`own_corpus`).

    Raises:
        CorpusError: If an argument has no "=", or a name is repeated, or unknown and not that of a user's own corpus.
    """
    corpora: dict[str, Path] = {}
    for argument in arguments:
        name, separator, folder = argument.partition("=")
        if not separator or not folder:
            raise CorpusError(f"{argument!r}; expected NAME=DIR with a NAME of {', '.join(CORPORA)}, or {OWN}.")
        if name in corpora:
            raise CorpusError(f"Corpus {name!r} is named twice; each can be given once.")
        path = Path(folder).expanduser()
        if not has_module(name):
            _register_own(name, path)
        corpora[name] = path
    return corpora


def has_module(name: str) -> bool:
    """Return whether a corpus is one that this package knows, and not one of the user's own."""
    return name in CORPORA and CORPORA[name].source is None


def _register_own(name: str, source: Path) -> None:
    try:
        tables_of(source.expanduser())
    except CorpusError as error:
        known = ", ".join(other for other in CORPORA if has_module(other))
        raise CorpusError(f"Unknown corpus {name!r}; known are {known}. Nor is it one of your own: {error}") from error
    register(read_own_corpus(name, source))


def scan_corpus(name: str, root: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a corpus's labels; no audio is opened.

    Args:
        name: a key of `CORPORA`, or any name for a corpus of the user's own (`own_corpus`).
        root: the folder as the owner ships it, or one level above it; the folder or table of the user's own.

    Returns:
        The utterances (`Corpus.columns`; `file` is relative to the corpus folder in POSIX form, `path` absolute,
        `emotion` a canonical adjective, `age` in years, `age_group` a key of `AGE_GROUPS`, sorted by `file`), and what
        was left out (corpus, file, reason).

    Raises:
        CorpusError: If the corpus is unknown, its layout is another than the owner's, or a table has an unsafe or
            duplicate name.
    """
    import pandas as pd

    if not has_module(name):  # read anew each time: users change their tables
        _register_own(name, Path(root))
    corpus = corpus_of(name)
    reading = _without_undecodable(corpus.read(Path(root).expanduser().resolve()))
    if not reading.rows:
        raise CorpusError(f"{reading.folder} holds no utterance of {corpus.title}; expected {corpus.layout}.")
    frame = _table(corpus, reading)
    for column, allowed in (("split", SPLITS), ("gender", GENDERS), ("age_group", AGE_GROUPS)):
        if unexpected := set(frame[column].dropna()) - set(allowed):
            raise CorpusError(f"{reading.folder}: {column} {sorted(unexpected)}; expected one of {', '.join(allowed)}.")
    left_out = pd.DataFrame([{"corpus": name, **row} for row in reading.rejected], columns=["corpus", "file", "reason"])
    return frame, left_out


def _without_undecodable(reading: Reading) -> Reading:
    """Reject the files whose name is not UTF-8, which neither Parquet nor CSV can hold."""
    rows, rejected = [], []
    for row in reading.rows:
        row["file"] = Path(row["path"]).relative_to(reading.folder).as_posix()
        if printable(row["file"]) == row["file"]:
            rows.append(row)
        else:
            rejected.append({"file": row["file"], "reason": "the file name is not UTF-8; rename the file"})
    for row in (*reading.rejected, *rejected):
        row |= {name: printable(text) for name, text in row.items()}
    return Reading(reading.folder, rows, [*reading.rejected, *rejected])


def _table(corpus: Corpus, reading: Reading) -> pd.DataFrame:
    """Return the rows with all columns of the corpus, sorted by file."""
    import pandas as pd

    for row in reading.rows:
        row["path"] = str(row["path"])
        row["corpus"] = corpus.name
    frame = pd.DataFrame(reading.rows).reindex(columns=list(corpus.columns)).sort_values("file", ignore_index=True)
    frame["age"] = frame["age"].astype("Int64")
    frame["age_group"] = frame["age_group"].astype(object).fillna(frame["age"].map(age_group_of, na_action="ignore"))
    if len(corpus.languages) == 1:
        frame["language"] = frame["language"].astype(object).fillna(next(iter(corpus.languages)))
    for column in DIMENSIONS:
        frame[column] = frame[column].astype("float64")
    for column in frame.columns.drop(["age", *DIMENSIONS]):
        frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
    return frame


def load_corpus(name: str, root: str | Path) -> pd.DataFrame:
    """Read a corpus's labels as `scan_corpus` does, and warn of what was left out.

    Returns:
        The utterances, one row each, with `Corpus.columns`.

    Raises:
        CorpusError: As [`scan_corpus`].
    """
    frame, rejected = scan_corpus(name, root)
    if len(rejected):
        first = rejected.iloc[0]
        warnings.warn(
            f"{CORPORA[name].title}: {len(rejected)} files left out, {len(frame)} kept; the first is {first.file}: "
            f"{first.reason}.",
            stacklevel=2,
        )
    return frame


discover()

__all__ = [
    "COLUMNS",
    "CORPORA",
    "DIMENSIONS",
    "SPLITS",
    "TASKS",
    "Corpus",
    "CorpusError",
    "Task",
    "corpus_of",
    "discover",
    "load_corpus",
    "parse_corpora",
    "register",
    "scan_corpus",
]
