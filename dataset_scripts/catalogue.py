"""The corpora and tasks as text for a terminal of 80 columns."""

import textwrap
from collections.abc import Sequence

from .corpora import CORPORA, TASKS, corpus_of, has_module, parse_corpora
from .corpus import Corpus
from .tables import WIDTH, format_table

DETAILS = (
    "Layout, licence, source and counts of a corpus: python -m dataset_scripts.corpora list NAME",
    "A corpus of your own needs no module: NAME=DIR reads DIR/files.csv (docs/corpora.md)",
)


def list_corpora() -> str:
    """Return a table of the corpora and one of the tasks."""
    import pandas as pd

    corpora = [
        {
            "corpus": corpus.name,
            "title": corpus.title,
            "language": next(iter(corpus.languages)) if len(corpus.languages) == 1 else "several",
            "utterances": f"{corpus.utterances:,}" if corpus.utterances else "",
            "licence": corpus.licence if corpus.licence_id != "other" else "the owner's terms",
            "download": "yes" if corpus.archives else "",
        }
        for corpus in CORPORA.values()
        if has_module(corpus.name)
    ]
    tasks = [
        {
            "task": task.name,
            "split": task.split or "all",
            "classes": len(task.labels),
            "rows": f"{sum(task.counts.values()):,}" if task.counts else "",
            "paper's best UAR": f"{max(task.paper_uar.values()):.3f}" if task.paper_uar else "",
            "asks for": task.column.removesuffix("_bin"),
        }
        for task in TASKS.values()
        if has_module(task.corpus)
    ]
    tables = [format_table(pd.DataFrame(rows)) for rows in (corpora, tasks)]
    return "\n\n".join([*tables, "\n".join(textwrap.fill(text, WIDTH) for text in DETAILS)])


def describe_corpora(names: Sequence[str]) -> str:
    """Describe corpora in full.

    Args:
        names: names of corpora; NAME=DIR for those of the user's own.

    Raises:
        CorpusError: If a name is unknown, or a table cannot be read.
    """
    parse_corpora([name for name in names if "=" in name])
    return "\n\n".join(_describe(corpus_of(name.partition("=")[0])) for name in names)


def remarks_of(corpus: Corpus) -> list[str]:
    """Return remarks on how a user's table was read."""
    return [line for remark in corpus.remarks for line in _hang("  note: ", remark)]


def _describe(corpus: Corpus) -> str:
    number = f"{corpus.utterances:,} utterances" if corpus.utterances else "any number of utterances"
    if corpus.source:
        reading = corpus.read(corpus.source)
        number = f"{len(reading.rows):,} utterances" + (
            f", {len(reading.rejected):,} rows left out" if reading.rejected else ""
        )
    facts = [
        ("layout", corpus.layout),
        ("from", corpus.homepage),
        ("licence", corpus.licence),
        ("language", ", ".join(corpus.languages.values())),
        ("cite", corpus.citation),
    ]
    for column, counts in corpus.counts.items():
        facts.append((column, ", ".join(f"{value} {count:,}" for value, count in counts.items())))
    facts += [("task", f"{task.name}: {', '.join(task.labels)}") for task in corpus.tasks]
    facts += [("note", text) for text in (corpus.note, *corpus.remarks)]
    facts.append(("download", ", ".join(archive.name for archive in corpus.archives)))
    lines = [f"{corpus.name}: {corpus.title}, {number}"]
    for name, text in facts:
        if text:
            lines += _hang(f"  {name:10}  ", text)
    return "\n".join(lines)


def _hang(head: str, text: str) -> list[str]:
    """Return a text as lines of at most `WIDTH`, the first after a head, the others below its text."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
