"""The files of a timeline: a CSV, a picture, and labels for other programs."""

from collections.abc import Sequence
from pathlib import Path

from .annotations import WRITERS
from .errors import CommandError
from .recordings import Recording
from .tables import write_table
from .timeline import Timeline


def stems_of(recordings: Sequence[Recording], folder: Path) -> list[Path]:
    """Return for each recording the path of its files without their extensions.

    Args:
        recordings: Whose names are taken, without the extension; with it where two would have the same.
        folder: Where the files go; made if missing.

    Raises:
        CommandError: If two recordings would still write the same files, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"The folder {str(folder)!r} cannot be made: {error.strerror}.") from error
    paths = [Path(recording.shown) for recording in recordings]
    stems = [path.stem for path in paths]
    names = [path.name if stems.count(path.stem) > 1 else path.stem for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CommandError(f"Two recordings are called {twice[0]!r}: give them one by one, with another --output_dir.")
    return [folder / name for name in names]


def write_timeline(timeline: Timeline, stem: Path, form: str | None) -> list[Path]:
    """Write the files of one timeline and return their paths.

    Args:
        timeline: The scores.
        stem: Path of the files without their extensions.
        form: Of the labels for other programs, one of `WRITERS`; None writes none.
    """
    from .heat_map import draw_timeline

    files = [stem.with_name(f"{stem.name}.timeline.csv"), stem.with_name(f"{stem.name}.timeline.png")]
    write_table(list(timeline.rows()), files[0])
    draw_timeline(timeline, files[1])
    if form is not None:
        extension, write = WRITERS[form]
        files.append(stem.with_name(stem.name + extension))
        files[-1].write_text(write(timeline), encoding="utf-8")
    return files
