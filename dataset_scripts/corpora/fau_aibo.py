"""FAU-Aibo: German children who talk to a robot, the INTERSPEECH 2009 Emotion Challenge (Steidl, 2009).

The labels are space-separated, without a header: ``Mont_01_000_00 IDL 0.8`` is school, speaker, turn and chunk; label;
confidence. The challenge trains on the school Ohm and tests on Mont. Its classes are no emotions of our table (rest is
what is left over), so they are columns of their own.
"""

from pathlib import Path

from .layout import CorpusError, Listing, choice, locate, read_table

LAYOUT = "wav/ beside labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt and chunk_labels_5cl_corpus.txt"
LABELS = Path("labels") / "IS2009EmotionChallenge"
COLUMNS = ("chunk", "label", "confidence")
NEGATIVITY = {"IDL": "non-negative", "NEG": "negative"}
CLASSES = {"A": "angry", "E": "emphatic", "N": "neutral", "P": "motherese", "R": "rest"}
SPLITS = {"Ohm": "train", "Mont": "test"}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read FAU-Aibo. Returns the corpus folder, its rows, and the chunks left out with reasons."""
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
                    "language": "de",
                    "negativity": choice(record["label"], NEGATIVITY, "the label", where),
                    "aibo_class": classes[record["chunk"]],
                    "split": split,
                }
            )
    return root, rows, listing.rejected()
