"""Systems under evaluation: a ParaCLAP release, another zero-shot model, or answers in free text.

All three embed utterances and labels in one space; the evaluator does the rest, so that all results follow the same
protocol.
"""

import importlib
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import AutoConfig
from transformers.utils import cached_file

from modeling_paraclap import ParaClapConfig, ParaClapModel, ParaClapProcessor
from modeling_paraclap.clips_paraclap import Clip, Loader, Windows
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings

from .answers import SentenceEncoder, load_answers
from .embedding import embed_audio
from .models import METHODS, ModelFacts, SentenceModel, TransformersModel, UnusableModel, ZeroShotModel

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
ANSWERS_SCALE = 3.0  # affects only the spread of the reported scores, not the predictions


class System(ABC):
    """A system under evaluation.

    Attributes:
        facts: Input format of the system.
    """

    facts: ModelFacts

    @abstractmethod
    def embed_utterances(
        self, frame: pd.DataFrame, batch_size: int, max_length_s: float | None
    ) -> tuple[torch.Tensor, dict[int, str]]:
        """Embed the utterances of a corpus.

        Args:
            frame: Table with the columns `path` and `file`.
            batch_size: Utterances per forward pass, if the system supports batches.
            max_length_s: Seconds to keep of a longer utterance, from its start; None for all.

        Returns:
            (usable, dim) float32 embeddings of unit length on the CPU, in the order of the frame, and the reason
            for each unusable utterance by its row.
        """

    @abstractmethod
    def embed_labels(self, prompts: list[list[str]]) -> torch.Tensor:
        """Return (labels, dim) float32 embeddings of unit length; several texts of a label are averaged."""


class ReleaseSystem(System):
    """A ParaCLAP release, with the preprocessing of the pipeline.

    Args:
        name: Folder or Hub id.
        device: The torch device.
    """

    def __init__(self, name: str, device: str):
        self.model = ParaClapModel.from_pretrained(name, dtype=torch.float32).eval().to(device)
        self.processor = ParaClapProcessor.from_pretrained(name)
        self.texts = TextEmbeddings()
        extractor = self.processor.feature_extractor
        self.facts = ModelFacts(
            name=name,
            kind="ParaClapModel",
            sampling_rate=extractor.sampling_rate,
            template=self.model.config.hypothesis_template,
            preprocessing="whole utterance" + (", unit variance" if extractor.do_normalize else ""),
            logit_scale=self.model.logit_scale.item(),
        )

    def embed_utterances(
        self, frame: pd.DataFrame, batch_size: int, max_length_s: float | None
    ) -> tuple[torch.Tensor, dict[int, str]]:
        """Embed the utterances of a corpus; see [`System`]."""
        return embed_audio(self.model, self.processor.feature_extractor, list(frame["path"]), batch_size, max_length_s)

    def embed_labels(self, prompts: list[list[str]]) -> torch.Tensor:
        """Return (labels, dim) embeddings; see [`System`]."""
        return self.texts.of_labels(self.model, self.processor.tokenizer, prompts).cpu()


class AdapterSystem(System):
    """Any object with the three methods of [`ZeroShotModel`].

    Args:
        model: The adapter.
    """

    def __init__(self, model: ZeroShotModel):
        self.model, self.facts = model, model.describe()

    def embed_utterances(
        self, frame: pd.DataFrame, batch_size: int, max_length_s: float | None
    ) -> tuple[torch.Tensor, dict[int, str]]:
        """Embed the utterances of a corpus, with the same checks as for a release; see [`System`]."""
        load = Loader(self.facts.sampling_rate, least_samples=1, longest_s=max_length_s)
        embeds: list[torch.Tensor] = []
        reasons: dict[int, str] = {}
        pending = []
        for row, path in enumerate(tqdm(frame["path"], desc="Embedding", unit="utterance")):
            clip = load(path, windows=Windows("whole"), on_error="report")
            if not isinstance(clip, Clip):
                reasons[row] = clip.reason
                continue
            pending.append(clip.waveform)
            if len(pending) == batch_size:
                embeds.append(self.model.embed_audio(pending))
                pending = []
        if pending:
            embeds.append(self.model.embed_audio(pending))
        size = self.model.embed_texts(["size"]).shape[-1]
        return F.normalize(torch.cat(embeds).float(), dim=-1) if embeds else torch.zeros(0, size), reasons

    def embed_labels(self, prompts: list[list[str]]) -> torch.Tensor:
        """Return (labels, dim) embeddings; see [`System`]."""
        return average_texts(self.model.embed_texts, prompts)


class AnswersSystem(System):
    """A system that answered each file in free text.

    Args:
        name: Name of the system in the results.
        answers: File name in the corpus -> answer.
        encoder: Encoder of answers and labels.
    """

    def __init__(self, name: str, answers: dict[str, str], encoder: SentenceEncoder):
        self.answers, self.encoder = answers, encoder
        self.facts = ModelFacts(
            name=name,
            kind="answers in free text",
            sampling_rate=0,
            template="{}",
            preprocessing="answers matched to labels by the similarity of their text embeddings",
            logit_scale=ANSWERS_SCALE,
        )

    def embed_utterances(
        self, frame: pd.DataFrame, batch_size: int, max_length_s: float | None
    ) -> tuple[torch.Tensor, dict[int, str]]:
        """Return the text embeddings of the files' answers; see [`System`]."""
        found = [self.answers.get(file) for file in frame["file"]]
        reasons = {row: "The system has no answer for it." for row, answer in enumerate(found) if not answer}
        distinct = list(dict.fromkeys(answer for answer in found if answer))
        if not distinct:
            return torch.zeros(0, 1), reasons
        rows = {answer: row for row, answer in enumerate(distinct)}
        return self.encoder(distinct)[[rows[answer] for answer in found if answer]], reasons

    def embed_labels(self, prompts: list[list[str]]) -> torch.Tensor:
        """Return (labels, dim) embeddings; see [`System`]."""
        return average_texts(self.encoder, prompts)


def average_texts(embed: ZeroShotModel.embed_texts, prompts: Sequence[Sequence[str]]) -> torch.Tensor:
    """Return (labels, dim): the mean of the unit-length embeddings of each label's texts, at unit length."""
    texts = list(dict.fromkeys(text for group in prompts for text in group))
    embeds = F.normalize(embed(texts).float(), dim=-1)
    rows = {text: row for row, text in enumerate(texts)}
    return F.normalize(torch.stack([embeds[[rows[text] for text in group]].mean(0) for group in prompts]), dim=-1)


def is_factory(model: str) -> bool:
    """Return whether a model is given as `MODULE:FACTORY` rather than as a folder."""
    return bool(FACTORY.fullmatch(model)) and not Path(model).exists()


def load_system(
    model: str, device: str = "cpu", answers: Path | None = None, text_encoder: str | Path | None = None
) -> System:
    """Load the system given with `--model`.

    Args:
        model: ParaCLAP release, transformers or sentence-transformers model (folder or Hub id), or `MODULE:FACTORY`;
            with `answers`, the name of the system in the results.
        device: The torch device.
        answers: CSV with the answers of a system.
        text_encoder: Sentence encoder that matches answers to labels (folder or Hub id).

    Raises:
        UnusableModel: If the model does not embed audio, or the factory does not exist or returns another object.
        AnswerError: If the file of answers is invalid.
        OSError: If a model is found neither locally nor on the Hub.
    """
    if answers is not None:
        return AnswersSystem(model, load_answers(answers), SentenceEncoder(text_encoder))
    if is_factory(model):
        return AdapterSystem(_from_factory(model))
    if cached_file(model, "modules.json", _raise_exceptions_for_missing_entries=False):
        return AdapterSystem(SentenceModel(model, device))
    if AutoConfig.from_pretrained(model).model_type == ParaClapConfig.model_type:
        return ReleaseSystem(model, device)
    return AdapterSystem(TransformersModel(model, device))


def _from_factory(name: str) -> ZeroShotModel:
    """Call the factory of the user's module, which may be in the working directory."""
    module_name, _, factory = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise UnusableModel(f"{name}: the module {module_name!r} is neither in {Path.cwd()} nor installed.") from error
    if not callable(getattr(module, factory, None)):
        raise UnusableModel(f"{name}: the module {module_name} has no function {factory!r}.")
    model = getattr(module, factory)()
    missing = [method for method in METHODS if not callable(getattr(model, method, None))]
    if missing:
        raise UnusableModel(
            f"{name} returned a {type(model).__name__} without {', '.join(missing)}; the evaluator needs "
            f"{', '.join(METHODS)} (paraclap/evaluation/models.py)."
        )
    return model
