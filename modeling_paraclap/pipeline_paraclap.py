"""The zero-shot-audio-classification pipeline of ParaCLAP."""

import difflib
import io
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from transformers.pipelines.pt_utils import PipelineIterator
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline
from transformers.utils import logging

from .calibration_paraclap import calibration_of
from .clips_paraclap import Preparation, PreparedAudio, Unusable, Windows, as_batch, only_one
from .scoring_paraclap import FUNCTIONS, ON_ERROR, Heard, Question, Scorer, check_choice
from .zero_shot_paraclap import Labels, TextEmbeddings, parse_labels, parse_templates

logger = logging.get_logger(__name__)

TASK = "zero-shot-audio-classification"
# What can be sent to another process; anything else, such as an open file, is loaded in this one.
SENDABLE = (str, Path, bytes, bytearray, io.BytesIO, np.ndarray, torch.Tensor)


def _whole_number(value: Any, name: str, expected: str, least: int = 1) -> int:
    """Return a whole number of any type, such as NumPy's, as an int."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} is {value!r}; expected {expected}.")
    return number


@dataclass(frozen=True)
class Argument:
    """An argument of the pipeline: how it is read, and which of the pipeline's stages get it."""

    stages: tuple[str, ...]
    read: Callable[[Any], Any] = lambda value: value
    default: Any = None
    parameter: str | None = None  # its name in the stages, where that is another


ARGUMENTS = {
    "candidate_labels": Argument(("preprocess", "forward"), parse_labels, parameter="labels"),
    "hypothesis_template": Argument(("forward",), parse_templates, parameter="templates"),
    "sampling_rate": Argument(("preprocess",)),
    "top_k": Argument(
        ("postprocess",), partial(_whole_number, name="top_k", expected="a whole number of labels, 1 or more")
    ),
    "function_to_apply": Argument(
        ("forward",), partial(check_choice, "function_to_apply", choices=FUNCTIONS), default="softmax"
    ),
    "return_embeddings": Argument(("postprocess",), bool, default=False),
    "calibration": Argument(("forward",), calibration_of),
    "window_length_s": Argument(("preprocess", "forward", "postprocess")),
    "stride_length_s": Argument(("preprocess", "forward")),
    "on_error": Argument(
        ("preprocess", "forward", "postprocess"), partial(check_choice, "on_error", choices=ON_ERROR), default="raise"
    ),
    "progress": Argument(("postprocess",), bool, default=False),
}


@dataclass(frozen=True)
class Answer:
    """What the model heard of one audio, and the scores (windows, labels) of the labels; None if it was unusable."""

    heard: Heard | Unusable
    labels: tuple[str, ...]
    scores: torch.Tensor | None


class ParaClapZeroShotAudioClassificationPipeline(ZeroShotAudioClassificationPipeline):
    """Scores audio against free-text labels.

    The model is put into evaluation mode. A model of another type than `paraclap` is served exactly as by the parent
    class. Several threads may share a pipeline. To answer several questions in one pass over the audio, see `scorer`.

    Example:
        >>> from transformers import pipeline
        >>> classifier = pipeline("zero-shot-audio-classification", model="path/to/a/release")  # doctest: +SKIP
        >>> classifier("speech.wav", candidate_labels=["angry", "happy", "sad"], top_k=1)  # doctest: +SKIP
        [{'score': 0.71, 'label': 'angry'}]
    """

    def __init__(self, **kwargs: Any):
        self.text_embeddings = TextEmbeddings()
        super().__init__(**kwargs)

    @property
    def scorer(self) -> Scorer:
        """The pipeline's model as a [`Scorer`]: embeddings, and several questions in one pass over the audio."""
        return Scorer(self.model, self.feature_extractor, self.tokenizer, self.text_embeddings)

    def __call__(self, audios: Any, **kwargs: Any) -> Any:
        """Score one audio, or several, against the labels.

        Args:
            audios: A path, http(s) URL, `bytes`, binary file object, NumPy array, torch tensor,
                `{"array" or "raw": ..., "sampling_rate": ...}`, row of a dataset or torchcodec decoder, at any sampling
                rate, mono or stereo (averaged). Or several: a list or tuple (a list comes back), or a generator,
                dataset or `KeyDataset` (an iterator comes back, which works as it is consumed).
            candidate_labels: The labels; a string has commas between them. In a dict,
                each label has the phrase, or list of phrases, that is put into the template in its place.
            hypothesis_template: Takes the label in place of `{}`; by default the
                checkpoint's (`config.hypothesis_template`). Pass `"{}"` for labels that are whole queries. The
                embeddings of several templates and phrases are averaged (prompt ensembling).
            sampling_rate: The rate in Hz of bare arrays and tensors, by default the model's.
            top_k: Return only the best so many labels.
            function_to_apply: `"softmax"` (default): the labels exclude each other and the scores sum to 1; or
                `"sigmoid"`: each label has a score of its own. Those are ranks rather than probabilities unless the
                checkpoint was trained with the sigmoid loss.
            return_embeddings: Whether to return the audio's embedding too.
            calibration: Fitted on unlabelled recordings of the same kind, or its
                file: takes out what they have in common, and evens out how often each label comes.
            window_length_s: Return the scores of windows of this many seconds too.
                By default audio of up to 60 s is scored in one piece, and longer audio in windows of 10 s whose scores
                are averaged, in memory that does not grow with its length; `"whole"` scores it in one piece.
            stride_length_s: From the start of a window to that of the next, in seconds; by
                default `window_length_s`.
            on_error: What to do with audio that cannot be used. `"raise"` (default): end the call; `"report"`:
                put `{"error": reason, "audio": path or None}` in its place; `"skip"`: leave it out with a warning, so
                that later results move up (a single audio gives None).
            progress: Whether to show a progress bar for several audios.
            batch_size: Audios, or windows of an audio, in one forward pass. The scores do not depend on it.
            num_workers: Processes that load the audio of a dataset or list.
            **kwargs: The arguments above but the first; any that the constructor was given need not be repeated.

        Returns:
            For each audio a list of `{"score": float, "label": str}`, the best first.

            With `return_embeddings`, `{"scores": that list, "embedding": array}`: float32, (embedding_dim,), of unit
            length.

            With `window_length_s` in seconds, `{"scores": [...], "windows": [{"start": s, "end": s, "scores": [...]},
            ...]}`: times in seconds, the scores of the whole are the mean of the windows'. The last window is moved
            back to end with the audio, unless less than one frame of the encoder is left over; audio shorter than a
            window is one window; windows of digital silence are left out. With `return_embeddings`, every window has
            its `"embedding"`, and the whole their mean at unit length.

        Raises:
            AudioError: If audio is missing, unreadable, truncated, empty, NaN, silent or too short, and `on_error` is
                `"raise"`.
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
        windows = Windows(window, stride)
        batch_size = next(size for size in (kwargs.get("batch_size"), self._batch_size, 1) if size is not None)
        kwargs["windows_per_batch"] = _whole_number(batch_size, "batch_size", "a number of audios, 1 or more")
        # Windows are batched, and audios are not: they have different numbers of them.
        kwargs["batch_size"] = 1 if windows.given else kwargs["windows_per_batch"]
        if kwargs.get("num_workers") is not None:
            kwargs["num_workers"] = _whole_number(kwargs["num_workers"], "num_workers", "a number of processes", 0)
        return super().__call__(audios, **kwargs)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Save a release folder: model, processor and code; see [`save_release`].

        Args:
            save_directory: Folder to write; created if missing.
            **kwargs: Handed to the model's `save_pretrained`.
        """
        if self._is_foreign:
            super().save_pretrained(save_directory, **kwargs)
            return
        from .processing_paraclap import ParaClapProcessor
        from .release_paraclap import save_release

        save_release(self.model, ParaClapProcessor(self.feature_extractor, self.tokenizer), save_directory, **kwargs)

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
        stages: dict[str, dict] = {"preprocess": {}, "forward": {}, "postprocess": {}}
        if windows_per_batch is not None:
            stages["forward"]["windows_per_batch"] = windows_per_batch
        for name, value in kwargs.items():
            argument = ARGUMENTS[name]
            # None takes back what the constructor was given; labels there must be.
            value = argument.default if value is None and name != "candidate_labels" else argument.read(value)
            for stage in argument.stages:
                stages[stage][argument.parameter or name] = value
        return stages["preprocess"], stages["forward"], stages["postprocess"]

    def preprocess(self, audio: Any, **kwargs: Any) -> dict[str, Any]:
        """Load and check one audio, or, where it is read while it is heard, only say where it is."""
        if self._is_foreign:
            return super().preprocess(audio, **kwargs)
        return self._preparation(**kwargs)(audio)

    def _preparation(self, labels: Labels | None = None, **kwargs: Any) -> Preparation:
        if labels is None:
            raise ValueError(
                'There are no candidate_labels. Pass them: pipe(audio, candidate_labels=["angry", "happy"]).'
            )
        windows = Windows(kwargs.pop("window_length_s", None), kwargs.pop("stride_length_s", None))
        return Preparation(self.scorer.loader, windows, **kwargs)

    def _forward(
        self,
        inputs: dict[str, Any],
        labels: Labels | None = None,
        windows_per_batch: int = 1,
        on_error: str = "raise",
        **kwargs: Any,
    ) -> dict[str, Any]:
        if self._is_foreign:
            return super()._forward(inputs)
        windows = Windows(kwargs.pop("window_length_s", None), kwargs.pop("stride_length_s", None))
        question, scorer = Question(labels, **kwargs), self.scorer
        batch = inputs["audio"] if isinstance(inputs["audio"], list) else [inputs["audio"]]
        answers = []
        for heard in scorer.hear(batch, windows, windows_per_batch, on_error):
            scores = None if isinstance(heard, Unusable) else scorer.scores(heard.embeds, question)
            answers.append(Answer(heard, question.names, scores))
        return {"answer": answers if isinstance(inputs["audio"], list) else answers[0]}

    def postprocess(
        self,
        outputs: dict[str, Any],
        top_k: int | None = None,
        return_embeddings: bool = False,
        window_length_s: float | str | None = None,
        on_error: str = "raise",
        progress: bool = False,
    ) -> Any:
        """Sort the scores; `progress` is for `get_iterator`."""
        if self._is_foreign:
            return super().postprocess(outputs)
        answer: Answer = outputs["answer"]
        heard, labels, scores = answer.heard, answer.labels, answer.scores
        if isinstance(heard, Unusable):
            if on_error == "report":
                return {"error": heard.reason, "audio": heard.name}
            logger.warning(f"Left out: {heard.reason}")
            return None
        ranked, in_windows = _ranked(scores.mean(0), labels, top_k), Windows(window_length_s).given
        if not in_windows and not return_embeddings:
            return ranked
        result: dict[str, Any] = {"scores": ranked}
        if return_embeddings:
            result["embedding"] = heard.embedding
        if in_windows:
            result["windows"] = [
                {"start": start, "end": end, "scores": _ranked(row, labels, top_k)}
                for (start, end), row in zip(heard.times, scores, strict=True)
            ]
            if return_embeddings:
                for window, embedding in zip(result["windows"], heard.embeds.numpy(), strict=True):
                    window["embedding"] = embedding
        return result

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict,
        forward_params: dict,
        postprocess_params: dict,
    ) -> Iterable[Any]:
        """Return an iterator over the results, whose audio is loaded here or in other processes.

        transformers' own sends the whole pipeline to each process, and a function that cannot be sent where processes
        are spawned; ours sends what loads audio and nothing else.
        """
        if self._is_foreign:
            return super().get_iterator(
                inputs, num_workers, batch_size, preprocess_params, forward_params, postprocess_params
            )
        if num_workers and not _can_be_sent(inputs):
            logger.warning_once("This audio cannot be sent to other processes and is loaded in this one.")
            num_workers = 0
        if num_workers:
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # it warns in every process that is forked
            # An error there would come back with the text of its traceback.
            preprocess_params = preprocess_params | {"on_error": "report"}
        prepare = self._preparation(**preprocess_params)
        sized = isinstance(inputs, Sized)
        prepared = PreparedAudio(inputs, prepare) if sized else PipelineIterator(inputs, prepare, {})
        collate = only_one if batch_size == 1 else as_batch
        loader = DataLoader(prepared, num_workers=num_workers, batch_size=batch_size, collate_fn=collate)
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=batch_size)
        results = PipelineIterator(outputs, self.postprocess, postprocess_params)
        if postprocess_params.get("progress"):
            total = len(inputs) if sized else None
            results = logging.tqdm(results, total=total, desc="Scoring", unit="audio")
        if postprocess_params.get("on_error") == "skip":
            results = (result for result in results if result is not None)
        return results


def _is_stream(audios: Any) -> bool:
    """Return whether this is many audios in a form that transformers would take for one, such as a dataset's column."""
    one = (str, bytes, bytearray, memoryview, dict, list, np.ndarray, torch.Tensor, Dataset)
    return (
        isinstance(audios, Iterable)
        and not isinstance(audios, one)
        and not any(hasattr(audios, name) for name in ("read", "get_all_samples", "sample_rate"))
    )


def _can_be_sent(audios: Any) -> bool:
    """Return whether audios can be sent to other processes, whatever way those are started."""
    if isinstance(audios, Dataset):
        return isinstance(audios, Sized)
    if isinstance(audios, Mapping):
        return all(value is None or np.isscalar(value) or _can_be_sent([value]) for value in audios.values())
    return isinstance(audios, list) and all(isinstance(a, SENDABLE) or _can_be_sent(a) for a in audios)


def _ranked(scores: torch.Tensor, labels: tuple[str, ...], top_k: int | None) -> list[dict[str, Any]]:
    """Return scores (labels,) with their labels, the best first."""
    pairs = sorted(zip(scores.tolist(), labels, strict=True), key=lambda pair: -pair[0])[:top_k]
    return [{"score": score, "label": label} for score, label in pairs]
