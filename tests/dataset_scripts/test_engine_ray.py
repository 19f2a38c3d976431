"""The functionals on a local Ray of two workers: the same output and shards as in this process."""

import os
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers.owners_layouts import write

from dataset_scripts import egemaps
from dataset_scripts.egemaps import extract_functionals
from dataset_scripts.engines import WorkerError, ray_data

ray = pytest.importorskip("ray", reason="the engine is an extra: pip install 'paraclap[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture
def frame(tmp_path, monkeypatch):
    """Twenty files, of which one is empty; no Ray but what the engine starts."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    paths = [write(tmp_path / f"{i}.wav", pitch=100 + 20 * i, seconds=0.3) for i in range(20)]
    paths[17].write_bytes(b"")
    return pd.DataFrame({"path": list(map(str, paths)), "file": [p.name for p in paths], "corpus": "mini"})


def test_two_workers_of_ray_give_the_same_output_and_go_on_where_a_run_was_killed(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(egemaps, "SHARD", 8)
    expected, left_out = extract_functionals(frame, shards_dir=tmp_path / "one")
    (tmp_path / "ray").mkdir()
    shutil.copy(tmp_path / "one" / "part-00000.parquet", tmp_path / "ray")  # what a kill in the second shard leaves
    functionals, rejected = extract_functionals(frame, num_proc=2, shards_dir=tmp_path / "ray", engine="ray")
    pd.testing.assert_frame_equal(functionals, expected, check_exact=True)
    pd.testing.assert_frame_equal(rejected, left_out)
    parts = sorted(path.name for path in (tmp_path / "ray").iterdir())
    assert parts == [f"part-0000{number}.parquet" for number in range(3)]
    for part in parts:
        assert pq.read_table(tmp_path / "ray" / part).equals(pq.read_table(tmp_path / "one" / part))
    assert not ray.is_initialized(), "what it started it has shut down"


def _die(chunk, all_functionals):
    os._exit(1)


def test_a_worker_that_dies_is_reported_and_a_ray_that_runs_left_alone(frame, monkeypatch):
    monkeypatch.setattr(egemaps, "_run", _die)
    with ray_data(2):
        with pytest.raises(WorkerError, match="Ray gave up on one of 20 files, from .*0.wav to .*19.wav"):
            extract_functionals(frame, engine="ray")
        assert ray.is_initialized()
    assert not ray.is_initialized()


def test_a_slow_start_is_tried_again(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    starts = []

    def slow(**options):
        starts.append(options)
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", slow)
    with pytest.raises(WorkerError, match="Ray did not start, 3 times .*timed out"), ray_data(2):
        pass
    assert [options["num_cpus"] for options in starts] == [2, 2, 2]


def test_an_unknown_engine_and_a_cluster_that_is_not_there(frame):
    with pytest.raises(ValueError, match="engine is 'spark'; expected one of processes, ray"):
        extract_functionals([], engine="spark")
    with pytest.raises(ConnectionError, match="There is no Ray cluster at 127.0.0.1:1 .*refused.*; see `ray status`"):
        extract_functionals(frame, engine="ray", ray_address="127.0.0.1:1")
