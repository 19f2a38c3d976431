"""Fits a classifier to recordings of one kind by their audio alone: no labels, but more than one recording.

A room, a microphone, or the way a cast acts moves all embeddings of a corpus the same way, and then one label attracts
them all. Both are seen without labels: the mean of the embeddings, and how often each label is predicted. The first is
subtracted, the second evened out. That helps as far as the recordings hold the labels about equally often; where they
do not, it makes a frequent label too rare. What is neutral differs between voices, of women and men above all: given
texts that tell voices apart, each kind of voice is calibrated on its own. Results with it are transductive, and not
comparable with those without.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

FEWEST = 20  # recordings: the mean of fewer says more of them than of their kind
MOST_KEPT = 2000  # embeddings that are kept to balance labels with
ROUNDS = 200


class Calibration:
    """What unlabelled recordings have in common, taken out of the scores of any labels.

    Args:
        embeddings (`torch.Tensor`): (recordings, dim), unit-length audio embeddings.
        voices (`torch.Tensor`, *optional*): (kinds, dim), text embeddings such as those of "a female is speaking" and
            "a male is speaking". Each recording is of the kind that is nearest, and each kind is calibrated on its own;
            one of fewer than 20 recordings, as all are.

    Raises:
        ValueError: If they are too few, or not a matrix of finite numbers, or the voices are of another width.

    Example:
        >>> import torch
        >>> from modeling_paraclap.calibration_paraclap import Calibration
        >>> audio, text = torch.randn(100, 8) + 2, torch.eye(8)[:4]
        >>> calibration = Calibration(audio / audio.norm(dim=1, keepdim=True))
        >>> calibration(calibration.embeddings, text, scale=10.0).softmax(1).mean(0)  # each label equally often
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def __init__(self, embeddings: torch.Tensor, voices: torch.Tensor | None = None):
        if embeddings.ndim != 2 or not torch.isfinite(embeddings).all():
            raise ValueError(f"Expected a matrix of finite embeddings; got the shape {tuple(embeddings.shape)}.")
        if len(embeddings) < FEWEST:
            raise ValueError(f"{len(embeddings)} recordings are too few to calibrate with; give {FEWEST} or more.")
        self.embeddings = embeddings.float().cpu()
        self.voices = embeddings.new_zeros(1, embeddings.shape[1]) if voices is None else voices.detach()
        self.voices = F.normalize(self.voices.float().cpu(), dim=-1)
        if self.voices.ndim != 2 or self.voices.shape[1] != self.embeddings.shape[1]:
            raise ValueError(f"Expected voices of (kinds, {embeddings.shape[1]}); got {tuple(self.voices.shape)}.")
        kinds = self._kinds(self.embeddings)
        of_kind = [self.embeddings[kinds == kind] for kind in range(len(self.voices))]
        self.fitted = [some if len(some) >= FEWEST else self.embeddings for some in of_kind]
        self.means = torch.stack([some.mean(0) for some in self.fitted])
        self._last = (None, 0.0, None)  # most calls ask for the labels of the call before: text, scale, biases

    @classmethod
    def load(cls, file: str | Path) -> "Calibration":
        """What [`save`] wrote.

        Raises:
            ValueError: If the file holds something else.
        """
        content = load_file(file)
        if set(content) != {"embeddings", "voices"}:
            raise ValueError(f"{file} holds {', '.join(sorted(content)) or 'nothing'}, not a calibration.")
        return cls(content["embeddings"], content["voices"])

    def save(self, file: str | Path) -> None:
        """Writes a safetensors file with at most 2000 of the embeddings, evenly drawn."""
        step = -(-len(self.embeddings) // MOST_KEPT)
        save_file({"embeddings": self.embeddings[::step].contiguous(), "voices": self.voices}, file)

    def __call__(self, audio_embeds: torch.Tensor, text_embeds: torch.Tensor, scale: float) -> torch.Tensor:
        """Logits of labels that exclude one another.

        Args:
            audio_embeds (`torch.Tensor`): (n, dim), of unit length.
            text_embeds (`torch.Tensor`): (labels, dim), of unit length.
            scale (`float`): exp(logit scale).

        Returns:
            (n, labels), on the device of `audio_embeds`.
        """
        device, text = audio_embeds.device, text_embeds.float().cpu()
        kinds = self._kinds(audio_embeds)
        centred = F.normalize(audio_embeds.float() - self.means.to(device)[kinds], dim=-1)
        return scale * centred @ text.T.to(device) + self._biases(text, scale).to(device)[kinds]

    def _kinds(self, audio_embeds: torch.Tensor) -> torch.Tensor:
        """(n,) which kind of voice each is."""
        return (audio_embeds.float() @ self.voices.T.to(audio_embeds.device)).argmax(1)

    def _biases(self, text: torch.Tensor, scale: float) -> torch.Tensor:
        before, its_scale, biases = self._last
        if before is None or its_scale != scale or not torch.equal(before, text):
            centred = [F.normalize(some - mean, dim=-1) for some, mean in zip(self.fitted, self.means, strict=True)]
            biases = torch.stack([balancing_bias(scale * some @ text.T) for some in centred])
            self._last = (text, scale, biases)
        return biases


def balancing_bias(logits: torch.Tensor) -> torch.Tensor:
    """(labels,) to add to (n, labels) logits, so that the mean probability of each label is the same."""
    bias = logits.new_zeros(logits.shape[1])
    for _ in range(ROUNDS):
        shares = (logits + bias).log_softmax(1).logsumexp(0) - torch.tensor(len(logits)).log()
        bias = bias - shares - torch.tensor(logits.shape[1]).log()
    return bias


def calibration_of(calibration: Any) -> Calibration:
    """The argument of the pipeline: a [`Calibration`], or the file of one."""
    return calibration if isinstance(calibration, Calibration) else Calibration.load(calibration)
