"""Calm speech, which no corpus of training labels: neutral utterances of low arousal, as far as acoustics tell.

"calm" and "neutral" share their valence and differ in arousal, which pitch, loudness and pitch variation tell of a
speaker's utterances. So some of the utterances labelled neutral are said to be calm instead: the more often, the lower
they lie among all that their speaker says.
"""

import numpy as np
import pandas as pd

CALM, NEUTRAL = "calm", "neutral"
AROUSAL_WEIGHTS = {"pitch_mean": 1.0, "intensity": 1.0, "pitch_std": 0.5}
SLOPE, MIDDLE = 1.2, -0.8  # of the logistic function from arousal to probability


def calm_probabilities(labels: pd.DataFrame, share: float) -> np.ndarray:
    """Return how likely each utterance is said to be calm, 0 for those that are not labelled neutral.

    Args:
        labels: Table with the columns corpus, speaker, emotion and the functionals.
        share: Probability for the lowest arousal.
    """
    speakers = labels.groupby(["corpus", "speaker"])
    arousal = np.zeros(len(labels))
    for name, weight in AROUSAL_WEIGHTS.items():
        mean, deviation = speakers[name].transform("mean"), speakers[name].transform("std")
        arousal += weight * ((labels[name] - mean) / deviation).replace([np.inf, -np.inf], np.nan).fillna(0).to_numpy()
    probabilities = share / (1 + np.exp(SLOPE * (arousal - MIDDLE)))
    return np.where(labels["emotion"] == NEUTRAL, probabilities, 0.0)
