"""What is said about a built corpus: the summary table and the dataset card."""

from pathlib import Path

import pandas as pd
import yaml

from .binning import UNITS, Bins
from .corpora import CORPORA, SPLITS
from .queries import EMOTION_NOUNS, INDEX, TemplateIndex
from .query_columns import query_columns
from .tables import format_table, markdown_table

RESTRICTION = """**Not to be passed on:** the licence of {titles} forbids it. The rows below hold audio and labels of it
for whoever built this folder; share the builder, `bins.json` and the templates instead.

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


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Count rows, hours, speakers and emotions per corpus and split; emotions that do not occur have no column."""
    emotions = [emotion for emotion in EMOTION_NOUNS if (frame["emotion"] == emotion).any()]
    lines = []
    for corpus in dict.fromkeys(frame["corpus"]):
        for split in SPLITS:
            rows = frame[(frame["corpus"] == corpus) & (frame["split"] == split)]
            if len(rows):
                lines.append({"corpus": corpus, "split": split, **_counts(rows, emotions)})
    lines.append({"corpus": "all", "split": "", **_counts(frame, emotions)})
    return pd.DataFrame(lines)


def _counts(rows: pd.DataFrame, emotions: list[str]) -> dict[str, str | int]:
    speakers = rows[["corpus", "speaker"]].drop_duplicates()
    counts = {
        "rows": len(rows),
        "hours": f"{rows['duration'].sum() / 3600:.2f}",
        "speakers": len(speakers),
        "female": int((rows["gender"] == "female").sum()),
        "male": int((rows["gender"] == "male").sum()),
    }
    return {**counts, **{emotion: int((rows["emotion"] == emotion).sum()) for emotion in emotions}}


def dataset_card(
    frame: pd.DataFrame, rejected: pd.DataFrame, bins: Bins, sizes: dict[str, int], index: TemplateIndex = INDEX
) -> str:
    """Fill in ``dataset_card.md``: YAML with the splits, licences, counts, columns, bin edges and examples.

    Nothing in it is the label of one utterance of a corpus that may not be passed on: examples are of the others.

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
        summary=format_table(summarise(frame)),
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
    """The queries of the first training row of each corpus that may be passed on."""
    open_rows = frame[[CORPORA[name].may_be_passed_on for name in frame["corpus"]]]
    rows = open_rows.drop_duplicates("corpus")
    if rows.empty:
        return "None: the licences of these corpora do not let labels be shown."
    texts = query_columns(rows, index)[0].to_pylist()
    return "\n".join(
        f"- {CORPORA[corpus].title}, `{file}`: {'; '.join(queries[:8])}; …"
        for corpus, file, queries in zip(rows["corpus"], rows["file"], texts, strict=True)
    )
