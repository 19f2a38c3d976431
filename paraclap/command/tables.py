"""Results as tables in CSV, Parquet and JSON files."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dataset_scripts.extras import extra, need
from dataset_scripts.tables import neutralised_cell
from paraclap.page.questions import NamedQuestion

from .errors import CommandError
from .recordings import Recording

DIGITS = 6  # decimals of a score
if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".csv", ".parquet", ".json")


class OutputError(CommandError):
    """Raised for an output that cannot be written."""


def check_output(output: Path) -> None:
    """Check that an output can be written, and create its folder.

    Raises:
        OutputError: If the extension is unknown, or the folder cannot be created.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    if output.suffix.lower() not in FORMATS:
        raise OutputError(f"The output is {str(output)!r}; expected a file name ending with {', '.join(FORMATS)}.")
    if output.is_dir():
        raise OutputError(f"The output {str(output)!r} is a folder; expected the name of a file.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder of the output {str(output)!r} cannot be created: {error}") from error
    if output.suffix.lower() == ".parquet":
        with extra("cli"):  # fail before the work, not after it
            need("pyarrow")


def score_rows(
    recordings: Sequence[Recording], results: Sequence[dict[str, Any]], questions: Sequence[NamedQuestion]
) -> list[dict[str, Any]]:
    """Return one row per recording: file, best label and scores of each question, and reason.

    The columns of a question NAME are `NAME`, the best label, and `NAME.LABEL`, the score of each label in [0, 1].
    They are None if the recording could not be used; otherwise `reason` is None.
    """
    rows = []
    for recording, result in zip(recordings, results, strict=True):
        row: dict[str, Any] = {"file": recording.shown}
        for question in questions:
            scores = result.get("scores", {}).get(question.name)
            row[question.name] = None if scores is None else best_label(question, scores)
            for position, label in enumerate(question.names):
                row[f"{question.name}.{label}"] = None if scores is None else scores[position]
        rows.append(row | {"reason": result.get("reason")})
    return rows


def best_label(question: NamedQuestion, scores: Sequence[float]) -> str:
    """Return the label with the highest score; the first one of ties."""
    return question.names[max(range(len(scores)), key=scores.__getitem__)]


def embedding_rows(recordings: Sequence[Recording], results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per recording: file, embedding (a list of floats, or None) and reason."""
    return [
        {"file": recording.shown, "embedding": result.get("embedding"), "reason": result.get("reason")}
        for recording, result in zip(recordings, results, strict=True)
    ]


def rows_of(
    recordings: Sequence[Recording], results: Sequence[dict[str, Any]], questions: Sequence[NamedQuestion]
) -> list[dict[str, Any]]:
    """Return `score_rows`, or `embedding_rows` if there are no questions."""
    return score_rows(recordings, results, questions) if questions else embedding_rows(recordings, results)


def write_table(rows: Sequence[dict[str, Any]], output: Path) -> None:
    """Write rows in the format of the file's extension; an existing file is replaced atomically."""
    suffix = output.suffix.lower()
    file, partial = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    os.close(file)
    try:
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(table_of(rows), partial)
        else:
            with open(partial, "w", encoding="utf-8", newline="") as stream:
                write_csv(rows, stream) if suffix == ".csv" else _write_json(rows, stream)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, output)
    except BaseException:
        os.unlink(partial)
        raise


def write_csv(rows: Sequence[dict[str, Any]], stream: TextIO) -> None:
    """Write rows as CSV; an apostrophe is put before text that a spreadsheet would run as a formula."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([neutralised_cell(name) for name in rows[0]])
    for row in rows:
        writer.writerow(["" if value is None else neutralised_cell(value) for value in row.values()])


def rows_as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as the text of a CSV file."""
    stream = io.StringIO()
    write_csv(rows, stream)
    return stream.getvalue()


def _write_json(rows: Sequence[dict[str, Any]], stream: TextIO) -> None:
    json.dump(list(rows), stream, indent=1, ensure_ascii=False)
    stream.write("\n")


def table_of(rows: Sequence[dict[str, Any]]) -> "pa.Table":
    """Return rows as an Arrow table; only names of score columns contain a dot."""
    import pyarrow as pa

    kinds = {"embedding": pa.list_(pa.float32()), "size": pa.int64(), "modified": pa.int64()}
    fields = [(name, kinds.get(name, pa.float64() if "." in name else pa.string())) for name in rows[0]]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(fields))
