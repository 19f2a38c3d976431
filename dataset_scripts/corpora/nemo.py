"""nEMO: acted Polish, 9 actors, 6 emotions (Christop, LREC-COLING 2024).

``data.tsv`` lists every file, ``samples/`` holds them; the table says .wav whatever the container on disk.
"""

from pathlib import Path

from ..queries import canonical_emotion
from .layout import CorpusError, audio_files, check_inside, index_by_stem, locate, read_table, stem_of

LAYOUT = "data.tsv beside samples/, e.g. samples/WR0_surprised_64.wav"
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")
TEST_SPEAKERS = {"KD0", "WR0"}
VALIDATION_SPEAKERS = {"MK0", "MP0"}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read nEMO. Returns the corpus folder, its rows, and the rows left out with reasons."""
    root = locate(
        root, lambda folder: (folder / "data.tsv").is_file() and (folder / "samples").is_dir(), LAYOUT, ["samples"]
    )
    samples = root / "samples"
    on_disk = index_by_stem(audio_files(samples), samples)
    rows, rejected, seen = [], [], {}
    for where, record in read_table(root / "data.tsv", COLUMNS, delimiter="\t"):
        listed = check_inside(root, f"samples/{record['file_id']}" if record["file_id"] else "", where)
        check_inside(root, record["file_id"], where)
        stem = stem_of(record["file_id"])
        if stem in seen:
            raise CorpusError(f"{where}: duplicate file_id {record['file_id']!r}, first in {seen[stem]}.")
        seen[stem] = where
        path = on_disk.get(stem)
        if path is None:
            reason = f"listed in {where}, but samples/ has no audio file of that name"
            rejected.append({"file": listed.relative_to(root).as_posix(), "reason": reason})
            continue
        check_inside(root, path.relative_to(root).as_posix(), where)
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
    for stem, path in on_disk.items():
        if stem not in seen:
            rejected.append({"file": path.relative_to(root).as_posix(), "reason": "not listed in data.tsv"})
    return root, rows, rejected


def _age(text: str, where: str) -> int:
    if not text.isdecimal():
        raise CorpusError(f"{where}: the age is {text!r}; expected a whole number of years.")
    return int(text)


def _split(speaker: str) -> str:
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if speaker in VALIDATION_SPEAKERS else "train"
