"""nEMO: acted Polish, 9 actors, 6 emotions (Christop, LREC-COLING 2024).

``data.tsv`` lists every file, ``samples/`` holds them; the table says .wav whatever the container on disk.
"""

from pathlib import Path

from ..queries import canonical_emotion
from .layout import CorpusError, Listing, locate, read_table

LAYOUT = "data.tsv beside samples/, e.g. samples/WR0_surprised_64.wav"
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")
TEST_SPEAKERS = {"KD0", "WR0"}
VALIDATION_SPEAKERS = {"MK0", "MP0"}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read nEMO. Returns the corpus folder, its rows, and the rows left out with reasons."""
    root = locate(
        root, lambda folder: (folder / "data.tsv").is_file() and (folder / "samples").is_dir(), LAYOUT, ["samples"]
    )
    listing = Listing(root, root / "samples", "data.tsv")
    rows = []
    for where, record in read_table(root / "data.tsv", COLUMNS, delimiter="\t"):
        path = listing.find(record["file_id"], where)
        if path is None:
            continue
        rows.append(
            {
                "path": path,
                "speaker": record["speaker_id"],
                "gender": record["gender"],
                "age": _age(record["age"], where),
                "language": "pl",
                "emotion": canonical_emotion(record["emotion"], where),
                "transcript": record["raw_text"],
                "split": _split(record["speaker_id"]),
            }
        )
    return root, rows, listing.rejected()


def _age(text: str, where: str) -> int:
    if not text.isdecimal():
        raise CorpusError(f"{where}: the age is {text!r}; expected a whole number of years.")
    return int(text)


def _split(speaker: str) -> str:
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if speaker in VALIDATION_SPEAKERS else "train"
