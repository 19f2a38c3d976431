"""What the tests of evaluation share."""

import pytest
import soundfile

from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise


@pytest.fixture(scope="session")
def ravdess(tmp_path_factory):
    """A folder laid out as RAVDESS: 8 emotions of 2 actors in babble, and three files that cannot be read."""
    root = tmp_path_factory.mktemp("ravdess")
    for actor in (1, 2):
        folder = root / f"Actor_{actor:02}"
        folder.mkdir()
        for emotion in range(1, 9):
            file = folder / f"03-01-{emotion:02}-01-01-01-{actor:02}.wav"
            soundfile.write(file, synthesise(VOICES[emotion % 4], 0.6, seed=actor), SAMPLING_RATE)
    whole = (root / "Actor_01" / "03-01-01-01-01-01-01.wav").read_bytes()
    (root / "Actor_01" / "03-01-02-01-02-01-01.wav").write_bytes(whole[: len(whole) // 2])
    (root / "Actor_01" / "03-01-03-01-02-01-01.wav").write_text("not audio at all, whatever the name says\n")
    (root / "Actor_01" / "03-01-04-01-02-01-01.wav").write_bytes(b"")
    return root
