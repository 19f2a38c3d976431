"""MELD: English dialogues of the television series Friends, 7 emotions and the sentiment, in the owner's splits.

``train_sent_emo.csv``, ``dev_sent_emo.csv`` and ``test_sent_emo.csv`` list the utterances; row (Dialogue_ID 0,
Utterance_ID 1) is ``dia0_utt1.mp4`` in ``train_splits``, ``dev_splits_complete`` or ``output_repeated_splits_test``,
whose numbers start anew in each. Copies have the clips as WAV, and the tables in the splits' folders. The same people
speak in all splits. Genders are known here for the six main parts alone.

Quirks of the owner's release: the tables' typographic quotes are Windows-1252, in some copies as control characters or
read as two; dia125_utt3 of train cannot be decoded, dia110_utt7 of dev has no clip; clips that no table lists, and
those of ``final_videos_testdia…`` beside the test's, are reported as such.

Sources: the owners' README (https://github.com/declare-lab/MELD) for tables and counts; public code for the quirks.
"""

import re
from pathlib import Path

from ..corpus import Corpus, Reading
from ..layout import Listing, choice, locate, read_table
from ..queries import canonical_emotion
from ..tasks import Task, same_words

LAYOUT = (
    "train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv beside train_splits, dev_splits_complete and "
    "output_repeated_splits_test with dia0_utt0.mp4 …"
)
SPLITS = {  # table -> split, names of the clips' folder
    "train_sent_emo.csv": ("train", ("train_splits", "train")),
    "dev_sent_emo.csv": ("validation", ("dev_splits_complete", "dev")),
    "test_sent_emo.csv": ("test", ("output_repeated_splits_test", "test")),
}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
GENDERS = {
    **dict.fromkeys(("Monica", "Phoebe", "Rachel"), "female"),
    **dict.fromkeys(("Chandler", "Joey", "Ross"), "male"),
}
SENTIMENTS = {name: name for name in ("negative", "neutral", "positive")}


def read(root: Path) -> Reading:
    """Read the tables of the splits that are there."""
    root = locate(root, lambda folder: bool(_parts(folder)), LAYOUT)
    rows, rejected = [], []
    for table, clips, split in _parts(root):
        listing = Listing(root, clips, table.name)
        for where, record in read_table(table, COLUMNS, latin1=True):
            path = listing.find(f"dia{record['Dialogue_ID']}_utt{record['Utterance_ID']}", where)
            emotion = canonical_emotion(record["Emotion"], where)
            sentiment = choice(record["Sentiment"].lower(), SENTIMENTS, "Sentiment", where)
            if path is not None:
                rows.append(
                    {
                        "path": path,
                        "speaker": repair_quotes(record["Speaker"]),
                        "gender": GENDERS.get(record["Speaker"]),
                        "emotion": emotion,
                        "sentiment": sentiment,
                        "transcript": repair_quotes(record["Utterance"]),
                        "split": split,
                    }
                )
        rejected += listing.rejected()
    return Reading(root, rows, rejected)


def _parts(folder: Path) -> list[tuple[Path, Path, str]]:
    """Return table, folder of clips and split of each split of which both are there."""
    parts = []
    for name, (split, folders) in SPLITS.items():
        places = [folder, *(folder / inside for inside in folders)]
        tables = [place / name for place in places if (place / name).is_file()]
        clips = [place / inside for inside in folders for place in places if (place / inside).is_dir()]
        if tables and clips:
            parts.append((tables[0], clips[0], split))
    return parts


def repair_quotes(text: str) -> str:
    r"""Return a text with its quotes as they were, where Windows-1252 or UTF-8 was read as something else.

    >>> [repair_quotes(text) for text in ("it\x92s", "it\xc2\x92s", "itâ€™s", "it\xe2\x80\x99s")]
    ['it’s', 'it’s', 'it’s', 'it’s']
    """
    text = re.sub("\xe2\x80[\x80-\xbf]", lambda match: match[0].encode("latin-1").decode("utf-8"), text)
    text = re.sub("\xe2\u20ac[\u2122\u02dc\u0153\xa6\u201c\u201d]", _misread_utf8, text)
    return re.sub("\xc2?([\x80-\x9f])", lambda match: match[1].encode("latin-1").decode("cp1252", "ignore"), text)


def _misread_utf8(match: re.Match) -> str:
    return match[0].encode("cp1252").decode("utf-8", "replace")


TEST = {"neutral": 1256, "happy": 402, "sad": 208, "angry": 345, "fearful": 50, "disgusted": 68, "surprised": 281}
CORPUS = Corpus(
    name="meld",
    title="MELD",
    homepage="https://affective-meld.github.io",
    licence="for research; the clips are from a television series",
    citation="Poria et al., MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL 2019, "
    "https://doi.org/10.18653/v1/P19-1050",
    languages={"en": "English"},
    layout=LAYOUT,
    read=read,
    utterances=13707,  # the owners' README, less the one without a clip
    counts={
        "emotion": {
            **{"neutral": 6435, "happy": 2308, "sad": 1002, "angry": 1607},
            **{"fearful": 358, "disgusted": 361, "surprised": 1636},
        }
    },
    label_columns=("sentiment",),
    note="the tables list 13,708 utterances; dia110_utt7 of dev (neutral) has no clip. A build holds the "
    "clips' bytes: convert videos to audio first",
    broken=("dia125_utt3.mp4",),
    tasks=(
        Task("meld", "emotion", same_words("neutral happy sad angry fearful disgusted surprised"), counts=TEST),
        Task(
            "meld-sentiment",
            "sentiment",
            {
                "negative": "has low valence",
                "neutral": "valence is at an average level",
                "positive": "has high valence",
            },
            template="{}",
        ),
    ),
)
