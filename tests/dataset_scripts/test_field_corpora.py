"""The field's further corpora in their owners' layouts: each fixture's labels, its quirks, and what is left out."""

import av
import numpy as np
import pytest
from helpers.field_layouts import (
    FIELD_MAKERS,
    VOICE_HEADER,
    make_cafe,
    make_casia,
    make_emov_db,
    make_esd,
    make_meld,
    make_msp_improv,
    make_savee_flat,
    make_shemo,
    make_voxceleb,
    voice_row,
    write_all,
)
from helpers.voices import write

from dataset_scripts.corpora import CORPORA, TASKS, CorpusError, scan_corpus
from dataset_scripts.corpora.meld import repair_quotes
from dataset_scripts.egemaps import extract_functionals

LABELS = {  # corpus -> file -> speaker, gender, emotion, split
    "emovo": {
        "f1/dis-f1-l4.wav": ("f1", "female", "disgusted", "train"),
        "f1/neu-f1-b1.wav": ("f1", "female", "neutral", "train"),
        "f2/gio-f2-b1.wav": ("f2", "female", "happy", "validation"),
        "f3/pau-f3-b1.wav": ("f3", "female", "fearful", "test"),
        "m1/rab-m1-b1.wav": ("m1", "male", "angry", "train"),
        "m2/sor-m2-b1.wav": ("m2", "male", "surprised", "validation"),
        "m3/tri-m3-b1.wav": ("m3", "male", "sad", "test"),
    },
    "savee": {
        "AudioData/DC/a01.wav": ("DC", "male", "angry", "train"),
        "AudioData/DC/su02.wav": ("DC", "male", "surprised", "train"),
        "AudioData/JE/d01.wav": ("JE", "male", "disgusted", "train"),
        "AudioData/JE/sa03.wav": ("JE", "male", "sad", "train"),
        "AudioData/JK/f01.wav": ("JK", "male", "fearful", "validation"),
        "AudioData/JK/n30.wav": ("JK", "male", "neutral", "validation"),
        "AudioData/KL/h15.wav": ("KL", "male", "happy", "test"),
        "AudioData/KL/sa01.wav": ("KL", "male", "sad", "test"),
    },
    "cafe": {
        "Colère/Faible/01-C-1-1.wav": ("01", "male", "angry", "train"),
        "Colère/Fort/02-C-2-2.wav": ("02", "female", "angry", "train"),
        "Dégoût/Fort/09-D-2-6.wav": ("09", "male", "disgusted", "validation"),
        "Joie/Fort/11-J-2-3.wav": ("11", "male", "happy", "test"),
        "Neutre/12-N-1-1.wav": ("12", "female", "neutral", "test"),
        "Peur/Faible/07-P-1-4.wav": ("07", "male", "fearful", "train"),
    },
    "aesdd": {
        "anger/a03 (4).wav": ("4", None, "angry", "validation"),
        "Fear/f18 (5).wav": ("5", None, "fearful", "test"),
        "Fear/f18 (5)b.wav": ("5", None, "fearful", "test"),
        "Disgust/d01 (1).wav": ("1", None, "disgusted", "train"),
        "Happiness/h20 (6).wav": ("6", None, "happy", "test"),
        "Sadness/s02 (2).wav": ("2", None, "sad", "train"),
    },
    "casia": {
        "liuchanhg/angry/201.wav": ("liuchang", "female", "angry", "train"),
        "wangzhe/fear/201.wav": ("wangzhe", "male", "fearful", "train"),
        "zhaoquanyin/surprise/201.wav": ("zhaoquanyin", "female", "surprised", "test"),
        "ZhaoZuoxiang/neutral/201.wav": ("zhaozuoxiang", "male", "neutral", "test"),
    },
    "emov_db": {
        "bea/Amused/amused_1-15_0002.wav": ("bea", "female", None, "train"),
        "bea/Angry/anger_1-28_0011.wav": ("bea", "female", "angry", "train"),
        "jenie/Disgusted/Disgust_141_168_0141.wav": ("jenie", "female", "disgusted", "test"),
        "jenie/Sleepy/Sleepy_1-28_0004.wav": ("jenie", "female", None, "test"),
        "josh_Sleepy/sleepiness_1-28_0003.wav": ("josh", "male", None, "test"),
        "sam/Neutral/neutral_1-28_0001.wav": ("sam", "male", "neutral", "train"),
    },
    "shemo": {
        "female/F01A01.wav": ("F01", "female", "angry", "train"),
        "female/F05S02.wav": ("F05", "female", "sad", "test"),
        "male/M10N14.wav": ("M10", "male", "neutral", "test"),
        "male/M13W01.wav": ("M13", "male", "surprised", "validation"),
        "male/M21F01.wav": ("M21", "male", "fearful", "train"),
        "male/M28H02.wav": ("M28", "male", "happy", "train"),
    },
    "asvp_esd": {
        "Audio/actor_12/03-01-06-01-02-12-02-01-01-16.wav": ("012", "male", "fearful", "test"),
        "Audio/actor_11/03-01-01-01-90-11-03-02-02.wav": ("011", "female", "bored", "test"),
        "Audio/actor_13/03-02-10-02-3-13.wav": ("013", "female", None, "validation"),
        "Audio/actor_14/03-02-11-01-99-14-01-03-04-77.wav": ("014", "male", None, "validation"),
        "Audio/actor_0/03-01-09-01-11-00-02-03-03.wav": (None, None, "excited", "train"),
        "Audio/actor_2/03-02-13-01-1-2-02-01-02.wav": ("002", "male", None, "test"),
    },
    "esd": {
        "0001/Angry/0001_000351.wav": ("0001", "female", "angry", "train"),
        "0001/Neutral/0001_000001.wav": ("0001", "female", "neutral", "train"),
        "0009/Sad/0009_001051.wav": ("0009", "female", "sad", "test"),
        "0010/Happy/0010_000701.wav": ("0010", "male", "happy", "test"),
        "0011/Angry/0011_000351.wav": ("0011", "male", "angry", "train"),
        "0015/Happy/0015_000701.wav": ("0015", "female", "happy", "train"),
        "0015/Neutral/0015_000137.wav": ("0015", "female", "neutral", "train"),
        "0020/Surprise/0020_001401.wav": ("0020", "male", "surprised", "test"),
    },
    "meld": {
        "train_splits/dia0_utt0.wav": ("Phoebe", "female", "sad", "train"),
        "train_splits/dia0_utt1.wav": ("Ross", "male", "surprised", "train"),
        "dev_splits_complete/dia0_utt0.wav": ("Dr. Harad", None, "neutral", "validation"),
        "output_repeated_splits_test/dia0_utt0.wav": ("Joey", "male", "happy", "test"),
        "output_repeated_splits_test/dia0_utt1.wav": ("Monica", "female", "disgusted", "test"),
        "output_repeated_splits_test/dia0_utt2.wav": ("Guy", None, "fearful", "test"),
        "output_repeated_splits_test/dia0_utt3.wav": ("Rachel", "female", "angry", "test"),
    },
    "msp_improv": {
        "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav": ("F01", "female", "neutral", "train"),
        "session1/S01A/S/MSP-IMPROV-S01A-M01-S-MF02.wav": ("M01", "male", "angry", "train"),
        "session5/S12H/T/MSP-IMPROV-S12H-F05-T-FM01.wav": ("F05", "female", "happy", "validation"),
        "session6/S03S/R/MSP-IMPROV-S03S-F06-R-FF01.wav": ("F06", "female", "sad", "test"),
        "session6/S03N/P/MSP-IMPROV-S03N-M06-P-MM01.wav": ("M06", "male", None, "test"),
    },
    "common_voice": {
        "clips/common_voice_en_train1.mp3": ("a1", "male", None, "train"),
        "clips/common_voice_en_dev1.mp3": ("b2", "female", None, "validation"),
        "clips/common_voice_en_dev2.mp3": ("b2", "female", None, "validation"),
        "clips/common_voice_en_test1.mp3": ("c3", "female", None, "test"),
        "clips/common_voice_en_test2.mp3": ("d4", None, None, "test"),
    },
    "voxceleb": {
        "dev/wav/id10001/1zcIwhmdeo4/00001.wav": ("id10001", "male", None, "train"),
        "dev/wav/id10020/7w0IBEWc9Qw/00002.wav": ("id10020", "male", None, "validation"),
        "dev/aac/id00012/21Uxsk56VDQ/00001.wav": ("id00012", "female", None, "train"),
        "test/wav/id10270/5r0dWxy17C8/00001.wav": ("id10270", "female", None, "test"),
    },
}
FURTHER = [  # corpus, file, column, value
    ("cafe", "Colère/Fort/02-C-2-2.wav", "intensity", "strong"),
    ("cafe", "Neutre/12-N-1-1.wav", "intensity", None),
    ("cafe", "Colère/Fort/02-C-2-2.wav", "age", 64),
    ("cafe", "Colère/Fort/02-C-2-2.wav", "transcript", "Deux ânes aigris au pelage brun"),
    ("emov_db", "bea/Amused/amused_1-15_0002.wav", "style", "amused"),
    ("emov_db", "josh_Sleepy/sleepiness_1-28_0003.wav", "style", "sleepy"),
    ("shemo", "male/M10N14.wav", "transcript", "چرا"),
    ("shemo", "female/F05S02.wav", "transcript", None),
    ("asvp_esd", "Audio/actor_12/03-01-06-01-02-12-02-01-01-16.wav", "language", "zh"),
    ("asvp_esd", "Audio/actor_0/03-01-09-01-11-00-02-03-03.wav", "language", None),
    ("asvp_esd", "Audio/actor_11/03-01-01-01-90-11-03-02-02.wav", "age_group", "young"),
    ("asvp_esd", "Audio/actor_11/03-01-01-01-90-11-03-02-02.wav", "speech_emotion", "bored"),
    ("asvp_esd", "Audio/actor_13/03-02-10-02-3-13.wav", "sound_emotion", "pleased"),
    ("asvp_esd", "Audio/actor_13/03-02-10-02-3-13.wav", "sound", "other sound"),
    ("esd", "0001/Angry/0001_000351.wav", "transcript", "打远一看"),
    ("esd", "0001/Neutral/0001_000001.wav", "transcript", "他的 家"),
    ("esd", "0009/Sad/0009_001051.wav", "transcript", "伤心"),
    ("esd", "0010/Happy/0010_000701.wav", "transcript", "快乐的人"),
    ("esd", "0011/Angry/0011_000351.wav", "transcript", "The nine the eggs, I keep."),
    ("esd", "0015/Neutral/0015_000137.wav", "transcript", "Let the glass globe be."),
    ("esd", "0015/Happy/0015_000701.wav", "transcript", "An hour – out."),
    ("esd", "0010/Happy/0010_000701.wav", "language", "zh"),
    ("esd", "0011/Angry/0011_000351.wav", "language", "en"),
    ("meld", "train_splits/dia0_utt0.wav", "transcript", "Oh my God, he’s lost it."),
    ("meld", "dev_splits_complete/dia0_utt0.wav", "transcript", "it’s, it’s"),
    ("meld", "output_repeated_splits_test/dia0_utt0.wav", "sentiment", "positive"),
    ("msp_improv", "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav", "valence", 3.5),
    ("msp_improv", "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav", "arousal", 3.0),
    ("msp_improv", "session6/S03S/R/MSP-IMPROV-S03S-F06-R-FF01.wav", "scenario", "read"),
    ("common_voice", "clips/common_voice_en_train1.mp3", "transcript", 'He said "no'),
    ("common_voice", "clips/common_voice_en_train1.mp3", "age_group", "young"),
    ("common_voice", "clips/common_voice_en_dev1.mp3", "age_group", "middle-aged"),
    ("common_voice", "clips/common_voice_en_dev1.mp3", "accent", "Indian"),
    ("common_voice", "clips/common_voice_en_test1.mp3", "age_group", "elderly"),
    ("common_voice", "clips/common_voice_en_test2.mp3", "accent", None),
    ("voxceleb", "dev/wav/id10001/1zcIwhmdeo4/00001.wav", "nationality", "Ireland"),
    ("voxceleb", "dev/aac/id00012/21Uxsk56VDQ/00001.wav", "nationality", None),
]
LEFT_OUT = [  # corpus, file that is added, reason
    ("emovo", "f1/xyz-f1-b1.wav", "is not one of EMOVO's"),
    ("emovo", "f1/gioia è-f1.wav", "is not one of EMOVO's"),
    ("savee", "AudioData/DC/x01.wav", "is not one of SAVEE's"),
    ("savee", "AudioData/MX/a01.wav", "is not one of SAVEE's"),
    ("cafe", "Colère/Fort/13-C-2-2.wav", "is not one of CaFE's"),
    ("cafe", "Colère/Fort/01-X-2-2.wav", "is not one of CaFE's"),
    ("cafe", "Neutre/01-N-2-2.wav", "is not one of CaFE's"),
    ("aesdd", "Fear/x18 (5).wav", "is not one of AESDD's"),
    ("aesdd", "Fear/φόβος.wav", "is not one of AESDD's"),
    ("casia", "wangzhe/calm/201.wav", "is not one of CASIA's"),
    ("casia", "wangzhe/fear/二.wav", "is not one of CASIA's"),
    ("emov_db", "bea/Angry/notes.wav", "is not one of EmoV-DB's"),
    ("emov_db", "bea/Angry/amused_1-28_0012.wav", "the folder says angry, the file name amused"),
    ("shemo", "male/M10X14.wav", "is not one of ShEMO's"),
    ("asvp_esd", "Audio/actor_12/03-01-14-01-02-12-02-01-01.wav", "is not one of ASVP-ESD's"),
    ("asvp_esd", "Audio/actor_12/03-01-06-01-02-12-02-01-01-66.wav", "several voices"),
    ("asvp_esd", "Audio/actor_12/03-01-06-01-02-12-02-01-66.wav", "several voices"),
    ("esd", "0011/Fear/0011_000352.wav", "is not one of ESD's"),
    ("esd", "0011/Angry/0012_000352.wav", "is not one of ESD's"),
    ("meld", "output_repeated_splits_test/final_videos_testdia0_utt1.wav", "not listed in test_sent_emo.csv"),
    ("msp_improv", "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM99.wav", "not listed in Evaluation.txt"),
    ("common_voice", "clips/common_voice_en_77.mp3", "not listed in train.tsv, dev.tsv, test.tsv"),
    ("voxceleb", "dev/wav/id19999/1zcIwhmdeo4/00001.wav", "id19999 is in no table of people"),
    ("voxceleb", "dev/m4a/id10001/1zcIwhmdeo4/00001.wav", "the same utterance as"),
    ("voxceleb", "dev/wav/id10001/noise.wav", "is not one of VoxCeleb's"),
]


def make(name, root):
    """Write a corpus's fixture with the owner's kind of audio."""
    return FIELD_MAKERS[name](root, "mp3" if name == "common_voice" else "wav")


@pytest.mark.parametrize("name", FIELD_MAKERS)
def test_labels(tmp_path, name):
    frame, left_out = scan_corpus(name, make(name, tmp_path))
    columns = ["speaker", "gender", "emotion", "split"]
    assert {row.file: tuple(getattr(row, column) for column in columns) for row in frame.itertuples()} == LABELS[name]
    assert left_out.empty
    assert (frame.dropna(subset="speaker").groupby("speaker")["split"].nunique() == 1).all(), "speakers are held out"


@pytest.mark.parametrize(("name", "file", "column", "value"), FURTHER)
def test_further_labels(tmp_path, name, file, column, value):
    frame, _ = scan_corpus(name, make(name, tmp_path))
    assert frame.set_index("file").at[file, column] == value


@pytest.mark.parametrize(("name", "file", "reason"), LEFT_OUT)
def test_bad_names_are_counted_and_not_fatal(tmp_path, name, file, reason):
    make(name, tmp_path)
    write(tmp_path / file, seconds=0.1)
    (tmp_path / file).with_name("._hidden.wav").write_bytes(b"what macOS leaves beside files")
    frame, left_out = scan_corpus(name, tmp_path)
    assert len(frame) == len(LABELS[name])
    assert len(left_out) == 1
    # Of the same utterance in two places the one that comes first is kept.
    assert left_out["file"].iloc[0] == file or "same utterance" in reason
    assert reason in left_out["reason"].iloc[0]


@pytest.mark.parametrize("name", FIELD_MAKERS)
def test_each_task_finds_labels_of_its_own(tmp_path, name):
    frame, _ = scan_corpus(name, make(name, tmp_path))
    for task in CORPORA[name].tasks:
        assert set(task.references(frame).dropna()) <= set(task.labels)
        assert task.references(frame).notna().any(), f"{task.name} finds no row in the fixture"
        assert TASKS[task.name] is task


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("meld", "8,Hi,Guy,joy,positive,0/../../../../secret,0,1,1,a,b", "test_sent_emo.csv, row 6: .*leads out"),
        ("meld", "8,Hi,Guy,hangry,positive,1,0,1,1,a,b", "row 6: unknown emotion 'hangry'"),
        ("meld", "8,Hi,Guy,joy,mixed,1,0,1,1,a,b", "row 6: Sentiment is 'mixed'; expected one of negative"),
        ("meld", "8,Hi,Guy", "row 6: 3 fields; expected 11"),
        (
            "msp_improv",
            "UTD-IMPROV-../../etc/passwd.avi; A; A:3; V:3; D:3 ; N:3;",
            "Evaluation.txt, row 15: .*expected",
        ),
        ("msp_improv", "UTD-IMPROV-S01A-F01-P-FM09.avi; Q; A:3; V:3; D:3 ; N:3;", "EMOTION of A, H, S, N, O, X"),
        ("msp_improv", "UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3; V:3; D:3 ; N:3;", "row 15: duplicate file"),
        ("common_voice", voice_row("a1", "../../secret.mp3", "Hi."), "test.tsv, row 4: .*leads out"),
        ("common_voice", voice_row("a1", "/etc/passwd", "Hi."), "row 4: .*is absolute"),
        ("common_voice", voice_row("", "common_voice_en_9.mp3", "Hi."), "row 4: the client_id is empty"),
        ("common_voice", voice_row("a1", "common_voice_en_9.mp3", "Hi.", "old"), "row 4: age is 'old'; expected"),
        ("common_voice", voice_row("a1", "common_voice_en_9.mp3", "Hi.", "", "x"), "row 4: gender is 'x'; expected"),
    ],
)
def test_wrong_rows_are_refused(tmp_path, name, row, message):
    make(name, tmp_path / "corpus")
    table = {"meld": "test_sent_emo.csv", "msp_improv": "Evaluation.txt", "common_voice": "test.tsv"}[name]
    with open(tmp_path / "corpus" / table, "a", encoding="utf-8") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=message):
        scan_corpus(name, tmp_path / "corpus")


def test_a_rating_off_the_scale_is_refused(tmp_path):
    table = make_msp_improv(tmp_path) / "Evaluation.txt"
    table.write_text(table.read_text().replace("V:5.0", "V:7.0"))
    with pytest.raises(CorpusError, match="row 7: valence is '7.000000'; expected a number from 1 to 5"):
        scan_corpus("msp_improv", tmp_path)


@pytest.mark.parametrize(
    ("name", "file"), [("meld", "train_splits/dia0_utt0"), ("common_voice", "clips/common_voice_en_dev1.mp3")]
)
def test_rows_without_audio_are_counted(tmp_path, name, file):
    make(name, tmp_path)
    next(
        path for path in (tmp_path / file).parent.iterdir() if path.stem == file.rpartition("/")[2].split(".")[0]
    ).unlink()
    frame, left_out = scan_corpus(name, tmp_path)
    assert len(frame) == len(LABELS[name]) - 1
    assert list(left_out["file"]) == [file]
    assert "but" in left_out["reason"].iloc[0]


def test_savee_in_one_folder_is_the_same(tmp_path):
    frame, left_out = scan_corpus("savee", make_savee_flat(tmp_path / "ALL"))
    columns = ("speaker", "gender", "emotion", "split")
    assert [tuple(row) for row in frame[list(columns)].to_numpy()] == list(LABELS["savee"].values())
    assert left_out.empty


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_cafe_with_accents_in_either_form(tmp_path, form):
    frame, left_out = scan_corpus("cafe", make_cafe(tmp_path / "CaFE_48k", form=form))
    assert len(frame) == 6
    assert left_out.empty


def test_cafe_in_two_parts(tmp_path):
    write_all(tmp_path / "CaFE_192k_1", ["Colère/Faible/01-C-1-1"], "aiff")
    write_all(tmp_path / "CaFE_192k_2", ["Neutre/02-N-1-1"], "aiff")
    assert list(scan_corpus("cafe", tmp_path)[0]["emotion"]) == ["angry", "neutral"]


def test_casia_in_its_other_layouts(tmp_path):
    names = ["相同文本300/liuchanhg/angry/201", "不同文本100/Zuoxiang.Zhao/normal/301"]
    frame, left_out = scan_corpus("casia", write_all(tmp_path / "whole", names, "wav"))
    assert sorted(zip(frame["speaker"], frame["emotion"], strict=True)) == [
        ("liuchang", "angry"),
        ("zhaozuoxiang", "neutral"),
    ]
    assert left_out.empty
    names = ["angry/201-angry-liuchanhg", "surprise/202-surprise-wangzhe"]
    frame, left_out = scan_corpus("casia", write_all(tmp_path / "flat", names, "wav"))
    assert list(frame["speaker"]) == ["liuchang", "wangzhe"]
    assert list(frame["emotion"]) == ["angry", "surprised"]
    assert left_out.empty
    assert len(scan_corpus("casia", make_casia(tmp_path / "folders"))[0]) == 4


def test_esd_with_the_owner_s_split_is_the_same(tmp_path):
    split, left_out = scan_corpus("esd", make_esd(tmp_path / "split", split="evaluation"))
    flat, _ = scan_corpus("esd", make_esd(tmp_path / "flat"))
    columns = ["speaker", "emotion", "language", "transcript", "split"]
    assert split[columns].equals(flat[columns])
    assert left_out.empty


def test_meld_with_tables_and_clips_in_folders_of_the_splits(tmp_path):
    whole = make_meld(tmp_path / "whole")
    for split, folder in {"train": "train", "dev": "dev", "test": "test"}.items():
        (tmp_path / "parts" / folder).mkdir(parents=True)
        table = f"{split}_sent_emo.csv"
        (whole / table).rename(tmp_path / "parts" / folder / table)
    (whole / "train_splits").rename(tmp_path / "parts" / "train" / "train_splits")
    (whole / "dev_splits_complete").rename(tmp_path / "parts" / "dev" / "dev_splits_complete")
    (whole / "output_repeated_splits_test").rename(tmp_path / "parts" / "test" / "output_repeated_splits_test")
    frame, left_out = scan_corpus("meld", tmp_path / "parts")
    assert list(frame["split"].value_counts().sort_index()) == [4, 2, 1]
    assert left_out.empty


def test_meld_s_videos_are_read(tmp_path):
    make_meld(tmp_path)
    sounds = tmp_path / "output_repeated_splits_test" / "dia0_utt0.wav"
    sounds.unlink()
    with av.open(str(sounds.with_suffix(".mp4")), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        tone = np.sin(2 * np.pi * 150 * np.arange(16000) / 16000, dtype="float32")[None] * 0.3
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    table, left_out = scan_corpus("meld", tmp_path)
    assert left_out.empty
    row = table[table["file"].str.endswith(".mp4")]
    assert list(row["emotion"]) == ["happy"]
    functionals, unreadable = extract_functionals(row)
    assert len(functionals) == 1
    assert unreadable.empty


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("it\x92s", "it’s"),
        ("it\xc2\x92s", "it’s"),
        ("itâ€™s", "it’s"),
        ("it\xe2\x80\x99s", "it’s"),
        ("\x93Hi\x94 \x96 \x85", "“Hi” – …"),
        ("it’s 5 €, café, Â", "it’s 5 €, café, Â"),
    ],
)
def test_quotes_of_windows_1252(given, wanted):
    assert repair_quotes(given) == wanted


@pytest.mark.parametrize("table", ["Evaluation.txt", "Evalution.txt"])
@pytest.mark.parametrize("inner", [".", "Audio"])
def test_msp_improv_in_both_spellings_and_layouts(tmp_path, table, inner):
    frame, left_out = scan_corpus("msp_improv", make_msp_improv(tmp_path, table=table, inner=inner))
    assert len(frame) == 5
    assert left_out.empty
    assert frame["dominance"].isna().sum() == 1


def test_common_voice_without_splits_and_of_an_old_release(tmp_path):
    rows = [voice_row(f"speaker{i // 2}", f"c{i}.mp3", "Hi.", "", "male", "us") for i in range(40)]
    write_all(tmp_path / "clips", [f"c{i}" for i in range(40)], "mp3")
    header = VOICE_HEADER.replace("accents", "accent")
    (tmp_path / "validated.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    frame, left_out = scan_corpus("common_voice", tmp_path)
    assert left_out.empty
    assert set(frame["split"]) == {"train", "validation", "test"}
    assert (frame.groupby("speaker")["split"].nunique() == 1).all()
    assert set(frame["accent"]) == {"American"}


def test_voxceleb_refuses_a_broken_table(tmp_path):
    table = make_voxceleb(tmp_path) / "vox1_meta.csv"
    whole = table.read_text()
    table.write_text(whole + "id10001\tA.J._Buckley\tm\tIreland\tdev\n")
    with pytest.raises(CorpusError, match="vox1_meta.csv, row 5: duplicate VoxCeleb1 ID id10001"):
        scan_corpus("voxceleb", tmp_path)
    table.write_text(whole.replace("\tf\t", "\tx\t"))
    with pytest.raises(CorpusError, match="row 4: Gender is 'x'; expected one of f, m"):
        scan_corpus("voxceleb", tmp_path)


@pytest.mark.parametrize("content", ["{", '{"id": "F01A01"}', '[{"name": 1}]', "[1]"])
def test_shemo_refuses_a_broken_table(tmp_path, content):
    (make_shemo(tmp_path) / "shemo.json").write_text(content)
    with pytest.raises(CorpusError, match="shemo.json is not the owner's: .*expected a list"):
        scan_corpus("shemo", tmp_path)


def test_emov_db_s_archives_unpacked_side_by_side(tmp_path):
    names = ["bea_Amused/amused_1-15_0002", "sam_Amused/amused_1-15_0002"]
    frame, left_out = scan_corpus("emov_db", write_all(tmp_path, names, "wav"))
    assert list(frame["speaker"]) == ["bea", "sam"]
    assert left_out.empty
    assert len(scan_corpus("emov_db", make_emov_db(tmp_path / "x" / "sorted"))[0]) == 6
