"""`--engine ray` on a local Ray of two workers: the rows are those of threads, and a killed run goes on."""

import os
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from paraclap.command import on_ray, shards

ray = pytest.importorskip("ray", reason="the engine is an extra: pip install 'paraclap[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture(scope="module")
def two_workers():
    """A Ray with two workers, which the engine finds running and leaves alone."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from dataset_scripts.engines import ray_data

    with ray_data(2):
        yield


def test_rows_are_those_of_threads_and_a_killed_run_goes_on(run, recordings, two_workers, tmp_path, monkeypatch):
    for module in (shards, on_ray):
        monkeypatch.setattr(module, "SHARD", 2)
    monkeypatch.setattr(on_ray, "CHUNK", 1)
    options = [recordings, "--labels", "angry,calm"]
    run("score", *options, "-o", tmp_path / "threads.parquet", status=1)
    ours = tmp_path / "ray.parquet"
    run("score", *options, "--engine", "ray", "-o", ours, status=1)
    expected = pq.read_table(tmp_path / "threads.parquet").to_pandas()
    pd.testing.assert_frame_equal(pq.read_table(ours).to_pandas(), expected, atol=1e-5)
    parts = sorted((tmp_path / "ray.parquet.shards").glob("part-*.parquet"))
    assert [pq.read_metadata(part).num_rows for part in parts] == [2, 2, 2]

    # What a kill leaves: some shards, one that is not complete, and no table.
    again = tmp_path / "again.parquet"
    folder = tmp_path / "again.parquet.shards"
    folder.mkdir()
    shutil.copy(parts[0], folder)
    (folder / ".partial").write_bytes(b"PAR1")
    assert "Continue it with --resume" in run("score", *options, "--engine", "ray", "-o", again, status=2).stderr
    known = {row["path"] for row in pq.read_table(parts[0]).to_pylist()}
    run("score", *options, "--engine", "ray", "-o", again, "--resume", status=1)
    pd.testing.assert_frame_equal(pq.read_table(again).to_pandas(), expected, atol=1e-5)
    new = {row["path"] for part in sorted(folder.glob("part-*"))[1:] for row in pq.read_table(part).to_pylist()}
    assert not new & known, "no recording is listened to twice"
    assert len(new) + len(known) == len(expected)


def test_embeddings_and_a_finished_run(run, recordings, two_workers, tmp_path):
    options = [recordings, "--engine", "ray", "-o", tmp_path / "emb.parquet"]
    run("embed", *options, status=1)
    run("embed", recordings, "-o", tmp_path / "threads.parquet", status=1)
    tables = (pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("emb", "threads"))
    for mine, theirs in zip(*tables, strict=True):
        assert mine["file"] == theirs["file"]
        assert mine["embedding"] == pytest.approx(theirs["embedding"], abs=1e-6)
    run("embed", *options, "--resume", status=1)


def test_a_cluster_that_is_not_there_is_one_line(run, recordings, tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    options = ["--engine", "ray", "--ray_address", "127.0.0.1:1", "-o", tmp_path / "a.csv"]
    result = run("score", recordings, *options, status=2)
    assert "There is no Ray cluster at 127.0.0.1:1" in result.stderr
