"""Thousands of damaged files, the same at each run: each is audio or one AudioError, in 2 CPU seconds and 500 MB.

More of them, without end: `cd tests && python -m helpers.fuzzing 1000 5000`, which begins at seed 1000.
"""

import sys

import av
import pytest
from helpers.audio import encoded_by_ffmpeg, tone
from helpers.fuzzing import mutations, read, read_apart, seeds

from modeling_paraclap.audio_paraclap import AudioError, load_audio

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
COUNT, PARTS = 1000, 4


@pytest.mark.parametrize("seed", range(PARTS))
def test_mutated_files_are_audio_or_one_error(seed, tmp_path):
    errors = read_apart(mutations(COUNT, seed), tmp_path)
    assert COUNT / 5 < errors < COUNT  # neither harmless, nor so broken that nothing is decoded


def test_the_files_that_are_mutated_are_whole(tmp_path):
    # All but the joined MP3, whose second half has another rate.
    assert read_apart([pair for pair in seeds().items() for _ in range(4)], tmp_path) == 4


def test_the_bounds_are_checked(tmp_path):
    flac = seeds()["flac"]
    for limits, message in [({"most_cpu_s": 0}, "CPU seconds"), ({"most_mb": -1}, "0 MB|MB")]:
        with pytest.raises(AssertionError, match=f"input 0, made of 'flac'.*{message}"):
            read_apart([("flac", flac)], tmp_path, **limits)
    assert (tmp_path / "input_0").read_bytes() == flac


def test_a_stream_that_no_header_announced_is_an_audio_error(tmp_path, monkeypatch):
    """PyAV raises an IndexError for its packets, which an FLV with a damaged tag brought forth."""
    name, content = mutations(4000, 109)[2352]
    assert name == "flv"
    for way in range(4):
        error = read(content, way, tmp_path)  # raises for anything but an AudioError
        assert error is None or "truncated or damaged" in str(error)

    class Unannounced:
        def __init__(self, container):
            self.container = container

        def __getattr__(self, attribute):
            return getattr(self.container, attribute)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.container.close()

        def demux(self, stream):
            for number, packet in enumerate(self.container.demux(stream)):
                if number == 20:
                    raise IndexError("list index out of range")
                yield packet

    open_as_ever = av.open
    monkeypatch.setattr(av, "open", lambda *arguments, **options: Unannounced(open_as_ever(*arguments, **options)))
    whole = encoded_by_ffmpeg(tone(1.0, 44100), 44100, "flv", "aac")
    with pytest.raises(AudioError, match=r"truncated or damaged: decoding stops after 0\.\d+ s \(list index"):
        load_audio(whole)
