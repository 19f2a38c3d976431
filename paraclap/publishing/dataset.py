"""Stages a query corpus: all of it where the licences allow that, else names, bins, templates and how to build it."""

import json
import shutil
import tempfile
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard

import dataset_scripts
from dataset_scripts.corpora import CORPORA

from .hub import PublishError
from .staging import check_no_token, without_folders

ALWAYS = ("file", "corpus", "split")  # of a corpus that may not be passed on; besides its bins
COPIED = ("bins.json", "rejected.csv", "summary.txt", "build.json")
TABLES = ("queries.csv", "emotions.csv")  # the templates
LEFT_OUT = """
## What is left out

{titles} may not be passed on: of these rows there are only the files' names and the bins; audio, labels, transcripts
and queries are empty. Whoever has the audio from its owners builds the whole corpus with

```bash
python -m dataset_scripts.build_query_corpus --corpora {corpora} --output_dir OUT
```
"""


def stage_dataset(source: Path, folder: Path, repo_id: str, include_audio: bool = False, private: bool = False) -> None:
    """Writes a corpus's folder for the Hub and checks that `datasets` reads it.

    Args:
        source: What `dataset_scripts.build_query_corpus` wrote.
        folder: Empty folder to write.
        repo_id: ORG/NAME, for the card.
        include_audio: Whether to publish audio and labels of corpora whose licence forbids it.
        private: Whether the repo is private, without which that is refused.

    Raises:
        PublishError: If the source is no corpus, audio may not be published, or the result does not load.
    """
    if not (source / "build.json").is_file():
        raise PublishError(f"{source} is no query corpus: it has no build.json. Build one with build_query_corpus.")
    names = json.loads((source / "build.json").read_text(encoding="utf-8"))["corpora"]
    unknown = [name for name in names if name not in CORPORA]
    if unknown:
        raise PublishError(f"{source} has the corpus {unknown[0]!r}; known are {', '.join(CORPORA)}.")
    restricted = [name for name in names if not CORPORA[name].may_be_passed_on]
    if include_audio and restricted and not private:
        raise PublishError(
            f"The licence of {CORPORA[restricted[0]].title} forbids to publish it: --include_audio needs --private "
            "(and readers who have the licence)."
        )
    hidden = [] if include_audio else restricted
    sizes = {}
    for file in sorted((source / "data").glob("*.parquet")):
        split = file.name.split("-")[0]
        sizes[split] = sizes.get(split, 0) + copy_rows(file, folder / "data" / file.name, names, hidden)
    for name in COPIED:
        if (source / name).is_file():
            text = without_folders((source / name).read_text(encoding="utf-8"))
            (folder / name).write_text(text, encoding="utf-8")
    for name in TABLES:
        shutil.copyfile(Path(dataset_scripts.__file__).with_name(name), folder / name)
    write_card(source, folder, repo_id, names, hidden, sizes)
    check_no_token(folder)
    check_rows(folder)


def copy_rows(source: Path, target: Path, names: list[str], hidden: list[str]) -> int:
    """Copies a Parquet file a row group at a time, without what may not be passed on.

    Args:
        source: The file.
        target: Where to.
        names: All corpora in it.
        hidden: Those of which only `ALWAYS` and the bins stay.

    Returns:
        Bytes of its rows in memory.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    file = pq.ParquetFile(source)
    features = datasets.Features.from_arrow_schema(file.schema_arrow)
    if set(names) <= set(hidden):  # columns without any value are of no use
        features = datasets.Features({name: kind for name, kind in features.items() if stays(name)})
    schema, size = features.arrow_schema, 0
    with pq.ParquetWriter(target, schema, write_page_index=True) as writer:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=list(features))
            open_rows = pa.array([corpus not in hidden for corpus in table["corpus"].to_pylist()])
            columns = [column_of(table, field, open_rows) for field in schema]
            table = pa.Table.from_arrays(columns, schema=schema)
            writer.write_table(table, row_group_size=max(len(table), 1))
            size += table.nbytes
    return size


def stays(name: str) -> bool:
    """Whether a column is published of every corpus."""
    return name in ALWAYS or name.endswith("_bin")


def column_of(table: pa.Table, field: pa.Field, open_rows: pa.Array) -> pa.Array:
    """A column with nulls in the rows that may not be passed on, and without this machine's paths."""
    column = table[field.name].combine_chunks()
    if stays(field.name):
        return column.cast(field.type)
    shown = open_rows.to_pylist()
    if field.name == "audio":  # a corpus built with --audio path has no bytes, only where the files were
        shown = [open_row and row.is_valid for open_row, row in zip(shown, column.field("bytes"), strict=True)]
    indices = pa.array([row if show else None for row, show in enumerate(shown)], type=pa.int64())
    return column.take(indices).cast(field.type)


def write_card(source, folder, repo_id, names, hidden, sizes) -> None:
    """Writes the corpus's own card with the repo's name, licences that the Hub knows, and what is left out."""
    card = DatasetCard.load(source / "README.md")
    licences = sorted({CORPORA[name].licence_id for name in names})
    card.data.license = licences[0] if len(licences) == 1 else licences
    card.data.tags = ["audio", "speech", "paralinguistics", "paraclap"]
    for split in (card.data.to_dict().get("dataset_info") or {}).get("splits", []):
        split["num_bytes"] = sizes[split["name"]]
    card.text = card.text.replace('load_dataset("DIR")', f'load_dataset("{repo_id}")')
    if hidden:
        card.text += LEFT_OUT.format(
            titles=", ".join(CORPORA[name].title for name in hidden),
            corpora=" ".join(f"{name}=DIR" for name in names),
        )
    card.save(folder / "README.md")


def check_rows(folder: Path) -> None:
    """Reads a row of each split through `datasets` and counts the rows.

    Raises:
        PublishError: If that fails, or the counts are not the card's.
    """
    info = DatasetCard.load(folder / "README.md").data.to_dict().get("dataset_info") or {}
    expected = {split["name"]: split["num_examples"] for split in info.get("splits", [])}
    with tempfile.TemporaryDirectory() as cache:
        try:
            loaded = datasets.load_dataset(str(folder), streaming=True, cache_dir=cache)
            for split in loaded.values():
                next(iter(split))
        except (OSError, ValueError, StopIteration, datasets.exceptions.DatasetsError) as error:
            raise PublishError(f"datasets does not read the staged corpus: {' '.join(str(error).split())}") from error
    counts = {}
    for file in sorted((folder / "data").glob("*.parquet")):
        split = file.name.split("-")[0]
        counts[split] = counts.get(split, 0) + pq.ParquetFile(file).metadata.num_rows
    if counts != expected:
        raise PublishError(f"The staged corpus has the rows {counts}, its card says {expected}.")
