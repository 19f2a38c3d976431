"""The definition of one corpus: each module of `dataset_scripts.corpora` has a `Corpus` named ``CORPUS``.

Adding a corpus means adding one file there: a function that reads the owner's layout, and the facts below.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .tasks import Task

SPLITS = ("train", "validation", "test")
GENDERS = ("female", "male")
DIMENSIONS = ("arousal", "valence", "dominance")
# Group -> the age that it ends below. Whole decades, since Common Voice states ages as decades.
AGE_GROUPS = {"young": 30, "middle-aged": 60, "elderly": math.inf}
# The columns that every corpus has; `Corpus.label_columns` come after them.
COLUMNS = (
    "file",
    "path",
    "corpus",
    "speaker",
    "gender",
    "age",
    "age_group",
    "language",
    "emotion",
    "listeners_emotion",
    *DIMENSIONS,
    "transcript",
    "split",
)


class Reading(NamedTuple):
    """What a corpus module's reader returns.

    Attributes:
        folder: the corpus folder.
        rows: one dict an utterance, with ``path`` and those of `COLUMNS` and `Corpus.label_columns` that are known.
        rejected: one dict (file, reason) for each file that was left out.
    """

    folder: Path
    rows: list[dict]
    rejected: list[dict]


@dataclass(frozen=True)
class Archive:
    """One archive of a corpus.

    Attributes:
        url: http or https.
        checksum: ``md5:…`` or ``sha256:…`` of the file, as the owner (or torchaudio, for LibriSpeech) publishes it;
            empty where nobody does.
        members: names, or beginnings of names, below the archive's top folder that are unpacked; empty unpacks all.
        objects: the URL of a git repository's large files, where the archive holds git-lfs pointers in their place.
    """

    url: str
    checksum: str = ""
    members: tuple[str, ...] = ()
    objects: str = ""

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Dataverse:
    """A data set on a Dataverse server, which lists its files with their checksums.

    Attributes:
        server: its URL.
        identifier: the data set's persistent identifier.
        name: what `--archives` calls it.
    """

    server: str
    identifier: str
    name: str = "all"

    @property
    def listing(self) -> str:
        """Return the URL of the newest version's list of files."""
        return f"{self.server}/api/datasets/:persistentId/versions/:latest/files?persistentId={self.identifier}"

    def url(self, number: int) -> str:
        """Return the URL of a file."""
        return f"{self.server}/api/access/datafile/{number}"


@dataclass(frozen=True)
class Corpus:
    """One corpus.

    Attributes:
        name: its name on the command line, which is that of its module.
        title: its name in print.
        homepage: where the owner distributes it.
        licence: SPDX identifier of the owner's licence; where there is none, the terms in words.
        citation: whom to cite, with a DOI or URL.
        languages: ISO 639 code -> English name. Rows without a language get it where there is only one.
        layout: the owner's folder layout in words.
        read: reads the labels from a folder; no audio is opened.
        utterances: number of audio files in the owner's release; None where users hold selections of it.
        counts: column -> value -> number of utterances in the owner's release; for `emotion` the canonical adjectives.
        label_columns: labels that only this corpus has.
        note: what one should know of the counts.
        broken: names of files that the owner ships without usable audio.
        archives: what `download` fetches; empty where owner or licence do not allow it.
        tasks: the zero-shot tasks on it.
        hub_dataset: its name on the Hugging Face Hub, if it is there.
        source: the folder or table of a corpus of the user's own; None for those that have a module.
        remarks: what the user should know of how that table was read.
    """

    name: str
    title: str
    homepage: str
    licence: str
    citation: str
    languages: Mapping[str, str]
    layout: str
    read: Callable[[Path], Reading]
    utterances: int | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    label_columns: tuple[str, ...] = ()
    note: str = ""
    broken: tuple[str, ...] = ()
    archives: tuple[Archive | Dataverse, ...] = ()
    tasks: tuple[Task, ...] = ()
    hub_dataset: str | None = None
    source: Path | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self):
        tasks = tuple(dataclasses.replace(task, corpus=self.name) for task in self.tasks)
        object.__setattr__(self, "tasks", tasks)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of its table."""
        return (*COLUMNS, *self.label_columns)

    @property
    def licence_id(self) -> str:
        """Return the Hub's identifier of the licence; "other" where the Hub has none."""
        if self.licence == "ODbL-1.0":
            return "odbl"
        return self.licence.lower() if self.licence.startswith(("CC", "Apache")) else "other"

    @property
    def may_be_passed_on(self) -> bool:
        """Return whether the licence allows passing on audio and labels with queries added (a derived work)."""
        return self.licence_id != "other" and "-nd" not in self.licence_id

    @property
    def emotions(self) -> Mapping[str, int]:
        """Return the owner's number of utterances per canonical emotion; empty where there are no such labels."""
        return self.counts.get("emotion", {})


def age_group_of(years: float) -> str:
    """Return the key of `AGE_GROUPS` for an age in years."""
    return next(group for group, upper in AGE_GROUPS.items() if years < upper)
