"""ShEMO, Sharif Emotional Speech Database: semi-natural Persian from radio plays, 87 speakers, 6 emotions.

The file name holds everything, ``F03S02.wav``: sex, speaker, emotion (A anger, F fear, H happiness, N neutral,
S sadness, W surprise), number. ``shemo.json`` beside the folders, if it is there, has the words. Fear is very rare, so
that the task leaves it out, as the field does.

Source: the owners' README (https://github.com/pariajm/sharif-emotional-speech-dataset) for names, speakers and number.
"""

import json
import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import CorpusError, audio_files, has_named_audio, locate, read_names, subfolders
from ..tasks import Task, gender_task, same_words

LAYOUT = "female and male with files like female/F03S02.wav"
TABLE = "shemo.json"
NAME = re.compile(r"(?P<speaker>(?P<sex>[FM])(?P<number>\d{2}))(?P<emotion>[AFHNSW])\d{2,}")
EMOTIONS = {
    "A": "angry",
    "F": "fearful",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
    "W": "surprised",
}
FOLDERS = ("female", "male", "f", "m")


def read(root: Path) -> Reading:
    """Read the file names, and the words of ``shemo.json``."""
    root = locate(root, lambda folder: has_named_audio(_sexes(folder), NAME), LAYOUT)
    transcripts = _read_transcripts(root / TABLE)

    def row_of(match: re.Match) -> dict:
        return {
            "speaker": match["speaker"],
            "gender": "female" if match["sex"] == "F" else "male",
            "emotion": EMOTIONS[match["emotion"]],
            "transcript": transcripts.get(match[0]),
            "split": _split(int(match["number"])),
        }

    files = [path for folder in _sexes(root) for path in audio_files(folder)]
    return read_names(root, files, NAME, "ShEMO's (SEX, SPEAKER, EMOTION and NUMBER: F03S02)", row_of)


def _sexes(folder: Path) -> list[Path]:
    return [inside for inside in subfolders(folder) if inside.name.lower() in FOLDERS]


def _read_transcripts(table: Path) -> dict[str, str]:
    """Map utterances to words, without the marks of direction and byte order that some have."""
    if not table.is_file():
        return {}
    try:
        entries = json.loads(table.read_text(encoding="utf-8"))
        return {str(entry["id"]): re.sub("[\u200e\u200f\ufeff]", "", str(entry["transcript"])) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(
            f'{table} is not the owner\'s: {error!r}; expected a list of {{"id": …, "transcript": …}}. Fetch it anew '
            f"or remove it."
        ) from error


def _split(number: int) -> str:
    if number % 5 == 0:
        return "test"
    return "validation" if number % 10 == 3 else "train"


CORPUS = Corpus(
    name="shemo",
    title="ShEMO",
    homepage="https://github.com/pariajm/sharif-emotional-speech-dataset",
    licence="free for academic purposes",
    citation="Mohamad Nezami, Jamshid Lou and Karami, ShEMO: a Large-Scale Validated Database for Persian Speech "
    "Emotion Detection, Language Resources and Evaluation 2019, https://doi.org/10.1007/s10579-018-9427-x",
    languages={"fa": "Persian"},
    layout=LAYOUT,
    read=read,
    utterances=3000,
    tasks=(Task("shemo", "emotion", same_words("neutral happy sad angry surprised")), gender_task("shemo-gender")),
)
