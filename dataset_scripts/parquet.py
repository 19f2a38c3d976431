"""Writing the query corpus as Parquet that ``datasets.load_dataset`` reads, a row group at a time."""

from collections.abc import Sequence
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from .binning import ATTRIBUTES
from .corpora import DIMENSIONS, SPLITS
from .egemaps import FUNCTIONALS
from .queries import INDEX, TemplateIndex
from .query_columns import query_columns

ROW_GROUP = 100  # rows: some 5 MB of compressed speech, so that one row can be read without the whole file
SHARD_BYTES = 500_000_000
_TEXT = datasets.Value("string")
_NUMBER = datasets.Value("float64")

FEATURES = datasets.Features(
    {
        # decode=False: torchcodec (and ffmpeg's shared libraries) would be needed otherwise; read with load_audio
        "audio": datasets.Audio(sampling_rate=16000, decode=False),
        **dict.fromkeys(("file", "corpus", "speaker", "gender"), _TEXT),
        "age": datasets.Value("int32"),
        **dict.fromkeys(("age_group", "language", "emotion", "listeners_emotion"), _TEXT),
        **dict.fromkeys(DIMENSIONS, _NUMBER),
        **dict.fromkeys(("transcript", "split"), _TEXT),
        **dict.fromkeys(FUNCTIONALS, _NUMBER),
        **{f"{attribute}_bin": _TEXT for attribute in ATTRIBUTES},
        "queries": datasets.List(_TEXT),
        "query_attributes": datasets.List(_TEXT),
    }
)


def features_of(functionals: Sequence[str] = ()) -> datasets.Features:
    """Return the columns: `FEATURES`, and those of the functionals that are not among them, at the end."""
    return datasets.Features(FEATURES | {name: _NUMBER for name in functionals if name not in FEATURES})


def write_splits(
    frame: pd.DataFrame,
    folder: Path,
    embed: bool = True,
    functionals: Sequence[str] = (),
    index: TemplateIndex = INDEX,
) -> dict[str, int]:
    """Write ``folder/{split}-{shard}-of-{shards}.parquet`` for every split that has rows; memory stays flat.

    Args:
        frame: the corpora's columns, functionals and bins; the queries are generated here.
        folder: created if need be.
        embed: True puts the audio files' bytes into the table, unchanged; False their absolute paths alone.
        functionals: columns of `frame` with functionals, where there are more than the usual ones.
        index: the templates of the queries.

    Returns:
        split -> size of its rows in memory, in bytes, for those splits that have rows.
    """
    sizes: dict[str, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    schema = features_of(functionals).arrow_schema
    with tqdm(total=len(frame), desc="Writing Parquet", unit="row") as progress:
        for split in SPLITS:
            rows = frame[frame["split"] == split]
            shards = _shards(rows, embed)
            for number, shard in enumerate(shards):
                path = folder / f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
                with pq.ParquetWriter(path, schema, write_page_index=True, write_page_checksum=True) as writer:
                    for start in range(0, len(shard), ROW_GROUP):
                        part = shard.iloc[start : start + ROW_GROUP]
                        table = _table(part, schema, embed, index)
                        writer.write_table(table, row_group_size=ROW_GROUP)
                        sizes[split] = sizes.get(split, 0) + table.nbytes
                        progress.update(len(part))
    return sizes


def _shards(rows: pd.DataFrame, embed: bool) -> list[pd.DataFrame]:
    if rows.empty:
        return []
    sizes = pd.Series([Path(path).stat().st_size if embed else 0 for path in rows["path"]], index=rows.index)
    return [shard for _, shard in rows.groupby((sizes.cumsum() // SHARD_BYTES).to_numpy())]


def _table(part: pd.DataFrame, schema: pa.Schema, embed: bool, index: TemplateIndex) -> pa.Table:
    queries, attributes = query_columns(part, index)
    columns = {
        "audio": [
            # The path beside the bytes is the owner's relative one: a name to recognise, nothing of this machine.
            {"bytes": Path(path).read_bytes(), "path": file} if embed else {"bytes": None, "path": path}
            for path, file in zip(part["path"], part["file"], strict=True)
        ],
        "queries": queries,
        "query_attributes": attributes,
    }
    arrays = [
        column.cast(field.type)
        if isinstance(column := columns.get(field.name), pa.Array)
        else pa.array(part[field.name] if column is None else column, type=field.type, from_pandas=True)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
