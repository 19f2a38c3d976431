"""The page's work without a browser: its limits, what it reads, what it answers, and the scores over time."""

import base64
import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.audio import encoded, tone
from PIL import Image

from paraclap.page.asking import Asking
from paraclap.page.heat_map import draw_over_time
from paraclap.page.limits import Limits, PageError
from paraclap.page.smoothing import Envelope
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def asking(release):
    """The page's work with the small model and short limits."""
    return Asking(str(release), Limits(seconds=20, files=4, queries=5, characters=30))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    talk = synthesise(VOICES[1], 4)
    soundfile.write(folder / "short.wav", talk, SAMPLING_RATE)
    soundfile.write(folder / "long.flac", np.concatenate([talk, 0 * talk, talk]), SAMPLING_RATE)
    (folder / "text.wav").write_text("this is no audio")
    return folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("angry", "Enter two or more queries"),
        ("angry,, angry ,", "Enter two or more queries"),
        ("a,b,c,d,e,f", "6 queries are too many: expected 2 to 5 queries of up to 30 characters."),
        (f"a, {'b' * 31}", "“bbbbbbbbbbbbbbbbbbbb…” has 31 characters"),
        ("a," * 100_000, "200000 characters are too many"),
        (None, "Enter two or more queries"),
    ],
)
def test_queries_beyond_the_limits_are_refused_before_anything_is_loaded(text, message):
    asking = Asking("no/such/model", Limits(queries=5, characters=30))
    for call in (lambda: asking.score("file.wav", text), lambda: asking.score_batch(["file.wav"], text)):
        with pytest.raises(PageError, match=re.escape(message)):
            call()


def test_queries_are_asked_as_they_stand(asking, pipe, recordings):
    scores, sentence, over_time = asking.score(str(recordings / "short.wav"), "speaks very quickly\n <i>calm</i>")
    expected = pipe(
        str(recordings / "short.wav"), candidate_labels=["speaks very quickly", "<i>calm</i>"], hypothesis_template="{}"
    )
    assert scores == {entry["label"]: pytest.approx(entry["score"], abs=1e-6) for entry in expected}
    assert over_time is None
    assert "<i>" not in sentence


def test_the_built_in_questions_are_whole_queries():
    pytest.importorskip("gradio")
    from paraclap.page.layout import PRESETS

    assert PRESETS["emotion"].startswith("speaker is angry, speaker is happy, ")
    for text in PRESETS.values():
        assert Limits().read_queries(text)


def test_a_long_recording_is_shown_over_time_for_any_queries(asking, recordings):
    for queries in ("speaker is angry, speaker is calm", "is loud, is quiet, is so-so"):
        _, _, over_time = asking.score(str(recordings / "long.flac"), queries)
        assert [query in over_time for query in queries.split(", ")] == [True] * len(queries.split(", "))
        bands = re.findall(r'<img class="band" alt="([^"]*)" src="data:image/png;base64,([^"]*)"', over_time)
        assert len(bands) == len(queries.split(", "))
        pixels = [np.array(Image.open(io.BytesIO(base64.b64decode(data)))) for _, data in bands]
        heard = pixels[0][0, :, 3] > 0
        times = (np.arange(len(heard)) + 0.5) / len(heard) * 12
        assert heard[(times < 4) | (times > 8)].all()
        assert not heard[(times > 4.5) & (times < 7.5)].any(), "silence is blank"
        best = np.stack([(band[-1] == (255, 0, 0, 255)).all(axis=1) for band in pixels])
        assert (best.sum(axis=0) == heard).all(), "one query is the best wherever there is sound"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "Record or upload speech first"),
        ("text.wav", "text.wav"),
        ("gone.wav", "does not exist"),
        ("silent.wav", "silent"),
        ("too_long.wav", "too_long.wav is too long: recordings can be up to 20 s and 20 MB."),
    ],
)
def test_what_cannot_be_used_is_said_without_the_servers_folders(asking, recordings, name, message):
    soundfile.write(recordings / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(recordings / "too_long.wav", tone(21), 16000)
    with pytest.raises(PageError, match=message) as raised:
        asking.score(name and str(recordings / name), "angry, calm")
    assert str(recordings) not in str(raised.value)


def test_reading_stops_at_the_limit_whatever_the_header_says(asking, tmp_path, monkeypatch):
    taken = []

    def endless(*arguments):
        while True:
            taken.append(1)
            yield tone(10)

    monkeypatch.setattr(asking.loader, "stream_input", endless)
    with pytest.raises(PageError, match="too long"):
        asking.read(str(tmp_path / "liar.wav"))
    assert len(taken) == 3


def test_flac_without_a_length_is_read(asking, tmp_path):
    content = bytearray(encoded(tone(2), container="FLAC"))
    content[21] &= 0xF0  # the stream's number of samples: 36 bits, of which 0 means that nobody knows
    content[22:26] = bytes(4)
    (tmp_path / "piped.flac").write_bytes(content)
    waveform, envelope = asking.read(str(tmp_path / "piped.flac"))
    assert len(waveform) == 32000
    assert envelope.duration == 2


def test_a_batch_has_a_row_for_each_and_a_file_without_formulas(asking, recordings, tmp_path):
    evil = tmp_path / "=1+1.wav"
    evil.write_bytes((recordings / "short.wav").read_bytes())
    rows, output = asking.score_batch([str(evil), str(recordings / "text.wav")], "=2+2, calm")
    assert [row[0] for row in rows] == ["=1+1.wav", "text.wav"]
    assert rows[1][1].startswith("Not used: ")
    table = list(csv.reader(output.open(encoding="utf-8")))
    assert table[0] == ["file", "best", "'=2+2", "calm", "problem"]
    assert table[1][0] == "'=1+1.wav"
    assert float(table[1][2]) + float(table[1][3]) == pytest.approx(1, abs=1e-3)
    with pytest.raises(PageError, match="5 files are too many: up to 4 at a time"):
        asking.score_batch(["a"] * 5, "a, b")


def test_the_picture_escapes_queries_and_takes_one_window():
    envelope = Envelope(1000)
    list(envelope.watch([np.ones(500, np.float32)]))
    drawn = draw_over_time(['<img src=x onerror="alert(1)">'], np.array([0.25]), np.array([[1.0]]), envelope, (3, 1, 3))
    assert "<img src=x" not in drawn
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in drawn


def test_the_page_runs_without_the_package(tmp_path):
    """As on a Space: app.py and the folder beside it, and no `paraclap` to import."""
    pytest.importorskip("gradio")
    (tmp_path / "paraclap_page").mkdir()
    for file in (ROOT / "paraclap" / "page").glob("*.py"):
        (tmp_path / "paraclap_page" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "app.py").write_bytes((ROOT / "space" / "app.py").read_bytes())
    code = (
        "import sys; sys.modules['paraclap'] = sys.modules['modeling_paraclap'] = None; sys.path.insert(0, '.');"
        "import app; from paraclap_page.layout import build_app; build_app('no/model'); print(app.main.__module__)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert result.stdout.strip() == "paraclap_page.app", result.stderr
