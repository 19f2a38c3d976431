"""The command that builds the query corpus, from owners' layouts to what `load_dataset` gives back."""

import json
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset
from helpers.owners_layouts import MAKERS, make_emodb, make_librispeech, make_nemo, make_ravdess, write

from dataset_scripts import egemaps, parquet
from dataset_scripts.binning import Bins, fit_bins
from dataset_scripts.build_query_corpus import BuildOptions, build_query_corpus, main, parse_corpora
from dataset_scripts.corpora import CORPORA, CorpusError, scan_corpus
from dataset_scripts.egemaps import FUNCTIONALS
from dataset_scripts.folders import locked
from dataset_scripts.queries import generate_queries


@pytest.fixture(scope="module")
def owners(tmp_path_factory):
    """Three small corpora; of EMO-DB three files are broken, of nEMO one is missing."""
    root = tmp_path_factory.mktemp("owners")
    for name in ("nemo", "emodb", "librispeech"):
        MAKERS[name](root / name)
    whole = (root / "emodb/wav/03a01Wa.wav").read_bytes()
    (root / "emodb/wav/03a02Wa.wav").write_bytes(whole[: len(whole) // 2])
    (root / "emodb/wav/03a04Wa.wav").write_bytes(b"")
    (root / "emodb/wav/03a05Wa.wav").write_text("this is text\n" * 50)
    (root / "nemo/samples/SM0_anger_1.opus").unlink()
    return {name: root / name for name in ("nemo", "emodb", "librispeech")}


def run(owners, output_dir, *options):
    """Run the command as a user does, in this process; returns the exit status."""
    named = [f"{name}={root}" for name, root in owners.items()]
    return main(["--corpora", *named, "--output_dir", str(output_dir), "--num_proc", "1", *options])


@pytest.fixture(scope="module")
def built(owners, tmp_path_factory):
    """The three corpora built once."""
    output_dir = tmp_path_factory.mktemp("built") / "out"
    assert run(owners, output_dir) == 0
    return output_dir


def load(folder, cache):
    return load_dataset(str(folder), cache_dir=str(cache))


def test_load_dataset_gives_everything_back(built, owners, tmp_path):
    corpus = load(built, tmp_path)
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 9, "validation": 6, "test": 5}
    bins = Bins.load(built / "bins.json")
    speakers = {}
    for split, rows in corpus.items():
        assert rows.features == parquet.FEATURES
        for row in rows:
            speakers.setdefault((row["corpus"], row["speaker"]), set()).add(split)
            original = owners[row["corpus"]] / row["file"]
            assert row["audio"] == {"bytes": original.read_bytes(), "path": row["file"]}
            pairs = list(zip(row["query_attributes"], row["queries"], strict=True))
            assert pairs == generate_queries(row)
            assert pairs
            assert row["split"] == split
            assert row["duration"] > 0.3
            assert row["pitch_mean_bin"] == bins.bin_of("pitch_mean", row["pitch_mean"])
            assert row["arousal"] is row["arousal_bin"] is None
    assert all(len(splits) == 1 for splits in speakers.values())
    train = corpus["train"].remove_columns("audio").to_pandas()
    assert fit_bins(train) == bins
    assert bins.corpora == ("nemo", "emodb", "librispeech")


def test_bad_files_are_listed_with_reasons_and_nothing_else_is_lost(owners, tmp_path, capsys):
    assert run(owners, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv").set_index("file")
    reasons = {
        "wav/03a02Wa.wav": ("emodb", "truncated"),
        "wav/03a04Wa.wav": ("emodb", "empty"),
        "wav/03a05Wa.wav": ("emodb", "not audio"),
        "samples/SM0_anger_1.wav": ("nemo", "listed in data.tsv, row 2, but"),
    }
    assert set(rejected.index) == set(reasons)
    for file, (corpus, reason) in reasons.items():
        assert rejected.loc[file, "corpus"] == corpus
        assert reason in rejected.loc[file, "reason"]
        line = next(line for line in printed.splitlines() if file in line)
        assert reason in line
    assert "4 files left out" in printed
    assert "20 utterances written" in printed
    assert "nEMO: 7 utterances here, 4481 in the owner's release." in printed
    assert "No values, hence no queries, for: arousal, valence, dominance." in printed


def test_summary_and_card(built):
    lines = (built / "summary.txt").read_text().splitlines()
    assert lines[0].split() == ["corpus", "split", "rows", "hours", "speakers", "female", "male"]
    assert lines[1].split() == ["nemo", "train", "3", "0.00", "2", "0", "3"]
    assert lines[10].split()[:2] == ["all", "20"]
    assert lines[12].split() == ["emotion", "train", "validation", "test", "all", "corpora"]
    assert [line.split() for line in lines[13:]] == [
        ["happy", *"42282"],
        ["angry", *"32272"],
    ]
    _, front_matter, card = (built / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    meta = yaml.safe_load(front_matter)
    assert meta["license"] == ["cc-by-4.0", "cc-by-nc-sa-4.0", "cc0-1.0"]
    assert meta["language"] == ["de", "en", "pl"]
    assert [split["num_examples"] for split in meta["dataset_info"]["splits"]] == [9, 6, 5]
    for name in ("nemo", "emodb", "librispeech"):
        assert CORPORA[name].homepage in card
        assert CORPORA[name].licence in card
    record = json.loads((built / "build.json").read_text())
    assert record["rows"] == {"train": 9, "validation": 6, "test": 5}
    assert record["rejected"] == 4


def test_row_groups_and_shards_are_small(owners, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 2)
    monkeypatch.setattr(parquet, "SHARD_BYTES", 60_000)
    assert run(owners, tmp_path / "out") == 0
    files = sorted((tmp_path / "out" / "data").glob("train-*.parquet"))
    assert len(files) > 1
    assert files[-1].name == f"train-{len(files) - 1:05d}-of-{len(files):05d}.parquet"
    for file in files:
        metadata = pq.ParquetFile(file).metadata
        assert max(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)) <= 2
    corpus = load(tmp_path / "out", tmp_path / "cache")
    train = corpus["train"].remove_columns("audio").to_pandas()
    assert len(train) == 9
    assert not train.duplicated(["corpus", "file"]).any()


def test_a_rerun_replaces_all_and_no_cache_is_stale(tmp_path):
    root = make_emodb(tmp_path / "emodb")
    assert run({"emodb": root}, tmp_path / "out") == 0
    assert {split: len(rows) for split, rows in load(tmp_path / "out", tmp_path / "cache").items()} == {
        **{"train": 4, "validation": 2},
        "test": 2,
    }
    (root / "wav" / "15a01Wa.wav").unlink()
    (root / "wav" / "15a01Fa.wav").unlink()
    (root / "wav" / "03a01Wa.wav").unlink()
    assert run({"emodb": root}, tmp_path / "out") == 0
    again = load(tmp_path / "out", tmp_path / "cache")
    assert {split: len(rows) for split, rows in again.items()} == {"train": 3, "validation": 2}
    entries = sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.endswith(".lock"))
    assert entries == ["cache", "emodb", "out", "out.functionals"]


def test_paths_instead_of_audio(tmp_path):
    root = make_emodb(tmp_path / "emodb")
    assert run({"emodb": root}, tmp_path / "out", "--audio", "path") == 0
    audio = load(tmp_path / "out", tmp_path / "cache")["test"][0]["audio"]
    assert audio == {"bytes": None, "path": str(root / "wav" / "15a01Fa.wav")}


def test_a_corpus_without_training_rows_takes_bins_fitted_before(built, tmp_path, capsys):
    ravdess = {"ravdess": make_ravdess(tmp_path / "ravdess")}
    assert run(ravdess, tmp_path / "out") == 2
    assert "of which there are none (splits: test)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(ravdess, tmp_path / "out", "--bins", str(built / "bins.json")) == 0
    assert Bins.load(tmp_path / "out" / "bins.json") == Bins.load(built / "bins.json")
    assert list(load(tmp_path / "out", tmp_path / "cache")) == ["test"]


def test_what_is_not_ours_is_not_replaced(tmp_path, capsys):
    corpora = {"emodb": make_emodb(tmp_path / "emodb", speakers=("03",))}
    thesis = tmp_path / "out" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("ten years of work")
    assert run(corpora, tmp_path / "out") == 2
    assert "is not empty and was not written by this command" in capsys.readouterr().err
    assert thesis.exists()
    assert run(corpora, thesis) == 2
    assert "is a file; expected a folder" in capsys.readouterr().err
    assert run(corpora, tmp_path, "--overwrite") == 2
    assert "The corpus emodb" in capsys.readouterr().err
    assert corpora["emodb"].exists()
    assert run(corpora, tmp_path / "out", "--overwrite") == 0
    assert not thesis.exists()


def test_a_build_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    corpora = {"emodb": make_emodb(tmp_path / "emodb", speakers=("03",))}
    build_query_corpus(corpora, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(Bins, "save", full)
    with pytest.raises(OSError, match="No space left"):
        build_query_corpus(corpora, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    entries = sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.endswith(".lock"))
    assert entries == ["emodb", "out", "out.functionals"]


def test_a_corpus_of_unreadable_files_says_so(tmp_path):
    (tmp_path / "emodb" / "wav").mkdir(parents=True)
    (tmp_path / "emodb" / "wav" / "03a01Wa.wav").write_bytes(b"")
    with pytest.raises(CorpusError, match="None of the 1 files could be read; the first: .*empty"):
        build_query_corpus({"emodb": tmp_path / "emodb"}, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nemo"], "'nemo'; expected NAME=DIR with a NAME of aesdd, alc, "),
        (["nemo="], "expected NAME=DIR"),
        (["aemocap=/x"], "Unknown corpus 'aemocap'"),
        (["nemo=/x", "nemo=/y"], "named twice"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(CorpusError, match=message):
        parse_corpora(arguments)


def test_two_corpora_in_one_folder_keep_apart(tmp_path):
    make_nemo(tmp_path / "data" / "nEMO", speakers=("SM0", "MK0"))
    make_librispeech(tmp_path / "data" / "LibriSpeech")
    frame, rejected = build_query_corpus(
        {"nemo": tmp_path / "data", "librispeech": tmp_path / "data"}, tmp_path / "out", BuildOptions(num_proc=2)
    )
    assert frame["corpus"].value_counts().to_dict() == {"librispeech": 5, "nemo": 4}
    assert rejected.empty


def test_all_functionals_are_columns_and_the_six_the_same(owners, built, tmp_path):
    assert run({"emodb": owners["emodb"]}, tmp_path / "out", "--all_functionals") == 0
    rows = load(tmp_path / "out", tmp_path / "cache")["train"].to_pandas().set_index("file")
    usual = load(built, tmp_path / "cache")["train"].to_pandas().query("corpus == 'emodb'").set_index("file")
    assert len(rows.columns) == len(usual.columns) + 88
    assert rows[list(FUNCTIONALS)].equals(usual[list(FUNCTIONALS)]), "to the last bit"
    assert (rows["jitterLocal_sma3nz_amean"] == rows["jitter"]).all()
    assert rows["loudness_sma3_percentile50.0"].notna().all()


def test_a_second_build_reads_no_audio_for_its_functionals(tmp_path, monkeypatch):
    corpora = {"emodb": make_emodb(tmp_path / "emodb")}
    first, _ = build_query_corpus(corpora, tmp_path / "out")
    seen = []
    functionals_of = egemaps.functionals_of
    monkeypatch.setattr(egemaps, "functionals_of", lambda path, all: seen.append(path) or functionals_of(path, all))
    again, _ = build_query_corpus(corpora, tmp_path / "out")
    pd.testing.assert_frame_equal(again, first)
    assert seen == []
    changed = write(tmp_path / "emodb" / "wav" / "03a01Fa.wav", pitch=250)
    build_query_corpus(corpora, tmp_path / "out")
    assert seen == [str(changed)], "a file that changed is read again, and no other"


def test_two_builds_into_one_folder_do_not_mix(tmp_path, capsys):
    corpora = {"emodb": make_emodb(tmp_path / "emodb", speakers=("03",))}
    with locked(tmp_path / "out"):
        assert run(corpora, tmp_path / "out") == 2
        assert f"{tmp_path / 'out'} is in use by process {os.getpid()}" in capsys.readouterr().err
        assert not (tmp_path / "out.functionals").exists(), "the functionals belong to the other build, too"
        assert run(corpora, tmp_path / "other") == 0
    assert run(corpora, tmp_path / "out") == 0


def test_a_file_name_that_is_not_utf8_is_a_rejected_row(tmp_path, capsys):
    root = make_emodb(tmp_path / "emodb", speakers=("03",))
    name = os.fsdecode(b"03a01Wb\xff.wav")
    try:
        (root / "wav" / name).write_bytes((root / "wav" / "03a01Wa.wav").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    make_nemo(tmp_path / "nemo")
    (tmp_path / "nemo" / "samples" / name).write_bytes(b"")
    assert run({"emodb": root, "nemo": tmp_path / "nemo"}, tmp_path / "out") == 0
    assert "03a01Wb\\xff.wav" in capsys.readouterr().out
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert sorted(rejected["file"]) == ["samples/03a01Wb\\xff.wav", "wav/03a01Wb\\xff.wav"]


def test_a_name_that_is_utf8_but_for_its_bytes_is_rejected_also_where_it_has_labels(tmp_path):
    root = make_ravdess(tmp_path / "ravdess")
    folder = root / os.fsdecode(b"Actor_\xe4")
    (root / "Actor_02").rename(folder)
    frame, rejected = scan_corpus("ravdess", root)
    assert len(frame) == 2
    assert set(rejected["reason"]) == {"the file name is not UTF-8; rename the file"}
    assert rejected["file"].iloc[0].startswith("Actor_\\xe4/")


def test_the_list_of_files_left_out_holds_no_formula(tmp_path):
    root = make_emodb(tmp_path / "emodb", speakers=("03",))
    for path in (root / "wav").iterdir():
        path.rename(root / path.name)
    (root / "wav").rmdir()  # a copy without the inner folder, so that the name comes first
    (root / "=HYPERLINK(1).wav").write_bytes(b"")
    assert run({"emodb": root}, tmp_path / "out") == 0
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert list(rejected["file"]) == ["'=HYPERLINK(1).wav"]
