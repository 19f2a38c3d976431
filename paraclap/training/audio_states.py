"""States of a frozen audio encoder, computed once for a few copies of each utterance and kept on disk.

A frozen encoder maps the same waveform to the same states in every epoch. Each utterance is therefore encoded once
unchanged and in some augmented copies, after which an epoch takes seconds. Many runs (seeds, recipes, selections of the
corpora) can share the folder: states are looked up by the content of the audio. It grows shard by shard, so that an
interrupted run continues where it stopped.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from modeling_paraclap.modeling_paraclap import ParaClapModel

from .arguments import AugmentationArguments
from .augment import Functionals, augment
from .corpus_files import SAMPLING_RATE
from .errors import TrainingError

SETTINGS_FILE = "settings.json"
IRRELEVANT = ("_name_or_path", "transformers_version", "dtype", "_attn_implementation")  # of an encoder's settings
SHARD = 512  # utterances, the most that an interruption loses
BATCH_SECONDS = 60  # of audio in a batch, padding included


@dataclass
class HeardStates:
    """States of one copy of an utterance.

    Attributes:
        states: (layers, frames, dim), float16.
        cues: (cues,), float32, the output of `ParaClapCues`; empty if the model has none.
        functionals: The functionals that `augment` returned for this copy.
    """

    states: np.ndarray
    cues: np.ndarray
    functionals: Functionals


class AudioStates:
    """A folder of states, for [`QueryCorpus`] to draw from.

    Args:
        folder: Folder of the states.
        augmentation: Augmentation of all copies but the first, which is the unchanged utterance. Gain and excerpts are
            excluded, as they are applied when a copy is drawn.
        copies: Number of copies of each utterance.
        model: Model with the frozen audio encoder.

    Raises:
        TrainingError: If the folder holds states of another encoder or of other augmentation, or its record is damaged.
    """

    def __init__(self, folder: Path, augmentation: AugmentationArguments, copies: int, model: ParaClapModel):
        self.folder, self.copies = Path(folder), copies
        self.augmentation = replace(augmentation, gain=0.0, part=0.0)
        settings = {
            "encoder": fingerprint(model),
            "augmentation": asdict(self.augmentation),
            "encoder_in_words": in_words(model),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / SETTINGS_FILE
        if file.is_file():
            refuse_other_states(file, settings)
        file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        self.shards: list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = []
        self.places: dict[tuple[str, int], tuple[int, int]] = {}  # (content, copy) -> shard and row
        self._open_all()

    def __getitem__(self, key: tuple[str, int]) -> HeardStates:
        """Return the states for a pair of content and copy."""
        shard, row = self.places[key]
        states, cues, columns = self.shards[shard]
        start = columns["start"][row]
        return HeardStates(
            states[:, start : start + columns["frames"][row]],
            cues[row],
            {name: none_if_missing(columns[name][row]) for name in columns if name not in ("start", "frames")},
        )

    def add(self, utterances: Sequence[tuple[str, Any]], model: ParaClapModel, accelerator: Accelerator) -> None:
        """Encode the copies that are missing from the folder.

        Args:
            utterances: Pairs of content ([`content_of`]) and a function that returns waveform and functionals.
            model: The model given to the constructor.
            accelerator: Accelerator that sets precision and device.
        """
        self._open_all()  # another process may have encoded meanwhile
        wanted = {(key, copy): load for copy in range(self.copies) for key, load in utterances}
        missing = [(key, load) for key, load in wanted.items() if key not in self.places]
        bar = tqdm(total=len(missing), desc="Encoding audio", unit="copy", disable=not missing)
        with bar:
            for start in range(0, len(missing), SHARD):
                self._add_shard(missing[start : start + SHARD], model, accelerator)
                bar.update(min(SHARD, len(missing) - start))

    def _add_shard(self, missing: Sequence, model: ParaClapModel, accelerator: Accelerator) -> None:
        copies = []
        for (content, copy), load in missing:
            waveform, functionals = load()
            if copy:
                rng = np.random.default_rng([copy, int(content[:16], 16)])
                waveform, functionals = augment(waveform, functionals, rng, self.augmentation)
            copies.append((content, copy, waveform, functionals))
        copies.sort(key=lambda one: len(one[2]))
        states, cues, rows, end = [], [], [], 0
        for batch in batches_of(copies):
            for one, (of_one, cues_of_one) in zip(batch, encode(batch, model, accelerator), strict=True):
                content, copy, _, functionals = one
                frames = of_one.shape[1]
                rows.append({"content": content, "copy": copy, "start": end, "frames": frames, **functionals})
                states.append(of_one)
                cues.append(cues_of_one)
                end += frames
        name = f"{len(self.shards):05}"
        np.save(self.folder / f"{name}.states.npy", np.concatenate(states, 1))
        np.save(self.folder / f"{name}.cues.npy", np.stack(cues))
        partial = self.folder / f"{name}.partial"
        pd.DataFrame(rows).to_parquet(partial)
        partial.rename(self.folder / f"{name}.parquet")  # a shard without its table does not count
        self._open(self.folder / f"{name}.parquet")

    def _open_all(self) -> None:
        for table in sorted(self.folder.glob("*.parquet"))[len(self.shards) :]:
            self._open(table)

    def _open(self, table: Path) -> None:
        rows = pd.read_parquet(table)
        for row, key in enumerate(zip(rows.pop("content"), rows.pop("copy"), strict=True)):
            self.places[key] = (len(self.shards), row)
        states = np.load(table.with_suffix(".states.npy"), mmap_mode="r")
        cues = np.load(table.with_suffix(".cues.npy"))
        self.shards.append((states, cues, {name: column.to_numpy() for name, column in rows.items()}))


def content_of(audio: bytes | str) -> str:
    """Return a hash of encoded audio, or of the file at a path."""
    return hashlib.sha256(audio if isinstance(audio, bytes) else Path(audio).read_bytes()).hexdigest()


def fingerprint(model: ParaClapModel) -> str:
    """Return a hash of what determines the states: audio encoder, kept layers, and presence of cues."""
    digest = hashlib.sha256(json.dumps([layers_of(model), model.cues is not None]).encode())
    config = {name: value for name, value in model.config.audio_config.to_dict().items() if name not in IRRELEVANT}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, value in sorted(model.audio_model.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def in_words(model: ParaClapModel) -> str:
    """Return what a reader calls the audio encoder of a model."""
    config = model.config.audio_config
    name = f"{Path(config.name_or_path).name}, " if config.name_or_path else ""
    return f"{name}{config.model_type} with {config.num_hidden_layers} layers of {config.hidden_size} channels"


def refuse_other_states(file: Path, settings: dict[str, Any]) -> None:
    """Compare the settings of a folder of states with what a run needs.

    Raises:
        TrainingError: If they differ, or the file cannot be read.
    """
    remedy = "Name another folder with --audio_states_dir, or remove this one: states can be computed again."
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        encoder, augmentation = found["encoder"], dict(found["augmentation"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{file} is damaged ({type(error).__name__}: {error}); expected the settings of a folder of states. "
            f"{remedy}"
        ) from error
    if encoder != settings["encoder"]:
        raise TrainingError(
            f"{file.parent} holds states of another audio encoder: {found.get('encoder_in_words', 'one')} "
            f"({str(encoder)[:12]}); this run's is {settings['encoder_in_words']} ({settings['encoder'][:12]}), the "
            f"number being a hash of its weights, its configuration and the layers that are kept. {remedy}"
        )
    wanted = settings["augmentation"]
    differing = [name for name in sorted({*augmentation, *wanted}) if augmentation.get(name) != wanted.get(name)]
    if differing:
        listed = ", ".join(f"{name} {augmentation.get(name)} (this run: {wanted.get(name)})" for name in differing)
        raise TrainingError(f"{file.parent} holds states of other augmentation: {listed}. {remedy}")


def layers_of(model: ParaClapModel) -> list[int]:
    """Return the indices of the layers whose states are kept."""
    return list(model.config.audio_layer_weights or [model.config.audio_config.num_hidden_layers])


def batches_of(copies: Sequence[tuple]) -> Iterator[list[tuple]]:
    """Yield consecutive copies (third entry: waveform, sorted by length) of at most `BATCH_SECONDS`, or single ones."""
    batch = []
    for one in copies:
        if batch and (len(batch) + 1) * len(one[2]) > BATCH_SECONDS * SAMPLING_RATE:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


@torch.inference_mode()
def encode(
    batch: Sequence[tuple], model: ParaClapModel, accelerator: Accelerator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the states (layers, frames, dim) and the cues of each copy of a batch."""
    waveforms = [torch.from_numpy(np.ascontiguousarray(one[2])) for one in batch]
    mask = pad_sequence([torch.ones(len(waveform), dtype=torch.bool) for waveform in waveforms], batch_first=True)
    device = accelerator.device
    with accelerator.autocast():
        heard = model.hear(pad_sequence(waveforms, batch_first=True).to(device), mask.to(device))
    kept = [heard.states[layer] for layer in model.config.audio_layer_weights or [-1]]
    states = torch.stack(kept, 1).to(torch.float16).cpu().numpy()
    frames = [states.shape[2]] * len(batch) if heard.mask is None else heard.mask.sum(1).tolist()
    cues = np.zeros((len(batch), 0), np.float32) if heard.cues is None else heard.cues.float().cpu().numpy()
    for row, length in enumerate(frames):
        yield states[row, :, :length], cues[row]


def none_if_missing(value: Any) -> Any:
    """Return the value, or None if it is missing, as `augment` expects."""
    return None if pd.isna(value) else value
