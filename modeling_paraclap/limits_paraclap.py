"""Bounds on what one audio input may cost; a few bytes of a header or a URL could otherwise cost gigabytes or minutes.

Each is read from the environment when it is needed, so that a process raises what its recordings need:

    PARACLAP_MAX_AUDIO_S=14400 paraclap score lecture.wav ...
"""

import os

LIMITS = {
    # Whole recordings in memory: an hour at 16 kHz takes 230 MB.
    "PARACLAP_MAX_AUDIO_S": (3600, "seconds of a recording that is loaded in one piece"),
    # At their own rate, with all channels: 20 minutes of stereo at 44.1 kHz take 423 MB.
    "PARACLAP_MAX_DECODED_MB": (384, "MB of samples of a recording that keeps its rate and channels"),
    "PARACLAP_MAX_STREAM_S": (86_400, "seconds of a recording that is read block by block"),
    "PARACLAP_MAX_SAMPLING_RATE": (768_000, "Hz"),
    "PARACLAP_MAX_CHANNELS": (32, "channels"),
    "PARACLAP_MAX_DOWNLOAD_MB": (256, "MB of a download, or of a stream that cannot seek"),
    "PARACLAP_MAX_DOWNLOAD_S": (60, "seconds for a download in all"),
}
# A rate under 1 kHz is kHz for Hz; as a header's rate it would turn each sample into many.
LEAST_SAMPLING_RATE = 1000
# Digital silence compresses without end: beyond the first samples, each byte of a file may decode to no more than this.
# Opus at its lowest rate gives 130 values a byte, a FLAC of digital silence 340 to 35,000.
FREE_VALUES = 2**26
VALUES_PER_BYTE = 200


def limit(name: str) -> float:
    """Return a limit of `LIMITS`: the environment's, or the default.

    Raises:
        ValueError: If the environment holds something else than a number above 0.
    """
    default, _ = LIMITS[name]
    text = os.environ.get(name, "")
    if not text.strip():
        return float(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ValueError(f"{name} is {text!r} in the environment; expected a number above 0 (default: {default}).")
    return value


def advice(name: str) -> str:
    """Return the end of an error message: the limit that applies, and how to raise it."""
    return f"the limit is {limit(name):g} {LIMITS[name][1]}. Set the environment variable {name} to raise it."
