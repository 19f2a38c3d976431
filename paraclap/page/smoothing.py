"""Scores over time, made small enough to be looked at: smoothed, in columns, over the waveform's envelope."""

from collections.abc import Iterable, Iterator

import numpy as np

STEP_S = 0.02  # of the envelope: an hour takes 180,000 pairs


class Envelope:
    """The lowest and the highest sample, and the power, of every step of a waveform, gathered while its blocks go by.

    Args:
        sampling_rate: Of the blocks, in Hz.
    """

    def __init__(self, sampling_rate: int):
        self.sampling_rate, self.samples = sampling_rate, 0
        self._step = max(1, round(STEP_S * sampling_rate))
        self._rest = np.zeros(0, np.float32)
        self._steps: list[np.ndarray] = []

    @property
    def duration(self) -> float:
        """Seconds of audio that went by."""
        return self.samples / self.sampling_rate

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand mono blocks (samples,) on, and note their envelope."""
        for block in blocks:
            self.samples += len(block)
            whole = np.concatenate([self._rest, block])
            cut = len(whole) // self._step * self._step
            self._steps.append(_summary(whole[:cut].reshape(-1, self._step)))
            self._rest = whole[cut:].copy()
            yield block

    def extremes(self, edges: np.ndarray) -> np.ndarray:
        """Return the lowest and the highest sample between each two edges in s: (edges - 1, 2)."""
        steps, first = self._between(edges)
        lowest = np.minimum.reduceat(steps[:, 0], first)
        return np.stack([lowest, np.maximum.reduceat(steps[:, 1], first)], axis=1)

    def levels(self, edges: np.ndarray) -> np.ndarray:
        """Return the root mean square between each two edges in s, in dB below full scale: (edges - 1,)."""
        steps, first = self._between(edges)
        counts = np.diff(np.append(first, len(steps)))
        power = np.add.reduceat(steps[:, 2], first) / np.maximum(counts, 1)
        return 10 * np.log10(power + 1e-20)

    def _between(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All steps up to the last edge, and the number of the first of each interval; no interval is empty."""
        steps = [*self._steps, _summary(self._rest[None])] if len(self._rest) else self._steps
        steps = np.concatenate(steps) if steps else np.zeros((1, 3), np.float32)
        first = np.round(np.asarray(edges) * self.sampling_rate / self._step).astype(int)
        return steps[: max(1, first[-1])], np.clip(first[:-1], 0, max(0, min(first[-1], len(steps)) - 1))


def _summary(steps: np.ndarray) -> np.ndarray:
    """Lowest sample, highest sample and power of each row."""
    if not len(steps):
        return np.zeros((0, 3), np.float32)
    return np.stack([steps.min(1), steps.max(1), np.square(steps).mean(1)], axis=1)


def smooth(centres: np.ndarray, scores: np.ndarray, at: np.ndarray, seconds: float, reach: float) -> np.ndarray:
    """Return the mean score of the windows around each moment.

    Args:
        centres: The middle of each window in s, (windows,), ascending; windows that are silent are not among them.
        scores: (windows, labels).
        at: The moments in s, (moments,), ascending.
        seconds: Over which windows are averaged: from half of it before the moment to half of it after. Where that
            holds no window, the nearest one counts.
        reach: Half the length of a window in s: no score is known of a moment farther from the nearest middle.

    Returns:
        (moments, labels); NaN where no score is known.
    """
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    nearest = nearest_window(centres, at)
    first = np.minimum(np.searchsorted(centres, at - seconds / 2), nearest)
    last = np.maximum(np.searchsorted(centres, at + seconds / 2, side="right"), nearest + 1)
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    known = np.abs(centres[nearest] - at) <= reach + 1e-6
    return np.where(known[:, None], means, np.nan)


def nearest_window(centres: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the number of the window whose middle is nearest to each moment; of two, the earlier."""
    right = np.clip(np.searchsorted(centres, at), 1, max(1, len(centres) - 1))
    right = np.minimum(right, len(centres) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(at - centres[left] <= centres[right] - at, left, right)


def default_smoothing(duration: float, window: float) -> float:
    """Return the seconds to smooth over: a two-hundredth of the recording, and at least a window."""
    return max(window, duration / 200)


def clock(seconds: float, duration: float) -> str:
    """Return a moment of a recording of some duration, both in s: 12.5, 1:05 or 0:01:05."""
    if duration < 60:
        return f"{seconds:.3g}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if duration < 3600 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def length_of(duration: float) -> str:
    """Return the length of a recording, in s, with its unit: 9.2 s, 1:05 min or 1:00:00 h."""
    return f"{clock(duration, duration)} {'s' if duration < 60 else 'min' if duration < 3600 else 'h'}"
