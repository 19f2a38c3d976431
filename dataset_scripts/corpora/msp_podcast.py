"""MSP-Podcast, releases 1.6 to 2.0: natural English from podcasts.

The owner's ``Labels/labels_consensus.csv`` (spelt ``labels_concensus.csv`` up to 1.8) beside ``Audios/``; or
audEERING's conversion to audformat (``db.yaml``), which the authors of ParaCLAP read. Utterances without majority
agreement are left out, as in section 3.1 of the paper: of the 55,283 in release 1.9 that leaves 45,619, which is all
splits together. The dimensions run from 1 to 7.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import Corpus, Reading
from ..layout import CorpusError, Listing, choice, locate, number_in, read_table, rejection
from ..queries import canonical_emotion
from ..tasks import Task, same_words

if TYPE_CHECKING:
    import audformat

LAYOUT = "Audios/ beside Labels/labels_consensus.csv (or labels_concensus.csv), or an audformat conversion with db.yaml"
TABLES = ("labels_consensus.csv", "labels_concensus.csv")
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
NO_AGREEMENT = "no agreement on the emotion; left out as in section 3.1 of the paper"
EMOTIONS = {
    "A": "angry",
    "H": "happy",
    "S": "sad",
    "F": "fearful",
    "U": "surprised",
    "D": "disgusted",
    "C": "contemptuous",
    "N": "neutral",
    "O": None,  # other: agreed upon, but not an emotion of our table
    "X": NO_AGREEMENT,
}
SCALE = (1, 7)
GENDERS = {"Male": "male", "Female": "female", "Unknown": None}
SPLITS = {
    "Train": "train",
    "Development": "validation",
    "Validation": "validation",
    **dict.fromkeys(("Test", "Test1", "Test2", "Test3"), "test"),
}


def read(root: Path) -> Reading:
    """Read the owner's table or the audformat conversion."""
    root = locate(root, lambda folder: bool(_table(folder)) or _is_audformat(folder), LAYOUT, ["Audios", "Labels"])
    if _is_audformat(root):
        return _read_audformat(root)
    table = _table(root)
    listing = Listing(root, root / "Audios", table.name)
    rows, rejected = [], []
    for where, record in read_table(table, COLUMNS):
        path = listing.find(record["FileName"], where)
        emotion = choice(record["EmoClass"], EMOTIONS, "EmoClass", where)
        if path is None:
            continue
        if emotion == NO_AGREEMENT:
            rejected.append(rejection(path, root, NO_AGREEMENT))
            continue
        rows.append(
            {
                "path": path,
                "speaker": None if record["SpkrID"] == "Unknown" else record["SpkrID"],
                "gender": choice(record["Gender"], GENDERS, "Gender", where),
                "emotion": emotion,
                "arousal": number_in(record["EmoAct"], *SCALE, "EmoAct", where),
                "valence": number_in(record["EmoVal"], *SCALE, "EmoVal", where),
                "dominance": number_in(record["EmoDom"], *SCALE, "EmoDom", where),
                "split": choice(record["Split_Set"], SPLITS, "Split_Set", where),
            }
        )
    return Reading(root, rows, rejected + listing.rejected())


def _table(folder: Path) -> Path | None:
    tables = [folder / "Labels" / name for name in TABLES if (folder / "Labels" / name).is_file()]
    return tables[0] if tables and (folder / "Audios").is_dir() else None


def _is_audformat(folder: Path) -> bool:
    return (folder / "db.yaml").is_file()


def _read_audformat(root: Path) -> Reading:
    """Read the tables ``{categories,dimensions}.consensus.{train,development,test…}`` and ``speaker``."""
    try:
        import audformat
    except ImportError as error:
        raise ImportError(f"Reading {root / 'db.yaml'} needs audformat (pip install audformat): {error}") from error
    database = audformat.Database.load(str(root), load_data=True)
    tables = [name for name in database.tables if name.startswith("categories.consensus.")]
    if not tables or "speaker" not in database:
        raise CorpusError(
            f"{root / 'db.yaml'} has the tables {', '.join(database)}; expected categories.consensus.train, "
            f"dimensions.consensus.train, their like for the other splits, and speaker."
        )
    people = _people(database)
    listing = Listing(root, root, "db.yaml")
    rows, rejected = [], []
    for name in tables:
        split = name.removeprefix("categories.consensus.")
        of_split = {"dev": "Development"}.get(split, split.replace("-", "").capitalize())
        split = choice(of_split, SPLITS, "the split", name)
        labels = database[name].get()
        dimensions = database[name.replace("categories", "dimensions")].get().reindex(labels.index)
        for number, (file, label) in enumerate(labels["emotion"].items(), start=1):
            where = f"{name}, row {number}"
            path = listing.find(file, where)
            if path is None:
                continue
            if label == "no_agreement" or label is None or label != label:
                rejected.append(rejection(path, root, NO_AGREEMENT))
                continue
            speaker, gender = people.get(file, (None, None))
            rows.append(
                {
                    "path": path,
                    "speaker": speaker,
                    "gender": gender,
                    "emotion": None if label == "other" else canonical_emotion(label, where),
                    **{name: float(dimensions.at[file, name]) for name in ("arousal", "valence", "dominance")},
                    "split": split,
                }
            )
    return Reading(root, rows, rejected + listing.rejected())


def _people(database: "audformat.Database") -> dict[str, tuple[str | None, str | None]]:
    """Map files to speaker and gender; the gender is a column of the table, or of the speakers' scheme."""
    table = database["speaker"]
    speakers = table["speaker"].get()
    genders = table["gender"].get() if "gender" in table.columns else table["speaker"].get(map="gender")
    people = {}
    for file, speaker, gender in zip(speakers.index, speakers, genders, strict=True):
        known = isinstance(gender, str) and gender.lower() in ("female", "male")
        named = speaker == speaker and str(speaker).lower() not in ("unknown", "<na>", "none")
        people[file] = (str(speaker) if named else None, gender.lower() if known else None)
    return people


CORPUS = Corpus(
    name="msp_podcast",
    title="MSP-Podcast",
    homepage="https://www.lab-msp.com/MSP/MSP-Podcast.html",
    licence="academic licence from the MSP lab (Busso), on request; neither audio nor labels may be passed on",
    citation="Lotfian and Busso, Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional "
    "Speech from Existing Podcast Recordings, IEEE Transactions on Affective Computing 2019, "
    "https://doi.org/10.1109/TAFFC.2017.2736999",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=45619,
    note="45,619 is the paper's count in release 1.9: its 55,283 utterances less those without agreement (17.5 %), in "
    "all splits together; other releases have other counts",
    tasks=(
        Task("msp_podcast", "emotion", same_words("neutral happy sad angry fearful disgusted surprised contemptuous")),
    ),
)
