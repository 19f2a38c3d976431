"""Small corpora in their owners' layouts, with synthetic voices; `field_layouts` has more."""

import soundfile

from .field_layouts import FIELD_MAKERS
from .voices import RATE, voice, write


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


MSP_HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
MSP_ROWS = [  # class, speaker, gender, split
    "A 30 Male Train",
    "H 31 Female Train",
    "X 31 Female Train",
    "O Unknown Unknown Train",
    "N 32 Male Development",
    "C 33 Female Test1",
    "U 34 Male Test2",
]


def make_msp_podcast(root, extension="wav", table="labels_consensus.csv", header=MSP_HEADER, seconds=0.1):
    """One utterance of each kind; X has no agreement."""
    lines = [header]
    for i, row in enumerate(MSP_ROWS):
        emotion, speaker, gender, split = row.split()
        name = f"MSP-PODCAST_0001_{i:04}"
        lines.append(f"{name}.wav,{emotion},{1 + i * 0.8:.1f},{4.0 + 0.1 * i},2.6,{speaker},{gender},{split}")
        write(root / "Audios" / f"{name}.{extension}", pitch=100 + 25 * i, seconds=seconds + 0.05 * i, seed=i)
    (root / "Labels").mkdir(parents=True, exist_ok=True)
    (root / "Labels" / table).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def make_msp_audformat(root, extension="wav"):
    """The same utterances as audEERING converts them: tables of audformat, the speaker's gender in a scheme."""
    import audformat

    names = {"A": "anger", "H": "happiness", "X": "no_agreement", "O": "other", "N": "neutral", "C": "contempt"}
    names["U"] = "surprise"
    splits = {"Train": "train", "Development": "development", "Test1": "test-1", "Test2": "test-2"}
    database = audformat.Database("msp-podcast")
    database.schemes["emotion"] = audformat.Scheme("str", labels=sorted(names.values()))
    for dimension in ("arousal", "valence", "dominance"):
        database.schemes[dimension] = audformat.Scheme("float")
    genders = {row.split()[1]: {"gender": row.split()[2].lower()} for row in MSP_ROWS}
    database.schemes["speaker"] = audformat.Scheme("str", labels=genders)
    files = []
    for i in range(len(MSP_ROWS)):
        files.append(f"Audios/MSP-PODCAST_0001_{i:04}.{extension}")
        write(root / files[-1], seconds=0.1)
    for given, split in splits.items():
        here = [i for i, row in enumerate(MSP_ROWS) if row.split()[3] == given]
        index = audformat.filewise_index([files[i] for i in here])
        table = database[f"categories.consensus.{split}"] = audformat.Table(index)
        table["emotion"] = audformat.Column(scheme_id="emotion")
        table["emotion"].set([names[MSP_ROWS[i].split()[0]] for i in here])
        table = database[f"dimensions.consensus.{split}"] = audformat.Table(index)
        for dimension, values in (("arousal", [1 + 0.8 * i for i in here]), ("valence", 4.0), ("dominance", 2.6)):
            table[dimension] = audformat.Column(scheme_id=dimension)
            table[dimension].set(values)
    table = database["speaker"] = audformat.Table(audformat.filewise_index(files))
    table["speaker"] = audformat.Column(scheme_id="speaker")
    table["speaker"].set([row.split()[1] for row in MSP_ROWS])
    database.save(str(root))
    return root


def make_iemocap(root, extension="wav"):
    """Two sessions, one dialog each; the woman wears the markers in the first (F), the man speaks in it, too."""
    for session, markers in ((1, "F"), (2, "M")):
        dialog = f"Ses{session:02}{markers}_impro05"
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        for i, label in enumerate(["ang", "hap", "exc", "sad", "neu", "fru", "xxx", "oth"]):
            utterance = f"{dialog}_{'FM'[i % 2]}{i:03}"
            lines += [f"[{i}.2250 - {i + 1}.6000]\t{utterance}\t{label}\t[1.5000, 4.0000, 4.5000]"]
            lines += ["C-E1:\tAnger;\t()", "A-E1:\tval 2; act 4; dom  4;\t(d\xe9gout)", ""]
            folder = root / f"Session{session}" / "sentences" / "wav" / dialog
            write(folder / f"{utterance}.{extension}", seconds=0.1)
        folder = root / f"Session{session}" / "dialog"
        (folder / "EmoEvaluation").mkdir(parents=True)
        (folder / "EmoEvaluation" / f"{dialog}.txt").write_bytes("\n".join(lines).encode("latin-1"))
        (folder / "EmoEvaluation" / f"._{dialog}.txt").write_bytes(b"what macOS leaves beside files")
        (folder / "transcriptions").mkdir()
        words = f"{dialog}_F000 [006.2901-008.2357]: Excuse me.\n{dialog}_M001 [008.3-009.1]: Yeah.\n"
        (folder / "transcriptions" / f"{dialog}.txt").write_text(words)
    return root


def make_crema_d(root, extension="wav"):
    """Two actors of training and one each of validation and test; one file has no audio, one is there twice."""
    for number, actor in enumerate(("1001", "1076", "1018", "1004")):
        for emotion in ("ANG_XX", "NEU_LO"):
            write(root / "AudioWAV" / f"{actor}_DFA_{emotion}.{extension}", pitch=100 + 30 * number, seconds=0.4)
    (root / "AudioWAV" / f"1076_MTI_SAD_XX.{extension}").write_bytes(b"")
    twice = root / "AudioWAV" / f"1001_DFA_ANG_XX.{extension}"
    twice.with_name(f"1001_DFA_FEA_XX.{extension}").write_bytes(twice.read_bytes())
    people = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1076,25,Female,Asian,Not Hispanic\n"
    people += "1018,25,Female,Asian,Not Hispanic\n1004,62,Male,Caucasian,Not Hispanic\n"
    (root / "VideoDemographics.csv").write_text(people)
    votes = '"","FileName","VoiceVote","VoiceLevel"\n"1","1001_DFA_ANG_XX","A","69.1"\n'
    (root / "summaryTable.csv").write_text(votes + '"2","1001_DFA_NEU_LO","N:S","57:61.25"\n')
    return root


def make_tess(root, extension="wav"):
    """Folders of uneven spelling, AIFF named .wav, 96 kHz, and a name that lacks a letter."""
    files = {
        "OAF_angry": "OAF_back_angry",
        "OAF_Fear": "OAF_food_fear",
        "OAF_neutral": "OA_bite_neutral",
        "OAF_Pleasant_surprise": "OAF_back_ps",
        "YAF_angry": "YAF_germ_angry",
        "YAF_disgust": "YAF_back_disgust",
        "YAF_pleasant_surprised": "YAF_back_ps",
        "YAF_sad": "YAF_back_sad",
        "YAF_happy": "YAF_back_happy",
    }
    for folder, name in files.items():
        rate = 96000 if name == "OAF_food_fear" and extension.lower() == "wav" else RATE
        path = write(root / folder / f"{name}.{extension}", seconds=0.1, rate=rate)
        if name == "YAF_germ_angry" and extension.lower() == "wav":
            soundfile.write(path, voice(seconds=0.1), RATE, format="AIFF")
    return root


def make_fau_aibo(root, extension="wav"):
    """One chunk of every class; the tables are in Latin-1 and have no header."""
    chunks = {f"{school}_01_000_0{i}": label for school in ("Ohm", "Mont") for i, label in enumerate("AENPR")}
    for chunk in chunks:
        write(root / "wav" / f"{chunk}.{extension}", seconds=0.1)
    folder = root / "labels" / "IS2009EmotionChallenge"
    folder.mkdir(parents=True)
    five = "".join(f"{chunk} {label} 0.8\n" for chunk, label in chunks.items())
    two = "".join(f"{chunk} {'NEG' if label in 'AE' else 'IDL'} 0.8\n" for chunk, label in chunks.items())
    (folder / "chunk_labels_5cl_corpus.txt").write_text(five)
    (folder / "chunk_labels_2cl_corpus.txt").write_text(two)
    return root


def make_alc(root, extension="wav"):
    """The challenge's layout."""
    lines = ["file,challenge_class"]
    for i, (prefix, folder) in enumerate((("TR", "TRAIN"), ("DE", "DEVEL"), ("TE", "TEST"), ("TE", "TEST"))):
        lines.append(f"{prefix}_{i:04},{'AL' if i % 2 else 'NAL'}")
        write(root / "DIST" / folder / f"{prefix}_{i:04}.{extension}", seconds=0.1)
    (root / "ALC.csv").write_text("\n".join(lines) + "\n")
    return root


def make_alc_bas(root, extension="wav"):
    """The layout of the Bavarian Archive for Speech Signals, with the test told by TESTMAPPING.txt."""
    folder = root / "DOC" / "IS2011CHALLENGE"
    folder.mkdir(parents=True)
    for i, table in enumerate(("TRAIN", "D1", "D2")):
        rows = []
        for state, bac in (("I", "0.00111"), ("N", "0")):
            name = f"BLOCK10/SES{i}006/00{i}100600{state}_h_00"
            rows.append(f"{name}.WAV\t{bac}\t{state}")
            write(root / "DATA" / f"{name}.{extension}", seconds=0.1)
        (folder / f"{table}.TBL").write_text("\n".join(rows) + "\n")
    (folder / "TESTMAPPING.txt").write_text("TE_0001.WAV\t002100600I_h_00.WAV\nTE_0002.WAV\t002100600N_h_00.WAV\n")
    return root


def make_sld(root, extension="wav"):
    """Two chunks of each split, one speaker's name with an umlaut in Latin-1."""
    lines = ["file;likability;sprecher"]
    for i, split in enumerate(("train", "train", "devel", "test", "test")):
        lines.append(f"{split}_{i:04}.wav;{'NL' if i % 2 else 'L'};M\xfcller")
        write(root / "wav" / f"{split}_{i:04}.{extension}", seconds=0.1)
    (root / "LSC_final_geheim.csv").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    return root


MAKERS = {
    **FIELD_MAKERS,
    **{"nemo": make_nemo, "emodb": make_emodb, "ravdess": make_ravdess, "librispeech": make_librispeech},
    **{"msp_podcast": make_msp_podcast, "iemocap": make_iemocap, "crema_d": make_crema_d, "tess": make_tess},
    **{"fau_aibo": make_fau_aibo, "alc": make_alc, "sld": make_sld},
}
