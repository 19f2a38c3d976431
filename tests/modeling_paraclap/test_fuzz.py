"""Thousands of damaged files, the same at each run: each is audio or one AudioError, in 2 CPU seconds and 500 MB.

More of them, without end: `cd tests && python -m helpers.fuzzing 1000 5000`, which begins at seed 1000.
"""

import sys

import pytest
from helpers.fuzzing import mutations, read_apart, seeds

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
