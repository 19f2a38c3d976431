"""A user's own corpus: a folder of recordings and a table, ``files.csv``, with their names and labels.

No code is needed: ``NAME=DIR`` reads ``DIR/files.csv``, or the tables ``train``, ``devel`` and ``test`` that ComParE
ships, and ``NAME=FILE`` a table of any other name. Every column of labels becomes a task (`own_labels`).
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .corpus import COLUMNS, Corpus, Reading
from .layout import CorpusError, rejection
from .own_files import TABLE_FOLDERS, FileFinder
from .own_labels import label_rows
from .own_table import OwnTable, read_own_table, shown
from .tasks import Task

TABLE = "files.csv"
LAYOUT = f"{TABLE} with a column file beside the recordings or beside wav/"
NO_LICENCE = "not stated"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
LISTED = 5  # speakers that a remark names


@dataclass
class _Row:
    """A row of a table whose file is there."""

    table: OwnTable
    line: int
    path: Path
    split: str
    cells: dict[str, str | None]

    @property
    def where(self) -> str:
        return f"{self.table.path.name}, line {self.line}"


def tables_of(source: Path) -> list[Path]:
    """Return the tables of a user's corpus: the file itself, ``files.csv``, or those of ComParE's splits.

    Raises:
        CorpusError: If there is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CorpusError(f"{source} is neither a folder nor a table; expected {LAYOUT}.")
    for folder in (source, *(source / name for name in TABLE_FOLDERS)):
        if (folder / TABLE).is_file():
            return [folder / TABLE]
        found = [path for path in sorted(folder.glob("*.[ct]sv")) if path.stem.lower() in SPLIT_NAMES]
        if found:
            return found
    tables = sorted(path.name for path in source.glob("*.[ct]sv"))
    hint = f"; to read {tables[0]}, give {source / tables[0]}" if tables else ""
    raise CorpusError(f"{source} has no {TABLE}{hint}. Expected {LAYOUT}.")


def is_own_name(name: str) -> bool:
    """Return whether a user's corpus may have this name; "pooled" stands for all corpora together."""
    return NAME.fullmatch(name) is not None and name != "pooled"


def unread_corpus(name: str) -> Corpus:
    """Return a placeholder for a user's corpus of which a record has only the name.

    Raises:
        CorpusError: If the name cannot be that of a corpus.
    """
    if not NAME.fullmatch(name):
        raise CorpusError(f"{name!r} cannot be the name of a corpus; expected letters, digits, '-', '_' and '.'.")

    def read(_: Path) -> Reading:
        raise CorpusError(f"The table of the corpus {name!r} is not at hand; give {name}=DIR.")

    return Corpus(name, name, "", NO_LICENCE, "", {}, LAYOUT, read)


def read_own_corpus(name: str, source: Path) -> Corpus:
    """Read a user's table and return it as a corpus with tasks.

    Args:
        name: what the user calls it.
        source: its folder or table.

    Raises:
        CorpusError: If the name cannot be one, there is no table, or nothing in it can be used.
    """
    if not is_own_name(name):
        raise CorpusError(
            f"{name!r} cannot be the name of a corpus; use letters, digits, '-' and '_', and not 'pooled'."
        )
    source = source.expanduser()
    rows: list[_Row] = []
    rejected: list[dict[str, str]] = []
    tables = [read_own_table(path) for path in tables_of(source)]
    remarks = [remark for table in tables for remark in table.remarks]
    finder = FileFinder(tables[0].path.resolve())
    for table in tables:
        if table.roles != tables[0].roles or table.headers.keys() != tables[0].headers.keys():
            raise CorpusError(f"{table.path} has other columns than {tables[0].path.name}; give all the same.")
        some, bad = _find_rows(table, finder, remarks)
        rows += some
        rejected += bad
    rows, repeated = _without_repeats(rows, finder.root)
    rejected = sorted((*rejected, *repeated), key=_place)
    if not rows:
        first = f" The first: {rejected[0]['reason']}" if rejected else ""
        raise CorpusError(
            f"{tables[0].path} names no file that can be used; {len(rejected)} rows were left out.{first}"
        )
    labels = label_rows(name, tables[0], [row.cells for row in rows], [row.split for row in rows])
    remarks += _speaker_remarks(labels.columns.get("speaker"), rows)
    if unlisted := finder.unlisted({row.path for row in rows}):
        remarks.append(f"{unlisted} audio files beside those of the table are not used")
    content = [
        {"path": row.path, "split": row.split, **{column: values[at] for column, values in labels.columns.items()}}
        for at, row in enumerate(rows)
    ]
    languages = sorted({language for language in labels.columns.get("language", ()) if language})
    return Corpus(
        name=name,
        title=name,
        homepage="",
        licence=NO_LICENCE,
        citation="",
        languages={language: language for language in languages},
        layout=LAYOUT,
        # Copies: whoever reads a corpus completes its rows.
        read=lambda _: Reading(finder.root, [dict(row) for row in content], [dict(row) for row in rejected]),
        label_columns=tuple(column for column in labels.columns if column not in COLUMNS),
        tasks=tuple(_with_split(task, content, remarks) for task in labels.tasks),
        source=source,
        remarks=tuple(dict.fromkeys((*remarks, *labels.remarks))),
    )


def _find_rows(table: OwnTable, finder: FileFinder, remarks: list[str]) -> tuple[list[_Row], list[dict[str, str]]]:
    """Return the rows whose file is there and whose split is known, and what is left out."""
    rejected = [{"file": bad.name, "reason": f"{table.path.name}, line {bad.line}: {bad.reason}"} for bad in table.bad]
    by_table = SPLIT_NAMES.get(table.path.stem.lower())
    names = [record.cells[table.roles["file"]] for record in table.records]
    by_name = None if by_table or "split" in table.roles else _splits_in_names([name for name in names if name])
    if not (by_table or by_name or "split" in table.roles):
        remarks.append("no column split: all rows are test; to train, write train, validation or test into one")
    rows = []
    for record, name in zip(table.records, names, strict=True):
        where = f"{table.path.name}, line {record.line}"
        try:
            if name is None:
                raise CorpusError(f"{where}: no file is named.")
            split = by_table or (by_name or {}).get(name) or _split_of(table, record.cells, where)
            rows.append(_Row(table, record.line, finder.find(name, where), split, record.cells))
        except CorpusError as error:
            rejected.append({"file": shown(name or ""), "reason": str(error).removesuffix(".")})
    return rows, rejected


def _place(rejected: dict[str, str]) -> tuple[str, int]:
    """Return table and line of a row that is left out, to sort by."""
    table, _, rest = rejected["reason"].partition(", line ")
    return table, int(rest.partition(":")[0])


def _split_of(table: OwnTable, cells: dict[str, str | None], where: str) -> str:
    """Return the split in a row's column; test if the table has no such column."""
    if "split" not in table.roles:
        return "test"
    said = cells[table.roles["split"]]
    if (said or "").lower() not in SPLIT_NAMES:
        raise CorpusError(f"{where}: the split is {said!r}; expected train, validation (dev, devel) or test.")
    return SPLIT_NAMES[said.lower()]


def _splits_in_names(names: Sequence[str]) -> dict[str, str] | None:
    """Return name -> split where every name begins with one, as train_0001.wav or devel/0001.wav; else None."""
    starts = {name: re.split(r"[_\-./\\]", PurePosixPath(name).as_posix().lower())[0] for name in names}
    if not all(start in SPLIT_NAMES for start in starts.values()):
        return None
    return {name: SPLIT_NAMES[start] for name, start in starts.items()}


def _without_repeats(rows: list[_Row], root: Path) -> tuple[list[_Row], list[dict[str, str]]]:
    """Drop repeated rows, and all rows of a file that contradict each other."""
    by_file: dict[tuple[int, int], list[_Row]] = {}
    for row in rows:
        status = row.path.stat()  # the same file by another name, too
        by_file.setdefault((status.st_dev, status.st_ino), []).append(row)
    kept, rejected = [], []
    for same in by_file.values():
        file_column = same[0].table.roles["file"]
        said = [{**row.cells, file_column: None, "": row.split} for row in same]
        contradict = any(cells != said[0] for cells in said)
        kept += [] if contradict else same[:1]
        for row in same[not contradict :]:
            other = next(one for one in same if one is not row)
            reason = "gives the file other labels; correct one of the two" if contradict else "is the same row"
            rejected.append(rejection(row.path, root, f"{row.where}: {other.where.split(', ')[1]} {reason}"))
    return kept, rejected


def _speaker_remarks(speakers: Sequence[str | None] | None, rows: Sequence[_Row]) -> list[str]:
    """Say whether the splits share speakers, as far as that is known."""
    splits = {row.split for row in rows}
    if len(splits) < 2:
        return []
    if speakers is None:
        return ["no column speaker: whether the splits share speakers is not known"]
    of_speaker: dict[str, set[str]] = {}
    for speaker, row in zip(speakers, rows, strict=True):
        if speaker is not None:
            of_speaker.setdefault(speaker, set()).add(row.split)
    shared = Counter(speaker for speaker, own in of_speaker.items() if len(own) > 1)
    if not shared:
        return []
    names = ", ".join(shown(speaker, 20) for speaker in sorted(shared)[:LISTED])
    more = f" and {len(shared) - LISTED} more" if len(shared) > LISTED else ""
    return [f"speakers in more than one split, which makes figures too good: {names}{more}"]


def _with_split(task: Task, content: Sequence[dict], remarks: list[str]) -> Task:
    """Return the task on the test rows; where they have no labels on the validation rows, else on all."""
    labelled = {row["split"] for row in content if row.get(task.column) is not None}
    split = next((split for split in ("test", "validation") if split in labelled), None)
    if split != "test":
        remarks.append(
            f"{task.name}: no test row has the label; it uses {f'the {split} rows' if split else 'all rows'}"
        )
    return dataclasses.replace(task, split=split)
