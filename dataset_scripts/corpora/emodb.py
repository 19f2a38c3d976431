"""EMO-DB: acted German, 10 actors, 7 emotions (Burkhardt et al., Interspeech 2005).

All is in the file name, ``03a01Fa.wav``: speaker 03, sentence a01, emotion F (Freude), version a.
"""

import re
from pathlib import Path

from .layout import audio_files, index_by_stem, locate

LAYOUT = "wav/ with files like 03a01Fa.wav"
NAME = re.compile(r"(?P<speaker>\d{2})(?P<sentence>[ab]\d{2})(?P<emotion>[WLEAFTN])[a-z]")
EMOTIONS = {
    "W": "angry",  # Wut
    "L": "bored",  # Langeweile
    "E": "disgusted",  # Ekel
    "A": "fearful",  # Angst
    "F": "happy",  # Freude
    "T": "sad",  # Trauer
    "N": "neutral",
}
SPEAKERS = {  # gender and age, from the owner's page
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
TEST_SPEAKERS = {"15", "16"}
VALIDATION_SPEAKERS = {"12", "14"}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read EMO-DB. Returns the corpus folder, its rows, and the files left out with reasons."""
    root = locate(root, _is_corpus, LAYOUT)
    folder = root / "wav" if (root / "wav").is_dir() else root
    rows, rejected = [], []
    for stem, path in index_by_stem(audio_files(folder), folder).items():
        match = NAME.fullmatch(path.stem)
        if not match or match["speaker"] not in SPEAKERS:
            reason = f"the name {stem!r} is not one of EMO-DB's (speaker, sentence, emotion, version: 03a01Fa)"
            rejected.append({"file": path.relative_to(root).as_posix(), "reason": reason})
            continue
        speaker = match["speaker"]
        gender, age = SPEAKERS[speaker]
        rows.append(
            {
                "path": path,
                "speaker": speaker,
                "gender": gender,
                "age": age,
                "language": "de",
                "emotion": EMOTIONS[match["emotion"]],
                "transcript": SENTENCES.get(match["sentence"]),
                "split": _split(speaker),
            }
        )
    return root, rows, rejected


def _is_corpus(folder: Path) -> bool:
    inside = folder / "wav" if (folder / "wav").is_dir() else folder
    return any(NAME.fullmatch(path.stem) for path in inside.iterdir())


def _split(speaker: str) -> str:
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if speaker in VALIDATION_SPEAKERS else "train"
