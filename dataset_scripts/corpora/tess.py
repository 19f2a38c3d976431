"""TESS: acted English, 2 actresses of 26 and 64 years, 7 emotions (Pichora-Fuller and Dupuis, 2020).

All is in the file name, ``OAF_back_angry.wav``: who (older or younger adult female), word, emotion; the folders'
spelling is uneven (``OAF_Pleasant_surprise``, ``YAF_pleasant_surprised``) and says nothing more; some copies have none.
Of the owner's files two are AIFF named .wav, one is at 96 kHz and one lacks a letter (``OA_bite_neutral.wav``).
Every row is `test`.
"""

import re
from pathlib import Path

from ..queries import canonical_emotion
from .layout import CorpusError, audio_files, locate

LAYOUT = "OAF_angry/OAF_back_angry.wav …, 14 such folders, or all files in one"
NAME = re.compile(r"(?P<who>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)", re.I)
FOLDER = re.compile(r"(OAF|YAF)_.+", re.I)
AGES = {"OAF": 64, "YAF": 26}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read TESS. Returns the corpus folder, its rows, and the files left out with reasons."""
    root = locate(root, lambda folder: bool(_files(folder)), LAYOUT)
    rows, rejected, seen = [], [], {}
    for path in _files(root):
        match = NAME.fullmatch(path.stem)
        if not match:
            reason = f"the name {path.stem!r} is not one of TESS's (OAF or YAF, WORD, EMOTION)"
            rejected.append({"file": path.relative_to(root).as_posix(), "reason": reason})
            continue
        if (first := seen.setdefault(path.stem.lower(), path)) != path:
            raise CorpusError(f"Duplicate utterance: {first} and {path} have the same id; remove one of them.")
        who = "OAF" if match["who"][0].upper() == "O" else "YAF"
        rows.append(
            {
                "path": path,
                "speaker": who,
                "gender": "female",
                "age": AGES[who],
                "language": "en",
                "emotion": canonical_emotion(match["emotion"]),
                "transcript": f"Say the word {match['word'].lower()}.",
                "split": "test",
            }
        )
    return root, rows, rejected


def _files(folder: Path) -> list[Path]:
    """The audio in the folders OAF_* and YAF_*, and what of TESS lies beside them; not that of a copy further in."""
    here = [path for path in audio_files(folder) if path.parent == folder and NAME.fullmatch(path.stem)]
    inside = [path for path in folder.iterdir() if path.is_dir() and FOLDER.fullmatch(path.name)]
    return here + [path for sub in sorted(inside) for path in audio_files(sub)]
