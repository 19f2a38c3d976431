"""Scores printed for people to read in a terminal."""

import sys
from collections.abc import Sequence

from paraclap.page.questions import NamedQuestion

from .recordings import Recording
from .score import Result
from .tables import rows_as_csv, score_rows

OTHERS = 3  # labels shown after the best
LONGEST = 28  # terminal cells of a label


def print_scores(
    recordings: Sequence[Recording], results: Sequence[Result], questions: Sequence[NamedQuestion]
) -> None:
    """Print the scores: lines that fit the terminal, or CSV if the output goes to a file or a program."""
    if not is_terminal():
        sys.stdout.write(rows_as_csv(score_rows(recordings, results, questions)))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for recording, result in zip(recordings, results, strict=True):
        if "scores" in result:
            console.print(Text(recording.shown, style="bold", overflow="fold"))
        for line in score_lines(result, questions, console.width):
            console.print(Text(line), no_wrap=True)


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def score_lines(result: Result, questions: Sequence[NamedQuestion], width: int) -> list[str]:
    """Format one line per question: its name, the best label with its score, and the next labels.

    Args:
        result: Result of a recording; gives no lines if the recording could not be used.
        questions: The questions.
        width: Width of a line in terminal cells; a letter takes one, a Chinese character two.
    """
    from rich.cells import cell_len, set_cell_size

    if "scores" not in result:
        return []
    name_width = max(cell_len(question.name) for question in questions)
    label_width = min(LONGEST, max(cell_len(label) for question in questions for label in question.names))
    lines = []
    for question in questions:
        scores = zip(question.names, result["scores"][question.name], strict=True)
        (best, score), *others = sorted(scores, key=lambda pair: -pair[1])
        rest = ", ".join(f"{label} {value:.2f}" for label, value in others[:OTHERS])
        line = f"  {set_cell_size(question.name, name_width)}  {_cut(best, label_width)}  {score:.2f}  {rest}"
        lines.append(_cut(line, width).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    """Pad or cut a text to a width in cells; a cut is marked with an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"
