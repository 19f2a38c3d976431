"""Processor of ParaCLAP: the feature extractor for the audio and the tokenizer for the queries, in one call."""

from typing import Any

from transformers import ProcessorMixin
from transformers.processing_utils import ProcessingKwargs


class ParaClapProcessorKwargs(ProcessingKwargs, total=False):
    """What differs from the defaults of tokenizer and feature extractor: texts are padded to the longest."""

    _defaults = {"text_kwargs": {"padding": True}}


class ParaClapProcessor(ProcessorMixin):
    """Makes the input of [`ParaClapModel`] of waveforms and texts.

    `processor(text=..., audio=..., sampling_rate=..., return_tensors="pt")` gives `input_ids` and `attention_mask` of
    the texts, padded to the longest, and `input_values` and `padding_mask` of the audio; either side may be left out.
    Audio may be waveforms, paths or URLs.

    Args:
        feature_extractor (`ParaClapFeatureExtractor`): For the audio.
        tokenizer (`PreTrainedTokenizerBase`): The text encoder's.
    """

    valid_processor_kwargs = ParaClapProcessorKwargs

    def __init__(self, feature_extractor: Any, tokenizer: Any, **kwargs: Any):
        super().__init__(feature_extractor, tokenizer, **kwargs)


ParaClapProcessor.register_for_auto_class("AutoProcessor")
