"""Samples in memory: scaled to [-1, 1], averaged over channels, and checked for what no model can describe."""

import re
from typing import Any

import numpy as np

# Floats are nominally in [-1, 1]; beyond this they are integers that were cast without scaling, or garbage.
LARGEST_SAMPLE = 100.0
# Half a step of 16 bits: less is what a decoder makes of digital silence, not a quiet room.
SILENCE = 2.0**-16


class AudioError(ValueError):
    """Audio that cannot be used: missing, not audio, truncated, empty, silent, too short, or beyond a limit."""


class NoAudioError(AudioError, TypeError):
    """What is no audio at all, such as a number."""


def check_waveform(
    waveform: np.ndarray, sampling_rate: int, least_samples: int = 1, name: str = "The audio", silence: bool = False
) -> None:
    """Raise the reason why a waveform cannot be described, if there is one.

    Every path from audio to a score, an embedding, a label or a training example calls this, so that all of them accept
    the same audio.

    Args:
        waveform: float samples of shape (samples,), or (samples, channels), whose mean is checked.
        sampling_rate: Their rate in Hz.
        least_samples: Samples that the audio encoder needs for its first frame.
        name: Name of the audio in error messages, where it starts the sentence.
        silence: Whether digital silence is accepted, as in one window of a longer recording.

    Raises:
        AudioError: If the waveform is empty, shorter than `least_samples`, silent, or holds samples that are NaN,
            infinite or above `LARGEST_SAMPLE`.
    """
    reason = why_unusable(waveform, sampling_rate, least_samples, silence)
    if reason is not None:
        raise AudioError(f"{name} {reason}")


def why_unusable(waveform: np.ndarray, sampling_rate: int, least_samples: int = 1, silence: bool = False) -> str | None:
    """Return what `check_waveform` would raise, without the name in front; None for audio that can be used."""
    if not len(waveform):
        return "is empty: it has no samples. Leave it out."
    reason = _why_out_of_range(waveform)
    if reason is not None:
        return reason
    waveform = to_mono(waveform)
    if len(waveform) < least_samples:
        return (
            f"is too short: {len(waveform)} samples at {sampling_rate} Hz ({len(waveform) / sampling_rate:.4f} s). "
            f"The audio encoder needs {least_samples} ({least_samples / sampling_rate:.4f} s), and a word takes about "
            "half a second. Leave it out."
        )
    if not silence and is_silent(waveform):
        return (
            "is silent: all samples are the same. There is no speech to describe; check the recording and its "
            "channels (two that cancel each other leave nothing), or leave it out."
        )
    return None


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether all samples are the same: digital silence, not merely a quiet room."""
    return not len(waveform) or bool(np.ptp(waveform) < SILENCE)


def scale_samples(samples: np.ndarray, name: str = "The audio") -> np.ndarray:
    """Convert samples to float32 in [-1, 1]; integers are scaled by their type's range, as in a WAV file.

    Args:
        samples: Floats, or integers of 8, 16 or 32 bits, in any byte order and of any shape.
        name: Name of the audio in error messages, where it starts the sentence.

    Returns:
        float32 array of the same shape; the same array if it is float32 already.

    Raises:
        AudioError: If the type has no known scale (64-bit integers, complex numbers, text), or a sample is NaN,
            infinite or above `LARGEST_SAMPLE`.
    """
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    if kind == "i" and bits <= 32:
        return samples.astype(np.float32) * np.float32(2.0 ** (1 - bits))
    if kind == "u" and bits == 8:
        return (samples.astype(np.float32) - 128) / 128
    if kind != "f":
        raise AudioError(
            f"{name} has samples of the type {samples.dtype}. Pass floats in [-1, 1], or 16-bit integers (int16), "
            "which are scaled."
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused
        floats = samples.astype(np.float32, copy=False)
    check_range(floats, name)
    return floats


def check_range(samples: np.ndarray, name: str = "The audio") -> None:
    """Raise AudioError if a float sample is NaN, infinite or above `LARGEST_SAMPLE`."""
    reason = _why_out_of_range(samples)
    if reason is not None:
        raise AudioError(f"{name} {reason}")


def _why_out_of_range(samples: np.ndarray) -> str | None:
    if not samples.size:
        return None
    loudest = max(-float(samples.min()), float(samples.max()))  # NaN if one sample is: both propagate it
    if loudest <= LARGEST_SAMPLE:
        return None
    if not np.isfinite(samples).all():
        return "holds samples that are NaN or infinite. Export it again from its source."
    return (
        f"has a sample of {loudest:.6g}; floats are expected in [-1, 1]. If they were 16-bit integers, divide by "
        "32768; else export the audio again from its source."
    )


def to_mono(waveform: np.ndarray) -> np.ndarray:
    """Average the channels of a waveform of shape (samples,) or (samples, channels); float32 (samples,)."""
    if waveform.ndim == 2:
        waveform = waveform[:, 0] if waveform.shape[1] == 1 else waveform.mean(axis=1, dtype=np.float32)
    if waveform.ndim != 1:
        raise ValueError(f"A waveform has the shape (samples,) or (samples, channels), not {waveform.shape}.")
    return np.ascontiguousarray(waveform, dtype=np.float32)


def shortened(value: Any) -> str:
    """Return a value's repr in at most 40 characters, with its type and without URLs, which may hold passwords."""
    text = re.sub(r"://.*", "://...", repr(value), flags=re.DOTALL)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"
