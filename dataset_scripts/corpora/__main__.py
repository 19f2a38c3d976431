"""List the corpora and tasks, download corpora, and verify that a copy of a corpus is complete.

    python -m dataset_scripts.corpora list
    python -m dataset_scripts.corpora list crema_d
    python -m dataset_scripts.corpora download ravdess=/data/RAVDESS
    python -m dataset_scripts.corpora verify ravdess=/data/RAVDESS emodb=/data/EMO-DB

`verify` counts the utterances per label and per task beside the owner's counts, and lists missing, extra and unreadable
files; it decodes every file (`--labels_only` does not). Its exit status is 0 if all counts are the owner's and every
file can be read, 1 if not, and 2 if a corpus cannot be read at all. Of a corpus of your own (NAME=DIR with
DIR/files.csv) it checks that every row can be used.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..catalogue import describe_corpora, list_corpora
from ..corpus import Corpus
from ..download import download
from ..extras import need, program_extra
from ..transfer import DownloadError
from ..verify import verify_corpus
from . import CORPORA, OWN, CorpusError, parse_corpora


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m dataset_scripts.corpora",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="all corpora and tasks, or all that is known of those named")
    listing.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(CORPORA)}; NAME=DIR for {OWN}")
    verify = commands.add_parser("verify", help="compare copies with the owners' releases")
    verify.add_argument("corpora", nargs="+", metavar="NAME=DIR", help=f"NAME is one of {', '.join(CORPORA)}, or {OWN}")
    verify.add_argument("--labels_only", action="store_true", help="do not decode the audio")
    fetch = commands.add_parser("download", help="fetch corpora whose licence and owner allow it")
    fetch.add_argument("corpora", nargs="+", metavar="NAME=DIR", help=f"NAME is one of {', '.join(downloadable())}")
    fetch.add_argument("--archives", nargs="+", metavar="FILE", help="only these, e.g. test-other.tar.gz")
    return parser.parse_args(arguments)


def downloadable() -> list[str]:
    """Return the names of the corpora that `download` can fetch."""
    return [name for name, corpus in CORPORA.items() if corpus.archives]


def fetch_corpus(corpus: Corpus, root: Path, only: Sequence[str] | None) -> None:
    """Show a corpus's licence and fetch it.

    Args:
        corpus: the corpus.
        root: the folder to write.
        only: names of its archives; None fetches all.

    Raises:
        DownloadError: If the corpus cannot be fetched, or has no such archive.
    """
    if not corpus.archives:
        raise DownloadError(
            f"{corpus.title} is not fetched by this command (it can fetch {', '.join(downloadable())}): get it from "
            f"{corpus.homepage} (licence: {corpus.licence}), laid out as {corpus.layout}."
        )
    names = [archive.name for archive in corpus.archives]
    if unknown := [name for name in only or () if name not in names]:
        raise DownloadError(f"{corpus.title} has no archive {unknown[0]!r}; it has {', '.join(names)}.")
    print(f"{corpus.title}, licence {corpus.licence}, from {corpus.homepage}: by using it you accept its licence.")
    for note in download([archive for archive in corpus.archives if not only or archive.name in only], root):
        print(note)
    print(f"{corpus.title} is in {root}. Verify it: python -m dataset_scripts.corpora verify {corpus.name}={root}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; list, verify or download. Return the exit status."""
    args = parse_arguments(arguments)
    with program_extra("features"):
        need("pandas")
    status = 0
    try:
        if args.command == "list":
            print(describe_corpora(args.names) if args.names else list_corpora())
            return 0
        for name, root in parse_corpora(args.corpora).items():
            if args.command == "download":
                fetch_corpus(CORPORA[name], root, args.archives)
                continue
            whole, lines = verify_corpus(CORPORA[name], root, args.labels_only)
            print("\n".join(lines), end="\n\n")
            status = status if whole else 1
    except (CorpusError, DownloadError, OSError, ImportError) as error:  # each names what was given and what to do
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    raise SystemExit(main())
