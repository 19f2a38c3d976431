"""VoxCeleb 1 and 2: celebrities in interviews on YouTube, with their gender and, in VoxCeleb 1, nationality.

``vox1_meta.csv`` (separated by tabs) and ``vox2_meta.csv`` (by commas, with blanks before them) list the people and the
owner's sets; the audio is ``wav/id10001/VIDEO/00001.wav``, of VoxCeleb 2 ``aac/id00012/VIDEO/00001.m4a``, at any depth
(``dev/wav``, ``test/aac`` …). Of the people of dev those whose number is a multiple of 20 are for validation. Other
people than the tables' are reported. The language is not stated; most speak English.

Sources: the owner's page (https://www.robots.ox.ac.uk/~vgg/data/voxceleb/) and tables.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import CorpusError, audio_files, choice, locate, read_lines, read_names, read_table
from ..tasks import Task, gender_task

LAYOUT = "vox1_meta.csv or vox2_meta.csv beside wav/id10001/VIDEO/00001.wav (or dev/aac/id00012/VIDEO/00001.m4a …)"
TABLES = {"vox1_meta.csv": "VoxCeleb1 ID", "vox2_meta.csv": "VoxCeleb2 ID"}
NAME = re.compile(r"(?:.*/)?(?P<speaker>id\d{5})/(?P<video>[^/]+)/(?P<clip>\d+)")
GENDERS = {"f": "female", "m": "male"}
SETS = {"dev": "train", "test": "test"}
NATIONALITIES = {
    "USA": "American",
    "UK": "British",
    "Canada": "Canadian",
    "Australia": "Australian",
    "India": "Indian",
    "Ireland": "Irish",
}


def read(root: Path) -> Reading:
    """Read the tables of people and the names of folders and files."""
    root = locate(root, lambda folder: any((folder / name).is_file() for name in TABLES), LAYOUT, ["wav", "aac"])
    people: dict[str, dict] = {}
    for name, column in TABLES.items():
        if (root / name).is_file():
            people.update(_read_people(root / name, column))
    seen: dict[tuple[str, ...], str] = {}

    def row_of(match: re.Match) -> dict | str:
        if match["speaker"] not in people:
            return f"{match['speaker']} is in no table of people"
        if (first := seen.setdefault(match.group("speaker", "video", "clip"), match[0])) != match[0]:
            return f"the same utterance as {first}"
        return people[match["speaker"]]

    expected = "VoxCeleb's (id10001/VIDEO/00001)"
    return read_names(root, audio_files(root), NAME, expected, row_of, with_folders=True)


def _read_people(table: Path, column: str) -> dict[str, dict]:
    """Return what is known of each person, as the columns of a row."""
    header = next((line for _, line in read_lines(table)), "")
    people = {}
    delimiter = "," if "," in header else "\t"
    for where, record in read_table(table, (column, "Gender", "Set"), delimiter=delimiter):
        speaker = record[column]
        if speaker in people:
            raise CorpusError(f"{where}: duplicate {column} {speaker}.")
        split = choice(record["Set"].lower(), SETS, "Set", where)
        is_held_out = split == "train" and speaker[2:].isdecimal() and int(speaker[2:]) % 20 == 0
        people[speaker] = {
            "speaker": speaker,
            "gender": choice(record["Gender"].lower(), GENDERS, "Gender", where),
            "nationality": record.get("Nationality") or None,
            "split": "validation" if is_held_out else split,
        }
    return people


CORPUS = Corpus(
    name="voxceleb",
    title="VoxCeleb",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/",
    licence="on request from the owner; the videos are their makers'",
    citation="Nagrani, Chung and Zisserman, VoxCeleb: a Large-Scale Speaker Identification Dataset, Interspeech 2017, "
    "https://doi.org/10.21437/Interspeech.2017-950; Chung, Nagrani and Zisserman, VoxCeleb2: Deep Speaker Recognition, "
    "Interspeech 2018, https://doi.org/10.21437/Interspeech.2018-1929",
    languages={"mul": "several, mostly English"},
    layout=LAYOUT,
    read=read,
    label_columns=("nationality",),
    note="either of the two, or both, can be used: 1,251 people in VoxCeleb 1 and 6,112 in VoxCeleb 2",
    tasks=(
        gender_task("voxceleb-gender"),
        # The 40 people of the test set are too few for nations, and no training query speaks of them.
        Task("voxceleb-nationality", "nationality", NATIONALITIES, template="speaker is {}", split=None),
    ),
)
