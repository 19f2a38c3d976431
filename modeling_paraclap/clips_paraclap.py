"""From any form of audio to what the model hears: one checked clip, or windows of audio that is read as it is heard.

Needs no model, so that processes that only load audio are quick to start and hold no weights.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from .audio_paraclap import name_of
from .inputs_paraclap import stream_input
from .limits_paraclap import limit
from .waveform_paraclap import AudioError, check_waveform, is_silent
from .windows_paraclap import windows_of

# Longer audio is heard in windows, as the memory of self-attention grows with the square of its length.
LONGEST_WHOLE_S = 60.0
# About an utterance or two, which is what the model was trained on.
WINDOW_LENGTH_S = 10.0
WHOLE = "whole"


@dataclass(frozen=True)
class Windows:
    """How audio is cut.

    Args:
        length_s: Length of a window in seconds; `"whole"` to keep all audio in one piece; None to keep audio of up to
            60 s (`LONGEST_WHOLE_S`) in one piece and to cut longer audio into windows of 10 s (`WINDOW_LENGTH_S`).
        stride_s: Time between the starts of consecutive windows in seconds; None for `length_s`.

    Raises:
        ValueError: If a length is not a finite number above 0, the stride is longer than the window, or there is a
            stride without a window.
    """

    length_s: float | str | None = None
    stride_s: float | None = None

    def __post_init__(self):
        length, stride = self.length_s, self.stride_s
        if length is not None and length != WHOLE:
            _check_seconds("window_length_s", length, f'a number of seconds above 0, or "{WHOLE}"')
        if stride is None:
            return
        _check_seconds("stride_length_s", stride, "a number of seconds above 0")
        if length is None or length == WHOLE:
            raise ValueError(f"stride_length_s is {stride} without a window. Pass window_length_s too.")
        if stride > length:
            raise ValueError(
                f"stride_length_s is {stride}, window_length_s {length}: the stride must be above 0, and no more than "
                "the window, or audio between two windows would be skipped."
            )

    @property
    def given(self) -> bool:
        """Whether windows were asked for, rather than left to the audio's length."""
        return self.length_s is not None and self.length_s != WHOLE

    def in_samples(self, rate: int, least_samples: int) -> tuple[int, int]:
        """Return length and stride in samples.

        Args:
            rate: Sampling rate in Hz.
            least_samples: Samples that the audio encoder needs for its first frame.

        Raises:
            ValueError: If a window is shorter than that, or the stride shorter than a sample.
        """
        seconds = self.length_s if self.given else WINDOW_LENGTH_S
        length = round(seconds * rate)
        stride = length if self.stride_s is None else round(self.stride_s * rate)
        if length < least_samples:
            raise ValueError(
                f"window_length_s is {seconds}; the audio encoder needs {least_samples / rate} s at the least."
            )
        if stride < 1:
            raise ValueError(f"stride_length_s is {self.stride_s}, less than one sample at {rate} Hz.")
        return length, stride


AUTOMATIC = Windows()


@dataclass(frozen=True)
class Clip:
    """Audio in one piece.

    Args:
        waveform: float32 (samples,), checked.
    """

    waveform: np.ndarray


@dataclass(frozen=True)
class Unusable:
    """Audio that cannot be used.

    Args:
        name: Its path, URL or the name of its file; None for audio that has no name, such as an array.
        reason: Why it cannot be used and what to do, in a sentence or two.
        error: The class to raise it with.
    """

    name: str | None
    reason: str
    error: type[AudioError] = AudioError


class LongAudio:
    """Audio that is read while it is heard.

    Sent to another process, it is read from its start there.

    Args:
        source: Any form of audio that `stream_input` takes.
        rate: The rate to read it at, in Hz.
        sampling_rate: The rate of a bare array in Hz; None for `rate`.
        started: Blocks of it, if reading has begun.
    """

    def __init__(
        self, source: Any, rate: int, sampling_rate: int | None = None, started: Iterable[np.ndarray] | None = None
    ):
        self.source, self.rate, self.sampling_rate, self._started = source, rate, sampling_rate, started

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32 blocks (samples,), which are read as they are consumed."""
        started, self._started = self._started, None
        yield from stream_input(self.source, self.rate, self.sampling_rate) if started is None else started

    def windows(self, length: int, stride: int, least_samples: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield start sample and samples of each window that is not digital silence.

        Args:
            length: Samples of a window.
            stride: Samples from the start of a window to that of the next.
            least_samples: Samples that the audio encoder needs for its first frame.

        Raises:
            AudioError: If the audio cannot be used, or all of it is silent.
        """
        name, sounding, last = describe(self.source), False, np.zeros(0, dtype=np.float32)
        for start, waveform in windows_of(self.blocks(), length, stride, least_samples):
            check_waveform(waveform, self.rate, least_samples, name, silence=True)
            if not is_silent(waveform):
                sounding = True
                yield start, waveform
            last = waveform
        if not sounding:
            check_waveform(last, self.rate, least_samples, name)

    def __getstate__(self) -> dict[str, Any]:
        source = self.source
        if hasattr(source, "read") and not isinstance(source, io.BytesIO):  # an open file stays with its process
            position = source.tell() if hasattr(source, "seekable") and source.seekable() else None
            if position is not None:
                source.seek(0)
            content = source.read()
            if position is not None:  # who reads it here goes on where they were
                source.seek(position)
            source = content
        return self.__dict__ | {"source": source, "_started": None}


@dataclass(frozen=True)
class Loader:
    """Loads audio for a model, without the model.

    Args:
        rate: The model's sampling rate in Hz.
        least_samples: Samples that its audio encoder needs for its first frame.
        longest_s: Seconds to keep of longer audio, from its start; None for all.
    """

    rate: int
    least_samples: int
    longest_s: float | None = None

    def __call__(
        self, audio: Any, sampling_rate: int | None = None, windows: Windows = AUTOMATIC, on_error: str = "raise"
    ) -> Clip | LongAudio | Unusable:
        """Load one audio and check it.

        Args:
            audio: Any form of audio that `stream_input` takes.
            sampling_rate: The rate of a bare array in Hz; None for the model's.
            windows: How it is to be cut; audio that is to be cut is not read yet, or only its first minute.
            on_error: `"raise"`, or anything else to return audio that cannot be used as [`Unusable`].

        Raises:
            AudioError: If the audio cannot be used.
            TypeError: If it is not a supported audio input.
        """
        return or_unusable(audio, lambda: self._load(audio, sampling_rate, windows), on_error)

    def _load(self, audio: Any, sampling_rate: int | None, windows: Windows) -> Clip | LongAudio:
        if windows.given:
            return LongAudio(audio, self.rate, sampling_rate)
        most = limit("PARACLAP_MAX_AUDIO_S") if windows.length_s == WHOLE else None
        blocks = stream_input(audio, self.rate, sampling_rate, most)
        read, samples = [], 0
        for block in blocks:
            read.append(block)
            samples += len(block)
            if windows.length_s is None and samples > LONGEST_WHOLE_S * self.rate:
                return LongAudio(audio, self.rate, sampling_rate, started=chain(read, blocks))
        waveform = np.concatenate(read) if read else np.zeros(0, dtype=np.float32)
        if self.longest_s is not None:
            waveform = waveform[: max(1, round(self.longest_s * self.rate))]
        check_waveform(waveform, self.rate, self.least_samples, describe(audio))
        return Clip(waveform)


@dataclass(frozen=True)
class Preparation:
    """The pipeline's `preprocess` without the pipeline.

    Args:
        load: The model's loader.
        windows: How audio is cut.
        sampling_rate: The rate of bare arrays in Hz; None for the model's.
        on_error: As in [`Loader`].
    """

    load: Loader
    windows: Windows = AUTOMATIC
    sampling_rate: int | None = None
    on_error: str = "raise"

    def __call__(self, audio: Any) -> dict[str, Any]:
        """Load and check one audio, or, where it is read while it is heard, only say where it is."""
        # An object of our own: transformers looks for tensors in dicts and lists to move them to the model's device.
        return {"audio": self.load(audio, self.sampling_rate, self.windows, self.on_error)}


@dataclass(frozen=True)
class PreparedAudio:
    """Many audios as torch's `DataLoader` takes them, to load them in processes of its own."""

    audios: Sequence[Any]
    prepare: Preparation

    def __len__(self) -> int:
        return len(self.audios)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.prepare(self.audios[index])


def only_one(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the only item of a batch of one."""
    return items[0]


def as_batch(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a batch whose audio is a list."""
    return {"audio": [item["audio"] for item in items]}


def or_unusable(audio: Any, make: Callable[[], Any], on_error: str) -> Any:
    """Return what `make` returns; unless `on_error` is `"raise"`, an [`Unusable`] if it finds the audio to be that."""
    try:
        return make()
    except AudioError as error:
        if on_error == "raise":
            raise
        source = _named_source(audio)
        name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
        return Unusable(name if isinstance(name, str) else None, str(error), type(error))


def describe(audio: Any) -> str:
    """Return what a message calls an audio; of a row of a dataset, the file that it names. Starts a sentence."""
    return name_of(_named_source(audio))


def _named_source(audio: Any) -> Any:
    """Return what has the name of an audio: itself, or of a row of a dataset what it names."""
    if isinstance(audio, Mapping):
        for key in ("path", "audio"):
            if audio.get(key) is not None:
                return _named_source(audio[key])
    return audio


def _check_seconds(name: str, value: Any, expected: str) -> None:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value!r}; expected {expected}.")
