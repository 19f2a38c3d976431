"""Long audio, window by window."""

from collections.abc import Iterable, Iterator

import numpy as np


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
