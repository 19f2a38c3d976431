r"""Measures the audio loader beside soundfile and soxr on the whole file.

    python -m benchmarks.loader
    python -m benchmarks.loader --minutes 5 --rates 24414 44100 --formats wav mp3

For each rate a mono WAV of 16 bits, and for each format one file, is read at 16 kHz: by `load_audio`, by
`soundfile.read` and `soxr.resample` (what libsndfile cannot read has no such reference), and by `stream_audio`. Seconds
are the CPU's and, like the memory above what the process held before, for each minute of audio; those of a stream are
its peak, whatever the length. Files are in the cache of the system. Needs Linux.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from benchmarks.memory import current_mb, forget_peak, peak_mb
from modeling_paraclap.audio_paraclap import load_audio, stream_audio

TARGET_RATE = 16000
RATES = (8000, 11025, 11127, 22050, 22254, 24414, 44056, 44100, 48000, 96000, 96001)
# Name: format and codec for libsndfile, or for ffmpeg, and the rate of the file.
FORMATS = {
    "wav float": ("WAV", "FLOAT", 44100),
    "flac": ("FLAC", "PCM_16", 44100),
    "ogg": ("OGG", "VORBIS", 44100),
    "opus": ("OGG", "OPUS", 48000),
    "mp3": ("MP3", "MPEG_LAYER_III", 44100),
    "m4a": ("mp4", "aac", 44100),
    "webm": ("webm", "libopus", 48000),
}
BY_FFMPEG = ("m4a", "webm")
PIECE = 4096
SHORT_S, SHORT_RATE = 1.9, 24414  # a word of TESS


def speechlike(seconds: float, rate: int) -> np.ndarray:
    """Return noise whose level changes four times a second; float32 (samples,)."""
    rng = np.random.default_rng(0)
    samples = int(seconds * rate)
    level = 0.15 * (1.1 + np.sin(np.arange(samples) * (2 * np.pi * 4 / rate)))
    return (level * rng.normal(size=samples) / 3).astype(np.float32)


def write(path: Path, waveform: np.ndarray, rate: int, container: str, codec: str) -> None:
    """Write a mono file."""
    if container == container.upper():
        with soundfile.SoundFile(path, "w", rate, 1, codec, format=container) as sound:
            for start in range(0, len(waveform), PIECE):  # libsndfile's Vorbis encoder takes no more at a time
                sound.write(waveform[start : start + PIECE])
        return
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        cut = av.AudioResampler(stream.codec_context.format, "mono", rate, frame_size=stream.codec_context.frame_size)
        for piece in [*cut.resample(frame), *cut.resample(None), None]:
            file.mux(stream.encode(piece))


def reference(path: Path) -> None:
    """Read a file as one would without this package."""
    waveform, rate = soundfile.read(path, dtype="float32")
    if rate != TARGET_RATE:
        soxr.resample(waveform, rate, TARGET_RATE)


def stream(path: Path) -> None:
    """Read a file and keep nothing of it."""
    for _ in stream_audio(path, TARGET_RATE):
        pass


def load(path: Path) -> None:
    """Read a file whole."""
    load_audio(path, TARGET_RATE)


def cpu_seconds(calls: list[Callable[[], None]], repeats: int) -> list[float]:
    """Return the median CPU seconds of each call; they are taken in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
    return [statistics.median(taken[1:]) for taken in times]  # the first warms up


def memory_mb(call: Callable[[], None]) -> float:
    """Return the most MB that a call holds above what there was, in a process that has loaded nothing yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["av", "soxr", "benchmarks.memory", "modeling_paraclap.inputs_paraclap"])
    with context.Pool(1) as pool:
        return pool.apply(_growth, (call,))


def _growth(call: Callable[[], None]) -> float:
    forget_peak()
    before = current_mb()
    call()
    return peak_mb() - before


def measure(path: Path, minutes: float, repeats: int, has_reference: bool) -> dict[str, float | None]:
    """Return seconds and MB a minute of audio for `load_audio` and the reference, and those of the stream."""
    calls = [partial(load, path), partial(stream, path)] + ([partial(reference, path)] if has_reference else [])
    seconds = [taken / minutes for taken in cpu_seconds(calls, repeats)]
    memory = [memory_mb(call) for call in calls]
    return {
        "load_s": seconds[0],
        "load_mb": memory[0] / minutes,
        "stream_s": seconds[1],
        "stream_mb": memory[1],
        "reference_s": seconds[2] if has_reference else None,
        "reference_mb": memory[2] / minutes if has_reference else None,
        "ratio": seconds[0] / seconds[2] if has_reference else None,
    }


HEAD = f"{'format':9} {'rate':>6} {'load s':>7} {'sf+soxr':>7} {'ratio':>5} {'load MB':>7} {'sf+soxr':>7}"
HEAD += f" {'stream s':>8} {'MB':>5}"


def line(name: str, rate: int, found: dict[str, float | None]) -> str:
    """Return a row of the table; at most 80 columns."""
    ours, other, ratio = found["load_s"], found["reference_s"], found["ratio"]
    text = f"{name:9} {rate:6} {ours:7.3f} " + (f"{other:7.3f} {ratio:5.2f}" if ratio else f"{'-':>7} {'-':>5}")
    memory = found["reference_mb"]
    text += f" {found['load_mb']:7.1f} " + (f"{memory:7.1f}" if memory is not None else f"{'-':>7}")
    return f"{text} {found['stream_s']:8.3f} {found['stream_mb']:5.1f}"


def main(arguments: list[str] | None = None) -> dict[tuple[str, int], dict[str, float | None]]:
    """Print the table and return its numbers by format and rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="length of each file (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="of which the median is taken (default: %(default)s)")
    parser.add_argument("--rates", type=int, nargs="*", default=RATES, metavar="HZ", help="of the WAV files")
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS), metavar="NAME")
    args = parser.parse_args(arguments)
    found = {}
    files = [("wav", "WAV", "PCM_16", rate) for rate in args.rates] + [(name, *FORMATS[name]) for name in args.formats]
    print(f"A minute of audio, from files of {args.minutes:g} min, at {TARGET_RATE} Hz:\n{HEAD}")
    with tempfile.TemporaryDirectory() as folder:
        for name, container, codec, rate in files:
            path = Path(folder) / "file"
            write(path, speechlike(60 * args.minutes, rate), rate, container, codec)
            found[name, rate] = measure(path, args.minutes, args.repeats, name not in BY_FFMPEG)
            print(line(name, rate, found[name, rate]), flush=True)
        write(path, speechlike(SHORT_S, SHORT_RATE), SHORT_RATE, "WAV", "PCM_16")
        short = measure(path, 1.0, args.repeats, True)
    found["short", SHORT_RATE] = short
    print(
        f"{SHORT_S} s of {SHORT_RATE} Hz: {1e3 * short['load_s']:.1f} ms, soundfile and soxr "
        f"{1e3 * short['reference_s']:.1f} ms"
    )
    return found


if __name__ == "__main__":
    main()
