"""Collation of examples into batches: padded waveforms, tokens, and which query holds for which utterance."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from dataset_scripts.queries import EMOTION_NOUNS, TEMPLATES, word_queries
from modeling_paraclap.processing_paraclap import ParaClapProcessor

from .corpus_files import SAMPLING_RATE
from .errors import TrainingError
from .utterances import SOURCES

# Attribute of a query -> its group in the grouped loss.
ATTRIBUTE_GROUPS = {attribute: number for number, attribute in enumerate(SOURCES)}


class Collator:
    """Collate utterances with captions into a batch of tensors.

    Args:
        processor: Tokenizer and feature extractor.
        pad_to: Length in samples to pad each batch to; None pads to the longest of the batch.
        vocabulary: Every query that occurs -> its attribute ([`vocabulary_of`]), for the losses with several positives:
            adds `said` (texts, queries), the queries that each text says; `holds` (n, queries), those that hold for
            each utterance; `unknown` (n, queries), those that are not labelled, as a missing label is not the label
            "no"; and `groups` (queries,), the number of each query's attribute. None leaves them out.
        query_bank: Whether to append every single query of the batch's utterances to the n captions, so that each
            utterance is compared with all queries of the others, not only with one caption of each.

    Raises:
        ValueError: If there is a query bank but no vocabulary.
    """

    def __init__(
        self,
        processor: ParaClapProcessor,
        pad_to: int | None = None,
        vocabulary: dict[str, str] | None = None,
        query_bank: bool = False,
    ):
        if query_bank and vocabulary is None:
            raise ValueError("A query bank needs a loss with several positives: multi_positive, sigmoid or grouped.")
        self.processor, self.pad_to, self.query_bank = processor, pad_to, query_bank
        self.vocabulary = vocabulary
        # Queries of one attribute exclude each other; one of two attributes ("jitter+pitch_std") is in no group.
        self.groups = torch.tensor([ATTRIBUTE_GROUPS.get(attribute, -1) for attribute in (vocabulary or {}).values()])
        self.columns = {query: column for column, query in enumerate(vocabulary or ())}

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Collate n examples of [`QueryCorpus`] into a dict of tensors.

        Raises:
            TrainingError: If a caption has more tokens than the text encoder accepts.
        """
        texts = [example["caption"] for example in examples]
        if self.query_bank:
            texts += sorted({query for example in examples for query in example["bank"]})
        if "states" in examples[0]:
            batch = dict(self.processor.tokenizer(texts, padding=True, return_tensors="pt")) | pad_states(examples)
        else:
            padding = {"padding": "max_length", "max_length": self.pad_to} if self.pad_to else {"padding": True}
            batch = self.processor(
                text=texts,
                audio=[example["waveform"] for example in examples],
                text_kwargs={"padding": True},
                audio_kwargs={"sampling_rate": SAMPLING_RATE, **padding},
                return_tensors="pt",
            )
        limit = self.processor.tokenizer.model_max_length
        if batch["input_ids"].shape[1] > limit:
            longest = max(texts, key=len)
            raise TrainingError(
                f"A caption has {batch['input_ids'].shape[1]} tokens, the text encoder takes {limit}: lower "
                f"--max_queries or use another text encoder. The caption: {longest!r}"
            )
        if self.vocabulary is not None:
            batch["said"] = self._table([text.split(" and ") for text in texts])
            batch["holds"] = self._table([example["queries"] for example in examples])
            batch["groups"] = self.groups
            batch["unknown"] = self._table([self._unknown(example) for example in examples])
        return dict(batch)

    def _unknown(self, example: dict[str, Any]) -> list[str]:
        """Return the queries that may or may not hold for this utterance."""
        return [
            query
            for query, attribute in self.vocabulary.items()
            if query in example["unknown_queries"] or not example["unknown_attributes"].isdisjoint(attribute.split("+"))
        ]

    def _table(self, queries: Sequence[Iterable[str]]) -> torch.Tensor:
        """Return (rows, queries), 1 for each query of a row."""
        table = torch.zeros(len(queries), len(self.columns), dtype=torch.uint8)
        for row, of_one in enumerate(queries):
            table[row, [self.columns[query] for query in of_one]] = 1
        return table


def pad_states(examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Return the inputs of examples of [`StateCorpus`]: states (n, layers, frames, dim), their mask, and cues."""
    frames = max(example["states"].shape[1] for example in examples)
    layers, _, size = examples[0]["states"].shape
    states = np.zeros((len(examples), layers, frames, size), np.float32)
    mask = np.zeros((len(examples), frames), bool)
    for row, example in enumerate(examples):
        length = example["states"].shape[1]
        states[row, :, :length], mask[row, :length] = example["states"], example["mask"]
    inputs = {"audio_states": torch.from_numpy(states), "padding_mask": torch.from_numpy(mask)}
    if len(examples[0]["cues"]):
        inputs["audio_cues"] = torch.from_numpy(np.stack([example["cues"] for example in examples]))
    return inputs


def vocabulary_of(labels: pd.DataFrame, words: bool = False, further: Sequence[str] = ()) -> dict[str, str]:
    """Return the attribute of each query that can occur in a split, including queries that augmentation can make valid.

    Args:
        labels: Table with the columns emotion, gender, queries and query_attributes.
        words: Whether to include further words for the emotions; see [`word_queries`].
        further: Emotions to add that no row is labelled with.
    """
    queries = {}
    for of_one, attributes in zip(labels["queries"], labels["query_attributes"], strict=True):
        queries.update(zip(of_one, attributes, strict=True))
    emotions = [
        {"emotion": name, "emotion_noun": EMOTION_NOUNS[name]}
        for name in (*labels["emotion"].dropna().unique(), *further)
    ]
    genders = [{"gender": name} for name in labels["gender"].dropna().unique()]
    for template in TEMPLATES:
        labelled = emotions if "{emotion" in template.text else genders if "{gender}" in template.text else [{}]
        queries.update((template.text.format(**label), template.attribute) for label in labelled)
    if words:
        queries.update((text, "emotion") for label in emotions for text in word_queries(label["emotion"]))
    return dict(sorted(queries.items()))
