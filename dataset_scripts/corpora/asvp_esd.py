"""ASVP-ESD: emotional speech and other sounds of people, from films, television and the web, in several languages.

The file name holds everything, ``03-01-06-01-02-12-02-01-01-16.wav``: modality, vocal channel (01 speech, 02 not),
emotion, intensity, statement, actor (odd numbers are women, even ones men: not as in RAVDESS), age, source, language
and likeness with other sounds. Older files lack the last fields, actor 0 is nobody's number, 66 at the end tells of
several voices (left out), 77 of noise. The babies' sounds in ``Bonus/`` are not read.

`emotion` has what ``emotions.csv`` knows, `speech_emotion` the same of speech alone and `sound_emotion` all thirteen of
the owner's classes for the other sounds.

Source: the owner's description on Zenodo (https://zenodo.org/records/7132783), as public code that loads it quotes it.
"""

import re
from pathlib import Path

from ..corpus import Archive, Corpus, Reading
from ..layout import audio_files, has_named_audio, locate, read_names, subfolders
from ..tasks import Task, gender_task, same_words

LAYOUT = "Audio/actor_12/03-01-06-01-02-12-02-01-01-16.wav …"
NAME = re.compile(
    r"03-(?P<channel>0[12])-(?P<emotion>0[1-9]|1[0-3])-\d+-\d+-(?P<actor>\d+)"
    r"(?:-(?P<age>\d+)(?:-\d+(?:-(?P<language>\d+)(?:-\d+)*)?)?)?"
)
EMOTIONS = {  # code -> the word for the owner's class, and the emotion where the table of emotions has it
    "01": ("bored", "bored"),
    "02": ("neutral", "neutral"),
    "03": ("happy", "happy"),
    "04": ("sad", "sad"),
    "05": ("angry", "angry"),
    "06": ("fearful", "fearful"),
    "07": ("disgusted", "disgusted"),
    "08": ("surprised", "surprised"),
    "09": ("excited", "excited"),
    "10": ("pleased", None),
    "11": ("pained", None),
    "12": ("disappointed", None),
    "13": ("breathing", None),
}
AGE_GROUPS = {"01": "elderly", "03": "young"}  # above 65 and under 20; 02 (20 to 64) spans several groups
LANGUAGES = {"01": "zh", "02": "en", "04": "fr"}
MIXED = "66"


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, _is_corpus, LAYOUT, ["Audio"])
    expected = "ASVP-ESD's (03-CHANNEL-EMOTION-INTENSITY-STATEMENT-ACTOR-…)"
    return read_names(root, audio_files(root / "Audio"), NAME, expected, _row)


def _is_corpus(folder: Path) -> bool:
    audio = folder / "Audio"
    return audio.is_dir() and has_named_audio([audio, *subfolders(audio)], NAME)


def _row(match: re.Match) -> dict | str:
    fields = match[0].split("-")
    if len(fields) > 8 and fields[-1] == MIXED:
        return "several voices (66 at the end of the name)"
    word, emotion = EMOTIONS[match["emotion"]]
    is_speech = match["channel"] == "01"
    actor = int(match["actor"])
    return {
        "speaker": f"{actor:03}" if actor else None,
        "gender": ("female" if actor % 2 else "male") if actor else None,
        "age_group": AGE_GROUPS.get(match["age"]),
        "language": LANGUAGES.get(match["language"]),
        "emotion": emotion,
        "sound": "speech" if is_speech else "other sound",
        "speech_emotion": emotion if is_speech else None,
        "sound_emotion": None if is_speech else word,
        "split": _split(actor),
    }


def _split(actor: int) -> str:
    """Return the split of an actor: of every ten, a woman and a man are for testing and two for validation."""
    return {1: "test", 2: "test", 3: "validation", 4: "validation"}.get(actor % 10, "train")


CORPUS = Corpus(
    name="asvp_esd",
    title="ASVP-ESD",
    homepage="https://zenodo.org/records/7132783",
    licence="open on Zenodo, for research; the sounds are from films, television and the web",
    citation="Landry, He, Yan and Li, ASVP-ESD: A Dataset and Its Benchmark for Emotion Recognition Using Both Speech "
    "and Non-Speech Utterances, Global Scientific Journals 2020, https://zenodo.org/records/7132783",
    languages={"zh": "Chinese", "en": "English", "fr": "French"},
    layout=LAYOUT,
    read=read,
    label_columns=("sound", "speech_emotion", "sound_emotion"),
    note="versions differ in their number of files; other languages than these three are not named by the owner",
    archives=(Archive("https://zenodo.org/records/7132783/files/ASVP-ESD-Update.zip"),),
    tasks=(
        Task(
            "asvp_esd",
            "speech_emotion",
            same_words("neutral happy sad angry fearful disgusted surprised bored excited"),
        ),
        Task(
            "asvp_esd-sounds",
            "sound_emotion",
            {
                **same_words("neutral happy sad angry fearful disgusted surprised bored excited pleased disappointed"),
                "pained": "in pain",
                "breathing": "breathing",
            },
        ),
        Task(
            "asvp_esd-speech",
            "sound",
            {"speech": "somebody is speaking", "other sound": "somebody makes a sound without words"},
            template="{}",
        ),
        gender_task("asvp_esd-gender"),
    ),
)
