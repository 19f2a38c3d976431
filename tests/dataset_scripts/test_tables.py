"""Tables for terminals, cards and spreadsheets."""

import csv

import pandas as pd
import pytest

from dataset_scripts.queries import EMOTION_NOUNS
from dataset_scripts.report import summary_of
from dataset_scripts.tables import format_table, markdown_table, write_csv


def test_text_is_aligned_left_and_numbers_right():
    table = pd.DataFrame(
        {"task": ["ravdess", "nemo"], "rows": [1440, 481], "change": ["-3", "+12"], "note": [None, "a"]}
    )
    assert format_table(table).splitlines() == [
        "task     rows  change  note",
        "ravdess  1440      -3",
        "nemo      481     +12  a",
    ]


def test_what_does_not_fit_goes_into_blocks_that_repeat_the_first_column():
    table = pd.DataFrame({"task": ["a", "b"], **{f"column{i}": [i, 10 * i] for i in range(1, 12)}})
    lines = format_table(table, width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert [line for line in lines if line.startswith("task")] == [
        "task  column1  column2  column3  column4",
        "task  column5  column6  column7  column8",
        "task  column9  column10  column11",
    ]
    assert len(format_table(table).splitlines()) == 3, "in one piece where no width is given"


def test_markdown_escapes_bars_and_no_rows_are_no_table():
    assert markdown_table([{"a": "x|y", "b": 1}]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"
    assert markdown_table([]) == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_no_cell_is_a_formula(tmp_path, start):
    text = f"{start}HYPERLINK(1)"
    table = pd.DataFrame({"file": [text, "plain", None], "score": [-0.5, 1.25, 2.0], text: ["a", "b", "c"]})
    write_csv(table, tmp_path / "table.csv", float_format="%.2f")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "score", f"'{text}"]
    assert rows[1] == [f"'{text}", "-0.50", "a"]
    assert rows[2:] == [["plain", "1.25", "b"], ["", "2.00", "c"]]


def test_a_carriage_return_does_not_begin_a_row(tmp_path):
    write_csv(pd.DataFrame({"file": ["a\r=1,2", "\r=3"]}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == b'file\n"a\\r=1,2"\n\\r=3\n'


def test_categories_and_strings_are_neutralised_too(tmp_path):
    values = ["=1", "x"]
    table = pd.DataFrame({"category": pd.Categorical(values), "string": pd.array(values, dtype="string")})
    write_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "category,string\n'=1,'=1\nx,x\n"


def test_the_summary_of_many_corpora_fits_a_terminal():
    emotions = list(EMOTION_NOUNS)
    frame = pd.DataFrame(
        {
            "corpus": [f"corpus_number_{i % 5}" for i in range(60)],
            "split": ["train", "validation", "test"] * 20,
            "speaker": "x",
            "gender": ["female", "male"] * 30,
            "emotion": emotions * 5,
            "duration": 3600.0,
        }
    )
    lines = summary_of(frame).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("corpus_number") for line in lines) == 15
    assert [line.split()[0] for line in lines[-12:]] == emotions
    assert lines[-1].split()[-2:] == ["5", "5"]
