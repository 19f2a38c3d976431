"""Training from a corpus larger than the disk: rows are read on demand, also from remote storage.

The order depends only on seed, epoch and position, as for a corpus on disk, so a resumed run starts at its position
without reading earlier rows. (The shuffle buffer of `datasets` cannot do that, as its state does not include its
content.) Row groups are read in random order, and rows are shuffled within a window of several groups.
"""

import bisect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from torch.utils.data import Sampler

from dataset_scripts.binning import Bins

from .arguments import AugmentationArguments, CorpusArguments
from .corpus_files import split_files
from .errors import TrainingError
from .utterances import QueryCorpus

LABELS = ("corpus", "emotion", "gender", "queries", "query_attributes")


class RowGroups:
    """The row groups of a split's Parquet files, on disk or at any URL that fsspec supports (`hf://`, `s3://`).

    Args:
        corpus_dir: Folder of the query corpus.
        split: Name of the split, or of several: `train+validation`.
        labelled: Column without which rows are skipped; None for all rows.

    Raises:
        FileNotFoundError: If the folder has no such split.
    """

    def __init__(self, corpus_dir: str | Path, split: str = "train", labelled: str | None = None):
        self.labelled = labelled
        self.places, self.sizes, self.firsts, rows = [], [], [], 0
        self.labels = pd.DataFrame(columns=list(LABELS))
        for file in split_files(corpus_dir, split):
            with fsspec.open(file) as handle:
                parquet = pq.ParquetFile(handle)
                for group in range(parquet.num_row_groups):
                    labels = parquet.read_row_group(group, columns=list(LABELS)).to_pandas()
                    # Only distinct labels are kept, so that memory does not grow with the corpus.
                    self.labels = _distinct(pd.concat([self.labels, labels]) if rows else labels)
                    self.places.append((file, group))
                    self.sizes.append(int(labels[labelled].notna().sum()) if labelled else len(labels))
                    self.firsts.append(rows)
                    rows += len(labels)

    def read(self, number: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the selected rows of a row group, as `(number of the row in the split, labels and audio)`.

        Raises:
            TrainingError: If the corpus has paths instead of audio.
        """
        file, group = self.places[number]
        with fsspec.open(file) as handle:
            table = pq.ParquetFile(handle, page_checksum_verification=True).read_row_group(group)
        audio = table.column("audio").to_pylist()
        rows = table.drop_columns("audio").to_pandas()
        if any(of_one["bytes"] is None for of_one in audio):
            raise TrainingError(f"{file} has paths instead of audio: build the corpus with audio to stream it.")
        return [
            (self.firsts[number] + index, row | {"audio": audio[index]["bytes"]})
            for index, row in enumerate(rows.to_dict("records"))
            if self.labelled is None or isinstance(row[self.labelled], str)
        ]


def _distinct(labels: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each corpus, emotion and gender, with all queries that occur with them."""
    rows = []
    for key, of_one in labels.groupby(["corpus", "emotion", "gender"], dropna=False, sort=True):
        queries = {}
        for texts, attributes in zip(of_one["queries"], of_one["query_attributes"], strict=True):
            queries.update(zip(texts, attributes, strict=True))
        rows.append((*key, list(queries), list(queries.values())))
    return pd.DataFrame(rows, columns=list(LABELS))


class StreamSampler(Sampler):
    """Yield `(epoch, (number, row))` for the rows of one process.

    Each epoch distributes the row groups again, each to the process with the fewest rows so far; no row is repeated.

    Args:
        groups: [`RowGroups`].
        seed: Seed of the order.
        batch_size: Rows per batch, to compute the common number of batches of all processes.
        window: Minimum number of rows that are shuffled together; two such windows are in memory.
        process: Index of this process.
        processes: Number of processes.
    """

    def __init__(
        self,
        groups: RowGroups,
        seed: int,
        batch_size: int,
        window: int = 1000,
        process: int = 0,
        processes: int = 1,
    ):
        self.groups, self.seed, self.window, self.batch_size = groups, seed, window, batch_size
        self.process, self.processes = process, processes
        self.epoch, self.first_batch = 0, 0
        # This way, no process lags the mean by more than the largest group.
        spare = max(groups.sizes) if processes > 1 else 0
        self.size = max(sum(groups.sizes) // processes - spare, 0) // batch_size * batch_size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, tuple[int, dict[str, Any]]]]:
        windows = self._windows()
        ends = np.cumsum([sum(self.groups.sizes[number] for number in window) for window in windows]).tolist()
        start, epoch = self.first_batch * self.batch_size, self.epoch
        window = bisect.bisect_right(ends, start)
        position = start - (ends[window - 1] if window else 0)
        left = self.size - start
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, epoch, windows[window]) if left > 0 else None
            while left > 0:
                rows = ahead.result()[position:][:left]
                window, position, left = window + 1, 0, left - len(rows)
                if left > 0:
                    ahead = reader.submit(self._read, epoch, windows[window])
                for row in rows:
                    yield epoch, row

    def _windows(self) -> list[list[int]]:
        """Return the row groups of this process in this epoch's order, in lists of at least `window` rows."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.groups.sizes))
        rows, own = [0] * self.processes, [[]]
        held = 0
        for number in order.tolist():
            process = int(np.argmin(rows))
            rows[process] += self.groups.sizes[number]
            if process != self.process:
                continue
            if held >= self.window:
                own.append([])
                held = 0
            own[-1].append(number)
            held += self.groups.sizes[number]
        return own

    def _read(self, epoch: int, window: list[int]) -> list[tuple[int, dict[str, Any]]]:
        rows = [row for number in window for row in self.groups.read(number)]
        order = np.random.default_rng([self.seed, epoch, window[0]]).permutation(len(rows))
        return [rows[index] for index in order]


class StreamedCorpus(QueryCorpus):
    """[`QueryCorpus`] of rows from a [`StreamSampler`], with the same crops and captions.

    Args:
        groups: Row groups of the split.
        options: Selection of queries and length of crops, as in [`QueryCorpus`].
        augmentation: Augmentation of the waveforms.
        bins: Bins of the corpus.
        seed: Random seed.
    """

    def __init__(
        self,
        groups: RowGroups,
        options: CorpusArguments | None = None,
        augmentation: AugmentationArguments | None = None,
        bins: Bins | None = None,
        seed: int = 0,
    ):
        super().__init__(None, options, augmentation, bins, seed, labels=groups.labels)
        self.size = sum(groups.sizes)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: tuple[int, tuple[int, dict[str, Any]]]) -> dict[str, Any]:
        """Return the example of `(epoch, (number, row))`."""
        epoch, (number, row) = key
        return self.example(epoch, number, row, row["audio"])
