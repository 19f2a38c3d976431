"""CREMA-D: acted English, 91 actors, 6 emotions.

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

from ..corpus import Archive, Corpus, Reading
from ..layout import CorpusError, audio_files, choice, locate, read_names, read_table, whole_years
from ..queries import canonical_emotion
from ..tasks import Task, age_task, gender_task, prompts_by_label, same_words

LAYOUT = "AudioWAV/1001_DFA_ANG_XX.wav … beside VideoDemographics.csv"
NAME = re.compile(r"(?P<actor>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX?)")
SEXES = {"Female": "female", "Male": "male"}
VOTES = {"A": "angry", "D": "disgusted", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad"}
# Each sex sorted by age and cut into eight groups, of each of which a seeded draw took one actor for test and one for
# validation (tests/dataset_scripts/test_crema_d.py draws again): as many women as men, and of all ages.
TEST_SPEAKERS = frozenset(
    map(str, (1004, 1005, 1020, 1029, 1035, 1038, 1042, 1045, 1051, 1053, 1056, 1060, 1079, 1086, 1087, 1089))
)
VALIDATION_SPEAKERS = frozenset(
    map(str, (1018, 1023, 1024, 1025, 1030, 1033, 1034, 1036, 1041, 1047, 1052, 1054, 1066, 1078, 1081, 1085))
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


def read(root: Path) -> Reading:
    """Read the file names and the tables of actors and votes."""
    root = locate(
        root,
        lambda folder: (folder / "AudioWAV").is_dir() and (folder / "VideoDemographics.csv").is_file(),
        LAYOUT,
        ["AudioWAV"],
    )
    people = _read_people(root / "VideoDemographics.csv")
    votes = _read_votes(root / "summaryTable.csv")

    def row_of(match: re.Match) -> dict | str:
        if match["actor"] not in people:
            return f"actor {match['actor']} is not in VideoDemographics.csv"
        gender, age = people[match["actor"]]
        return {
            "speaker": match["actor"],
            "gender": gender,
            "age": age,
            "emotion": canonical_emotion(match["emotion"]),
            # The table has the letter that 1040_ITH_SAD_X lacks.
            "listeners_emotion": votes.get(re.sub("_X$", "_XX", match[0])),
            "transcript": SENTENCES.get(match["sentence"]),
            "split": _split(match["actor"]),
        }

    expected = "CREMA-D's (ACTOR_SENTENCE_EMOTION_INTENSITY)"
    return read_names(root, audio_files(root / "AudioWAV"), NAME, expected, row_of)


def _read_people(table: Path) -> dict[str, tuple[str, int]]:
    """Return each actor's gender and age."""
    people: dict[str, tuple[str, int]] = {}
    for where, record in read_table(table, ("ActorID", "Age", "Sex"), latin1=True):
        if record["ActorID"] in people:
            raise CorpusError(f"{where}: duplicate ActorID {record['ActorID']}.")
        age = whole_years(record["Age"], "the Age", where)
        people[record["ActorID"]] = (choice(record["Sex"], SEXES, "Sex", where), age)
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


REPOSITORY = "CheyneyComputerScience/CREMA-D"
COUNTS = {"neutral": 1087, **dict.fromkeys(["happy", "sad", "angry", "fearful", "disgusted"], 1271)}
EMOTIONS = same_words("sad angry disgusted fearful happy neutral")
CORPUS = Corpus(
    name="crema_d",
    title="CREMA-D",
    homepage=f"https://github.com/{REPOSITORY}",
    licence="ODbL-1.0",
    citation="Cao et al., CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective "
    "Computing 2014, https://doi.org/10.1109/TAFFC.2014.2336244",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=7442,  # as in the literature
    counts={"emotion": COUNTS},
    note="1076_MTI_SAD_XX.wav has no audio in it; three recordings are there under two emotions each",
    broken=("1076_MTI_SAD_XX.wav",),
    archives=(
        Archive(
            f"https://github.com/{REPOSITORY}/archive/refs/heads/master.zip",
            members=("AudioWAV/", "VideoDemographics.csv", "summaryTable.csv"),
            objects=f"https://media.githubusercontent.com/media/{REPOSITORY}/master/",
        ),
    ),
    tasks=(
        Task(
            "crema_d",
            "emotion",
            EMOTIONS,
            split=None,
            paper_uar={"only_emo": 0.332, "rand5": 0.291, "rand1": 0.202, "no_emo": 0.201},
            paper_prompts=prompts_by_label("sad angry disgust fear happy neutral", disgust="disgusted", fear="fearful"),
            counts=COUNTS,
        ),
        Task("crema_d-test", "emotion", EMOTIONS),
        Task("crema_d-listeners", "listeners_emotion", EMOTIONS),
        gender_task("crema_d-gender"),
        age_task("crema_d-age"),
    ),
)
