"""Feature extractor of ParaCLAP: mono waveforms in, a padded batch with its mask out."""

from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import PaddingStrategy, logging

from .inputs_paraclap import load_input

logger = logging.get_logger(__name__)


class ParaClapFeatureExtractor(SequenceFeatureExtractor):
    r"""Pads mono waveforms to one length and, if the checkpoint wants it, normalises each of them.

    The mask is called `padding_mask`: the text side owns `attention_mask`, and transformers' pipeline hands both to one
    call of the model.

    Args:
        feature_size (`int`): 1, one value a sample.
        sampling_rate (`int`): The rate in Hz of the waveforms that the audio encoder was trained on.
        padding_value (`float`): What shorter waveforms are filled up with.
        do_normalize (`bool`): Whether each utterance gets zero mean and unit variance over its valid samples. A
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
            raw_speech (array, tensor, list of numbers, or list of these): One waveform of shape (samples,), or several:
                a list of them, or an array of shape (utterances, samples). Mono.
            sampling_rate (`int`, *optional*): The rate of the waveforms in Hz. Nothing is resampled here: a rate other
                than `self.sampling_rate` is an error.
            padding (`bool` or `str`): `True` or `"longest"`, `"max_length"`, or `False`.
            max_length (`int`, *optional*): Samples to pad or truncate to.
            truncation (`bool`): Whether waveforms longer than `max_length` are cut.
            pad_to_multiple_of (`int`, *optional*): Round the padded length up to a multiple of this.
            return_tensors (`str`, *optional*): `"pt"` or `"np"`.

        Returns:
            `BatchFeature` with `input_values`, float32 of shape (utterances, samples), and `padding_mask`, bool of the
            same shape: what is a sample and no padding.

        Raises:
            ValueError: If the rate is another one, or a waveform is empty or has more than one channel.
        """
        if sampling_rate is None:
            logger.warning_once(
                f"{type(self).__name__} was not told the `sampling_rate` of its input and takes it for "
                f"{self.sampling_rate} Hz. Pass it, so that a wrong rate is an error and not a wrong result."
            )
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"The audio was said to have {sampling_rate} Hz, but the model works at {self.sampling_rate} Hz. "
                f"Resample it first, for example with torchaudio.functional.resample(waveform, {sampling_rate}, "
                f"{self.sampling_rate}); the zero-shot-audio-classification pipeline does so by itself."
            )
        waveforms = _as_waveforms(raw_speech)
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

    def fetch_audio(self, audio_url_or_urls: Any, sampling_rate: int | None = None) -> Any:
        """Load what is a path or URL, so that the processor takes files too; leave waveforms as they are.

        Args:
            audio_url_or_urls (`str`, waveform, or list of these): What the processor was given as `audio`.
            sampling_rate (`int`, *optional*): The rate in Hz to load at; the extractor's own without it.
        """
        if isinstance(audio_url_or_urls, (list, tuple)):
            return [self.fetch_audio(audio, sampling_rate) for audio in audio_url_or_urls]
        if isinstance(audio_url_or_urls, str):
            return load_input(audio_url_or_urls, sampling_rate or self.sampling_rate)
        return audio_url_or_urls


def _as_waveforms(raw_speech: Any) -> list[np.ndarray]:
    """One or several waveforms in any form as a list of float32 arrays of shape (samples,)."""
    if isinstance(raw_speech, (list, tuple)):
        if not len(raw_speech):
            raise ValueError("There is no audio: the list is empty. Pass at least one waveform.")
        is_batch = np.ndim(_as_array(raw_speech[0])) > 0
        waveforms = [_as_array(item) for item in (raw_speech if is_batch else [raw_speech])]
    else:
        array = _as_array(raw_speech)
        waveforms = list(array) if array.ndim == 2 else [array]
        if array.ndim == 2 and array.shape[0] > array.shape[1]:
            raise ValueError(
                f"An array of shape {array.shape} means {array.shape[0]} utterances of {array.shape[1]} samples. "
                "If these are channels, average them first: waveform.mean(1)."
            )
    for index, waveform in enumerate(waveforms):
        if waveform.ndim != 1:
            raise ValueError(
                f"Utterance {index} has the shape {waveform.shape}; a mono waveform has the shape (samples,). "
                "Average channels first: waveform.mean(0) for (channels, samples), .mean(1) for (samples, channels); "
                "pass several utterances as a list."
            )
        if not len(waveform):
            raise ValueError(f"Utterance {index} has no samples. Leave it out.")
    return waveforms


def _as_array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().float().numpy()
    return np.asarray(values, dtype=np.float32)


def _normalized(speech: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance."""
    return (speech - speech.mean()) / np.sqrt(speech.var() + 1e-7)


ParaClapFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
