"""The corpora and tasks as text for a terminal of 80 columns."""

import textwrap
from collections.abc import Sequence

import pandas as pd

from .corpora import CORPORA, TASKS, corpus_of
from .corpus import Corpus
from .tables import WIDTH, format_table

DETAILS = "Layout, licence, source and counts of a corpus: python -m dataset_scripts.corpora list NAME"


def list_corpora() -> str:
    """Return a table of the corpora and one of the tasks."""
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
    ]
    tables = [format_table(pd.DataFrame(rows)) for rows in (corpora, tasks)]
    return "\n\n".join([*tables, textwrap.fill(DETAILS, WIDTH)])


def describe_corpora(names: Sequence[str]) -> str:
    """Return all that is known of some corpora.

    Raises:
        CorpusError: a name is unknown.
    """
    return "\n\n".join(_describe(corpus_of(name)) for name in names)


def _describe(corpus: Corpus) -> str:
    number = f"{corpus.utterances:,} utterances" if corpus.utterances else "any number of utterances"
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
    facts += [("note", corpus.note), ("download", ", ".join(archive.name for archive in corpus.archives))]
    lines = [f"{corpus.name}: {corpus.title}, {number}"]
    for name, text in facts:
        if text:
            lines += textwrap.wrap(
                text,
                WIDTH,
                initial_indent=f"  {name:10}  ",
                subsequent_indent=" " * 14,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)
