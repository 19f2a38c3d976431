"""Quantile bins: fitted on training rows, null-safe, ties as documented, saved and read back."""

import numpy as np
import pandas as pd
import pytest

from dataset_scripts.binning import ATTRIBUTES, Bins, fit_bins


def frame_of(values, split="train", **columns):
    return pd.DataFrame({"pitch_mean": values, "split": split, "corpus": "emodb", **columns})


def test_thirty_forty_thirty_on_training_rows_alone():
    train = frame_of(np.random.default_rng(0).permutation(1000).astype(float))
    test = frame_of(np.full(1000, 1e6), split="test")
    bins = fit_bins(pd.concat([train, test], ignore_index=True))
    assert bins.edges == {"pitch_mean": tuple(np.quantile(np.arange(1000), [0.3, 0.7]))}
    assert bins.rows == {"pitch_mean": 1000}
    assert bins.corpora == ("emodb",)
    assert bins.apply(train)["pitch_mean_bin"].value_counts().to_dict() == {"low": 300, "mid": 400, "high": 300}
    assert set(bins.apply(test)["pitch_mean_bin"]) == {"high"}


def test_nulls_have_no_bin_and_do_not_move_the_edges():
    values = [1.0, None, 2.0, np.nan, 3.0, np.inf, 4.0, 5.0]
    bins = fit_bins(frame_of(values))
    assert bins.edges == fit_bins(frame_of([1.0, 2, 3, 4, 5])).edges
    assert bins.rows["pitch_mean"] == 5
    binned = bins.apply(frame_of(values))
    assert list(binned["pitch_mean_bin"]) == ["low", None, "low", None, "mid", None, "high", "high"]
    assert "jitter_bin" in binned
    assert binned["jitter_bin"].isna().all(), "an attribute without edges has no bins"
    assert binned["pitch_mean"].equals(frame_of(values)["pitch_mean"]), "the values stay"


def test_ties_go_where_the_paper_puts_them():
    bins = Bins({"intensity": (2.0, 4.0), "duration": (3.0, 3.0)}, {"intensity": 9, "duration": 9})
    frame = pd.DataFrame({"intensity": [1.9, 2.0, 3.9, 4.0], "duration": [2.9, 3.0, 3.0, 3.1]})
    binned = bins.apply(frame)
    assert list(binned["intensity_bin"]) == ["low", "mid", "mid", "high"]  # [0, 30 %), [30 %, 70 %), [70 %, 100 %]
    assert list(binned["duration_bin"]) == ["low", "mid", "mid", "high"]  # one value is most of the rows: mid
    for attribute in ("intensity", "duration"):
        assert [bins.bin_of(attribute, v) for v in frame[attribute]] == list(binned[f"{attribute}_bin"])


def test_a_single_value():
    bins = Bins({"jitter": (1.0, 2.0)}, {"jitter": 3})
    assert [bins.bin_of("jitter", v) for v in (None, np.nan, 0.5)] == [None, None, "low"]
    assert bins.bin_of("shimmer", 1.0) is None
    with pytest.raises(ValueError, match="Unknown attribute 'loudness'; expected one of arousal"):
        bins.bin_of("loudness", 1.0)


def test_without_training_rows_it_is_said_what_to_do():
    with pytest.raises(ValueError, match=r"there are none \(splits: test\).*--bins bins.json"):
        fit_bins(frame_of([1.0], split="test"))


def test_saved_bins_are_read_back_and_describe_themselves(tmp_path):
    rng = np.random.default_rng(0)
    frame = frame_of(rng.standard_normal(50), arousal=rng.integers(1, 8, 50), duration=rng.random(50))
    bins = fit_bins(frame)
    bins.save(tmp_path / "bins.json")
    assert Bins.load(tmp_path / "bins.json") == bins
    text = (tmp_path / "bins.json").read_text()
    for word in (
        "F0semitoneFrom27.5Hz_sma3nz_amean",
        "semitones above 27.5 Hz",
        '"rows": 50',
        '"emodb"',
        '"unit": "s"',
    ):
        assert word in text
    assert set(bins.edges) <= set(ATTRIBUTES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "is not a bins.json"),
        ("{}", "is not a bins.json"),
        ('{"fitted_on": {"corpora": []}, "attributes": {"jitter": {"lower": 1, "rows": 1}}}', "is not a bins.json"),
        (
            '{"fitted_on": {"corpora": []}, "attributes": {"jitter": {"lower": 2, "upper": 1, "rows": 1}}}',
            "edges 2.0, 1.0 of jitter; expected two ascending",
        ),
        (
            '{"fitted_on": {"corpora": []}, "attributes": {"wit": {"lower": 2, "upper": 3, "rows": 1}}}',
            "unknown attribute 'wit'",
        ),
    ],
)
def test_a_wrong_bins_file_is_refused(tmp_path, content, message):
    (tmp_path / "bins.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        Bins.load(tmp_path / "bins.json")
