"""MP3 files that do not say how long they are.

An encoder writes the number of frames into a first frame without sound, called Xing or Info. Without it, libsndfile
takes the length that the file would have at its first frame's bit rate, and stops there: the end of a recording of
variable bit rate is lost. So the frames are counted, and a Xing frame is put in front.
"""

import io
import struct
from typing import Any

BITRATES = {  # kbit/s of layer III by index, for MPEG 1 and for MPEG 2 and 2.5
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz by version and index
BITRATE_INDEX = 9  # of the frame put in: large enough for what it has to hold at every rate


def frame_length(header: bytes) -> int:
    """Bytes of a layer III frame with this header of 4 bytes; 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # 11 bits of sync, layer III
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    first = version == 3
    return (144 if first else 72) * 1000 * BITRATES[first][bitrate] // RATES[version][rate] + (header[2] >> 1 & 1)


def count_frames(stream: Any, start: int) -> int:
    """Consecutive layer III frames of a binary file object from a position on."""
    count, position = 0, start
    while True:
        stream.seek(position)
        length = frame_length(stream.read(4))
        if not length:
            return count
        count, position = count + 1, position + length


def with_length(stream: Any, start: int) -> Any:
    """The MP3 with a Xing frame in front, which tells its length.

    Args:
        stream (binary file object): Of an MP3 without one.
        start (`int`): Position of its first frame.

    Returns:
        A file object with all from the first frame on; the same `stream` if there is no layer III frame there.
    """
    frames = count_frames(stream, start)
    if not frames:
        return stream
    stream.seek(start)
    content = stream.read()
    header = bytearray(content[:4])
    header[1] |= 1  # no checksum
    header[2] = BITRATE_INDEX << 4 | header[2] & 0b1100  # no padding
    first, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    side_information = (17 if mono else 32) if first else (9 if mono else 17)
    frame = bytes(header) + bytes(side_information) + b"Xing" + struct.pack(">II", 1, frames)  # 1: the count follows
    return io.BytesIO(frame.ljust(frame_length(bytes(header)), b"\0") + content)
