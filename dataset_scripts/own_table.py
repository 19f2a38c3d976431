"""Read a user's own table of recordings as spreadsheets and scripts write it: any usual separator, quoting, encoding.

A row that cannot be read costs itself alone: it is kept with its line and the reason.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .layout import AUDIO_EXTENSIONS, CorpusError

DELIMITERS = (",", ";", "\t", "|")
CELL_LINES = 20  # lines that a quoted cell may span; more means that a quote was never closed
NO_VALUE = frozenset(
    ("", "?", "#n/a", "<na>", "n/a", "na", "nan", "-nan", "null")
)  # ComParE writes ? for hidden labels
# Role of a column -> the names that it goes by, lower-case with _ between words, the most telling first.
ROLES: dict[str, tuple[str, ...]] = {
    "file": (
        *("file", "filename", "file_name", "filepath", "file_path", "path", "wav", "wav_file", "wavfile", "wav_path"),
        *("audio", "audio_file", "audiofile", "audio_path", "audio_filepath", "clip", "recording", "utterance"),
        *("utterance_id", "utt", "utt_id", "file_id", "fileid", "instance_name", "datei", "dateiname"),
    ),
    "speaker": (
        *("speaker", "speaker_id", "speakerid", "spk", "spk_id", "spkid", "speaker_name", "actor", "actor_id"),
        *("subject", "subject_id", "participant", "participant_id", "client_id", "sprecher"),
    ),
    "split": ("split", "partition", "set", "subset", "data_split", "dataset_split"),
    "gender": ("gender", "sex", "speaker_gender", "speaker_sex", "geschlecht"),
    "age": ("age", "age_years", "speaker_age", "age_group", "alter"),
    "emotion": ("emotion", "emotions", "emotion_label", "emo", "emotional_state"),
    "arousal": ("arousal", "activation"),
    "valence": ("valence",),
    "dominance": ("dominance",),
    "language": ("language", "lang", "locale", "sprache"),
    "transcript": ("transcript", "transcription", "text", "sentence", "raw_text", "words"),
}


class Record(NamedTuple):
    """One row: the line where it starts (the first of the file is 1), and its cells by `key_of` the column."""

    line: int
    cells: dict[str, str | None]


class BadRow(NamedTuple):
    """A row that is left out: its line, what it names, and why."""

    line: int
    name: str
    reason: str


@dataclass
class OwnTable:
    """The content of a user's table.

    Attributes:
        path: the file.
        headers: key of each column -> its name as written.
        roles: role of `ROLES` -> key of the column that has it.
        records: the rows that can be read.
        bad: the rows that cannot.
        remarks: what the user should know of how it was read.
    """

    path: Path
    headers: dict[str, str]
    roles: dict[str, str]
    records: list[Record] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def key_of(header: str) -> str:
    """Return a column's name for comparison: lower-case, with ``_`` for whatever is no letter or digit."""
    return re.sub(r"\W+", "_", header.casefold()).strip("_")


def shown(text: str, most: int = 60) -> str:
    """Return a cell for a message: one line, no control characters, not longer than `most` letters."""
    text = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def read_own_table(path: Path) -> OwnTable:
    """Read a table with a header, one of whose columns names the files.

    Raises:
        CorpusError: If it is not a text table, is empty, has no column of files, or two columns of one name.
    """
    text, remarks = _decode(path)
    lines = list(io.StringIO(text, newline=None))
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is None:
        raise CorpusError(f"{path} is empty; expected a header such as file,emotion,speaker,split and a row a file.")
    declared = re.fullmatch(r"sep=(.)\s*", lines[start], flags=re.IGNORECASE)  # how Excel is told the separator
    start += bool(declared)
    header = lines[start] if start < len(lines) else ""
    delimiter, names = _header_of(header, (declared[1],) if declared else DELIMITERS)
    headers = _headers(path, names)
    roles = {role: key for role, known in ROLES.items() if (key := next((k for k in known if k in headers), None))}
    if "file" not in roles:
        raise CorpusError(_no_file_column(path, start + 1, names))
    table = OwnTable(path, headers, roles, remarks=remarks)
    keys = [key_of(name) for name in names]
    for line, fields in _records(lines, start + 1, delimiter, len(names)):
        if isinstance(fields, str):
            table.bad.append(BadRow(line, shown(lines[line - 1].strip()), fields))
            continue
        cells = {key: _value(text) for key, text in zip(keys, fields, strict=True) if key}
        if any(cells.values()):
            table.records.append(Record(line, cells))
    return table


def _decode(path: Path) -> tuple[str, list[str]]:
    """Return the text, and a remark if it is in another encoding than UTF-8."""
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text, remarks = content.decode("utf-16" if wide else "utf-8-sig"), []
    except UnicodeDecodeError as error:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise CorpusError(f"{path} is neither UTF-8 nor Windows-1252 text ({error}); save it as UTF-8.") from error
        remarks = [f"{path.name} is not UTF-8 and was read as Windows-1252; save it as UTF-8 if letters look wrong."]
    if "\0" in text:
        raise CorpusError(f"{path} is not a text table (it has NUL bytes); export it as CSV in UTF-8.")
    return text, remarks


def _header_of(line: str, delimiters: Sequence[str]) -> tuple[str, list[str]]:
    """Return the delimiter under which the header has a column of files (else most columns), and the columns."""
    found = []
    for delimiter in delimiters:
        fields = _parse([line], delimiter)
        names = [line.strip()] if fields is None else [name.strip() for name in fields]
        found.append((any(key_of(name) in ROLES["file"] for name in names), len(names), delimiter, names))
    *_, delimiter, names = max(found, key=lambda entry: entry[:2])
    return delimiter, names


def _headers(path: Path, names: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name in names:
        key = key_of(name)
        if key in headers:
            raise CorpusError(f"{path} has the column {name!r} twice (also as {headers[key]!r}); rename one.")
        if key:
            headers[key] = name
    return headers


def _no_file_column(path: Path, line: int, names: Sequence[str]) -> str:
    columns = ", ".join(shown(name, 30) or "(no name)" for name in names[:12])
    if any(Path(name).suffix.lower() in AUDIO_EXTENSIONS for name in names):
        return f"{path}, line {line}, has no header but a row ({columns}); put one above it, such as file,emotion."
    return (
        f"{path}, line {line}, has no column that names the files: it has {columns}; expected one called "
        f"{', '.join(ROLES['file'][:6])} or wav."
    )


def _records(lines: Sequence[str], start: int, delimiter: str, width: int) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the line (from 1) where each row begins, and its `width` fields or the reason why it has none."""
    at = start
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        fields = _parse(lines[at : at + 1], delimiter)
        used = 1
        # Without the end of a quoted cell the row goes on in the lines below, but only if it is whole with them.
        while fields is None and used < CELL_LINES and at + used < len(lines):
            used += 1
            joined = _parse(lines[at : at + used], delimiter)
            fields = joined if joined is not None and len(joined) == width else None
        line = at + 1
        at += 1 if fields is None else used
        if fields is None:
            yield line, 'a quoted cell is not closed or has text after its quote; write " within quotes as ""'
        elif len(fields) < width or any(text.strip() for text in fields[width:]):
            yield line, f"{len(fields)} cells; expected {width}, as in the header"
        else:
            yield line, fields[:width]


def _parse(lines: Sequence[str], delimiter: str) -> list[str] | None:
    """Return the fields of one row that takes all these lines; None if they are not one."""
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _value(text: str) -> str | None:
    """Return a cell's text with single blanks; None where it says that there is no value."""
    text = " ".join(text.split())
    return None if text.lower() in NO_VALUE else text
