"""Encoded audio to blocks of float32 samples, by libsndfile or, for what that does not read rightly, by ffmpeg.

Both come in wheels (`soundfile`, `av`), and neither needs a program on the machine. Formats are told apart by their
content and never by their extension.
"""

import contextlib
import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from .container_paraclap import Container, inspect, truncated
from .limits_paraclap import FREE_VALUES, LEAST_SAMPLING_RATE, VALUES_PER_BYTE, advice, limit
from .source_paraclap import Source
from .waveform_paraclap import AudioError, check_range, scale_samples

# Samples times channels of a block: 256 kB, which stay in the cache of a processor core from step to step.
BLOCK_VALUES = 2**16
# libsndfile's count of frames for a stream whose header does not say how many there are.
UNKNOWN_FRAMES = 2**62
# ffmpeg may open these formats. None of them names other files to be opened, as playlists do.
DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "asf", "au", "avi", "caf", "eac3", "flac", "flv", "matroska", "mov", "mp3", "ogg"),
    *("w64", "wav", "wv"),
)
CODECS = {
    *("aac", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "g722", "gsm", "gsm_ms", "mp1", "mp1float"),
    *("mp2", "mp2float", "mp3", "mp3float", "opus", "speex", "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1"),
    *("wmav2", "wmavoice"),
}
# Their headers say how long they are, and nothing else shows that the last part is missing.
TIMED_DEMUXERS = ("asf", "flv", "wv")


class _NotReadable(Exception):
    """A decoder does not know the format; another may."""


@dataclass
class Sound(ABC):
    """A file that is being decoded.

    Attributes:
        source: The file.
        container: Its container, as `inspect` returns it.
        rate: Its sampling rate in Hz.
        channels: Number of channels.
        frames: Number of samples per channel that the header promises; None if it is not to be relied on.
        seekable: Whether `part` reaches its place without decoding what comes before.
    """

    source: Source
    container: Container
    rate: int
    channels: int
    frames: int | None = None
    seekable: bool = False

    def __post_init__(self):
        name = self.source.title
        if self.rate < LEAST_SAMPLING_RATE:
            raise AudioError(f"{name} has a sampling rate of {self.rate} Hz; expected {LEAST_SAMPLING_RATE} or more.")
        if self.rate > limit("PARACLAP_MAX_SAMPLING_RATE"):
            raise AudioError(f"{name} has {self.rate} Hz; {advice('PARACLAP_MAX_SAMPLING_RATE')}")
        if not 1 <= self.channels <= limit("PARACLAP_MAX_CHANNELS"):
            raise AudioError(f"{name} has {self.channels} channels; {advice('PARACLAP_MAX_CHANNELS')}")

    @property
    def seconds(self) -> float:
        """Seconds that the header promises; 0 if it does not."""
        return (self.frames or 0) / self.rate

    def blocks(self) -> Iterator[np.ndarray]:
        """Decode the file; float32 blocks (samples, channels), once.

        Raises:
            AudioError: If it is truncated, damaged, holds no samples, or samples that are NaN, infinite or too large,
                or decodes to far more than its size.
        """
        position, most = 0, max(FREE_VALUES, VALUES_PER_BYTE * self.source.size)
        for block in self._decoded():
            position += len(block)
            if position * self.channels > most:
                raise AudioError(
                    f"{self.source.title} has {self.source.size} bytes and decodes to more than {most} samples: it is "
                    "digital silence for the most part, or made to fill the memory. Cut the silence out."
                )
            yield block
        if not position:
            raise AudioError(
                f"{self.source.title} is a valid {self.container.kind} file, but holds no samples. Leave it out."
            )
        promised = self.container.promised_samples if self.frames is None else self.frames
        if promised is not None and position < promised:
            raise truncated(self.source, f"{promised} samples", f"{position} samples")

    def part(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Decode samples `first` to `last` of a file whose `frames` are known, as `blocks` does."""
        position = 0
        for block in self.blocks():
            yield block[max(0, first - position) : max(0, last - position)]
            position += len(block)
            if position >= last:
                return

    @abstractmethod
    def _decoded(self) -> Iterator[np.ndarray]:
        """Yield float32 blocks (samples, channels), once."""

    def _damaged(self, position: int, reason: object) -> AudioError:
        self.source.check()
        return AudioError(
            f"{self.source.title} is truncated or damaged: decoding stops after {position / self.rate:.2f} s "
            f"({reason}). Copy or download it again."
        )


@contextlib.contextmanager
def open_sound(source: Source) -> Iterator[Sound]:
    """Open encoded audio for decoding.

    Yields:
        The `Sound`, whose blocks are read before the file is closed.

    Raises:
        AudioError: If the source is not readable audio, is truncated, or exceeds a limit.
        ImportError: If soundfile or av is missing.
    """
    container = inspect(source)
    with contextlib.ExitStack() as stack:
        reasons = []
        for open_one in (_open_ffmpeg,) if container.by_ffmpeg else (_open_sndfile, _open_ffmpeg):
            try:
                sound = open_one(source, container, stack)
                break
            except _NotReadable as error:
                source.check()
                reasons.append(str(error))
        else:
            raise AudioError(
                f"{source.title} is not audio that can be read here ({'; '.join(reasons)}). If it is audio all the "
                "same, convert it to wav or flac; if it is text or a web page, leave it out."
            )
        yield sound


@dataclass
class _SndfileSound(Sound):
    file: Any = None

    def _decoded(self) -> Iterator[np.ndarray]:
        return self._read(None)

    def part(self, first: int, last: int) -> Iterator[np.ndarray]:
        if not self.seekable:
            yield from super().part(first, last)
            return
        soundfile = _soundfile()
        try:
            soundfile.SoundFile.seek(self.file, first)
        except soundfile.LibsndfileError as error:
            raise self._damaged(first, error.error_string) from error
        position = first
        for block in self._read(last - first):
            position += len(block)
            yield block
        if position < last:
            raise truncated(self.source, f"{self.frames} samples", f"{position}")

    def _read(self, frames: int | None) -> Iterator[np.ndarray]:
        """Yield blocks from where the file stands, of so many samples in all, or to its end."""
        soundfile = _soundfile()
        most = BLOCK_VALUES // self.channels
        left = frames if frames is not None else self.frames
        position = 0
        while True:
            count = most if left is None else min(most, left - position)
            try:
                block = self._next(max(1, count) if frames is None else count)
            except soundfile.LibsndfileError as error:
                raise self._damaged(position, error.error_string) from error
            self.source.check()
            if not len(block):
                return
            position += len(block)
            yield block

    def _next(self, count: int) -> np.ndarray:
        if self.file.subtype == "PCM_16":  # the same numbers, faster than libsndfile makes them
            return self.file.read(count, dtype="int16", always_2d=True) * np.float32(1 / 32768)
        block = self.file.read(count, dtype="float32", always_2d=True)
        check_range(block, self.source.title)
        return block


def _open_sndfile(source: Source, container: Container, stack: contextlib.ExitStack) -> Sound:
    soundfile = _soundfile()
    source.seek(0)
    try:
        # A file of the operating system is read without calling Python, which is quicker and swallows no Ctrl-C.
        file = _sequential(soundfile)(source if source.descriptor is None else source.descriptor, closefd=False)
    except soundfile.LibsndfileError as error:
        raise _NotReadable(f"libsndfile: {error.error_string}") from error
    stack.callback(file.close)
    source.check()
    frames = file.frames if file.frames < UNKNOWN_FRAMES else None
    # In an Ogg file libsndfile lands near the place, not on it.
    seekable = frames is not None and file.format != "OGG"
    return _SndfileSound(source, container, file.samplerate, file.channels, frames, seekable, file)


@functools.cache
def _sequential(soundfile: ModuleType) -> type:
    class SequentialSoundFile(soundfile.SoundFile):
        """Reads from start to end: seeking after every block would fail on some files."""

        def seekable(self) -> bool:
            return False

    return SequentialSoundFile


@dataclass
class _FfmpegSound(Sound):
    pieces: Iterator[Any] = ()

    def _decoded(self) -> Iterator[np.ndarray]:
        for piece in self.pieces:
            samples = piece.to_ndarray()
            samples = samples.T if piece.format.is_planar else samples.reshape(-1, self.channels)
            yield scale_samples(samples, self.source.title)


def _open_ffmpeg(source: Source, container: Container, stack: contextlib.ExitStack) -> Sound:
    av = _av()
    source.seek(0)
    options = {
        "format_whitelist": ",".join(DEMUXERS),
        "codec_whitelist": ",".join(_codecs(av)),
        "protocol_whitelist": "none",
    }
    try:
        opened = stack.enter_context(av.open(source, options=options, metadata_errors="replace"))
    except (av.error.FFmpegError, IndexError) as error:
        raise _NotReadable(f"ffmpeg: {getattr(error, 'strerror', error)}") from error
    streams = opened.streams.audio
    if not streams:
        kinds = sorted({stream.type for stream in opened.streams}) or ["nothing"]
        raise AudioError(f"{source.title} has no sound: it holds {' and '.join(kinds)} alone. Leave it out.")
    codec = streams[0].codec_context
    if codec is None or codec.name not in _codecs(av):
        raise _NotReadable(f"ffmpeg: the codec {codec.name if codec else 'is unknown'} is not among those allowed")
    sound = _FfmpegSound(source, container, codec.sample_rate, codec.channels)
    pieces = _pieces(opened, streams[0], sound)
    first = next(pieces, None)
    if first is not None:  # it knows better than the header
        sound = _FfmpegSound(source, container, first.sample_rate, first.layout.nb_channels)
        sound.pieces = itertools.chain([first], pieces)
    return sound


def _pieces(opened: Any, stream: Any, sound: Sound) -> Iterator[Any]:
    """Yield a stream's decoded samples in PyAV's frames of about `BLOCK_VALUES`, all of one rate, layout and type."""
    av, position, most = _av(), 0, BLOCK_VALUES // sound.channels
    fifo, shape = av.AudioFifo(), ()
    is_mp3 = stream.codec_context.name.startswith("mp")
    has_checked_sizes = bool(sound.container.kind)
    try:
        for packet in opened.demux(stream):
            if not has_checked_sizes and packet.is_corrupt:
                raise sound._damaged(position, "a packet is incomplete")
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                if is_mp3:
                    continue  # between the frames of an MP3 there may be anything; players go on at the next one
                raise
            for frame in frames:
                shape = _append(fifo, frame, shape, sound, position)
            if fifo.samples >= most:
                position += fifo.samples
                yield fifo.read(fifo.samples)
    except (av.error.FFmpegError, IndexError) as error:  # IndexError: a stream that the header did not announce
        raise sound._damaged(position + fifo.samples, getattr(error, "strerror", error)) from error
    sound.source.check()
    position += fifo.samples
    promised = (opened.duration or 0) / 1e6
    if opened.format.name in TIMED_DEMUXERS and not opened.streams.video and position / sound.rate < 0.99 * promised:
        raise truncated(sound.source, f"{promised:.2f} s", f"{position / sound.rate:.2f}")
    if fifo.samples:
        yield fifo.read(fifo.samples)


def _append(fifo: Any, frame: Any, shape: tuple, sound: Sound, position: int) -> tuple:
    """Put a frame into the FIFO, whose memory is for frames of one shape alone; return that shape."""
    now = (frame.layout.nb_channels, frame.sample_rate, frame.format.name)
    if shape and now != shape:
        raise sound._damaged(position, f"there (channels, Hz, type) change from {shape} to {now}")
    frame.pts = None  # what comes is put together, whatever times are written on it
    try:
        fifo.write(frame)
    except ValueError as error:
        raise sound._damaged(position, error) from error
    return now


@functools.cache
def _codecs(av: ModuleType) -> frozenset[str]:
    # 64-bit integers have no form in PyAV.
    plain = {name for name in av.codecs_available if name.startswith(("pcm_", "adpcm_")) and "s64" not in name}
    return frozenset(CODECS | plain)


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the wheel without its libsndfile
        raise ImportError(f"Decoding audio needs soundfile (`pip install soundfile`): {error}") from error
    return soundfile


def _av() -> ModuleType:
    try:
        import av
    except (ImportError, OSError) as error:
        raise ImportError(f"Decoding this format needs PyAV (`pip install av`): {error}") from error
    return av
