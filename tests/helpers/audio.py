"""Tones, speech-like sound and the bytes of audio files."""

import io
import struct
import tempfile

import av
import numpy as np
import soundfile

BLOCK = 4096  # libsndfile's Vorbis encoder overflows the stack where it is given minutes at once


def tone(seconds=1.0, rate=16000, frequency=220.0):
    """A tone with a little noise; float32 (samples,)."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=len(time))
    return (0.3 * np.sin(2 * np.pi * frequency * time) + 0.01 * noise).astype(np.float32)


def encoded(waveform, rate=16000, container="WAV", subtype=None, **options):
    """The bytes of a file that libsndfile writes."""
    buffer = io.BytesIO()
    channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    with soundfile.SoundFile(buffer, "w", rate, channels, subtype, format=container, **options) as sound:
        for start in range(0, len(waveform), BLOCK):
            sound.write(waveform[start : start + BLOCK])
    return buffer.getvalue()


def encoded_by_ffmpeg(waveform, rate=16000, container="mp4", codec="aac", pictures=0, **options):
    """The bytes of a file that ffmpeg's libraries write, of mono sound (none if `waveform` is) and pictures."""
    with tempfile.NamedTemporaryFile() as buffer:  # some muxers read again what they have written
        _write_by_ffmpeg(buffer.name, waveform, rate, (container, codec), pictures, options)
        return buffer.read()


def _write_by_ffmpeg(path, waveform, rate, formats, pictures, options):
    container, codec = formats
    with av.open(path, "w", format=container, options=options) as file:
        if waveform is not None:
            sound = file.add_stream(codec, rate=rate, layout="mono")
        if pictures:
            video = file.add_stream("mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            frames = [av.VideoFrame(64, 48, "yuv420p") for _ in range(pictures)]
            for packet in [p for frame in [*frames, None] for p in video.encode(frame)]:
                file.mux(packet)
        if waveform is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None]), format="fltp", layout="mono")
            frame.sample_rate = rate
            size = sound.codec_context.frame_size or 1024
            cut = av.AudioResampler(sound.codec_context.format, "mono", rate, frame_size=size)
            for piece in [*cut.resample(frame), *cut.resample(None), None]:
                file.mux(sound.encode(piece))


def mp3_frame_length(header):
    """Bytes of the layer III frame with this header."""
    first = header[1] >> 3 & 3 == 3
    table = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    table = table if first else (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    rate = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}[header[1] >> 3 & 3]
    bits = table[(header[2] >> 4) - 1] * 1000
    return (144 if first else 72) * bits // rate[header[2] >> 2 & 3] + (header[2] >> 1 & 1)


def mp3_without_length(content):
    """An MP3 without the first frame, if that holds nothing but the number of frames."""
    length = mp3_frame_length(content)
    return content[length:] if b"Xing" in content[:length] or b"Info" in content[:length] else content


def with_size(content, size, position=40, layout="<I"):
    """A file with another number at a position of its header; a WAV's size of the samples unless told otherwise."""
    changed = bytearray(content)
    struct.pack_into(layout, changed, position, size)
    return bytes(changed)


def without_flac_length(content):
    """A FLAC whose header does not say how many samples there are, as written to a pipe."""
    changed = bytearray(content)
    changed[21] &= 0xF0  # the last 36 bits of 8 bytes
    changed[22:26] = bytes(4)
    return bytes(changed)
