"""Calm speech, which no training corpus labels: neutral utterances of low acoustic arousal.

"calm" and "neutral" share their valence and differ in arousal, for which pitch, loudness and pitch variation relative
to the speaker are cues. Some utterances labelled neutral are therefore relabelled as calm, with a probability that
rises as their arousal falls below the speaker's mean. Whether such an utterance is neutral as well is treated as
unknown.
"""

import numpy as np
import pandas as pd

CALM, NEUTRAL = "calm", "neutral"
AROUSAL_WEIGHTS = {"pitch_mean": 1.0, "intensity": 1.0, "pitch_std": 0.5}
SLOPE, MIDDLE = 1.2, -0.8  # of the logistic function that maps arousal to probability


def calm_probabilities(labels: pd.DataFrame, share: float) -> np.ndarray:
    """Return (rows,) probabilities of relabelling each utterance as calm, 0 for those not labelled neutral.

    Args:
        labels: Table with the columns corpus, speaker, emotion and the functionals.
        share: Probability at the lowest arousal.
    """
    speakers = labels.groupby(["corpus", "speaker"])
    arousal = np.zeros(len(labels))
    for name, weight in AROUSAL_WEIGHTS.items():
        mean, deviation = speakers[name].transform("mean"), speakers[name].transform("std")
        arousal += weight * ((labels[name] - mean) / deviation).replace([np.inf, -np.inf], np.nan).fillna(0).to_numpy()
    probabilities = share / (1 + np.exp(SLOPE * (arousal - MIDDLE)))
    return np.where(labels["emotion"] == NEUTRAL, probabilities, 0.0)
