"""Scores of the zero-shot pipeline: speech-like input, and how to compare results."""

import numpy as np

TASK = "zero-shot-audio-classification"
RATE = 16000
LABELS = ["angry", "happy", "sad"]


def speech(seconds=0.5, rate=RATE, seed=0):
    """A gliding tone with noise, which stands for speech."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(size=len(time))
    return (0.3 * np.sin(2 * np.pi * (150 + 40 * seed + 60 * time) * time) + 0.02 * noise).astype(np.float32)


def by_label(result):
    """Scores in the order of LABELS or of the labels' names, which can be compared."""
    return np.array([entry["score"] for entry in sorted(result, key=lambda entry: entry["label"])])


def assert_same(result, expected, atol=1e-6):
    """Two lists of scores, the same labels and scores."""
    assert sorted(entry["label"] for entry in result) == sorted(entry["label"] for entry in expected)
    np.testing.assert_allclose(by_label(result), by_label(expected), atol=atol)
