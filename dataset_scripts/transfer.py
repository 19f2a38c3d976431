"""Resumable downloads for `datasets`' download manager.

The manager caches and locks files, but restarts an interrupted download from the beginning. The transfer itself is
therefore an fsspec file system that the manager calls: received bytes stay in a ``.part`` file, and the rest is
requested with a Range header, in the same run or the next.
"""

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.callbacks import Callback

if TYPE_CHECKING:
    from datasets import DownloadManager

BLOCK = 1 << 20  # bytes
ATTEMPTS = 5  # consecutive attempts without a new byte
PAUSE = 2.0  # seconds between attempts
TIMEOUT = 60.0  # seconds without a byte
PREFIX = "resume-"


class DownloadError(RuntimeError):
    """Raised for a file that could not be downloaded or has the wrong checksum."""


class ResumingFileSystem(fsspec.AbstractFileSystem):
    """An http(s) file system whose `get_file` resumes; its URLs are ``resume-https://…``."""

    protocol = (f"{PREFIX}http", f"{PREFIX}https")
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(PREFIX)

    def info(self, path: str, **kwargs) -> dict[str, Any]:
        """Return size and ETag for the download manager, if the server sends them."""
        found = {"name": path, "type": "file"}
        try:
            with _open(urllib.request.Request(self._strip_protocol(path), method="HEAD")) as answer:
                if length := answer.headers.get("Content-Length"):
                    found["size"] = int(length)
                found["ETag"] = answer.headers.get("ETag")
        except urllib.error.HTTPError as error:
            error.close()  # signed URLs often allow only GET, which will report a missing file
        return found

    def get_file(self, rpath: str, lpath: str, callback: Callback | None = None, **kwargs) -> None:
        """Download a file; a broken connection is resumed, up to `ATTEMPTS` times without progress."""
        url, part = self._strip_protocol(rpath), Path(f"{lpath}.part")
        failures = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                if _fetch(url, part, before, callback):
                    break
                problem = "the connection was closed"
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
                    raise DownloadError(f"{url}: {error}; see the corpus's homepage.") from error
                problem = str(error)
            failures = 0 if part.exists() and part.stat().st_size > before else failures + 1
            if failures == ATTEMPTS:
                raise DownloadError(f"{url}: {problem}, {ATTEMPTS} times. Run again later to resume the download.")
            time.sleep(PAUSE)
        part.replace(lpath)


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def _fetch(url: str, part: Path, start: int, callback: Callback | None) -> bool:
    """Append what the server sends from byte `start` on; return whether the file is then complete."""
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


def manager_of(folder: Path) -> "DownloadManager":
    """Return the download manager of `datasets`, with our transfer, whose cache is `folder`."""
    from datasets import DownloadConfig, DownloadManager

    for scheme in ResumingFileSystem.protocol:
        fsspec.register_implementation(scheme, ResumingFileSystem, clobber=True)
    config = DownloadConfig(cache_dir=str(folder), use_etag=False)
    return DownloadManager(dataset_name="paraclap", download_config=config)
