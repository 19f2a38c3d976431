"""Table 1: its layout, what is run, and that what is done is not done again."""

import csv
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from dataset_scripts.tables import write_csv
from paraclap.evaluation import table1
from paraclap.evaluation.table1_layout import PAPER, Table, draw_table, figure_rows, markdown_of, read_paper

PAPER_ROW = {"CLAP": 0.199, "Pengi": 0.148, "no emo": 0.170, "only emo": 0.302, "rand 1": 0.116, "rand 5": 0.234}


@pytest.fixture
def table():
    found = Table(
        ["only emo", "rand 5"], chance={"ravdess": 0.125, "emodb": 1 / 7}, paper=read_paper(table1.PAPER_TABLE)
    )
    found.figures = {
        ("ravdess", "only emo"): (0.41, 0.38, 0.44),
        ("ravdess", "rand 5"): (0.50, 0.47, 0.53),
        ("emodb", "rand 5"): (0.7, 0.6, 0.8),
    }
    found.most_predicted = {("ravdess", "only emo"): ("sad", 0.25)}
    found.notes["emodb"] = "unseen speakers of a training corpus"
    found.missing["TESS"] = "TESS is not among --corpora (tess=DIR)"
    return found


def test_the_papers_figures_are_its_own():
    paper = read_paper(table1.PAPER_TABLE)
    assert set(paper) == set(PAPER.values())
    assert paper["ravdess"] == PAPER_ROW
    assert paper["sld"]["only emo"] == 0.554


def test_markdown_has_ours_the_papers_and_what_is_missing(table):
    lines = markdown_of(table).splitlines()
    assert lines[2].startswith("| ravdess | 0.125 | 0.410 [0.380, 0.440] | **0.500** [0.470, 0.530] | 0.199 | 0.148 |")
    assert lines[3].startswith(
        "| emodb (unseen speakers of a training corpus) | 0.143 |  | **0.700** [0.600, 0.800] |  |"
    )
    assert lines[-1] == "- TESS has no row: TESS is not among --corpora (tess=DIR)"
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[lines.index("Most predicted label, and its share:") + 4] == "| ravdess | sad 0.250 |  |"


def test_every_figure_of_the_page_is_one_of_the_command():
    docs = Path(__file__).parents[3] / "docs"
    page = (docs / "table1.md").read_text(encoding="utf-8")
    with open(docs / "table1.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = ("uar", "lower", "upper", "chance", "share")
    known = {f"{float(row[name]):.3f}" for row in rows for name in names if row[name]}
    assert set(re.findall(r"\b0\.\d{3}\b", page)) - known == set()
    ours = [row for row in rows if row["lower"]]
    assert len(ours) == 4 * 5
    table = page.split(table1.BEGIN)[1].replace("**", "")
    for row in ours:
        uar, lower, upper, share = (f"{float(row[name]):.3f}" for name in ("uar", "lower", "upper", "share"))
        assert f" {uar} [{lower}, {upper}] " in table
        assert f" {row['most_predicted']} {share} " in table


def test_csv_and_picture(table, tmp_path):
    write_csv(pd.DataFrame(figure_rows(table)), tmp_path / "t.csv", float_format="%.6f")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["most_predicted"], rows[0]["share"]) == ("sad", "0.250000")
    assert rows[1] == {
        "task": "ravdess", "system": "rand 5", "uar": "0.500000", "lower": "0.470000", "upper": "0.530000",
        "most_predicted": "", "share": "", "chance": "0.125000",
    }  # fmt: skip
    assert sum(row["system"].startswith("paper") for row in rows) == 8 * 6
    draw_table(table, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"


def arguments(tmp_path, *more):
    for name in ("nemo", "ravdess"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "c.yaml").write_text("crop_s: 1\n")
    corpora = [f"nemo={tmp_path / 'nemo'}", f"ravdess={tmp_path / 'ravdess'}"]
    fixed = ["--corpora", *corpora, "--train_on", "nemo", "--output_dir", str(tmp_path / "out")]
    return [*fixed, "--config", str(tmp_path / "c.yaml"), *more]


def test_a_dry_run_names_every_command_and_runs_none(tmp_path, capsys):
    assert table1.main(arguments(tmp_path, "--models", "laion/clap", "--dry_run", "--", "--crop_s", "2")) == 0
    printed = capsys.readouterr().out
    assert printed.count("paraclap.training") == 4
    assert printed.count("--crop_s 2") == 4
    assert printed.count("paraclap.evaluation") == 5
    assert "--variant no_emo" in printed
    assert "evaluations/laion_clap" in printed
    assert "tests on nemo, ravdess." in printed
    assert not (tmp_path / "out").exists()


def test_steps_are_done_once_and_go_on_after_a_failure(tmp_path, capsys):
    counter, done = tmp_path / "counter", tmp_path / "done"
    (tmp_path / "step_module.py").write_text(
        f"import pathlib, sys\nc = pathlib.Path({str(counter)!r})\n"
        "c.write_text(c.read_text() + 'x' if c.exists() else 'x')\n"
        f"sys.exit(1) if len(c.read_text()) == 1 else pathlib.Path({str(done)!r}).touch()\n"
    )
    step = table1.Step("one", ["step_module"], done)
    step.command = lambda: [sys.executable, str(tmp_path / "step_module.py")]
    with pytest.raises(SystemExit, match="one ended with status 1. Repeat the command to resume"):
        table1.run_steps([step])
    table1.run_steps([step])
    table1.run_steps([step])
    assert counter.read_text() == "xx"
    assert "one: done before" in capsys.readouterr().out


def test_the_table_is_collected_from_the_evaluations(tmp_path):
    args = table1.parse_arguments(arguments(tmp_path, "--variants", "rand5", "--answers", "Pengi=answers.csv"))
    for folder, uar in {"rand5": 0.5, "Pengi": 0.2}.items():
        file = tmp_path / "out" / "evaluations" / folder / "results.json"
        file.parent.mkdir(parents=True)
        most = {"label": "sad", "share": 0.3}
        tasks = {"ravdess": {"uar": uar, "intervals": {"uar": [uar - 0.1, uar + 0.1]}, "most_predicted": most}}
        file.write_text(json.dumps({"tasks": tasks}))
    table = table1.collect(args)
    assert table.figures["ravdess", "rand 5"] == (0.5, 0.4, 0.6)
    assert table.figures["ravdess", "Pengi"][0] == 0.2
    assert table.most_predicted["ravdess", "Pengi"] == ("sad", 0.3)
    assert table.notes == {"nemo": "unseen speakers of a training corpus"}
    assert "TESS" in table.missing


def test_the_ends_of_the_variants_are_drawn_side_by_side(tmp_path, monkeypatch):
    args = table1.parse_arguments(arguments(tmp_path))
    for folder in ("no_emo", "rand5"):
        file = tmp_path / "out" / "evaluations" / folder / "results.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"tasks": {"ravdess": {"uar": 0.25, "confusion": [[1] * 8] * 8}}}))
    drawn = []
    monkeypatch.setattr("paraclap.evaluation.plots.draw_confusions", lambda *given: drawn.append(given))
    table1.draw_pairs(args)
    ((matrices, labels, title, file),) = drawn
    assert list(matrices) == ["no emo, UAR 0.250", "rand 5, UAR 0.250"]
    assert len(labels) == 8
    assert title == "RAVDESS: emotion, zero-shot, chance 0.125"
    assert file == tmp_path / "out" / "confusion-ravdess.png"


def test_a_corpus_to_train_on_must_be_given(tmp_path, capsys):
    with pytest.raises(SystemExit):
        table1.parse_arguments([*arguments(tmp_path), "--train_on", "emodb"])
    assert "--train_on names emodb, which --corpora lacks: add emodb=DIR" in capsys.readouterr().err
