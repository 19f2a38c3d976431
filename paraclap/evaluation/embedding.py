"""From audio files to embeddings, and from embeddings to scores."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from modeling_paraclap.audio_paraclap import AudioError, load_audio

WINDOW = 32  # batches that are decoded and sorted by length together: little padding, bounded memory


def embed_audio(
    model,
    feature_extractor,
    sources: Sequence,
    batch_size: int = 8,
    max_length_s: float | None = None,
    progress: bool = True,
):
    """Embeds audio files in batches of similar length.

    Args:
        model: A ParaClapModel in evaluation mode.
        feature_extractor: Its feature extractor.
        sources: Audio files, or their bytes.
        batch_size: Utterances a forward pass.
        max_length_s: Seconds to keep of a longer utterance, from its start; None = all.
        progress: Whether to show a progress bar.

    Returns:
        (readable, projection_dim) float32 embeddings of unit length on the CPU, in the order of `sources`, and
        position in `sources` -> reason for each file that could not be read.
    """
    rate = feature_extractor.sampling_rate
    if getattr(model.config.audio_config, "feat_extract_norm", None) == "group":
        batch_size = 1  # such a front end normalises over time and would see the padding, whatever the mask says
    longest = None if max_length_s is None else max(1, round(max_length_s * rate))
    embeds: dict[int, torch.Tensor] = {}
    reasons: dict[int, str] = {}
    bar = tqdm(total=len(sources), desc="Embedding", unit="utterance", disable=not progress)
    with torch.inference_mode(), bar:
        for start in range(0, len(sources), WINDOW * batch_size):
            waveforms = {}
            for position in range(start, min(start + WINDOW * batch_size, len(sources))):
                try:
                    waveform = load_audio(sources[position], rate)[:longest]
                    check_length(model, waveform, rate)
                    waveforms[position] = waveform
                except AudioError as error:
                    reasons[position] = str(error)
                    bar.update()
            order = sorted(waveforms, key=lambda position: len(waveforms[position]))
            for first in range(0, len(order), batch_size):
                batch = order[first : first + batch_size]
                inputs = feature_extractor([waveforms[p] for p in batch], sampling_rate=rate, return_tensors="pt")
                inputs = inputs.to(model.device)
                features = model.get_audio_features(**inputs).pooler_output
                embeds.update(zip(batch, F.normalize(features.float(), dim=-1).cpu(), strict=True))
                bar.update(len(batch))
    size = model.config.projection_dim
    return torch.stack([embeds[position] for position in sorted(embeds)]) if embeds else torch.zeros(0, size), reasons


def check_length(model, waveform: np.ndarray, sampling_rate: int) -> None:
    """Raises AudioError for an utterance that is shorter than one frame of the audio encoder."""
    if model.audio_model._get_feat_extract_output_lengths(torch.tensor(len(waveform))) < 1:
        raise AudioError(f"{len(waveform) / sampling_rate:.4f} s is too short for one frame of the audio encoder.")


def predict(
    audio_embeds: torch.Tensor,
    text_embeds: torch.Tensor,
    logit_scale: torch.Tensor | float,
    calibration: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Scores of labels that exclude one another, as the pipeline gives them.

    Args:
        audio_embeds: (utterances, dim), of any length.
        text_embeds: (labels, dim), of any length.
        logit_scale: Log of the inverse temperature: `model.logit_scale`.
        calibration: Fitted on unlabelled audio; None for none.

    Returns:
        (utterances, labels) probabilities; the greatest of a row is the prediction.
    """
    audio_embeds, text_embeds = F.normalize(audio_embeds, dim=-1), F.normalize(text_embeds, dim=-1)
    scale = torch.as_tensor(logit_scale).exp()
    if calibration is not None:
        return calibration(audio_embeds, text_embeds, float(scale)).softmax(dim=-1)
    return (scale * audio_embeds @ text_embeds.T).softmax(dim=-1)
