"""EMO-DB: acted German, 10 actors, 7 emotions.

The file name holds everything, ``03a01Fa.wav``: speaker 03, sentence a01, emotion F (Freude), version a.
"""

import re
from pathlib import Path

from ..corpus import Archive, Corpus, Reading
from ..layout import audio_files, locate, read_names
from ..tasks import Task, same_words

LAYOUT = "wav/ with files like 03a01Fa.wav"
NAME = re.compile(r"(?P<speaker>03|08|09|1[0-6])(?P<sentence>[ab]\d{2})(?P<emotion>[WLEAFTN])[a-z]")
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


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, _is_corpus, LAYOUT)
    folder = root / "wav" if (root / "wav").is_dir() else root
    return read_names(root, audio_files(folder), NAME, "EMO-DB's (speaker, sentence, emotion, version: 03a01Fa)", _row)


def _row(match: re.Match) -> dict:
    gender, age = SPEAKERS[match["speaker"]]
    return {
        "speaker": match["speaker"],
        "gender": gender,
        "age": age,
        "emotion": EMOTIONS[match["emotion"]],
        "transcript": SENTENCES.get(match["sentence"]),
        "split": _split(match["speaker"]),
    }


def _is_corpus(folder: Path) -> bool:
    inside = folder / "wav" if (folder / "wav").is_dir() else folder
    return any(NAME.fullmatch(path.stem) for path in inside.iterdir())


def _split(speaker: str) -> str:
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if speaker in VALIDATION_SPEAKERS else "train"


CORPUS = Corpus(
    name="emodb",
    title="EMO-DB",
    homepage="http://emodb.bilderbar.info",
    licence="CC0-1.0",
    citation="Burkhardt et al., A Database of German Emotional Speech, Interspeech 2005, "
    "https://doi.org/10.21437/Interspeech.2005-446",
    languages={"de": "German"},
    layout=LAYOUT,
    read=read,
    utterances=535,  # counted in a whole copy, as the emotions
    counts={
        "emotion": {
            **{"neutral": 79, "happy": 71, "sad": 62, "angry": 127, "fearful": 69, "disgusted": 46, "bored": 81},
        }
    },
    archives=(Archive("http://emodb.bilderbar.info/download/download.zip"),),
    tasks=(Task("emodb", "emotion", same_words("neutral happy sad angry fearful disgusted bored")),),
)
