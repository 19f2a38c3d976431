"""What the corpora and tasks need, and whether a copy of a corpus is whole.

    python -m dataset_scripts.corpora list
    python -m dataset_scripts.corpora download ravdess=/data/RAVDESS
    python -m dataset_scripts.corpora verify ravdess=/data/RAVDESS emodb=/data/EMO-DB

`verify` counts the utterances per label and per task beside the owner's counts, and lists missing, extra and unreadable
files; it decodes every file (`--labels_only` does not). Its exit status is 0 if all counts are the owner's and every
file can be read, 1 if not, and 2 if a corpus cannot be read at all.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from modeling_paraclap.audio_paraclap import AudioError, read_audio

from ..report import format_table
from ..tasks import TASKS
from . import CORPORA, SPLITS, Corpus, CorpusError, parse_corpora, scan_corpus
from .download import ARCHIVES, download
from .transfer import DownloadError

LISTED = 20  # files of a kind that are printed


def list_corpora() -> str:
    """All corpora and tasks, as the text that `list` prints."""
    parts = []
    for corpus in CORPORA.values():
        counts = f"{corpus.utterances:,} utterances" if corpus.utterances else "any number of utterances"
        lines = [f"{corpus.name}: {corpus.title}, {counts}", f"  needed   {corpus.layout}"]
        lines += [f"  from     {corpus.homepage}", f"  licence  {corpus.licence}"]
        for column, values in corpus.counts.items():
            lines.append(f"  {column:8} {', '.join(f'{value} {count:,}' for value, count in values.items())}")
        if corpus.note:
            lines.append(f"  note     {corpus.note}")
        parts.append("\n".join(lines))
    rows = [
        {
            "task": task.name,
            "corpus": task.corpus,
            "split": task.split or "all",
            "classes": len(task.labels),
            "rows": sum(task.counts.values()) or "",
            "paper's best UAR": f"{max(task.paper_uar.values()):.3f}" if task.paper_uar else "",
            "labels": ", ".join(task.labels),
        }
        for task in TASKS.values()
    ]
    return "\n\n".join([*parts, format_table(pd.DataFrame(rows))])


def verify_corpus(corpus: Corpus, root: Path, labels_only: bool = False) -> tuple[bool, Iterator[str]]:
    """Compare a copy with the owner's release.

    Args:
        corpus: what it should be.
        root: the folder.
        labels_only: do not decode the files.

    Returns:
        Whether the counts are the owner's and every file can be read, and the report, line by line.

    Raises:
        CorpusError: see `scan_corpus`.
    """
    frame, left_out = scan_corpus(corpus.name, root)
    expected = [("utterances", len(frame), corpus.utterances)]
    for column, counts in corpus.counts.items():
        found = frame[column].value_counts()
        values = [*counts, *(value for value in found.index if value not in counts)]
        expected += [(f"{column} {value}", int(found.get(value, 0)), counts.get(value, 0)) for value in values]
    for task in TASKS.values():
        if task.corpus == corpus.name and task.column in frame:
            found = task.references(frame).value_counts()
            expected.append((f"task {task.name}", int(found.sum()), sum(task.counts.values()) or None))
            for label in task.labels:
                expected.append((f"task {task.name}: {label}", int(found.get(label, 0)), task.counts.get(label)))
    unreadable = {} if labels_only else _unreadable(frame)
    wrong = [line for line in expected if line[2] is not None and line[1] != line[2]]
    splits = ", ".join(f"{split} {int((frame['split'] == split).sum()):,}" for split in SPLITS)
    rows = [
        {"": name, "here": here, "owner's": "" if whole is None else whole, " ": _difference(here, whole)}
        for name, here, whole in expected
    ]
    lines = [f"{corpus.title}: {len(frame):,} utterances in {root} ({splits})", format_table(pd.DataFrame(rows))]
    kinds = left_out["reason"].str.replace(r"listed in .*?, row \d+, but", "listed, but", regex=True)
    for reason, files in left_out.groupby(kinds, sort=False):
        lines += _some(f"{len(files):,} left out: {reason}", list(files["file"]))
    if unreadable:
        lines += _some(f"{len(unreadable):,} unreadable", list(unreadable.values()))
    if wrong and corpus.note:
        lines.append(f"note: {corpus.note}")
    # A file that the owner ships broken does not make a copy wrong.
    damaged = [file for file in unreadable if Path(file).name not in corpus.broken]
    whole = not (wrong or damaged)
    lines.append("as the owner ships it" if whole else "NOT as the owner ships it")
    return whole, iter(lines)


def _unreadable(frame: pd.DataFrame) -> dict[str, str]:
    """File -> file and reason, of those that cannot be decoded to their end."""
    reasons = {}
    for file, path in tqdm(zip(frame["file"], frame["path"], strict=True), total=len(frame), unit="file"):
        try:
            read_audio(path)
        except AudioError as error:
            reasons[file] = f"{file}: {str(error).replace(path, file)}"
    return reasons


def _difference(here: int, whole: int | None) -> str:
    return "" if whole is None or here == whole else f"{here - whole:+d}"


def _some(title: str, lines: list[str]) -> list[str]:
    more = [f"  ... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [title, *(f"  {line}" for line in lines[:LISTED]), *more]


def _download(corpus: Corpus, root: Path, only: Sequence[str] | None) -> None:
    """Fetch a corpus, its licence shown before."""
    archives = ARCHIVES.get(corpus.name, ())
    if not archives:
        raise DownloadError(
            f"{corpus.title} is not fetched by this command (it can fetch {', '.join(ARCHIVES)}): get it from "
            f"{corpus.homepage} (licence: {corpus.licence}), laid out as {corpus.layout}."
        )
    names = [archive.name for archive in archives]
    if unknown := [name for name in only or () if name not in names]:
        raise DownloadError(f"{corpus.title} has no archive {unknown[0]!r}; it has {', '.join(names)}.")
    print(f"{corpus.title}, licence {corpus.licence}, from {corpus.homepage}: by using it you accept its licence.")
    for note in download([archive for archive in archives if not only or archive.name in only], root):
        print(note)
    print(
        f"{corpus.title} is in {root}; compare it with: python -m dataset_scripts.corpora verify {corpus.name}={root}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, list or verify. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dataset_scripts.corpora",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all corpora and tasks: layout, source, licence, counts")
    verify = commands.add_parser("verify", help="compare copies with the owners' releases")
    verify.add_argument("corpora", nargs="+", metavar="NAME=DIR", help=f"of {', '.join(CORPORA)}")
    verify.add_argument("--labels_only", action="store_true", help="do not decode the audio")
    fetch = commands.add_parser("download", help="fetch corpora whose licence and owner allow it")
    fetch.add_argument("corpora", nargs="+", metavar="NAME=DIR", help=f"of {', '.join(ARCHIVES)}")
    fetch.add_argument("--archives", nargs="+", metavar="FILE", help="only these, e.g. test-other.tar.gz")
    args = parser.parse_args(arguments)
    if args.command == "list":
        print(list_corpora())
        return 0
    status = 0
    try:
        for name, root in parse_corpora(args.corpora).items():
            if args.command == "download":
                _download(CORPORA[name], root, args.archives)
                continue
            whole, lines = verify_corpus(CORPORA[name], root, args.labels_only)
            print("\n".join(lines), end="\n\n")
            status = status if whole else 1
    except (
        CorpusError,
        DownloadError,
        OSError,
        ImportError,
    ) as error:  # each says what was given, expected and to be done
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    raise SystemExit(main())
