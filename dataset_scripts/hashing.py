"""Checksums of files."""

import hashlib
import os

BLOCK = 1 << 20  # bytes


def file_digest(path: str | os.PathLike, kind: str = "sha256") -> str:
    """Return the hexadecimal digest of a file's content.

    Args:
        path: the file.
        kind: an algorithm of hashlib, such as ``md5``.
    """
    digest = hashlib.new(kind)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):  # Python 3.10 has no `hashlib.file_digest`
            digest.update(block)
    return digest.hexdigest()
