"""The description of a built corpus: the summary and the dataset card."""

from pathlib import Path

import pandas as pd
import yaml

from .binning import UNITS, Bins
from .corpora import CORPORA, SPLITS
from .queries import EMOTION_NOUNS, INDEX, TemplateIndex
from .query_columns import query_columns
from .tables import WIDTH, format_table, markdown_table

RESTRICTION = """**Not to be passed on:** the licence of {titles} forbids it, or is not stated. The rows below hold
audio and labels of it for whoever built this folder; share the builder, `bins.json` and the templates instead.

"""
COLUMNS = (
    "`audio`: the owner's file, not decoded; `file`, `corpus`, `split`: where it is from",
    "`speaker`, `gender`, `age` (years), `language`, `emotion` (an adjective), `transcript`: null where unknown",
    "`age_group`: young (below 30), middle-aged (below 60) or elderly",
    "`listeners_emotion`: what most listeners heard in the voice, ties joined by a colon; null where nobody was asked",
    "`arousal`, `valence`, `dominance`: on the corpus's own scale",
    "`pitch_mean`, `pitch_std`, `intensity`, `duration`, `jitter`, `shimmer`: the functionals, units under Bins",
    "`*_bin`: low, mid or high of each of these nine",
    "`queries`, and in `query_attributes` what each of them speaks of",
)
CARD = "dataset_card.md"


def summary_of(frame: pd.DataFrame) -> str:
    """Return the summary of a corpus as text of at most 80 columns.

    Rows, hours, speakers and genders of each corpus and split; and each emotion's rows by split, with the corpora.
    """
    summary = format_table(pd.DataFrame(count_rows(frame)), WIDTH)
    emotions = count_emotions(frame)
    return f"{summary}\n\n{format_table(pd.DataFrame(emotions), WIDTH)}" if emotions else summary


def count_rows(frame: pd.DataFrame) -> list[dict[str, str | int]]:
    """Count rows, hours, speakers and genders per corpus and split, and in all."""
    groups = [
        (corpus, split, rows)
        for corpus, of_corpus in frame.groupby("corpus", sort=False)
        for split in SPLITS
        if len(rows := of_corpus[of_corpus["split"] == split])
    ]
    return [
        {
            "corpus": corpus,
            "split": split,
            "rows": len(rows),
            "hours": f"{rows['duration'].sum() / 3600:.2f}",
            "speakers": len(rows[["corpus", "speaker"]].drop_duplicates()),
            "female": int((rows["gender"] == "female").sum()),
            "male": int((rows["gender"] == "male").sum()),
        }
        for corpus, split, rows in [*groups, ("all", "", frame)]
    ]


def count_emotions(frame: pd.DataFrame) -> list[dict[str, str | int]]:
    """Count the rows of each emotion that occurs, by split, beside the number of corpora that have it."""
    counts = []
    for emotion in EMOTION_NOUNS:
        rows = frame[frame["emotion"] == emotion]
        if len(rows):
            by_split = {split: int((rows["split"] == split).sum()) for split in SPLITS}
            counts.append({"emotion": emotion, **by_split, "all": len(rows), "corpora": rows["corpus"].nunique()})
    return counts


def dataset_card(
    frame: pd.DataFrame, rejected: pd.DataFrame, bins: Bins, sizes: dict[str, int], index: TemplateIndex = INDEX
) -> str:
    """Fill in ``dataset_card.md``: YAML with the splits, licences, counts, columns, bin edges and examples.

    The examples are of corpora that may be passed on: no label of another corpus is shown.

    Args:
        frame: the rows of the corpus.
        rejected: the files left out.
        bins: the edges applied.
        sizes: split -> bytes in memory, as `write_splits` returns.
        index: the templates.
    """
    names = list(dict.fromkeys(frame["corpus"]))
    licences = sorted({CORPORA[name].licence_id for name in names})
    rows = frame["split"].value_counts()
    front_matter = {
        "license": licences[0] if len(licences) == 1 else licences,
        "language": sorted(set(frame["language"].dropna())),
        "task_categories": ["audio-classification", "zero-shot-classification"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in sizes],
            }
        ],
        "dataset_info": {
            "splits": [
                {"name": split, "num_bytes": size, "num_examples": int(rows[split])} for split, size in sizes.items()
            ],
        },
    }
    corpora = [
        {"corpus": CORPORA[name].title, "licence": CORPORA[name].licence, "homepage": CORPORA[name].homepage}
        for name in names
    ]
    edges = [
        {"attribute": name, "lower": f"{low:.6g}", "upper": f"{high:.6g}", "unit": UNITS[name], "rows": bins.rows[name]}
        for name, (low, high) in bins.edges.items()
    ]
    restricted = [CORPORA[name].title for name in names if not CORPORA[name].may_be_passed_on]
    return card_template().format(
        front_matter=yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True),
        titles=", ".join(CORPORA[name].title for name in names),
        corpora=markdown_table(corpora),
        summary=summary_of(frame),
        rejected=len(rejected),
        bin_corpora=", ".join(bins.corpora) or "the training split",
        bins=markdown_table(edges),
        command=" ".join(f"{name}=DIR" for name in names),
        templates=sum(map(len, index.values())),
        restriction=RESTRICTION.format(titles=", ".join(restricted)) if restricted else "",
        columns="\n".join(f"- {text}" for text in COLUMNS),
        examples=_examples(frame, index),
    )


def card_template() -> str:
    """Return the text of ``dataset_card.md``, which a wheel has in this package and a checkout has beside it."""
    packaged = Path(__file__).resolve().with_name(CARD)
    card = packaged if packaged.is_file() else packaged.parents[1] / CARD
    return card.read_text(encoding="utf-8")


def _examples(frame: pd.DataFrame, index: TemplateIndex) -> str:
    """Return the queries of the first row of each corpus that may be passed on, as a Markdown list."""
    open_rows = frame[[CORPORA[name].may_be_passed_on for name in frame["corpus"]]]
    rows = open_rows.drop_duplicates("corpus")
    if rows.empty:
        return "None: the licences of these corpora do not let labels be shown."
    texts = query_columns(rows, index)[0].to_pylist()
    return "\n".join(
        f"- {CORPORA[corpus].title}, `{file}`: {'; '.join(queries[:8])}; …"
        for corpus, file, queries in zip(rows["corpus"], rows["file"], texts, strict=True)
    )
