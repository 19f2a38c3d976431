"""The one path from audio to scores: a checked clip, its embedding, and the scores of any number of questions.

The pipeline, the evaluation, the command line, the page and the examples go this way, so that all of them accept the
same audio and give the same scores. A recording is decoded and embedded once, whatever is asked of it:

    scorer = Scorer.from_pretrained("path/to/a/release")
    questions = {
        "emotion": Question.parse("angry, happy, sad"),
        "gender": Question.parse(["a female is speaking", "a male is speaking"], "{}"),
    }
    for heard in scorer.embed_all(files, batch_size=8, on_error="report"):
        if isinstance(heard, Unusable):
            print(heard.name, heard.reason)
        else:
            print({name: scorer.answer(heard, question) for name, question in questions.items()})

A `Scorer` may be used by several threads at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .calibration_paraclap import Calibration, calibration_of
from .clips_paraclap import AUTOMATIC, Clip, Loader, LongAudio, Unusable, Windows, or_unusable
from .loading_paraclap import check_weights
from .towers_paraclap import least_samples
from .zero_shot_paraclap import Labels, TextEmbeddings, parse_labels, parse_templates, prompts_of

ON_ERROR = ("raise", "skip", "report")
FUNCTIONS = ("softmax", "sigmoid")
LOOKAHEAD = 32  # batches that are loaded and sorted by length together: little padding, bounded memory
LOOKAHEAD_S = 3600.0  # of audio that are loaded together at most


@dataclass(frozen=True)
class Question:
    """Labels to choose among, and how they are put to the model; made by [`~Question.parse`].

    Args:
        labels: Each label with the phrases that stand for it.
        templates: Prompt templates with `{}`; None for the model's own.
        function_to_apply: `"softmax"` or `"sigmoid"`.
        calibration: Fitted on unlabelled recordings; None for none.
    """

    labels: Labels
    templates: tuple[str, ...] | None = None
    function_to_apply: str = "softmax"
    calibration: Calibration | None = None

    def __post_init__(self):
        check_choice("function_to_apply", self.function_to_apply, FUNCTIONS)

    @classmethod
    def parse(
        cls,
        candidate_labels: Any,
        hypothesis_template: Any = None,
        function_to_apply: str = "softmax",
        calibration: Calibration | str | None = None,
    ) -> "Question":
        """Return a question in any form that users write it.

        Args:
            candidate_labels: A list of labels, a string with commas between them, or a dict from each label to the
                phrase, or list of phrases, that is put into the template in its place.
            hypothesis_template: A template with `{}` for the label, or several; None for the model's own.
            function_to_apply: `"softmax"`: the labels exclude each other; or `"sigmoid"`: each has a score of its own.
            calibration: A [`Calibration`] or its file.

        Raises:
            TypeError: If something is of the wrong type.
            ValueError: If there are no labels, a template has no `{}`, or the calibration cannot be read.
        """
        templates = None if hypothesis_template is None else parse_templates(hypothesis_template)
        calibration = None if calibration is None else calibration_of(calibration)
        return cls(parse_labels(candidate_labels), templates, function_to_apply, calibration)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in the order in which they were given; the scores have the same order."""
        return tuple(label for label, _ in self.labels)


@dataclass(frozen=True)
class Heard:
    """What the model heard of one audio.

    Args:
        embeds: float32 (windows, embedding_dim) on the CPU, of unit length; one window of all for short audio.
        times: Start and end of each window in seconds. Windows of digital silence are not among them.
    """

    embeds: torch.Tensor
    times: tuple[tuple[float, float], ...]

    @property
    def embedding(self) -> np.ndarray:
        """float32 (embedding_dim,): the mean of the windows' embeddings, at unit length."""
        return F.normalize(self.embeds.mean(0), dim=-1).numpy()


class Scorer:
    """Embeds audio and answers questions about it.

    Args:
        model: A [`ParaClapModel`]; it is put into evaluation mode.
        feature_extractor: Its feature extractor.
        tokenizer: Its tokenizer.
        text_embeddings: Keeps texts that were encoded before; None for a cache of its own.

    Raises:
        ValueError: If the model was loaded from weights that are not those of its configuration.

    Example:
        >>> from modeling_paraclap.scoring_paraclap import Question, Scorer
        >>> scorer = Scorer.from_pretrained("path/to/a/release")  # doctest: +SKIP
        >>> scorer.answer(scorer.embed("speech.wav"), Question.parse("angry, happy, sad"))  # doctest: +SKIP
        {'angry': 0.71, 'happy': 0.21, 'sad': 0.08}
    """

    def __init__(
        self, model: Any, feature_extractor: Any, tokenizer: Any, text_embeddings: TextEmbeddings | None = None
    ):
        check_weights(model)
        self.model, self.feature_extractor, self.tokenizer = model, feature_extractor, tokenizer
        self.text_embeddings = TextEmbeddings() if text_embeddings is None else text_embeddings

    @classmethod
    def from_pretrained(
        cls, name_or_path: Any, device: Any = "cpu", dtype: torch.dtype = torch.float32, **kwargs: Any
    ) -> "Scorer":
        """Load model and processor of a release.

        Args:
            name_or_path: Folder, or name on the Hub.
            device: Where the model computes.
            dtype: Data type of its weights.
            **kwargs: Handed to the model's `from_pretrained`, for example `revision` or `token`.
        """
        from .modeling_paraclap import ParaClapModel
        from .processing_paraclap import ParaClapProcessor

        model = ParaClapModel.from_pretrained(name_or_path, dtype=dtype, **kwargs).eval().to(device)
        processor = ParaClapProcessor.from_pretrained(name_or_path, **kwargs)
        return cls(model, processor.feature_extractor, processor.tokenizer)

    @property
    def loader(self) -> Loader:
        """What loads and checks audio for this model; small enough to be sent to other processes."""
        return Loader(self.feature_extractor.sampling_rate, least_samples(self.model.audio_model))

    # ------------------------------------------------------------------------------------------------------- embedding

    def embed(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        windows: Windows = AUTOMATIC,
        batch_size: int = 1,
    ) -> Heard:
        """Embed one audio.

        Args:
            audio: A path, URL, `bytes`, file object, array, row of a dataset: any form that `stream_input` takes.
            sampling_rate: The rate of a bare array in Hz; None for the model's.
            windows: How it is cut. By default audio of up to a minute is heard in one piece, and longer audio in
                windows of 10 s, in memory that does not grow with its length.
            batch_size: Windows in one forward pass.

        Raises:
            AudioError: If the audio cannot be used: missing, unreadable, truncated, silent, too short or not finite.
            TypeError: If it is not a supported audio input.
            ValueError: If the windows are too short for the audio encoder.
        """
        return self.hear([self.loader(audio, sampling_rate, windows)], windows, batch_size)[0]

    def embed_all(
        self,
        audios: Iterable[Any],
        sampling_rate: int | None = None,
        windows: Windows = AUTOMATIC,
        batch_size: int = 1,
        on_error: str = "raise",
    ) -> Iterator[Heard | Unusable]:
        """Embed many audios, those of similar length together.

        Args:
            audios: Each as in `embed`; any iterable, which is read as it is consumed.
            sampling_rate: As in `embed`.
            windows: As in `embed`.
            batch_size: Audios, or windows of a long one, in one forward pass. The embeddings do not depend on it.
            on_error: `"raise"`: the first audio that cannot be used ends it; `"report"`: an [`Unusable`] stands in its
                place; `"skip"`: it is left out.

        Yields:
            One for each audio, in their order.

        Raises:
            AudioError: If an audio cannot be used and `on_error` is `"raise"`.
            ValueError: If `on_error` is something else than listed.
        """
        check_choice("on_error", on_error, ON_ERROR)
        load = self.loader
        loaded = (load(audio, sampling_rate, windows, on_error) for audio in audios)
        for result in self.hear_all(loaded, windows, batch_size, on_error):
            if on_error != "skip" or not isinstance(result, Unusable):
                yield result

    def hear_all(
        self,
        loaded: Iterable[Clip | LongAudio | Unusable],
        windows: Windows = AUTOMATIC,
        batch_size: int = 1,
        on_error: str = "raise",
    ) -> Iterator[Heard | Unusable]:
        """Embed what the loader gives, those of similar length together; see `hear`."""
        for together in _groups(loaded, batch_size, LOOKAHEAD_S * self.feature_extractor.sampling_rate):
            yield from self.hear(together, windows, batch_size, on_error)

    def hear(
        self,
        loaded: list[Clip | LongAudio | Unusable],
        windows: Windows = AUTOMATIC,
        batch_size: int = 1,
        on_error: str = "raise",
    ) -> list[Heard | Unusable]:
        """Embed what the loader gave.

        Args:
            loaded: Results of `loader`.
            windows: As in `embed`.
            batch_size: As in `embed_all`.
            on_error: As in `embed_all`; `"skip"` reports here.

        Returns:
            One for each, in their order.

        Raises:
            AudioError: If one cannot be used and `on_error` is `"raise"`.
        """
        rate, results = self.feature_extractor.sampling_rate, list(loaded)
        for item in loaded:
            if isinstance(item, Unusable) and on_error == "raise":
                raise item.error(item.reason)
        clips = [i for i, item in enumerate(loaded) if isinstance(item, Clip)]
        clips.sort(key=lambda i: len(loaded[i].waveform))
        for first in range(0, len(clips), batch_size):
            batch = clips[first : first + batch_size]
            for i, embedding in zip(batch, self.embed_waveforms([loaded[i].waveform for i in batch]), strict=True):
                results[i] = Heard(embedding[None], ((0.0, len(loaded[i].waveform) / rate),))
        for i, item in enumerate(loaded):
            if isinstance(item, LongAudio):
                results[i] = or_unusable(item.source, partial(self._hear_long, item, windows, batch_size), on_error)
        return results

    def _hear_long(self, audio: LongAudio, windows: Windows, batch_size: int) -> Heard:
        least, rate = self.loader.least_samples, audio.rate
        pending, embeds, times = audio.windows(*windows.in_samples(rate, least), least), [], []
        while batch := list(islice(pending, batch_size)):
            embeds.append(self.embed_waveforms([waveform for _, waveform in batch]))
            times += [(start / rate, (start + len(waveform)) / rate) for start, waveform in batch]
        return Heard(torch.cat(embeds), tuple(times))

    @torch.no_grad()
    def embed_waveforms(self, waveforms: list[np.ndarray]) -> torch.Tensor:
        """Embed waveforms that were checked, in one forward pass.

        Args:
            waveforms: float32 (samples,) each, at the model's rate.

        Returns:
            float32 (waveforms, embedding_dim) on the CPU, of unit length.
        """
        model = self.model
        if model.training:
            model.eval()  # dropout would make the scores, and the cached embeddings, random
        rate = self.feature_extractor.sampling_rate
        inputs = self.feature_extractor(waveforms, sampling_rate=rate, return_tensors="pt").to(model.device)
        values, mask = inputs["input_values"], inputs["padding_mask"]
        lengths = [len(waveform) for waveform in waveforms]
        # An encoder that normalises over time sees the padding whatever the mask says, so it gets none.
        over_time = getattr(model.config.audio_config, "feat_extract_norm", None) == "group"
        if len(set(lengths)) == 1:  # nothing is padding: no mask to compute, and quicker attention
            pieces = [(values[:, : lengths[0]], None)]
        elif over_time:
            pieces = [(values[i : i + 1, :n], None) for i, n in enumerate(lengths)]
        else:
            pieces = [(values, mask)]
        features = [model.get_audio_features(*piece, return_dict=True).pooler_output for piece in pieces]
        return F.normalize(torch.cat(features).float(), dim=-1).cpu()

    # --------------------------------------------------------------------------------------------------------- scoring

    @torch.no_grad()
    def scores(self, embeds: torch.Tensor, question: Question) -> torch.Tensor:
        """Score embeddings of unit length against the labels of a question.

        Args:
            embeds: float32 (n, embedding_dim).
            question: The labels and how they are put.

        Returns:
            float32 (n, labels) in [0, 1] on the CPU, in the order of `question.names`; with softmax each row sums to 1.
        """
        if self.model.training:
            self.model.eval()
        text_embeds, bias = self.embed_texts(question).cpu(), self.model.logit_bias
        logits = logits_of(embeds.cpu(), text_embeds, self.model.logit_scale.detach().cpu(), question.calibration)
        if bias is not None and question.calibration is None:
            logits = logits + bias.detach().cpu()
        logits = logits.float()
        return logits.softmax(-1) if question.function_to_apply == "softmax" else logits.sigmoid()

    def embed_texts(self, question: Question) -> torch.Tensor:
        """Return the float32 (labels, embedding_dim) text embeddings of a question, of unit length.

        Raises:
            ValueError: If a text is too long, the tokenizer knows nothing of a label, or cannot tell two apart.
        """
        templates = question.templates or parse_templates(self.model.config.hypothesis_template)
        prompts = prompts_of(question.labels, templates)
        return self.text_embeddings.of_labels(self.model, self.tokenizer, prompts, question.labels)

    def answer(self, heard: Heard, question: Question) -> dict[str, float]:
        """Return the score of each label for a whole audio: the mean of its windows' scores.

        The scores of each window are `scores(heard.embeds, question)`, at `heard.times`.
        """
        return dict(zip(question.names, self.scores(heard.embeds, question).mean(0).tolist(), strict=True))

    def ask(
        self, audios: Iterable[Any], questions: Mapping[str, Question], **options: Any
    ) -> Iterator[dict[str, dict[str, float]] | Unusable]:
        """Answer several questions about many audios in one pass over them.

        Args:
            audios: As in `embed_all`.
            questions: Name of each question, and the question.
            **options: Those of `embed_all`.

        Yields:
            For each audio, name of a question -> label -> score.
        """
        for heard in self.embed_all(audios, **options):
            if isinstance(heard, Unusable):
                yield heard
            else:
                yield {name: self.answer(heard, question) for name, question in questions.items()}


def logits_of(
    audio_embeds: torch.Tensor,
    text_embeds: torch.Tensor,
    logit_scale: torch.Tensor,
    calibration: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Compare embeddings of unit length.

    Args:
        audio_embeds: (n, dim).
        text_embeds: (labels, dim).
        logit_scale: Natural logarithm of the inverse temperature.
        calibration: Fitted on unlabelled audio; None for none.

    Returns:
        (n, labels): the cosine, times exp(logit scale), or what the calibration makes of it.
    """
    if calibration is not None:
        return calibration(audio_embeds, text_embeds, float(logit_scale.exp()))
    return logit_scale.exp() * audio_embeds @ text_embeds.t()


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return the value of an argument, or raise a ValueError if it is none of the choices."""
    if value not in choices:
        expected = ", ".join(f'"{choice}"' for choice in choices[:-1]) + f' or "{choices[-1]}"'
        raise ValueError(f"{name} is {value!r}; expected {expected}.")
    return value


def _groups(loaded: Iterable[Any], batch_size: int, most_samples: float) -> Iterator[list[Any]]:
    """Cut what is loaded into groups that are embedded together: of one where there are no batches to fill."""
    group, samples = [], 0
    for item in loaded:
        group.append(item)
        samples += len(item.waveform) if isinstance(item, Clip) else 0
        full = len(group) >= LOOKAHEAD * batch_size or samples >= most_samples
        if batch_size == 1 or full or isinstance(item, LongAudio):
            yield group
            group, samples = [], 0
    if group:
        yield group
