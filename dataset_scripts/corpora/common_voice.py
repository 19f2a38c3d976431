"""Common Voice: read sentences in many languages by volunteers, who may state age, gender and accent.

``train.tsv``, ``dev.tsv`` and ``test.tsv`` list the clips of the owner's splits, which share no speaker; where none of
them is there, ``validated.tsv`` is read and split by speakers. A folder holds one language; its code is in the column
`locale`. Ages are decades ("fourties" is the owner's spelling), genders ``male`` or, since 2024, ``male_masculine``;
the column of accents is ``accent`` up to release 6, ``accents`` later, with codes (``us``) or words. What is neither
woman nor man, or not said, is null; accents are read for English.

Source: the owner's columns and values, https://github.com/common-voice/cv-dataset and the site's lists of ages,
genders and accents in https://github.com/common-voice/common-voice.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import CorpusError, Listing, choice, locate, read_table, stem_of
from ..tasks import Task, age_task, gender_task

LAYOUT = "train.tsv, dev.tsv and test.tsv, or validated.tsv, beside clips/common_voice_en_1.mp3 …"
SPLITS = {"train.tsv": "train", "dev.tsv": "validation", "test.tsv": "test"}
ALL = "validated.tsv"
OTHERS = (ALL, "invalidated.tsv", "other.tsv")
COLUMNS = ("client_id", "path", "sentence", "age", "gender")
GENDERS = {
    **dict.fromkeys(("female", "female_feminine"), "female"),
    **dict.fromkeys(("male", "male_masculine"), "male"),
    **dict.fromkeys(("", "other", "intersex", "transgender", "non-binary", "do_not_wish_to_say"), None),
}
AGE_GROUPS = {
    "": None,
    **dict.fromkeys(("teens", "twenties"), "young"),
    **dict.fromkeys(("thirties", "fourties", "forties", "fifties"), "middle-aged"),
    **dict.fromkeys(("sixties", "seventies", "eighties", "nineties"), "elderly"),
}
ACCENTS = {
    **dict.fromkeys(("us", "united states english"), "American"),
    **dict.fromkeys(("england", "england english", "british english"), "English"),
    **dict.fromkeys(("scotland", "scottish english"), "Scottish"),
    **dict.fromkeys(("ireland", "irish english"), "Irish"),
    **dict.fromkeys(("canada", "canadian english"), "Canadian"),
    **dict.fromkeys(("australia", "australian english"), "Australian"),
    **dict.fromkeys(("newzealand", "new zealand english"), "New Zealand"),
    **dict.fromkeys(("indian", "india and south asia (india, pakistan, sri lanka)"), "Indian"),
}


def read(root: Path) -> Reading:
    """Read the tables of the owner's splits, or the one of all validated clips."""
    root = locate(root, _is_corpus, LAYOUT, ["clips"])
    tables = [name for name in SPLITS if (root / name).is_file()] or [ALL]
    listing = Listing(root, root / "clips", ", ".join(tables))
    rows = []
    for name in tables:
        for where, record in _records(root / name):
            path = listing.find(record["path"], where)
            if path is not None:
                rows.append({"path": path, "split": SPLITS.get(name), **_labels(record, where)})
    for row in rows:
        row["split"] = row["split"] or _split(row["speaker"])
    elsewhere = {
        stem_of(record["path"])
        for name in OTHERS
        if name not in tables and (root / name).is_file()
        for _, record in _records(root / name)
    }
    rejected = [row for row in listing.rejected() if stem_of(Path(row["file"]).name) not in elsewhere]
    return Reading(root, rows, rejected)


def _records(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    return read_table(table, COLUMNS, delimiter="\t")


def _labels(record: dict[str, str], where: str) -> dict:
    accent = record.get("accents", record.get("accent", "")).lower()
    locale = record.get("locale", "")
    if not record["client_id"]:
        raise CorpusError(f"{where}: the client_id is empty; expected the speaker's.")
    return {
        "speaker": record["client_id"],
        "gender": choice(record["gender"].lower(), GENDERS, "gender", where),
        "age_group": choice(record["age"].lower(), AGE_GROUPS, "age", where),
        "language": locale or None,
        "accent": ACCENTS.get(accent) if locale == "en" else None,
        "transcript": record["sentence"] or None,
    }


def _split(speaker: str) -> str:
    """Return the split of a speaker: by a hash, a tenth each is for testing and for validation."""
    digit = int(hashlib.sha256(speaker.encode()).hexdigest(), 16) % 10
    return {0: "test", 1: "validation"}.get(digit, "train")


def _is_corpus(folder: Path) -> bool:
    return (folder / "clips").is_dir() and any((folder / name).is_file() for name in (*SPLITS, ALL))


CORPUS = Corpus(
    name="common_voice",
    title="Common Voice",
    homepage="https://commonvoice.mozilla.org/datasets",
    licence="CC0-1.0",
    citation="Ardila et al., Common Voice: A Massively-Multilingual Speech Corpus, LREC 2020, "
    "https://aclanthology.org/2020.lrec-1.520/",
    languages={"mul": "many languages"},
    layout=LAYOUT,
    read=read,
    label_columns=("accent",),
    note="a copy holds one language of one release; the owner asks not to try to find out who speaks",
    tasks=(
        gender_task("common_voice-gender"),
        age_task("common_voice-age"),
        Task(
            "common_voice-accent",
            "accent",
            {
                accent: f"speaker has {'an' if accent[0] in 'AEI' else 'a'} {accent} accent"
                for accent in dict.fromkeys(ACCENTS.values())
            },
            template="{}",
        ),
    ),
)
