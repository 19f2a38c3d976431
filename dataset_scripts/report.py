"""What is said about a built corpus: the summary table and the dataset card."""

import pandas as pd
import yaml

from .binning import UNITS, Bins
from .corpora import CORPORA, SPLITS
from .queries import EMOTION_NOUNS

CARD = """\
---
{front_matter}---

# ParaCLAP query corpus

Speech with text queries on how it is spoken, made from {titles} by `dataset_scripts/build_query_corpus.py`.
The audio column holds each file as its owner ships it, not decoded; 16 kHz mono is what the model reads.

```python
from datasets import load_dataset

corpus = load_dataset("DIR")
corpus["train"][0]["queries"]
```

## Corpora and licences

{corpora}

## Rows

```
{summary}
```

{rejected} files were left out; `rejected.csv` says which and why.

## Bins

Fitted on the training rows of {bin_corpora}; low is below the lower edge, high from the upper edge on.

{bins}
"""


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


def format_table(table: pd.DataFrame) -> str:
    """Lay out a table in aligned columns: text to the left, numbers to the right."""
    cells = [list(map(str, table.columns))] + [["" if pd.isna(v) else str(v) for v in row] for row in table.to_numpy()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(_is_number(row[i]) for row in cells[1:]) for i in range(len(widths))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def dataset_card(frame: pd.DataFrame, rejected: pd.DataFrame, bins: Bins, sizes: dict[str, int]) -> str:
    """Write the card: YAML with the splits (the features are in the Parquet files), licences, counts and bin edges.

    Args:
        frame: the rows of the corpus.
        rejected: the files left out.
        bins: the edges applied.
        sizes: split -> bytes in memory, as `write_splits` returns.
    """
    names = list(dict.fromkeys(frame["corpus"]))
    licences = sorted({CORPORA[name].licence.lower() for name in names})
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
    return CARD.format(
        front_matter=yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True),
        titles=", ".join(CORPORA[name].title for name in names),
        corpora=markdown_table(corpora),
        summary=format_table(summarise(frame)),
        rejected=len(rejected),
        bin_corpora=", ".join(bins.corpora) or "the training split",
        bins=markdown_table(edges),
    )


def markdown_table(rows: list[dict]) -> str:
    """Lay out rows, one dict each with the same keys, as a Markdown table."""
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([str(row[name]) for name in header] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
