"""CaFE, Canadian French Emotional speech: acted, 12 actors, 6 sentences, 7 emotions, of which 6 in two intensities.

The file name holds everything, ``01-C-1-2.wav``: actor (odd numbers are men, even ones women), emotion (Colère, Dégoût,
Joie, Neutre, Peur, Surprise, Tristesse), intensity (1 Faible, 2 Fort), sentence. The folders (``Colère/Faible``,
``Neutre``) say nothing more; their accents come composed or decomposed, depending on the system that unpacked them.

Source: the owner's Readme.txt in the archives, for names, ages, sentences and licence.
"""

import re
from pathlib import Path

from ..corpus import Archive, Corpus, Reading
from ..layout import audio_files, has_named_audio, locate, read_names, subfolders
from ..tasks import Task, gender_task, same_words

LAYOUT = "Colère, Dégoût, Joie … with files like Colère/Faible/01-C-1-1.wav"
NAME = re.compile(r"(?P<actor>0[1-9]|1[0-2])-(?:(?P<emotion>[CDJPST])-(?P<intensity>[12])|N-1)-(?P<sentence>[1-6])")
EMOTIONS = {
    "C": "angry",
    "D": "disgusted",
    "J": "happy",
    None: "neutral",
    "P": "fearful",
    "S": "surprised",
    "T": "sad",
}
INTENSITIES = {"1": "mild", "2": "strong", None: None}
AGES = {
    **{"01": 46, "02": 64, "03": 18, "04": 50, "05": 22, "06": 34},
    **{"07": 15, "08": 25, "09": 42, "10": 20, "11": 35, "12": 37},
}
SENTENCES = {
    "1": "Un cheval fou dans mon jardin",
    "2": "Deux ânes aigris au pelage brun",
    "3": "Trois cygnes aveugles au bord du lac",
    "4": "Quatre vieilles truies éléphantesques",
    "5": "Cinq pumas fiers et passionnés",
    "6": "Six ours aimants domestiqués",
}
SPLITS = {"09": "validation", "10": "validation", "11": "test", "12": "test"}  # a man and a woman each


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, lambda folder: bool(_emotion_folders(folder)), LAYOUT)
    files = [path for folder in _emotion_folders(root) for path in audio_files(folder)]
    return read_names(root, files, NAME, "CaFE's (ACTOR-EMOTION-INTENSITY-SENTENCE: 01-C-1-2)", _row)


def _emotion_folders(folder: Path) -> list[Path]:
    """List the emotions' folders, in the folder or in the parts of the release at 192 kHz (CaFE_192k_1, …_2)."""
    parts = [part for part in (folder, *subfolders(folder)) if part == folder or part.name.startswith("CaFE_192k")]
    return [inside for part in parts for inside in subfolders(part) if _holds_names(inside)]


def _holds_names(folder: Path) -> bool:
    """Return whether a folder is an emotion's, by what is in it: programs garble its name's accents."""
    return has_named_audio([folder, folder / "Faible", folder / "Fort"], NAME)


def _row(match: re.Match) -> dict:
    return {
        "speaker": match["actor"],
        "gender": "male" if int(match["actor"]) % 2 else "female",
        "age": AGES[match["actor"]],
        "emotion": EMOTIONS[match["emotion"]],
        "intensity": INTENSITIES[match["intensity"]],
        "transcript": SENTENCES[match["sentence"]],
        "split": SPLITS.get(match["actor"], "train"),
    }


CORPUS = Corpus(
    name="cafe",
    title="CaFE",
    homepage="https://zenodo.org/records/1478765",
    licence="CC-BY-NC-SA-4.0",
    citation="Gournay, Lahaie and Lefebvre, A Canadian French Emotional Speech Dataset, ACM MMSys 2018, "
    "https://doi.org/10.1145/3204949.3208121",
    languages={"fr": "French"},
    layout=LAYOUT,
    read=read,
    utterances=936,  # each of 12 actors says each of 6 sentences in 6 emotions of two intensities, and neutrally
    counts={"emotion": {name: 72 if name == "neutral" else 144 for name in EMOTIONS.values()}},
    label_columns=("intensity",),
    archives=(Archive("https://zenodo.org/records/1478765/files/CaFE_48k.zip"),),
    tasks=(
        Task("cafe", "emotion", same_words("neutral happy sad angry fearful disgusted surprised")),
        gender_task("cafe-gender"),
    ),
)
