"""AESDD, Acted Emotional Speech Dynamic Database: acted Greek, 5 emotions.

The file name holds everything, ``a03 (4).wav``: emotion (a, d, f, h, s), utterance, speaker. A second take of the same
utterance has a lower case letter at the end, ``f18 (5)b.wav``. The five folders are named after the emotions. The owner
adds speakers as time goes by, and does not say which of them are women.

Source: the owner's readme and page (http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/).
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import audio_files, has_named_audio, locate, read_names, subfolders
from ..tasks import Task, same_words

LAYOUT = "anger, disgust, fear, happiness, sadness with files like anger/a03 (4).wav"
NAME = re.compile(r"(?P<emotion>[adfhs])\d{2} ?\((?P<speaker>[1-9]\d?)\) ?[a-z]?", re.I)
EMOTIONS = {"a": "angry", "d": "disgusted", "f": "fearful", "h": "happy", "s": "sad"}
FOLDERS = ("anger", "disgust", "fear", "happiness", "sadness")
SPLITS = {4: "validation", 5: "test", 6: "test"}


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, lambda folder: has_named_audio(_emotion_folders(folder), NAME), LAYOUT)
    files = [path for folder in _emotion_folders(root) for path in audio_files(folder)]
    return read_names(root, files, NAME, "AESDD's (EMOTION, UTTERANCE and SPEAKER: a03 (4))", _row)


def _emotion_folders(folder: Path) -> list[Path]:
    return [inside for inside in subfolders(folder) if inside.name.lower() in FOLDERS]


def _row(match: re.Match) -> dict:
    return {
        "speaker": match["speaker"],
        "emotion": EMOTIONS[match["emotion"].lower()],
        "split": SPLITS.get(int(match["speaker"]), "train"),
    }


CORPUS = Corpus(
    name="aesdd",
    title="AESDD",
    homepage="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    licence="public; the owner names no licence",
    citation="Vryzas et al., Speech Emotion Recognition for Performance Interaction, Journal of the Audio Engineering "
    "Society 2018, https://doi.org/10.17743/jaes.2018.0036",
    languages={"el": "Greek"},
    layout=LAYOUT,
    read=read,
    note="the owner adds speakers, so that copies differ; the first version has around 500 utterances of 5 actors",
    tasks=(Task("aesdd", "emotion", same_words("happy sad angry fearful disgusted")),),
)
