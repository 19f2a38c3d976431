"""Any form in which a user may hold audio -> mono float32 samples at the model's rate."""

import contextlib
import io
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import torch

from .audio_paraclap import AUDIO_S, STREAM_S, joined, short_enough, stream_audio
from .decode_paraclap import BLOCK_VALUES
from .limits_paraclap import LEAST_SAMPLING_RATE, advice, limit
from .remote_paraclap import fetch, is_url
from .resample_paraclap import resample_blocks
from .source_paraclap import Source, name_of
from .waveform_paraclap import AudioError, NoAudioError, scale_samples, shortened, to_mono

# More channels than this are a batch that somebody meant to pass as a list.
MOST_CHANNELS = 16


def load_input(
    audio: Any, target_rate: int, sampling_rate: int | None = None, max_seconds: float | None = None
) -> np.ndarray:
    """Load any form of audio in one piece; for the arguments see `stream_input`.

    Returns:
        float32 array of shape (samples,).
    """
    limit_s = limit(AUDIO_S) if max_seconds is None else max_seconds
    waveform = joined(stream_input(audio, target_rate, sampling_rate, limit_s))
    return waveform if waveform.flags.owndata else waveform.copy()  # never the caller's own array


def stream_input(
    audio: Any, target_rate: int, sampling_rate: int | None = None, max_seconds: float | None = None
) -> Iterator[np.ndarray]:
    """Load any form of audio, block by block.

    Args:
        audio: One of

            - a path, an http, https or file URL, `bytes`, or a binary file object: wav, flac, ogg, opus, mp3 and
              whatever else `audio_paraclap` decodes;
            - a `np.ndarray` or `torch.Tensor` of floats in [-1, 1] or of integers (which are scaled), of shape
              (samples,), (channels, samples) or (samples, channels), where the shorter axis is the channels;
            - a dict with `array` or `raw`, and `sampling_rate`; or with `bytes` or `path`, as of datasets'
              `Audio(decode=False)`; or a whole row of a dataset with one of these under `audio`;
            - a torchcodec decoder, or what its `get_all_samples()` returns; an open `soundfile.SoundFile`.
        target_rate: The rate of the blocks in Hz.
        sampling_rate: The rate of a bare array; without it, `target_rate`. Files, decoders and dicts know their own.
        max_seconds: Length from which on audio is refused; without it, `PARACLAP_MAX_STREAM_S` (`load_input`:
            `PARACLAP_MAX_AUDIO_S`).

    Yields:
        float32 arrays of shape (samples,): the mean of the channels, at the target rate.

    Raises:
        AudioError: If the audio cannot be used: missing, not audio, truncated, empty, NaN, or beyond a limit.
        NoAudioError: If `audio` is none of the above; it is a TypeError too.
    """
    if isinstance(audio, dict):
        yield from _stream_dict(audio, target_rate, sampling_rate, max_seconds)
    elif is_url(audio):
        with contextlib.ExitStack() as stack:
            yield from stream_audio(fetch(audio, stack), target_rate, max_seconds)
    elif hasattr(audio, "buffer_read_into") and hasattr(audio, "samplerate"):
        yield from _stream_sound_file(audio, target_rate, max_seconds)
    elif isinstance(audio, str):
        yield from stream_audio(_local_path(audio), target_rate, max_seconds)
    elif isinstance(audio, (os.PathLike, bytes, bytearray, memoryview)) or hasattr(audio, "read"):
        yield from stream_audio(audio, target_rate, max_seconds)
    elif hasattr(audio, "get_all_samples"):
        yield from stream_input(audio.get_all_samples(), target_rate, None, max_seconds)
    elif hasattr(audio, "sample_rate") and hasattr(audio, "data"):
        # torchcodec's samples are (channels, samples), however short.
        samples = _as_numpy(audio.data).T
        yield from _stream_array(samples, checked_rate(audio.sample_rate), target_rate, max_seconds)
    elif isinstance(audio, (np.ndarray, torch.Tensor)):
        rate = checked_rate(target_rate if sampling_rate is None else sampling_rate)
        yield from _stream_array(_channels_last(_as_numpy(audio)), rate, target_rate, max_seconds)
    else:
        raise NoAudioError(
            f"{shortened(audio)} is not a supported audio input. Pass a path, a URL, bytes, a binary file object, a "
            'NumPy array or torch tensor of samples, {"array": samples, "sampling_rate": rate}, or a list of these.'
        )


def _local_path(text: str) -> str:
    """Return the path that a file URL names, or `~` stands for."""
    if text[:7].lower() == "file://":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise AudioError(f"{name_of(text)} is on another machine: a file URL begins with file:///. Pass a path.")
        return url2pathname(text[7 + len(parts.netloc) :])
    return os.path.expanduser(text) if text.startswith("~") and not Path(text).exists() else text


def _stream_dict(
    audio: dict, target_rate: int, sampling_rate: int | None, max_seconds: float | None
) -> Iterator[np.ndarray]:
    for key in ("array", "raw"):
        if audio.get(key) is not None:
            rate = audio.get("sampling_rate", sampling_rate)
            if rate is None:
                raise AudioError(f'The dict has {key!r} but no "sampling_rate". Add it, in Hz.')
            try:
                array = audio[key] if isinstance(audio[key], torch.Tensor) else np.asarray(audio[key])
            except ValueError as error:  # lists of unequal length
                raise NoAudioError(f"The dict's {key!r} is no array: {error}") from error
            yield from stream_input(array, target_rate, rate, max_seconds)
            return
    if audio.get("bytes") is not None:
        content = audio["bytes"]
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise NoAudioError(f'The dict has {shortened(content)} under "bytes"; expected the bytes of an audio file.')
        named = Source(io.BytesIO(content), name_of(str(audio.get("path") or "bytes")))
        yield from stream_audio(named, target_rate, max_seconds)
        return
    for key in ("path", "audio"):
        if audio.get(key) is not None:
            yield from stream_input(audio[key], target_rate, sampling_rate, max_seconds)
            return
    raise AudioError(
        f"The dict has the keys {sorted(map(str, audio))}, and no audio under any that is known. Expected: "
        '"array" or "raw" with "sampling_rate", or "bytes", or "path", or one of these dicts under "audio".'
    )


def _stream_sound_file(sound: Any, target_rate: int, max_seconds: float | None) -> Iterator[np.ndarray]:
    """Stream an open `soundfile.SoundFile`, from its start where it can seek."""
    name = name_of(sound)
    if sound.closed or sound.mode == "w":
        raise AudioError(f"{name} is {'closed' if sound.closed else 'open for writing'}. Open it for reading.")
    if sound.seekable():
        sound.seek(0)
    rate, length = checked_rate(sound.samplerate), max(1, BLOCK_VALUES // sound.channels)
    blocks = (sound.read(length, dtype="float32", always_2d=True) for _ in itertools.count())
    yield from _stream_blocks(blocks, rate, target_rate, max_seconds, name)


def _stream_array(array: np.ndarray, rate: int, target_rate: int, max_seconds: float | None) -> Iterator[np.ndarray]:
    """Stream an array of shape (samples,) or (samples, channels)."""
    length = max(1, BLOCK_VALUES // (array.shape[1] if array.ndim == 2 and array.shape[1] else 1))
    blocks = (array[start : start + length] for start in range(0, len(array), length))
    yield from _stream_blocks(blocks, rate, target_rate, max_seconds, "The audio")


def _stream_blocks(
    blocks: Iterable[np.ndarray], rate: int, target_rate: int, max_seconds: float | None, name: str
) -> Iterator[np.ndarray]:
    """Convert blocks (samples,) or (samples, channels) of any type to mono at a rate; an empty block is the last."""
    position = 0

    def mono() -> Iterator[np.ndarray]:
        nonlocal position
        for block in blocks:
            if not block.size:
                break
            position += len(block)
            short_enough(position / rate, STREAM_S, max_seconds, name)
            yield to_mono(scale_samples(block, name))

    yield from resample_blocks(mono(), rate, target_rate)
    if not position:
        raise AudioError(f"{name} is empty: it has no samples. Leave it out.")


def _as_numpy(array: Any) -> np.ndarray:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
    return np.asarray(array)


def _channels_last(array: np.ndarray) -> np.ndarray:
    if array.ndim == 1:
        return array
    if array.ndim != 2:
        raise AudioError(f"The audio has the shape {array.shape}; expected (samples,), or two axes for stereo.")
    if array.shape[0] == array.shape[1] != 1:
        raise AudioError(f"The audio has the shape {array.shape}: which axis is time? Pass the mean of the channels.")
    if min(array.shape) > MOST_CHANNELS:
        raise AudioError(
            f"The audio has the shape {array.shape}, which would be {min(array.shape)} channels. If it is a batch, "
            "pass a list of waveforms."
        )
    return array.T if array.shape[0] < array.shape[1] else array


def checked_rate(sampling_rate: Any) -> int:
    """Return a sampling rate as an int.

    Raises:
        AudioError: If it is no whole number of Hz within the limits.
    """
    known = isinstance(sampling_rate, (int, float, np.number))
    # A rate under 1 kHz is kHz for Hz.
    if not known or not LEAST_SAMPLING_RATE <= sampling_rate < math.inf or sampling_rate % 1:
        raise AudioError(f"The sampling rate is {sampling_rate!r}; expected a whole number of Hz, such as 16000.")
    if sampling_rate > limit("PARACLAP_MAX_SAMPLING_RATE"):
        raise AudioError(f"The sampling rate is {sampling_rate!r}; {advice('PARACLAP_MAX_SAMPLING_RATE')}")
    return int(sampling_rate)
