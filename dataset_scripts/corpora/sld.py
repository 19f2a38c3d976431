"""SLD, the Speaker Likability Database: German telephone speech (Burkhardt et al., 2011; ComParE 2012).

``LSC_final_geheim.csv``, separated by semicolons, gives file (extension included) and likability (L, NL); the split is
the part of the name before the first underscore. 800 chunks in all; the paper's "800 each" counts them twice.
"""

from pathlib import Path

from .layout import Listing, choice, locate, read_table

LAYOUT = "LSC_final_geheim.csv beside wav/"
TABLE = "LSC_final_geheim.csv"
LIKABILITY = {"L": "likable", "NL": "not likable"}
SPLITS = {"train": "train", "devel": "validation", "test": "test"}


def read(root: Path) -> tuple[Path, list[dict], list[dict]]:
    """Read SLD. Returns the corpus folder, its rows, and the rows left out with reasons."""
    root = locate(root, lambda folder: (folder / TABLE).is_file() and (folder / "wav").is_dir(), LAYOUT, ["wav"])
    listing = Listing(root, root / "wav", TABLE)
    rows = []
    for where, record in read_table(root / TABLE, ("file", "likability"), delimiter=";", latin1=True):
        path = listing.find(record["file"], where)
        likability = choice(record["likability"], LIKABILITY, "likability", where)
        split = choice(record["file"].split("_")[0], SPLITS, "the split (up to the first _)", where)
        if path is not None:
            rows.append({"path": path, "language": "de", "likability": likability, "split": split})
    return root, rows, listing.rejected()
