"""What is said of a corpus and of single recordings: columns of queries, paraphrases, describe, card, report."""

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.owners_layouts import make_emodb, make_msp_podcast, write
from matplotlib.axes import Axes

from dataset_scripts.binning import ATTRIBUTES, Bins
from dataset_scripts.build_query_corpus import main as build
from dataset_scripts.describe import main
from dataset_scripts.egemaps import functionals_of
from dataset_scripts.queries import EMOTION_NOUNS, INDEX, TEMPLATES, generate_queries, with_paraphrases
from dataset_scripts.query_columns import query_columns
from dataset_scripts.sheet import draw_sheet


def pairs_of(frame, *index):
    texts, attributes = (column.to_pylist() for column in query_columns(frame, *index))
    return [list(zip(a, t, strict=True)) for a, t in zip(attributes, texts, strict=True)]


def test_the_columns_hold_what_generate_queries_gives_row_by_row():
    rng = np.random.default_rng(0)
    bins = {f"{name}_bin": rng.choice(["low", "mid", "high", None], 500) for name in ATTRIBUTES}
    labels = {"emotion": rng.choice([*EMOTION_NOUNS, None], 500), "gender": rng.choice(["female", "male", None], 500)}
    frame = pd.DataFrame(bins | labels)
    assert pairs_of(frame) == [generate_queries(row) for row in frame.to_dict("records")]
    assert {text for row in pairs_of(frame) for _, text in row} >= {"has a low jitter but the pitch is unstable"}
    assert pairs_of(frame[["gender"]].head(2)) == [
        generate_queries({"gender": gender}) for gender in frame["gender"][:2]
    ]
    assert pairs_of(frame.head(0)) == []
    assert pairs_of(pd.DataFrame(index=range(2))) == [[], []]
    frame.loc[3, "jitter_bin"] = "medium"
    with pytest.raises(ValueError, match="jitter_bin is 'medium'"):
        query_columns(frame)


def paraphrases(tmp_path, content):
    path = tmp_path / "paraphrases.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def test_paraphrases_come_after_their_template_and_under_its_conditions(tmp_path):
    content = {"speaker is very {emotion}": ["shows {emotion_noun}"], "is loud": ["speaks loudly", "klingt laut"]}
    index = with_paraphrases(paraphrases(tmp_path, content))
    row = {"emotion": "angry", "arousal_bin": "high", "intensity_bin": "high"}
    pairs = generate_queries(row, index)
    assert ("arousal+emotion", "shows anger") in pairs
    assert pairs.index(("intensity", "is loud")) + 2 == pairs.index(("intensity", "klingt laut"))
    assert [
        pair for pair in pairs if pair[1] not in ("shows anger", "speaks loudly", "klingt laut")
    ] == generate_queries(row)
    assert generate_queries({"intensity_bin": "low"}, index) == generate_queries({"intensity_bin": "low"})
    assert pairs_of(pd.DataFrame([row]), index) == [pairs]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "is not YAML"),
        (["is loud"], "expected templates with lists of paraphrases"),
        ({"is loud": "speaks loudly"}, "expected templates with lists"),
        ({"is very loud": ["shouts"]}, "'is very loud' is not a template of dataset_scripts/queries.csv"),
        ({"is loud": [3]}, "has the paraphrase 3; expected text"),
        ({"is loud": ["shouts", "shouts"]}, "'shouts' occurs twice"),
        ({"is loud": ["is long"]}, "occurs twice, or is a template itself"),
        ({"is loud": ["{gender} shouts"]}, "placeholder gender; 'is loud' can fill in none"),
    ],
)
def test_wrong_paraphrases_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        with_paraphrases(paraphrases(tmp_path, content))


EDGES = {"pitch_mean": (20.0, 24.0), "intensity": (-80.0, -70.0), "duration": (2.0, 5.0), "jitter": (0.0, 1.0)}


def test_describe_shows_the_numbers_and_the_caption(tmp_path, capsys):
    path = write(tmp_path / "a.wav", pitch=220, seconds=1.5)
    Bins(EDGES, dict.fromkeys(EDGES, 9)).save(tmp_path / "bins.json")
    assert main([str(path), "--bins", str(tmp_path / "bins.json")]) == 0
    printed = capsys.readouterr().out
    values = functionals_of(path)
    hertz = 27.5 * 2 ** (values["pitch_mean"] / 12)
    assert 210 < hertz < 230
    lines = {line.split("  ")[0]: line for line in printed.splitlines()}
    assert f"{hertz:.0f} Hz" in lines["mean pitch"]
    assert lines["mean pitch"].endswith("high  87 Hz     110 Hz")
    assert lines["duration"].split() == ["duration", "1.50", "s", "low", "2.00", "s", "5.00", "s"]
    assert f"{100 * values['jitter']:.2f} %" in lines["jitter"]
    assert f"{values['shimmer']:.2f} dB" in lines["shimmer"], "no edges, no bin, but the value"
    assert "caption: has a high pitch and has a low equivalent sound level" in printed or "elevated" in printed
    assert "  is short\n" in printed
    assert "shimmer but" not in printed


def test_describe_of_silence_and_its_errors(tmp_path, capsys):
    silent = write(tmp_path / "silent.wav", level=0.0, seed=1)
    Bins(EDGES, dict.fromkeys(EDGES, 9)).save(tmp_path / "bins.json")
    assert main([str(silent), "--bins", str(tmp_path / "bins.json")]) == 0
    assert "no voice" in capsys.readouterr().out
    assert main([str(tmp_path / "none.wav"), str(silent), "--bins", str(tmp_path / "bins.json")]) == 1
    printed = capsys.readouterr()
    assert "does not exist" in printed.err
    assert "no voice" in printed.out, "the others are described all the same"
    assert main([str(silent), "--bins", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """EMO-DB and MSP-Podcast with a report and one paraphrase."""
    root = tmp_path_factory.mktemp("built")
    corpora = [f"emodb={make_emodb(root / 'emodb')}", f"msp_podcast={make_msp_podcast(root / 'msp', seconds=0.4)}"]
    path = paraphrases(root, {"is loud": ["speaks at the top of the voice"]})
    options = ["--num_proc", "1", "--report", "--paraphrases", str(path)]
    assert build(["--corpora", *corpora, "--output_dir", str(root / "out"), *options]) == 0
    return root / "out"


def test_the_card_shows_no_label_of_a_restricted_corpus(built):
    _, front_matter, card = (built / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front_matter)["license"] == ["cc0-1.0", "other"]
    assert "**Not to be passed on:** the licence of MSP-Podcast forbids it, or is not stated." in card
    assert "--corpora emodb=DIR msp_podcast=DIR" in card
    assert "77 templates" in card
    examples = card.split("## Examples")[1]
    assert "`wav/03a01Fa.wav`" in examples
    assert "MSP-PODCAST" not in examples
    assert "| arousal |" in card
    assert "`query_attributes`" in card


def test_dimensions_and_paraphrases_reach_the_corpus(built):
    frame = pd.concat(pd.read_parquet(path) for path in sorted((built / "data").glob("*.parquet")))
    texts = set().union(*map(set, frame["queries"]))
    assert {"has low arousal", "has high arousal", "speaks at the top of the voice"} <= texts
    assert not frame["file"].str.contains("0002").any(), "no agreement, no row"
    other = frame[frame["file"].str.contains("0003")].iloc[0]
    assert pd.isna(other["emotion"])
    assert not any("speaker is very" in text for text in other["queries"])


def test_the_report_is_a_picture(built):
    content = (built / "report.png").read_bytes()
    assert content[:4] == b"\x89PNG"
    assert len(content) > 20_000


def test_the_report_shows_every_functional_and_captions_that_differ(built, tmp_path, monkeypatch):
    frame = pd.concat(pd.read_parquet(path) for path in sorted((built / "data").glob("*.parquet")))
    titles, texts = [], []
    set_title, write_text = Axes.set_title, Axes.text
    monkeypatch.setattr(
        Axes, "set_title", lambda axes, text, **more: titles.append(text) or set_title(axes, text, **more)
    )
    monkeypatch.setattr(
        Axes, "text", lambda axes, x, y, text, **more: texts.append(text) or write_text(axes, x, y, text, **more)
    )
    silent = frame.assign(jitter=None)
    draw_sheet(silent.reset_index(drop=True), Bins.load(built / "bins.json"), tmp_path / "report.png", INDEX)
    names = ("mean pitch", "pitch variation", "equivalent sound level", "duration", "jitter", "shimmer")
    assert [title.partition(":")[0] for title in titles[1:7]] == list(names)
    assert "low < " in titles[1]
    captions = [line.partition(": ")[2] for line in texts[-1].split("\n")]
    assert len(captions) == len(set(captions)) == 8
    by_text = {template.text: template.attribute for template in TEMPLATES}
    for caption in captions:
        about = [by_text[query].split("+")[0] for query in caption.split(" and ") if query in by_text]
        assert len(about) == len(set(about)) > 0
