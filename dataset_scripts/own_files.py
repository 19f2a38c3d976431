"""Find the recordings that a user's table names, inside the corpus folder and nowhere else."""

import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from .layout import AUDIO_EXTENSIONS, CorpusError, check_inside, stem_of

AUDIO_FOLDER = "wav"
TABLE_FOLDERS = ("lab", "labels")  # ComParE keeps tables in lab/, beside wav/


class FileFinder:
    """The files below a corpus folder, by the names that a table may give them.

    A name is relative to the table's folder or to a ``wav/`` folder, with or without an audio extension; another audio
    extension, case or Unicode form on disk is found as well, where just one file fits.

    Args:
        table: the table. The corpus folder is its folder, or the one above if that is called ``lab``.
    """

    def __init__(self, table: Path):
        folder = table.parent
        self.root = folder.parent if folder.name.lower() in TABLE_FOLDERS else folder
        candidates = dict.fromkeys((folder, folder / AUDIO_FOLDER, self.root, self.root / AUDIO_FOLDER))
        self.starts = [start for start in candidates if start.is_dir()]
        self._listings: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str, where: str) -> Path:
        """Return the file of that name.

        Args:
            name: as the table gives it.
            where: table and line, for the error.

        Raises:
            CorpusError: the name is absolute or leads out of the corpus folder, also by a symbolic link; or there is no
                such file, or several.
        """
        name = name.replace("\\", "/")
        errors: list[CorpusError | None] = []
        for start in self.starts:
            listed = name if name.startswith("/") else os.path.normpath(start.relative_to(self.root) / name)
            try:
                path = check_inside(self.root, listed, where)
            except CorpusError as error:
                errors.append(error)
                continue
            errors.append(None)
            if (match := self._match(path, where)) is not None:
                return check_inside(self.root, match.relative_to(self.root).as_posix(), where)
        if errors[0] is not None:
            raise errors[0]
        raise CorpusError(f"{where}: there is no such file, neither as written nor with an audio extension.")

    def _match(self, listed: Path, where: str) -> Path | None:
        """Return the one regular file that fits the name best; None if none does."""
        listing = self._listing(listed.parent)
        stem = stem_of(listed.name)
        fitting = listing.get(_folded(stem), [])
        if not fitting and listed.is_file():  # a name without an audio extension, such as a.mp4
            return listed
        closer: Sequence[Callable[[str], bool]] = (
            lambda found: found == listed.name,
            lambda found: _composed(found) == _composed(listed.name),
            lambda found: _composed(stem_of(found)) == _composed(stem),
            lambda found: True,
        )
        for fits in closer:
            chosen = [found for found in fitting if fits(found)]
            if len(chosen) > 1:
                raise CorpusError(f"{where}: {' and '.join(sorted(chosen)[:3])} fit that name; give the extension.")
            if chosen:
                return listed.parent / chosen[0]
        return None

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        """Return the audio files of a folder by their names without extension, case and Unicode form."""
        if folder not in self._listings:
            listing: dict[str, list[str]] = {}
            if folder.is_dir():
                for entry in os.scandir(folder):
                    if PurePosixPath(entry.name).suffix.lower() in AUDIO_EXTENSIONS and entry.is_file():
                        listing.setdefault(_folded(stem_of(entry.name)), []).append(entry.name)
            self._listings[folder] = listing
        return self._listings[folder]

    def unlisted(self, found: set[Path]) -> int:
        """Return how many audio files lie beside those that were found, without being among them."""
        on_disk = {
            folder / name for folder, some in self._listings.items() for names in some.values() for name in names
        }
        return len(on_disk - found)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()
