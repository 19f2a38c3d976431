"""Tones, speech-like sound and the bytes of audio files."""

import io

import numpy as np
import soundfile


def tone(seconds=1.0, rate=16000, frequency=220.0):
    """A tone with a little noise; float32 (samples,)."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=len(time))
    return (0.3 * np.sin(2 * np.pi * frequency * time) + 0.01 * noise).astype(np.float32)


def encoded(waveform, rate=16000, container="WAV", subtype=None):
    """The bytes of a file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, rate, format=container, subtype=subtype)
    return buffer.getvalue()
