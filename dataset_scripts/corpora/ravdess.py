"""RAVDESS, the speech part: acted English, 24 actors, 8 emotions (Livingstone and Russo, PLOS ONE 2018).

All is in the file name, ``03-01-06-01-02-01-12.wav``: modality, vocal channel, emotion, intensity, statement,
repetition, actor. Every row is `test`: the corpus is for evaluation and is never trained on.
"""

import re
from pathlib import Path

from .layout import audio_files, index_by_stem, locate

LAYOUT = "Actor_01 … Actor_24, or Audio_Speech_Actors_01-24 with them inside, files like 03-01-06-01-02-01-12.wav"
INNER = "Audio_Speech_Actors_01-24"
# 03: audio only; 01: speech
NAME = re.compile(r"03-01-(?P<emotion>0[1-8])-\d{2}-(?P<statement>0[12])-\d{2}-(?P<actor>0[1-9]|1\d|2[0-4])")
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read RAVDESS. Returns the corpus folder, its rows, and the files left out with reasons."""
    root = locate(root, lambda folder: _actors(folder) or _actors(folder / INNER), LAYOUT)
    # Some copies hold the actors twice, at the root and in the inner folder: the root goes first.
    rows, rejected = [], []
    for actor in _actors(root) or _actors(root / INNER):
        for stem, path in index_by_stem(audio_files(actor), actor).items():
            match = NAME.fullmatch(path.stem)
            if not match:
                reason = f"the name {stem!r} is not one of RAVDESS's speech files (03-01-EMOTION-…-ACTOR)"
                rejected.append({"file": path.relative_to(root).as_posix(), "reason": reason})
                continue
            rows.append(
                {
                    "path": path,
                    "speaker": match["actor"],
                    "gender": "male" if int(match["actor"]) % 2 else "female",
                    "language": "en",
                    "emotion": EMOTIONS[match["emotion"]],
                    "transcript": STATEMENTS[match["statement"]],
                    "split": "test",
                }
            )
    return root, rows, rejected


def _actors(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("Actor_*") if path.is_dir())
