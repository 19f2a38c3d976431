"""Encoded audio as a seekable file: of a path, bytes or a file object, and what error messages call it."""

import contextlib
import io
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from .limits_paraclap import advice, limit
from .waveform_paraclap import AudioError, NoAudioError

DOWNLOAD = "PARACLAP_MAX_DOWNLOAD_MB"
SPOOL_BLOCK = 2**20
LONGEST_NAME = 300
SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]+://")


class Source:
    """A seekable binary file that decoders written in C may read.

    An exception that is raised in a callback from C is printed and forgotten, and the audio ends there as if the file
    did. So the first one (also of Ctrl-C) is kept, reads give nothing from then on, and `check` raises it again.

    Args:
        file: A seekable binary file object.
        name: Name of the audio in error messages, where it starts the sentence.
        descriptor: The operating system's number of the file, if C code may read it without Python.
    """

    def __init__(self, file: BinaryIO, name: str, descriptor: int | None = None):
        self._file, self.title, self.descriptor = file, name, descriptor
        self._error: BaseException | None = None
        self.size = self._kept(self._end)
        self.check()

    def check(self) -> None:
        """Raise what went wrong in reading, if anything did."""
        if self._error is not None:
            raise self._error

    def read(self, size: int) -> bytes:
        """Return `size` bytes; fewer only where the file ends."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return how many bytes were there; fewer than it holds only where the file ends."""
        return self._kept(lambda: self._fill(memoryview(buffer).cast("B")))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        return self._kept(lambda: self._moved(offset, whence))

    def tell(self) -> int:
        """Return the position."""
        return self._kept(self._file.tell)

    def bytes_at(self, position: int, size: int) -> bytes:
        """Return at most `size` bytes from a position on.

        Raises:
            Exception: Whatever the file object raised.
        """
        if position >= self.size:
            return b""
        self.seek(position)
        content = self.read(min(size, self.size - position))
        self.check()
        return content

    def _kept(self, call: Callable[[], int]) -> int:
        if self._error is not None:
            return 0
        try:
            return call()
        except BaseException as error:  # raised again by `check`
            self._error = error
            return 0

    def _fill(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view):
            content = self._file.read(len(view) - filled)
            if content is None:
                raise AudioError(f"{self.title} does not block: reading gave None. Read it whole and pass the bytes.")
            count = len(must_be_bytes(content, self.title))
            if not count:
                break
            if count > len(view) - filled:
                raise AudioError(f"{self.title} gives more bytes than asked for: {count} for {len(view) - filled}.")
            view[filled : filled + count] = content
            filled += count
        return filled

    def _moved(self, offset: int, whence: int) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            return -1  # a damaged header leads there, or far beyond the end: for the decoder to say so
        self._file.seek(min(start + offset, self.size))
        return self._file.tell()

    def _end(self) -> int:
        self._file.seek(0, os.SEEK_END)
        return self._file.tell()


@contextlib.contextmanager
def open_source(source: Any) -> Iterator[Source]:
    """Open encoded audio; what is opened here is closed at the end.

    Args:
        source: A path, `bytes`, a binary file object, which is read from its start, or a `Source`.

    Yields:
        A `Source` that is not empty.

    Raises:
        AudioError: If there is no such file, or it is empty or no regular file.
        NoAudioError: If the source is none of these.
    """
    name = name_of(source)
    with contextlib.ExitStack() as stack:
        if isinstance(source, Source):
            opened = source
        elif isinstance(source, (str, os.PathLike)):
            opened = _open_path(os.fsdecode(source), name, stack)
        elif isinstance(source, (bytes, bytearray)):
            opened = Source(io.BytesIO(source), name)
        elif isinstance(source, memoryview):
            opened = Source(io.BytesIO(source.tobytes()), name)
        elif hasattr(source, "read"):
            opened = _open_file_object(source, name, stack)
        else:
            raise NoAudioError(f"{name} cannot be read: audio is read from a path, bytes or a binary file object.")
        if not opened.size:
            raise AudioError(f"{opened.title} is empty (0 bytes). Copy or download it again.")
        yield opened


class Spool:
    """A temporary file for what cannot be read twice; it is gone when the stack is closed.

    Args:
        name: Name of the audio in error messages, where it starts the sentence.
        stack: Closes the file.
    """

    def __init__(self, name: str, stack: contextlib.ExitStack):
        self.title, self.most, self.size = name, limit(DOWNLOAD) * 1e6, 0
        # Without a buffer, as its descriptor goes to decoders; closed with the stack.
        self._file = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115

    def write(self, content: bytes) -> None:
        """Append to the file.

        Raises:
            AudioError: If it comes to more than `PARACLAP_MAX_DOWNLOAD_MB`.
        """
        self.size += len(content)
        if self.size > self.most:
            raise AudioError(f"{self.title} is too large: {advice(DOWNLOAD)}")
        rest = memoryview(content)
        while len(rest):
            rest = rest[self._file.write(rest) :]

    def source(self) -> Source:
        """Return what was written, to be read."""
        return Source(self._file, self.title, self._file.fileno() if os.name == "posix" else None)


def must_be_bytes(content: Any, name: str) -> bytes:
    """Return what a file object gave, if it is bytes.

    Raises:
        NoAudioError: If it is not.
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        return content
    if isinstance(content, str):
        raise NoAudioError(f'{name} gives text. Open the file in binary mode: open(path, "rb").')
    raise NoAudioError(f"{name} gives {type(content).__name__} objects when it is read; expected bytes.")


def name_of(source: Any) -> str:
    """Return how an error message calls a source of audio; starts a sentence and shows no password."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        shown = without_secrets(path) if SCHEME.match(path) else repr(path)
        shown = shown if len(shown) <= LONGEST_NAME else f"{shown[:LONGEST_NAME]}..."
        return f"The audio at {shown}" if SCHEME.match(path) else f"The file {shown}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"The audio of {len(source)} bytes"
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return name_of(name) if isinstance(name, str) else f"The file object {type(source).__name__}"
    return f"The {type(source).__name__}"


def without_secrets(text: str) -> str:
    """Return text without what URLs in it may hold of secrets: user, password, query and fragment.

    A password with a slash, a blank or an @ in it is not one by the standard, and is not to be shown either: so all is
    left out up to the last @, unless what stands before is a host and the @ part of the path.
    """
    before, scheme, rest = text.partition("://")
    if not scheme:
        return text
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    if not re.match(r"(\[[^\]@]*\]|[^:@/]*)(:\d*)?(/|$)", rest):
        rest = rest.rpartition("@")[2]
    shown = f"{before.strip()}://{rest}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


def _open_path(path: str, name: str, stack: contextlib.ExitStack) -> Source:
    # A FIFO would be waited for at opening, a device may act on it: neither is opened, whatever comes between.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        before = os.stat(path)
        descriptor = os.open(path, flags) if stat.S_ISREG(before.st_mode) else None
    except FileNotFoundError as error:
        if SCHEME.match(path):
            raise AudioError(
                f"{name} is no local file, and is not downloaded here. Pass http:// and https:// addresses to the "
                "pipeline, the processor or load_input; download others first."
            ) from error
        raise AudioError(f"{name} does not exist. Check the path (now in {os.getcwd()}).") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise AudioError(f"{name} cannot be opened: {error}.") from error
    if stat.S_ISDIR(before.st_mode):
        raise AudioError(f"{name} is a folder, not an audio file. Pass the files in it.")
    if descriptor is not None:
        stack.callback(os.close, descriptor)
    if descriptor is None or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise AudioError(
            f"{name} is not a regular file but a pipe, socket or device. Pass an open file object, such as "
            "sys.stdin.buffer, or a copy."
        )
    # Without a buffer, since its position would be wrong once a decoder has read from the same descriptor.
    file = stack.enter_context(io.FileIO(descriptor, closefd=False))
    return Source(file, name, descriptor if os.name == "posix" else None)


def _open_file_object(file: Any, name: str, stack: contextlib.ExitStack) -> Source:
    if getattr(file, "closed", False):
        raise AudioError(f"{name} is closed. Open it again, or pass its path.")
    must_be_bytes(file.read(0), name)
    seekable = file.seekable() if hasattr(file, "seekable") else hasattr(file, "seek") and hasattr(file, "tell")
    if not seekable:
        spool = Spool(name, stack)
        while content := must_be_bytes(file.read(SPOOL_BLOCK), name):
            spool.write(content)
        return spool.source()
    return Source(file, name)
