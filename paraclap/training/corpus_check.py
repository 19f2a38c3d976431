"""Verify that a query corpus is complete and unchanged, by the list of files in build.json."""

import hashlib
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from dataset_scripts.build_record import BUILD_FILE

from .arguments import is_remote
from .errors import TrainingError

BLOCK = 2**20
HASHED_REMOTELY = 10**9  # bytes; larger remote corpora are not downloaded for verification
SHARD = re.compile(r"data/(?P<split>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})\.parquet")


class DamagedCorpusError(TrainingError):
    """A query corpus is incomplete, or was changed after it was built."""


def check_corpus(corpus_dir: str | Path, splits: Iterable[str], progress: bool = True) -> str:
    """Check that the files of some splits are complete and unchanged.

    Sizes and rows are always checked; checksums for local files, for files on the Hub, which provides them, and for
    other remote corpora up to 1 GB. The pages of larger ones are checked when they are read.

    Args:
        corpus_dir: Folder or URL of the corpus.
        splits: Names of the splits; missing ones are ignored here.
        progress: Whether to show progress and messages.

    Returns:
        A hash that identifies these splits of this corpus.

    Raises:
        DamagedCorpusError: If a file is missing, unexpected or changed.
    """
    corpus = _CorpusFiles(corpus_dir)
    listed = corpus.read_list()
    names = [name for split in dict.fromkeys(splits) for name in corpus.files_of_split(split, listed)]
    described = {name: corpus.describe(name) for name in names}
    if listed is None:
        if progress:
            print(
                f"{corpus_dir}: {BUILD_FILE} lists no checksums (built with version 0.1); only file names were checked."
            )
    else:
        for name, found in described.items():
            expected = {key: listed[name].get(key) for key in found}
            if found != expected:
                raise corpus.damaged(f"{name} has {_words(found)}, {BUILD_FILE} says {_words(expected)}")
        corpus.check_sums({name: listed[name]["sha256"] for name in names}, progress)
        described = {name: listed[name] for name in names}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


class _CorpusFiles:
    """The files of one corpus.

    Args:
        corpus_dir: Folder or URL of the corpus.
    """

    def __init__(self, corpus_dir: str | Path):
        self.address = str(corpus_dir)
        self.filesystem, self.root = fsspec.url_to_fs(self.address)

    def damaged(self, what: str) -> DamagedCorpusError:
        """Return the error for a fault of the corpus."""
        return DamagedCorpusError(
            f"The corpus {self.address} is damaged: {what}. Copy or download it again, or rebuild it with "
            "python -m dataset_scripts.build_query_corpus."
        )

    def path_of(self, name: str) -> str:
        """Return the path of a file within the file system."""
        return f"{self.root}/{name}"

    def read_list(self) -> dict[str, dict[str, Any]] | None:
        """Return rows, bytes and sha256 of the files in build.json by name; None if they are not listed."""
        if not self.filesystem.exists(self.path_of(BUILD_FILE)):
            return None
        try:
            content = json.loads(self.filesystem.cat_file(self.path_of(BUILD_FILE)))
            listed = content.get("files")
            if listed is not None:
                for entry in listed.values():
                    hashlib.sha256(entry["sha256"].encode()), int(entry["rows"]), int(entry["bytes"])
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise self.damaged(f"{BUILD_FILE} cannot be read ({error!r})") from error
        return listed

    def files_of_split(self, split: str, listed: dict[str, Any] | None) -> list[str]:
        """Return the names of a split's files, after checking that none is missing or unexpected."""
        pattern = f"{self.root}/data/{split}-*.parquet"
        found = sorted(f"data/{path.rsplit('/', 1)[1]}" for path in self.filesystem.glob(pattern))
        if listed is None:
            shards = [SHARD.fullmatch(name) for name in found]
            counts = {match["count"] for match in shards if match}
            expected = [
                f"data/{split}-{number:05d}-of-{count}.parquet" for count in counts for number in range(int(count))
            ]
            expected = expected if all(shards) else found  # files with custom names
        else:
            expected = [name for name in listed if (match := SHARD.fullmatch(name)) and match["split"] == split]
        if missing := sorted(set(expected) - set(found)):
            raise self.damaged(f"{missing[0]} is missing")
        if surplus := sorted(set(found) - set(expected)):
            raise self.damaged(f"{surplus[0]} does not belong to it")
        return found

    def describe(self, name: str) -> dict[str, int]:
        """Return the size of a file and its number of rows from its footer."""
        size = self.filesystem.size(self.path_of(name))
        try:
            with self.filesystem.open(self.path_of(name)) as handle:
                rows = pq.ParquetFile(handle).metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(f"{name} is not a Parquet file ({error})") from error
        return {"bytes": size, "rows": rows}

    def check_sums(self, expected: dict[str, str], progress: bool) -> None:
        """Check the files' sha256, several at a time."""
        total = sum(self.filesystem.size(self.path_of(name)) for name in expected)
        bar = tqdm(
            total=total, desc="checking the corpus", unit="B", unit_scale=True, leave=False, disable=not progress
        )
        with bar, ThreadPoolExecutor(4) as pool:
            for name, found in zip(
                expected, pool.map(lambda name: self._sum_of(name, total, bar), expected), strict=True
            ):
                if found is not None and found != expected[name]:
                    raise self.damaged(f"{name} has the sha256 {found}, {BUILD_FILE} says {expected[name]}")

    def _sum_of(self, name: str, total: int, bar: tqdm) -> str | None:
        """Return a file's sha256; None if it would need a large download."""
        if is_remote(self.address) and not self.address.startswith("file://"):
            stated = self.filesystem.info(self.path_of(name)).get("lfs")  # on the Hub
            if stated:
                return stated["sha256"]
            if total > HASHED_REMOTELY:
                return None
        sha256 = hashlib.sha256()
        with self.filesystem.open(self.path_of(name), "rb") as handle:
            while block := handle.read(BLOCK):
                sha256.update(block)
                bar.update(len(block))
        return sha256.hexdigest()


def _words(numbers: dict[str, Any]) -> str:
    return " and ".join(f"{value} {name}" for name, value in numbers.items())
