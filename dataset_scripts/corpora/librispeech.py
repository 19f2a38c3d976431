"""LibriSpeech: read English, no emotion labels (Panayotov et al., ICASSP 2015).

``SPEAKERS.TXT`` gives the sex, ``SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac`` the audio and
``SPEAKER-CHAPTER.trans.txt`` beside it, where it is there, the words. Any selection of the subsets will do.

Split: the owner's test-* is test, dev-* is validation, and of train-* the speakers whose number is a multiple of 10 are
validation: deterministic, speaker-disjoint, about a tenth.
"""

import re
from pathlib import Path

from .layout import CorpusError, audio_files, index_by_stem, locate

LAYOUT = "SPEAKERS.TXT beside train-*, dev-* or test-*, e.g. train-clean-100/103/1240/103-1240-0000.flac"
NAME = re.compile(r"(?P<speaker>\d+)-\d+-\d+")
GENDERS = {"F": "female", "M": "male"}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read LibriSpeech. Returns the corpus folder, its rows, and the files left out with reasons."""
    root = locate(root, lambda folder: (folder / "SPEAKERS.TXT").is_file() and bool(_subsets(folder)), LAYOUT)
    genders = _read_genders(root / "SPEAKERS.TXT")
    rows, rejected = [], []
    for subset in _subsets(root):
        transcripts: dict[str, str] = {}
        for table in sorted(subset.rglob("*.trans.txt")):
            lines = table.read_text(encoding="utf-8").splitlines()
            transcripts.update(line.split(" ", 1) for line in lines if " " in line)
        for stem, path in index_by_stem(audio_files(subset), subset).items():
            match = NAME.fullmatch(path.stem)
            if not match or match["speaker"] not in genders:
                reason = (
                    f"speaker {match['speaker']} is not in SPEAKERS.TXT"
                    if match
                    else f"the name {stem!r} is not one of LibriSpeech's (SPEAKER-CHAPTER-NUMBER)"
                )
                rejected.append({"file": path.relative_to(root).as_posix(), "reason": reason})
                continue
            rows.append(
                {
                    "path": path,
                    "speaker": match["speaker"],
                    "gender": genders[match["speaker"]],
                    "language": "en",
                    "transcript": transcripts.get(path.stem),
                    "split": _split(subset.name, int(match["speaker"])),
                }
            )
    return root, rows, rejected


def _subsets(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and path.name.split("-")[0] in ("train", "dev", "test")
    )


def _read_genders(path: Path) -> dict[str, str]:
    genders: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith(";"):
            continue
        fields = [field.strip() for field in line.split("|", 4)]
        if len(fields) < 3 or not fields[0].isdecimal() or fields[1] not in GENDERS:
            raise CorpusError(f"{path.name}, row {number}: {line!r}; expected 'ID | F or M | SUBSET | MINUTES | NAME'.")
        if fields[0] in genders:
            raise CorpusError(f"{path.name}, row {number}: duplicate speaker {fields[0]}.")
        genders[fields[0]] = GENDERS[fields[1]]
    return genders


def _split(subset: str, speaker: int) -> str:
    if subset.startswith("test"):
        return "test"
    return "validation" if subset.startswith("dev") or speaker % 10 == 0 else "train"
