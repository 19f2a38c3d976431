"""Reduce waveforms and scores over time to the resolution of a picture: envelopes and smoothing."""

from collections.abc import Iterable, Iterator

import numpy as np

STEP_S = 0.02  # resolution of the envelope


class Envelope:
    """Minimum, maximum and power of a waveform in steps of 20 ms, collected while its blocks are read.

    Args:
        sampling_rate: Sampling rate of the blocks in Hz.
    """

    def __init__(self, sampling_rate: int):
        self.sampling_rate, self.samples = sampling_rate, 0
        self._step = max(1, round(STEP_S * sampling_rate))
        self._rest = np.zeros(0, np.float32)
        self._steps: list[np.ndarray] = []

    @property
    def duration(self) -> float:
        """Duration of the audio read so far, in s."""
        return self.samples / self.sampling_rate

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield mono blocks (samples,) unchanged, and collect their envelope."""
        for block in blocks:
            self.samples += len(block)
            whole = np.concatenate([self._rest, block])
            cut = len(whole) // self._step * self._step
            self._steps.append(_summary(whole[:cut].reshape(-1, self._step)))
            self._rest = whole[cut:].copy()
            yield block

    def extremes(self, edges: np.ndarray) -> np.ndarray:
        """Return minimum and maximum between consecutive edges in s, (edges - 1, 2)."""
        steps, first = self._between(edges)
        lowest = np.minimum.reduceat(steps[:, 0], first)
        return np.stack([lowest, np.maximum.reduceat(steps[:, 1], first)], axis=1)

    def levels(self, edges: np.ndarray) -> np.ndarray:
        """Return the root mean square between consecutive edges in s, (edges - 1,), in dB of full scale."""
        steps, first = self._between(edges)
        counts = np.diff(np.append(first, len(steps)))
        power = np.add.reduceat(steps[:, 2], first) / np.maximum(counts, 1)
        return 10 * np.log10(power + 1e-20)

    def _between(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all steps up to the last edge, and the first step of each interval; no interval is empty."""
        steps = [*self._steps, _summary(self._rest[None])] if len(self._rest) else self._steps
        steps = np.concatenate(steps) if steps else np.zeros((1, 3), np.float32)
        first = np.round(np.asarray(edges) * self.sampling_rate / self._step).astype(int)
        return steps[: max(1, first[-1])], np.clip(first[:-1], 0, max(0, min(first[-1], len(steps)) - 1))


def _summary(steps: np.ndarray) -> np.ndarray:
    """Return minimum, maximum and power of each row."""
    if not len(steps):
        return np.zeros((0, 3), np.float32)
    return np.stack([steps.min(1), steps.max(1), np.square(steps).mean(1)], axis=1)


def smooth(centres: np.ndarray, scores: np.ndarray, at: np.ndarray, seconds: float, reach: float) -> np.ndarray:
    """Average the scores of the windows around given moments.

    Args:
        centres: Centre of each window in s, (windows,), ascending; silent windows are left out.
        scores: (windows, labels).
        at: The moments in s, (moments,), ascending.
        seconds: Smoothing window in s, centred on the moment; if no window's centre is within, the nearest one counts.
        reach: Half the window length in s; a moment farther than this from every centre has no score.

    Returns:
        (moments, labels); NaN where there is no score.
    """
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    nearest = nearest_window(centres, at)
    first = np.minimum(np.searchsorted(centres, at - seconds / 2), nearest)
    last = np.maximum(np.searchsorted(centres, at + seconds / 2, side="right"), nearest + 1)
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    known = np.abs(centres[nearest] - at) <= reach + 1e-6
    return np.where(known[:, None], means, np.nan)


def nearest_window(centres: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the index of the window whose centre is nearest to each moment; the earlier one of ties."""
    right = np.clip(np.searchsorted(centres, at), 1, max(1, len(centres) - 1))
    right = np.minimum(right, len(centres) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(at - centres[left] <= centres[right] - at, left, right)


def default_smoothing(duration: float, window: float) -> float:
    """Return the default smoothing window in s: 1/200 of the recording, at least one window."""
    return max(window, duration / 200)


def clock(seconds: float, duration: float) -> str:
    """Format a moment of a recording, given its duration, both in s: 12.5, 1:05 or 0:01:05."""
    if duration < 60:
        return f"{seconds:.3g}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if duration < 3600 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def length_of(duration: float) -> str:
    """Format the duration of a recording, in s: 9.2 s, 1:05 min or 1:00:00 h."""
    return f"{clock(duration, duration)} {'s' if duration < 60 else 'min' if duration < 3600 else 'h'}"
