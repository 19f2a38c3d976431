"""Calibrations of an evaluation: on all audio, on each predicted gender, or on each speaker."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from modeling_paraclap.calibration_paraclap import FEWEST, Calibration

VOICES = ("a female is speaking", "a male is speaking")


class SpeakerCalibrations:
    """A [`Calibration`] for each speaker of the audio; speakers with too few utterances share one fitted on all.

    A single utterance does not show what is neutral for a voice; the mean of a speaker's utterances does, provided that
    the speaker's labels are about equally frequent.

    Args:
        embeddings: (utterances, dim), of unit length.
        speakers: (utterances,) speakers; utterances with None share the calibration fitted on all.

    Attributes:
        n_sharing: Number of speakers with too few utterances.
    """

    def __init__(self, embeddings: torch.Tensor, speakers: Sequence[str | None]):
        groups = pd.Series(np.arange(len(embeddings))).groupby(np.asarray(speakers, dtype=object), dropna=True)
        alone = [rows.to_numpy() for _, rows in groups if len(rows) >= FEWEST]
        sharing = np.setdiff1d(np.arange(len(embeddings)), np.concatenate([[], *alone]).astype(int))
        self.n_sharing = sum(len(rows) < FEWEST for _, rows in groups)
        alone = [torch.tensor(rows) for rows in alone]
        self.parts = [(rows, Calibration(embeddings[rows])) for rows in alone]
        if len(sharing):
            self.parts.append((torch.tensor(sharing), Calibration(embeddings)))

    def __call__(self, audio_embeds: torch.Tensor, text_embeds: torch.Tensor, scale: float) -> torch.Tensor:
        """Return the (utterances, labels) logits of the same utterances in the same order; see [`Calibration`]."""
        logits = audio_embeds.new_empty(len(audio_embeds), len(text_embeds))
        for rows, calibration in self.parts:
            logits[rows] = calibration(audio_embeds[rows], text_embeds, scale)
        return logits


def fit_calibration(
    kind: str | None, embeddings: torch.Tensor, frame: pd.DataFrame, voices: torch.Tensor | None = None
) -> Calibration | SpeakerCalibrations | None:
    """Return the calibration of a kind, fitted on the evaluated audio without labels; None if `kind` is None.

    Args:
        kind: `"corpus"`, `"gender"` or `"speaker"`.
        embeddings: (utterances, dim), of unit length.
        frame: The utterances, with their speakers.
        voices: (2, dim), text embeddings of `VOICES`; only for `"gender"`.

    Raises:
        ValueError: If there are too few utterances to fit on.
    """
    if kind is None:
        return None
    if kind != "speaker":
        return Calibration(embeddings, voices)
    calibrations = SpeakerCalibrations(embeddings, frame["speaker"])
    if calibrations.n_sharing:
        print(f"{calibrations.n_sharing} speakers have fewer than {FEWEST} utterances and share a calibration")
    return calibrations
