"""Waveform augmentation that keeps the queries true.

A clip played faster has a higher pitch and a shorter duration, a clip turned up has a higher level. So each change
comes with what it does to the functionals, and the bins and queries are drawn from the changed ones.
"""

import math

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

LEVEL_FLOOR = 1e-10  # power of digital silence, so that its logarithm exists


def augment(waveform, functionals, rng, *, speed=0.0, gain=0.0, equaliser=0.0, noise=0.0):
    """Changes one utterance and its functionals at random.

    Args:
        waveform: (samples,), float32 in [-1, 1].
        functionals: Dict with any of pitch_mean (semitones from 27.5 Hz), pitch_std (its standard deviation over its
            mean), intensity (dB) and duration (s); values may be None.
        rng: `numpy.random.Generator`.
        speed: Largest change of the playback speed in semitones, drawn uniformly from both sides.
        gain: Largest change of the level in dB, drawn uniformly from both sides.
        equaliser: Standard deviation in dB of a random smooth frequency response (six bands).
        noise: Probability of white noise at 10 to 40 dB signal-to-noise ratio.

    Returns:
        The new waveform (float32) and a copy of the functionals that fits it.
    """
    level_before = _level(waveform)
    functionals = dict(functionals)
    if speed:
        shift = rng.uniform(-speed, speed)
        waveform = _play_at(waveform, 2 ** (shift / 12))
        _shift_functionals(functionals, shift)
    if equaliser:
        waveform = _equalise(waveform, rng.normal(0, equaliser, 6))
    if noise and rng.random() < noise:
        amplitude = waveform.std() * 10 ** (-rng.uniform(10, 40) / 20)
        waveform = waveform + amplitude * rng.standard_normal(len(waveform), dtype=np.float32)
    # The equaliser is meant to change the colour, not the level: gain alone does that, by a known amount.
    level = rng.uniform(-gain, gain) if gain else 0.0
    waveform = waveform * 10 ** ((level_before + level - _level(waveform)) / 20)
    if functionals.get("intensity") is not None:
        functionals["intensity"] += level
    return waveform.astype(np.float32), functionals


def _level(waveform):
    """Level in dB relative to full scale."""
    return 10 * math.log10(float(np.mean(np.square(waveform, dtype=np.float64))) + LEVEL_FLOOR)


def _play_at(waveform, rate):
    """The waveform played `rate` times as fast, by linear interpolation."""
    positions = np.arange(0, len(waveform) - 1, rate)
    return np.interp(positions, np.arange(len(waveform)), waveform).astype(np.float32)


def _shift_functionals(functionals, semitones):
    if functionals.get("pitch_mean") is not None:
        shifted = functionals["pitch_mean"] + semitones
        if functionals.get("pitch_std") is not None and shifted > 0:
            functionals["pitch_std"] *= functionals["pitch_mean"] / shifted
        functionals["pitch_mean"] = shifted
    if functionals.get("duration") is not None:
        functionals["duration"] /= 2 ** (semitones / 12)


def _equalise(waveform, band_gains):
    """Applies gains in dB at band centres that are spaced as the square of frequency, linear in between."""
    spectrum = rfft(waveform, next_fast_len(len(waveform), real=True))
    bands = np.linspace(0, 1, len(band_gains)) ** 2
    response = np.interp(np.linspace(0, 1, len(spectrum)), bands, band_gains)
    filtered = irfft(spectrum * (10 ** (response / 20)).astype(np.float32), next_fast_len(len(waveform), real=True))
    return filtered[: len(waveform)]
