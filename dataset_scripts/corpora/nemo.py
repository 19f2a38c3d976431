"""nEMO: acted Polish, 9 actors, 6 emotions.

``data.tsv`` lists every file, ``samples/`` holds them; the table says .wav whatever the container on disk.
"""

from pathlib import Path

from ..corpus import Archive, Corpus, Reading
from ..layout import Listing, locate, read_table, whole_years
from ..queries import canonical_emotion
from ..tasks import Task, same_words

LAYOUT = "data.tsv beside samples/, e.g. samples/WR0_surprised_64.wav"
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")
TEST_SPEAKERS = {"KD0", "WR0"}
VALIDATION_SPEAKERS = {"MK0", "MP0"}


def read(root: Path) -> Reading:
    """Read ``data.tsv``."""
    root = locate(
        root, lambda folder: (folder / "data.tsv").is_file() and (folder / "samples").is_dir(), LAYOUT, ["samples"]
    )
    listing = Listing(root, root / "samples", "data.tsv")
    rows = []
    for where, record in read_table(root / "data.tsv", COLUMNS, delimiter="\t"):
        path = listing.find(record["file_id"], where)
        if path is None:
            continue
        rows.append(
            {
                "path": path,
                "speaker": record["speaker_id"],
                "gender": record["gender"],
                "age": whole_years(record["age"], "the age", where),
                "emotion": canonical_emotion(record["emotion"], where),
                "transcript": record["raw_text"],
                "split": _split(record["speaker_id"]),
            }
        )
    return Reading(root, rows, listing.rejected())


def _split(speaker: str) -> str:
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if speaker in VALIDATION_SPEAKERS else "train"


CORPUS = Corpus(
    name="nemo",
    title="nEMO",
    homepage="https://huggingface.co/datasets/amu-cai/nEMO",
    licence="CC-BY-NC-SA-4.0",
    citation="Christop, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024",
    languages={"pl": "Polish"},
    layout=LAYOUT,
    read=read,
    utterances=4481,  # counted in a whole copy, as the emotions
    counts={
        "emotion": {"neutral": 809, "happy": 749, "sad": 769, "angry": 749, "fearful": 736, "surprised": 669},
    },
    # The commit that brought data.tsv and samples/
    archives=(Archive("https://github.com/amu-cai/nEMO/archive/06f1f83dde8f1a780443a57d53b2af3971af34ab.zip"),),
    tasks=(Task("nemo", "emotion", same_words("neutral happy sad angry fearful surprised")),),
    hub_dataset="amu-cai/nEMO",
)
