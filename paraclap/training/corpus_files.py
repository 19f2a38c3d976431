"""The files of a query corpus, on disk or at a URL that fsspec supports."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import fsspec
from datasets import Audio, Dataset, load_dataset

from dataset_scripts.binning import Bins

from .arguments import is_remote
from .errors import TrainingError

SAMPLING_RATE = 16000


class MissingSplitError(FileNotFoundError, TrainingError):
    """The corpus has no such split."""


def load_split(corpus_dir: str | Path, split: str) -> Dataset:
    """Load one split of a query corpus, or several (`train+validation`), with its audio left encoded.

    Raises:
        MissingSplitError: If the corpus has no such split.
    """
    files = [file if is_remote(corpus_dir) else file.removeprefix("file://") for file in split_files(corpus_dir, split)]
    name = split.replace("+", "_and_")
    rows = load_dataset("parquet", data_files={name: files}, split=name)
    return rows.cast_column("audio", Audio(SAMPLING_RATE, decode=False))


def split_files(corpus_dir: str | Path, split: str) -> list[str]:
    """Return the URLs of the Parquet files of a split, or of several (`train+validation`), in order.

    Raises:
        MissingSplitError: If the corpus has no such split.
    """
    filesystem, folder = fsspec.url_to_fs(str(corpus_dir))
    files = []
    for name in split.split("+"):
        found = sorted(filesystem.unstrip_protocol(file) for file in filesystem.glob(f"{folder}/data/{name}-*.parquet"))
        if not found:
            raise MissingSplitError(
                f"{corpus_dir} has no data/{name}-*.parquet; "
                f"build the corpus with: python -m dataset_scripts.build_query_corpus --output_dir {corpus_dir}"
            )
        files += found
    return files


class EncodedAudio(Sequence):
    """The encoded audio of a split: for each row bytes, or a path if the corpus was built without audio.

    Args:
        rows: A split from [`load_split`].
    """

    def __init__(self, rows: Dataset):
        self.rows = rows.select_columns("audio")  # otherwise every column of the row is decoded

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> bytes | str:
        audio = self.rows[index]["audio"]
        return audio["path"] if audio["bytes"] is None else audio["bytes"]


def read_corpus_bins(corpus_dir: str | Path) -> Bins:
    """Return the bins that the query corpus was built with."""
    with tempfile.TemporaryDirectory() as folder:
        return Bins.load(copy_bins(corpus_dir, folder))


def copy_bins(corpus_dir: str | Path, folder: str | Path) -> Path:
    """Copy the corpus's bins.json into a folder, and return its path there."""
    filesystem, source = fsspec.url_to_fs(str(corpus_dir))
    target = Path(folder) / "bins.json"
    filesystem.get_file(f"{source}/bins.json", str(target))
    return target
