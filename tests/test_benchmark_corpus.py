"""The benchmark of building a corpus: its own corpus is built without openSMILE."""

from benchmarks import build_corpus, corpus_memory
from dataset_scripts import egemaps
from dataset_scripts.build_query_corpus import build_query_corpus


def test_the_corpus_for_measuring_memory_needs_no_openSMILE(tmp_path, monkeypatch):
    corpus_memory.make_corpus(tmp_path / "corpus", 30)
    corpus_memory.write_functionals(tmp_path / "corpus", tmp_path / "out.functionals")
    monkeypatch.setattr(egemaps, "functionals_of", None)
    frame, rejected = build_query_corpus({corpus_memory.CORPUS: tmp_path / "corpus"}, tmp_path / "out")
    assert len(frame) == 30
    assert rejected.empty
    assert set(frame["split"]) == {"train", "test"}
    embedded = sum(path.stat().st_size for path in (tmp_path / "out" / "data").iterdir())
    assert embedded > corpus_memory.SECONDS * corpus_memory.SAMPLING_RATE * 2, "the audio is in it"


def test_queries_of_random_rows_take_little_memory():
    few, many = (build_corpus.peak_memory(build_corpus.random_rows(size)) for size in (300, 1_500))
    assert many < 4 * few < 10, "MB"
