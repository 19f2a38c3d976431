"""Tables and the picture of a run."""

import itertools

from matplotlib.figure import Figure

from paraclap.training.curves import draw_curves
from paraclap.training.records import read_rows, write_row


def test_a_table_overwrites_what_a_resumed_run_repeats(tmp_path):
    for step in (10, 20, 30, 20):
        write_row(tmp_path / "steps.csv", {"step": step, "loss": 1 / step})
    assert [row["step"] for row in read_rows(tmp_path / "steps.csv")] == ["10", "20"]


def drawn(folder, chances, monkeypatch):
    """The figure of a run's folder."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **kw: figures.append(figure) or save(figure, *args, **kw)
    )
    draw_curves(folder, chances)
    return figures[0]


def test_the_curves_are_named_in_words_with_chance_beside(tmp_path, monkeypatch):
    for step in range(1, 100):
        write_row(tmp_path / "steps.csv", {"step": step, "loss": 1 / step})
    measures = ("uar_emotion_emodb", "uar_synonyms_emodb", "uar_gender", "uar", "top_class", "mean_cosine")
    for epoch in (1, 2, 3):
        row = {name: epoch / 4 for name in measures}
        write_row(tmp_path / "history.csv", {"epoch": epoch, "step": 33 * epoch, **row, "top_class": 1.0})
    chances = {"uar_emotion_emodb": 1 / 7, "uar_gender": 0.5}
    loss, uar, collapse = drawn(tmp_path, chances, monkeypatch).axes
    assert [line.get_xdata()[0] for line in loss.lines] == [1, 4]
    assert [text.get_text() for text in uar.texts] == [
        "emotions of emodb",
        "synonyms of emodb",
        "gender",
        "mean of the emotions",
    ]
    assert {line.get_ydata()[0] for line in uar.lines if line.get_linestyle() == "--"} == {1 / 7, 0.5}
    places = sorted(text.xyann[1] for text in uar.texts)
    assert min(high - low for low, high in itertools.pairwise(places)) > 0.05, "names lie upon each other"
    low, high = collapse.get_ylim()
    assert low < -0.05 and high > 1.05, "the indicators lie on the frame"  # noqa: PT018
    assert not any(axis.get_legend() for axis in (uar, collapse)), "a legend may hide points"


def test_a_run_without_an_epoch_has_a_picture_too(tmp_path, monkeypatch):
    write_row(tmp_path / "steps.csv", {"step": 1, "loss": 2.0})
    assert len(drawn(tmp_path, {}, monkeypatch).axes) == 1
    assert (tmp_path / "curves.png").stat().st_size > 5000
