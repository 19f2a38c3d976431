"""Paths, bytes and file objects of every kind, and what goes wrong while they are read."""

import io
import os
import socket
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.audio import encoded, encoded_by_ffmpeg, tone, without_flac_length

from modeling_paraclap.audio_paraclap import AudioError, load_audio, load_crop, name_of, read_audio, stream_audio
from modeling_paraclap.inputs_paraclap import load_input
from modeling_paraclap.source_paraclap import without_secrets

SPEECH = tone(3)
FILES = {
    "wav": encoded(SPEECH),
    "flac": encoded(SPEECH, container="FLAC"),
    "flac of unknown length": without_flac_length(encoded(SPEECH, container="FLAC")),
    "ogg": encoded(SPEECH, container="OGG"),
    "mp3": encoded(SPEECH, container="MP3"),
    "m4a": encoded_by_ffmpeg(SPEECH),
}


class Pipe(io.RawIOBase):
    """Cannot seek, as a socket cannot, and gives little at a time."""

    def __init__(self, content, most=1000):
        self.content, self.most = io.BytesIO(content), most

    def read(self, size=-1):
        return self.content.read(min(size, self.most) if size >= 0 else -1)


class Trickle(io.BytesIO):
    """Gives fewer bytes than asked for, as raw files may."""

    def read(self, size=-1):
        return super().read(min(size, 777) if size >= 0 else -1)

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:777])


class Bare:
    """Has nothing but what a file needs, and a `seek` that returns nothing."""

    def __init__(self, content):
        self._file = io.BytesIO(content)
        self.read, self.tell = self._file.read, self._file.tell

    def seek(self, offset, whence=0):
        self._file.seek(offset, whence)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("make", [Pipe, Trickle, Bare, bytearray, memoryview, lambda b: memoryview(b"x" + b)[1:]])
def test_any_object_that_gives_bytes(kind, make):
    expected = load_audio(FILES[kind])
    np.testing.assert_array_equal(load_audio(make(FILES[kind])), expected)
    crop, whole = (load_crop(source, 8000, np.random.default_rng(3)) for source in (make(FILES[kind]), FILES[kind]))
    np.testing.assert_array_equal(crop, whole)


def test_file_objects_of_the_standard_library(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", FILES["wav"])
    (tmp_path / "a.wav").write_bytes(FILES["wav"])
    expected = load_audio(FILES["wav"])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.wav") as member:
        np.testing.assert_array_equal(load_audio(member), expected)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(target=lambda: (ours.sendall(FILES["wav"]), ours.shutdown(socket.SHUT_WR))).start()
        with theirs.makefile("rb") as stream:
            np.testing.assert_array_equal(load_audio(stream), expected)
    with os.scandir(os.fsencode(tmp_path)) as entries:  # path-likes of bytes
        np.testing.assert_array_equal(load_audio(next(e for e in entries if e.name == b"a.wav")), expected)


class Failing(io.BytesIO):
    """Raises at the n-th reading, as a lost network drive or Ctrl-C would."""

    def __init__(self, content, error, calls):
        super().__init__(content)
        self.error, self.calls = error, calls

    def _count(self):
        self.calls -= 1
        if self.calls < 0:
            raise self.error

    def read(self, size=-1):
        self._count()
        return super().read(size)

    def readinto(self, buffer):
        self._count()
        return super().readinto(buffer)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("error", [OSError("drive lost"), KeyboardInterrupt(), MemoryError(), ZeroDivisionError()])
def test_what_a_file_object_raises_comes_out(kind, error):
    """Whenever it is raised: never a shorter waveform, and never another error."""
    calls = Failing(FILES[kind], error, 10**9)
    expected = load_audio(calls)
    needed = 10**9 - calls.calls
    for count in {*range(min(12, needed)), needed // 2, needed - 1}:
        with pytest.raises(type(error)) as caught:
            load_audio(Failing(FILES[kind], error, count))
        assert caught.value is error
    np.testing.assert_array_equal(load_audio(Failing(FILES[kind], error, needed)), expected)


def test_files_that_do_not_do_what_files_do():
    class Greedy(io.BytesIO):
        def read(self, size=-1):
            return super().read(size + 10 if size > 0 else size)

    class NonBlocking(io.BytesIO):
        def read(self, size=-1):
            return None if size else b""

    class Texts(io.BytesIO):
        def read(self, size=-1):
            return "text"

    class Numbers(io.BytesIO):
        def read(self, size=-1):
            return np.zeros(3) if size else b""

    closed = io.BytesIO(FILES["wav"])
    closed.close()
    for file, error, message in [
        (Greedy(FILES["mp3"]), AudioError, "more bytes than asked for"),
        (NonBlocking(FILES["mp3"]), AudioError, "reading gave None"),
        (Texts(FILES["mp3"]), TypeError, 'gives text.*open(.*"rb")'),
        (Numbers(FILES["mp3"]), TypeError, "gives ndarray objects"),
        (closed, AudioError, "is closed"),
    ]:
        with pytest.raises(error, match=message):
            load_audio(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "fifo.wav")
    for path in (tmp_path / "fifo.wav", tmp_path / "link.wav", "/dev/null", "/dev/zero"):
        with pytest.raises(AudioError, match="not a regular file but a pipe, socket or device"):
            load_audio(path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        with pytest.raises(AudioError, match="not a regular file"):
            read_audio(tmp_path / "s")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    for path in (tmp_path / "loop.wav", "x" * 5000, f"{tmp_path}/\0.wav"):
        with pytest.raises(AudioError, match="cannot be opened") as caught:
            load_audio(path)
        assert len(str(caught.value)) < 6000


def test_a_name_that_is_not_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.wav"
    try:
        Path(os.fsdecode(path)).write_bytes(FILES["wav"])
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert len(load_audio(os.fsdecode(path))) == len(SPEECH)
    assert len(load_audio(Path(os.fsdecode(path)))) == len(SPEECH)
    Path(os.fsdecode(path)).write_bytes(FILES["wav"][:999])
    with pytest.raises(AudioError, match="truncated") as caught:
        load_audio(os.fsdecode(path))
    str(caught.value).encode("utf-8")  # can be printed and written


def test_no_descriptor_is_left_open(tmp_path):
    paths = {kind: tmp_path / kind for kind in FILES}
    for kind, path in paths.items():
        path.write_bytes(FILES[kind])
    (tmp_path / "cut").write_bytes(FILES["flac"][:5000])
    before = len(os.listdir("/dev/fd"))
    for path in [*paths.values(), tmp_path / "cut"]:
        try:
            next(iter(stream_audio(path)))  # not read to the end
            load_audio(path)
        except AudioError:
            pass
    assert len(os.listdir("/dev/fd")) == before


def test_a_part_of_a_stream_can_be_left(tmp_path):
    """Files are closed when a stream is dropped, and two may be read at once."""
    first, second = stream_audio(FILES["mp3"], 8000), stream_audio(FILES["flac"], 8000)
    np.testing.assert_allclose(len(next(first)), len(next(second)), atol=1200)
    first.close()
    assert sum(map(len, second)) > 0


@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_a_pipe_is_read_as_a_file_object(kind):
    """As `sys.stdin.buffer` is."""
    reading, writing = os.pipe()

    def write():
        with os.fdopen(writing, "wb") as stream:
            stream.write(FILES[kind])

    threading.Thread(target=write).start()
    with os.fdopen(reading, "rb") as stream:
        np.testing.assert_array_equal(load_audio(stream), load_audio(FILES[kind]))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host/a.wav", "https://host/a.wav"),
        ("https://me:se%20cret@host:80/a.wav?token=secret#secret", "https://host:80/a.wav"),
        ("https://me:se/cret@host/a.wav", "https://host/a.wav"),
        ("https://me:secret/@host/a.wav", "https://host/a.wav"),
        ("https://me:secr@et@host/a.wav", "https://host/a.wav"),
        (" HTTPS://secret@host", "HTTPS://host"),
        ("ftp://me:secret@[::1]:21/a.wav", "ftp://[::1]:21/a.wav"),
        ("https://host/@user/a.wav", "https://host/@user/a.wav"),
        ("https://[::1]:80/a@b.wav", "https://[::1]:80/a@b.wav"),
        ("https://host", "https://host"),
    ],
)
def test_messages_show_no_secret_of_a_url(url, shown):
    assert without_secrets(url) == shown
    assert name_of(url) == f"The audio at {shown}"
    for audio in (url if not url.lower().startswith(("http", " http")) else {"bytes": b"x", "path": url}, (url, 16000)):
        with pytest.raises((AudioError, TypeError)) as caught:
            load_input(audio, 16000)
        assert "secret" not in str(caught.value)
        assert "me:" not in str(caught.value)
    with pytest.raises(AudioError) as caught:
        load_audio(url)
    assert "secret" not in str(caught.value)
