"""What the tests of the command share: recordings, and the command called in this process."""

import pytest
import soundfile
from helpers.audio import tone
from typer.testing import CliRunner

from paraclap import cli
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Six recordings in two folders and formats, of which one is no audio and one is silent."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "deeper" / "still").mkdir(parents=True)
    for number, (place, suffix) in enumerate((("", ".wav"), ("deeper/", ".flac"), ("deeper/still/", ".WAV"))):
        file = folder / f"{place}voice{number}{suffix}"
        soundfile.write(file, synthesise(VOICES[number], 0.7 + 0.1 * number), SAMPLING_RATE, format=suffix[1:].upper())
    soundfile.write(folder / "tone, =1+1.wav", tone(0.5), 16000)
    (folder / "broken.wav").write_text("this is no audio")
    soundfile.write(folder / "silent.wav", 0 * tone(0.5), 16000)
    (folder / "notes.txt").write_text("not named, not looked at")
    (folder / ".hidden.wav").write_text("likewise")
    return folder


@pytest.fixture
def run(tiny_release, release, tmp_path, monkeypatch):
    """Call the command in this process, with the small model and an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(name, *arguments, status=0, stdin=None, model=True):
        options = ["--model", str(release), "--jobs", "2"] if model else []
        result = CliRunner().invoke(cli.app, [name, *map(str, arguments), *options], input=stdin)
        assert result.exit_code == status, result.output + repr(result.exception)
        return result

    return call
