"""IEMOCAP: acted and improvised English dialogues, 5 sessions of 2 actors.

``SessionN/dialog/EmoEvaluation/*.txt`` has one row an utterance, with the label and [valence, arousal, dominance] from
1 to 5; the audio is ``SessionN/sentences/wav/DIALOG/UTTERANCE.wav``. The speaker is the letter of the last token
(``Ses01F_impro05_M019`` is the man): the F of ``Ses01F`` tells who wore the markers. Every row is `test`.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import CorpusError, Listing, locate, read_lines
from ..queries import canonical_emotion
from ..tasks import Task, same_words

LAYOUT = "Session1 … Session5 with dialog/EmoEvaluation/*.txt and sentences/wav/DIALOG/UTTERANCE.wav"
ROW = re.compile(
    r"\[[\d.]+ - [\d.]+\]\s+(?P<utterance>(?P<dialog>Ses(?P<session>\d\d)[FM]_\S+)_(?P<letter>[FM])\w+)\s+"
    r"(?P<label>[a-z]{3})\s+\[(?P<valence>[\d.]+), (?P<arousal>[\d.]+), (?P<dominance>[\d.]+)\]\s*"
)
LABELS = ["ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis"]
UNSAID = ("oth", "xxx")  # other, and no agreement; the dimensions are valid


def read(root: Path) -> Reading:
    """Read the sessions' tables and transcripts."""
    root = locate(root, lambda folder: bool(_sessions(folder)), LAYOUT)
    rows, rejected = [], []
    for session in _sessions(root):
        listing = Listing(root, session / "sentences" / "wav", "EmoEvaluation")
        transcripts = _transcripts(session)
        for table in sorted((session / "dialog" / "EmoEvaluation").glob("[!.]*.txt")):
            for where, line in read_lines(table, latin1=True):
                if not line.startswith("["):  # a comment, or what one rater said
                    continue
                match = ROW.fullmatch(line)
                if not match or match["label"] not in (*LABELS, *UNSAID):
                    raise CorpusError(
                        f"{where}: {line!r}; expected '[START - END] UTTERANCE LABEL [V, A, D]' with a LABEL of "
                        f"{', '.join((*LABELS, *UNSAID))}."
                    )
                path = listing.find(f"{match['dialog']}/{match['utterance']}.wav", where)
                if path is None:
                    continue
                rows.append(
                    {
                        "path": path,
                        "speaker": f"{match['session']}{match['letter']}",
                        "gender": "female" if match["letter"] == "F" else "male",
                        "emotion": canonical_emotion(match["label"]) if match["label"] in LABELS else None,
                        **{name: float(match[name]) for name in ("arousal", "valence", "dominance")},
                        "transcript": transcripts.get(match["utterance"]),
                        "session": match["session"],
                        "split": "test",
                    }
                )
        rejected += listing.rejected()
    return Reading(root, rows, rejected)


def _sessions(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("Session[1-5]") if (path / "dialog" / "EmoEvaluation").is_dir())


def _transcripts(session: Path) -> dict[str, str]:
    """Map utterances to words (``Ses01F_impro01_F000 [6.29-8.23]: Excuse me.``) where transcriptions are there."""
    words = {}
    for table in sorted((session / "dialog" / "transcriptions").glob("[!.]*.txt")):
        for _, line in read_lines(table, latin1=True):
            head, colon, text = line.partition("]: ")
            if colon:
                words[head.split(" ")[0]] = text.strip()
    return words


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    homepage="https://sail.usc.edu/iemocap/",
    licence="academic licence from USC SAIL, on request",
    citation="Busso et al., IEMOCAP: Interactive Emotional Dyadic Motion Capture Database, Language Resources and "
    "Evaluation 2008, https://doi.org/10.1007/s10579-008-9076-6",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=10039,
    # As in the literature; the paper's four classes add up to its 5,531.
    counts={
        "emotion": {
            **{"neutral": 1708, "happy": 595, "excited": 1041, "sad": 1084, "angry": 1103, "fearful": 40},
            **{"disgusted": 2, "surprised": 107, "frustrated": 1849},
        }
    },
    label_columns=("session",),
    note="2,510 utterances more have the label other (3) or no agreement (2,507)",
    tasks=(
        Task(
            "iemocap",
            "emotion",
            same_words("neutral happy angry sad"),
            split=None,
            paper_uar={"only_emo": 0.567, "rand5": 0.560, "rand1": 0.307, "no_emo": 0.309},
            paper_prompts={
                "neutral": "this person is feeling neutral.",
                "happy": "this person is feeling happy.",
                "angry": "this person is feeling anger.",
                "sad": "this person is feeling sadness.",
            },
            merge={"excited": "happy"},
            counts={"neutral": 1708, "happy": 1636, "angry": 1103, "sad": 1084},
            group="session",
        ),
    ),
)
