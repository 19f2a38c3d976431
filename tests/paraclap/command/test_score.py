"""`paraclap score`: what it takes, what it gives, and what is left when it is stopped."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from helpers.audio import tone
from transformers.utils import logging

import paraclap
from modeling_paraclap.clips_paraclap import Loader
from paraclap.command.models import load_scorer

NAMES = ["broken.wav", "silent.wav", "tone, =1+1.wav", "voice0.wav", "deeper/voice1.flac", "deeper/still/voice2.WAV"]
USABLE = NAMES[2:]


@pytest.fixture
def heard(monkeypatch):
    """The paths of the recordings that are loaded, in order."""
    paths, load = [], Loader.__call__
    monkeypatch.setattr(Loader, "__call__", lambda *a, **k: (paths.append(str(a[1])), load(*a, **k))[1])
    return paths


def test_a_folder_becomes_a_table_in_one_pass_however_many_questions(run, recordings, heard, pipe, tmp_path):
    options = ["--question", "emotion", "--question", "gender,pitch", "--labels", "calm,loud", "--template", "is {}"]
    result = run("score", recordings, *options, "-o", tmp_path / "out.csv", status=1)
    assert sorted(heard) == sorted(str(recordings / name) for name in NAMES), "each recording is loaded once"
    table = pd.read_csv(tmp_path / "out.csv").set_index("file")
    assert list(table.index) == [str(recordings / name) for name in NAMES]
    scored = table.loc[[str(recordings / name) for name in USABLE]]
    assert scored["reason"].isna().all()
    failed = table.drop(scored.index)
    assert failed.drop(columns="reason").isna().all(axis=None)
    assert "is not audio" in failed["reason"].iloc[0]
    assert "is silent" in failed["reason"].iloc[1]
    assert f"4 of 6 recordings used. Written to {tmp_path / 'out.csv'}." in result.stderr

    file = str(recordings / USABLE[0])
    expected = {
        entry["label"]: entry["score"]
        for entry in pipe(file, candidate_labels=["calm", "loud"], hypothesis_template="is {}")
    }
    for label, score in expected.items():
        assert scored.loc[file, f"label.{label}"] == pytest.approx(score, abs=1e-5)
    assert scored.loc[file, "label"] == max(expected, key=expected.get)
    expected = pipe(file, candidate_labels=["a female is speaking", "a male is speaking"], hypothesis_template="{}")
    found = {"a female is speaking": "gender.female", "a male is speaking": "gender.male"}
    assert {found[e["label"]]: pytest.approx(e["score"], abs=1e-5) for e in expected} == {
        name: scored.loc[file, name] for name in found.values()
    }
    for question in ("emotion", "gender", "pitch", "label"):
        scores = scored[[name for name in scored.columns if name.startswith(f"{question}.")]]
        assert scores.sum(axis=1).tolist() == pytest.approx([1] * len(scored), abs=1e-4)
        assert (scores.idxmax(axis=1).str.partition(".")[2] == scored[question]).all()


def test_csv_parquet_json_and_python_hold_the_same(run, recordings, release, tmp_path):
    for suffix in ("csv", "parquet", "json"):
        run("score", recordings, "--labels", "angry,calm", "-o", tmp_path / f"out.{suffix}", status=1)
    expected = pd.read_csv(tmp_path / "out.csv")
    assert list(expected.columns) == ["file", "label", "label.angry", "label.calm", "reason"]
    parquet = pq.read_table(tmp_path / "out.parquet")
    assert [str(kind) for kind in parquet.schema.types] == ["string", "string", "double", "double", "string"]
    records = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    frame = paraclap.score(recordings, ["angry", "calm"], model=release, jobs=1)
    for found in (parquet.to_pandas(), pd.DataFrame(records), frame):
        pd.testing.assert_frame_equal(
            found.astype(object).fillna("-"), expected.astype(object).fillna("-"), check_dtype=False
        )


@pytest.mark.parametrize("shown", [True, False])
def test_scoring_leaves_the_progress_bars_of_others_as_they_were(recordings, release, tmp_path, monkeypatch, shown):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        load_scorer.cache_clear()
        paraclap.score(recordings / USABLE[0], "calm,loud", model=str(release))
        assert logging.is_progress_bar_enabled() == shown
    finally:
        logging.enable_progress_bar()


def test_without_output_csv_goes_to_a_pipe_and_lines_to_a_terminal(run, recordings, monkeypatch):
    result = run("score", recordings / "voice0.wav", "--labels", "angry,déçu")
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert float(row["label.angry"]) + float(row["label.déçu"]) == pytest.approx(1, abs=1e-4)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("paraclap.command.shown.is_terminal", lambda: True)
    lines = run("score", recordings, "--question", "gender", status=1).stdout.splitlines()
    assert "  gender  " in lines[-1]
    answers = [line for line in lines if line.startswith("  gender")]
    assert len(answers) == len(USABLE)
    assert all(len(line) <= 60 for line in answers)


def test_every_way_to_name_recordings(run, recordings, tmp_path, heard):
    wanted = str(recordings / "voice0.wav")
    (tmp_path / "unnamed").write_bytes((recordings / "voice0.wav").read_bytes())
    for arguments, stdin, count in (
        ([wanted, wanted], None, 1),
        ([recordings / "voice*.wav"], None, 1),
        ([recordings / "**" / "voice*"], None, 3),
        ([tmp_path / "unnamed"], None, 1),  # named on its own, a file may have any name
        (["-"], f"{wanted}\n\n{recordings / 'deeper'}\n", 3),
        (["-"], f"{wanted}\0{recordings / 'deeper' / 'voice1.flac'}\0", 2),
    ):
        heard.clear()
        run("score", *arguments, "--labels", "a,b", stdin=stdin)
        assert len(heard) == count, arguments


def test_a_name_that_is_not_utf8_and_one_that_is_missing_cost_their_rows(run, recordings, tmp_path):
    odd = os.fsdecode(b"caf\xe9.wav")
    (tmp_path / odd).write_bytes((recordings / "voice0.wav").read_bytes())
    result = run("score", tmp_path / odd, tmp_path / "gone.wav", "--labels", "a,b", "-o", tmp_path / "o.csv", status=1)
    table = pd.read_csv(tmp_path / "o.csv")
    assert table["file"].tolist() == [str(tmp_path / "caf\\xe9.wav"), str(tmp_path / "gone.wav")]
    assert table["reason"].isna().tolist() == [True, False]
    assert "does not exist" in result.stderr


def test_a_reason_names_the_file_as_its_row_does(run, tmp_path):
    name = tmp_path / os.fsdecode(b"caf\xe9.wav")
    name.write_text("this is no audio")
    run("score", name, "--labels", "a,b", "-o", tmp_path / "o.csv", status=1)
    (row,) = csv.DictReader((tmp_path / "o.csv").open(encoding="utf-8"))
    assert row["file"] in row["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing/*.wav"], "No file matches 'nothing/*.wav'"),
        (["{tmp}"], "There is no recording in '{tmp}'"),
        (["{file}", "--question", ""], "Unknown question ''"),
        (["{file}", "--question", "mood"], "Unknown question 'mood': expected one of emotion, gender"),
        (["{file}", "--labels", "angry"], "has the labels ['angry']; expected two or more"),
        (["{file}", "--labels", "angry,angry"], "has a label twice: angry, angry"),
        (["{file}", "--labels", "a,b", "--template", "speaker"], "'speaker' has no {}"),
        (["{file}", "--question", "pitch", "--template", "{}"], "A template applies to labels and"),
        (["{file}", "-o", "out.xlsx"], "expected a file name ending with .csv, .parquet, .json"),
        (["{file}", "--resume"], "need an output table: name it with --output"),
        (["{file}", "--labels", "angry,😀", "--model", "{release}"], "knows nothing of '😀'"),
        (["{file}", "--labels", "a,b", "--template", "{long}", "--model", "{release}"], "Shorten the label or"),
        (["{file}", "--model", "no/such/model/here"], "'no/such/model/here' is not a release folder"),
        (["{file}", "--questions", "{tmp}/none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, release, recordings, tmp_path, arguments, message):
    values = {"file": recordings / "voice0.wav", "tmp": tmp_path, "release": release, "long": "very " * 600 + "{}"}
    filled = [text.format(**values) if "{" in text and text != "{}" else text for text in arguments]
    result = run("score", *filled, status=2, model=False)
    assert message.replace("{tmp}", str(tmp_path)) in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_questions_of_ones_own_from_yaml(run, recordings, tmp_path):
    file = tmp_path / "mine.yaml"
    arousal = 'arousal:\n  labels:\n    excited: [is loud, is excited]\n    calm: is calm\n  template: "{}"\n'
    file.write_text(f"{arousal}mood: [good, bad]\n")
    run("score", recordings / "voice0.wav", "--questions", file, "-o", tmp_path / "out.json")
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert {"arousal", "arousal.excited", "arousal.calm", "mood", "mood.good", "mood.bad"} <= row.keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "does not map names to questions"),
        ("a: [yes, no]", "has the label True; expected text"),
        ("a: [x]", "has the labels ['x']; expected two or more"),
        ("a: {labels: [x, y], templates: z}", "has templates; expected labels and template"),
        ("a.b: [x, y]", "needs another name"),
        ("file: [x, y]", "needs another name"),
        ("a: {labels: {x: [], y: z}}", "the label 'x' has the phrases []"),
        ("a: [", "cannot be read"),
        ("a: [x, y]\na: [v, w]", "duplicate key 'a'"),
        ("a: {labels: {x: y, x: z}}", "duplicate key 'x'"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("- a\n- b", "does not map names to questions"),
        ("a: {template: '{}'}", "has the labels None"),
    ],
)
def test_a_file_of_questions_that_is_wrong(run, recordings, tmp_path, content, message):
    (tmp_path / "mine.yaml").write_text(content)
    result = run("score", recordings, "--questions", tmp_path / "mine.yaml", status=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_label_with_a_comma_stands_in_quotes(run, recordings):
    result = run("score", recordings / "voice0.wav", "--labels", 'angry, "calm, but loud" ,sad')
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert [name for name in row if "." in name] == ["label.angry", "label.calm, but loud", "label.sad"]


def test_an_interrupted_run_goes_on_without_doing_a_file_twice(run, recordings, heard, tmp_path, monkeypatch):
    output, load, limit = tmp_path / "out.csv", Loader.__call__, 3

    def interrupted(self, audio, *arguments, **options):
        if len(heard) == limit:
            raise KeyboardInterrupt
        return load(self, audio, *arguments, **options)

    options = [recordings, "--labels", "angry,calm", "-o", output, "--jobs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(Loader, "__call__", interrupted)
        result = run("score", *options, status=130)
    assert "--resume" in result.stderr
    assert not output.exists()
    first = list(heard)
    result = run("score", *options, status=2)
    assert "Continue it with --resume, or start over with --no-resume" in result.stderr
    journal = output.with_name("out.csv.journal")
    with journal.open("ab") as stream:
        stream.write(b'{"key": ["cut sho')  # what a kill while writing leaves
    heard.clear()
    run("score", *options, "--resume", status=1)
    assert sorted(first + heard) == sorted(str(recordings / name) for name in NAMES)
    whole = output.read_bytes()
    heard.clear()
    run("score", *options, "--resume", status=1)
    assert heard == []
    run("score", *options, "--no-resume", status=1)
    assert len(heard) == len(NAMES)
    assert output.read_bytes() == whole


def test_resume_takes_what_has_changed_again_and_refuses_other_settings(run, tmp_path, heard):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", tone(0.5), 16000)
    options = [tmp_path, "-o", tmp_path / "out.csv"]
    run("score", *options, "--labels", "angry,calm")
    soundfile.write(tmp_path / "b.wav", tone(0.6), 16000)
    soundfile.write(tmp_path / "c.wav", tone(0.5), 16000)
    heard.clear()
    run("score", *options, "--labels", "angry,calm", "--resume")
    assert sorted(heard) == [str(tmp_path / "b.wav"), str(tmp_path / "c.wav")]
    assert pd.read_csv(tmp_path / "out.csv")["file"].tolist() == [str(tmp_path / f"{name}.wav") for name in "abc"]
    result = run("score", *options, "--labels", "angry,sad", "--resume", status=2)
    assert "belongs to a run with another questions" in result.stderr


def test_what_may_come_right_by_itself_is_tried_again(run, recordings, heard, tmp_path, monkeypatch):
    from modeling_paraclap import clips_paraclap
    from modeling_paraclap.waveform_paraclap import AudioError

    def unreadable(*arguments):
        raise AudioError("The file is on a share that is away.") from OSError("away")

    options = [recordings / "voice0.wav", "--labels", "a,b", "-o", tmp_path / "out.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(clips_paraclap, "stream_input", unreadable)
        run("score", *options, status=1)
    run("score", *options, "--resume")
    assert pd.read_csv(tmp_path / "out.csv")["reason"].isna().all()


def test_two_runs_do_not_write_one_output(run, recordings, tmp_path):
    from paraclap.command.journal import hold

    with hold(tmp_path / "out.csv.journal"):
        result = run("score", recordings, "--labels", "a,b", "-o", tmp_path / "out.csv", status=2)
    assert "Another run is writing" in result.stderr
    run("score", recordings, "--labels", "a,b", "-o", tmp_path / "out.csv", status=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.csv.journal"]


def test_cells_that_a_spreadsheet_would_compute_are_text(run, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.wav", "@SUM(A1).wav"):
        (tmp_path / name).write_bytes((recordings / "voice0.wav").read_bytes())
    run("score", "=1+1.wav", "@SUM(A1).wav", "--labels", "=2+2,b", "--template", "{}", "-o", "out.csv")
    header, *rows = csv.reader((tmp_path / "out.csv").open(encoding="utf-8"))
    assert [row[0] for row in rows] == ["'=1+1.wav", "'@SUM(A1).wav"]
    assert {row[1] for row in rows} <= {"'=2+2", "b"}


def test_a_killed_process_goes_on(run, release, recordings, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(300):
        os.link(recordings / "voice0.wav", many / f"{number:03}.wav")
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "paraclap", "score", str(many), "--labels", "angry,calm", "--model", str(release)]
    command += ["-o", str(output), "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / "out.csv.journal"
    while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < 20):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    done = journal.read_bytes().count(b"\n") - 1
    assert 19 <= done < 300
    run("score", many, "--labels", "angry,calm", "-o", output, "--resume")
    lines = journal.read_text(encoding="ascii").splitlines()
    files = [json.loads(line)["key"][0] for line in lines[1:-1]]
    assert len(files) == len(set(files)) == 300
    assert len(pd.read_csv(output)) == 300
