"""build.json lists the files of a corpus; `test_corpus_check` has what is refused because it is not as listed."""

import hashlib
import json

import pyarrow.parquet as pq
import pytest
from helpers.owners_layouts import make_emodb

from dataset_scripts import parquet
from dataset_scripts.build_query_corpus import build_query_corpus


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A corpus whose training split has several files."""
    root = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "SHARD_BYTES", 40_000)
        build_query_corpus({"emodb": make_emodb(root / "emodb")}, root / "out")
    assert len(list((root / "out" / "data").glob("train-*"))) > 1
    return root / "out"


def test_every_file_is_listed_with_rows_bytes_and_checksum(whole):
    listed = json.loads((whole / "build.json").read_text())["files"]
    files = sorted((whole / "data").iterdir())
    assert list(listed) == [f"data/{file.name}" for file in files]
    for file, entry in zip(files, listed.values(), strict=True):
        content = file.read_bytes()
        assert entry == {
            "rows": pq.read_metadata(file).num_rows,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert sum(entry["rows"] for entry in listed.values()) == 8
