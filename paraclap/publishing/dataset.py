"""Stage a query corpus: complete where the licences allow it, else file names, bins, templates and build steps."""

import csv
import io
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard

import dataset_scripts
from dataset_scripts.build_record import BUILD_FILE, write_record
from dataset_scripts.corpora import CorpusError, recorded_corpus

from .checks import check_staged, copy_file
from .errors import PublishError
from .local_paths import clean_record, local_paths, without_local_paths
from .records import read_json
from .staging import write_json

ALWAYS = (
    "file",
    "corpus",
    "split",
)  # columns that are always published, as are the bins
RECORDS = ("bins.json", BUILD_FILE)
TABLES = ("queries.csv", "emotions.csv")  # the templates
LEFT_OUT = """
## What is left out

{titles} may not be redistributed: their rows contain only file names and bins; audio, labels, transcripts and queries
are empty. With the audio from its owners, build the complete corpus with

```bash
paraclap corpus build --corpora {corpora} --output_dir OUT
```
"""


def stage_dataset(source: Path, folder: Path, repo_id: str, include_audio: bool = False, private: bool = False) -> None:
    """Write the folder of a query corpus for the Hub and check that `datasets` can read it.

    Args:
        source: Folder written by `dataset_scripts.build_query_corpus`.
        folder: Empty folder to write.
        repo_id: ORG/NAME, for the card.
        include_audio: Whether to include audio and labels of corpora whose licence forbids publishing them.
        private: Whether the repo is private, which `include_audio` requires for such corpora.

    Raises:
        PublishError: If the source is not a query corpus, audio may not be published, or the result does not load.
    """
    names = names_of(source)
    restricted = [corpus for corpus in map(recorded_corpus, names) if not corpus.may_be_passed_on]
    if include_audio and restricted and not private:
        raise PublishError(
            f"The licence of {restricted[0].title} does not allow publishing it: --include_audio needs --private "
            "(and readers who have the licence)."
        )
    hidden = [] if include_audio else [corpus.name for corpus in restricted]
    sizes: dict[str, int] = {}
    for file in sorted((source / "data").glob("*.parquet")):
        split = file.name.split("-")[0]
        sizes[split] = sizes.get(split, 0) + copy_rows(file, folder / "data" / file.name, names, hidden)
    copy_records(source, folder)
    for name in TABLES:
        copy_file(Path(dataset_scripts.__file__).with_name(name), folder / name)
    write_card(source, folder, repo_id, names, hidden, sizes)
    check_staged(folder)
    check_rows(folder)


def names_of(source: Path) -> list[str]:
    """Return the names of the corpora in a query corpus.

    Raises:
        PublishError: If the folder is not a query corpus, or the name of a corpus cannot be one.
    """
    if not (source / "build.json").is_file():
        raise PublishError(f"{source} is not a query corpus: build.json is missing. Build one: paraclap corpus build.")
    names = read_json(source / "build.json").get("corpora")
    if not isinstance(names, list) or not names:
        raise PublishError(f"{source / 'build.json'}: corpora is {names!r}; expected a list of names.")
    try:
        return [recorded_corpus(str(name)).name for name in names]
    except CorpusError as error:
        raise PublishError(f"{source / 'build.json'}: {error}") from error


def copy_rows(source: Path, target: Path, names: Collection[str], hidden: Collection[str]) -> int:
    """Copy a Parquet file one row group at a time, without what may not be redistributed.

    Args:
        source: The file to copy.
        target: The file to write.
        names: All corpora in the file.
        hidden: Corpora of which only `ALWAYS` and the bins are kept.

    Returns:
        Size of the copied rows in memory, in bytes.

    Raises:
        PublishError: If the file is damaged, has rows of another corpus, or names folders of this machine.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    try:
        file = pq.ParquetFile(source)
        features = datasets.Features.from_arrow_schema(file.schema_arrow)
        if set(names) <= set(hidden):  # drop columns without any value
            features = datasets.Features({name: kind for name, kind in features.items() if stays(name)})
        schema = features.arrow_schema
        with pq.ParquetWriter(target, schema, write_page_index=True) as writer:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=list(features))
                check_names(source, table, names)
                open_rows = [corpus not in hidden for corpus in table["corpus"].to_pylist()]
                columns = [column_of(table, field, open_rows) for field in schema]
                table = pa.Table.from_arrays(columns, schema=schema)
                writer.write_table(table, row_group_size=max(len(table), 1))
                size += table.nbytes
    except (pa.ArrowException, OSError, KeyError) as error:
        raise PublishError(f"{source} cannot be read: {' '.join(str(error).split())[:200]}") from error
    return size


def check_names(source: Path, table: pa.Table, names: Collection[str]) -> None:
    """Check that rows belong to the listed corpora and that their file names are relative to these.

    Raises:
        PublishError: If they do not.
    """
    if strange := set(table["corpus"].to_pylist()) - set(names):
        raise PublishError(f"{source} has rows of {strange.pop()!r}; build.json lists only {', '.join(names)}.")
    for file in table["file"].to_pylist():
        if file is None or Path(file).is_absolute() or local_paths(file):
            raise PublishError(f"{source} has the file name {file!r}; expected one relative to its corpus.")


def stays(name: str) -> bool:
    """Return whether a column is published for every corpus."""
    return name in ALWAYS or name.endswith("_bin")


def column_of(table: pa.Table, field: pa.Field, open_rows: Sequence[bool]) -> pa.Array:
    """Return a column without this machine's paths, and with nulls in rows that may not be redistributed.

    Raises:
        PublishError: If what may be passed on names such a path.
    """
    column = table[field.name].combine_chunks()
    if stays(field.name):
        return column.cast(field.type)
    shown = open_rows
    if field.name == "audio":  # a corpus built with --audio path has paths instead of bytes
        shown = [open_row and row.is_valid for open_row, row in zip(open_rows, column.field("bytes"), strict=True)]
        for path in column.field("path").filter(pa.array(shown)).to_pylist():
            if Path(path or "").is_absolute() or local_paths(path or ""):
                raise PublishError(f"The audio beside {path!r} names a path of this machine. Build the corpus again.")
    indices = pa.array([row if show else None for row, show in enumerate(shown)], type=pa.int64())
    return column.take(indices).cast(field.type)


def copy_records(source: Path, folder: Path) -> None:
    """Copy the record of the build, without paths of this machine and with an updated list of files."""
    for name in RECORDS:
        if content := read_json(source / name):
            write_json(folder / name, clean_record(content))
    write_record(folder, read_json(folder / BUILD_FILE))
    if (source / "rejected.csv").is_file():
        rows = list(csv.reader(io.StringIO((source / "rejected.csv").read_text(encoding="utf-8"))))
        with (folder / "rejected.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([map(without_local_paths, row) for row in rows])
    if (source / "summary.txt").is_file():
        lines = (source / "summary.txt").read_text(encoding="utf-8").splitlines()
        (folder / "summary.txt").write_text("\n".join(map(without_local_paths, lines)) + "\n", encoding="utf-8")


def write_card(
    source: Path,
    folder: Path,
    repo_id: str,
    names: Sequence[str],
    hidden: Sequence[str],
    sizes: Mapping[str, int],
) -> None:
    """Write the corpus's card with the repo's name, licences that the Hub knows, and what is left out."""
    card = DatasetCard.load(source / "README.md")
    licences = sorted({recorded_corpus(name).licence_id for name in names})
    card.data.license = licences[0] if len(licences) == 1 else licences
    card.data.tags = ["audio", "speech", "paralinguistics", "paraclap"]
    for split in (card.data.to_dict().get("dataset_info") or {}).get("splits", []):
        split["num_bytes"] = sizes.get(split["name"], 0)
    card.text = card.text.replace('load_dataset("DIR")', f'load_dataset("{repo_id}")')
    if hidden:
        card.text += LEFT_OUT.format(
            titles=", ".join(recorded_corpus(name).title for name in hidden),
            corpora=" ".join(f"{name}=DIR" for name in names),
        )
    card.save(folder / "README.md")


def check_rows(folder: Path) -> None:
    """Read a row of each split through `datasets` and count the rows.

    Raises:
        PublishError: If a row cannot be read, or the counts differ from the card's.
    """
    info = DatasetCard.load(folder / "README.md").data.to_dict().get("dataset_info") or {}
    expected = {split["name"]: split["num_examples"] for split in info.get("splits", [])}
    with tempfile.TemporaryDirectory() as cache:
        try:
            loaded = datasets.load_dataset(str(folder), streaming=True, cache_dir=cache)
            for split in loaded.values():
                next(iter(split))
        except (OSError, ValueError, StopIteration, datasets.exceptions.DatasetsError) as error:
            raise PublishError(f"datasets cannot read the staged corpus: {' '.join(str(error).split())}") from error
    counts: dict[str, int] = {}
    for file in sorted((folder / "data").glob("*.parquet")):
        split = file.name.split("-")[0]
        counts[split] = counts.get(split, 0) + pq.ParquetFile(file).metadata.num_rows
    if counts != expected:
        raise PublishError(f"The staged corpus has {counts} rows, but its card says {expected}.")
