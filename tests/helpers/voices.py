"""Synthetic voices for the corpora of the tests: a tone with harmonics, whose pitch wanders."""

import zlib

import numpy as np
import soundfile

RATE = 16000


def voice(seconds=0.6, pitch=150.0, rate=RATE, level=0.3, seed=0):
    """A voiced sound, float32 (samples,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / rate
    sound = sum(np.sin(k * phase) / k for k in range(1, 11))
    return (level * sound / np.abs(sound).max() + 0.002 * rng.standard_normal(len(time))).astype("float32")


def write(path, **kwargs):
    """Write a voice; the extension chooses the container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = kwargs.get("rate", RATE)
    kwargs.setdefault("seed", zlib.crc32(path.stem.encode()))  # no two recordings are the same
    container = {".opus": dict(format="OGG", subtype="OPUS")}.get(path.suffix.lower(), {})
    soundfile.write(path, voice(**kwargs), rate, **container)
    return path
