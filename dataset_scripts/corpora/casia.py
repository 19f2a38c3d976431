"""CASIA: acted Mandarin Chinese, 4 speakers, 6 emotions.

``liuchanhg/angry/201.wav``: speaker, emotion, sentence (the owner's spelling). Copies in circulation hold 50 of the 300
sentences that all speakers say in all emotions (相同文本300), others in one folder as ``201-angry-liuchanhg.wav``; the
100 sentences whose words fit the emotion (不同文本100) have folders like ``Chang.Liu/normal``. All of these are read.

Sources: the owner's description as quoted widely (four professional speakers, six emotions, 9,600 utterances, e.g.
https://twblogs.net/a/5b7c8b2b2b71770a43db7cf9); names and genders from public code that loads it.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import audio_files, locate, read_names, subfolders
from ..tasks import Task, gender_task, same_words

LAYOUT = "liuchanhg/angry/201.wav …, or files like 201-angry-liuchanhg.wav"
SPEAKERS = {  # as the folders spell them, in small letters -> the speaker, gender, split
    **dict.fromkeys(("liuchanhg", "liuchang", "chang.liu"), ("liuchang", "female", "train")),
    **dict.fromkeys(("wangzhe", "zhe.wang"), ("wangzhe", "male", "train")),
    **dict.fromkeys(("zhaoquanyin", "quanyin.zhao"), ("zhaoquanyin", "female", "test")),
    **dict.fromkeys(("zhaozuoxiang", "zuoxiang.zhao"), ("zhaozuoxiang", "male", "test")),
}
EMOTIONS = {
    "angry": "angry",
    "fear": "fearful",
    "happy": "happy",
    **dict.fromkeys(("neutral", "normal"), "neutral"),
    "sad": "sad",
    **dict.fromkeys(("surprise", "suprise"), "surprised"),
}
_SPEAKER, _EMOTION = "|".join(map(re.escape, SPEAKERS)), "|".join(EMOTIONS)
FOLDERS = re.compile(rf"(?:.*/)?(?P<speaker>{_SPEAKER})/(?P<emotion>{_EMOTION})/\d+", re.I)
FLAT = re.compile(rf"(?:.*/)?\d+-(?P<emotion>{_EMOTION})-(?P<speaker>{_SPEAKER})", re.I)


def read(root: Path) -> Reading:
    """Read the names of folders and files."""
    root = locate(root, lambda folder: any(_names(folder)), LAYOUT)
    flat = not any(_speakers(folder) for folder in (root, *subfolders(root)))
    name, expected = (FLAT, "201-angry-liuchanhg") if flat else (FOLDERS, "SPEAKER/EMOTION/201")
    return read_names(root, audio_files(root), name, f"CASIA's ({expected})", _row, with_folders=True)


def _names(folder: Path) -> list[Path]:
    """List the speakers' folders in a folder or in its two parts, or its files with a speaker in the name."""
    parts = [part for part in subfolders(folder) if part.name.endswith(("300", "100"))]
    speakers = [speaker for part in (folder, *parts) for speaker in _speakers(part)]
    inside = [folder, *(part for part in subfolders(folder) if part.name.lower() in EMOTIONS)]
    return speakers or [path for part in inside for path in part.iterdir() if FLAT.fullmatch(path.stem)]


def _speakers(folder: Path) -> list[Path]:
    return [inside for inside in subfolders(folder) if inside.name.lower() in SPEAKERS]


def _row(match: re.Match) -> dict:
    speaker, gender, split = SPEAKERS[match["speaker"].lower()]
    return {"speaker": speaker, "gender": gender, "emotion": EMOTIONS[match["emotion"].lower()], "split": split}


CORPUS = Corpus(
    name="casia",
    title="CASIA",
    homepage="http://shachi.org/resources/27",
    licence="from the Institute of Automation, Chinese Academy of Sciences, on request",
    citation="Institute of Automation, Chinese Academy of Sciences, CASIA Chinese Emotional Speech Corpus, "
    "http://shachi.org/resources/27",
    languages={"zh": "Chinese"},
    layout=LAYOUT,
    read=read,
    note="9,600 utterances in all; copies in circulation hold 1,200 of them (50 sentences)",
    tasks=(
        Task("casia", "emotion", same_words("neutral happy sad angry fearful surprised")),
        gender_task("casia-gender"),
    ),
)
