"""Embed the utterances of a corpus, and score embeddings as the pipeline does."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from modeling_paraclap.clips_paraclap import Unusable, Windows
from modeling_paraclap.scoring_paraclap import Scorer, logits_of

WHOLE = Windows("whole")


def embed_audio(
    model: Any,
    feature_extractor: Any,
    sources: Sequence[Any],
    batch_size: int = 8,
    max_length_s: float | None = None,
    progress: bool = True,
) -> tuple[torch.Tensor, dict[int, str]]:
    """Embed whole utterances in batches of similar length.

    Args:
        model: A ParaClapModel in evaluation mode.
        feature_extractor: Its feature extractor.
        sources: Audio files, or their bytes.
        batch_size: Utterances per forward pass.
        max_length_s: Seconds to keep of a longer utterance, from its start; None for all.
        progress: Whether to show a progress bar.

    Returns:
        (usable, embedding_dim) float32 embeddings of unit length on the CPU, in the order of `sources`, and
        the reason for each utterance that the pipeline would refuse, by its position in `sources`.
    """
    scorer = Scorer(model, feature_extractor, tokenizer=None)
    load = dataclasses.replace(scorer.loader, longest_s=max_length_s)
    loaded = (load(source, windows=WHOLE, on_error="report") for source in sources)
    embeds: list[torch.Tensor] = []
    reasons: dict[int, str] = {}
    heard = scorer.hear_all(loaded, WHOLE, batch_size, on_error="report")
    bar = tqdm(heard, total=len(sources), desc="Embedding", unit="utterance", leave=None, disable=not progress)
    for position, result in enumerate(bar):
        if isinstance(result, Unusable):
            reasons[position] = result.reason
        else:
            embeds.append(result.embeds[0])
    return torch.stack(embeds) if embeds else torch.zeros(0, model.config.embedding_dim), reasons


def predict(
    audio_embeds: torch.Tensor,
    text_embeds: torch.Tensor,
    logit_scale: torch.Tensor | float,
    calibration: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Score mutually exclusive labels, as the pipeline does.

    Args:
        audio_embeds: (utterances, dim), of any length.
        text_embeds: (labels, dim), of any length.
        logit_scale: Natural logarithm of the inverse temperature: `model.logit_scale`.
        calibration: Calibration fitted on unlabelled audio; None for none.

    Returns:
        (utterances, labels) probabilities; the largest of a row is the prediction.
    """
    audio_embeds, text_embeds = F.normalize(audio_embeds, dim=-1), F.normalize(text_embeds, dim=-1)
    return logits_of(audio_embeds, text_embeds, torch.as_tensor(logit_scale), calibration).softmax(dim=-1)
