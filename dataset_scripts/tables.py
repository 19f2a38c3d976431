"""Tables: aligned text for a terminal, Markdown for cards, and CSV that is safe to open in a spreadsheet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 80  # columns of a terminal
GAP = "  "
FORMULA_STARTS = ("=", "+", "-", "@", "\t")


def format_table(table: "pd.DataFrame", width: int | None = None) -> str:
    """Lay out a table in aligned columns: text to the left, numbers to the right.

    Args:
        table: the table; null values are left blank.
        width: columns of the terminal; what does not fit goes into further blocks below, each beginning with the first
            column. None keeps the table in one piece.
    """
    import pandas as pd

    cells = [list(map(str, table.columns))] + [["" if pd.isna(v) else str(v) for v in row] for row in table.to_numpy()]
    columns = [_aligned(column) for column in zip(*cells, strict=True)]
    blocks, rest = [], columns[1:]
    while True:
        block = [columns[0]]
        while rest and (width is None or len(block) == 1 or _width([*block, rest[0]]) <= width):
            block.append(rest.pop(0))
        blocks.append("\n".join(GAP.join(line).rstrip() for line in zip(*block, strict=True)))
        if not rest:
            return "\n\n".join(blocks)


def _aligned(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    numeric = all(_is_number(cell) for cell in column[1:])
    return [cell.rjust(width) if numeric else cell.ljust(width) for cell in column]


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(len(column[0]) for column in columns) + len(GAP) * (len(columns) - 1)


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(",", "").replace(".", "", 1).isdecimal() or not text


def first_lines(lines: Sequence[str], most: int) -> list[str]:
    """Return the first lines, and how many more there are."""
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def rejected_lines(rejected: "pd.DataFrame", most: int) -> list[str]:
    """Return files that were left out (corpus, file, reason) as indented lines, `most` of them."""
    lines = [f"{row.corpus}: {row.file}: {row.reason}" for row in rejected.itertuples()]
    return [f"  {line}" for line in first_lines(lines, most)]


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows, one mapping each with the same keys, as a Markdown table; empty if there are no rows."""
    if not rows:
        return ""
    header = list(rows[0])
    cells = ([str(row[name]).replace("|", "\\|") for name in header] for row in rows)
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_csv(table: "pd.DataFrame", path: str | Path, **options: Any) -> None:
    """Write a table as CSV in which no cell is a formula.

    A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``, and names of files and labels are other
    people's text: such cells get an apostrophe in front. Numbers stay numbers.

    Args:
        table: the table; its index is not written.
        path: the file to write.
        options: for `pandas.DataFrame.to_csv`.
    """
    import pandas as pd

    safe = table.rename(columns=neutralised_cell)
    for position, kind in enumerate(safe.dtypes):
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
            safe.isetitem(position, safe.iloc[:, position].map(neutralised_cell, na_action="ignore"))
    safe.to_csv(path, index=False, **options)


def neutralised_cell(value: Any) -> Any:
    r"""Return a value for a cell of a spreadsheet: text that would be a formula gets an apostrophe in front.

    A carriage return, which readers of CSV take for the end of a row, becomes ``\r``.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r", "\\r")
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
