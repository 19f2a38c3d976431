"""Downloads of the corpora whose licence and owner allow it, with `datasets`' download manager.

The manager keeps a cache and locks it, but begins a broken download anew. So the transfer itself is a file system of
fsspec that the manager calls: what has arrived stays in a ``.part`` file, and the rest is asked for with a Range
request, in the same run and in the next. An archive is unpacked only if its checksum is the owner's.
"""

import hashlib
import http.client
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec

BLOCK = 1 << 20  # bytes
ATTEMPTS = 5  # in a row without one new byte
PAUSE = 2.0  # seconds between them
TIMEOUT = 60.0  # seconds without a byte
PREFIX = "resume-"


class DownloadError(RuntimeError):
    """An archive that could not be fetched, or is not the owner's."""


@dataclass(frozen=True)
class Archive:
    """One archive of a corpus.

    Attributes:
        url: http or https.
        checksum: ``md5:…`` or ``sha256:…`` of the file, as the owner (or torchaudio, for LibriSpeech) gives it.
    """

    url: str
    checksum: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[1]


_LIBRISPEECH = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
}
ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "ravdess": (
        Archive(
            "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
            "md5:bc696df654c87fed845eb13823edef8a",
        ),
    ),
    "librispeech": tuple(
        Archive(f"https://www.openslr.org/resources/12/{subset}.tar.gz", f"sha256:{checksum}")
        for subset, checksum in _LIBRISPEECH.items()
    ),
}


class ResumingFileSystem(fsspec.AbstractFileSystem):
    """http(s) whose `get_file` goes on where it broke off; its URLs are ``resume-https://…``."""

    protocol = (f"{PREFIX}http", f"{PREFIX}https")
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix(PREFIX)

    def info(self, path, **kwargs):
        """Size and ETag, as the download manager wants to know them."""
        with _open(urllib.request.Request(self._strip_protocol(path), method="HEAD")) as answer:
            size = answer.headers.get("Content-Length")
            return {
                "name": path,
                "type": "file",
                "size": size and int(size),
                "ETag": answer.headers.get("ETag"),
            }

    def get_file(self, rpath, lpath, callback=None, **kwargs):
        """Fetch a file; a connection that breaks off is taken up again, `ATTEMPTS` times without progress."""
        url, part = self._strip_protocol(rpath), Path(f"{lpath}.part")
        failures = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                if _fetch(url, part, before, callback):
                    break
                problem = "the connection broke off"
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
                    raise DownloadError(f"{url}: {error}; see the corpus's homepage.") from error
                problem = str(error)
            failures = 0 if part.exists() and part.stat().st_size > before else failures + 1
            if failures == ATTEMPTS:
                raise DownloadError(f"{url}: {problem}, {ATTEMPTS} times; run again later, it goes on where it was.")
            time.sleep(PAUSE)
        part.replace(lpath)


def _open(request: urllib.request.Request):
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def _fetch(url: str, part: Path, start: int, callback) -> bool:
    """Append what the server gives from byte `start` on; True if the file is whole then."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        answer = _open(request)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing after what we have: whole, and the checksum tells if it is right
            return True
        raise
    with answer:
        if answer.status != 206:  # a server without ranges, or the beginning
            start = 0
        length = answer.headers.get("Content-Length")
        size = start + int(length) if length else None
        with open(part, "r+b" if start else "wb") as file:
            file.seek(start)
            if callback is not None and size:
                callback.set_size(size)
            while block := answer.read(BLOCK):
                file.write(block)
                if callback is not None:
                    callback.relative_update(len(block))
            return size is None or file.tell() == size


def download(archives: Sequence[Archive], folder: Path) -> None:
    """Fetch, check and unpack archives.

    Args:
        archives: what to fetch.
        folder: where it is unpacked; ``folder/.downloads`` keeps the archives, so that none is fetched twice.

    Raises:
        DownloadError: the server does not give the file, or its checksum is another than the owner's.
    """
    from datasets import DownloadConfig, DownloadManager

    for scheme in ResumingFileSystem.protocol:
        fsspec.register_implementation(scheme, ResumingFileSystem, clobber=True)
    config = DownloadConfig(cache_dir=str(folder / ".downloads"), use_etag=False)
    manager = DownloadManager(dataset_name="paraclap", download_config=config)
    for archive in archives:
        path = Path(manager.download(PREFIX + archive.url))
        kind, _, expected = archive.checksum.partition(":")
        with open(path, "rb") as file:
            found = _digest(file, kind)
        if found != expected:
            path.unlink()
            raise DownloadError(
                f"{archive.url}: {kind} is {found}; expected {expected}. The file was removed; run again, and see the "
                f"corpus's homepage if that does not help."
            )
        _unpack(path, archive.name, folder)


def _digest(file, kind: str) -> str:
    """Hexadecimal digest of an open file (Python 3.10 has no `hashlib.file_digest`)."""
    digest = hashlib.new(kind)
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _unpack(path: Path, name: str, folder: Path) -> None:
    """Unpack into `folder`; members that lead out of it are refused (tar) or left out (zip)."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
