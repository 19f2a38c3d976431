"""The training loader: the order of the utterances, their batches, and the rest of an interrupted epoch."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader, Sampler

from modeling_paraclap.losses_paraclap import LOSSES
from modeling_paraclap.processing_paraclap import ParaClapProcessor

from .arguments import Arguments
from .audio_states import AudioStates
from .batches import Collator, vocabulary_of
from .calm import CALM
from .corpus_files import SAMPLING_RATE, load_split, read_corpus_bins
from .errors import TrainingError
from .state_corpus import StateCorpus
from .stop import leave_signals_to_the_trainer
from .stream import RowGroups, StreamedCorpus, StreamSampler
from .utterances import QueryCorpus


class EpochSampler(Sampler):
    """Yield `(epoch, i)` in a new random order each epoch, which depends only on the seed and the epoch.

    The training loop sets `epoch`. There is no `set_epoch`, which accelerate would call with its own count of epochs
    that restarts when a run is resumed.

    Args:
        size: Number of utterances, and of draws per epoch.
        seed: Seed of the order.
        weights: (size,) probabilities for drawing with replacement; without them, each utterance is drawn once.
    """

    def __init__(self, size: int, seed: int, weights: np.ndarray | None = None):
        self.size, self.seed, self.weights, self.epoch = size, seed, weights, 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.size) if self.weights is None else rng.choice(self.size, self.size, p=self.weights)
        return iter([(self.epoch, int(item)) for item in order])


def balance_weights(labels: pd.DataFrame, power: float, corpora: str = "") -> np.ndarray:
    """Return sampling probabilities that balance corpora and, within each, emotions.

    A pair of corpus and emotion with n utterances gets a share proportional to n ** (1 - power): 0 leaves the
    frequencies unchanged, 1 makes them equal.

    Args:
        labels: Table with the columns corpus and emotion.
        power: In [0, 1].
        corpora: Sampling factors of corpora, such as "librispeech=3,nemo=2".

    Returns:
        (rows,) float64 probabilities that sum to 1.

    Raises:
        TrainingError: If a corpus is not in the table, or its factor is not a positive number.
    """
    pairs = labels["corpus"] + "/" + labels["emotion"].fillna("")
    weights = pairs.map(pairs.value_counts()).to_numpy(float) ** -power
    for entry in filter(None, corpora.split(",")):
        name, _, factor = entry.partition("=")
        rows = (labels["corpus"] == name.strip()).to_numpy()
        try:
            factor = float(factor)
        except ValueError:
            factor = 0.0  # refused below
        if not rows.any() or not 0 < factor < math.inf:
            raise TrainingError(
                f"--corpus_weights has {entry!r}; expected NAME=FACTOR with a factor above 0 and one of the corpora "
                f"{', '.join(sorted(labels['corpus'].unique()))}."
            )
        weights[rows] *= factor
    return weights / weights.sum()


def build_loader(
    args: Arguments,
    processor: ParaClapProcessor,
    process: int = 0,
    processes: int = 1,
    states: AudioStates | None = None,
) -> DataLoader:
    """Return a loader of batches of random crops with random captions; its `sampler` sets their order.

    A streamed corpus gives each process its own part; otherwise accelerate distributes the batches.

    Args:
        args: Arguments of the run.
        processor: Tokenizer and feature extractor.
        process: Index of this process.
        processes: Number of processes.
        states: Precomputed states of the audio, if any.

    Raises:
        TrainingError: If there is less than one batch for each process.
    """
    corpus, sampler = build_corpus(args, process, processes, states)
    batch_size = args.recipe.batch_size
    if len(sampler) < batch_size:
        raise TrainingError(
            f"The training split has {len(sampler)} utterances for each process, less than one batch of "
            f"{batch_size}. Streaming distributes whole row groups and needs several for each process."
            if args.corpus.streaming
            else f"The training split has {len(corpus)} utterances, less than one batch of {batch_size}."
        )
    pad_to = None if args.corpus.pad_to_longest else int(args.corpus.crop_s * SAMPLING_RATE)
    vocabulary = None
    if LOSSES[args.recipe.loss_type].needs_positives:
        further = [CALM] if args.corpus.calm else []
        vocabulary = vocabulary_of(corpus.labels, bool(args.corpus.emotion_words), further)
    # A short last batch would have fewer negatives and, across processes, repeated samples as false negatives.
    return DataLoader(
        corpus,
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=Collator(processor, pad_to, vocabulary, args.recipe.query_bank),
        num_workers=args.run.num_workers,
        drop_last=True,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=leave_signals_to_the_trainer,
        persistent_workers=args.run.num_workers > 0,
        # Otherwise each new iterator draws from torch's global generator, which changes the dropout of a resumed epoch.
        generator=torch.Generator().manual_seed(args.recipe.seed),
    )


def build_corpus(
    args: Arguments, process: int, processes: int, states: AudioStates | None = None
) -> tuple[QueryCorpus, EpochSampler] | tuple[StreamedCorpus, StreamSampler]:
    """Return the utterances of the training split, and the sampler that sets their order; see [`build_loader`]."""
    corpus_dir, split, seed = args.paths.corpus_dir, args.paths.train_split, args.recipe.seed
    bins = read_corpus_bins(corpus_dir) if states or any(vars(args.augmentation).values()) else None
    options = (args.corpus, args.augmentation, bins, seed)
    if args.corpus.streaming:
        groups = RowGroups(corpus_dir, split, "emotion" if args.corpus.variant == "only_emo" else None)
        sampler = StreamSampler(groups, seed, args.recipe.batch_size, args.corpus.shuffle_rows, process, processes)
        return StreamedCorpus(groups, *options), sampler
    rows = load_split(corpus_dir, split)
    corpus = StateCorpus(rows, *options, states=states) if states else QueryCorpus(rows, *options)
    weights = None
    if args.corpus.balance:
        labels = corpus.labels.iloc[corpus.indices]
        weights = balance_weights(labels, args.corpus.balance, args.corpus.corpus_weights)
    return corpus, EpochSampler(len(corpus), seed, weights)


def prepare_loader(loader: DataLoader, accelerator: Accelerator) -> DataLoader:
    """Return the loader with its batches on the device, distributed over the processes if they share them."""
    if isinstance(loader.sampler, StreamSampler):  # each process reads its own rows
        return prepare_data_loader(loader, accelerator.device, num_processes=1, process_index=0, put_on_device=True)
    return accelerator.prepare(loader)


def rest_of_epoch(
    loader: DataLoader, sampler: EpochSampler | StreamSampler, accelerator: Accelerator, epoch: int, batch: int
) -> Iterable[dict[str, torch.Tensor]]:
    """Return the remaining batches of an epoch.

    Args:
        loader: The loader returned by [`prepare_loader`].
        sampler: The sampler of the loader before it was prepared.
        accelerator: The run's accelerator.
        epoch: Number of the epoch.
        batch: Number of the first batch.
    """
    sampler.epoch = epoch
    if isinstance(sampler, StreamSampler):
        sampler.first_batch = batch
        return loader
    return accelerator.skip_first_batches(loader, batch) if batch else loader
