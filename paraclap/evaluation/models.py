"""A common interface of three methods for all zero-shot models, so that one evaluator serves them all.

`--model` takes a ParaCLAP release, any transformers model with `get_audio_features` and `get_text_features` (such as
`ClapModel`: laion/clap-htsat-unfused, laion/larger_clap_general), or `MODULE:FACTORY`, a function without arguments in
a module of your own that returns an object with the three methods of [`ZeroShotModel`]:

    # mymodel.py; then: paraclap evaluate --model mymodel:load --corpora ravdess=DIR --output_dir EVAL
    def load():
        return MyModel()
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from transformers import AutoModel, AutoProcessor

CLAP_TEMPLATE = "This is a sound of {}."  # of transformers' own zero-shot audio pipeline
METHODS = ("describe", "embed_audio", "embed_texts")


class UnusableModel(ValueError):
    """A model that the evaluator cannot use."""


@dataclass(frozen=True)
class ModelFacts:
    """Input format of a model, as recorded in the results.

    Attributes:
        name: Name of the model.
        kind: Class that loads it, such as "ParaClapModel".
        sampling_rate: Sampling rate of its input in Hz.
        template: Its own prompt template, with `{}` for the label.
        preprocessing: Description of the preprocessing of waveforms.
        logit_scale: Natural logarithm of the inverse temperature of its cosine similarities.
    """

    name: str
    kind: str
    sampling_rate: int
    template: str
    preprocessing: str
    logit_scale: float

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as a JSON-serialisable dict."""
        return asdict(self)


class ZeroShotModel(Protocol):
    """Interface that the evaluator needs."""

    def describe(self) -> ModelFacts:
        """Return what the model is fed."""

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> torch.Tensor:
        """Return (utterances, dim) embeddings of mono float32 waveforms (samples,) in [-1, 1] at its sampling rate."""

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, dim) embeddings in the same space."""


class TransformersModel:
    """A transformers model that embeds audio and text, with its own processor.

    Args:
        name: Hub id or folder.
        device: The torch device.

    Raises:
        UnusableModel: If the model lacks `get_audio_features` or `get_text_features`, or its processor audio.
    """

    def __init__(self, name: str, device: str = "cpu"):
        self.name, self.device = name, device
        self.model = AutoModel.from_pretrained(name, dtype=torch.float32).eval().to(device)
        for method in ("get_audio_features", "get_text_features"):
            if not hasattr(self.model, method):
                raise UnusableModel(
                    f"{name} is a {type(self.model).__name__} without {method}: it does not embed audio and text. "
                    "Give a model that does, or an adapter as MODULE:FACTORY."
                )
        self.processor = AutoProcessor.from_pretrained(name)
        self.extractor = getattr(self.processor, "feature_extractor", None)
        if self.extractor is None or not hasattr(self.extractor, "sampling_rate"):
            raise UnusableModel(f"The processor of {name} has no feature extractor for audio.")

    def describe(self) -> ModelFacts:
        """Return what the model is fed."""
        settings = {name: getattr(self.extractor, name, None) for name in ("truncation", "padding", "max_length_s")}
        stated = ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)
        scale = getattr(self.model, "logit_scale_a", getattr(self.model, "logit_scale", torch.tensor(0.0)))
        return ModelFacts(
            name=self.name,
            kind=type(self.model).__name__,
            sampling_rate=self.extractor.sampling_rate,
            template=getattr(self.model.config, "hypothesis_template", CLAP_TEMPLATE),
            preprocessing=f"{type(self.extractor).__name__}{f' ({stated})' if stated else ''}",
            logit_scale=scale.item(),
        )

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> torch.Tensor:
        """Return (utterances, dim) embeddings of waveforms at the extractor's rate.

        One utterance at a time: a feature extractor may crop at random or pad to the longest, and an utterance's
        embedding must not depend on its neighbours. The random crop of a long utterance is drawn with a fixed seed.
        """
        embeds = []
        for waveform in waveforms:
            state = np.random.get_state()
            np.random.seed(0)
            inputs = self.extractor(waveform, sampling_rate=self.extractor.sampling_rate, return_tensors="pt")
            np.random.set_state(state)
            embeds.append(_pooled(self.model.get_audio_features(**inputs.to(self.device))))
        return torch.cat(embeds).float().cpu()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, dim) embeddings."""
        inputs = self.processor.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.device)
        return _pooled(self.model.get_text_features(**inputs)).float().cpu()


class SentenceModel:
    """A `sentence-transformers` model whose modalities include audio.

    Args:
        name: Hub id or folder.
        device: The torch device.

    Raises:
        UnusableModel: If the package is missing, or the model does not accept audio.
    """

    def __init__(self, name: str, device: str = "cpu"):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise UnusableModel(
                f"{name} is a sentence-transformers model: pip install sentence-transformers"
            ) from error
        self.name, self.model = name, SentenceTransformer(name, device=device)
        if not (hasattr(self.model, "supports") and self.model.supports("audio")):
            raise UnusableModel(f"{name} does not accept audio, or sentence-transformers is older than 5.4.")
        processor = getattr(self.model[0], "processor", None)
        self.rate = getattr(getattr(processor, "feature_extractor", processor), "sampling_rate", 16000)

    def describe(self) -> ModelFacts:
        """Return what the model is fed."""
        return ModelFacts(
            name=self.name,
            kind="SentenceTransformer",
            sampling_rate=self.rate,
            template=CLAP_TEMPLATE,
            preprocessing="the model's own, through encode",
            logit_scale=0.0,
        )

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> torch.Tensor:
        """Return (utterances, dim) embeddings of waveforms at the model's rate."""
        inputs = [{"audio": {"array": waveform, "sampling_rate": self.rate}} for waveform in waveforms]
        return torch.as_tensor(self.model.encode(inputs, show_progress_bar=False)).float().cpu()

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, dim) embeddings."""
        return torch.as_tensor(self.model.encode(list(texts), show_progress_bar=False)).float().cpu()


def _pooled(output: Any) -> torch.Tensor:
    """Return the embeddings from `get_…_features`, which returns a tensor or an output with a `pooler_output`."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output
