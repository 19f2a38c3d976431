"""The one audio loader of the project: encoded audio in, mono float32 samples out.

Decoding is libsndfile's (through `soundfile`, whose wheel carries it): wav, flac, ogg, opus, mp3, aiff and others, told
apart by their content and never by their extension. What libsndfile does not know goes to the `ffmpeg` program if there
is one. Everything is read block by block, so a recording of hours costs no more memory than its mono samples at the
rate asked for, and `stream_audio` not even those.
"""

import contextlib
import functools
import io
import math
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .mp3_paraclap import with_length
from .waveform_paraclap import AudioError, to_mono

BLOCK_LENGTH_S = 30.0
# libsndfile's count of frames for a stream whose header does not say how many there are.
UNKNOWN_FRAMES = 2**62
# Writers to a pipe cannot know the length and put 0xFFFFFFFF (ffmpeg), 0x80000000 (arecord) or 0x7FFFF... (sox) there.
STREAMED_CHUNK_SIZE = 0x7FFFF000
# The gapless information of an MP3 may be off by the decoder's delay; a cut file lacks more than two frames.
MP3_TOLERANCE = 2 * 1152


def read_audio(source: Any) -> tuple[np.ndarray, int]:
    """Decode a file at its own sampling rate with all its channels.

    Args:
        source (`str`, `os.PathLike`, `bytes` or binary file object): What to decode. A file object is
            read from its start.

    Returns:
        The float32 samples, nominally in [-1, 1], of shape (samples,), or (samples, channels) if there is more than one
        channel, and the sampling rate in Hz.

    Raises:
        AudioError: If the source is missing, unreadable, truncated, empty, or holds NaN or infinite samples.
    """
    with _open_sound(source) as (sound, blocks):
        waveform = np.concatenate(list(blocks))
        return (waveform[:, 0] if waveform.shape[1] == 1 else waveform), sound.samplerate


def load_audio(source: Any, sampling_rate: int = 16000) -> np.ndarray:
    """Decode a file to mono samples at one rate.

    Args:
        source (`str`, `os.PathLike`, `bytes` or binary file object): What to decode.
        sampling_rate (`int`): The rate of the result in Hz.

    Returns:
        float32 array of shape (samples,): the mean of the channels.

    Raises:
        AudioError: As `read_audio`.
    """
    return np.concatenate(list(stream_audio(source, sampling_rate)))


def stream_audio(source: Any, sampling_rate: int = 16000) -> Iterator[np.ndarray]:
    """Decode a file block by block; the blocks, put together, are what `load_audio` returns.

    Args:
        source (`str`, `os.PathLike`, `bytes` or binary file object): What to decode.
        sampling_rate (`int`): The rate of the blocks in Hz.

    Yields:
        float32 arrays of shape (samples,), of about half a minute each.

    Raises:
        AudioError: As `read_audio`; an error further on in the file is raised when that block is reached.
    """
    with _open_sound(source) as (sound, blocks):
        yield from resample_blocks((to_mono(block) for block in blocks), sound.samplerate, sampling_rate)


def load_crop(source: Any, samples: int, rng: np.random.Generator, sampling_rate: int = 16000) -> np.ndarray:
    """Decode a random part of a file, and of a file that says how long it is nothing else.

    The part is the one that `load_audio` and a cut at `rng.integers(length - samples + 1)` give. Formats that can only
    be read from their start (ogg, mp3) are decoded up to the part's end.

    Args:
        source (`str`, `os.PathLike`, `bytes` or binary file object): What to decode.
        samples (`int`): Length of the part at the new rate; a shorter file is returned as it is and draws nothing.
        rng (`np.random.Generator`): Draws where the part starts.
        sampling_rate (`int`): The rate of the result in Hz.

    Returns:
        float32 array of shape (samples,): the mean of the channels.

    Raises:
        AudioError: As `read_audio`, for the part that is read.
    """
    name = name_of(source)
    with _open_sound(source) as (sound, blocks):
        rate, frames = sound.samplerate, sound.frames
        divisor = math.gcd(rate, sampling_rate)
        step, new_step = rate // divisor, sampling_rate // divisor
        length = -(-frames * new_step // step)
        if not 0 < frames < UNKNOWN_FRAMES or sound.format == "MP3":
            waveform = np.concatenate(list(resample_blocks((to_mono(b) for b in blocks), rate, sampling_rate)))
            if len(waveform) <= samples:
                return waveform
            start = int(rng.integers(len(waveform) - samples + 1))
            return waveform[start : start + samples]
        if length <= samples:
            whole = [to_mono(_read_part(sound, 0, frames, name))]
            return np.concatenate(list(resample_blocks(whole, rate, sampling_rate)))
        start = int(rng.integers(length - samples + 1))
        # Cut where a sample of both rates coincides, with as much on either side as the filter reaches.
        margin = 0 if rate == sampling_rate else _reach(step, new_step)
        first = max(0, start // new_step * step - margin)
        last = min(frames, (-(-(start + samples) // new_step)) * step + margin)
        waveform = to_mono(_read_part(sound, first, last, name))
        part_start = start - first // step * new_step
        return resample(waveform, rate, sampling_rate)[part_start : part_start + samples]


def _read_part(sound: Any, first: int, last: int, name: str) -> np.ndarray:
    """Samples first to last, of shape (samples, channels)."""
    import soundfile

    try:
        if sound.format != "OGG":  # there libsndfile lands near the place, not on it
            soundfile.SoundFile.seek(sound, first)
            part = _read(sound, last - first, name)
        else:
            part = _read(sound, last, name)[first:]
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name} is truncated or damaged: {error}. Copy or download it again.") from error
    if len(part) < last - first:
        raise _truncated(name, f"{sound.frames} samples", f"{first + len(part)}")
    return part


def _read(sound: Any, frames: int, name: str) -> np.ndarray:
    """At most so many samples from where the file stands, float32 of shape (samples, channels), in [-1, 1]."""
    if sound.subtype == "PCM_16":  # the same numbers, sooner than libsndfile makes them
        return sound.read(frames, dtype="int16", always_2d=True) * np.float32(1 / 32768)
    samples = sound.read(frames, dtype="float32", always_2d=True)
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} holds samples that are NaN or infinite. Export it again from its source.")
    return samples


def resample(waveform: np.ndarray, orig: int, target: int) -> np.ndarray:
    """Change the sampling rate of a waveform with torchaudio's windowed-sinc filter.

    Args:
        waveform (`np.ndarray` of shape `(samples,)`): float32 samples.
        orig (`int`): Its sampling rate in Hz.
        target (`int`): The sampling rate wanted, in Hz.

    Returns:
        float32 array of ceil(samples * target / orig) samples.

    Raises:
        ImportError: If torchaudio is missing, or built for another torch.
    """
    if orig == target or not len(waveform):
        return waveform
    try:
        from torchaudio.functional import resample as sinc_resample
    except (ImportError, OSError, RuntimeError) as error:  # a torch of another CUDA is an OSError or a RuntimeError
        raise ImportError(
            f"The audio has {orig} Hz and {target} Hz are needed: resampling needs the torchaudio that belongs to "
            f"torch {torch.__version__} (`pip install torch==2.11.* torchaudio==2.11.*`). "
            f"Importing it failed: {error}"
        ) from error
    return sinc_resample(torch.from_numpy(waveform), orig, target).numpy()


def resample_blocks(blocks: Iterable[np.ndarray], orig: int, target: int) -> Iterator[np.ndarray]:
    """Resample consecutive blocks of one waveform as if they were in one piece.

    Every block is filtered with as much of its neighbours as the filter reaches, and their share of the result is cut
    off again. Cuts are made only where a sample of the old rate and one of the new rate coincide.

    Args:
        blocks (iterable of `np.ndarray` of shape `(samples,)`): The waveform, in order.
        orig (`int`): Its sampling rate in Hz.
        target (`int`): The sampling rate wanted, in Hz.

    Yields:
        float32 arrays of shape (samples,) at the new rate.
    """
    if orig == target:
        yield from blocks
        return
    divisor = math.gcd(orig, target)
    step, new_step = orig // divisor, target // divisor
    margin = _reach(step, new_step)
    pending = np.zeros(0, dtype=np.float32)
    context = 0  # leading samples of `pending` whose result has been yielded already
    for block in blocks:
        pending = np.concatenate([pending, block])
        ready = (len(pending) - margin) // step * step
        if ready <= context:
            continue
        yield resample(pending[: ready + margin], orig, target)[context // step * new_step : ready // step * new_step]
        kept_from = max(0, ready - margin)
        pending, context = pending[kept_from:], ready - kept_from
    yield resample(pending, orig, target)[context // step * new_step :]


def _reach(step: int, new_step: int) -> int:
    """Samples that the resampling filter sees to either side, as a multiple of `step`, of a rate step / new_step."""
    reach = 6 * step / (0.99 * min(step, new_step))  # torchaudio's defaults: six zero crossings, rolloff 0.99
    return step * (math.ceil(reach / step) + 1)


@contextlib.contextmanager
def _open_sound(source: Any) -> Iterator[tuple[Any, Iterator[np.ndarray]]]:
    """Open encoded audio; gives the `soundfile.SoundFile` and an iterator over its blocks (samples, channels)."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the wheel without its libsndfile
        raise ImportError(f"Decoding audio needs soundfile (`pip install soundfile`): {error}") from error

    name = name_of(source)
    with contextlib.ExitStack() as stack:
        stream = _as_stream(source, name, stack)
        if stream.seek(0, os.SEEK_END) == 0:
            raise AudioError(f"{name} is empty (0 bytes). Copy or download it again.")
        stream, knows_length = _check_container(stream, name)
        stream.seek(0)
        try:
            sound = stack.enter_context(_sequential(soundfile)(stream))
        except soundfile.LibsndfileError as error:
            stream = _decode_with_ffmpeg(source, stream, name, str(error), stack)
            sound = stack.enter_context(_sequential(soundfile)(stream))
        yield sound, _blocks_of(sound, name, knows_length, soundfile.LibsndfileError)


@functools.cache
def _sequential(soundfile: Any) -> type:
    class SequentialSoundFile(soundfile.SoundFile):
        """Reads from start to end; seeking after every block fails on a FLAC of unknown length."""

        def seekable(self):
            return False

    return SequentialSoundFile


def _blocks_of(sound: Any, name: str, knows_length: bool, decoding_error: type[Exception]) -> Iterator[np.ndarray]:
    block_length = int(sound.samplerate * BLOCK_LENGTH_S)
    position = 0
    while True:
        try:
            block = _read(sound, block_length, name)
        except decoding_error as error:
            raise AudioError(
                f"{name} is truncated or damaged: decoding stops after {position / sound.samplerate:.2f} s "
                f"({error}). Copy or download it again."
            ) from error
        if not len(block):
            break
        position += len(block)
        yield block
    tolerance = MP3_TOLERANCE if sound.format == "MP3" else 0
    if knows_length and sound.frames < UNKNOWN_FRAMES and position + tolerance < sound.frames:
        raise _truncated(name, f"{sound.frames} samples", f"{position} samples")
    if not position:
        raise AudioError(f"{name} is a valid {sound.format} file, but holds no samples. Leave it out.")


def _as_stream(source: Any, name: str, stack: contextlib.ExitStack) -> Any:
    """A seekable binary file object of the source; what is opened here is closed with the stack."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            raise AudioError(f"{name} is a folder, not an audio file. Pass the files in it.")
        try:
            stream = stack.enter_context(path.open("rb"))
        except FileNotFoundError as error:
            raise AudioError(f"{name} does not exist. Check the path (now in {os.getcwd()}).") from error
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
            raise AudioError(f"{name} cannot be opened: {error}.") from error
    elif isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    elif hasattr(source, "read"):
        stream = source
        if not (hasattr(stream, "seekable") and stream.seekable()):
            stream = io.BytesIO(_must_be_bytes(stream.read(), name))
        stream.seek(0)
        _must_be_bytes(stream.read(1), name)
    else:
        raise TypeError(f"{name} cannot be read: audio is read from a path, bytes or a binary file object.")
    # soundfile takes a name in .raw for samples without a header and asks for their format.
    if str(getattr(stream, "name", "")).lower().endswith(".raw"):
        stream.seek(0)
        return io.BytesIO(stream.read())
    return stream


def _must_be_bytes(read: Any, name: str) -> bytes:
    if not isinstance(read, bytes):
        raise TypeError(f'{name} gives text. Open the file in binary mode: open(path, "rb").')
    return read


def _check_container(stream: Any, name: str) -> tuple[Any, bool]:
    """Compare what the headers promise with the bytes that are there, where libsndfile does not.

    Returns:
        The stream to decode (repaired, if a streamed WAV says 0 for an unknown length, or an MP3 says none), and
        whether the number of samples that libsndfile reports is a promise and not an estimate.

    Raises:
        AudioError: If the file is cut.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX", b"FORM"):
        return _check_chunks(stream, head, size, name), True
    if head[:4] == b"OggS":
        _check_last_ogg_page(stream, size, name)
    elif head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        tag = 0
        if head[:3] == b"ID3" and len(head) >= 10:
            tag = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        stream.seek(tag)
        first_frame = stream.read(256)
        if b"Xing" in first_frame or b"Info" in first_frame:
            return stream, True
        return with_length(stream, tag), False  # its own count cannot tell whether the file was cut
    return stream, True


def _check_chunks(stream: Any, head: bytes, size: int, name: str) -> Any:
    """Walk the chunks of a WAV or AIFF file up to its samples: libsndfile reads a cut one silently short."""
    number = ">I" if head[:4] in (b"RIFX", b"FORM") else "<I"
    position, size_64 = 12, None
    while True:
        stream.seek(position)
        chunk = stream.read(8)
        if len(chunk) < 8:
            return stream  # no chunk of samples at all: libsndfile's error says so
        kind, length = chunk[:4], struct.unpack(number, chunk[4:])[0]
        if kind == b"ds64":
            size_64 = struct.unpack("<8xQ", stream.read(16))[0]
        if kind in (b"data", b"SSND"):
            break
        position += 8 + length + length % 2
    present = size - position - 8
    if length == 0xFFFFFFFF and size_64 is not None:
        length = size_64
    elif length == 0 and present and head[4:8] in (bytes(4), b"\xff" * 4):
        stream.seek(0)
        repaired = bytearray(stream.read())
        repaired[position + 4 : position + 8] = b"\xff" * 4
        return io.BytesIO(repaired)
    elif length >= STREAMED_CHUNK_SIZE:
        return stream
    if length > present:
        raise _truncated(name, f"{length} bytes of samples", f"{present}")
    return stream


def _check_last_ogg_page(stream: Any, size: int, name: str) -> None:
    """Ogg has no length in its header, but its pages have; a cut file ends within one."""
    start = max(0, size - 2 * 65307)  # twice the largest page
    stream.seek(start)
    tail = stream.read()
    page = tail[tail.rfind(b"OggS") :]
    segments = page[26] if len(page) > 26 else 255
    table = page[27 : 27 + segments]
    promised = 27 + segments + sum(table)
    if len(table) < segments or len(page) < promised:
        raise _truncated(name, f"a last page of {promised} bytes", f"{len(page)}")


def _truncated(name: str, promised: str, present: str) -> AudioError:
    return AudioError(
        f"{name} is truncated: its header promises {promised}, but there are {present}. Copy or download it again."
    )


def _decode_with_ffmpeg(source: Any, stream: Any, name: str, reason: str, stack: contextlib.ExitStack) -> Any:
    """Let the ffmpeg program turn what libsndfile cannot read into a WAV in a temporary file."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioError(
            f"{name} is not audio that libsndfile can read ({reason.split(': ')[-1]}). If it is audio all the same "
            "(m4a, webm, ...), convert it to wav or flac, or install the ffmpeg program; if it is text or a web page, "
            "leave it out."
        )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    if isinstance(source, (str, os.PathLike)):
        encoded = Path(source).resolve()
    else:  # not a pipe: the index of an mp4 may stand at its end
        encoded = folder / "encoded"
        stream.seek(0)
        with encoded.open("wb") as file:
            shutil.copyfileobj(stream, file)
    decoded = folder / "decoded.wav"
    command = [program, "-nostdin", "-v", "error", "-i", f"file:{encoded}", "-map", "0:a:0"]
    command += ["-c:a", "pcm_f32le", "-rf64", "auto", f"file:{decoded}"]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if result.returncode or not decoded.exists():
        message = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise AudioError(f"{name} is not audio that libsndfile or ffmpeg can read: {message}. Leave it out.")
    return stack.enter_context(decoded.open("rb"))


def name_of(source: Any) -> str:
    """How an error message calls a source of audio; starts a sentence."""
    if isinstance(source, (str, os.PathLike)):
        return f"The file {os.fspath(source)!r}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"The audio of {len(source)} bytes"
    if hasattr(source, "read"):
        return f"The file object {getattr(source, 'name', source)!r}"
    return f"The {type(source).__name__}"
