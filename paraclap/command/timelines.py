"""The files of a timeline: CSV, picture, and labels for other programs."""

from collections.abc import Sequence
from pathlib import Path

from .annotations import WRITERS
from .errors import CommandError
from .recordings import Recording
from .tables import write_table
from .timeline import Timeline


def stems_of(recordings: Sequence[Recording], folder: Path) -> list[Path]:
    """Return the path, without extension, of each recording's output files.

    Args:
        recordings: The recordings; files are named after them, with the recording's extension only if two names would
            be the same without it.
        folder: Output folder; created if missing.

    Raises:
        CommandError: If two recordings would still write the same files, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"The folder {str(folder)!r} cannot be created: {error.strerror}.") from error
    paths = [Path(recording.shown) for recording in recordings]
    stems = [path.stem for path in paths]
    names = [path.name if stems.count(path.stem) > 1 else path.stem for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CommandError(
            f"Two recordings are named {twice[0]!r}: process them one by one, each with its own --output_dir."
        )
    return [folder / name for name in names]


def write_timeline(timeline: Timeline, stem: Path, form: str | None) -> list[Path]:
    """Write the files of one timeline and return their paths.

    Args:
        timeline: The scores.
        stem: Path of the files without their extensions.
        form: Format of labels for other programs, one of `WRITERS`; None for none.
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
