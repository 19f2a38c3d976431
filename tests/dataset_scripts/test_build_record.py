"""build.json lists the files of a corpus, and what is not as listed is refused before it is used."""

import hashlib
import json
import shutil

import pyarrow.parquet as pq
import pytest
from helpers.owners_layouts import make_emodb

from dataset_scripts import parquet
from dataset_scripts.build_query_corpus import build_query_corpus
from dataset_scripts.build_record import check_build
from dataset_scripts.corpora import CorpusError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A corpus whose training split has several files."""
    root = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "SHARD_BYTES", 40_000)
        build_query_corpus({"emodb": make_emodb(root / "emodb")}, root / "out")
    assert len(list((root / "out" / "data").glob("train-*"))) > 1
    return root / "out"


@pytest.fixture
def corpus(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "corpus")


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
    assert check_build(whole)
    assert check_build(f"file://{whole}", "train+validation")


def damage_missing(file):
    file.unlink()
    return "lacks data/train-00000-of-.*, which build.json lists"


def damage_cut(file):
    file.write_bytes(file.read_bytes()[:-5])
    return "has .* bytes; build.json lists"


def damage_flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return "has the sha256 .*; build.json lists"


def damage_extra(file):
    shutil.copy(file, file.with_name("train-00009-of-00010.parquet"))
    return "has data/train-00009-of-00010.parquet, which build.json does not list"


@pytest.mark.parametrize("damage", [damage_missing, damage_cut, damage_flipped, damage_extra])
def test_damage_is_found_in_its_split_alone(corpus, damage):
    message = damage(min((corpus / "data").glob("train-*")))
    for split in (None, "train", "validation+train"):
        with pytest.raises(CorpusError, match=message):
            check_build(corpus, split)
    assert check_build(corpus, "validation")


def test_sizes_alone_when_contents_are_not_wanted(corpus):
    damage_flipped(min((corpus / "data").glob("train-*")))
    assert check_build(corpus, checksums=False)
    damage_cut(min((corpus / "data").glob("train-*")))
    with pytest.raises(CorpusError, match="bytes; build.json lists"):
        check_build(corpus, checksums=False)


def test_an_older_corpus_has_no_list_and_a_broken_record_is_an_error(corpus):
    record = json.loads((corpus / "build.json").read_text())
    del record["files"]
    (corpus / "build.json").write_text(json.dumps(record))
    assert not check_build(corpus)
    (corpus / "build.json").write_text("{")
    with pytest.raises(CorpusError, match="build.json is not JSON .*; build the corpus again"):
        check_build(corpus)
    (corpus / "build.json").unlink()
    assert not check_build(corpus)
