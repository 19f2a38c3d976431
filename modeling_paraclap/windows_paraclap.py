"""Long audio, window by window."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .inputs_paraclap import stream_input


class LongAudio:
    """Audio that is still to be read.

    An object of our own, because transformers looks for tensors in dicts and lists to move them to the model's device.

    Args:
        source: Any form of audio that `stream_input` takes.
        target_rate: The rate to read it at, in Hz.
        sampling_rate: The rate of a bare array.
    """

    def __init__(self, source: Any, target_rate: int, sampling_rate: int | None = None):
        self.source, self.target_rate, self.sampling_rate = source, target_rate, sampling_rate

    def blocks(self) -> Iterator[np.ndarray]:
        """Return mono float32 blocks (samples,), read as they are consumed."""
        return stream_input(self.source, self.target_rate, self.sampling_rate)


def windows_of(blocks: Iterable[np.ndarray], length: int, stride: int, least: int) -> Iterator[tuple[int, np.ndarray]]:
    """Cut consecutive blocks into windows, holding no more than a block and a window.

    Args:
        blocks: The audio in order, in arrays of shape (samples,).
        length: Samples of a window.
        stride: Samples from the start of a window to that of the next, at most `length`.
        least: A rest shorter than this after the last full window is dropped; a longer one moves the last
            window back, so that all windows have the same length and the last ends with the audio.

    Yields:
        Start sample and samples (length,) of each window; of audio shorter than a window, all of it.
    """
    pending, offset = np.zeros(0, dtype=np.float32), 0  # `pending` begins at sample `offset`
    start = covered = 0
    for block in blocks:
        pending = np.concatenate([pending, block])
        while start + length <= offset + len(pending):
            yield start, pending[start - offset : start - offset + length]
            covered = start + length
            start += stride
        kept_from = max(offset, min(start, offset + len(pending) - length))
        pending, offset = pending[kept_from - offset :], kept_from
    total = offset + len(pending)
    if not covered or total - covered >= least:
        start = max(0, total - length)
        yield start, pending[start - offset :]
