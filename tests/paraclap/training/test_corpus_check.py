"""A corpus that is not as it was built is not trained on."""

import hashlib
import json
import shutil

import fsspec
import pyarrow.parquet as pq
import pytest
from helpers.training_runs import arguments

from paraclap.training import train
from paraclap.training.corpus_check import DamagedCorpusError, check_corpus

SPLITS = ("train", "validation")


def list_files(folder):
    """What build.json says of the Parquet files in a folder."""
    return {
        f"data/{file.name}": {
            "rows": pq.read_metadata(file).num_rows,
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted((folder / "data").iterdir())
    }


@pytest.fixture
def corpus(corpus_dir, tmp_path):
    """A copy of the corpus, its training split in three files."""
    folder = tmp_path / "corpus"
    shutil.copytree(corpus_dir, folder)
    (file,) = (folder / "data").glob("train-*.parquet")
    table = pq.read_table(file)
    file.unlink()
    for number in range(3):
        shard = folder / "data" / f"train-{number:05d}-of-00003.parquet"
        pq.write_table(table.slice(8 * number, 8), shard, write_page_checksum=True, compression="none")
    record = json.loads((folder / "build.json").read_text())
    (folder / "build.json").write_text(json.dumps(record | {"files": list_files(folder)}))
    return folder


def shard_of(corpus):
    return corpus / "data" / "train-00001-of-00003.parquet"


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def relist(corpus, **changes):
    record = json.loads((corpus / "build.json").read_text())
    record["files"]["data/train-00001-of-00003.parquet"] |= changes
    (corpus / "build.json").write_text(json.dumps(record))


DAMAGES = [
    (lambda corpus: shard_of(corpus).unlink(), "data/train-00001-of-00003.parquet is missing"),
    (lambda corpus: flip(shard_of(corpus)), "data/train-00001-of-00003.parquet has the sha256"),
    (lambda corpus: shard_of(corpus).write_bytes(b""), "train-00001-of-00003.parquet is not a Parquet file"),
    (lambda corpus: shard_of(corpus).write_bytes(shard_of(corpus).read_bytes()[:-9]), "is not a Parquet file"),
    (
        lambda corpus: shutil.copy(shard_of(corpus), corpus / "data" / "train-00003-of-00003.parquet"),
        "train-00003-of-00003.parquet does not belong to it",
    ),
    (lambda corpus: relist(corpus, rows=7), "has .* and 8 rows, build.json says .* and 7 rows"),
    (lambda corpus: relist(corpus, bytes=7), "build.json says 7 bytes"),
    (lambda corpus: relist(corpus, sha256=None), "build.json cannot be read"),
    (lambda corpus: (corpus / "build.json").write_text("{"), "build.json cannot be read"),
    (lambda corpus: (corpus / "build.json").write_text("[]"), "build.json cannot be read"),
    (lambda corpus: (corpus / "build.json").write_text('{"files": [1]}'), "build.json cannot be read"),
]


def test_an_intact_corpus_is_told_from_another(corpus, capsys):
    whole = check_corpus(corpus, SPLITS)
    assert check_corpus(corpus, SPLITS) == whole
    assert check_corpus(corpus, ["train"]) != whole
    assert capsys.readouterr().out == ""
    moved = corpus.rename(corpus.with_name("moved"))
    assert check_corpus(moved, SPLITS) == whole
    assert check_corpus(f"file://{moved}", SPLITS) == whole


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_damage_is_found_before_training(damage, reason, corpus):
    damage(corpus)
    with pytest.raises(DamagedCorpusError, match=f"The corpus {corpus} is damaged: .*{reason}.*rebuild it with"):
        check_corpus(corpus, SPLITS)


@pytest.mark.parametrize("damage", [damage for damage, _ in DAMAGES[:7]])
def test_damage_to_one_split_leaves_the_others_usable(damage, corpus):
    expected = check_corpus(corpus, ["validation"])
    damage(corpus)
    assert check_corpus(corpus, ["validation"]) == expected


@pytest.mark.parametrize(("damage", "reason"), DAMAGES[:4])
def test_damage_is_found_where_the_corpus_is_streamed_from(damage, reason, corpus):
    damage(corpus)
    memory = fsspec.filesystem("memory")
    memory.rm("/damaged", recursive=True) if memory.exists("/damaged") else None
    memory.put(str(corpus), "/damaged/corpus", recursive=True)
    with pytest.raises(DamagedCorpusError, match=reason):
        check_corpus("memory://damaged/corpus", SPLITS)


@pytest.mark.parametrize("streaming", [[], ["--streaming"]])
def test_a_run_on_a_damaged_corpus_ends_in_one_line(streaming, corpus, text_encoder, tmp_path):
    flip(shard_of(corpus))
    with pytest.raises(SystemExit) as stop:
        train.main([*arguments(corpus, text_encoder, tmp_path / "run"), *streaming])
    assert str(stop.value).startswith(
        f"The corpus {corpus} is damaged: data/train-00001-of-00003.parquet has the sha256"
    )
    assert "\n" not in str(stop.value)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_corpus_of_an_older_version_is_checked_as_far_as_possible(corpus, capsys):
    (corpus / "build.json").unlink()
    check_corpus(corpus, SPLITS)
    assert "lists no checksums (built with version 0.1); only file names were checked" in capsys.readouterr().out
    shard_of(corpus).unlink()
    with pytest.raises(DamagedCorpusError, match="data/train-00001-of-00003.parquet is missing"):
        check_corpus(corpus, SPLITS)
