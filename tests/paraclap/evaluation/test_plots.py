"""The confusion matrix's picture: labels of any script and length, few classes and many."""

import warnings

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from paraclap.evaluation.plots import DETAILED, draw_confusion, draw_confusions


@pytest.fixture
def written(monkeypatch):
    """The texts in the cells and at the axes of the pictures that are drawn."""
    texts = []
    write, ticks = Axes.text, Axes.set_yticks
    monkeypatch.setattr(
        Axes, "text", lambda axes, x, y, text, **more: texts.append(text) or write(axes, x, y, text, **more)
    )
    monkeypatch.setattr(
        Axes,
        "set_yticks",
        lambda axes, places, names, **more: texts.extend(names) or ticks(axes, places, names, **more),
    )
    return texts


def test_labels_of_any_kind_are_drawn_without_a_missing_glyph(tmp_path, written):
    labels = [
        "生气的",
        "مرحبا",
        "$cost$ & {x}",
        "fröhlich",
        "🙂",
        "an_endless_label_without_a_blank_" * 5,
        "two words " * 9,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_confusion(np.eye(7, dtype=int) * 3, labels, "生气: " + "a long title " * 30, tmp_path / "c.png")
    assert "$cost$ & {x} (3)" in written
    assert "100%\n3" in written
    assert "0" in written
    names = [text for text in written if text.endswith("(3)")]
    assert max(len(line) for name in names for line in name.split("\n")) <= 20 + len(" (3)")
    assert sum("…" in name for name in names) == 2
    width, height = Image.open(tmp_path / "c.png").size
    assert max(width, height) < 1700


def test_many_classes_fit_a_picture_that_can_be_opened(tmp_path, written):
    labels = [f"nationality {number}" for number in range(50)]
    confusion = np.diag(np.arange(50)) + 1
    draw_confusion(confusion, labels, "many", tmp_path / "c.png")
    assert max(Image.open(tmp_path / "c.png").size) < 4000
    assert len(labels) > DETAILED
    assert "50" in written  # per cent: 50 of 99 in the last row
    assert not any("%" in text for text in written)


def test_systems_stand_side_by_side(tmp_path, written):
    labels, systems = ["angry", "sad"], {"no emo": np.array([[0, 4], [0, 4]]), "rand 5": np.eye(2, dtype=int) * 4}
    draw_confusions(systems, labels, "RAVDESS", tmp_path / "pair.png")
    draw_confusion(systems["rand 5"], labels, "RAVDESS", tmp_path / "one.png")
    assert Image.open(tmp_path / "pair.png").width > Image.open(tmp_path / "one.png").width
    assert written[:4] == ["0", "100%\n4", "0", "100%\n4"]  # no emo hears all as sad
