"""Feature extractor of ParaCLAP: waveforms or files in, a padded batch with its mask out."""

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import FEATURE_EXTRACTOR_NAME, PROCESSOR_NAME, PaddingStrategy, logging

from .inputs_paraclap import load_input
from .waveform_paraclap import NoAudioError, scale_samples, shortened

logger = logging.get_logger(__name__)

# What the processor's file says besides the feature extractor's settings.
PROCESSOR_SETTINGS = {
    "auto_map": {"AutoProcessor": "processing_paraclap.ParaClapProcessor"},
    "processor_class": "ParaClapProcessor",
}


class ParaClapFeatureExtractor(SequenceFeatureExtractor):
    r"""Pads mono waveforms to one length and, if the checkpoint says so, normalises each of them.

    The mask is called `padding_mask`: the text side owns `attention_mask`, and transformers' pipeline hands both to one
    call of the model.

    Args:
        feature_size: 1, one value a sample.
        sampling_rate: The rate in Hz of the waveforms that the audio encoder was trained on.
        padding_value: Value for padding shorter waveforms.
        do_normalize: Whether each utterance gets zero mean and unit variance over its valid samples. A
            property of the checkpoint: the authors of ParaCLAP fed raw samples in [-1, 1].
        **kwargs: Passed on to `SequenceFeatureExtractor`.

    Example:
        >>> import numpy as np
        >>> from modeling_paraclap import ParaClapFeatureExtractor
        >>> extractor = ParaClapFeatureExtractor()
        >>> batch = extractor([np.zeros(400), np.zeros(800)], sampling_rate=16000, return_tensors="pt")
        >>> batch["input_values"].shape, batch["padding_mask"].sum(1)
        (torch.Size([2, 800]), tensor([400, 800]))
    """

    model_input_names = ["input_values", "padding_mask"]

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        do_normalize: bool = False,
        **kwargs: Any,
    ):
        super().__init__(feature_size=feature_size, sampling_rate=sampling_rate, padding_value=padding_value, **kwargs)
        self.do_normalize = do_normalize
        if self.padding_side != "right":
            raise ValueError(f"padding_side is {self.padding_side!r}; the model counts samples from the left: 'right'.")

    def __call__(
        self,
        raw_speech: Any,
        sampling_rate: int | None = None,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Make a batch of one or several utterances.

        Args:
            raw_speech: One utterance or several: a mono waveform of shape (samples,) as array, tensor or list of
                numbers, or an array of shape (utterances, samples), floats in [-1, 1] or integers of 8, 16 or 32 bits,
                which are scaled; or what knows its own rate and is loaded and resampled: a path, URL, `bytes`, file
                object, row of a dataset, `{"array": ..., "sampling_rate": ...}`, torchcodec decoder.
            sampling_rate: The rate of waveforms in Hz. These are not resampled here: a rate other
                than `self.sampling_rate` is an error.
            padding: `True` or `"longest"`, `"max_length"`, or `False`.
            max_length: Samples to pad or truncate to.
            truncation: Whether waveforms longer than `max_length` are cut.
            pad_to_multiple_of: Round the padded length up to a multiple of this.
            return_tensors: `"pt"` or `"np"`.

        Returns:
            `BatchFeature` with `input_values`, float32 of shape (utterances, samples), and `padding_mask`, bool of the
            same shape: what is a sample and no padding.

        Raises:
            AudioError: If a waveform holds samples that are NaN, infinite, far outside [-1, 1] or of a type without a
                scale (64-bit integers), or a file cannot be used.
            ValueError: If the rate is another one, or a waveform is empty or has more than one channel.
        """
        utterances = _as_list(raw_speech)
        if sampling_rate is None and all(map(_knows_its_rate, utterances)):
            sampling_rate = self.sampling_rate
        if sampling_rate is None:
            logger.warning_once(
                f"{type(self).__name__} was not told the `sampling_rate` of its input and takes it for "
                f"{self.sampling_rate} Hz. Pass it, so that a wrong rate is an error and not a wrong result."
            )
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"The audio was said to have {sampling_rate} Hz, but the model works at {self.sampling_rate} Hz. "
                f"Resample it first, for example with soxr.resample(waveform, {sampling_rate}, "
                f"{self.sampling_rate}); the zero-shot-audio-classification pipeline does so by itself."
            )
        waveforms = self._as_waveforms(utterances)
        options = {
            "padding": padding,
            "max_length": max_length,
            "truncation": truncation,
            "pad_to_multiple_of": pad_to_multiple_of,
            "return_attention_mask": False,
        }
        finish = _normalized if self.do_normalize else np.asarray
        if padding in (False, PaddingStrategy.DO_NOT_PAD):
            values = [
                finish(row) for row in self.pad(BatchFeature({"input_values": waveforms}), **options)["input_values"]
            ]
            masks = [np.ones(len(row), dtype=bool) for row in values]
        else:
            # The longest alone tells the length: each sample is then written once, where `pad` moves it three times.
            longest = BatchFeature({"input_values": [max(waveforms, key=len)]})
            shape = (len(waveforms), self.pad(longest, **options)["input_values"].shape[1])
            values, masks = np.full(shape, self.padding_value, dtype=np.float32), np.zeros(shape, dtype=bool)
            for row, mask, waveform in zip(values, masks, waveforms, strict=True):
                speech = finish(waveform[: len(row)])
                row[: len(speech)], mask[: len(speech)] = speech, True
        return BatchFeature({"input_values": values, "padding_mask": masks}, tensor_type=return_tensors)

    def fetch_audio(self, audio_url_or_urls: Any, sampling_rate: int | None = None) -> list[np.ndarray]:
        """Load what is no waveform yet, for the processor, which then checks for lists of waveforms.

        Args:
            audio_url_or_urls: Any input that `__call__` takes as `raw_speech`.
            sampling_rate: The extractor's own; given by transformers.

        Returns:
            float32 arrays of shape (samples,) at the extractor's rate.
        """
        return self._as_waveforms(_as_list(audio_url_or_urls))

    def save_pretrained(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """Save the settings, and the code of a release.

        Args:
            save_directory: Folder to write; created if missing.
            push_to_hub: Whether to upload what was written.
            **kwargs: Handed to `FeatureExtractionMixin.save_pretrained`.
        """
        from .release_paraclap import copy_code

        copy_code(save_directory)
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def to_json_file(self, json_file_path: str | PathLike) -> None:
        """Write the settings, in a release also to the processor's file, which transformers prefers to this one."""
        super().to_json_file(json_file_path)
        if Path(json_file_path).name == FEATURE_EXTRACTOR_NAME:
            file = Path(json_file_path).with_name(PROCESSOR_NAME)
            settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else dict(PROCESSOR_SETTINGS)
            settings["feature_extractor"] = json.loads(self.to_json_string())
            file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def _as_waveforms(self, utterances: list[Any]) -> list[np.ndarray]:
        """Return utterances as float32 arrays of shape (samples,) at the extractor's rate."""
        waveforms = []
        for index, utterance in enumerate(utterances):
            if _knows_its_rate(utterance):
                waveforms.append(load_input(utterance, self.sampling_rate))
                continue
            waveform = _as_array(utterance)
            if waveform.dtype == object:
                raise NoAudioError(
                    f"Utterance {index} is {shortened(utterance)}; expected a waveform of shape (samples,), a file, or "
                    "what else holds audio."
                )
            if waveform.ndim != 1:
                raise ValueError(
                    f"Utterance {index} has the shape {waveform.shape}; a mono waveform has the shape (samples,). "
                    "Average channels first: waveform.mean(0) for (channels, samples), .mean(1) for (samples, "
                    "channels); pass several utterances as a list."
                )
            if not len(waveform):
                raise ValueError(f"Utterance {index} has no samples. Leave it out.")
            waveforms.append(scale_samples(waveform, f"Utterance {index}"))
        return waveforms


def _as_list(raw_speech: Any) -> list[Any]:
    """Return one or several utterances in any form as a list of utterances."""
    if _knows_its_rate(raw_speech):
        return [raw_speech]
    if isinstance(raw_speech, (np.ndarray, torch.Tensor)):
        if raw_speech.ndim == 2 and raw_speech.shape[0] > raw_speech.shape[1]:
            raise ValueError(
                f"An array of shape {tuple(raw_speech.shape)} means {raw_speech.shape[0]} utterances of "
                f"{raw_speech.shape[1]} samples. If these are channels, average them first: waveform.mean(1)."
            )
        return list(raw_speech) if raw_speech.ndim == 2 else [raw_speech]
    if not isinstance(raw_speech, Iterable):
        return [raw_speech]
    utterances = list(raw_speech)
    if not utterances:
        raise ValueError("There is no audio: the list is empty. Pass at least one waveform.")
    first = utterances[0]
    is_number = not _knows_its_rate(first) and np.ndim(_as_array(first)) == 0
    return [utterances] if is_number else utterances


def _knows_its_rate(audio: Any) -> bool:
    """Return whether this is loaded, rather than a waveform whose rate only the caller knows."""
    forms = (str, PathLike, bytes, bytearray, memoryview, Mapping)
    return isinstance(audio, forms) or any(hasattr(audio, n) for n in ("read", "get_all_samples", "sample_rate"))


def _as_array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    try:
        return np.asarray(values)
    except ValueError:  # lists of unequal length
        return np.array(None)


def _normalized(speech: np.ndarray) -> np.ndarray:
    """Return the waveform with zero mean and unit variance."""
    return (speech - speech.mean()) / np.sqrt(speech.var() + 1e-7)


ParaClapFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
