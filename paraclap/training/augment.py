"""Waveform augmentation that keeps the queries valid.

A faster clip has a higher pitch and a shorter duration, an amplified one a higher level. Each change therefore also
updates the functionals, from which bins and queries are derived anew.
"""

import math
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from .arguments import AugmentationArguments

Functionals = dict[str, Any]  # name -> number, or a string for the gender; None if unknown

SAMPLING_RATE = 16000
LONGEST_SILENCE_S = 1.2
SHORTEST_PART_S = 1.0
GENDER_SHIFT = 2.0  # semitones beyond which the perceived gender may change
LEVEL_FLOOR = 1e-10  # power assumed for digital silence, whose logarithm is undefined


def augment(
    waveform: np.ndarray, functionals: Functionals, rng: np.random.Generator, options: AugmentationArguments
) -> tuple[np.ndarray, Functionals]:
    """Augment one utterance at random, and update its functionals.

    Equaliser, reverberation and noise preserve the level; only gain changes it, by a known amount.

    Args:
        waveform: (samples,), float32 in [-1, 1].
        functionals: Dict with any of pitch_mean (semitones from 27.5 Hz), pitch_std (its standard deviation over its
            mean), intensity (dB), duration (s) and gender; values may be None.
        rng: Random generator.
        options: Strengths and probabilities of the augmentations; 0 disables one.

    Returns:
        The new waveform (float32) and its functionals. The gender is None after a change of speed that may change the
        perceived gender.
    """
    functionals = dict(functionals)
    if options.part and rng.random() < options.part:
        waveform = _part_of(waveform, functionals, rng)
    level_before = _level(waveform)
    if options.speed:
        shift = rng.uniform(-options.speed, options.speed)
        if abs(shift) > GENDER_SHIFT and "gender" in functionals:
            functionals["gender"] = None
        waveform = _play_at(waveform, 2 ** (shift / 12))
        _shift_functionals(functionals, shift)
    if options.equaliser:
        waveform = _equalise(waveform, rng.normal(0, options.equaliser, 6))
    if options.reverb and rng.random() < options.reverb:
        waveform = _in_a_room(waveform, rng)
    if options.silence and rng.random() < options.silence:
        waveform, diluted = _between_silences(waveform, functionals, rng)
        level_before += diluted
    if options.noise and rng.random() < options.noise:
        amplitude = waveform.std() * 10 ** (-rng.uniform(5, 45) / 20)
        waveform = waveform + amplitude * _coloured_noise(len(waveform), rng)
    level = rng.uniform(-options.gain, options.gain) if options.gain else 0.0
    waveform = waveform * 10 ** ((level_before + level - _level(waveform)) / 20)
    if functionals.get("intensity") is not None:
        functionals["intensity"] += level
    return waveform.astype(np.float32), functionals


def _between_silences(
    waveform: np.ndarray, functionals: Functionals, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return the waveform with up to 1.2 s of silence before and after, and the change of its mean level in dB."""
    before, after = rng.integers(int(LONGEST_SILENCE_S * SAMPLING_RATE), size=2)
    diluted = 0.0
    if functionals.get("duration") is not None:
        functionals["duration"] += (before + after) / SAMPLING_RATE
    if functionals.get("intensity") is not None:
        diluted = 10 * math.log10(len(waveform) / (before + len(waveform) + after))
        functionals["intensity"] += diluted
    return np.pad(waveform, (before, after)), diluted


def _level(waveform: np.ndarray) -> float:
    """Return the level in dB relative to full scale."""
    return 10 * math.log10(float(np.mean(np.square(waveform, dtype=np.float64))) + LEVEL_FLOOR)


def _part_of(waveform: np.ndarray, functionals: Functionals, rng: np.random.Generator) -> np.ndarray:
    """Return an excerpt of random length (log-uniform, at least 1 s); the pitch variation is then unknown."""
    shortest = int(SHORTEST_PART_S * SAMPLING_RATE)
    if len(waveform) <= shortest:
        return waveform
    length = int(shortest * (len(waveform) / shortest) ** rng.random())
    start = int(rng.integers(len(waveform) - length + 1))
    kept = waveform[start : start + length]
    if functionals.get("duration") is not None:
        functionals["duration"] = length / SAMPLING_RATE
    if functionals.get("intensity") is not None:
        functionals["intensity"] += _level(kept) - _level(waveform)
    if "pitch_std" in functionals:
        functionals["pitch_std"] = None
    return kept


def _play_at(waveform: np.ndarray, rate: float) -> np.ndarray:
    """Return the waveform played `rate` times as fast, by linear interpolation."""
    positions = np.arange(0, len(waveform) - 1, rate)
    return np.interp(positions, np.arange(len(waveform)), waveform).astype(np.float32)


def _shift_functionals(functionals: Functionals, semitones: float) -> None:
    if functionals.get("pitch_mean") is not None:
        shifted = functionals["pitch_mean"] + semitones
        if functionals.get("pitch_std") is not None and shifted > 0:
            functionals["pitch_std"] *= functionals["pitch_mean"] / shifted
        functionals["pitch_mean"] = shifted
    if functionals.get("duration") is not None:
        functionals["duration"] /= 2 ** (semitones / 12)


def _equalise(waveform: np.ndarray, band_gains: np.ndarray) -> np.ndarray:
    """Apply gains in dB at band centres spaced by the square of frequency, interpolated linearly."""
    spectrum = rfft(waveform, next_fast_len(len(waveform), real=True))
    bands = np.linspace(0, 1, len(band_gains)) ** 2
    response = np.interp(np.linspace(0, 1, len(spectrum)), bands, band_gains)
    filtered = irfft(spectrum * (10 ** (response / 20)).astype(np.float32), next_fast_len(len(waveform), real=True))
    return filtered[: len(waveform)]


def _in_a_room(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add decaying noise with a reverberation time of 0.1 to 0.8 s, 3 to 20 dB below the direct sound."""
    seconds = rng.uniform(0.1, 0.8)
    tail = rng.standard_normal(int(seconds * SAMPLING_RATE), dtype=np.float32)
    tail *= np.exp(np.linspace(0, -math.log(1000), len(tail), dtype=np.float32))
    tail *= 10 ** (-rng.uniform(3, 20) / 20) / np.linalg.norm(tail)
    size = next_fast_len(len(waveform) + len(tail), real=True)
    return waveform + irfft(rfft(waveform, size) * rfft(tail, size), size)[: len(waveform)]


def _coloured_noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of unit standard deviation whose spectrum falls by 0 (white) to 6 dB (brown) per octave."""
    size = next_fast_len(samples, real=True)
    spectrum = rfft(rng.standard_normal(size, dtype=np.float32))
    spectrum[1:] *= np.arange(1, len(spectrum), dtype=np.float32) ** -rng.uniform(0, 1)
    noise = irfft(spectrum, size)[:samples]
    return noise / noise.std()
