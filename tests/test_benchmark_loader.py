"""The loader's benchmark runs, and its numbers are those of what it says it measures."""

import sys
from functools import partial

import numpy as np
import pytest

from benchmarks import loader
from modeling_paraclap.audio_paraclap import load_audio


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_table_has_every_file_and_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(loader, "memory_mb", lambda call: call() or 12.3)
    found = loader.main(
        ["--minutes", "0.02", "--repeats", "1", "--rates", "24414", "96001", "--formats", "flac", "opus", "m4a"]
    )
    assert set(found) == {
        *(("wav", rate) for rate in (24414, 96001)),
        *(("flac", 44100), ("opus", 48000), ("m4a", 44100), ("short", 24414)),
    }
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 8
    for (name, _), row in found.items():
        assert (row["ratio"] is None) == (name == "m4a")
        assert row["load_s"] > 0


def test_files_are_what_they_are_called(tmp_path):
    waveform = loader.speechlike(1, 48000)
    for name, (container, codec, _) in loader.FORMATS.items():
        path = tmp_path / "file"
        loader.write(path, waveform, 48000, container, codec)
        assert abs(len(load_audio(path)) - 16000) < 1500, name


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_what_a_call_holds_at_most():
    assert 60 < loader.memory_mb(partial(np.ones, 10**7)) < 120
    assert loader.memory_mb(int) < 5
