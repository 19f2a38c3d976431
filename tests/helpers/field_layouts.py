"""Small copies of the field's further corpora in their owners' layouts, with synthetic voices."""

import json
import unicodedata

from .voices import write

SECONDS = 0.1


def write_all(root, names, extension):
    """Write a voice for each name below a folder."""
    for name in names:
        write(root / f"{name}.{extension}", seconds=SECONDS)
    return root


def make_emovo(root, extension="wav"):
    """An emotion an actor, and disgust of the first actress."""
    emotions = {"f1": "neu", "f2": "gio", "f3": "pau", "m1": "rab", "m2": "sor", "m3": "tri"}
    names = [f"{actor}/{emotion}-{actor}-b1" for actor, emotion in emotions.items()]
    return write_all(root, [*names, "f1/dis-f1-l4"], extension)


SAVEE = {"DC": ("a01", "su02"), "JE": ("d01", "sa03"), "JK": ("f01", "n30"), "KL": ("h15", "sa01")}


def make_savee(root, extension="wav"):
    """The owner's folders."""
    names = [f"AudioData/{speaker}/{name}" for speaker, names in SAVEE.items() for name in names]
    return write_all(root, names, extension)


def make_savee_flat(root, extension="wav"):
    """The same utterances as copies in one folder have them."""
    return write_all(root, [f"{speaker}_{name}" for speaker, names in SAVEE.items() for name in names], extension)


def make_cafe(root, extension="wav", form="NFC"):
    """Folders with accents, composed or decomposed; neutral has no intensities."""
    names = {"Colère/Faible": "01-C-1-1", "Colère/Fort": "02-C-2-2", "Dégoût/Fort": "09-D-2-6", "Neutre": "12-N-1-1"}
    names |= {"Joie/Fort": "11-J-2-3", "Peur/Faible": "07-P-1-4"}
    folders = {unicodedata.normalize(form, folder): name for folder, name in names.items()}
    return write_all(root, [f"{folder}/{name}" for folder, name in folders.items()], extension)


def make_aesdd(root, extension="wav"):
    """A second take (b) and a folder in small letters."""
    names = [
        "anger/a03 (4)",
        "Fear/f18 (5)",
        "Fear/f18 (5)b",
        "Disgust/d01 (1)",
        "Happiness/h20 (6)",
        "Sadness/s02 (2)",
    ]
    return write_all(root, names, extension)


def make_casia(root, extension="wav"):
    """Each speaker, spelled as in the copies."""
    emotions = {"liuchanhg": "angry", "wangzhe": "fear", "zhaoquanyin": "surprise", "ZhaoZuoxiang": "neutral"}
    return write_all(root, [f"{speaker}/{emotion}/201" for speaker, emotion in emotions.items()], extension)


def make_emov_db(root, extension="wav"):
    """Folders of a speaker and a style, files with words of their own for it, in small letters and large."""
    names = ["bea/Amused/amused_1-15_0002", "bea/Angry/anger_1-28_0011", "jenie/Disgusted/Disgust_141_168_0141"]
    names += ["sam/Neutral/neutral_1-28_0001", "josh_Sleepy/sleepiness_1-28_0003", "jenie/Sleepy/Sleepy_1-28_0004"]
    return write_all(root, names, extension)


def make_shemo(root, extension="wav"):
    """A word or more of each speaker; one transcript begins with a byte order mark."""
    names = ["female/F01A01", "female/F05S02", "male/M13W01", "male/M21F01", "male/M10N14", "male/M28H02"]
    entries = [{"id": "F01A01", "transcript": "دیگه نمی\u200eتونم"}, {"id": "M10N14", "transcript": "\ufeffچرا"}]
    write_all(root, names, extension)
    (root / "shemo.json").write_text(json.dumps(entries), encoding="utf-8")
    return root


def make_asvp_esd(root, extension="wav"):
    """Speech and other sounds, of a woman (odd), a man (even) and nobody known (0); one lacks the last fields."""
    names = [
        "actor_12/03-01-06-01-02-12-02-01-01-16",
        "actor_11/03-01-01-01-90-11-03-02-02",
        "actor_13/03-02-10-02-3-13",
    ]
    names += [
        "actor_14/03-02-11-01-99-14-01-03-04-77",
        "actor_0/03-01-09-01-11-00-02-03-03",
        "actor_2/03-02-13-01-1-2-02-01-02",
    ]
    write(root / "Bonus" / "baby" / f"03-02-04-01-01-99-04.{extension}", seconds=SECONDS)
    return write_all(root / "Audio", names, extension).parent


ESD_WORDS = {  # speaker -> utterances with words and emotion, and the encoding of the speaker's table
    "0001": ("0001_000351\t打远一看\t生气\n0001_000001\t他的 家\t中立\n", "gb18030"),
    "0010": ("0010_000701\t快乐的人\t快乐\n", "utf-16"),
    "0009": ("0009_001051\t伤心\t伤心\n", "utf-8"),
    "0011": ("\ufeff0011_000351\tThe nine the eggs, I keep.\tAngry\n", "utf-8"),
    "0015": ("0015_000137 Let the glass globe be. Neutral\n\n0015_000701\tAn hour – out.\tHappy\n", "cp1252"),
    "0020": ("0020_001401\tWhat is that?\tSurprise\nno utterance here\n", "utf-16"),
}
ESD_FOLDERS = {
    "00035": "Angry",
    "0000": "Neutral",
    "0001": "Neutral",
    "0007": "Happy",
    "0010": "Sad",
    "0014": "Surprise",
}


def make_esd(root, extension="wav", split=""):
    """Speakers of both languages with tables in several encodings; `split` is a folder before the files."""
    for speaker, (text, encoding) in ESD_WORDS.items():
        (root / speaker).mkdir(parents=True)
        (root / speaker / f"{speaker}.txt").write_bytes(text.encode(encoding))
        for line in text.splitlines():
            utterance = line.lstrip("\ufeff")[:11]
            if utterance.startswith(f"{speaker}_"):
                emotion = next(name for start, name in ESD_FOLDERS.items() if utterance[5:].startswith(start))
                write(root / speaker / emotion / split / f"{utterance}.{extension}", seconds=SECONDS)
    return root


MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
MELD_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
MELD_ROWS = {  # split -> rows as their bytes are; quotes of Windows-1252 in three states
    "train": [
        (b'1,"Oh my God, he\x92s lost it.",Phoebe,sadness,negative,0,0', "0"),
        (b"2,What?,Ross,surprise,negative,0,1", "1"),
    ],
    "dev": [('3,"it\x92s, it\xc2\x92s",Dr. Harad,neutral,neutral,0,0'.encode(), "0")],
    "test": [
        ("4,Whyâ€™d you?,Joey,joy,positive,0,0".encode(), "0"),
        (b"5,Ugh,Monica,disgust,negative,0,1", "1"),
        (b"6,No,Guy,fear,negative,0,2", "2"),
        (b"7,Get out,Rachel,anger,negative,0,3", "3"),
    ],
}


def make_meld(root, extension="wav"):
    """Numbers start anew in each split."""
    root.mkdir(parents=True, exist_ok=True)
    for split, rows in MELD_ROWS.items():
        lines = [row + b',8,21,"00:16:16,059","00:16:21,731"\n' for row, _ in rows]
        (root / f"{split}_sent_emo.csv").write_bytes(MELD_HEADER.encode() + b"".join(lines))
        write_all(root / MELD_FOLDERS[split], [f"dia0_utt{number}" for _, number in rows], extension)
    return root


IMPROV_ROWS = {  # name -> label, ratings
    "S01A-F01-P-FM01": "N; A:3.000000; V:3.500000; D:NaN ; N:4.200000;",
    "S01A-M01-S-MF02": "A; A:4.000000; V:1.500000; D:3.000000 ; N:4.200000;",
    "S12H-F05-T-FM01": "H; A:4.000000; V:5.000000; D:3.000000 ; N:4.200000;",
    "S03S-F06-R-FF01": "S; A:1.000000; V:1.500000; D:2.000000 ; N:3.200000;",
    "S03N-M06-P-MM01": "X; A:2.500000; V:3.000000; D:3.000000 ; N:NaN;",
}


def make_msp_improv(root, extension="wav", table="Evaluation.txt", inner="."):
    """The table names the videos, and tells below each what a rater said."""
    lines = []
    for name, labels in IMPROV_ROWS.items():
        lines += [f"UTD-IMPROV-{name}.avi; {labels}", "ID1; Neutral; Neutral,; A:3; V:3; D:3; N:4;", ""]
        sentence, speaker, scenario, _ = name.split("-")
        folder = root / inner / f"session{speaker[-1]}" / sentence / scenario
        write(folder / f"MSP-IMPROV-{name}.{extension}", seconds=SECONDS)
    (root / table).write_text("\n".join(lines), encoding="utf-8")
    return root


VOICE_HEADER = (
    "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tvariant\tlocale\tsegment"
)
INDIA = "India and South Asia (India, Pakistan, Sri Lanka)"
VOICE_ROWS = {  # split -> speaker, clip, sentence, age, gender, accent
    "train": [("a1", 'He said "no', "twenties", "male_masculine", "United States English")],
    "dev": [("b2", "Yes.", "fourties", "female", INDIA), ("b2", "No.", "fourties", "female", INDIA)],
    "test": [
        ("c3", "Why?", "seventies", "female_feminine", "England English"),
        ("d4", "Oh.", "", "non-binary", "Lunar"),
    ],
}


def voice_row(speaker, clip, sentence, age="", gender="", accent=""):
    """Return one line of a table of Common Voice."""
    return "\t".join((speaker, clip, "s1", sentence, "2", "0", age, gender, accent, "", "en", ""))


def make_common_voice(root, extension="mp3"):
    """The owner's splits, and a clip that only other.tsv lists; the tables say .mp3 whatever is on disk."""
    (root / "clips").mkdir(parents=True)
    clips = {}
    for split, rows in VOICE_ROWS.items():
        lines = [VOICE_HEADER]
        for speaker, *rest in rows:
            clips[split] = name = f"common_voice_en_{split}{len(lines)}"
            lines.append(voice_row(speaker, f"{name}.mp3", *rest))
            write(root / "clips" / f"{name}.{extension}", seconds=SECONDS)
        (root / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write(root / "clips" / f"common_voice_en_9.{extension}", seconds=SECONDS)
    (root / "other.tsv").write_text(f"{VOICE_HEADER}\n{voice_row('z9', 'common_voice_en_9.mp3', 'Hm.')}\n")
    return root


def make_voxceleb(root, extension="wav"):
    """Both tables, the second with blanks before its commas; both parts of the audio."""
    names = [
        "dev/wav/id10001/1zcIwhmdeo4/00001",
        "dev/wav/id10020/7w0IBEWc9Qw/00002",
        "test/wav/id10270/5r0dWxy17C8/00001",
    ]
    write_all(root, [*names, "dev/aac/id00012/21Uxsk56VDQ/00001"], extension)
    people = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", "id10001\tA.J._Buckley\tm\tIreland\tdev"]
    people += ["id10020\tAdam_West\tm\tUSA\tdev", "id10270\tEartha_Kitt\tf\tUSA\ttest"]
    (root / "vox1_meta.csv").write_text("\n".join(people) + "\n", encoding="utf-8")
    (root / "vox2_meta.csv").write_text("VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,f ,dev \n")
    return root


FIELD_MAKERS = {
    **{"emovo": make_emovo, "savee": make_savee, "cafe": make_cafe, "aesdd": make_aesdd, "casia": make_casia},
    **{"emov_db": make_emov_db, "shemo": make_shemo, "asvp_esd": make_asvp_esd, "esd": make_esd, "meld": make_meld},
    **{"msp_improv": make_msp_improv, "common_voice": make_common_voice, "voxceleb": make_voxceleb},
}
