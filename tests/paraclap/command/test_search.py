"""`paraclap search` and `paraclap embed`."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from modeling_paraclap.clips_paraclap import Loader
from modeling_paraclap.scoring_paraclap import Question, Scorer
from paraclap.command import search, shards
from paraclap.command.recordings import find_recordings
from paraclap.command.score import ScoreTask

USABLE = ["tone, =1+1.wav", "voice0.wav", "deeper/voice1.flac", "deeper/still/voice2.WAV"]


@pytest.fixture(scope="module")
def scorer(release):
    return Scorer.from_pretrained(release)


@pytest.fixture
def heard(monkeypatch):
    """The paths of the recordings that are loaded."""
    paths, load = [], Loader.__call__
    monkeypatch.setattr(Loader, "__call__", lambda *a, **k: (paths.append(str(a[1])), load(*a, **k))[1])
    return paths


def hits(output):
    """Query -> path -> cosine, in the order of the output."""
    found, query = {}, None
    for line in output.splitlines():
        if line.startswith("  "):
            cosine, path = line.split(maxsplit=1)
            found[query][path] = float(cosine)
        else:
            query = line
            found[query] = {}
    return found


def test_search_orders_by_cosine_keeps_its_index_and_never_finds_silence(run, recordings, scorer, heard):
    found = hits(run("search", recordings, "speaker is sad", "is loud", "-k", "20").stdout)
    assert list(found) == ["speaker is sad", "is loud"]
    assert len(heard) == 6
    texts = scorer.embed_texts(Question.parse(["speaker is sad", "is loud"], "{}")).numpy()
    for query, text in zip(found, texts, strict=True):
        assert sorted(found[query]) == sorted(str(recordings / name) for name in USABLE)
        assert list(found[query].values()) == sorted(found[query].values(), reverse=True)
        for path, cosine in found[query].items():
            assert cosine == pytest.approx(float(scorer.embed(path).embedding @ text), abs=1e-3)
    heard.clear()
    again = run("search", recordings, "speaker is sad", "-k", "1").stdout
    assert heard == []
    assert list(hits(again)["speaker is sad"]) == list(found["speaker is sad"])[:1]


def test_the_index_follows_the_folder(run, recordings, heard, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "r").mkdir(exist_ok=True)
        (tmp_path / "r" / f"{name}.wav").write_bytes((recordings / "voice0.wav").read_bytes())
    options = [tmp_path / "r", "is sad", "--index", tmp_path / "index"]
    run("search", *options)
    (tmp_path / "r" / "a.wav").unlink()
    (tmp_path / "r" / "b.wav").write_bytes((recordings / "tone, =1+1.wav").read_bytes())
    (tmp_path / "r" / "c.wav").write_bytes((recordings / "voice0.wav").read_bytes())
    heard.clear()
    found = hits(run("search", *options).stdout)["is sad"]
    assert sorted(heard) == [str(tmp_path / "r" / name) for name in ("b.wav", "c.wav")]
    assert sorted(found) == sorted(heard)


def test_many_parts_are_put_together_without_what_is_gone(recordings, release, tmp_path, monkeypatch):
    task = ScoreTask((), release)
    index = tmp_path / "index"
    monkeypatch.setattr(shards, "SHARD", 1)
    files = [recording for recording in find_recordings([recordings]) if recording.path.endswith(tuple(USABLE))]
    before = search.update_index(index, task, files, 1)
    assert len(before) == len(files)
    queries = np.eye(24, dtype=np.float32)[:2]
    keys = {file.key for file in files}
    expected = search.nearest(before, keys, queries, 3)
    monkeypatch.setattr(search, "MOST_PARTS", 2)
    after = search.update_index(index, task, files, 1)
    assert len(after) == 1
    assert search.nearest(after, keys, queries, 3) == expected
    monkeypatch.setattr(search, "MERGED", 1)
    (part,) = search.update_index(index, task, files[:1], 1)
    assert pq.read_table(part)["path"].to_pylist() == [files[0].path]


def test_search_without_recordings(run, tmp_path):
    assert "There is no recording in" in run("search", tmp_path, "is sad", status=2).stderr
    assert "is not a folder" in run("search", tmp_path / "no", "is sad", status=2).stderr


def test_a_query_that_the_text_encoder_cannot_take_is_said_before_anything_is_embedded(run, recordings, heard):
    result = run("search", recordings, "😀", status=2)
    assert "knows nothing of" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert heard == []


def test_embeddings_are_those_of_the_model(run, recordings, scorer, tmp_path, heard):
    run("embed", recordings, "-o", tmp_path / "emb.parquet", status=1)
    table = pq.read_table(tmp_path / "emb.parquet")
    assert table.column_names == ["file", "embedding", "reason"]
    for row in table.to_pylist():
        if row["reason"] is None:
            np.testing.assert_allclose(row["embedding"], scorer.embed(row["file"]).embedding, atol=1e-6)
        else:
            assert row["embedding"] is None
    heard.clear()
    run("embed", recordings, "-o", tmp_path / "emb.parquet", "--resume", status=1)
    assert heard == []
    assert pq.read_table(tmp_path / "emb.parquet").equals(table)
    assert "are written to a Parquet file" in run("embed", recordings, "-o", tmp_path / "e.csv", status=2).stderr
