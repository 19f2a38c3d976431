"""CREMA-D: acted English, 91 actors, 6 emotions (Cao et al., IEEE TAC 2014).

The file name holds all but the person, ``1001_DFA_ANG_XX.wav``: actor, sentence, emotion, intensity (LO, MD, HI, XX).
``VideoDemographics.csv`` has the actor's age and sex, ``summaryTable.csv`` (optional) what most listeners of the voice
alone heard (VoiceVote). Agreement with the intended emotion is low: 3,099 of 7,442.

Quirks of the owner's release: 1076_MTI_SAD_XX.wav holds no audio (it counts here, and is rejected where audio is read),
1040_ITH_SAD_X.wav lacks a letter, and three recordings are there under two emotions each (a build rejects them, see
`dataset_scripts.duplicates`).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ..queries import canonical_emotion
from .layout import CorpusError, audio_files, choice, index_by_stem, locate, read_table

LAYOUT = "AudioWAV/1001_DFA_ANG_XX.wav … beside VideoDemographics.csv"
NAME = re.compile(r"(?P<actor>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX?)")
SEXES = {"Female": "female", "Male": "male"}
VOTES = {"A": "angry", "D": "disgusted", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad"}
# Each sex sorted by age and cut into eight groups, of each of which a seeded draw took one actor for test and one for
# validation (tests/dataset_scripts/test_crema_d.py draws again): as many women as men, and of all ages.
TEST_SPEAKERS = frozenset("1004 1005 1020 1029 1035 1038 1042 1045 1051 1053 1056 1060 1079 1086 1087 1089".split())
VALIDATION_SPEAKERS = frozenset(
    "1018 1023 1024 1025 1030 1033 1034 1036 1041 1047 1052 1054 1066 1078 1081 1085".split()
)
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
    people = _read_people(root / "VideoDemographics.csv")
    votes = _read_votes(root / "summaryTable.csv")
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
                "listeners_emotion": votes.get(path.stem),
                "transcript": SENTENCES.get(match["sentence"]),
                "split": _split(match["actor"]),
            }
        )
    return root, rows, rejected


def _read_people(table: Path) -> dict[str, tuple[str, int]]:
    """Return each actor's gender and age."""
    people: dict[str, tuple[str, int]] = {}
    for where, record in read_table(table, ("ActorID", "Age", "Sex"), latin1=True):
        if record["ActorID"] in people:
            raise CorpusError(f"{where}: duplicate ActorID {record['ActorID']}.")
        if not record["Age"].isdecimal():
            raise CorpusError(f"{where}: the Age is {record['Age']!r}; expected a whole number of years.")
        people[record["ActorID"]] = (choice(record["Sex"], SEXES, "Sex", where), int(record["Age"]))
    return people


def _read_votes(table: Path) -> Mapping[str, str]:
    """Return the emotion that most listeners heard in each file; ties are joined by a colon ("neutral:sad").

    Older copies of the corpus lack the table; there are no votes then.
    """
    if not table.is_file():
        return {}
    return {
        record["FileName"]: ":".join(
            choice(letter, VOTES, "VoiceVote", where) for letter in record["VoiceVote"].split(":")
        )
        for where, record in read_table(table, ("FileName", "VoiceVote"), latin1=True)
    }


def _split(actor: str) -> str:
    if actor in TEST_SPEAKERS:
        return "test"
    return "validation" if actor in VALIDATION_SPEAKERS else "train"
