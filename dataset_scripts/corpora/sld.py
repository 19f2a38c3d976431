"""SLD, the Speaker Likability Database: German telephone speech, as in ComParE 2012.

``LSC_final_geheim.csv``, separated by semicolons, gives file (extension included) and likability (L, NL); the split is
the part of the name before the first underscore. 800 chunks in all; the paper's "800 each" counts them twice.
"""

from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import Listing, choice, locate, read_table
from ..tasks import Task

LAYOUT = "LSC_final_geheim.csv beside wav/"
TABLE = "LSC_final_geheim.csv"
LIKABILITY = {"L": "likable", "NL": "not likable"}
SPLITS = {"train": "train", "devel": "validation", "test": "test"}


def read(root: Path) -> Reading:
    """Read the table."""
    root = locate(root, lambda folder: (folder / TABLE).is_file() and (folder / "wav").is_dir(), LAYOUT, ["wav"])
    listing = Listing(root, root / "wav", TABLE)
    rows = []
    for where, record in read_table(root / TABLE, ("file", "likability"), delimiter=";", latin1=True):
        path = listing.find(record["file"], where)
        likability = choice(record["likability"], LIKABILITY, "likability", where)
        split = choice(record["file"].split("_")[0], SPLITS, "the split (up to the first _)", where)
        if path is not None:
            rows.append({"path": path, "likability": likability, "split": split})
    return Reading(root, rows, listing.rejected())


LABELS = {"likable": "likeable", "not likable": "not likeable"}
CORPUS = Corpus(
    name="sld",
    title="SLD",
    homepage="https://www.isca-archive.org/interspeech_2012/schuller12_interspeech.html",
    licence="from the organisers of the INTERSPEECH 2012 Speaker Trait Challenge, on request",
    citation="Burkhardt et al., “Would You Buy a Car From Me?” – On the Likability of Telephone Voices, Interspeech "
    "2011, https://doi.org/10.21437/Interspeech.2011-363",
    languages={"de": "German"},
    layout=LAYOUT,
    read=read,
    utterances=800,
    label_columns=("likability",),
    note='800 chunks in all; the paper says "800 each"',
    tasks=(
        Task(
            "sld",
            "likability",
            LABELS,
            template="{}",
            paper_uar={"only_emo": 0.554, "rand5": 0.507, "rand1": 0.443, "no_emo": 0.472},
            paper_prompts=LABELS,
        ),
    ),
)
