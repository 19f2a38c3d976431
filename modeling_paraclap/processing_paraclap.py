"""Processor of ParaCLAP: the feature extractor for the audio and the tokenizer for the queries, in one call."""

from os import PathLike
from typing import Any

import numpy as np
from transformers import BatchFeature, ProcessorMixin
from transformers.processing_utils import ProcessingKwargs

# What tokenizers keep of the arguments that they were made or called with long ago, and would put in force again.
CALL_ARGUMENTS = ("max_length", "stride", "truncation", "truncation_strategy", "padding", "pad_to_multiple_of")


class ParaClapProcessorKwargs(ProcessingKwargs, total=False):
    """What differs from the defaults of tokenizer and feature extractor: texts are padded to the longest."""

    _defaults = {"text_kwargs": {"padding": True}}


class ParaClapProcessor(ProcessorMixin):
    """Makes the input of [`ParaClapModel`] of texts and audio.

    Args:
        feature_extractor: Feature extractor for the audio.
        tokenizer: The text encoder's. What it keeps of a length to cut texts at is
            forgotten: a query that is cut is another query.
        **kwargs: Handed to `ProcessorMixin`.

    Example:
        >>> from modeling_paraclap import ParaClapProcessor
        >>> processor = ParaClapProcessor.from_pretrained("path/to/a/release")  # doctest: +SKIP
        >>> processor(["speaker is angry"], "speech.wav", return_tensors="pt").keys()  # doctest: +SKIP
        dict_keys(['input_ids', 'token_type_ids', 'attention_mask', 'input_values', 'padding_mask'])
    """

    valid_processor_kwargs = ParaClapProcessorKwargs

    def __init__(self, feature_extractor: Any, tokenizer: Any, **kwargs: Any):
        forget_call_arguments(tokenizer)
        super().__init__(feature_extractor, tokenizer, **kwargs)

    def __call__(self, text: Any = None, audio: Any = None, **kwargs: Any) -> BatchFeature:
        """Tokenize texts and make a batch of audio; either may be left out.

        Args:
            text: A query or a list of queries.
            audio: One utterance or a list of them, in any form that [`ParaClapFeatureExtractor`] takes.
            **kwargs: Arguments of tokenizer and feature extractor, such as `sampling_rate` (of bare waveforms, in Hz)
                and `return_tensors="pt"`.

        Returns:
            `BatchFeature` with `input_ids` and `attention_mask` of the texts, padded to the longest, and `input_values`
            and `padding_mask` of the audio.

        Raises:
            AudioError: If audio cannot be used.
            TypeError: If the texts are not strings, or there are images or videos.
            ValueError: If there is neither text nor audio, or a waveform has the wrong shape or rate.
        """
        for name in ("images", "videos"):
            if kwargs.pop(name, None) is not None:
                raise TypeError(f"The processor takes text and audio, and was given {name}.")
        if text is None and audio is None:
            raise ValueError(
                "The processor was given neither text nor audio. Pass them: "
                'processor(text=["speaker is angry"], audio=waveform, sampling_rate=16000, return_tensors="pt").'
            )
        if text is not None:
            text = _checked_texts(text)
        if audio is None:
            kwargs.pop("sampling_rate", None)
        return super().__call__(text=text, audio=audio, **kwargs)

    def save_pretrained(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """Save feature extractor, tokenizer and the code of a release.

        Args:
            save_directory: Folder to write; created if missing.
            push_to_hub: Whether to upload what was written.
            **kwargs: Handed to `ProcessorMixin.save_pretrained`.
        """
        from .release_paraclap import copy_code

        forget_call_arguments(self.tokenizer)
        copy_code(save_directory)
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)


def forget_call_arguments(tokenizer: Any) -> None:
    """Make a tokenizer cut nothing that it is not told to cut, now and when it is saved and loaded."""
    for name in CALL_ARGUMENTS:
        tokenizer.init_kwargs.pop(name, None)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and (backend.truncation is not None or backend.padding is not None):
        backend.no_truncation()
        backend.no_padding()


def _checked_texts(text: Any) -> str | list[str]:
    texts = [text] if isinstance(text, str) else text
    if isinstance(texts, np.ndarray):
        texts = texts.tolist()
    if not isinstance(texts, (list, tuple)) or not all(isinstance(item, str) for item in texts):
        raise TypeError(
            f"The processor's first argument is text, a string or a list of strings, and was given a "
            f"{type(text).__name__}. Pass audio as `audio=`."
        )
    if not texts:
        raise ValueError("There is no text: the list is empty. Pass at least one string.")
    return text if isinstance(text, str) else list(texts)


ParaClapProcessor.register_for_auto_class("AutoProcessor")
