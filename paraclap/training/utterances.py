"""Utterances of the query corpus, with a random crop and a random caption at each access."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset as Rows
from torch.utils.data import Dataset

from dataset_scripts.binning import ATTRIBUTES, Bins
from dataset_scripts.queries import (
    generate_queries,
    queries_of_variant,
    sample_queries,
    usual_dimensions,
    word_queries,
)
from modeling_paraclap.audio_paraclap import load_audio, load_crop

from .arguments import AugmentationArguments, CorpusArguments
from .augment import Functionals, augment
from .calm import CALM, NEUTRAL, calm_probabilities
from .corpus_files import SAMPLING_RATE, EncodedAudio
from .errors import TrainingError

# Attribute of a query -> the column that selects it.
SOURCES = {"emotion": "emotion", "gender": "gender"} | {name: f"{name}_bin" for name in ATTRIBUTES}
AUGMENTED = ("pitch_mean", "pitch_std", "intensity", "duration")


def row_functionals(row: dict[str, Any]) -> Functionals:
    """Return the values of a row that augmentation changes, None where missing."""
    values = {name: row[name] if np.isfinite(row[name]) else None for name in AUGMENTED}
    return values | {"gender": row["gender"]}


def _with_emotion(row: dict[str, Any], emotion: str) -> dict[str, Any]:
    """Return the row with another emotion and its queries."""
    row = {**row, "emotion": emotion}
    attributes, queries = zip(*generate_queries(row), strict=True)
    return {**row, "query_attributes": list(attributes), "queries": list(queries)}


class QueryCorpus(Dataset):
    """Utterances with a random crop and a random caption at each access.

    The draws depend only on the seed, the epoch and the utterance, and are thus unaffected by resuming, the number of
    workers and the batch size.

    Args:
        rows: A split from [`load_split`]; None if the audio comes with each request.
        options: Selection of queries and length of crops. Shorter utterances are not padded.
        augmentation: Augmentation of the waveforms. `part` is not applied to utterances with a labelled emotion, which
            the excerpt may not express.
        bins: Bins of the corpus, for the queries of augmented utterances.
        seed: Random seed.
        labels: Table with the labels of the split, needed if `rows` is None.

    Raises:
        ValueError: If augmentation is given without bins.
        TrainingError: If no utterance has a query for the variant.
    """

    def __init__(
        self,
        rows: Rows | None,
        options: CorpusArguments | None = None,
        augmentation: AugmentationArguments | None = None,
        bins: Bins | None = None,
        seed: int = 0,
        labels: pd.DataFrame | None = None,
    ):
        self.audio = None if rows is None else EncodedAudio(rows)
        self.options = options or CorpusArguments()
        self.variant = self.options.variant
        self.crop = int(self.options.crop_s * SAMPLING_RATE)
        self.augmentation = augmentation or AugmentationArguments()
        self.augments = any(vars(self.augmentation).values())
        if self.augments and bins is None:
            raise ValueError(
                "Augmentation changes pitch, level and duration: give the corpus's bins to update the queries."
            )
        self.bins = bins
        self.seed = seed
        self.decoded = {} if self.options.keep_decoded else None
        self.labels = rows.remove_columns("audio").to_pandas() if labels is None else labels
        # Reading a row with pandas takes longer than decoding its audio.
        self.columns = {name: column.to_numpy() for name, column in self.labels.items()}
        if self.variant == "only_emo":
            self.indices = np.flatnonzero(self.labels["emotion"].notna())
        else:
            self.indices = np.arange(len(self.labels))
        self.calm = calm_probabilities(self.labels, self.options.calm) if self.options.calm else None
        emotions = [*self.labels["emotion"].dropna().unique(), *([CALM] if self.options.calm else ())]
        has_words = self.options.emotion_words and self.variant != "no_emo"
        self.word_queries = {emotion: word_queries(emotion) for emotion in emotions} if has_words else {}
        self.emotion_queries = {
            emotion: {text for _, text in generate_queries({"emotion": emotion})}.union(
                self.word_queries.get(emotion, ())
            )
            for emotion in emotions
        }
        self.annotated = {corpus: set(of.dropna()) for corpus, of in self.labels.groupby("corpus")["emotion"]}
        for annotated in self.annotated.values():
            if self.options.calm and NEUTRAL in annotated:
                annotated.add(CALM)
        if not len(self.indices):
            raise TrainingError(f"No utterance of this split has a query for variant {self.variant!r}.")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """Return the example of `(epoch, i)`; see [`example`]."""
        epoch, item = key
        index = int(self.indices[item])
        return self.example(epoch, index, {name: column[index] for name, column in self.columns.items()})

    def example(self, epoch: int, index: int, row: dict[str, Any], audio: bytes | None = None) -> dict[str, Any]:
        """Draw the input and the queries of an utterance in an epoch.

        Args:
            epoch: Number of the epoch.
            index: Number of the utterance in the split.
            row: Labels of the utterance.
            audio: Its encoded audio; looked up if not given.

        Returns:
            `waveform` (samples,); `caption`; `queries`, all valid queries of the variant; `bank`, the queries that it
            adds to a query bank; `unknown_attributes`, the unlabelled attributes; and `unknown_queries`, the queries of
            emotions that its corpus does not label.
        """
        rng = np.random.default_rng([self.seed, epoch, index])
        calm = self.calm is not None and rng.random() < self.calm[index]
        if calm:
            row = _with_emotion(row, CALM)
        heard, row, pairs = self._hear(index, row, audio, rng)
        unknown = []
        if self.options.usual_dimensions:
            usual, holds, unknown = usual_dimensions(row)
            row, pairs = {**row, **usual}, holds + pairs
        attributes, queries = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        caption = self._caption(queries, attributes, rng)
        queries = queries_of_variant(queries, attributes, self.variant)
        bank, words = queries, self.word_queries.get(row["emotion"], ())
        if len(words):
            drawn = rng.choice(len(words), min(self.options.emotion_words, len(words)), replace=False)
            bank, queries = queries + [words[place] for place in drawn], queries + words
        unknown_emotions = self.emotion_queries.keys() - self.annotated[row["corpus"]]
        if calm:  # its label says that it is neutral, too
            unknown_emotions |= {NEUTRAL}
        return heard | {
            "caption": caption,
            "queries": queries,
            "bank": bank,
            "unknown_attributes": {name for name, column in SOURCES.items() if not isinstance(row[column], str)},
            "unknown_queries": {text for _, text in unknown}.union(
                *(self.emotion_queries[emotion] for emotion in unknown_emotions)
            ),
        }

    def _hear(
        self, index: int, row: dict[str, Any], audio: bytes | None, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], dict[str, Any], list[tuple[str, str]]]:
        """Return the model's input, the row with updated bins, and its `(attribute, query)` pairs."""
        # Augmentation changes the functionals of the whole utterance; without it, only the crop is decoded.
        if self.augments or self.decoded is not None:
            waveform = self._waveform(index, audio)
        else:
            waveform = load_crop(self.audio[index] if audio is None else audio, self.crop, rng, SAMPLING_RATE)
        if self.augments:
            waveform, row = self._augmented(waveform, row, rng)
            pairs = generate_queries(row)
        else:
            pairs = list(zip(row["query_attributes"], row["queries"], strict=True))
        if len(waveform) > self.crop:
            start = int(rng.integers(len(waveform) - self.crop + 1))
            waveform = waveform[start : start + self.crop]
        return {"waveform": waveform}, row, pairs

    def _augmented(
        self, waveform: np.ndarray, row: dict[str, Any], rng: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the augmented waveform and the row with updated bins and gender."""
        augmentation = self.augmentation
        if isinstance(row["emotion"], str):
            augmentation = replace(augmentation, part=0.0)
        waveform, functionals = augment(waveform, row_functionals(row), rng, augmentation)
        return waveform, self._with_bins(row, functionals)

    def _with_bins(self, row: dict[str, Any], functionals: Functionals) -> dict[str, Any]:
        """Return the row with the bins and the gender of the changed functionals."""
        values = dict(functionals)
        gender = values.pop("gender")
        bins = {f"{name}_bin": self.bins.bin_of(name, value) for name, value in values.items()}
        return {**row, **bins, "gender": gender}

    def _caption(self, queries: list[str], attributes: list[str], rng: np.random.Generator) -> str:
        caption = sample_queries(queries, attributes, self.variant, rng, self.options.max_queries)
        emotions = [query for query, attribute in zip(queries, attributes, strict=True) if attribute == "emotion"]
        if self.variant.startswith("rand") and emotions and rng.random() < self.options.emotion_probability:
            drawn = caption.split(" and ")
            others = [query for query in drawn if query not in emotions][: len(drawn) - 1]
            caption = " and ".join([emotions[rng.integers(len(emotions))], *others])
        return caption

    def _waveform(self, index: int, audio: bytes | None) -> np.ndarray:
        if self.decoded is None:
            return load_audio(self.audio[index] if audio is None else audio, SAMPLING_RATE)
        if index not in self.decoded:
            waveform = load_audio(self.audio[index] if audio is None else audio, SAMPLING_RATE)
            # 16 bits as in most sources, also in the first epoch so that all epochs are alike.
            self.decoded[index] = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
        return self.decoded[index] * np.float32(1 / 32768)
