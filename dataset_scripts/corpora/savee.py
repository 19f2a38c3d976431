"""SAVEE, Surrey Audio-Visual Expressed Emotion: acted British English, 4 men, 7 emotions.

The name holds everything: speaker (DC, JE, JK, KL), emotion (a, d, f, h, n, sa, su), sentence. The owner ships
``AudioData/DC/a01.wav``, copies in circulation ``DC_a01.wav`` in one folder; both are read.

Sources: the owner's page (http://kahlan.eps.surrey.ac.uk/savee/) for 480 utterances, of each speaker 15 of each emotion
and 30 neutral; TensorFlow Datasets for a split by speakers (2 for training, 1 for validation, 1 for testing).
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import audio_files, has_named_audio, locate, read_names
from ..tasks import Task, same_words

LAYOUT = "AudioData/DC/a01.wav …, or files like DC_a01.wav in one folder"
FILE = re.compile(r"(?:sa|su|[adfhn])\d{2}")
FLAT = re.compile(r"(?:DC|JE|JK|KL)_(?:sa|su|[adfhn])\d{2}")
NAME = re.compile(r"(?:.*/)?(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>sa|su|[adfhn])\d{2}")
EMOTIONS = {
    "a": "angry",
    "d": "disgusted",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}
SPLITS = {"DC": "train", "JE": "train", "JK": "validation", "KL": "test"}


def read(root: Path) -> Reading:
    """Read the names of folders and files."""
    root = locate(root, _is_corpus, LAYOUT)
    files = audio_files(root / "AudioData" if (root / "AudioData").is_dir() else root)
    return read_names(root, files, NAME, "SAVEE's (DC/a01 or DC_a01)", _row, with_folders=True)


def _is_corpus(folder: Path) -> bool:
    speakers = [parent / speaker for parent in (folder, folder / "AudioData") for speaker in SPLITS]
    return has_named_audio(speakers, FILE) or has_named_audio([folder, folder / "AudioData"], FLAT)


def _row(match: re.Match) -> dict:
    return {
        "speaker": match["speaker"],
        "gender": "male",
        "emotion": EMOTIONS[match["emotion"]],
        "split": SPLITS[match["speaker"]],
    }


CORPUS = Corpus(
    name="savee",
    title="SAVEE",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    licence="free for research after registration with the owner; not to be passed on",
    citation="Haq and Jackson, Speaker-Dependent Audio-Visual Emotion Recognition, AVSP 2009, "
    "http://kahlan.eps.surrey.ac.uk/savee/",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=480,
    counts={"emotion": {"neutral": 120, **{name: 60 for name in EMOTIONS.values() if name != "neutral"}}},
    tasks=(Task("savee", "emotion", same_words("neutral happy sad angry fearful disgusted surprised")),),
)
