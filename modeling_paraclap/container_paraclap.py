"""What the headers of an audio file promise, compared with the bytes that are there.

Decoders read a cut file silently short, and some read nothing of a file whose header is merely wrong. So the chunks,
pages or boxes of the file are walked before it is decoded: a file that lacks samples is an error, and one that has them
all goes to the decoder that reads it whole.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .source_paraclap import Source
from .waveform_paraclap import AudioError

# Writers to a pipe cannot know the length and put 0xFFFFFFFF (ffmpeg), 0x80000000 (arecord) or 0x7FFFF... (sox) there.
STREAMED_SIZE = 0x7FFFF000
SEARCHED = 2**20  # bytes that are searched at a time
# No real header has more chunks than this before its samples.
MOST_CHUNKS = 10_000
WAV_MP3 = (0x50, 0x55)  # format tags of MPEG layers I to III
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
MP4_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
MP4_COUNTS = {b"stsz": 8, b"stz2": 8, b"trun": 4}  # where in the box the number of samples stands


@dataclass(frozen=True)
class Container:
    """What is known of a file before it is decoded.

    Attributes:
        kind: Its format, as error messages call it; empty if it is none of those that are known here.
        by_ffmpeg: Whether libsndfile would not read it, or not all of it.
        promised_samples: Minimum number of samples according to the header, if the decoder does not check it.
    """

    kind: str
    by_ffmpeg: bool = False
    promised_samples: int | None = None


def inspect(source: Source) -> Container:
    """Tell the container of a file by its content, and compare what it promises with what is there.

    Raises:
        AudioError: If the file is truncated, or its header is damaged.
    """
    head = source.bytes_at(0, 32)
    tag = id3_length(head)
    start = source.bytes_at(tag, 4) if tag else head[:4]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav(source, head)
    if start == b"fLaC":
        return _flac(source, tag)
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 6:
        return _mp3(source, tag)
    for magic, position, check in WALKS:
        if head[position : position + len(magic)] == magic:
            return check(source, head)
    return Container("", by_ffmpeg=True)


def id3_length(head: bytes) -> int:
    """Return how many bytes an ID3v2 tag takes at the start of a file; 0 if there is none."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def truncated(source: Source, promised: str, present: str) -> AudioError:
    """Return the error of a file that has less than its header promises."""
    return AudioError(
        f"{source.title} is truncated: its header promises {promised}, but there are {present}. Copy or download it "
        "again."
    )


def _damaged(source: Source, what: str) -> AudioError:
    return AudioError(f"{source.title} has a damaged header: {what}. Copy or download it again.")


def _number(source: Source, layout: str, position: int) -> int:
    """Return the number at a position, as `struct` unpacks it."""
    content = source.bytes_at(position, struct.calcsize(layout))
    if len(content) < struct.calcsize(layout):
        raise truncated(source, f"a field at byte {position}", f"{source.size} bytes in all")
    return struct.unpack(layout, content)[0]


def _is_whole(source: Source, start: int, length: int, block: int, container_end: int | None) -> bool:
    """Tell whether `length` bytes of samples from `start` on are there; False if there are as many as there should be.

    A part of a block of `block` bytes is no sample. Where the container's own size says that the file is complete, the
    size of the samples is a writer's mistake (1, 36 or 44 bytes too large are common ones).
    """
    present = source.size - start
    if length - length % max(1, block) <= present:
        return True
    if container_end is not None and 0 <= source.size - container_end <= 1:
        return False
    raise truncated(source, f"{length} bytes of samples", f"{max(0, present)}")


def _wav(source: Source, head: bytes) -> Container:
    order = ">" if head[:4] == b"RIFX" else "<"
    end = 8 + struct.unpack(f"{order}I", head[4:8])[0]
    position, size_64, tag, block = 12, None, 0, 1
    for _ in range(MOST_CHUNKS):
        kind = source.bytes_at(position, 4)
        if len(kind) < 4 or position + 8 > source.size:
            return Container("WAV")  # no samples at all: libsndfile's error says so
        length = _number(source, f"{order}I", position + 4)
        if kind == b"ds64":
            end, size_64 = 8 + _number(source, "<Q", position + 8), _number(source, "<Q", position + 16)
        elif kind == b"fmt ":
            tag, block = _number(source, f"{order}H", position + 8), _number(source, f"{order}H", position + 20)
        elif kind == b"data":
            break
        position += 8 + length + length % 2
    else:
        raise _damaged(source, f"more than {MOST_CHUNKS} chunks before the samples")
    start = position + 8
    if length == 0xFFFFFFFF and size_64 is not None:
        length = size_64
    elif length == 0:
        # No samples, or a writer that could not go back to the header: then what follows are no chunks.
        return Container("WAV", by_ffmpeg=start < source.size and not _are_chunks(source, start, order))
    elif length >= STREAMED_SIZE:
        length = 0
    whole = _is_whole(source, start, length, block, end)
    return Container("WAV", by_ffmpeg=not whole or tag in WAV_MP3)


def _are_chunks(source: Source, position: int, order: str) -> bool:
    """Return whether chunks follow one another from a position to the end of the file."""
    for _ in range(MOST_CHUNKS):
        kind = source.bytes_at(position, 4)
        if position + 8 > source.size or not kind.isascii() or not kind.decode("ascii").isprintable():
            break
        length = _number(source, f"{order}I", position + 4)
        position += 8 + length + length % 2
    return abs(position - source.size) <= 1


def _aiff(source: Source, head: bytes) -> Container:
    if head[8:12] not in (b"AIFF", b"AIFC"):
        return Container("IFF", by_ffmpeg=True)
    end, position = 8 + struct.unpack(">I", head[4:8])[0], 12
    for _ in range(MOST_CHUNKS):
        kind = source.bytes_at(position, 4)
        if len(kind) < 4 or position + 8 > source.size:
            return Container("AIFF")
        length = _number(source, ">I", position + 4)
        if kind == b"SSND":
            streamed = length >= STREAMED_SIZE
            return Container("AIFF", not streamed and not _is_whole(source, position + 8, length, 1, end))
        position += 8 + length + length % 2
    raise _damaged(source, f"more than {MOST_CHUNKS} chunks before the samples")


def _w64(source: Source, head: bytes) -> Container:
    end, position = struct.unpack("<Q", head[16:24])[0] if len(head) > 23 else 0, 40
    for _ in range(MOST_CHUNKS):
        kind = source.bytes_at(position, 16)
        if len(kind) < 16 or position + 24 > source.size:
            return Container("W64")
        length = _number(source, "<Q", position + 16)  # with the chunk's own header
        if kind == W64_DATA:
            return Container("W64", not _is_whole(source, position + 24, length - 24, 1, end))
        position += max(24, -(-length // 8) * 8)
    raise _damaged(source, f"more than {MOST_CHUNKS} chunks before the samples")


def _caf(source: Source, head: bytes) -> Container:
    position = 8
    for _ in range(MOST_CHUNKS):
        kind = source.bytes_at(position, 4)
        if len(kind) < 4 or position + 12 > source.size:
            break
        length = _number(source, ">q", position + 4)
        if length < 0:  # the samples, to the end of the file
            break
        if kind == b"data":
            _is_whole(source, position + 12, length, 1, None)
        position += 12 + length
    return Container("CAF")


def _au(source: Source, head: bytes) -> Container:
    order = "<" if head[:4] == b"dns." else ">"
    start, length = _number(source, f"{order}I", 4), _number(source, f"{order}I", 8)
    if length < STREAMED_SIZE:
        _is_whole(source, start, length, 1, None)
    return Container("AU")


def _voc(source: Source, head: bytes) -> Container:
    position = _number(source, "<H", 20)
    for _ in range(source.size):
        kind = source.bytes_at(position, 4)
        if len(kind) < 1 or kind[0] == 0:
            break
        length = int.from_bytes(kind[1:4], "little")
        if len(kind) < 4 or position + 4 + length > source.size:
            raise truncated(source, f"a block of {length} bytes", f"{max(0, source.size - position - 4)}")
        position += 4 + length
    return Container("VOC")


def _nist(source: Source, head: bytes) -> Container:
    start = head[8:16].strip()
    if not start.isdigit():
        raise _damaged(source, f"it begins with {head[:16]!r}")
    lines = source.bytes_at(0, min(int(start), 2**16)).split(b"\n")
    fields = {line.split()[0]: line.split()[-1] for line in lines if len(line.split()) >= 3}
    numbers = [fields.get(name, b"") for name in (b"sample_count", b"sample_n_bytes", b"channel_count")]
    if all(number.isdigit() for number in numbers) and b"shorten" not in b" ".join(lines):
        count, width, channels = map(int, numbers)
        _is_whole(source, int(start), count * width * channels, 1, None)
    return Container("NIST")


def _flac(source: Source, tag: int) -> Container:
    """Find all streams of a FLAC file: libsndfile reads the first of joined files alone, ffmpeg all of one format."""
    # The number of samples are the last 36 bits of 8 bytes.
    promised = [_number(source, ">Q", position + 18) & (2**36 - 1) for position in _flac_streams(source, tag)]
    if len(promised) == 1 and promised[0] and not tag:
        return Container("FLAC")
    # libsndfile reads a FLAC without that number, but not its errors.
    return Container("FLAC", by_ffmpeg=True, promised_samples=sum(promised) if all(promised) else None)


def _flac_streams(source: Source, first: int) -> Iterator[int]:
    """Yield where FLAC streams begin, from the first on: a mark, and a block of 34 bytes that describes the stream."""
    position: int | None = first
    while position is not None:
        if position == first or source.bytes_at(position + 5, 3) == b"\0\0\x22":
            yield position
        position = _find(source, b"fLaC", position + 4)


def _mp3(source: Source, tag: int) -> Container:
    header = source.bytes_at(tag, 256)
    position = max(header.find(b"Xing"), header.find(b"Info"))
    if position < 0 or len(header) < position + 16:
        return Container("MP3", by_ffmpeg=True)
    flags, first, second = struct.unpack(">III", header[position + 4 : position + 16])
    frames = first if flags & 1 else 0
    length = (second if flags & 1 else first) if flags & 2 else 0
    if length > source.size:  # of the whole file: some encoders count the tags
        raise truncated(source, f"{length} bytes", f"{source.size}")
    # The decoder leaves out the encoder's delay and padding, about two frames.
    samples = max(0, frames - 4) * (1152 if header[1] & 8 else 576)
    return Container("MP3", by_ffmpeg=True, promised_samples=samples)


def _ogg(source: Source, head: bytes) -> Container:
    """Ogg has no length in its header, but every page has one, and the last of each stream is marked as the last."""
    position, unfinished, has_sound, chained, numbers = 0, set(), False, False, set()
    while position < source.size:
        page = source.bytes_at(position, 27 + 255)
        if page[:4] != b"OggS"[: len(page)]:
            following = _find(source, b"OggS", position)
            if unfinished or following is not None:
                raise _damaged(source, f"no Ogg page begins at byte {position}")
            break  # a tag behind the last page
        segments = page[26] if len(page) > 26 else 255
        length = 27 + segments + sum(page[27 : 27 + segments])
        if len(page) < 27 + segments or position + length > source.size:
            raise truncated(source, f"a last page of {length} bytes", f"{source.size - position}")
        flags, stream = page[5], page[14:18]
        if flags & 2:
            chained |= has_sound  # a stream that begins behind another: libsndfile reads the first alone
            if stream in numbers and b"OpusHead" in page:  # ffmpeg takes the second for a repetition
                raise _damaged(source, "two of its streams have one number, so that the second would not be heard")
            unfinished.add(stream)
            numbers.add(stream)
        else:
            has_sound = True
        if flags & 4:
            unfinished.discard(stream)
        position += length
    if unfinished:
        raise AudioError(
            f"{source.title} is truncated: its last page is not marked as the end. Copy or download it again; if it is "
            "a recording that was never closed, save it anew (`ffmpeg -i old.ogg -c copy new.ogg`)."
        )
    return Container("OGG", by_ffmpeg=chained)


def _find(source: Source, mark: bytes, position: int) -> int | None:
    """Return where some bytes are next, from a position on."""
    while position < source.size:
        found = source.bytes_at(position, SEARCHED + len(mark) - 1).find(mark)
        if found >= 0:
            return position + found
        position += SEARCHED
    return None


def _matroska(source: Source, head: bytes) -> Container:
    """Elements of known size have to be there; those of live recordings (segment, clusters) say none."""
    position = 0
    while position < source.size:
        content = source.bytes_at(position, 12)
        number_width = 9 - content[0].bit_length()
        if number_width > 4 or len(content) <= number_width:
            break
        first = content[number_width]
        width = 9 - first.bit_length()
        encoded = content[number_width : number_width + width]
        if width > 8 or len(encoded) < width:
            break
        length = int.from_bytes(encoded, "big") - (1 << 7 * width)
        position += number_width + width
        if length == (1 << 7 * width) - 1:
            continue  # unknown: what follows is inside it
        if position + length > source.size:
            raise truncated(source, f"{length} bytes", f"{source.size - position}")
        position += length
    return Container("WebM", by_ffmpeg=True)


def _mp4(source: Source, head: bytes) -> Container:
    _check_boxes(source, 0, source.size, depth=0)
    return Container("MP4", by_ffmpeg=True)


def _check_boxes(source: Source, position: int, end: int, depth: int) -> None:
    """Walk the boxes of an MP4 or QuickTime file; the tables of samples are allocated by what their counts say."""
    while position + 8 <= end:
        length, kind = _number(source, ">I", position), source.bytes_at(position + 4, 4)
        start = position + 8
        if length == 1:
            length, start = _number(source, ">Q", start), start + 8
        elif length == 0:
            length = end - position
        if length < start - position or not kind.isalnum():
            break  # padding
        if position + length > end:
            raise truncated(source, f"{length} bytes of {kind.decode('latin-1')!r}", f"{end - position}")
        if kind in MP4_PARENTS and depth < len(MP4_PARENTS):
            _check_boxes(source, start, position + length, depth + 1)
        elif kind in MP4_COUNTS and (count := _number(source, ">I", start + MP4_COUNTS[kind])) > source.size:
            raise _damaged(source, f"it promises {count} samples in {source.size} bytes")
        position += length


WALKS: list[tuple[bytes, int, Callable[[Source, bytes], Container]]] = [
    (b"FORM", 0, _aiff),
    (W64_RIFF, 0, _w64),
    (b"caff", 0, _caf),
    (b".snd", 0, _au),
    (b"dns.", 0, _au),
    (b"Creative Voice File\x1a", 0, _voc),
    (b"NIST_1A\n", 0, _nist),
    (b"OggS", 0, _ogg),
    (b"\x1aE\xdf\xa3", 0, _matroska),
    *((kind, 4, _mp4) for kind in (b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"free", b"skip", b"wide")),
]
