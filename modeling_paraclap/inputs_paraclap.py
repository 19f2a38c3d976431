"""Whatever a user may hold in hand that is audio -> mono float32 samples at the model's rate."""

import io
import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .audio_paraclap import BLOCK_LENGTH_S, resample_blocks, stream_audio
from .waveform_paraclap import AudioError, scale_samples, shortened, to_mono

URL_TIMEOUT_S = 30
# More channels than this are a batch that somebody meant to pass as a list.
MOST_CHANNELS = 16


def load_input(audio: Any, target_rate: int, sampling_rate: int | None = None) -> np.ndarray:
    """Any form of audio in one piece; see `stream_input`.

    Returns:
        float32 array of shape (samples,).
    """
    return np.concatenate(list(stream_input(audio, target_rate, sampling_rate)))


def stream_input(audio: Any, target_rate: int, sampling_rate: int | None = None) -> Iterator[np.ndarray]:
    """Any form of audio, block by block.

    Args:
        audio: One of

            - a path (`str` or `os.PathLike`), an http(s) URL, `bytes`, or a binary file object: wav, flac, ogg, opus,
              mp3 and whatever else `audio_paraclap` decodes;
            - a `np.ndarray` or `torch.Tensor` of floats in [-1, 1] or of integers (which are scaled), of shape
              (samples,), (channels, samples) or (samples, channels), where the shorter axis is the channels;
            - a dict with `array` or `raw`, and `sampling_rate`; or with `bytes` or `path`, as of datasets'
              `Audio(decode=False)`; or a whole row of a dataset with one of these under `audio`;
            - a torchcodec decoder, or what its `get_all_samples()` returns.
        target_rate (`int`): The rate of the blocks in Hz.
        sampling_rate (`int`, *optional*): The rate of a bare array; without it, `target_rate`. Files, decoders and
            dicts know their own.

    Yields:
        float32 arrays of shape (samples,): the mean of the channels, at the target rate.

    Raises:
        AudioError: If the audio cannot be used: missing, not audio, truncated, empty, NaN.
        TypeError: If `audio` is none of the above.
    """
    if isinstance(audio, dict):
        yield from _stream_dict(audio, target_rate, sampling_rate)
    elif isinstance(audio, str) and audio.startswith(("http://", "https://")):
        yield from stream_audio(_named(_download(audio), audio), target_rate)
    elif isinstance(audio, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(audio, "read"):
        yield from stream_audio(audio, target_rate)
    elif hasattr(audio, "get_all_samples"):
        yield from stream_input(audio.get_all_samples(), target_rate)
    elif hasattr(audio, "sample_rate") and hasattr(audio, "data"):
        # torchcodec's samples are (channels, samples), however short.
        yield from _stream_array(_as_numpy(audio.data).T, _checked_rate(audio.sample_rate), target_rate)
    elif isinstance(audio, (np.ndarray, torch.Tensor)):
        rate = target_rate if sampling_rate is None else _checked_rate(sampling_rate)
        yield from _stream_array(_channels_last(_as_numpy(audio)), rate, target_rate)
    else:
        raise TypeError(
            f"{shortened(audio)} is no audio. Pass a path, a URL, bytes, a binary file object, a NumPy array or torch "
            'tensor of samples, {"array": samples, "sampling_rate": rate}, or a list of these.'
        )


def _stream_dict(audio: dict, target_rate: int, sampling_rate: int | None) -> Iterator[np.ndarray]:
    for key in ("array", "raw"):
        if audio.get(key) is not None:
            rate = audio.get("sampling_rate", sampling_rate)
            if rate is None:
                raise AudioError(f'The dict has {key!r} but no "sampling_rate". Add it, in Hz.')
            array = audio[key] if isinstance(audio[key], torch.Tensor) else np.asarray(audio[key])
            yield from stream_input(array, target_rate, rate)
            return
    if audio.get("bytes") is not None:
        yield from stream_audio(_named(audio["bytes"], audio.get("path") or "bytes"), target_rate)
        return
    for key in ("path", "audio"):
        if audio.get(key) is not None:
            yield from stream_input(audio[key], target_rate, sampling_rate)
            return
    raise AudioError(
        f"The dict has the keys {sorted(map(str, audio))}, and no audio under any that is known. Expected: "
        '"array" or "raw" with "sampling_rate", or "bytes", or "path", or one of these dicts under "audio".'
    )


def _stream_array(array: np.ndarray, rate: int, target_rate: int) -> Iterator[np.ndarray]:
    """Blocks of an array of shape (samples,) or (samples, channels)."""
    if not array.size:
        raise AudioError("The audio is empty: it has no samples. Leave it out.")
    length = int(rate * BLOCK_LENGTH_S)
    blocks = (to_mono(scale_samples(array[start : start + length])) for start in range(0, len(array), length))
    yield from resample_blocks(blocks, rate, target_rate)


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


def _checked_rate(sampling_rate: Any) -> int:
    # A rate under 1 kHz is kHz for Hz.
    if isinstance(sampling_rate, (int, float, np.number)) and sampling_rate >= 1000 and sampling_rate % 1 == 0:
        return int(sampling_rate)
    raise AudioError(f"The sampling rate is {sampling_rate!r}; expected a whole number of Hz, such as 16000.")


def _download(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "paraclap"})
    try:
        with urllib.request.urlopen(request, timeout=URL_TIMEOUT_S) as response:
            return response.read()
    except OSError as error:  # urllib's errors are all of this kind
        raise AudioError(f"{url} cannot be downloaded: {error}. Check that the address is the file's.") from error


def _named(content: bytes, name: Any) -> io.BytesIO:
    """A file object whose name stands in error messages."""
    file = io.BytesIO(content)
    file.name = str(name)
    return file
