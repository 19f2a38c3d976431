"""The audio loader: every container, every kind of broken file, and memory that does not grow with the recording."""

import io
import stat
import struct
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile
from helpers.audio import encoded, tone
from torchaudio.functional import resample as torchaudio_resample

from modeling_paraclap.audio_paraclap import (
    AudioError,
    load_audio,
    load_crop,
    read_audio,
    resample,
    resample_blocks,
    stream_audio,
    to_mono,
)
from modeling_paraclap.mp3_paraclap import frame_length


def correlation(a, b):
    """Of two waveforms, over what they have in common."""
    n = min(len(a), len(b))
    return np.corrcoef(a[:n], b[:n])[0, 1]


CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
    ("RF64", "PCM_16"),
]


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
def test_every_container_is_read_by_its_content(container, subtype, tmp_path):
    waveform = tone()
    file = tmp_path / "speech.raw"  # an extension that says nothing
    file.write_bytes(encoded(waveform, container=container, subtype=subtype))
    for source in (file, str(file), file.read_bytes(), file.open("rb")):
        samples, rate = read_audio(source)
        assert rate == 16000
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        assert abs(len(samples) - len(waveform)) < 1200  # lossy codecs pad to whole frames
        assert correlation(samples, waveform) > 0.99


def test_file_objects_are_read_from_their_start_and_stay_open(tmp_path):
    file = io.BytesIO(encoded(tone()))
    file.seek(0, io.SEEK_END)
    assert len(load_audio(file)) == len(load_audio(file)) == 16000
    assert not file.closed

    class Pipe(io.RawIOBase):
        """Cannot seek, as a socket cannot."""

        def __init__(self, content):
            self.content = io.BytesIO(content)

        def read(self, size=-1):
            return self.content.read(size)

    assert len(load_audio(Pipe(encoded(tone())))) == 16000
    text = tmp_path / "a.txt"
    text.write_text("hello")
    with text.open() as opened, pytest.raises(TypeError, match="gives text.*binary mode"):
        load_audio(opened)
    with pytest.raises(TypeError, match="The int cannot be read"):
        load_audio(3)


def test_stereo_keeps_its_channels_in_read_audio_and_is_averaged_in_load_audio():
    left, right = tone(frequency=200), tone(frequency=300)
    content = encoded(np.stack([left, right], 1), subtype="FLOAT")
    samples, _ = read_audio(content)
    np.testing.assert_allclose(samples, np.stack([left, right], 1))
    np.testing.assert_allclose(load_audio(content), (left + right) / 2, atol=1e-7)
    assert to_mono(samples[:, :1]).shape == (16000,)
    with pytest.raises(ValueError, match=r"shape \(samples,\)"):
        to_mono(np.zeros((2, 3, 4)))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_load_audio_resamples_like_torchaudio_in_one_piece(rate, monkeypatch):
    import torch

    waveform = tone(2.3, rate)
    monkeypatch.setattr("modeling_paraclap.audio_paraclap.BLOCK_LENGTH_S", 0.31)
    loaded = load_audio(encoded(waveform, rate, subtype="FLOAT"))
    expected = torchaudio_resample(torch.from_numpy(waveform), rate, 16000).numpy()
    assert loaded.shape == expected.shape
    np.testing.assert_allclose(loaded, expected, atol=2e-6)


@pytest.mark.parametrize("sizes", [[1] * 50, [7, 5000, 1, 1, 9000], [3]])
def test_blocks_of_any_size_resample_to_the_same(sizes):
    waveform = tone(rate=sum(sizes))[: sum(sizes)]
    blocks = np.split(waveform, np.cumsum(sizes)[:-1])
    joined = np.concatenate(list(resample_blocks(blocks, 44100, 16000)))
    np.testing.assert_allclose(joined, resample(waveform, 44100, 16000), atol=2e-6)


def test_one_sample_is_audio():
    assert load_audio(encoded(np.float32([0.5]), subtype="FLOAT")).tolist() == [0.5]


@pytest.mark.parametrize(("container", "subtype"), [pair for pair in CONTAINERS if pair[0] != "RF64"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_cut_files_are_errors(container, subtype, kept, tmp_path):
    content = encoded(tone(3), container=container, subtype=subtype)
    file = tmp_path / "cut.wav"
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(AudioError, match=r"cut\.wav.*truncated"):
        read_audio(file)


def test_cut_rf64_is_an_error():
    content = encoded(tone(3), container="RF64")
    with pytest.raises(AudioError, match="truncated.*96000 bytes"):
        read_audio(content[:-100])


def test_damaged_flac_is_an_error():
    content = bytearray(encoded(tone(3), container="FLAC"))
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_audio(bytes(content))


@pytest.mark.parametrize("size", [b"\xff" * 4, b"\0" * 4, b"\x00\x00\x00\x80"])
def test_streamed_wav_of_unknown_length_is_read_whole(size):
    content = bytearray(encoded(tone()))
    content[4:8] = content[40:44] = size
    if size == b"\x00\x00\x00\x80":
        content[4:8] = b"\x24\x00\x00\x80"  # as arecord does
    assert len(read_audio(bytes(content))[0]) == 16000


def test_streamed_flac_of_unknown_length_is_read_whole():
    content = bytearray(encoded(tone(), container="FLAC"))
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    content[22:26] = bytes(4)
    assert len(read_audio(bytes(content))[0]) == 16000


def test_wav_with_chunks_around_its_samples_and_an_mp3_with_a_tag():
    content = encoded(tone())
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    assert len(read_audio(content[:36] + extra + content[36:] + extra)[0]) == 16000
    tag = b"ID3\x04\0\0" + bytes([0, 0, 4, 0]) + bytes(512)
    assert len(read_audio(tag + encoded(tone(), container="MP3"))[0]) == 16000


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_that_does_not_say_its_length_is_read_to_its_end(rate, channels, mode):
    # Loud first, quiet later: at the bit rate of its first frames it would be far shorter.
    noise = 0.3 * np.random.default_rng(1).normal(size=6 * rate).astype(np.float32)
    waveform = np.concatenate([noise, 0.01 * noise])
    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.stack([waveform] * channels, 1), rate, format="MP3", bitrate_mode=mode, compression_level=0.3
    )
    content = buffer.getvalue()
    length = frame_length(content[:4])
    assert b"Xing" in content[:length] or b"Info" in content[:length]
    expected = read_audio(content)[0]
    for tag in (b"", b"ID3\x04\0\0" + bytes([0, 0, 4, 0]) + bytes(512)):
        loaded = read_audio(tag + content[length:])[0]
        assert 0 <= len(loaded) - len(expected) < 3 * 1152  # the padding of the last frames is not marked any more
        for part in (slice(None), slice(7 * rate, None)):  # nothing of the sound is lost, nor of its quiet end
            assert np.square(loaded[part]).sum() == pytest.approx(np.square(expected[part]).sum(), rel=0.02)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"R", "is not audio that libsndfile can read"),
        (b"\xff", "is not audio that libsndfile can read"),
        (b"A transcript, not a recording.\n" * 50, "is not audio that libsndfile can read.*text or a web page"),
        (b"RIFF\x24\0\0\0WAVE", "libsndfile"),
        (encoded(tone())[:44], "truncated: its header promises 32000 bytes of samples, but there are 0"),
        (encoded(np.zeros(0, np.float32)), "valid WAV file, but holds no samples"),
        (encoded(np.float32([0, np.nan, 0]), subtype="FLOAT"), "NaN or infinite"),
        (encoded(np.float32([0, np.inf, 0]), subtype="FLOAT"), "NaN or infinite"),
    ],
)
def test_what_is_no_audio_says_so(content, message, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no ffmpeg
    file = tmp_path / "speech.wav"
    file.write_bytes(content)
    with pytest.raises(AudioError, match=rf"speech\.wav.*{message}"):
        read_audio(file)


def test_missing_files_folders_and_impossible_names(tmp_path):
    with pytest.raises(AudioError, match=r"nowhere\.wav' does not exist\. Check the path"):
        load_audio(tmp_path / "nowhere.wav")
    with pytest.raises(AudioError, match="is a folder"):
        load_audio(tmp_path)
    with pytest.raises(AudioError, match="cannot be opened"):
        load_audio("a\0b.wav")


def test_ffmpeg_reads_what_libsndfile_cannot_if_there_is_one(tmp_path, monkeypatch):
    # Stands in for the program, which the test machine has not: checks its input, gives a WAV.
    (tmp_path / "decoded.wav").write_bytes(encoded(tone(rate=8000), 8000))
    program = tmp_path / "ffmpeg"
    program.write_text(
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "source, target = (a[len('file:'):] for a in sys.argv if a.startswith('file:'))\n"
        "if open(source, 'rb').read() != b'some m4a': sys.exit('Invalid data found')\n"
        f"shutil.copy({str(tmp_path / 'decoded.wav')!r}, target)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"some m4a")
    assert len(load_audio(tmp_path / "a.m4a")) == len(load_audio(b"some m4a")) == 16000
    with pytest.raises(AudioError, match=r"libsndfile or ffmpeg can read: Invalid data found"):
        load_audio(b"something else")


def test_missing_decoder_and_resampler_say_what_to_install(monkeypatch):
    content = encoded(tone(rate=8000), 8000)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torchaudio.functional", None)
        with pytest.raises(ImportError, match=r"8000 Hz and 16000 Hz are needed.*pip install torch"):
            load_audio(content)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "soundfile", None)
        with pytest.raises(ImportError, match="pip install soundfile"):
            load_audio(content)


def test_an_hour_is_streamed_in_little_memory(tmp_path):
    file = tmp_path / "hour.wav"
    minute = tone(60)
    with soundfile.SoundFile(file, "w", 16000, 1) as sound:
        for _ in range(60):
            sound.write(minute)
    tracemalloc.start()
    samples = sum(len(block) for block in stream_audio(file))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples == 3600 * 16000
    assert peak < 20e6  # the hour itself is 230 MB


def test_real_speech_of_each_corpus_loads(corpora):
    for folder in ("EMO-DB", "RAVDESS", "LibriSpeech", "nEMO"):
        files = (f for f in sorted((corpora / folder).rglob("*")) if f.suffix in {".wav", ".flac", ".ogg", ".opus"})
        waveform = load_audio(next(files))
        assert 0.3 < len(waveform) / 16000 < 40
        assert 0.001 < np.abs(waveform).max() <= 1.01


@pytest.mark.parametrize(
    ("form", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 16000, 1),
        ("WAV", "PCM_24", 44100, 2),
        ("WAV", "IMA_ADPCM", 16000, 1),
        ("FLAC", None, 22050, 2),
        ("AIFF", "PCM_16", 8000, 1),
        ("OGG", "VORBIS", 44100, 1),
        ("OGG", "OPUS", 48000, 1),
        ("MP3", None, 44100, 1),
    ],
)
def test_a_crop_is_that_of_the_whole(form, subtype, rate, channels):
    sound = 0.3 * np.sin(np.random.default_rng(0).standard_normal((3 * rate, channels)).cumsum(0) / 10)
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=form, subtype=subtype)
    whole = load_audio(file)
    for seed in range(6):
        samples = 8000 + 37 * seed
        start = np.random.default_rng(seed).integers(len(whole) - samples + 1)
        crop = load_crop(file, samples, np.random.default_rng(seed))
        np.testing.assert_allclose(crop, whole[start : start + samples], atol=1e-6)
    assert np.array_equal(load_crop(file, len(whole), np.random.default_rng(0)), whole)


def test_a_crop_reads_only_its_part(tmp_path):
    """Of ten minutes of WAV, half a second takes half a second's bytes and the header."""
    soundfile.write(tmp_path / "long.wav", np.zeros(600 * 16000), 16000)

    class Counting(io.FileIO):
        read_bytes = 0

        def read(self, size=-1):
            content = super().read(size)
            self.read_bytes += len(content)
            return content

        def readinto(self, buffer):
            count = super().readinto(buffer)
            self.read_bytes += count
            return count

    with Counting(tmp_path / "long.wav") as file:
        assert len(load_crop(file, 8000, np.random.default_rng(0))) == 8000
        assert file.read_bytes < 100_000
