"""CREMA-D: acted English, 91 actors, 6 emotions (Cao et al., IEEE TAC 2014).

All but the person is in the file name, ``1001_DFA_ANG_XX.wav``: actor, sentence, emotion, intensity (LO, MD, HI, XX);
``VideoDemographics.csv`` has the actor's age and sex. One file of the owner's, 1076_MTI_SAD_XX.wav, has no audio in
it: it counts here, and is left out where audio is read. Every row is `test`.
"""

import re
from pathlib import Path

from ..queries import canonical_emotion
from .layout import CorpusError, audio_files, choice, index_by_stem, locate, read_table

LAYOUT = "AudioWAV/1001_DFA_ANG_XX.wav … beside VideoDemographics.csv"
NAME = re.compile(r"(?P<actor>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX?)")
SEXES = {"Female": "female", "Male": "male"}
SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read CREMA-D. Returns the corpus folder, its rows, and the files left out with reasons."""
    root = locate(
        root,
        lambda folder: (folder / "AudioWAV").is_dir() and (folder / "VideoDemographics.csv").is_file(),
        LAYOUT,
        ["AudioWAV"],
    )
    people = {}
    for where, record in read_table(root / "VideoDemographics.csv", ("ActorID", "Age", "Sex"), latin1=True):
        if record["ActorID"] in people:
            raise CorpusError(f"{where}: duplicate ActorID {record['ActorID']}.")
        if not record["Age"].isdecimal():
            raise CorpusError(f"{where}: the Age is {record['Age']!r}; expected a whole number of years.")
        people[record["ActorID"]] = (choice(record["Sex"], SEXES, "Sex", where), int(record["Age"]))
    rows, rejected = [], []
    for stem, path in index_by_stem(audio_files(root / "AudioWAV"), root / "AudioWAV").items():
        match = NAME.fullmatch(path.stem)
        if not match or match["actor"] not in people:
            reason = (
                f"actor {match['actor']} is not in VideoDemographics.csv"
                if match
                else f"the name {stem!r} is not one of CREMA-D's (ACTOR_SENTENCE_EMOTION_INTENSITY)"
            )
            rejected.append({"file": path.relative_to(root).as_posix(), "reason": reason})
            continue
        gender, age = people[match["actor"]]
        rows.append(
            {
                "path": path,
                "speaker": match["actor"],
                "gender": gender,
                "age": age,
                "language": "en",
                "emotion": canonical_emotion(match["emotion"]),
                "transcript": SENTENCES.get(match["sentence"]),
                "split": "test",
            }
        )
    return root, rows, rejected
