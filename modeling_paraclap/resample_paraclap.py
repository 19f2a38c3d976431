"""Change of the sampling rate, by soxr: streaming, and at the same cost for any pair of rates."""

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

# To either side, soxr's high-quality filter reaches less than so many samples of the lower of the two rates.
REACH = 256


def resample_blocks(blocks: Iterable[np.ndarray], orig: int, target: int) -> Iterator[np.ndarray]:
    """Resample consecutive blocks of one waveform as if they were in one piece.

    A waveform that is constant stays so: before and after it a filter sees zeros, and would make of digital silence
    with an offset something that begins and ends.

    Args:
        blocks: The waveform in float32 arrays of shape (samples,), in order.
        orig: Its sampling rate in Hz.
        target: The sampling rate wanted, in Hz.

    Yields:
        float32 arrays of shape (samples,) at the new rate; together `resampled_length` samples.

    Raises:
        ImportError: If soxr is missing and the rates differ.
    """
    if orig == target:
        yield from blocks
        return
    stream, blocks = _stream(orig, target), iter(blocks)
    constant, first_other = _constant_start(blocks)
    if first_other is None:
        yield from _constant_result(constant, orig, target)
        return
    for block in chain((np.full(length, value, np.float32) for length, value in constant), [first_other], blocks):
        resampled = stream.resample_chunk(block)
        if len(resampled):
            yield resampled
    rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(rest):
        yield rest


def _constant_start(blocks: Iterator[np.ndarray]) -> tuple[list[tuple[int, np.float32]], np.ndarray | None]:
    """Return length and value of the blocks that are all of one value, and the first block that is not."""
    constant: list[tuple[int, np.float32]] = []
    for block in blocks:
        if not len(block):
            continue
        value = constant[0][1] if constant else block[0]
        if (block != value).any():
            return constant, block
        constant.append((len(block), value))
    return constant, None


def _constant_result(constant: list[tuple[int, np.float32]], orig: int, target: int) -> Iterator[np.ndarray]:
    before = done = 0
    for length, value in constant:
        before += length
        rest = resampled_length(before, orig, target) - done
        if rest:
            yield np.full(rest, value, np.float32)
        done += rest


def resampled_length(samples: int, orig: int, target: int) -> int:
    """Return how many samples at the new rate `samples` samples become."""
    return samples if orig == target else (2 * samples * target + orig) // (2 * orig)


def part_to_read(start: int, samples: int, orig: int, target: int) -> tuple[int, int, int]:
    """Return what to resample in order to get a part of the result without the rest.

    Args:
        start: First sample of the part, at the new rate.
        samples: Its length at the new rate.
        orig: The old sampling rate in Hz.
        target: The new one.

    Returns:
        First and last sample (exclusive, and maybe beyond the end) at the old rate, which contain all that the filter
        sees, and where in their result the part begins.
    """
    if orig == target:
        return start, start + samples, 0
    # Cut where a sample of both rates coincides.
    divisor = math.gcd(orig, target)
    step, new_step = orig // divisor, target // divisor
    reach = REACH * max(orig, target) // target + 1
    first = max(0, start * orig // target - reach) // step * step
    last = (start + samples) * orig // target + reach
    return first, last, start - first // step * new_step


def _stream(orig: int, target: int) -> Any:
    try:
        import soxr
    except (ImportError, OSError) as error:
        raise ImportError(
            f"The audio has {orig} Hz and {target} Hz are needed: resampling needs soxr (`pip install soxr`). "
            f"Importing it failed: {error}"
        ) from error
    return soxr.ResampleStream(orig, target, 1, dtype="float32", quality="HQ")
