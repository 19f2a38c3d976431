"""ALC, the Alcohol Language Corpus: German, sober and intoxicated.

Two layouts. The INTERSPEECH 2011 Speaker State Challenge: ``ALC.csv`` with file and challenge_class, the audio below
``DIST/``; files named TE_… are the test. Or the release of the Bavarian Archive for Speech Signals (BAS):
``DOC/IS2011CHALLENGE/{TRAIN,D1,D2}.TBL``, tab-separated and without a header (file_name, bac, user_state), where the
test are the files that ``TESTMAPPING.txt`` names and, where that is not there, those of D2.
"""

from pathlib import Path, PurePosixPath

from ..corpus import Corpus, Reading
from ..layout import CorpusError, Listing, choice, locate, read_lines, read_table, stem_of
from ..tasks import Task

LAYOUT = "ALC.csv beside DIST/TEST/*.wav (ComParE 2011), or DOC/IS2011CHALLENGE/{TRAIN,D1,D2}.TBL (BAS)"
STATES = {"AL": "intoxicated", "NAL": "not intoxicated"}
SPLITS = {"TR": "train", "DE": "validation", "TE": "test"}
TABLES = {"TRAIN.TBL": "train", "D1.TBL": "validation", "D2.TBL": "test"}
BAS = Path("DOC") / "IS2011CHALLENGE"


def read(root: Path) -> Reading:
    """Read the challenge's table or those of the BAS release."""
    root = locate(root, lambda folder: (folder / "ALC.csv").is_file() or (folder / BAS).is_dir(), LAYOUT, ["DIST"])
    return _read_challenge(root) if (root / "ALC.csv").is_file() else _read_bas(root)


def _read_challenge(root: Path) -> Reading:
    if not (root / "DIST").is_dir():
        raise CorpusError(f"{root} has ALC.csv, but no DIST/; expected {LAYOUT}.")
    listing = Listing(root, root / "DIST", "ALC.csv", by_name=True)
    rows = []
    for where, record in read_table(root / "ALC.csv", ("file", "challenge_class"), latin1=True):
        path = listing.find(record["file"], where)
        state = choice(record["challenge_class"], STATES, "challenge_class", where)
        split = choice(PurePosixPath(record["file"]).name[:2].upper(), SPLITS, "the name's beginning", where)
        if path is not None:
            rows.append({"path": path, "intoxication": state, "split": split})
    return Reading(root, rows, listing.rejected())


def _read_bas(root: Path) -> Reading:
    listing = Listing(root, root, "the tables of IS2011CHALLENGE", by_name=True)
    mapping = root / BAS / "TESTMAPPING.txt"
    test = None
    if mapping.is_file():
        names = (word for _, line in read_lines(mapping, latin1=True) for word in line.split())
        test = {stem_of(PurePosixPath(name).name).lower() for name in names}
    rows = []
    for table, split in TABLES.items():
        if not (root / BAS / table).is_file():
            raise CorpusError(f"{root / BAS / table} is missing; expected {LAYOUT}.")
        columns = ("file_name", "bac", "user_state")
        for where, record in read_table(root / BAS / table, columns, delimiter="\t", header=False, latin1=True):
            path = listing.find(record["file_name"].replace("\\", "/"), where)
            if path is None:
                continue
            if test is not None and path.stem.lower() in test:
                of_row = "test"
            else:
                of_row = "validation" if test is not None and split == "test" else split
            state = STATES["AL" if record["user_state"] == "I" else "NAL"]
            rows.append({"path": path, "intoxication": state, "split": of_row})
    return Reading(root, rows, listing.rejected())


LABELS = {"intoxicated": "intoxicated with alcohol", "not intoxicated": "not intoxicated with alcohol"}
CORPUS = Corpus(
    name="alc",
    title="ALC",
    homepage="https://www.phonetik.uni-muenchen.de/Bas/BasALCeng.html",
    licence="from the Bavarian Archive for Speech Signals, on request; may not be passed on",
    citation="Schiel et al., Alcohol Language Corpus, Language Resources and Evaluation 2012, "
    "https://doi.org/10.1007/s10579-011-9139-y",
    languages={"de": "German"},
    layout=LAYOUT,
    read=read,
    label_columns=("intoxication",),
    note="the paper uses the 3,000 test files: 1,620 not intoxicated and 1,380 intoxicated",
    tasks=(
        Task(
            "alc",
            "intoxication",
            LABELS,
            template="{}",
            paper_uar={"only_emo": 0.512, "rand5": 0.503, "rand1": 0.501, "no_emo": 0.490},
            paper_prompts=LABELS,
            counts={"intoxicated": 1380, "not intoxicated": 1620},
        ),
    ),
)
