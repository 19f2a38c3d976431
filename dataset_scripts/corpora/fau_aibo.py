"""FAU-Aibo: German children who talk to a robot, as in the INTERSPEECH 2009 Emotion Challenge.

The labels are space-separated, without a header: ``Mont_01_000_00 IDL 0.8`` is school, speaker, turn and chunk; label;
confidence. The challenge trains on the school Ohm and tests on Mont. Its classes are not emotions of our table (rest is
everything else), so they are columns of their own.
"""

from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import CorpusError, Listing, choice, locate, read_table
from ..tasks import Task, same_words

LAYOUT = "wav/ beside labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt and chunk_labels_5cl_corpus.txt"
LABELS = Path("labels") / "IS2009EmotionChallenge"
COLUMNS = ("chunk", "label", "confidence")
NEGATIVITY = {"IDL": "non-negative", "NEG": "negative"}
CLASSES = {"A": "angry", "E": "emphatic", "N": "neutral", "P": "motherese", "R": "rest"}
SPLITS = {"Ohm": "train", "Mont": "test"}


def read(root: Path) -> Reading:
    """Read the tables of two and of five classes."""
    root = locate(root, lambda folder: (folder / "wav").is_dir() and (folder / LABELS).is_dir(), LAYOUT, ["wav"])
    tables = {number: root / LABELS / f"chunk_labels_{number}cl_corpus.txt" for number in (2, 5)}
    for table in tables.values():
        if not table.is_file():
            raise CorpusError(f"{table} is missing; expected {LAYOUT}.")
    classes = {}
    for where, record in read_table(tables[5], COLUMNS, delimiter=" ", header=False, latin1=True):
        if record["chunk"] in classes:
            raise CorpusError(f"{where}: duplicate chunk {record['chunk']!r}.")
        classes[record["chunk"]] = choice(record["label"], CLASSES, "the label", where)
    listing = Listing(root, root / "wav", tables[2].name)
    rows = []
    for where, record in read_table(tables[2], COLUMNS, delimiter=" ", header=False, latin1=True):
        path = listing.find(record["chunk"], where)
        school, speaker = (record["chunk"].split("_") + [""])[:2]
        split = choice(school, SPLITS, "the school (up to the first _)", where)
        if record["chunk"] not in classes:
            raise CorpusError(f"{where}: {record['chunk']!r} is not in {tables[5].name}; both list the same chunks.")
        if path is not None:
            rows.append(
                {
                    "path": path,
                    "speaker": f"{school}_{speaker}",
                    "negativity": choice(record["label"], NEGATIVITY, "the label", where),
                    "aibo_class": classes[record["chunk"]],
                    "split": split,
                }
            )
    return Reading(root, rows, listing.rejected())


CORPUS = Corpus(
    name="fau_aibo",
    title="FAU-Aibo",
    homepage="https://www5.cs.fau.de/de/mitarbeiter/steidl-stefan/fau-aibo-emotion-corpus/",
    licence="academic licence from FAU Erlangen-Nürnberg, on request",
    citation="Steidl, Automatic Classification of Emotion-Related User States in Spontaneous Children's Speech, Logos "
    "2009; Schuller et al., The INTERSPEECH 2009 Emotion Challenge, "
    "https://doi.org/10.21437/Interspeech.2009-103",
    languages={"de": "German"},
    layout=LAYOUT,
    read=read,
    utterances=18216,  # Schuller et al., Interspeech 2009: 9,959 + 8,257
    counts={
        "negativity": {"non-negative": 12393, "negative": 5823},
        "aibo_class": {"angry": 1492, "emphatic": 3601, "neutral": 10967, "motherese": 889, "rest": 1267},
    },
    label_columns=("negativity", "aibo_class"),
    tasks=(
        Task(
            "fau_aibo-2",
            "negativity",
            same_words("non-negative negative"),
            template="{}",
            paper_uar={"only_emo": 0.535, "rand5": 0.604, "rand1": 0.468, "no_emo": 0.538},
            paper_prompts=same_words("non-negative negative"),
            counts={"non-negative": 5792, "negative": 2465},
        ),
        Task(
            "fau_aibo-5",
            "aibo_class",
            same_words("angry emphatic neutral motherese rest"),
            template="{}",
            paper_uar={"only_emo": 0.216, "rand5": 0.232, "rand1": 0.216, "no_emo": 0.225},
            paper_prompts=same_words("angry emphatic neutral motherese rest"),
            counts={"angry": 611, "emphatic": 1508, "neutral": 5377, "motherese": 215, "rest": 546},
        ),
    ),
)
