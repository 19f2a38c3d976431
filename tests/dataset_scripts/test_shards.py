"""Functionals on disk: killed and gone on gives the same bytes; the reduced configuration the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import opensmile
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.owners_layouts import write

from dataset_scripts import egemaps, smile_config
from dataset_scripts.egemaps import FUNCTIONALS, extract_functionals, functionals_of
from dataset_scripts.shards import KEY
from dataset_scripts.smile_config import reduced_configuration

SHARD = 8
# A script, not -c: worker processes import it again to find `logged`.
DRIVER = f"""
import pathlib, sys, time
import pandas as pd
from dataset_scripts import egemaps

folder, shards, log = map(pathlib.Path, sys.argv[1:4])
egemaps.SHARD, egemaps.CHUNK = {SHARD}, 2
run = egemaps._run

def logged(chunk, all_functionals):
    for one in chunk:
        with open(log, "a") as file:
            file.write(one[1] + "\\n")
        while one[1].endswith(sys.argv[4]):
            time.sleep(0.1)
    return run(chunk, all_functionals)

if __name__ == "__main__":
    egemaps._run = logged
    paths = sorted(map(str, folder.glob("*.wav")))
    frame = pd.DataFrame({{"path": paths, "file": [pathlib.Path(p).name for p in paths], "corpus": "mini"}})
    egemaps.extract_functionals(frame, 2, shards_dir=shards)
"""


def start(folder, shards, log, held="none"):
    """Start the extraction; it never gets beyond the file whose name ends in `held`."""
    driver = folder.parent / "driver.py"
    driver.write_text(DRIVER)
    arguments = [str(argument) for argument in (driver, folder, shards, log, held)]
    environment = os.environ | {"PYTHONPATH": str(Path(egemaps.__file__).parents[1])}
    return subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL, env=environment)


def columns_on_disk(shards):
    """All rows of all shards in one table, in order."""
    tables = [pq.read_table(path) for path in sorted(shards.glob("part-*.parquet"))]
    return pa.concat_tables(tables).combine_chunks()


def test_killed_and_started_again_is_as_if_undisturbed(tmp_path, monkeypatch):
    """Two workers; the undisturbed run has one."""
    folder = tmp_path / "audio"
    for i in range(40):
        write(folder / f"{i:02}.wav", pitch=100 + 5 * i, seconds=0.3, seed=i)
    (folder / "13.wav").write_bytes(b"")
    killed = start(folder, tmp_path / "shards", tmp_path / "log", held="20.wav")
    log = tmp_path / "log"
    while killed.poll() is None and not (log.exists() and "20.wav" in log.read_text()):  # in the third shard
        time.sleep(0.01)
    workers = psutil.Process(killed.pid).children(recursive=True)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(workers) >= 2
    assert not psutil.wait_procs(workers, timeout=30)[1], "workers outlive the run"
    done = len(list((tmp_path / "shards").glob("part-*.parquet")))
    assert done == 2
    assert start(folder, tmp_path / "shards", tmp_path / "log").wait() == 0
    monkeypatch.setattr(egemaps, "SHARD", SHARD)
    paths = sorted(folder.glob("*.wav"))
    frame = pd.DataFrame({"path": list(map(str, paths)), "file": [p.name for p in paths], "corpus": "mini"})
    extract_functionals(frame, shards_dir=tmp_path / "undisturbed")
    assert columns_on_disk(tmp_path / "shards").equals(columns_on_disk(tmp_path / "undisturbed"))
    counts = pd.Series((tmp_path / "log").read_text().splitlines()).value_counts()
    assert len(counts) == 40
    assert counts.max() <= 2
    twice = counts[counts == 2].index.str.extract(r"(\d\d)\.wav")[0].astype(int)
    assert set(twice) - {13} <= set(range(done * SHARD, (done + 1) * SHARD)), "none beyond the shard in flight"


def test_a_broken_or_foreign_shard(tmp_path, monkeypatch):
    frame = pd.DataFrame({"path": [str(write(tmp_path / "a.wav"))], "file": "a.wav", "corpus": "mini"})
    whole, _ = extract_functionals(frame, shards_dir=tmp_path / "shards")
    shard = tmp_path / "shards" / "part-00000.parquet"
    assert set(pq.read_schema(shard).names) == {*KEY, *FUNCTIONALS}
    table = pq.read_table(shard)
    pq.write_table(table.replace_schema_metadata({"opensmile": "1.0"}), shard)
    again, _ = extract_functionals(frame, shards_dir=tmp_path / "shards")
    assert again.equals(whole)
    assert len(list((tmp_path / "shards").glob("part-*"))) == 2, "of another version: anew"
    shard.write_bytes(b"not Parquet")
    with pytest.raises(
        ValueError, match="part-00000.parquet is not a shard of functionals .*; remove it and run again"
    ):
        extract_functionals(frame, shards_dir=tmp_path / "shards")


def test_what_could_not_be_read_is_tried_again_by_each_run(tmp_path):
    paths = [write(tmp_path / "good.wav"), tmp_path / "empty.wav", tmp_path / "missing.wav"]
    paths[1].write_bytes(b"")
    frame = pd.DataFrame({"path": list(map(str, paths)), "file": [p.name for p in paths], "corpus": "mini"})
    for _ in range(2):
        functionals, rejected = extract_functionals(frame, shards_dir=tmp_path / "shards")
        assert list(functionals.index) == [0]
        assert list(rejected["file"]) == ["empty.wav", "missing.wav"]
        assert "empty" in rejected["reason"].iloc[0]
        assert str(tmp_path) not in "".join(rejected["reason"])
    for path in paths[1:]:
        write(path)
    functionals, rejected = extract_functionals(frame, shards_dir=tmp_path / "shards")
    assert len(functionals) == 3
    assert rejected.empty


def test_another_content_of_the_same_size_and_time_is_computed_anew(tmp_path):
    path = write(tmp_path / "a.wav", pitch=120)
    frame = pd.DataFrame({"path": [str(path)], "file": "a.wav", "corpus": "mini"})
    extract_functionals(frame, shards_dir=tmp_path / "shards")
    before = path.stat()
    write(path, pitch=240)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    functionals, _ = extract_functionals(frame, shards_dir=tmp_path / "shards")
    assert functionals.iloc[0].to_dict() == functionals_of(path)


def test_a_copy_elsewhere_with_another_time_is_not_computed_again(tmp_path, monkeypatch):
    path = write(tmp_path / "one" / "a.wav")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.wav").write_bytes(path.read_bytes())
    frames = [
        pd.DataFrame({"path": [str(tmp_path / name / "a.wav")], "file": "a.wav", "corpus": "mini"})
        for name in ("one", "two")
    ]
    first, _ = extract_functionals(frames[0], shards_dir=tmp_path / "shards")
    monkeypatch.setattr(egemaps, "functionals_of", None)
    second, rejected = extract_functionals(frames[1], shards_dir=tmp_path / "shards")
    assert rejected.empty
    assert second.equals(first)


def test_two_workers_write_the_same_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(egemaps, "SHARD", 4)
    paths = [write(tmp_path / f"{i}.wav", pitch=100 + 20 * i, seconds=0.3) for i in range(10)]
    frame = pd.DataFrame({"path": list(map(str, paths)), "file": [p.name for p in paths], "corpus": "mini"})
    for num_proc in (1, 2):
        extract_functionals(frame, num_proc, shards_dir=tmp_path / f"shards{num_proc}")
    assert columns_on_disk(tmp_path / "shards1").equals(columns_on_disk(tmp_path / "shards2"))


def test_the_reduced_configuration_gives_the_same_bits_on_real_speech(corpora):
    full = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    files = [*sorted(corpora.glob("EMO-DB/wav/*.flac"))[::100], *sorted(corpora.glob("nEMO/samples/*"))[::1000]]
    files += sorted(corpora.glob("LibriSpeech/*/*/*/*.opus"))[::100]
    assert len(files) > 10
    for path in files:
        expected = functionals_of(path, all_functionals=True)
        assert functionals_of(path) == {name: expected[name] for name in FUNCTIONALS}
    expected = full.process_file(files[0]).iloc[0].astype(float).to_dict()
    every = functionals_of(files[0], all_functionals=True)
    assert {name: every[name] for name in expected} == expected
    assert len(expected) == 88


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000, 96000])
def test_the_reduced_configuration_at_other_sampling_rates(tmp_path, rate):
    path = write(tmp_path / "a.wav", rate=rate, seconds=1)
    expected = functionals_of(path, all_functionals=True)
    assert functionals_of(path) == {name: expected[name] for name in FUNCTIONALS}


def test_another_opensmile_is_told_apart(tmp_path, monkeypatch):
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    root = Path(smile.default_config_root)
    text = reduced_configuration(root)
    assert text.count("].type=") == 22
    assert "cHarmonics" not in text
    assert "cFormantLpc" not in text
    monkeypatch.setattr(smile_config, "CHANGES", {"gone": {"reader.dmLevel": "x"}})
    with pytest.raises(ValueError, match="eGeMAPSv02 has no gone with reader.dmLevel; expected opensmile 2.5 or 2.6"):
        reduced_configuration(root)
    monkeypatch.setattr(smile_config, "CHANGES", {})
    monkeypatch.setattr(smile_config, "LEVELS", ("nowhere",))
    with pytest.raises(ValueError, match="nothing in eGeMAPSv02 writes the level nowhere"):
        reduced_configuration(root)
