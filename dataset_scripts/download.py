"""Downloads of the corpora whose licence and owner allow it, from their owners, with `datasets`' download manager.

Nothing is unpacked or kept whose checksum is another than the owner's. Where an owner publishes none, the sha256 of the
first download is written to ``.checksums`` in the corpus folder, and later downloads must have the same.
"""

import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .corpus import Archive, Dataverse
from .hashing import file_digest
from .layout import check_inside
from .transfer import PREFIX, DownloadError, manager_of

CACHE = ".downloads"  # in the corpus folder: what was fetched
CHECKSUMS = ".checksums"  # in the corpus folder, in the format of sha256sum
POINTER = b"version https://git-lfs.github.com/spec/v1\n"  # what git has of a file that git-lfs keeps


def download(archives: Sequence[Archive | Dataverse], folder: Path) -> list[str]:
    """Fetch, check and unpack.

    Args:
        archives: what to fetch.
        folder: where it is unpacked; ``folder/.downloads`` keeps archives, so that none is fetched twice.

    Returns:
        What the user should know: which checksums are not the owner's.

    Raises:
        DownloadError: If the server does not give a file, or its checksum is another than expected.
    """
    folder = Path(folder)
    manager = manager_of(folder / CACHE)
    notes = []
    for archive in archives:
        if isinstance(archive, Dataverse):
            _fetch_dataverse(manager, archive, folder)
            continue
        path = Path(manager.download(PREFIX + archive.url))
        if archive.checksum:
            _check(path, archive.url, archive.checksum)
        else:
            notes.append(_check_or_remember(path, archive, folder / CHECKSUMS))
        pointers = _unpack(path, archive, folder)
        _fetch_files(manager, [(archive.objects + name, sha256, name) for name, sha256 in pointers.items()], folder)
    return notes


def _check(path: Path, url: str, checksum: str) -> None:
    kind, _, expected = checksum.partition(":")
    found = file_digest(path, kind)
    if found != expected:
        path.unlink()
        raise DownloadError(
            f"{url}: {kind} is {found}; expected {expected}. The file was removed. Run again; if that does not help, "
            "see the corpus's homepage."
        )


def _check_or_remember(path: Path, archive: Archive, record: Path) -> str:
    """Compare a file with its first download, or record it as the first; return a message for the user."""
    found = file_digest(path)
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    known = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    if archive.url not in known:
        record.write_text("\n".join([*lines, f"{found}  {archive.url}"]) + "\n", encoding="utf-8")
        return (
            f"The owner publishes no checksum of {archive.name}. The sha256 of this first download, {found}, was "
            f"recorded in {record}, and later downloads must match it; `verify` checks the content against the owner's "
            "counts."
        )
    if found != known[archive.url]:
        path.unlink()
        raise DownloadError(
            f"{archive.url}: sha256 is {found}; the first download had {known[archive.url]} (in {record}). The file "
            f"was removed. If the owner has published a new version, delete that line of {record.name} and run again."
        )
    return f"{archive.name} matches its first download; the owner publishes no checksum."


def _fetch_dataverse(manager: Any, dataset: Dataverse, folder: Path) -> None:
    """Fetch the files of a data set, each by its checksum; archives among them are unpacked."""
    path = Path(manager.download(PREFIX + dataset.listing))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = [
            (
                dataset.url(int(entry["dataFile"]["id"])),
                _checksum(**entry["dataFile"]["checksum"]),
                str(PurePosixPath(entry.get("directoryLabel", ""), entry["label"])),
            )
            for entry in content["data"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{dataset.listing} is not a list of files with checksums ({error!r}).") from error
    finally:
        path.unlink()  # the next run asks anew: a newer version has other files
    _fetch_files(manager, files, folder)
    for _, _, name in files:
        if name.endswith((".zip", ".tar.gz")):
            _unpack(folder / name, Archive(name), folder)


def _checksum(type: str, value: str) -> str:
    """Convert a Dataverse's checksum (MD5, SHA-1, SHA-256 ...) to our notation."""
    return f"{type.lower().replace('-', '')}:{value}"


def _fetch_files(manager: Any, files: Sequence[tuple[str, str, str]], folder: Path) -> None:
    """Fetch files (URL, checksum, name below `folder`) that are not there yet, and put them in their places."""
    missing = []
    for url, checksum, name in files:
        target = check_inside(folder, name, url)
        if not (target.is_file() and file_digest(target, checksum.partition(":")[0]) == checksum.partition(":")[2]):
            missing.append((url, checksum, target))
    if not missing:
        return
    paths = manager.download([PREFIX + url for url, _, _ in missing])  # many small files at a time
    for (url, checksum, target), path in zip(missing, paths, strict=True):
        _check(Path(path), url, checksum)
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(path).replace(target)


def _unpack(path: Path, archive: Archive, folder: Path) -> dict[str, str]:
    """Unpack into `folder`; members that lead out of it are refused (tar) or left out (zip).

    Returns:
        Where the archive has pointers: the file's name below `folder` -> its ``sha256:…``.
    """
    if not archive.name.endswith(".zip"):
        with tarfile.open(path) as content:
            content.extractall(folder, filter="data")
        return {}
    pointers = {}
    with zipfile.ZipFile(path) as content:
        if not archive.members:
            content.extractall(folder)
            return {}
        for member in content.infolist():
            name = member.filename.partition("/")[2]
            if member.is_dir() or not name.startswith(archive.members):
                continue
            data = content.read(member)
            if archive.objects and data.startswith(POINTER):
                fields = dict(line.split(" ", 1) for line in data.decode("ascii").splitlines())
                pointers[name] = fields["oid"]
                continue
            target = check_inside(folder, name, archive.url)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return pointers
