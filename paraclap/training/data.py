"""From the query corpus to batches: random crop, random caption, tokens."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import fsspec
import numpy as np
import torch
from datasets import Audio, load_dataset
from torch.utils.data import Dataset, Sampler

from dataset_scripts.binning import ATTRIBUTES, Bins
from dataset_scripts.queries import (
    EMOTION_NOUNS,
    TEMPLATES,
    generate_queries,
    queries_of_variant,
    sample_queries,
    usual_dimensions,
)
from modeling_paraclap.audio_paraclap import load_audio, load_crop

from .augment import augment

SAMPLING_RATE = 16000
# Attribute of a query -> the column that selects it.
SOURCES = {"emotion": "emotion", "gender": "gender"} | {name: f"{name}_bin" for name in ATTRIBUTES}
GROUPS = {attribute: number for number, attribute in enumerate(SOURCES)}
AUGMENTED = ("pitch_mean", "pitch_std", "intensity", "duration")


def load_split(corpus_dir, split):
    """One split of a query corpus as `dataset_scripts.build_query_corpus` writes it, or several: `train+validation`.

    Raises:
        FileNotFoundError: If there is no such split in the folder.
    """
    files = [file if is_remote(corpus_dir) else file.removeprefix("file://") for file in files_of(corpus_dir, split)]
    name = split.replace("+", "_and_")
    rows = load_dataset("parquet", data_files={name: files}, split=name)
    return rows.cast_column("audio", Audio(SAMPLING_RATE, decode=False))


def is_remote(corpus_dir):
    """Whether the corpus lies elsewhere, as `hf://datasets/ORG/NAME` or `s3://bucket/path` do."""
    return "://" in str(corpus_dir)


def files_of(corpus_dir, split):
    """Addresses of the Parquet files of a split, or of several (`train+validation`), in order.

    Raises:
        FileNotFoundError: If there is no such split in the folder.
    """
    filesystem, folder = fsspec.url_to_fs(str(corpus_dir))
    files = []
    for name in split.split("+"):
        found = sorted(filesystem.unstrip_protocol(file) for file in filesystem.glob(f"{folder}/data/{name}-*.parquet"))
        if not found:
            raise FileNotFoundError(
                f"{corpus_dir} has no data/{name}-*.parquet; "
                "build the corpus with: python -m dataset_scripts.build_query_corpus --output_dir " + str(corpus_dir)
            )
        files += found
    return files


class EncodedAudio(Sequence):
    """The encoded audio of a split, row by row: bytes, or a path where the corpus was built without audio."""

    def __init__(self, rows):
        self.rows = rows.select_columns("audio")  # else every column of the row is decoded

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        audio = self.rows[index]["audio"]
        return audio["path"] if audio["bytes"] is None else audio["bytes"]


class QueryCorpus(Dataset):
    """Utterances with a random crop and a random caption each time they are asked for.

    What is drawn depends on the seed, the epoch and the utterance alone, so a resumed epoch, another number of workers
    and another batch size draw the same.

    Args:
        rows: A split from [`load_split`].
        variant: `rand5`, `rand1`, `only_emo` or `no_emo` (paper, section 3.3).
        crop_s: Length of the crop in seconds; shorter utterances stay as they are and are padded in the batch.
        max_queries: Largest number of queries in a caption.
        emotion_probability: Probability that a caption starts with an emotion query, in the place of one drawn.
        usual_dimensions: Whether emotions tell arousal, valence and dominance where nobody annotated them.
        augmentation: Keyword arguments of [`augment`]; empty for none. Of an utterance with a labelled emotion no
            `part` is taken, as that may not hold it.
        bins: [`Bins`] of the corpus, to draw queries of augmented utterances.
        keep_decoded: Whether to keep decoded audio in memory (32 kB a second), which saves decoding it each epoch.
        seed: Seed of all that is random here.
        labels: Table of all that is said of the split, if its rows are not at hand.
    """

    def __init__(
        self,
        rows,
        variant="rand5",
        crop_s=5.0,
        max_queries=5,
        emotion_probability=0.0,
        usual_dimensions=False,
        augmentation=None,
        bins=None,
        keep_decoded=False,
        seed=0,
        labels=None,
    ):
        self.audio = None if rows is None else EncodedAudio(rows)
        self.variant = variant
        self.crop = int(crop_s * SAMPLING_RATE)
        self.max_queries = max_queries
        self.emotion_probability = emotion_probability
        self.usual_dimensions = usual_dimensions
        self.augmentation = {name: value for name, value in (augmentation or {}).items() if value}
        if self.augmentation and bins is None:
            raise ValueError(
                "Augmentation changes pitch, level and duration: give the corpus's bins to re-draw queries."
            )
        self.bins = bins
        self.seed = seed
        self.decoded = {} if keep_decoded else None
        self.labels = rows.remove_columns("audio").to_pandas() if labels is None else labels
        # A row of a table takes pandas longer than its audio takes to decode.
        self.columns = {name: column.to_numpy() for name, column in self.labels.items()}
        if variant == "only_emo":
            self.indices = np.flatnonzero(self.labels["emotion"].notna())
        else:
            self.indices = np.arange(len(self.labels))
        emotions = self.labels["emotion"].dropna().unique()
        self.emotion_queries = {
            emotion: {text for _, text in generate_queries({"emotion": emotion})} for emotion in emotions
        }
        self.annotated = {corpus: set(of.dropna()) for corpus, of in self.labels.groupby("corpus")["emotion"]}
        if not len(self.indices):
            raise ValueError(f"No utterance of this split has a query for variant {variant!r}.")

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, key):
        """`(epoch, i)` to a dict of what is heard and what is said of it; see [`example`]."""
        epoch, item = key
        index = int(self.indices[item])
        return self.example(epoch, index, {name: column[index] for name, column in self.columns.items()})

    def example(self, epoch, index, row, audio=None):
        """What is heard of an utterance in an epoch, and what is said of it.

        Args:
            epoch: Its number.
            index: Number of the utterance in the split.
            row: Its labels.
            audio: Its encoded audio; looked up if not given.

        Returns:
            `waveform` (samples,); `caption`; `queries`, all that hold and that the variant tells; and what nobody knows
            of the utterance: `unknown_attributes`, and `unknown_queries`, those of emotions that its corpus does not
            tell apart.
        """
        rng = np.random.default_rng([self.seed, epoch, index])
        # Augmentation needs the whole utterance, whose functionals it changes; without it only the crop is decoded.
        whole = self.augmentation or self.decoded is not None
        if whole:
            waveform = self._waveform(index, audio)
        else:
            waveform = load_crop(self.audio[index] if audio is None else audio, self.crop, rng, SAMPLING_RATE)
        if self.augmentation:
            augmentation = self.augmentation | ({"part": 0.0} if isinstance(row["emotion"], str) else {})
            changed = {name: row[name] if np.isfinite(row[name]) else None for name in AUGMENTED}
            changed["gender"] = row["gender"]
            waveform, changed = augment(waveform, changed, rng, **augmentation)
            gender = changed.pop("gender")
            bins = {f"{name}_bin": self.bins.bin_of(name, value) for name, value in changed.items()}
            row = {**row, **bins, "gender": gender}
            pairs = generate_queries(row)
        else:
            pairs = list(zip(row["query_attributes"], row["queries"], strict=True))
        unknown = []
        if self.usual_dimensions:
            usual, holds, unknown = usual_dimensions(row)
            row, pairs = {**row, **usual}, holds + pairs
        attributes, queries = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        if len(waveform) > self.crop:
            start = int(rng.integers(len(waveform) - self.crop + 1))
            waveform = waveform[start : start + self.crop]
        caption = self._caption(queries, attributes, rng)
        unknown_emotions = self.emotion_queries.keys() - self.annotated[row["corpus"]]
        return {
            "waveform": waveform,
            "caption": caption,
            "queries": queries_of_variant(queries, attributes, self.variant),
            "unknown_attributes": {name for name, column in SOURCES.items() if not isinstance(row[column], str)},
            "unknown_queries": {text for _, text in unknown}.union(
                *(self.emotion_queries[emotion] for emotion in unknown_emotions)
            ),
        }

    def _caption(self, queries, attributes, rng):
        caption = sample_queries(queries, attributes, self.variant, rng, self.max_queries)
        emotions = [query for query, attribute in zip(queries, attributes, strict=True) if attribute == "emotion"]
        if self.variant.startswith("rand") and emotions and rng.random() < self.emotion_probability:
            drawn = caption.split(" and ")
            others = [query for query in drawn if query not in emotions][: len(drawn) - 1]
            caption = " and ".join([emotions[rng.integers(len(emotions))], *others])
        return caption

    def _waveform(self, index, audio):
        if self.decoded is None:
            return load_audio(self.audio[index] if audio is None else audio, SAMPLING_RATE)
        if index not in self.decoded:
            waveform = load_audio(self.audio[index] if audio is None else audio, SAMPLING_RATE)
            # 16 bits as in most sources; the first epoch hears them too.
            self.decoded[index] = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
        return self.decoded[index] * np.float32(1 / 32768)


class EpochSampler(Sampler):
    """A new random order each epoch that depends on the seed and the epoch alone; yields `(epoch, i)`.

    Args:
        size: Number of utterances, and of draws in an epoch.
        seed: Seed.
        weights: (size,), probability of each to be drawn, with replacement; without it each comes once.

    `epoch` is set by the training loop. There is no `set_epoch`: accelerate would call it with its own count of epochs,
    which starts anew when a run is resumed.
    """

    def __init__(self, size, seed, weights=None):
        self.size, self.seed, self.weights, self.epoch = size, seed, weights, 0

    def __len__(self):
        return self.size

    def __iter__(self):
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.size) if self.weights is None else rng.choice(self.size, self.size, p=self.weights)
        return iter([(self.epoch, int(item)) for item in order])


def balance_weights(labels, power, corpora=""):
    """Probabilities that even out corpora and, within each, emotions.

    A pair of corpus and emotion with n utterances gets the share of n ** (1 - power): 0 leaves it as it is, 1 gives
    every pair the same share.

    Args:
        labels: Table with the columns corpus and emotion.
        power: In [0, 1].
        corpora: How many times as often to draw from a corpus, as "librispeech=3,nemo=2".

    Returns:
        (rows,) float64 that sum to 1.

    Raises:
        ValueError: If a corpus is not in the table, or its factor no positive number.
    """
    pairs = labels["corpus"] + "/" + labels["emotion"].fillna("")
    weights = pairs.map(pairs.value_counts()).to_numpy(float) ** -power
    for entry in filter(None, corpora.split(",")):
        name, _, factor = entry.partition("=")
        rows = (labels["corpus"] == name.strip()).to_numpy()
        try:
            factor = float(factor)
        except ValueError:
            factor = 0.0  # refused as any other that is not above 0
        if not rows.any() or not 0 < factor < math.inf:
            raise ValueError(
                f"--corpus_weights has {entry!r}; write NAME=FACTOR, a factor above 0 and one of the corpora "
                f"{', '.join(sorted(labels['corpus'].unique()))}."
            )
        weights[rows] *= factor
    return weights / weights.sum()


class Collator:
    """Utterances with captions to one batch of tensors, padded to the crop length.

    Args:
        processor: A `ParaClapProcessor`.
        pad_to: Samples that each batch is padded to; None for the longest of the batch.
        vocabulary: Every query that occurs -> its attribute ([`vocabulary_of`]), for the losses with several positives:
            adds `said` (texts, queries), the queries that each text says; `holds` (n, queries), those that hold for
            each utterance; `unknown` (n, queries), those of which nobody knows whether they do: no label is not the
            label "no"; and `groups` (queries,), the number of each query's attribute. None for none of them.
        query_bank: Whether to put every single query of the batch's utterances behind the n captions, so that each
            utterance is compared with all that is said of any other, not with one caption of each.
    """

    def __init__(self, processor, pad_to=None, vocabulary=None, query_bank=False):
        if query_bank and vocabulary is None:
            raise ValueError("A query bank needs a loss with several positives: multi_positive, sigmoid or grouped.")
        self.processor, self.pad_to, self.query_bank = processor, pad_to, query_bank
        self.vocabulary = vocabulary
        # Queries of one attribute exclude each other; one of two attributes ("jitter+pitch_std") is in no group.
        self.groups = torch.tensor([GROUPS.get(attribute, -1) for attribute in (vocabulary or {}).values()])
        self.columns = {query: column for column, query in enumerate(vocabulary or ())}

    def __call__(self, examples):
        """A list of n examples of [`QueryCorpus`] to a dict of tensors."""
        texts = [example["caption"] for example in examples]
        if self.query_bank:
            texts += sorted({query for example in examples for query in example["queries"]})
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
            raise ValueError(
                f"A caption has {batch['input_ids'].shape[1]} tokens, the text encoder takes {limit}: lower "
                f"--max_queries or take another text encoder. The caption: {longest!r}"
            )
        if self.vocabulary is not None:
            batch["said"] = self._which([text.split(" and ") for text in texts])
            batch["holds"] = self._which([example["queries"] for example in examples])
            batch["groups"] = self.groups
            batch["unknown"] = self._which([self._unknown(example) for example in examples])
        return dict(batch)

    def _unknown(self, example):
        """The queries of which nobody knows whether they hold for this utterance."""
        return [
            query
            for query, attribute in self.vocabulary.items()
            if query in example["unknown_queries"] or not example["unknown_attributes"].isdisjoint(attribute.split("+"))
        ]

    def _which(self, queries):
        table = torch.zeros(len(queries), len(self.columns), dtype=torch.uint8)
        for row, of_one in enumerate(queries):
            table[row, [self.columns[query] for query in of_one]] = 1
        return table


def vocabulary_of(labels):
    """Every query that can be said of a split, the ones that augmentation can make true included -> its attribute.

    Args:
        labels: Table with the columns emotion, gender, queries and query_attributes.
    """
    queries = {}
    for of_one, attributes in zip(labels["queries"], labels["query_attributes"], strict=True):
        queries.update(zip(of_one, attributes, strict=True))
    emotions = [{"emotion": name, "emotion_noun": EMOTION_NOUNS[name]} for name in labels["emotion"].dropna().unique()]
    genders = [{"gender": name} for name in labels["gender"].dropna().unique()]
    for template in TEMPLATES:
        labelled = emotions if "{emotion" in template.text else genders if "{gender}" in template.text else [{}]
        queries.update((template.text.format(**label), template.attribute) for label in labelled)
    return dict(sorted(queries.items()))


def load_bins(corpus_dir):
    """The bins that the query corpus was made with."""
    with tempfile.TemporaryDirectory() as folder:
        return Bins.load(copy_bins(corpus_dir, folder))


def copy_bins(corpus_dir, folder):
    """Copies the corpus's bins.json into a folder, and returns its path there."""
    filesystem, source = fsspec.url_to_fs(str(corpus_dir))
    target = Path(folder) / "bins.json"
    filesystem.get_file(f"{source}/bins.json", str(target))
    return target
