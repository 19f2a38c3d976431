"""Mutated audio files, and a process of bounded memory that reads them."""

import io
import multiprocessing
import resource
import signal
import time
from pathlib import Path

import numpy as np

from helpers.audio import encoded, encoded_by_ffmpeg, mp3_without_length, tone, without_flac_length
from modeling_paraclap.audio_paraclap import AudioError, load_audio, load_crop, read_audio, stream_audio

EXTREMES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 10**9, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


def seeds():
    """Small complete files of every kind, by name."""
    speech, stereo = tone(0.4), np.stack([tone(0.3), tone(0.3, frequency=300)], 1)
    mp3 = encoded(tone(0.6, 44100), 44100, "MP3")
    return {
        "wav": encoded(speech),
        "wav float": encoded(stereo, subtype="FLOAT"),
        "wav adpcm": encoded(speech, subtype="IMA_ADPCM"),
        "wavex": encoded(stereo, container="WAVEX", subtype="PCM_24"),
        "rf64": encoded(speech, container="RF64"),
        "flac": encoded(speech, container="FLAC"),
        "flac stereo": encoded(stereo, 44100, "FLAC", "PCM_24"),
        "flac without length": without_flac_length(encoded(speech, container="FLAC")),
        "ogg": encoded(speech, container="OGG"),
        "ogg stereo": encoded(stereo, 44100, "OGG"),
        "ogg chained": encoded(speech, container="OGG") + encoded(tone(0.3), container="OGG"),
        "opus": encoded(speech, 16000, "OGG", "OPUS"),
        "opus stereo": encoded(stereo, 48000, "OGG", "OPUS"),
        "mp3": mp3,
        "mp3 without length": mp3_without_length(mp3),
        "mp3 joined": mp3 + b"TAG" + bytes(125) + encoded(stereo, 22050, "MP3"),
        "aiff": encoded(speech, container="AIFF"),
        "au": encoded(speech, container="AU"),
        "caf": encoded(speech, container="CAF"),
        "caf alac": encoded(speech, container="CAF", subtype="ALAC_16"),
        "w64": encoded(speech, container="W64"),
        "voc": encoded(speech, container="VOC"),
        "nist": encoded(speech, container="NIST"),
        "m4a": encoded_by_ffmpeg(speech),
        "m4a fragments": encoded_by_ffmpeg(speech, movflags="frag_keyframe+empty_moov"),
        "mov alac": encoded_by_ffmpeg(speech, 16000, "mov", "alac"),
        "webm": encoded_by_ffmpeg(tone(0.4, 48000), 48000, "webm", "libopus"),
        "webm live": encoded_by_ffmpeg(tone(0.4, 48000), 48000, "webm", "libopus", live="1"),
        "aac": encoded_by_ffmpeg(speech, 16000, "adts", "aac"),
        "avi": encoded_by_ffmpeg(speech, 16000, "avi", "pcm_s16le", pictures=2),
        "flv": encoded_by_ffmpeg(tone(0.4, 44100), 44100, "flv", "aac"),
        "wavpack": encoded_by_ffmpeg(speech, 16000, "wv", "wavpack"),
        "mp4 video": encoded_by_ffmpeg(speech, pictures=3),
    }


def mutated(content, others, rng):
    """The content with one to four things wrong, more often at its start, where the header is."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not content:
            break
        span = min(len(content), int(rng.choice([64, 300, 2**30])))
        position, kind = int(rng.integers(span)), int(rng.integers(9))
        length = int(rng.integers(1, 1 + min(len(content) - position, int(rng.choice([4, 100, 5000])))))
        if kind == 0:
            content[position] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[position] = int(rng.integers(256))
        elif kind in (2, 3):  # a number of a header
            width = int(rng.choice([2, 4, 8]))
            number = int(rng.choice(EXTREMES)) if kind == 2 else int(rng.integers(2**32))
            order = "little" if rng.integers(2) else "big"
            content[position : position + width] = (number % 2 ** (8 * width)).to_bytes(width, order)
        elif kind == 4:
            del content[position : position + length]
        elif kind == 5:
            content[position:position] = content[position : position + length]
        elif kind == 6:
            content[position : position + length] = bytes(length) if rng.integers(2) else rng.bytes(length)
        elif kind == 7:
            del content[position:]
        else:
            other = others[int(rng.integers(len(others)))]
            start = int(rng.integers(len(other)))
            content[position : position + length] = other[start : start + length]
    return bytes(content)


def read(content, way, folder):
    """Read a file in one of the ways there are; gives an AudioError, or None for audio that is audio."""
    path = folder / "mutated.wav"
    try:
        if way == 0:
            waveform = load_audio(content)
        elif way == 1:
            waveform, _ = read_audio(content)
        elif way == 2:
            waveform = load_crop(io.BytesIO(content), 2000, np.random.default_rng(0))
        else:
            path.write_bytes(content)
            waveform = np.concatenate([np.zeros(0, np.float32), *stream_audio(path, 8000)])
    except AudioError as error:
        return check_message(str(error)) or error
    finally:
        path.unlink(missing_ok=True)
    assert waveform.dtype == np.float32
    assert np.isfinite(waveform).all()
    assert len(waveform) < 5e7
    return None


def check_message(message):
    """It can be printed, and read."""
    message.encode("utf-8")
    assert 20 < len(message) < 2000


def status_mb(name):
    """A line of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def run(inputs, folder, most_cpu_s, most_mb, report):
    """In a process of its own: read each of the (name, content), and report what is wrong with the first that is."""
    resource.setrlimit(resource.RLIMIT_AS, (int((status_mb("VmSize") + 2 * most_mb) * 2**20),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins with what is there now
    used, errors = status_mb("VmRSS"), 0
    for index, (name, content) in enumerate(inputs):
        report.send((index, name))
        start = time.process_time()
        try:
            errors += read(content, index % 4, folder) is not None
        except BaseException as error:
            report.send(("failed", f"{type(error).__name__}: {error}"))
            raise
        seconds, memory = time.process_time() - start, status_mb("VmHWM") - used
        if seconds > most_cpu_s or memory > most_mb:
            report.send(("failed", f"{seconds:.1f} CPU seconds, {memory:.0f} MB"))
            return
    report.send(("done", errors))


def read_apart(inputs, folder, most_cpu_s=2.0, most_mb=500):
    """Read inputs in a process of their own, on Linux.

    Returns:
        How many of them were an AudioError.

    Raises:
        AssertionError: If one raises something else, takes more, or ends the process; it is left in the folder.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=run, args=(inputs, folder, most_cpu_s, most_mb, theirs), daemon=True
    )
    process.start()
    theirs.close()
    index, name, failure, errors = 0, "", "", None
    try:
        while True:
            first, second = ours.recv()
            if first == "failed":
                failure = second
            elif first == "done":
                errors = second
            else:
                index, name = first, second
    except EOFError:
        process.join()
    if errors is None:
        died = signal.Signals(-process.exitcode).name if process.exitcode < 0 else f"exit {process.exitcode}"
        kept = Path(folder) / f"input_{index}"
        kept.write_bytes(inputs[index][1])
        raise AssertionError(f"input {index}, made of {name!r} (way {index % 4}, kept as {kept}): {failure or died}")
    return errors


def mutations(count, seed):
    """As many (name, content), the same at each run."""
    rng, files = np.random.default_rng(seed), seeds()
    names, contents = list(files), list(files.values())
    chosen = rng.integers(len(names), size=count)
    return [(names[i], mutated(contents[i], contents, rng)) for i in chosen]


if __name__ == "__main__":
    import itertools
    import sys
    import tempfile

    first, size = map(int, sys.argv[1:])
    for number in itertools.count(first):
        with tempfile.TemporaryDirectory() as temporary:
            print(f"seed {number}: {read_apart(mutations(size, number), Path(temporary))} errors of {size}", flush=True)
