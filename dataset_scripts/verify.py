"""Comparing a copy of a corpus with the owner's release: counts per label and per task, and unreadable files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from modeling_paraclap.audio_paraclap import AudioError, read_audio

from .catalogue import remarks_of
from .corpora import SPLITS, scan_corpus
from .corpus import Corpus
from .tables import first_lines, format_table

if TYPE_CHECKING:
    import pandas as pd

LISTED = 20  # files of a kind that are printed
OWNERS = ["owner's", "difference"]  # columns about the owner's release, of which a user's own corpus has none


class Count(NamedTuple):
    """Number of utterances of one kind.

    Attributes:
        name: the kind.
        here: number in this copy.
        whole: number in the owner's release; None where not known.
    """

    name: str
    here: int
    whole: int | None

    @property
    def differs(self) -> bool:
        """Return whether the copy has another number than the owner's release."""
        return self.whole is not None and self.here != self.whole


def verify_corpus(corpus: Corpus, root: Path, labels_only: bool = False) -> tuple[bool, list[str]]:
    """Compare a copy with the owner's release.

    Args:
        corpus: the corpus.
        root: its folder.
        labels_only: do not decode the files.

    Returns:
        Whether the counts are the owner's and every file can be read, and the lines of the report.

    Raises:
        CorpusError: As [`scan_corpus`].
    """
    import pandas as pd

    frame, left_out = scan_corpus(corpus.name, root)
    counts = count_utterances(corpus, frame)
    unreadable = {} if labels_only else _find_unreadable(frame)
    splits = ", ".join(f"{split} {int((frame['split'] == split).sum()):,}" for split in SPLITS)
    rows = [
        {
            "": count.name,
            "here": count.here,
            OWNERS[0]: "" if count.whole is None else count.whole,
            OWNERS[1]: f"{count.here - count.whole:+d}" if count.differs else "",
        }
        for count in counts
    ]
    lines = [f"{corpus.title}: {len(frame):,} utterances in {root} ({splits})", *remarks_of(corpus)]
    lines.append(format_table(pd.DataFrame(rows).drop(columns=OWNERS if corpus.source else [])))
    if corpus.source:
        lines += _first_lines(f"{len(left_out):,} left out", list(left_out["file"] + ": " + left_out["reason"]))
    else:
        kinds = left_out["reason"].str.replace(r"listed in .*?, row \d+, but", "listed, but", regex=True)
        for reason, files in left_out.groupby(kinds, sort=False):
            lines += _first_lines(f"{len(files):,} left out: {reason}", list(files["file"]))
    if unreadable:
        lines += _first_lines(f"{len(unreadable):,} unreadable", list(unreadable.values()))
    differs = any(count.differs for count in counts)
    if differs and corpus.note:
        lines.append(f"note: {corpus.note}")
    # A file that the owner ships broken does not make a copy wrong.
    damaged = [file for file in unreadable if Path(file).name not in corpus.broken]
    if corpus.source:
        whole = not (len(left_out) or unreadable)
        lines.append("every row can be used" if whole else "NOT every row can be used")
    else:
        whole = not (differs or damaged)
        lines.append("as the owner ships it" if whole else "NOT as the owner ships it")
    return whole, lines


def count_utterances(corpus: Corpus, frame: pd.DataFrame) -> list[Count]:
    """Count the utterances in all, per label and per task, beside the owner's numbers."""
    counts = [Count("utterances", len(frame), corpus.utterances)]
    for column, owners in corpus.counts.items():
        found = frame[column].value_counts()
        values = [*owners, *(value for value in found.index if value not in owners)]
        counts += [Count(f"{column} {value}", int(found.get(value, 0)), owners.get(value, 0)) for value in values]
    for task in corpus.tasks:
        if task.column in frame:
            found = task.references(frame).value_counts()
            counts.append(Count(f"task {task.name}", int(found.sum()), sum(task.counts.values()) or None))
            counts += [
                Count(f"task {task.name}: {label}", int(found.get(label, 0)), task.counts.get(label))
                for label in task.labels
            ]
    return counts


def _find_unreadable(frame: pd.DataFrame) -> dict[str, str]:
    """Map each file that cannot be decoded to its end to its name and the reason."""
    reasons = {}
    for file, path in tqdm(zip(frame["file"], frame["path"], strict=True), total=len(frame), unit="file"):
        try:
            read_audio(path)
        except AudioError as error:
            reasons[file] = f"{file}: {str(error).replace(path, file)}"
    return reasons


def _first_lines(title: str, lines: list[str]) -> list[str]:
    return [title, *(f"  {line}" for line in first_lines(lines, LISTED))]
