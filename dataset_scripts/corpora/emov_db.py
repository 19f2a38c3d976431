"""EmoV-DB, Emotional Voices Database: acted American English, 4 speakers, 5 styles.

The folders hold the labels, ``bea/Angry/anger_1-28_0011.wav`` or, as OpenSLR ships it, ``bea_Angry/…``: speaker and
style; the file's own word for the style (anger, Anger, sleepiness …) has to agree. Josh has neither anger nor disgust.
Amused and sleepy are styles but have no row in ``emotions.csv``, whose words for happy and bored hold them; `style` has
all five, `emotion` the other three.

Source: the owner's README (https://github.com/numediart/EmoV-DB) for speakers, styles, names and terms.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import audio_files, locate, read_names, subfolders
from ..tasks import Task, gender_task, same_words

LAYOUT = "bea/Angry/anger_1-28_0011.wav … (or bea_Angry/…) of bea, jenie, josh and sam"
SPEAKERS = {  # gender, split
    "bea": ("female", "train"),
    "jenie": ("female", "test"),
    "josh": ("male", "test"),
    "sam": ("male", "train"),
}
STYLES = {
    **dict.fromkeys(("amused", "amusement"), "amused"),
    **dict.fromkeys(("angry", "anger"), "angry"),
    **dict.fromkeys(("disgusted", "disgust"), "disgusted"),
    "neutral": "neutral",
    **dict.fromkeys(("sleepy", "sleepiness"), "sleepy"),
}
EMOTIONS = ("angry", "disgusted", "neutral")
_SPEAKER, _STYLE = "|".join(SPEAKERS), "|".join(STYLES)
FOLDER = re.compile(rf"(?:{_SPEAKER})(?:_(?:{_STYLE}))?", re.I)
NAME = re.compile(
    rf"(?:.*/)?(?P<speaker>{_SPEAKER})[/_](?P<style>{_STYLE})/(?:.*/)?(?P<word>{_STYLE})_\d+[-_]\d+_\d{{4}}", re.I
)


def read(root: Path) -> Reading:
    """Read the names of folders and files."""
    root = locate(root, lambda folder: bool(_speaker_folders(folder)), LAYOUT)
    files = [path for folder in _speaker_folders(root) for path in audio_files(folder)]
    expected = "EmoV-DB's (SPEAKER/STYLE/STYLE_FROM-TO_SENTENCE: bea/Angry/anger_1-28_0011)"
    return read_names(root, files, NAME, expected, _row, with_folders=True)


def _speaker_folders(folder: Path) -> list[Path]:
    return [inside for inside in subfolders(folder) if FOLDER.fullmatch(inside.name)]


def _row(match: re.Match) -> dict | str:
    style, said = STYLES[match["style"].lower()], STYLES[match["word"].lower()]
    if style != said:
        return f"the folder says {style}, the file name {said}"
    gender, split = SPEAKERS[match["speaker"].lower()]
    return {
        "speaker": match["speaker"].lower(),
        "gender": gender,
        "emotion": style if style in EMOTIONS else None,
        "style": style,
        "split": split,
    }


CORPUS = Corpus(
    name="emov_db",
    title="EmoV-DB",
    homepage="https://www.openslr.org/115/",
    licence="non-commercial purposes only (the owner's LICENSE.md)",
    citation="Adigwe et al., The Emotional Voices Database: Towards Controlling the Emotion Dimension in Voice "
    "Generation Systems, 2018, https://arxiv.org/abs/1806.09514",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    label_columns=("style",),
    note="the owner's README counts 7,000 files, copies of the sorted release have fewer; the archives of OpenSLR "
    "(bea_Angry.tar.gz …) hold equal file names, so unpack each into a folder of its own",
    tasks=(
        Task("emov_db", "style", same_words("neutral amused angry disgusted sleepy")),
        gender_task("emov_db-gender"),
    ),
)
