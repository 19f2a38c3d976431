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
        self._folders: dict[str, _Folder] = {}

    def find(self, name: str, where: str) -> Path:
        """Return the file of that name.

        Args:
            name: as the table gives it.
            where: table and line, for the error.

        Raises:
            CorpusError: If the name is absolute or leads out of the corpus folder, also by a symbolic link, or if no
                file or several have it.
        """
        name = name.replace("\\", "/")
        errors: list[CorpusError | None] = []
        for start in self.starts:
            listed = name if name.startswith("/") else os.path.normpath(start.relative_to(self.root) / name)
            try:
                folder = self._folder(listed, where)
                errors.append(None)
            except CorpusError as error:
                errors.append(error)
                continue
            if found := folder.best(os.path.basename(listed), where):
                path = folder.path / found
                return (
                    check_inside(self.root, path.relative_to(self.root).as_posix(), where)
                    if path.is_symlink()
                    else path
                )
        if errors[0] is not None:
            raise errors[0]
        raise CorpusError(f"{where}: no such file, neither as written nor with an audio extension.")

    def _folder(self, listed: str, where: str) -> "_Folder":
        """Return the folder of a file; each is checked and listed once.

        Raises:
            CorpusError: If it is not in the corpus folder.
        """
        folder = os.path.dirname(listed) or "."
        if folder not in self._folders:
            check_inside(self.root, listed, where)
            self._folders[folder] = _Folder(check_inside(self.root, folder, where))
        return self._folders[folder]

    def unlisted(self, found: set[Path]) -> int:
        """Return the number of audio files in the same folders that the table does not list."""
        on_disk = {folder.path / name for folder in self._folders.values() for name in folder.audio}
        return len(on_disk - found)


class _Folder:
    """The files of one folder."""

    def __init__(self, path: Path):
        self.path = path
        self.names = {entry.name for entry in os.scandir(path) if entry.is_file()} if path.is_dir() else set()
        self.audio = [name for name in self.names if PurePosixPath(name).suffix.lower() in AUDIO_EXTENSIONS]
        self._by_stem: dict[str, list[str]] = {}
        for name in self.audio:
            self._by_stem.setdefault(_folded(stem_of(name)), []).append(name)

    def best(self, name: str, where: str) -> str | None:
        """Return the one file that fits a name best; None if none does.

        Raises:
            CorpusError: If several fit equally well.
        """
        if name in self.names:
            return name
        stem = stem_of(name)
        fitting = self._by_stem.get(_folded(stem), [])
        closer: Sequence[Callable[[str], bool]] = (
            lambda found: _composed(found) == _composed(name),
            lambda found: _composed(stem_of(found)) == _composed(stem),
            lambda found: True,
        )
        for fits in closer:
            chosen = [found for found in fitting if fits(found)]
            if len(chosen) > 1:
                raise CorpusError(f"{where}: {' and '.join(sorted(chosen)[:3])} fit that name; give the extension.")
            if chosen:
                return chosen[0]
        return None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()
