"""Downloads of the corpora whose licence and owner allow it, from their owners, with `datasets`' download manager.

Nothing is unpacked or kept whose checksum is another than the owner's. Where an owner publishes none, the sha256 of the
first download is written to ``.checksums`` in the corpus folder, and later downloads must have the same.
"""

import json
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .layout import check_inside
from .transfer import PREFIX, DownloadError, digest, manager_of

CACHE = ".downloads"  # in the corpus folder: what was fetched
CHECKSUMS = ".checksums"  # in the corpus folder, in the format of sha256sum
POINTER = b"version https://git-lfs.github.com/spec/v1\n"  # what git has of a file that git-lfs keeps


@dataclass(frozen=True)
class Archive:
    """One archive of a corpus.

    Attributes:
        url: http or https.
        checksum: ``md5:…`` or ``sha256:…`` of the file, as the owner (or torchaudio, for LibriSpeech) gives it; empty
            where there is none.
        members: what is unpacked, names or beginnings of names below the archive's one folder; empty unpacks all.
        objects: of a git repository whose archive has pointers in place of large files: the URL below which they are.
            A pointer has its file's sha256.
    """

    url: str
    checksum: str = ""
    members: tuple[str, ...] = ()
    objects: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Dataverse:
    """A data set of a Dataverse server, which lists its files with their checksums.

    Attributes:
        server: its URL.
        identifier: the data set's persistent one.
        name: how `--archives` calls it.
    """

    server: str
    identifier: str
    name: str = "all"

    @property
    def listing(self) -> str:
        """URL of the list of files of the newest version."""
        return f"{self.server}/api/datasets/:persistentId/versions/:latest/files?persistentId={self.identifier}"

    def url(self, number: int) -> str:
        """URL of a file."""
        return f"{self.server}/api/access/datafile/{number}"


# torchaudio's, in torchaudio/datasets/librispeech.py
_LIBRISPEECH = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
}
_CREMA_D = "CheyneyComputerScience/CREMA-D"
ARCHIVES: dict[str, tuple[Archive | Dataverse, ...]] = {
    # Zenodo lists the MD5 on the record's page
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
    "emodb": (Archive("http://emodb.bilderbar.info/download/download.zip"),),
    # The commit that brought data.tsv and samples/
    "nemo": (Archive("https://github.com/amu-cai/nEMO/archive/06f1f83dde8f1a780443a57d53b2af3971af34ab.zip"),),
    "crema_d": (
        Archive(
            f"https://github.com/{_CREMA_D}/archive/refs/heads/master.zip",
            members=("AudioWAV/", "VideoDemographics.csv", "summaryTable.csv"),
            objects=f"https://media.githubusercontent.com/media/{_CREMA_D}/master/",
        ),
    ),
    "tess": (Dataverse("https://borealisdata.ca", "doi:10.5683/SP2/E8H2MF"),),
}


def download(archives: Sequence[Archive | Dataverse], folder: Path) -> list[str]:
    """Fetch, check and unpack.

    Args:
        archives: what to fetch.
        folder: where it is unpacked; ``folder/.downloads`` keeps archives, so that none is fetched twice.

    Returns:
        What the user should know: which checksums are not the owner's.

    Raises:
        DownloadError: the server does not give a file, or its checksum is another than expected.
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
    found = digest(path, kind)
    if found != expected:
        path.unlink()
        raise DownloadError(
            f"{url}: {kind} is {found}; expected {expected}. The file was removed; run again, and see the corpus's "
            f"homepage if that does not help."
        )


def _check_or_remember(path: Path, archive: Archive, record: Path) -> str:
    """Compare with the first download, or write it down as that; returns what to tell the user."""
    found = digest(path, "sha256")
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    known = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    if archive.url not in known:
        record.write_text("\n".join([*lines, f"{found}  {archive.url}"]) + "\n", encoding="utf-8")
        return (
            f"The owner publishes no checksum of {archive.name}. That of this first download, sha256 {found}, is now "
            f"in {record} and later ones must have it; `verify` compares the content with the owner's counts."
        )
    if found != known[archive.url]:
        path.unlink()
        raise DownloadError(
            f"{archive.url}: sha256 is {found}; the first download had {known[archive.url]} (in {record}). The file "
            f"was removed. If the owner has a new version, take that line out of {record.name} and run again."
        )
    return f"{archive.name} is the same as in the first download; the owner publishes no checksum of it."


def _fetch_dataverse(manager, dataset: Dataverse, folder: Path) -> None:
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
    """A Dataverse's checksum (MD5, SHA-1, SHA-256 ...) as we write them."""
    return f"{type.lower().replace('-', '')}:{value}"


def _fetch_files(manager, files: Sequence[tuple[str, str, str]], folder: Path) -> None:
    """Fetch files (URL, checksum, name below `folder`) that are not there yet, and put them in their places."""
    missing = []
    for url, checksum, name in files:
        target = check_inside(folder, name, url)
        if not (target.is_file() and digest(target, checksum.partition(":")[0]) == checksum.partition(":")[2]):
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
