"""IEMOCAP: acted and improvised English dialogues, 5 sessions of 2 actors (Busso et al., LREC 2008).

``SessionN/dialog/EmoEvaluation/*.txt`` has one row an utterance, with the label and [valence, arousal, dominance] from
1 to 5; the audio is ``SessionN/sentences/wav/DIALOG/UTTERANCE.wav``. The speaker is the letter of the last token
(``Ses01F_impro05_M019`` is the man): the F of ``Ses01F`` tells who wore the markers. Every row is `test`.
"""

import re
from pathlib import Path

from ..queries import canonical_emotion
from .layout import CorpusError, Listing, locate, read_lines

LAYOUT = "Session1 … Session5 with dialog/EmoEvaluation/*.txt and sentences/wav/DIALOG/UTTERANCE.wav"
ROW = re.compile(
    r"\[[\d.]+ - [\d.]+\]\s+(?P<utterance>(?P<dialog>Ses(?P<session>\d\d)[FM]_\S+)_(?P<letter>[FM])\w+)\s+"
    r"(?P<label>[a-z]{3})\s+\[(?P<valence>[\d.]+), (?P<arousal>[\d.]+), (?P<dominance>[\d.]+)\]\s*"
)
LABELS = ["ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis"]
UNSAID = ("oth", "xxx")  # other, and no agreement: the dimensions hold all the same


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read IEMOCAP. Returns the corpus folder, its rows, and the rows left out with reasons."""
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
                        "language": "en",
                        "emotion": canonical_emotion(match["label"]) if match["label"] in LABELS else None,
                        **{name: float(match[name]) for name in ("arousal", "valence", "dominance")},
                        "transcript": transcripts.get(match["utterance"]),
                        "session": match["session"],
                        "split": "test",
                    }
                )
        rejected += listing.rejected()
    return root, rows, rejected


def _sessions(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("Session[1-5]") if (path / "dialog" / "EmoEvaluation").is_dir())


def _transcripts(session: Path) -> dict[str, str]:
    """Utterance -> words, where ``dialog/transcriptions`` is there: ``Ses01F_impro01_F000 [6.29-8.23]: Excuse me.``."""
    words = {}
    for table in sorted((session / "dialog" / "transcriptions").glob("[!.]*.txt")):
        for _, line in read_lines(table, latin1=True):
            head, colon, text = line.partition("]: ")
            if colon:
                words[head.split(" ")[0]] = text.strip()
    return words
