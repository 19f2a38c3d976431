"""The zero-shot-audio-classification pipeline of ParaCLAP."""

import difflib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline
from transformers.utils import logging

from .audio_paraclap import name_of
from .calibration_paraclap import Calibration, calibration_of
from .inputs_paraclap import load_input
from .waveform_paraclap import AudioError, is_silent
from .towers_paraclap import least_samples
from .windows_paraclap import LongAudio, windows_of
from .zero_shot_paraclap import TextEmbeddings, parse_labels, parse_templates, prompts_of

logger = logging.get_logger(__name__)

TASK = "zero-shot-audio-classification"
ARGUMENTS = (
    "candidate_labels",
    "hypothesis_template",
    "sampling_rate",
    "top_k",
    "function_to_apply",
    "return_embeddings",
    "calibration",
    "window_length_s",
    "stride_length_s",
)
# Self-attention over one piece takes memory with the square of its length.
LONG_AUDIO_S = 300


class ParaClapZeroShotAudioClassificationPipeline(ZeroShotAudioClassificationPipeline):
    """Scores audio against free-text labels.

    The model is put into evaluation mode. A model of another type than `paraclap` is served exactly as by the parent
    class.

    Example:
        >>> from transformers import pipeline
        >>> classifier = pipeline("zero-shot-audio-classification", model="path/to/a/release")  # doctest: +SKIP
        >>> classifier("speech.wav", candidate_labels=["angry", "happy", "sad"], top_k=1)  # doctest: +SKIP
        [{'score': 0.71, 'label': 'angry'}]
    """

    def __init__(self, **kwargs: Any):
        self.text_embeddings = TextEmbeddings()
        super().__init__(**kwargs)

    def __call__(self, audios: Any, **kwargs: Any) -> Any:
        """Score one audio, or several, against the labels.

        Args:
            audios: A path, http(s) URL, `bytes`, binary file object, NumPy array, torch tensor,
                `{"array" or "raw": ..., "sampling_rate": ...}`, row of a dataset or torchcodec decoder, at any sampling
                rate, mono or stereo (averaged). Or several: a list or tuple (a list comes back), or a generator,
                dataset or `KeyDataset` (an iterator comes back, which works as it is consumed).
            candidate_labels (list of `str`, `str` or `dict`): The labels; a string has commas between them. In a dict,
                each label has the phrase, or list of phrases, that is put into the template in its place.
            hypothesis_template (`str` or list of `str`, *optional*): Takes the label in place of `{}`; by default the
                checkpoint's (`config.hypothesis_template`). Pass `"{}"` for labels that are whole queries. The
                embeddings of several templates and phrases are averaged (prompt ensembling).
            sampling_rate (`int`, *optional*): The rate in Hz of bare arrays and tensors, by default the model's.
            top_k (`int`, *optional*): Only the best so many labels.
            function_to_apply (`str`): `"softmax"` (default): the labels exclude each other and the scores sum to 1; or
                `"sigmoid"`: each label has a score of its own. Those are ranks rather than probabilities unless the
                checkpoint was trained with the sigmoid loss.
            return_embeddings (`bool`): Whether to return the audio's embedding too.
            calibration (`Calibration` or `str`, *optional*): Fitted on unlabelled recordings of the same kind, or its
                file: takes out what they have in common, and evens out how often each label comes.
            window_length_s (`float`, *optional*): Score windows of this many seconds instead of the whole.
            stride_length_s (`float`, *optional*): From the start of a window to that of the next, in seconds; by
                default `window_length_s`.
            batch_size (`int`): Audios, or windows of an audio, in one forward pass. The scores do not depend on it.
            num_workers (`int`): Processes that load the audio of a dataset or list.
            **kwargs: The arguments above but the first; any that the constructor was given need not be repeated.

        Returns:
            For each audio a list of `{"score": float, "label": str}`, the best first.

            With `return_embeddings`, `{"scores": that list, "embedding": array}`: float32, (projection_dim,), of unit
            length.

            With `window_length_s`, `{"scores": [...], "windows": [{"start": s, "end": s, "scores": [...]}, ...]}`:
            times in seconds, the scores of the whole are the mean of the windows'. The last window is moved back to end
            with the audio, unless less than one frame of the encoder is left over; audio shorter than a window is one
            window; windows of digital silence are left out. Files are read as they are consumed, so that hours of audio
            need no more memory than minutes. With `return_embeddings`, every window has its `"embedding"`, and the
            whole their mean at unit length.

        Raises:
            AudioError: If audio is missing, unreadable, truncated, empty, NaN, silent or too short. In a list or a
                dataset the first such audio ends the whole call, for a gap among results would shift or hide them. To
                leave it out, call the pipeline once for each audio and catch this error: labels stay encoded from
                call to call, and on a CPU batches are no quicker, but several calls at once, in threads, are.
            TypeError: If an argument is unknown, or of the wrong type.
            ValueError: If there are no labels, a template has no `{}`, or an argument is out of range.
        """
        if self._is_foreign:
            return super().__call__(audios, **kwargs)
        if isinstance(audios, tuple):
            audios = list(audios)
        if isinstance(audios, list) and not audios:
            return []
        if _is_stream(audios):
            audios = (audio for audio in audios)
        window, stride = (
            kwargs.get(name, self._forward_params.get(name)) for name in ("window_length_s", "stride_length_s")
        )
        if window is None and stride is not None:
            raise ValueError(f"stride_length_s is {stride} without a window. Pass window_length_s too.")
        if window is not None:
            # Windows are batched, and audios are not: they have different numbers of them.
            kwargs["windows_per_batch"] = kwargs.pop("batch_size", None) or self._batch_size or 1
            kwargs["batch_size"] = 1
        return super().__call__(audios, **kwargs)

    @property
    def _is_foreign(self) -> bool:
        return self.model.config.model_type != "paraclap"

    def _sanitize_parameters(self, windows_per_batch: int | None = None, **kwargs: Any) -> tuple[dict, dict, dict]:
        if self._is_foreign:
            return super()._sanitize_parameters(**kwargs)
        kwargs.pop("local_files_only", None)  # transformers' factory hands its own argument on
        for name in kwargs:
            if name not in ARGUMENTS:
                close = difflib.get_close_matches(name, ARGUMENTS, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise TypeError(f"The pipeline has no argument {name!r}.{hint} It takes {', '.join(ARGUMENTS)}.")
        given = {name: value for name, value in kwargs.items() if value is not None}
        preprocess, forward, postprocess = {}, {}, {}
        if "candidate_labels" in kwargs:
            labels = parse_labels(kwargs["candidate_labels"])
            preprocess["labels"] = forward["labels"] = postprocess["labels"] = labels
        if "hypothesis_template" in given:
            forward["templates"] = parse_templates(given["hypothesis_template"])
        if "sampling_rate" in given:
            preprocess["sampling_rate"] = given["sampling_rate"]
        if "top_k" in given:
            postprocess["top_k"] = _checked(given["top_k"], "top_k", int, "a whole number of labels, 1 or more")
        if "function_to_apply" in given:
            if given["function_to_apply"] not in ("softmax", "sigmoid"):
                raise ValueError(
                    f'function_to_apply is {given["function_to_apply"]!r}; expected "softmax" or "sigmoid".'
                )
            postprocess["function_to_apply"] = given["function_to_apply"]
        if "return_embeddings" in given:
            postprocess["return_embeddings"] = bool(given["return_embeddings"])
        if "calibration" in kwargs:
            calibration = kwargs["calibration"]
            forward["calibration"] = None if calibration is None else calibration_of(calibration)
        for name in ("window_length_s", "stride_length_s"):
            if name in kwargs:
                forward[name] = kwargs[name]
                if kwargs[name] is not None:
                    _checked(kwargs[name], name, (int, float), "a number of seconds above 0")
        if "window_length_s" in kwargs:
            preprocess["in_windows"] = kwargs["window_length_s"] is not None
        if windows_per_batch is not None:
            forward["windows_per_batch"] = windows_per_batch
        return preprocess, forward, postprocess

    def preprocess(
        self, audio: Any, labels: Any = None, sampling_rate: int | None = None, in_windows: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Load and pad one audio, or, where it is to be read window by window, only say where it is."""
        if self._is_foreign:
            return super().preprocess(audio, **kwargs)
        if labels is None:
            raise ValueError(
                'There are no candidate_labels. Pass them: pipe(audio, candidate_labels=["angry", "happy"]).'
            )
        if in_windows:
            return {"audio": LongAudio(audio, self.feature_extractor.sampling_rate, sampling_rate)}
        rate = self.feature_extractor.sampling_rate
        waveform = load_input(audio, rate, sampling_rate)
        self._check_length(waveform, audio)
        if is_silent(waveform):
            raise _silence(audio)
        if len(waveform) > LONG_AUDIO_S * rate:
            logger.warning_once(
                f"{name_of(audio)} has {len(waveform) / rate:.0f} s, which go through the encoder in one piece. Pass "
                "window_length_s to have it scored window by window, in little memory."
            )
        return dict(self.feature_extractor([waveform], sampling_rate=rate, return_tensors="pt"))

    def _forward(
        self,
        inputs: dict[str, Any],
        labels: Any = None,
        templates: tuple[str, ...] | None = None,
        window_length_s: float | None = None,
        stride_length_s: float | None = None,
        calibration: Calibration | None = None,
        windows_per_batch: int = 1,
    ) -> dict[str, Any]:
        if self._is_foreign:
            return super()._forward(inputs)
        if self.model.training:
            self.model.eval()  # dropout would make the scores, and the cached embeddings, random
        templates = templates or parse_templates(self.model.config.hypothesis_template)
        text_embeds = self.text_embeddings.of_labels(self.model, self.tokenizer, prompts_of(labels, templates))
        if "audio" not in inputs:
            embeds = self._embed(inputs["input_values"], inputs["padding_mask"])
            return {"logits": self._logits(embeds, text_embeds, calibration), "embeds": embeds}
        rate = self.feature_extractor.sampling_rate
        length, stride = self._window_samples(window_length_s, stride_length_s)
        windows = self._sounding_windows(inputs["audio"], length, stride)
        times, embeds = [], []
        while batch := list(islice(windows, windows_per_batch)):
            features = self.feature_extractor(
                [waveform for _, waveform in batch], sampling_rate=rate, return_tensors="pt"
            ).to(self.device)
            embeds.append(self._embed(features["input_values"], features["padding_mask"]))
            times += [(start / rate, (start + len(waveform)) / rate) for start, waveform in batch]
        embeds = torch.cat(embeds)
        return {"logits": self._logits(embeds, text_embeds, calibration), "embeds": embeds, "times": times}

    def postprocess(
        self,
        outputs: dict[str, Any],
        labels: Any = None,
        top_k: int | None = None,
        function_to_apply: str = "softmax",
        return_embeddings: bool = False,
    ) -> Any:
        """Turn logits (1 or windows, labels) into sorted scores."""
        if self._is_foreign:
            return super().postprocess(outputs)
        logits = outputs["logits"].float()
        scores = logits.softmax(-1) if function_to_apply == "softmax" else logits.sigmoid()
        ranked = _ranked(scores.mean(0), labels, top_k)
        if "times" not in outputs and not return_embeddings:
            return ranked
        result = {"scores": ranked}
        if return_embeddings:
            result["embedding"] = F.normalize(outputs["embeds"].mean(0), dim=-1).numpy()
        if "times" in outputs:
            result["windows"] = [
                {"start": start, "end": end, "scores": _ranked(row, labels, top_k)}
                for (start, end), row in zip(outputs["times"], scores, strict=True)
            ]
            if return_embeddings:
                for window, embedding in zip(result["windows"], outputs["embeds"].numpy(), strict=True):
                    window["embedding"] = embedding
        return result

    def _logits(self, embeds: torch.Tensor, text_embeds: torch.Tensor, calibration: Calibration | None) -> torch.Tensor:
        if calibration is None:
            return self.model.similarity(embeds, text_embeds.to(embeds.device))
        return calibration(embeds, text_embeds, float(self.model.logit_scale.exp()))

    def _embed(self, input_values: torch.Tensor, padding_mask: torch.Tensor) -> torch.Tensor:
        """Unit-length audio embeddings (batch, projection_dim) in float32."""
        lengths = padding_mask.sum(1).tolist()
        # An encoder that normalises over time sees the padding whatever the mask says, so it gets none.
        over_time = getattr(self.model.config.audio_config, "feat_extract_norm", None) == "group"
        if len(set(lengths)) == 1:  # nothing is padding: no mask to compute, and quicker attention
            pieces = [(input_values[:, : lengths[0]], None)]
        elif over_time:
            pieces = [(input_values[i : i + 1, :n], None) for i, n in enumerate(lengths)]
        else:
            pieces = [(input_values, padding_mask)]
        features = [self.model.get_audio_features(*piece, return_dict=True).pooler_output for piece in pieces]
        return F.normalize(torch.cat(features).float(), dim=-1)

    def _sounding_windows(self, audio: LongAudio, length: int, stride: int) -> Iterator[tuple[int, np.ndarray]]:
        """Start sample and samples of each window that is not digital silence."""
        sounding = False
        for start, waveform in windows_of(audio.blocks(), length, stride, least_samples(self.model.audio_model)):
            self._check_length(waveform, audio.source)
            if not is_silent(waveform):
                sounding = True
                yield start, waveform
        if not sounding:
            raise _silence(audio.source)

    def _window_samples(self, window_length_s: float, stride_length_s: float | None) -> tuple[int, int]:
        rate, least = self.feature_extractor.sampling_rate, least_samples(self.model.audio_model)
        length = round(window_length_s * rate)
        stride = length if stride_length_s is None else round(stride_length_s * rate)
        if length < least:
            raise ValueError(
                f"window_length_s is {window_length_s}; the audio encoder needs {least / rate} s at the least."
            )
        if not 0 < stride <= length:
            raise ValueError(
                f"stride_length_s is {stride_length_s}, window_length_s {window_length_s}: the stride must be above 0, "
                "and no more than the window, or audio between two windows would be skipped."
            )
        return length, stride

    def _check_length(self, waveform: np.ndarray, audio: Any) -> None:
        least, rate = least_samples(self.model.audio_model), self.feature_extractor.sampling_rate
        if len(waveform) < least:
            raise AudioError(
                f"{name_of(audio)} is too short: {len(waveform)} samples at {rate} Hz ({len(waveform) / rate:.4f} s). "
                f"The audio encoder needs {least} ({least / rate:.4f} s), and a word takes about half a second. "
                "Leave it out."
            )


def register_pipeline() -> None:
    """Let `pipeline("zero-shot-audio-classification")` use this class; other models are served as before."""
    PIPELINE_REGISTRY.supported_tasks[TASK]["impl"] = ParaClapZeroShotAudioClassificationPipeline


def _is_stream(audios: Any) -> bool:
    """Whether this is many audios in a form that transformers would take for one: datasets' datasets and columns."""
    one = (str, bytes, bytearray, memoryview, dict, list, np.ndarray, torch.Tensor, Dataset)
    return (
        isinstance(audios, Iterable)
        and not isinstance(audios, one)
        and not any(hasattr(audios, name) for name in ("read", "get_all_samples", "sample_rate"))
    )


def _silence(audio: Any) -> AudioError:
    return AudioError(
        f"{name_of(audio)} is silent: all samples are the same. There is no speech to describe; check the recording "
        "and its channels (two that cancel each other leave nothing), or leave it out."
    )


def _checked(value: Any, name: str, kind: Any, expected: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind) or not value > 0:
        raise ValueError(f"{name} is {value!r}; expected {expected}.")
    return value


def _ranked(scores: torch.Tensor, labels: Any, top_k: int | None) -> list[dict[str, Any]]:
    pairs = sorted(zip(scores.tolist(), labels, strict=True), key=lambda pair: -pair[0])[:top_k]
    return [{"score": score, "label": label} for score, (label, _) in pairs]
