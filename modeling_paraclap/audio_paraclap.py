"""The one audio loader of the project: encoded audio in, mono float32 samples out.

wav, flac, ogg, opus, mp3, m4a, webm, aiff and others, and the sound of videos, told apart by their content. Everything
is read block by block, so a recording of hours costs no more memory than its mono samples at the rate asked for, and
`stream_audio` not even those. What one input may cost is bounded, see `limits_paraclap`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .decode_paraclap import Sound, open_sound
from .limits_paraclap import advice, limit
from .resample_paraclap import part_to_read, resample_blocks, resampled_length
from .source_paraclap import name_of, open_source
from .waveform_paraclap import AudioError, check_waveform, to_mono

__all__ = [
    "AudioError",
    "check_waveform",
    "load_audio",
    "load_crop",
    "name_of",
    "read_audio",
    "stream_audio",
    "to_mono",
]

AUDIO_S, STREAM_S, DECODED_MB = "PARACLAP_MAX_AUDIO_S", "PARACLAP_MAX_STREAM_S", "PARACLAP_MAX_DECODED_MB"
# A recording of unknown length is read twice for a crop if it is longer than so many samples (64 MB).
CROP_SAMPLES = 2**24


def read_audio(source: Any) -> tuple[np.ndarray, int]:
    """Decode a file at its own sampling rate with all its channels.

    Args:
        source: A path, `bytes` or a binary file object, which is read from its start.

    Returns:
        The float32 samples, nominally in [-1, 1], of shape (samples,), or (samples, channels) if there is more than one
        channel, and the sampling rate in Hz.

    Raises:
        AudioError: If the source is missing, unreadable, truncated, empty, longer than `PARACLAP_MAX_AUDIO_S` or
            `PARACLAP_MAX_DECODED_MB` allow, or holds samples that are NaN, infinite or above 100.
    """
    with open_source(source) as opened, open_sound(opened) as sound:
        waveform = joined(_few_blocks(sound), sound.frames or 0)
        return (waveform[:, 0] if waveform.shape[1] == 1 else waveform), sound.rate


def load_audio(source: Any, sampling_rate: int = 16000, max_seconds: float | None = None) -> np.ndarray:
    """Decode a file to mono samples at one rate.

    Args:
        source: A path, `bytes` or a binary file object, which is read from its start.
        sampling_rate: The rate of the result in Hz.
        max_seconds: Length from which on a recording is refused; `PARACLAP_MAX_AUDIO_S` without it.

    Returns:
        float32 array of shape (samples,): the mean of the channels.

    Raises:
        AudioError: As `read_audio`.
        ImportError: If soundfile, av or soxr is missing and needed.
    """
    with open_source(source) as opened, open_sound(opened) as sound:
        expected = resampled_length(sound.frames or 0, sound.rate, sampling_rate)
        return joined(_mono(sound, sampling_rate, AUDIO_S, max_seconds), expected)


def stream_audio(source: Any, sampling_rate: int = 16000, max_seconds: float | None = None) -> Iterator[np.ndarray]:
    """Decode a file block by block; the blocks, put together, are what `load_audio` returns.

    Args:
        source: A path, `bytes` or a binary file object, which is read from its start.
        sampling_rate: The rate of the blocks in Hz.
        max_seconds: Length from which on a recording is refused; `PARACLAP_MAX_STREAM_S` without it.

    Yields:
        float32 arrays of shape (samples,), of a few megabytes at most.

    Raises:
        AudioError: As `read_audio`; an error further on in the file is raised when that block is reached.
    """
    with open_source(source) as opened, open_sound(opened) as sound:
        yield from _mono(sound, sampling_rate, STREAM_S, max_seconds)


def load_crop(source: Any, samples: int, rng: np.random.Generator, sampling_rate: int = 16000) -> np.ndarray:
    """Decode a random part of a file, and of a file that says how long it is nothing else.

    The part is the one that `load_audio` and a cut at `rng.integers(length - samples + 1)` give. Formats that can only
    be read from their start are decoded up to the part's end, and those that do not say their length to their own.

    Args:
        source: A path, `bytes` or a binary file object.
        samples: Length of the part at the new rate; a shorter file is returned as it is and draws nothing.
        rng: Draws where the part starts.
        sampling_rate: The rate of the result in Hz.

    Returns:
        float32 array of shape (samples,): the mean of the channels.

    Raises:
        AudioError: As `read_audio`, for the part that is read, and if the recording is longer than
            `PARACLAP_MAX_STREAM_S` allows.
    """
    with open_source(source) as opened:
        with open_sound(opened) as sound:
            if sound.frames is not None:
                short_enough(sound.seconds, STREAM_S, None, opened.title)
                length = resampled_length(sound.frames, sound.rate, sampling_rate)
                start = _draw(length, samples, rng)
                return _part(sound, start, min(samples, length), sampling_rate)
            kept, length = _kept_and_counted(_mono(sound, sampling_rate, STREAM_S))
        start = _draw(length, samples, rng)
        if kept is not None:
            return joined(kept)[start : start + samples]
        with open_sound(opened) as sound:  # once more from the beginning
            return joined(_between(_mono(sound, sampling_rate, STREAM_S), start, start + samples))


def joined(blocks: Iterable[np.ndarray], expected: int = 0) -> np.ndarray:
    """Put float32 blocks together along their first axis, in little more memory than the result.

    Args:
        blocks: Arrays of one shape but for their first axis.
        expected: The length of the result, if it is known; a wrong one costs time alone.
    """
    whole, length, own = np.zeros(0, np.float32), 0, False
    for block in blocks:
        needed = length + len(block)
        if not length:
            whole = block
        elif needed > len(whole):
            whole = whole if own else whole.copy()  # the first block may be a view of somebody's array
            own = True
            size = expected if expected >= needed else needed + length // 4
            whole.resize((size, *block.shape[1:]), refcheck=False)
        if length:
            whole[length:needed] = block
        length = needed
    return whole[:length]


def short_enough(seconds: float, name: str, max_seconds: float | None, title: str) -> None:
    """Raise AudioError for audio that is longer than `max_seconds`, or without it the limit of that name, allows."""
    if seconds > (limit(name) if max_seconds is None else max_seconds):
        remedy = advice(name) if max_seconds is None else f"the limit is {max_seconds:g} s here."
        raise AudioError(f"{title} is too long ({seconds:.0f} s or more): {remedy}")


def _mono(sound: Sound, sampling_rate: int, name: str, max_seconds: float | None = None) -> Iterator[np.ndarray]:
    """Yield mono blocks (samples,) at a rate, of a recording within `max_seconds` or the limit of that name."""
    blocks = (to_mono(block) for block in _short_blocks(sound, name, max_seconds))
    return resample_blocks(blocks, sound.rate, sampling_rate)


def _short_blocks(sound: Sound, name: str, max_seconds: float | None = None) -> Iterator[np.ndarray]:
    """Yield blocks (samples, channels), as long as they are within the limit."""
    short_enough(sound.seconds, name, max_seconds, sound.source.title)
    position = 0
    for block in sound.blocks():
        position += len(block)
        short_enough(position / sound.rate, name, max_seconds, sound.source.title)
        yield block


def _few_blocks(sound: Sound) -> Iterator[np.ndarray]:
    """Yield blocks (samples, channels) of a recording that can be held whole."""
    most, total = limit(DECODED_MB) * 1e6, 0
    for block in _short_blocks(sound, AUDIO_S):
        total += block.nbytes
        if max(total, 4 * (sound.frames or 0) * sound.channels) > most:
            raise AudioError(f"{sound.source.title} is too long to be held with all its samples: {advice(DECODED_MB)}")
        yield block


def _draw(length: int, samples: int, rng: np.random.Generator) -> int:
    return int(rng.integers(length - samples + 1)) if length > samples else 0


def _part(sound: Sound, start: int, samples: int, sampling_rate: int) -> np.ndarray:
    first, last, offset = part_to_read(start, samples, sound.rate, sampling_rate)
    blocks = (to_mono(block) for block in sound.part(first, min(last, sound.frames)))
    return joined(resample_blocks(blocks, sound.rate, sampling_rate))[offset : offset + samples]


def _kept_and_counted(blocks: Iterable[np.ndarray]) -> tuple[list[np.ndarray] | None, int]:
    """Return the blocks, or None if they are too long to be kept, and the number of samples."""
    kept: list[np.ndarray] | None = []
    length = 0
    for block in blocks:
        length += len(block)
        kept = kept + [block] if kept is not None and length <= CROP_SAMPLES else None
    return kept, length


def _between(blocks: Iterable[np.ndarray], first: int, last: int) -> Iterator[np.ndarray]:
    """Yield samples `first` to `last` of consecutive blocks, without reading past the block of `last`."""
    position = 0
    for block in blocks:
        yield block[max(0, first - position) : max(0, last - position)]
        position += len(block)
        if position >= last:
            return
