"""LibriSpeech: read English, no emotion labels.

``SPEAKERS.TXT`` gives the sex, ``SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac`` the audio and
``SPEAKER-CHAPTER.trans.txt`` beside it, if it is there, the words. Any selection of the subsets is read.

Split: the owner's test-* is test, dev-* is validation, and of train-* the speakers whose number is a multiple of 10 are
validation: deterministic, speaker-disjoint, about a tenth.
"""

import re
from pathlib import Path

from ..corpus import Archive, Corpus, Reading
from ..layout import CorpusError, audio_files, index_by_stem, locate, rejection
from ..tasks import acoustic_tasks, gender_task

LAYOUT = "SPEAKERS.TXT beside train-*, dev-* or test-*, e.g. train-clean-100/103/1240/103-1240-0000.flac"
NAME = re.compile(r"(?P<speaker>\d+)-\d+-\d+")
GENDERS = {"F": "female", "M": "male"}


def read(root: Path) -> Reading:
    """Read the file names, ``SPEAKERS.TXT`` and the transcripts."""
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
                rejected.append(rejection(path, root, reason))
                continue
            rows.append(
                {
                    "path": path,
                    "speaker": match["speaker"],
                    "gender": genders[match["speaker"]],
                    "transcript": transcripts.get(path.stem),
                    "split": _split(subset.name, int(match["speaker"])),
                }
            )
    return Reading(root, rows, rejected)


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


# torchaudio's, in torchaudio/datasets/librispeech.py
CHECKSUMS = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
}
CORPUS = Corpus(
    name="librispeech",
    title="LibriSpeech",
    homepage="https://www.openslr.org/12",
    licence="CC-BY-4.0",
    citation="Panayotov et al., LibriSpeech: An ASR Corpus Based on Public Domain Audio Books, ICASSP 2015, "
    "https://doi.org/10.1109/ICASSP.2015.7178964",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    note="any selection of the subsets can be used",
    archives=tuple(
        Archive(f"https://www.openslr.org/resources/12/{subset}.tar.gz", f"sha256:{checksum}")
        for subset, checksum in CHECKSUMS.items()
    ),
    tasks=(gender_task("librispeech-gender"), *acoustic_tasks("librispeech")),
    hub_dataset="openslr/librispeech_asr",
)
