"""RAVDESS, the speech part: acted English, 24 actors, 8 emotions.

The file name holds everything, ``03-01-06-01-02-01-12.wav``: modality, vocal channel, emotion, intensity, statement,
repetition, actor. Every row is `test`: the corpus is for evaluation and is never trained on.
"""

import re
from pathlib import Path

from ..corpus import Archive, Corpus, Reading
from ..layout import audio_files, locate, read_names
from ..tasks import Task, prompts_by_label, same_words

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


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, lambda folder: _actors(folder) or _actors(folder / INNER), LAYOUT)
    # Some copies hold the actors twice, at the root and in the inner folder: the root takes precedence.
    actors = _actors(root) or _actors(root / INNER)
    files = [path for actor in actors for path in audio_files(actor)]
    return read_names(root, files, NAME, "RAVDESS's speech files (03-01-EMOTION-…-ACTOR)", _row)


def _row(match: re.Match) -> dict:
    return {
        "speaker": match["actor"],
        "gender": "male" if int(match["actor"]) % 2 else "female",
        "emotion": EMOTIONS[match["emotion"]],
        "transcript": STATEMENTS[match["statement"]],
        "split": "test",
    }


def _actors(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("Actor_*") if path.is_dir())


COUNTS = {
    "neutral": 96,
    **dict.fromkeys(["calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"], 192),
}
# Words of the same meaning that no template of the query corpus has.
SYNONYMS = {
    "neutral": "unemotional",
    "calm": "relaxed",
    "happy": "joyful",
    "sad": "gloomy",
    "angry": "furious",
    "fearful": "frightened",
    "disgusted": "repulsed",
    "surprised": "astonished",
}
CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    homepage="https://zenodo.org/records/1188976",
    licence="CC-BY-NC-SA-4.0",
    citation="Livingstone and Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), "
    "PLOS ONE 2018, https://doi.org/10.1371/journal.pone.0196391",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=1440,  # counted in a whole copy, as the emotions
    counts={"emotion": COUNTS},
    note="two files of actor 07 are the same recording, with the same labels",
    # Zenodo lists the MD5 on the record's page
    archives=(
        Archive(
            "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
            "md5:bc696df654c87fed845eb13823edef8a",
        ),
    ),
    tasks=(
        Task(
            "ravdess",
            "emotion",
            same_words("neutral calm happy sad angry fearful disgusted surprised"),
            split=None,
            paper_uar={"only_emo": 0.302, "rand5": 0.234, "rand1": 0.116, "no_emo": 0.170},
            paper_prompts=prompts_by_label(
                "neutral calm happy sad angry fearful disgust surprised", disgust="disgusted"
            ),
            counts=COUNTS,
        ),
        Task("ravdess-synonyms", "emotion", SYNONYMS, split=None),
    ),
)
