"""The registry of speech corpora. All of them give one table with the same columns; absent information is null.

Example::

    from dataset_scripts.corpora import load_corpus

    frame = load_corpus("emodb", "/data/EMO-DB")
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from . import alc, crema_d, emodb, fau_aibo, iemocap, librispeech, msp_podcast, nemo, ravdess, sld, tess
from .layout import CorpusError

SPLITS = ("train", "validation", "test")
GENDERS = ("female", "male")
# What single corpora are evaluated on, or by; no query speaks of it.
STATES = ("session", "negativity", "aibo_class", "intoxication", "likability")
DIMENSIONS = ("arousal", "valence", "dominance")
# Upper ages (exclusive) of the groups below the last one. They are those of whole decades, which is how corpora that do
# not give years (Common Voice) state an age.
AGE_GROUPS = {"young": 30, "middle-aged": 60, "elderly": math.inf}
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
    *STATES,
)
TEXT_COLUMNS = tuple(name for name in COLUMNS if name not in ("age", *DIMENSIONS))


@dataclass(frozen=True)
class Corpus:
    """One corpus: what it is, what the owner's release counts, and the function that reads it.

    Attributes:
        name: the name on the command line.
        title: the name in print.
        homepage: where the owner gives it out.
        licence: SPDX identifier of the owner's licence, or, where there is none, what one has to do.
        layout: the owner's folder layout in words.
        read: ``root -> (corpus folder, rows, rejected)``; rows are dicts of `COLUMNS`, `path` absolute or below root.
        utterances: number of audio files in the owner's release; None where users hold selections of it.
        counts: column -> value -> number of utterances in the owner's release; for `emotion` the canonical ones.
        note: what one should know of the counts.
        broken: names of files that the owner ships without readable audio.
    """

    name: str
    title: str
    homepage: str
    licence: str
    layout: str
    read: Callable[[Path], tuple[Path, list[dict], list[dict]]]
    utterances: int | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    note: str = ""
    broken: tuple[str, ...] = ()

    @property
    def licence_id(self) -> str:
        """The Hub's identifier of the licence; "other" where it has none."""
        return {"ODbL-1.0": "odbl"}.get(
            self.licence, self.licence.lower() if self.licence.startswith("CC") else "other"
        )

    @property
    def may_be_passed_on(self) -> bool:
        """True if the licence lets others have the audio and the labels with queries added, a derived work (no ND)."""
        return self.licence_id != "other" and "-nd" not in self.licence_id

    @property
    def emotions(self) -> Mapping[str, int]:
        """The owner's number of utterances per canonical emotion; empty where there are no such labels."""
        return self.counts.get("emotion", {})


# The counts of nEMO, EMO-DB and RAVDESS were counted in whole copies; those of the others are the literature's and add
# up to section 3.2 of the paper: IEMOCAP's four classes to 5,531, FAU-Aibo's (Schuller et al., Interspeech 2009) to
# 9,959 + 8,257, CREMA-D's to 7,442, TESS's to 2,800.
CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="nemo",
            title="nEMO",
            homepage="https://huggingface.co/datasets/amu-cai/nEMO",
            licence="CC-BY-NC-SA-4.0",
            layout=nemo.LAYOUT,
            read=nemo.read,
            utterances=4481,
            counts={
                "emotion": {
                    "neutral": 809,
                    "happy": 749,
                    "sad": 769,
                    "angry": 749,
                    "fearful": 736,
                    "surprised": 669,
                }
            },
        ),
        Corpus(
            name="emodb",
            title="EMO-DB",
            homepage="http://emodb.bilderbar.info",
            licence="CC0-1.0",
            layout=emodb.LAYOUT,
            read=emodb.read,
            utterances=535,
            counts={
                "emotion": {
                    "neutral": 79,
                    "happy": 71,
                    "sad": 62,
                    "angry": 127,
                    "fearful": 69,
                    "disgusted": 46,
                    "bored": 81,
                }
            },
        ),
        Corpus(
            name="ravdess",
            title="RAVDESS",
            homepage="https://zenodo.org/records/1188976",
            licence="CC-BY-NC-SA-4.0",
            layout=ravdess.LAYOUT,
            read=ravdess.read,
            utterances=1440,
            counts={
                "emotion": {
                    "neutral": 96,
                    **dict.fromkeys(["calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"], 192),
                }
            },
        ),
        Corpus(
            name="librispeech",
            title="LibriSpeech",
            homepage="https://www.openslr.org/12",
            licence="CC-BY-4.0",
            layout=librispeech.LAYOUT,
            read=librispeech.read,
            note="any selection of the subsets will do",
        ),
        Corpus(
            name="msp_podcast",
            title="MSP-Podcast",
            homepage="https://www.lab-msp.com/MSP/MSP-Podcast.html",
            licence="academic licence from the MSP lab (Busso), on request; neither audio nor labels may be passed on",
            layout=msp_podcast.LAYOUT,
            read=msp_podcast.read,
            utterances=45619,
            note="45,619 is the paper's count in release 1.9: its 55,283 utterances less those without agreement (17.5 "
            "%), in all splits together; other releases have other counts",
        ),
        Corpus(
            name="iemocap",
            title="IEMOCAP",
            homepage="https://sail.usc.edu/iemocap/",
            licence="academic licence from USC SAIL, on request",
            layout=iemocap.LAYOUT,
            read=iemocap.read,
            utterances=10039,
            counts={
                "emotion": {
                    **{"neutral": 1708, "happy": 595, "excited": 1041, "sad": 1084, "angry": 1103, "fearful": 40},
                    **{"disgusted": 2, "surprised": 107, "frustrated": 1849},
                }
            },
            note="2,510 utterances more have the label other (3) or no agreement (2,507)",
        ),
        Corpus(
            name="crema_d",
            title="CREMA-D",
            homepage="https://github.com/CheyneyComputerScience/CREMA-D",
            licence="ODbL-1.0",
            layout=crema_d.LAYOUT,
            read=crema_d.read,
            utterances=7442,
            counts={
                "emotion": {"neutral": 1087, **dict.fromkeys(["happy", "sad", "angry", "fearful", "disgusted"], 1271)},
            },
            note="1076_MTI_SAD_XX.wav has no audio in it; three recordings are there under two emotions each",
            broken=("1076_MTI_SAD_XX.wav",),
        ),
        Corpus(
            name="tess",
            title="TESS",
            homepage="https://doi.org/10.5683/SP2/E8H2MF",
            licence="CC-BY-NC-ND-4.0",
            layout=tess.LAYOUT,
            read=tess.read,
            utterances=2800,
            counts={
                "emotion": dict.fromkeys(
                    ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"], 400
                ),
            },
        ),
        Corpus(
            name="fau_aibo",
            title="FAU-Aibo",
            homepage="https://www5.cs.fau.de/de/mitarbeiter/steidl-stefan/fau-aibo-emotion-corpus/",
            licence="academic licence from FAU Erlangen-Nürnberg, on request",
            layout=fau_aibo.LAYOUT,
            read=fau_aibo.read,
            utterances=18216,
            counts={
                "negativity": {"non-negative": 12393, "negative": 5823},
                "aibo_class": {"angry": 1492, "emphatic": 3601, "neutral": 10967, "motherese": 889, "rest": 1267},
            },
        ),
        Corpus(
            name="alc",
            title="ALC",
            homepage="https://www.phonetik.uni-muenchen.de/Bas/BasALCeng.html",
            licence="from the Bavarian Archive for Speech Signals, on request; may not be passed on",
            layout=alc.LAYOUT,
            read=alc.read,
            note="the paper uses the 3,000 test files: 1,620 not intoxicated and 1,380 intoxicated",
        ),
        Corpus(
            name="sld",
            title="SLD",
            homepage="https://www.isca-archive.org/interspeech_2012/schuller12_interspeech.html",
            licence="from the organisers of the INTERSPEECH 2012 Speaker Trait Challenge, on request",
            layout=sld.LAYOUT,
            read=sld.read,
            utterances=800,
            note='800 chunks in all; the paper says "800 each"',
        ),
    )
}


def age_group_of(years: float) -> str:
    """Return the key of `AGE_GROUPS` for an age in years."""
    return next(group for group, upper in AGE_GROUPS.items() if years < upper)


def parse_corpora(arguments: Sequence[str]) -> dict[str, Path]:
    """Parse ``NAME=DIR`` arguments.

    Raises:
        CorpusError: no "=", an unknown or repeated name, or a folder that is not there.
    """
    corpora: dict[str, Path] = {}
    for argument in arguments:
        name, separator, folder = argument.partition("=")
        if not separator or not folder:
            raise CorpusError(f"{argument!r}; expected NAME=DIR with a NAME of {', '.join(CORPORA)}.")
        if name not in CORPORA:
            raise CorpusError(f"Unknown corpus {name!r} in {argument!r}; known are {', '.join(CORPORA)}.")
        if name in corpora:
            raise CorpusError(f"Corpus {name!r} is named twice; each can be given once.")
        corpora[name] = Path(folder).expanduser()
    return corpora


def scan_corpus(name: str, root: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a corpus's labels; no audio is opened.

    Args:
        name: a key of `CORPORA`.
        root: the folder as the owner ships it; one level above it will do, too.

    Returns:
        The utterances (`COLUMNS`; `file` is relative to the corpus folder in POSIX form, `path` absolute, `emotion` a
        canonical adjective, `age` in years, `age_group` a key of `AGE_GROUPS`, sorted by `file`), and what was left out (corpus, file, reason).

    Raises:
        CorpusError: unknown corpus, another layout than the owner's, an unsafe or duplicate name in a table.
    """
    if name not in CORPORA:
        raise CorpusError(f"Unknown corpus {name!r}; known are {', '.join(CORPORA)}.")
    folder, rows, rejected = CORPORA[name].read(Path(root).expanduser().resolve())
    if not rows:
        raise CorpusError(f"{folder} holds no utterance of {CORPORA[name].title}; expected {CORPORA[name].layout}.")
    for row in rows:
        row["file"] = Path(row["path"]).relative_to(folder).as_posix()
        row["path"] = str(row["path"])
        row["corpus"] = name
    frame = pd.DataFrame(rows).reindex(columns=list(COLUMNS)).sort_values("file", ignore_index=True)
    frame["age"] = frame["age"].astype("Int64")
    frame["age_group"] = frame["age_group"].astype(object).fillna(frame["age"].map(age_group_of, na_action="ignore"))
    for column in DIMENSIONS:
        frame[column] = frame[column].astype("float64")
    for column in TEXT_COLUMNS:
        frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
    for column, allowed in (("split", SPLITS), ("gender", GENDERS), ("age_group", tuple(AGE_GROUPS))):
        if unexpected := set(frame[column].dropna()) - set(allowed):
            raise CorpusError(f"{folder}: {column} {sorted(unexpected)}; expected one of {', '.join(allowed)}.")
    left_out = pd.DataFrame([{"corpus": name, **row} for row in rejected], columns=["corpus", "file", "reason"])
    return frame, left_out


def load_corpus(name: str, root: str | Path) -> pd.DataFrame:
    """Read a corpus's labels as `scan_corpus` does, and warn of what was left out.

    Returns:
        The utterances, one row each, with `COLUMNS`.

    Raises:
        CorpusError: as `scan_corpus`.
    """
    frame, rejected = scan_corpus(name, root)
    if len(rejected):
        first = rejected.iloc[0]
        warnings.warn(
            f"{CORPORA[name].title}: {len(rejected)} files left out, {len(frame)} kept; the first is {first.file}: "
            f"{first.reason}.",
            stacklevel=2,
        )
    return frame


__all__ = [
    "COLUMNS",
    "CORPORA",
    "DIMENSIONS",
    "SPLITS",
    "Corpus",
    "CorpusError",
    "load_corpus",
    "parse_corpora",
    "scan_corpus",
]
