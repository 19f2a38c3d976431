"""The audio loader: every container, every kind of broken file, and memory that does not grow with the recording."""

import io
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.audio import encoded, encoded_by_ffmpeg, mp3_without_length, tone
from transformers.dynamic_module_utils import get_imports

import modeling_paraclap
from modeling_paraclap.audio_paraclap import (
    AudioError,
    load_audio,
    load_crop,
    read_audio,
    stream_audio,
    to_mono,
)


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


def test_one_sample_is_audio():
    assert load_audio(encoded(np.float32([0.5]), subtype="FLOAT")).tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"R", "is not audio that can be read"),
        (b"\xff", "is not audio that can be read"),
        (b"A transcript, not a recording.\n" * 50, "is not audio that can be read.*text or a web page"),
        (b"RIFF\x24\0\0\0WAVE", "not audio that can be read.*libsndfile.*ffmpeg"),
        (encoded(tone())[:44], "truncated: its header promises 32000 bytes of samples, but there are 0"),
        (encoded(np.zeros(0, np.float32)), "valid WAV file, but holds no samples"),
        (encoded(np.float32([0, np.nan, 0]), subtype="FLOAT"), "NaN or infinite"),
        (encoded(np.float32([0, np.inf, 0]), subtype="FLOAT"), "NaN or infinite"),
    ],
)
def test_what_is_no_audio_says_so(content, message, tmp_path):
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


@pytest.mark.parametrize(
    ("container", "codec", "rate", "pictures"),
    [
        ("mp4", "aac", 44100, 0),
        ("mov", "alac", 44100, 0),
        ("webm", "libopus", 48000, 0),
        ("matroska", "aac", 16000, 5),
        ("avi", "pcm_s16le", 16000, 5),
        ("adts", "aac", 44100, 0),
        ("wv", "wavpack", 16000, 0),
        ("mp4", "aac", 44100, 5),
    ],
)
def test_what_libsndfile_does_not_know_is_read_too(container, codec, rate, pictures, tmp_path):
    content = encoded_by_ffmpeg(tone(2, rate), rate, container, codec, pictures)
    file = tmp_path / "speech.wav"  # an extension that is wrong
    file.write_bytes(content)
    for source in (file, content):
        loaded = load_audio(source)
        assert abs(len(loaded) - 32000) < 1500
        spectrum = np.abs(np.fft.rfft(loaded[:32000]))
        assert abs(spectrum.argmax() / 2 - 220) < 1  # Hz


def test_a_video_without_sound_says_so(tmp_path):
    with pytest.raises(AudioError, match="has no sound: it holds video alone"):
        load_audio(encoded_by_ffmpeg(None, pictures=5))


def test_playlists_open_no_other_file(tmp_path, monkeypatch):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encoded(tone()))
    monkeypatch.chdir(tmp_path)
    for path in (secret, "secret.wav", f"file:{secret}", f"concat:{secret}"):
        for playlist in (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile '{path}'\n",
            f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nt=0 0\r\na=control:{path}\r\nm=audio 5004 RTP/AVP 0\r\n",
            f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{path}</BaseURL></MPD>",
            f"{path}\n",
        ):
            with pytest.raises(AudioError, match="not audio that can be read"):
                load_audio(playlist.encode())


def test_missing_decoders_and_resampler_say_what_to_install(monkeypatch):
    content = encoded(tone(rate=8000), 8000)
    for module, source, message in [
        ("soxr", content, r"8000 Hz and 16000 Hz are needed.*pip install soxr"),
        ("soundfile", content, "pip install soundfile"),
        ("av", encoded(tone(), container="MP3"), "pip install av"),
    ]:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(ImportError, match=message):
                load_audio(source)


@pytest.fixture(scope="module")
def long_files(tmp_path_factory):
    """Eight minutes each, at little cost: MP3 and AAC frames may be repeated, and WAV is written as it is."""
    folder = tmp_path_factory.mktemp("long")
    minute = tone(60)
    with soundfile.SoundFile(folder / "long.wav", "w", 16000, 1) as sound:
        for _ in range(8):
            sound.write(minute)
    (folder / "long.mp3").write_bytes(mp3_without_length(encoded(minute, container="MP3")) * 8)
    (folder / "long.aac").write_bytes(encoded_by_ffmpeg(minute, 16000, "adts", "aac") * 8)
    return folder


@pytest.mark.parametrize(("name", "rate"), [("long.wav", 16000), ("long.mp3", 11025), ("long.aac", 16000)])
def test_long_files_are_read_in_little_memory(long_files, name, rate, monkeypatch):
    monkeypatch.setattr("modeling_paraclap.audio_paraclap.CROP_SAMPLES", 2**20)
    tracemalloc.start()
    samples = sum(len(block) for block in stream_audio(long_files / name, rate))
    crop = load_crop(long_files / name, rate, np.random.default_rng(5), rate)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples == pytest.approx(480 * rate, rel=0.002)
    assert len(crop) == rate
    assert peak < 12e6  # the recording itself is 31 MB
    print(peak)


@pytest.mark.parametrize("name", ["long.mp3", "long.aac"])
def test_a_crop_of_a_file_of_unknown_length_is_that_of_the_whole(long_files, name, monkeypatch):
    whole = load_audio(long_files / name)
    kept = load_crop(long_files / name, 8000, np.random.default_rng(7))
    monkeypatch.setattr("modeling_paraclap.audio_paraclap.CROP_SAMPLES", 100)
    start = np.random.default_rng(7).integers(len(whole) - 8000 + 1)
    for crop in (kept, load_crop(long_files / name, 8000, np.random.default_rng(7))):
        np.testing.assert_array_equal(crop, whole[start : start + 8000])


def test_the_code_that_travels_needs_no_decoder_to_be_imported():
    """Transformers refuses code whose imports, unless tried, are not installed."""
    allowed = sys.stdlib_module_names | {"numpy", "safetensors", "torch", "transformers"}
    for file in Path(modeling_paraclap.__file__).parent.glob("*_paraclap.py"):
        assert set(get_imports(file)) <= allowed, file.name


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
