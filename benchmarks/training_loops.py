"""The training loops that `benchmarks.training` compares, each in a process of its own.

A loop is a function of a [`Recipe`] that builds model, data and optimizer and returns a function that makes one
step and tells how many seconds of it were spent waiting for data.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import soundfile
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer, WhisperConfig, WhisperFeatureExtractor
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from benchmarks.memory import peak_mb
from modeling_paraclap.pooling_paraclap import masked_mean
from modeling_paraclap.whisper_tower_paraclap import ParaClapWhisperModel
from paraclap.training.arguments import Arguments, parse_arguments
from paraclap.training.build import build, lay_out, prepare_machine
from paraclap.training.corpus_files import SAMPLING_RATE
from paraclap.training.loader import build_loader
from paraclap.training.optimizer import build_optimizer
from paraclap.training.step import ContrastiveStep

CROP = 5 * SAMPLING_RATE
Step = Callable[[], float]


@dataclass(frozen=True)
class Recipe:
    """What all loops are given.

    Attributes:
        folder: holds `corpus/`, the query corpus, and beside it `audio/*.wav` with `audio/*.json`, captions of each.
        words: arguments of `train_accelerate.py`, among them the model's and the batch size.
        threads: torch's.
        workers: processes that load data for ours; the authors' loader has none.
        busy: whether the machine has other work: seconds are then those of the process's CPU time over its threads.
    """

    folder: Path
    words: tuple[str, ...]
    threads: int
    workers: int
    busy: bool = False

    def clock(self) -> float:
        """Return the wall-clock seconds, or the CPU seconds of this process."""
        return time.process_time() / self.threads if self.busy else time.perf_counter()

    def arguments(self, *more: str) -> Arguments:
        """Return the arguments of ours, and of the model of any."""
        words = [
            "--corpus_dir",
            str(self.folder / "corpus"),
            "--output_dir",
            "none",
            "--num_workers",
            str(self.workers),
        ]
        return parse_arguments([*words, *self.words, *more])


class WholeFiles(Dataset):
    """As the authors' data set goes: the whole file is read, then cropped or padded; a JSON beside it has captions."""

    def __init__(self, folder: Path, max_queries: int):
        self.files, self.max_queries = sorted(folder.glob("*.wav")), max_queries

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index: int):
        waveform = torch.from_numpy(soundfile.read(self.files[index], dtype="float32")[0])
        if len(waveform) > CROP:
            start = random.randrange(len(waveform) - CROP + 1)
            waveform = waveform[start : start + CROP]
        queries = json.loads(self.files[index].with_suffix(".json").read_text())
        caption = " and ".join(random.sample(queries, random.randint(1, min(self.max_queries, len(queries)))))
        return F.pad(waveform, (0, CROP - len(waveform))), caption


def forever(loader: DataLoader, after_epoch: Callable[[], None] = lambda: None) -> Iterator[Any]:
    """Yield batches of one epoch after the other."""
    while True:
        yield from loader
        after_epoch()


def authors_way(recipe: Recipe) -> Step:
    """Return the authors' loop as they describe it: fp32, no workers, texts tokenized in the loop, no audio mask."""
    args = recipe.arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(args)[0].to(device).train()
    tokenizer = AutoTokenizer.from_pretrained(args.model.tokenizer_name_or_path)
    towers = [p for tower in (model.audio_model, model.text_model) for p in tower.parameters() if p.requires_grad]
    heads = [p for name, p in model.named_parameters() if not name.startswith(("audio_model.", "text_model."))]
    optimizer = torch.optim.Adam([{"params": towers, "lr": 1e-5}, {"params": heads, "lr": 1e-3}])
    data = WholeFiles(recipe.folder / "audio", args.corpus.max_queries)
    batches = forever(DataLoader(data, args.recipe.batch_size, shuffle=True, drop_last=True))

    def step() -> float:
        start = recipe.clock()
        waveforms, captions = next(batches)
        tokens = tokenizer(list(captions), padding=True, return_tensors="pt").to(device)
        waiting = recipe.clock() - start
        audio = model.audio_projection(model.audio_model(waveforms.to(device)).last_hidden_state.mean(1))
        states = model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        cls = model.config.text_pooling == "cls"
        text = model.text_projection(states[:, 0] if cls else masked_mean(states, tokens["attention_mask"]))
        logits = model.similarity(F.normalize(audio, dim=-1), F.normalize(text, dim=-1))
        own = torch.arange(len(logits), device=device)
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.t(), own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        return waiting

    return step


class StockWhisper(nn.Module):
    """transformers' own Whisper encoder in place of ours: every utterance is padded to 30 s.

    Args:
        tower: Our tower, whose shape it takes and whose frames it returns.
    """

    def __init__(self, tower: ParaClapWhisperModel):
        super().__init__()
        config, self.dtype = tower.config, torch.float32
        self.frames_per_state = config.frames_per_state
        self._get_feat_extract_output_lengths = tower._get_feat_extract_output_lengths
        self.extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        shape = {name: getattr(config, name) for name in ("d_model", "encoder_attention_heads", "encoder_ffn_dim")}
        self.encoder = WhisperEncoder(
            WhisperConfig(encoder_layers=config.num_hidden_layers, num_mel_bins=config.num_mel_bins, **shape)
        )

    def forward(self, input_values: torch.Tensor, **_: Any) -> BaseModelOutput:
        """Encode (batch, samples) waveforms to states before and after each layer, (batch, frames, d_model)."""
        samples = list(input_values.cpu().numpy())
        with torch.autocast("cpu", enabled=False):
            features = self.extractor(samples, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
        outputs = self.encoder(features.to(input_values.device), output_hidden_states=True)
        states = [state.unflatten(1, (-1, self.frames_per_state)).mean(2) for state in outputs.hidden_states]
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=tuple(states))


def ours(recipe: Recipe, *more: str, padded: bool = False) -> Step:
    """Return the loop of `train_accelerate.py`, without logs and checkpoints; `padded` with transformers' Whisper."""
    args = recipe.arguments(*more)
    accelerator = Accelerator(mixed_precision=args.run.mixed_precision)
    prepare_machine(args.run.tf32, accelerator.device)
    model, processor = build(args)
    if padded:
        model.audio_model = StockWhisper(model.audio_model).requires_grad_(False)
    lay_out(model, accelerator)
    loader = build_loader(args, processor)
    sampler = loader.sampler
    optimizer = build_optimizer(model, args.recipe)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    batches = forever(loader, lambda: setattr(sampler, "epoch", sampler.epoch + 1))
    step_of = ContrastiveStep(accelerator, model.train())

    def step() -> float:
        start = recipe.clock()
        batch = next(batches)
        waiting = recipe.clock() - start
        step_of(batch)
        optimizer.step()
        optimizer.zero_grad()
        return waiting

    return step


LOOPS: dict[str, Callable[[Recipe], Step]] = {
    "(a) the authors' way": authors_way,
    "(b) ours, fp32": lambda recipe: ours(recipe, "--mixed_precision", "no"),
    "(c) ours, bf16": lambda recipe: ours(recipe, "--mixed_precision", "bf16"),
    "(d) ours, bf16, compiled": lambda recipe: ours(recipe, "--mixed_precision", "bf16", "--compile"),
}
# For the default model's recipe.
BASE_LOOPS: dict[str, Callable[[Recipe], Step]] = {
    "(p) transformers' Whisper, padded, bf16": lambda recipe: ours(recipe, "--mixed_precision", "bf16", padded=True),
    "(c) ours, bf16": LOOPS["(c) ours, bf16"],
}


def serve(connection: Connection, name: str, recipe: Recipe, warm_up: int) -> None:
    """Serve one loop in its own process: build it, warm it up, and make as many steps as requested.

    Args:
        connection: Receives numbers of steps, and 0 for the end. Sends `(operations, seconds)` of one
            step and of all that came before the first number; then `(seconds, seconds waiting)` for each number, and
            at the end the peak memory in MB, the accelerator's where there is one.
        name: Name of the loop.
        recipe: The model and data to train on.
        warm_up: Steps that are not timed, the first of which is counted in operations.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(0)
    start = time.perf_counter()
    step = (LOOPS | BASE_LOOPS)[name](recipe)
    operations = FlopCounterMode(display=False)
    if "compiled" in name:  # compiled code is not counted
        step()
    else:
        with operations:
            step()
    for _ in range(warm_up - 1):
        step()
    finish()
    connection.send((operations.get_total_flops(), time.perf_counter() - start))
    while steps := connection.recv():
        start = recipe.clock()
        waiting = sum(step() for _ in range(steps))
        finish()
        connection.send((recipe.clock() - start, waiting))
    on_device = torch.cuda.is_available() and torch.cuda.max_memory_allocated() / 2**20
    connection.send(on_device or peak_mb())


def finish() -> None:
    """Wait for what the accelerator still has to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
