"""Small corpora in their owners' layouts, with synthetic voices: a tone with harmonics, whose pitch wanders."""

import numpy as np
import soundfile

RATE = 16000


def voice(seconds=0.6, pitch=150.0, rate=RATE, level=0.3, seed=0):
    """A voiced sound, float32 (samples,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / rate
    sound = sum(np.sin(k * phase) / k for k in range(1, 11))
    return (level * sound / np.abs(sound).max() + 0.002 * rng.standard_normal(len(time))).astype("float32")


def write(path, **kwargs):
    """Write a voice; the extension chooses the container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = kwargs.get("rate", RATE)
    container = {".opus": dict(format="OGG", subtype="OPUS")}.get(path.suffix.lower(), {})
    soundfile.write(path, voice(**kwargs), rate, **container)
    return path


def make_emodb(root, speakers=("03", "08", "12", "15"), extension="wav"):
    """Two emotions a speaker; 12 is a validation speaker, 15 a test speaker."""
    for i, speaker in enumerate(speakers):
        for j, emotion in enumerate("WF"):
            name = f"{speaker}a01{emotion}a.{extension}"
            write(root / "wav" / name, pitch=100 + 30 * i + 50 * j, seconds=0.5 + 0.1 * i, seed=i)
    return root


NEMO_HEADER = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"


def nemo_row(file_id, emotion="anger", speaker="SM0", age="24"):
    """One line of data.tsv, with the blanks that the owner's file has before the speaker."""
    return f"{file_id}\t{emotion}\tAla ma kota.\tala ma kota\t        {speaker}\tmale\t{age}"


def make_nemo(root, speakers=("SM0", "KS0", "MK0", "WR0"), extension="opus"):
    """Two emotions a speaker; the table says .wav whatever is on disk, as the owner's does."""
    rows = []
    for i, speaker in enumerate(speakers):
        for emotion in ("anger", "happiness"):
            rows.append(nemo_row(f"{speaker}_{emotion}_1.wav", emotion, speaker))
            write(root / "samples" / f"{speaker}_{emotion}_1.{extension}", pitch=110 + 25 * i, seconds=0.4 + 0.1 * i)
    write_nemo_table(root, rows)
    return root


def write_nemo_table(root, rows, header=NEMO_HEADER):
    """Write data.tsv."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def make_ravdess(root, actors=("01", "02"), extension="wav"):
    """Two emotions an actor, in root/Actor_XX."""
    for actor in actors:
        for emotion in ("05", "07"):
            name = f"03-01-{emotion}-01-02-01-{actor}.{extension}"
            write(root / f"Actor_{actor}" / name, rate=48000, seconds=0.5)
    return root


def make_librispeech(root, extension="flac"):
    """One utterance of two training speakers, one validation speaker (20), and one speaker each of test-* and dev-*."""
    speakers = {"19": "train-clean-100", "26": "train-clean-100", "20": "train-clean-100", "61": "test-other"}
    speakers["84"] = "dev-clean"
    lines = ["; a comment | of the owner's", ";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for i, (speaker, subset) in enumerate(speakers.items()):
        write(root / subset / speaker / "198" / f"{speaker}-198-0000.{extension}", pitch=120 + 20 * i)
        lines.append(f"{speaker:5}| {'FM'[i % 2]} | {subset:16} | 25.19 | A |Name| with bars")
    (root / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "train-clean-100" / "19" / "198" / "19-198.trans.txt").write_text("19-198-0000 NORTHANGER ABBEY\n")
    return root


MAKERS = {"nemo": make_nemo, "emodb": make_emodb, "ravdess": make_ravdess, "librispeech": make_librispeech}
