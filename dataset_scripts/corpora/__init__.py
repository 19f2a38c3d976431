"""The registry of speech corpora. All of them give one table with the same columns; absent information is null.

Example::

    from dataset_scripts.corpora import load_corpus

    frame = load_corpus("emodb", "/data/EMO-DB")
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from . import emodb, librispeech, nemo, ravdess
from .layout import CorpusError

SPLITS = ("train", "validation", "test")
GENDERS = ("female", "male")
TEXT_COLUMNS = ("file", "path", "corpus", "speaker", "gender", "language", "emotion", "transcript", "split")
DIMENSIONS = ("arousal", "valence", "dominance")
COLUMNS = (
    "file",
    "path",
    "corpus",
    "speaker",
    "gender",
    "age",
    "language",
    "emotion",
    *DIMENSIONS,
    "transcript",
    "split",
)


@dataclass(frozen=True)
class Corpus:
    """One corpus: what it is, what the owner's release counts, and the function that reads it.

    Attributes:
        name: the name on the command line.
        title: the name in print.
        homepage: where the owner gives it out.
        licence: SPDX identifier of the owner's licence.
        layout: the owner's folder layout in words.
        read: ``root -> (corpus folder, rows, rejected)``; rows are dicts of `COLUMNS`, `path` absolute or below root.
        utterances: number of audio files in the owner's release; None where users hold selections of it.
        emotions: the owner's number of utterances per canonical emotion.
    """

    name: str
    title: str
    homepage: str
    licence: str
    layout: str
    read: Callable[[Path], tuple[Path, list[dict], list[dict]]]
    utterances: int | None = None
    emotions: Mapping[str, int] = field(default_factory=dict)


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
            emotions={"neutral": 809, "happy": 749, "sad": 769, "angry": 749, "fearful": 736, "surprised": 669},
        ),
        Corpus(
            name="emodb",
            title="EMO-DB",
            homepage="http://emodb.bilderbar.info",
            licence="CC0-1.0",
            layout=emodb.LAYOUT,
            read=emodb.read,
            utterances=535,
            emotions={
                "neutral": 79,
                "happy": 71,
                "sad": 62,
                "angry": 127,
                "fearful": 69,
                "disgusted": 46,
                "bored": 81,
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
            emotions={
                "neutral": 96,
                "calm": 192,
                "happy": 192,
                "sad": 192,
                "angry": 192,
                "fearful": 192,
                "disgusted": 192,
                "surprised": 192,
            },
        ),
        Corpus(
            name="librispeech",
            title="LibriSpeech",
            homepage="https://www.openslr.org/12",
            licence="CC-BY-4.0",
            layout=librispeech.LAYOUT,
            read=librispeech.read,
        ),
    )
}


def scan_corpus(name: str, root: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a corpus's labels; no audio is opened.

    Args:
        name: a key of `CORPORA`.
        root: the folder as the owner ships it; one level above it will do, too.

    Returns:
        The utterances (`COLUMNS`; `file` is relative to the corpus folder in POSIX form, `path` absolute, `emotion` a
        canonical adjective, `age` in years, sorted by `file`), and what was left out (corpus, file, reason).

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
    for column in DIMENSIONS:
        frame[column] = frame[column].astype("float64")
    for column in TEXT_COLUMNS:
        frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
    for column, allowed in (("split", SPLITS), ("gender", GENDERS)):
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


__all__ = ["COLUMNS", "CORPORA", "DIMENSIONS", "SPLITS", "Corpus", "CorpusError", "load_corpus", "scan_corpus"]
