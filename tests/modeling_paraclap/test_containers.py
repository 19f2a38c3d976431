"""Headers that promise more, or less, than there is: all samples, or one AudioError."""

import struct

import numpy as np
import pytest
from helpers.audio import (
    encoded,
    encoded_by_ffmpeg,
    mp3_frame_length,
    mp3_without_length,
    tone,
    with_size,
    without_flac_length,
)

from modeling_paraclap.audio_paraclap import AudioError, load_audio, read_audio

WAV = encoded(tone())
LIST = b"LIST" + struct.pack("<I", 6) + b"hello\0"

BY_LIBSNDFILE = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("VOC", "PCM_16"),
    ("NIST", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
BY_FFMPEG = [
    ("mp4", "aac", {}),
    ("mp4", "aac", {"movflags": "faststart"}),
    ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}),
    ("mov", "pcm_s16le", {}),
    ("webm", "libopus", {}),
    ("webm", "libopus", {"live": "1"}),
    ("matroska", "aac", {}),
    ("adts", "aac", {}),
    ("flv", "aac", {}),
    ("avi", "pcm_s16le", {}),
    ("wv", "wavpack", {}),
    ("mp3", "libmp3lame", {}),
]


@pytest.mark.parametrize(("container", "subtype"), BY_LIBSNDFILE)
@pytest.mark.parametrize("lost", [0.5, 0.1, "a byte"])
def test_cut_files_are_errors(container, subtype, lost, tmp_path):
    content = encoded(tone(3), container=container, subtype=subtype)
    assert abs(len(read_audio(content)[0]) - 48000) < 1200  # the whole one is none: lossy codecs pad to whole frames
    # Of VOC, the last byte says nothing but that it is the last.
    lost = (2 if container == "VOC" else 1) if lost == "a byte" else int(lost * len(content))
    file = tmp_path / "cut.wav"
    file.write_bytes(content[:-lost])
    with pytest.raises(AudioError, match=r"cut\.wav.*truncated"):
        read_audio(file)


@pytest.mark.parametrize(("container", "codec", "options"), BY_FFMPEG)
@pytest.mark.parametrize("lost", [0.5, 0.1])
def test_cut_files_that_ffmpeg_reads_are_errors(container, codec, options, lost):
    rate = 48000 if codec == "libopus" else 16000
    content = encoded_by_ffmpeg(tone(3, rate), rate, container, codec, **options)
    assert abs(len(load_audio(content)) - 48000) < 3000
    with pytest.raises(AudioError, match="truncated|cannot be read|damaged"):
        load_audio(content[: -int(lost * len(content))])


@pytest.mark.parametrize(("codec", "rate"), [("VORBIS", 16000), ("OPUS", 16000)])
def test_ogg_that_ends_between_two_pages_is_cut(codec, rate):
    content = encoded(tone(3, rate), rate, "OGG", codec)
    assert content.count(b"OggS") > 3
    with pytest.raises(AudioError, match="truncated: its last page is not marked as the end"):
        read_audio(content[: content.rindex(b"OggS")])
    assert len(read_audio(content + b"TAG" + bytes(125))[0]) == len(read_audio(content)[0])


@pytest.mark.parametrize(
    "content",
    [
        *(with_size(WAV, 32000 + excess) for excess in (1, 2, 36, 44, 1000)),
        with_size(WAV, 0),
        with_size(with_size(WAV, 0), 0, 4),
        with_size(with_size(WAV, 0xFFFFFFFF), 0xFFFFFFFF, 4),
        with_size(with_size(WAV, 0x80000000), 0x80000024, 4),
        with_size(WAV, 0, 4),
        with_size(WAV, 12, 4),
        with_size(WAV, 32044, 4),
        with_size(encoded(tone(), container="AIFF"), 32000 + 36, 42, ">I"),
        WAV[:36] + LIST + WAV[36:] + LIST,
        encoded(tone(), container="RF64"),
    ],
)
def test_wrong_sizes_of_complete_files_are_ignored(content):
    samples, rate = read_audio(content)
    assert rate == 16000
    np.testing.assert_array_equal(samples, read_audio(WAV)[0])


@pytest.mark.parametrize("excess", [1, 2, 44, 1000])
def test_a_file_that_lacks_samples_is_an_error_whatever_its_size_field_says(excess):
    with pytest.raises(AudioError, match="truncated"):
        read_audio(with_size(WAV, 32000 + excess)[:-100])
    with pytest.raises(AudioError, match="truncated"):  # both sizes: as of a file that was cut
        read_audio(with_size(with_size(WAV, 32000 + 2 * excess), 32036 + 2 * excess, 4))


def test_half_a_sample_at_the_end_is_not_missed():
    odd = with_size(with_size(WAV, 32001), 32037, 4)  # the byte that pads to an even number was counted and not written
    assert len(read_audio(odd)[0]) == 16000


def test_an_empty_chunk_of_samples_is_empty():
    empty = encoded(np.zeros(0, np.float32))
    for content in (empty, empty + LIST, with_size(empty + LIST, len(empty + LIST) - 8, 4)):
        with pytest.raises(AudioError, match="valid WAV file, but holds no samples"):
            read_audio(content)


def test_mp3_inside_wav_is_read_whole():
    mp3 = mp3_without_length(encoded(tone(3), container="MP3"))
    expected = read_audio(mp3)[0]
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16000, 4000, 1, 0, 12, 1, 2, 144, 1, 0)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"fact" + struct.pack("<II", 4, 48000)
    chunks += b"data" + struct.pack("<I", len(mp3)) + mp3
    content = b"RIFF" + struct.pack("<I", len(chunks)) + chunks
    np.testing.assert_allclose(read_audio(content)[0], expected, atol=1e-6)
    with pytest.raises(AudioError, match="truncated"):
        read_audio(content[:-500])


def noisy_mp3(rate, channels, mode):
    """Loud first, quiet later: at the bit rate of its first frames it would be far shorter."""
    noise = 0.3 * np.random.default_rng(1).normal(size=2 * rate).astype(np.float32)
    waveform = np.stack([np.concatenate([noise, 0.01 * noise])] * channels, 1)
    return encoded(waveform, rate, "MP3", bitrate_mode=mode, compression_level=0.3)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_that_does_not_say_its_length_is_read_to_its_end(rate, channels, mode):
    content = noisy_mp3(rate, channels, mode)
    expected = read_audio(content)[0]
    bare = mp3_without_length(content)
    for tag in (b"", b"ID3\x04\0\0" + bytes([0, 0, 4, 0]) + bytes(512)):
        loaded = read_audio(tag + bare)[0]
        assert 0 <= len(loaded) - len(expected) < 3 * 1152  # the padding of the last frames is not marked any more
        # Nor is the delay of encoder and decoder; from there on, nothing is lost, nor of the quiet end.
        np.testing.assert_allclose(loaded[1105 : 1105 + len(expected)], expected, atol=2e-4)


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize(
    "gap", [b"", b"TAG" + bytes(125), bytes(100), bytes(range(100)), "half a frame", b"ID3\4\0\0\0\0\1\0" + bytes(128)]
)
def test_joined_mp3_files_are_read_to_the_end(mode, has_length, gap):
    content = encoded(tone(6, 44100), 44100, "MP3", bitrate_mode=mode)
    content = content if has_length else mp3_without_length(content)
    if gap == "half a frame":
        gap = mp3_without_length(content)[: mp3_frame_length(mp3_without_length(content)) // 2]
    loaded = read_audio(content + gap + content)[0]
    assert abs(len(loaded) / 44100 - 12.05) < 0.08
    # Each half is there: their sound, and not silence in its place.
    assert np.square(loaded).sum() == pytest.approx(2 * np.square(read_audio(content)[0]).sum(), rel=0.05)


@pytest.mark.parametrize("has_length", [True, False])
def test_a_damaged_frame_costs_an_mp3_no_more_than_that_frame(has_length):
    content = encoded(tone(6, 44100), 44100, "MP3", bitrate_mode="CONSTANT")
    content = content if has_length else mp3_without_length(content)
    position = content.index(content[:2], len(content) // 2)
    damaged = content[:position] + bytes(4) + content[position + 4 :]
    assert len(read_audio(content)[0]) - 3 * 1152 <= len(read_audio(damaged)[0]) <= len(read_audio(content)[0])


@pytest.mark.parametrize(("codec", "rate"), [("VORBIS", 44100), ("OPUS", 48000)])
def test_chained_ogg_is_read_to_the_end(codec, rate):
    first, second = (encoded(tone(2, rate, frequency), rate, "OGG", codec) for frequency in (220, 440))
    loaded = load_audio(first + second)
    assert abs(len(loaded) / 16000 - 4) < 0.05
    spectrum = np.abs(np.fft.rfft(loaded[-16000:]))
    assert spectrum.argmax() == 440  # Hz, of a second
    other = encoded(np.stack([tone(1, 22050)] * 2, 1), 22050, "OGG", codec) if codec == "VORBIS" else first[:-9]
    with pytest.raises(AudioError):
        load_audio(first + other)


@pytest.mark.parametrize(("codec", "rate"), [("VORBIS", 44100), ("OPUS", 48000)])
def test_nothing_of_joined_ogg_files_is_lost_in_silence(codec, rate):
    """What lies between two files hides the second; two Opus streams of one number are one to ffmpeg."""
    first, second = (encoded(tone(1, rate, frequency), rate, "OGG", codec) for frequency in (220, 440))
    for gap in (b"\0", b"TAG" + bytes(125), b"junk" * 500_000):
        assert abs(len(load_audio(first + gap)) / 16000 - 1) < 0.03  # a tag behind the last page
        with pytest.raises(AudioError, match=f"no Ogg page begins at byte {len(first)}"):
            load_audio(first + gap + second)
    for joined, seconds in ((first + first, 2), (first + second + first, 3)):
        if codec == "VORBIS":
            assert abs(len(load_audio(joined)) / 16000 - seconds) < 0.05
        else:
            with pytest.raises(AudioError, match="two of its streams have one number"):
                load_audio(joined)


def test_flac_that_does_not_say_its_length():
    content = without_flac_length(encoded(tone(3), container="FLAC"))
    assert len(read_audio(content)[0]) == 48000
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_audio(content[: len(content) // 2])
    tagged = b"ID3\x04\0\0" + bytes([0, 0, 4, 0]) + bytes(512) + encoded(tone(3), container="FLAC")
    assert len(read_audio(tagged)[0]) == 48000


@pytest.mark.parametrize("gap", [b"", bytes(100), b"TAG" + bytes(125), b"ID3\4\0\0\0\0\1\0" + bytes(128), b"fLaC" * 30])
def test_nothing_of_joined_flac_files_is_lost_in_silence(gap):
    first, second = encoded(tone(3), container="FLAC"), encoded(tone(2, frequency=440), container="FLAC")
    both = np.concatenate([read_audio(first)[0], read_audio(second)[0]])
    np.testing.assert_array_equal(read_audio(first + gap + second)[0], both)
    np.testing.assert_array_equal(read_audio(first + gap + without_flac_length(second))[0], both)
    np.testing.assert_array_equal(read_audio(first + gap)[0], both[: 3 * 16000])
    stereo = encoded(np.stack([tone()] * 2, 1), container="FLAC")
    for other in (second[:-500], encoded(tone(1, 44100), 44100, container="FLAC"), stereo, second[:20]):
        with pytest.raises(AudioError, match="truncated"):
            read_audio(first + gap + other)
    with pytest.raises(AudioError, match="truncated"):
        read_audio(first[:-500] + gap + second)


def test_damaged_flac_is_an_error():
    content = bytearray(encoded(tone(3), container="FLAC"))
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    with pytest.raises(AudioError, match="truncated or damaged|truncated"):
        read_audio(bytes(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encoded(tone(), container="RF64")[:20], "truncated"),
        (
            b"RF64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<I", 4) + b"1234",
            "truncated: its header promises a field",
        ),
        (
            b"RF64" + b"\xff" * 4 + b"WAVEds64\x1c\0\0\0" + b"\xff" * 28 + WAV[12:36] + b"data" + b"\xff" * 4,
            "truncated",
        ),
        (b"RIFF\xff\xff\0\0WAVE" + bytes(100_000), "chunks before the samples"),
        (b"FORM\0\0\xff\xffAIFF" + bytes(100_000), "chunks before the samples"),
        (b"NIST_1A\n   x024\n" + bytes(2000), "damaged header"),
        (b".snd\0\0", "truncated"),
        (b"Creative Voice File\x1a\x1a", "truncated"),
        (b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\0\x14stsz" + bytes(8), "truncated"),
        (b"\0\0\0\x14moov\0\0\0\x14stsz" + bytes(8) + b"\x7f\xff\xff\xff", "truncated|damaged"),
    ],
)
def test_damaged_headers_are_one_error(content, message):
    with pytest.raises(AudioError, match=message):
        load_audio(content)
