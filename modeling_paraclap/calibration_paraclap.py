"""Fits a classifier to recordings of one kind by their audio alone: no labels, but more than one recording.

A room, a microphone, or the way a cast acts moves all embeddings of a corpus the same way, and then one label attracts
them all. Both are seen without labels: the mean of the embeddings, and how often each label is predicted. The first is
subtracted, the second evened out. That helps as far as the recordings hold the labels about equally often; where they
do not, it under-predicts frequent labels. What is neutral differs between voices, of women and men above all: given
texts that tell voices apart, each kind of voice is calibrated on its own. Results with it are transductive, and not
comparable with those without.
"""

from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch.nn import functional as F

FARTHEST_FROM_UNIT = 0.05
FEWEST = 20  # recordings: the mean of fewer says more of them than of their kind
MOST_KEPT = 2000  # embeddings that are kept to balance labels with
ROUNDS = 200


class Calibration:
    """What unlabelled recordings have in common, taken out of the scores of any labels.

    Args:
        embeddings: (recordings, dim), unit-length audio embeddings.
        voices: (kinds, dim), text embeddings such as those of "a female is speaking" and
            "a male is speaking". Each recording is of the kind that is nearest, and each kind is calibrated on its own;
            one of fewer than 20 recordings, as all are.

    Raises:
        ValueError: If they are too few, or not a matrix of finite numbers of unit length, or the voices are of another
            width.

    Example:
        >>> import torch
        >>> from modeling_paraclap.calibration_paraclap import Calibration
        >>> audio, text = torch.randn(100, 8) + 2, torch.eye(8)[:4]
        >>> calibration = Calibration(audio / audio.norm(dim=1, keepdim=True))
        >>> calibration(calibration.embeddings, text, scale=10.0).softmax(1).mean(0)  # each label equally often
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def __init__(self, embeddings: torch.Tensor, voices: torch.Tensor | None = None):
        _check_matrix(embeddings, "embeddings")
        if len(embeddings) < FEWEST:
            raise ValueError(f"{len(embeddings)} recordings are too few to calibrate with; give {FEWEST} or more.")
        self.embeddings = embeddings.detach().float().cpu()
        norms = self.embeddings.norm(dim=1)
        if (norms - 1).abs().max() > FARTHEST_FROM_UNIT:
            raise ValueError(
                f"Expected embeddings of unit length; got lengths from {norms.min():g} to {norms.max():g}. Divide each "
                "by its norm."
            )
        self.voices = self.embeddings.new_zeros(1, embeddings.shape[1]) if voices is None else voices.detach()
        _check_matrix(self.voices, "voices")
        if not len(self.voices) or self.voices.shape[1] != self.embeddings.shape[1]:
            raise ValueError(f"Expected voices of (kinds, {embeddings.shape[1]}); got {tuple(self.voices.shape)}.")
        self.voices = F.normalize(self.voices.float().cpu(), dim=-1)
        kinds = self._kinds(self.embeddings)
        of_kind = [self.embeddings[kinds == kind] for kind in range(len(self.voices))]
        self.fitted = [some if len(some) >= FEWEST else self.embeddings for some in of_kind]
        self.means = torch.stack([some.mean(0) for some in self.fitted])
        self._last = (None, 0.0, None)  # most calls ask for the labels of the call before: text, scale, biases

    @classmethod
    def load(cls, file: str | Path) -> "Calibration":
        """Return what [`save`] wrote.

        Raises:
            ValueError: If the file cannot be read, is damaged, or holds something else.
        """
        try:
            content = load(Path(file).read_bytes())
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f"The calibration {file} cannot be read: {error}. Give the file that `Calibration.save` wrote."
            ) from error
        if set(content) != {"embeddings", "voices"}:
            raise ValueError(f"{file} holds {', '.join(sorted(content)) or 'nothing'}, not a calibration.")
        try:
            return cls(content["embeddings"], content["voices"])
        except ValueError as error:
            raise ValueError(f"The calibration {file} cannot be used: {error} Fit it again.") from error

    def save(self, file: str | Path) -> None:
        """Write a safetensors file with at most 2000 of the embeddings, evenly drawn."""
        step = -(-len(self.embeddings) // MOST_KEPT)
        # Not by `save_file`, which gives the rights to the owner alone.
        Path(file).write_bytes(save({"embeddings": self.embeddings[::step].contiguous(), "voices": self.voices}))

    def __call__(self, audio_embeds: torch.Tensor, text_embeds: torch.Tensor, scale: float) -> torch.Tensor:
        """Return calibrated logits of mutually exclusive labels.

        Args:
            audio_embeds: (n, dim), of unit length.
            text_embeds: (labels, dim), of unit length.
            scale: exp(logit scale).

        Returns:
            (n, labels), on the device of `audio_embeds`.

        Raises:
            ValueError: If they are of another width than those that it was fitted to.
        """
        width = self.embeddings.shape[1]
        if {audio_embeds.shape[-1], text_embeds.shape[-1]} != {width}:
            raise ValueError(
                f"The calibration was fitted to embeddings of {width} numbers; those of this model have "
                f"{audio_embeds.shape[-1]}. Fit one to recordings that this model embedded."
            )
        device, text = audio_embeds.device, text_embeds.float().cpu()
        kinds = self._kinds(audio_embeds)
        centred = F.normalize(audio_embeds.float() - self.means.to(device)[kinds], dim=-1)
        return scale * centred @ text.T.to(device) + self._biases(text, scale).to(device)[kinds]

    def _kinds(self, audio_embeds: torch.Tensor) -> torch.Tensor:
        """Return the index of the nearest voice for each recording, shape (n,)."""
        return (audio_embeds.float() @ self.voices.T.to(audio_embeds.device)).argmax(1)

    def _biases(self, text: torch.Tensor, scale: float) -> torch.Tensor:
        before, its_scale, biases = self._last
        if before is None or its_scale != scale or not torch.equal(before, text):
            centred = [F.normalize(some - mean, dim=-1) for some, mean in zip(self.fitted, self.means, strict=True)]
            biases = torch.stack([balancing_bias(scale * some @ text.T) for some in centred])
            self._last = (text, scale, biases)
        return biases


def balancing_bias(logits: torch.Tensor) -> torch.Tensor:
    """Return the bias, shape (labels,), that equalizes the mean probability of the labels for (n, labels) logits."""
    bias = logits.new_zeros(logits.shape[1])
    for _ in range(ROUNDS):
        shares = (logits + bias).log_softmax(1).logsumexp(0) - torch.tensor(len(logits)).log()
        bias = bias - shares - torch.tensor(logits.shape[1]).log()
    return bias


def calibration_of(calibration: Any) -> Calibration:
    """Return the argument of the pipeline, a [`Calibration`] or the file of one, as a calibration.

    Raises:
        TypeError: If it is neither.
        ValueError: If the file cannot be used.
    """
    if isinstance(calibration, Calibration):
        return calibration
    if not isinstance(calibration, (str, PathLike)):
        raise TypeError(f"calibration is a {type(calibration).__name__}; expected a Calibration, or its file.")
    return Calibration.load(calibration)


def _check_matrix(values: torch.Tensor, name: str) -> None:
    if values.ndim != 2 or not values.is_floating_point() or not torch.isfinite(values).all():
        found = f"{values.dtype} of the shape {tuple(values.shape)}"
        raise ValueError(f"Expected a matrix of finite {name}; got {found.removeprefix('torch.')}.")
