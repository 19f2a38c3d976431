"""TESS: acted English, 2 actresses of 26 and 64 years, 7 emotions.

The file name holds everything, ``OAF_back_angry.wav``: who (older or younger adult female), word, emotion; the folders'
spelling is uneven (``OAF_Pleasant_surprise``, ``YAF_pleasant_surprised``) and says nothing more; some copies have none.
Of the owner's files two are AIFF named .wav, one is at 96 kHz and one lacks a letter (``OA_bite_neutral.wav``).
Every row is `test`.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Dataverse, Reading
from ..layout import CorpusError, audio_files, locate, rejection
from ..queries import canonical_emotion
from ..tasks import Task, prompts_by_label, same_words

LAYOUT = "OAF_angry/OAF_back_angry.wav …, 14 such folders, or all files in one"
NAME = re.compile(r"(?P<who>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)", re.I)
FOLDER = re.compile(r"(OAF|YAF)_.+", re.I)
AGES = {"OAF": 64, "YAF": 26}


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, lambda folder: bool(_files(folder)), LAYOUT)
    rows, rejected, seen = [], [], {}
    for path in _files(root):
        match = NAME.fullmatch(path.stem)
        if not match:
            reason = f"the name {path.stem!r} is not one of TESS's (OAF or YAF, WORD, EMOTION)"
            rejected.append(rejection(path, root, reason))
            continue
        if (first := seen.setdefault(path.stem.lower(), path)) != path:
            raise CorpusError(f"Duplicate utterance: {first} and {path} have the same id; remove one of them.")
        who = "OAF" if match["who"][0].upper() == "O" else "YAF"
        rows.append(
            {
                "path": path,
                "speaker": who,
                "gender": "female",
                "age": AGES[who],
                "emotion": canonical_emotion(match["emotion"]),
                "transcript": f"Say the word {match['word'].lower()}.",
                "split": "test",
            }
        )
    return Reading(root, rows, rejected)


def _files(folder: Path) -> list[Path]:
    """List the audio in the folders OAF_* and YAF_*, and TESS's beside them, but not that of a copy further in."""
    here = [path for path in audio_files(folder) if path.parent == folder and NAME.fullmatch(path.stem)]
    inside = [path for path in folder.iterdir() if path.is_dir() and FOLDER.fullmatch(path.name)]
    return here + [path for sub in sorted(inside) for path in audio_files(sub)]


COUNTS = dict.fromkeys(["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"], 400)
CORPUS = Corpus(
    name="tess",
    title="TESS",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    licence="CC-BY-NC-ND-4.0",
    citation="Pichora-Fuller and Dupuis, Toronto Emotional Speech Set (TESS), Borealis 2020, "
    "https://doi.org/10.5683/SP2/E8H2MF",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=2800,  # as in the literature
    counts={"emotion": COUNTS},
    archives=(Dataverse("https://borealisdata.ca", "doi:10.5683/SP2/E8H2MF"),),
    tasks=(
        Task(
            "tess",
            "emotion",
            same_words("neutral happy sad angry fearful disgusted surprised"),
            split=None,
            paper_uar={"only_emo": 0.484, "rand5": 0.389, "rand1": 0.219, "no_emo": 0.212},
            paper_prompts={
                **prompts_by_label(
                    "neutral happy sadness angry fear disgust", sadness="sad", fear="fearful", disgust="disgusted"
                ),
                "surprised": "pleasant surprise",
            },
            counts=COUNTS,
        ),
    ),
)
