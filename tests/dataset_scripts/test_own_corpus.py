"""A corpus of one's own: whatever a table looks like, good rows are read and bad ones cost themselves alone."""

import json
import os

import pandas as pd
import pytest
from datasets import load_dataset
from helpers.owners_layouts import write

from dataset_scripts.build_query_corpus import main as build
from dataset_scripts.corpora import CORPORA, TASKS, CorpusError, load_corpus, parse_corpora, scan_corpus
from dataset_scripts.corpora.__main__ import main as corpora_command
from paraclap.evaluation.__main__ import main as evaluate

pytestmark = pytest.mark.usefixtures("registry")


def make(root, text, files=("a.wav", "b.wav", "c.wav"), table="files.csv", encoding="utf-8"):
    """A folder with recordings (files with nothing in them: no audio is opened) and a table."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / table).parent.mkdir(parents=True, exist_ok=True)
    (root / table).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return root


def read(root, text, *files, **options):
    """The rows by file, and the reasons of those left out."""
    frame, rejected = scan_corpus("my", make(root, text, files or ("a.wav", "b.wav", "c.wav"), **options))
    return frame.set_index("file"), list(rejected["reason"])


THREE = {"a.wav": "angry", "b.wav": "sad", "c.wav": "happy"}


@pytest.mark.parametrize(
    "text",
    [
        "file,emotion\na.wav,angry\nb.wav,sad\nc.wav,happy\n",
        "file;emotion\na.wav;anger\nb.wav;sadness\nc.wav;joy",
        "FileName\tEMOTION\r\na.wav\tangry\r\nb.wav\tsad\r\nc.wav\thappy\r\n",
        "emotion|File Name\nangry|a\nsad|b\nhappy|c\n",
        "sep=;\nFile Path;Emotion\na.wav;angry\nb.wav;sad\nc.wav;happy\n",
        '"file","emotion"\r"a.wav","angry"\r"b.wav","sad"\r"c.wav","happy"\r',
        "\n\nWAV, emotion \n a.wav , angry\n\nb.wav,sad\n,\nc.wav,happy\n\n",
        ",path,emotion\n0,./a.wav,angry\n1,b.wav,sad\n2,c,happy\n",
        "\ufefffile,emotion\na.wav,angry\nb.wav,sad\nc.wav,happy\n",
        "audio,emotion,\na.wav,angry,\nb.wav,sad,\nc.wav,happy,,,\n",
    ],
)
def test_any_usual_way_to_write_a_table(tmp_path, text):
    frame, reasons = read(tmp_path, text)
    assert reasons == []
    assert frame["emotion"].to_dict() == THREE
    assert set(frame["split"]) == {"test"}
    assert TASKS["my-emotion"].labels == {"happy": "happy", "sad": "sad", "angry": "angry"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path, encoding):
    frame, _ = read(tmp_path, "file;Stimmung\na;fröhlich\nb;Ärger\n", encoding=encoding)
    assert frame["stimmung"].to_dict() == {"a.wav": "fröhlich", "b.wav": "Ärger"}
    told = any("Windows-1252" in remark for remark in CORPORA["my"].remarks)
    assert told == (encoding == "cp1252")


def test_files_are_found_as_people_name_them(tmp_path):
    on_disk = ("a.wav", "wav/b.flac", "wav/deep/c.WAV", "d.e.wav", "Ü.wav", "g.mp4", "k.flac", "K.wav")
    names = ["a", "b.wav", r"deep\c.wav", "d.e", "u\u0308", "g.mp4", "k.wav"]
    table = "file,x\n" + "".join(f"{name},{'yn'[i % 2]}\n" for i, name in enumerate(names))
    frame, reasons = read(tmp_path, table, *on_disk)
    assert reasons == []
    assert set(frame.index) == {"Ü.wav", "a.wav", "d.e.wav", "g.mp4", "k.flac", "wav/b.flac", "wav/deep/c.WAV"}


def test_a_name_that_fits_several_files_is_not_guessed(tmp_path):
    frame, reasons = read(tmp_path, "file,x\na,y\nb,n\na.wav,n\n", "a.wav", "a.flac", "b.wav")
    assert list(frame.index) == ["a.wav", "b.wav"]
    assert reasons == ["files.csv, line 2: a.flac and a.wav fit that name; give the extension"]


def test_bad_rows_cost_themselves_alone_and_are_named_with_their_lines(tmp_path):
    secret = tmp_path / "secret.wav"
    secret.touch()
    root = tmp_path / "my"
    make(root, "", [f"{i}.wav" for i in range(10)])
    (root / "link.wav").symlink_to(secret)
    (root / "linked").symlink_to(tmp_path)
    (root / "folder.wav").mkdir()
    os.mkfifo(root / "pipe.wav")
    lines = [
        "file,mood,split",
        "0.wav,calm,train",
        "../secret.wav,calm,train",  # 3
        "../../../../etc/passwd,calm,train",
        f"{secret},calm,train",
        r"C:\Windows\a.wav,calm,train",
        "link.wav,calm,train",  # 7
        "linked/secret.wav,calm,train",
        "missing.wav,calm,train",
        ",calm,train",  # 10
        "1.wav,calm",
        "1.wav,calm,train,more",
        '"2.wav,calm,train',
        '"3.wav"x,calm,train',  # 14
        "4.wav,calm,later",
        "5.wav,calm,",
        '"6.wav","calm","train"',  # 17 good
        "folder.wav,calm,train",
        "pipe.wav,calm,train",
        "\x1b[31mred.wav,calm,train",  # 20
        '7.wav,"wild\nat heart",test',  # 21 and 22 good
        "8.wav,wild,test",
        "8.wav,wild,test",  # 24
        "9.wav,wild,test",
        "./9.wav,calm,test",  # 26
    ]
    frame, reasons = read(root, "\n".join(lines), *(f"{i}.wav" for i in range(10)))
    assert list(frame.index) == ["0.wav", "6.wav", "7.wav", "8.wav"]
    assert frame.loc["7.wav", "mood"] == "wild at heart"
    expected = {
        3: "leads out of the corpus folder",
        4: "leads out of the corpus folder",
        5: "is absolute",
        6: "is absolute",
        7: "leads out of the corpus folder",
        8: "leads out of the corpus folder",
        9: "no such file",
        10: "no file is named",
        11: "2 cells; expected 3",
        12: "4 cells; expected 3",
        13: "a quoted cell is not closed",
        14: "a quoted cell is not closed or has text after its quote",
        15: "the split is 'later'; expected train, validation (dev, devel) or test",
        16: "the split is None",
        18: "no such file",
        19: "no such file",
        20: "no such file",
        24: "line 23 is the same row",
        25: "line 26 gives the file other labels",
        26: "line 25 gives the file other labels",
    }
    assert [reason.partition(": ")[0] for reason in reasons] == [f"files.csv, line {line}" for line in expected]
    for reason, words in zip(reasons, expected.values(), strict=True):
        assert words in reason
    assert not any("\x1b" in cell for cell in scan_corpus("my", root)[1]["file"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a header such as file,emotion"),
        ("\n \n", "is empty"),
        (
            "emotion,speaker\nangry,a\n",
            "no column that names the files: it has emotion, speaker; expected one called file",
        ),
        ("a.wav,angry\nb.wav,sad\n", "has no header but a row"),
        ("file,label,Label\na,x,y\n", "has the column 'Label' twice"),
        ("file,emotion\n", "names no file that can be used; 0 rows were left out"),
        ("file,emotion\nx.wav,sad\n", "1 rows were left out. The first: files.csv, line 2: no such file"),
        (b"PK\x03\x04\x00\x00\x00", "is not a text table"),
        (b"file\na\x81\n", "is neither UTF-8 nor Windows-1252 text"),
    ],
)
def test_tables_that_are_none(tmp_path, text, message):
    with pytest.raises(CorpusError) as error:
        read(tmp_path, text)
    assert message in str(error.value)


def test_names_and_folders_that_are_none(tmp_path):
    make(tmp_path, "file,x\na,y\nb,n\n", table="labels.csv")
    for argument, message in {
        f"my={tmp_path}": f"to read labels.csv, give {tmp_path / 'labels.csv'}",
        f"my={tmp_path / 'nowhere'}": "is neither a folder nor a table",
        f"../my={tmp_path / 'labels.csv'}": "cannot be the name of a corpus",
        f"pooled={tmp_path / 'labels.csv'}": "cannot be the name of a corpus",
        f"ravdes={tmp_path / 'nowhere'}": "Unknown corpus 'ravdes'; known are aesdd, alc, ",
    }.items():
        with pytest.raises(CorpusError) as error:
            parse_corpora([argument])
        assert message in str(error.value)
    assert parse_corpora([f"my={tmp_path / 'labels.csv'}"]) == {"my": tmp_path / "labels.csv"}


@pytest.mark.parametrize("empty", ["", "nan", "NaN", "N/A", "NA", "null", "?", '""'])
def test_an_empty_label_costs_the_label_alone(tmp_path, empty):
    frame, reasons = read(tmp_path, f"file,emotion,accent\na,angry,{empty}\nb,{empty},Irish\nc,sad,Welsh\n")
    assert reasons == []
    assert list(frame["emotion"]) == ["angry", None, "sad"]
    assert list(frame["accent"]) == [None, "Irish", "Welsh"]
    assert list(TASKS["my-accent"].references(frame)) == [None, "Irish", "Welsh"]


def test_known_columns_have_the_project_s_words(tmp_path):
    header = "file,Emotion,Sex,Age,Activation,speaker_id,locale,sentence\n"
    rows = ["a,Anger,F,34.0,1,s1,en-US,Hello", "b,sadness,male,17,2,s2,de,Hallo", "c,JOY,w,fifties,3,s3,de,Tag"]
    frame, _ = read(tmp_path, header + "\n".join(rows))
    assert list(frame["emotion"]) == ["angry", "sad", "happy"]
    assert list(frame["gender"]) == ["female", "male", "female"]
    assert frame["age"].tolist()[:2] == [34, 17]
    assert list(frame["age_group"]) == ["middle-aged", "young", "middle-aged"]
    assert list(frame["arousal"]) == [1, 2, 3]
    assert list(frame["activation_level"]) == ["low", "mid", "high"]
    assert list(frame["language"]) == ["en", "de", "de"]
    assert list(frame["speaker"]) == ["s1", "s2", "s3"]
    assert list(frame["transcript"]) == ["Hello", "Hallo", "Tag"]
    assert [task.name for task in CORPORA["my"].tasks] == ["my-emotion", "my-sex", "my-age", "my-activation"]
    assert TASKS["my-sex"].labels["female"] == "a female is speaking"
    assert TASKS["my-activation"].labels == {
        "low": "has low arousal",
        "mid": "arousal is at an average level",
        "high": "has high arousal",
    }


def test_values_that_known_columns_do_not_know(tmp_path):
    text = "file,emotion,gender,age\na,amused,female,200\nb,Wut,other,20\nc,sad,male,old\n"
    frame, _ = read(tmp_path, text)
    assert list(frame["emotion"]) == [None, "angry", "sad"]
    assert list(frame["emotion_label"]) == ["amused", "angry", "sad"]
    assert set(TASKS["my-emotion"].labels) == {"amused", "angry", "sad"}
    assert list(frame["gender"]) == ["female", None, "male"]
    assert list(frame["age_group"]) == [None, "young", None]
    told = "\n".join(CORPORA["my"].remarks)
    for words in ("never trained on: amused", "no gender here: other", "2 rows have no age", "200, old"):
        assert words in told
    assert "my-age" not in TASKS  # a single group


def test_numbers_are_levels_and_never_silently_classes(tmp_path):
    files = [f"{i}.wav" for i in range(20)]
    rows = [f'{name},{i % 2},{i},"{i},5",{i // 19}.0,{"x" if i == 3 else i},{i},train' for i, name in enumerate(files)]
    frame, _ = read(tmp_path, "file,code,rating,width,rare,mixed,id,split\n" + "\n".join(rows), *files)
    assert frame["rating_level"].value_counts().to_dict() == {"low": 6, "mid": 8, "high": 6}
    assert frame.loc["5.wav", "width_level"] == "low"
    assert set(TASKS) >= {"my-rating", "my-width"}
    assert not {"my-code", "my-rare", "my-mixed", "my-id"} & set(TASKS)
    told = "\n".join(CORPORA["my"].remarks)
    assert "column rating: low is below 5.7, high from 13.3 on: the 30 and 70 % quantiles of 20 training rows" in told
    assert "column code: the numbers 0, 1 tell a model nothing" in told
    assert "column rare: the numbers 0, 1 tell a model nothing" in told
    assert "column mixed: most values are numbers; leave the other cells empty to have it evaluated: x" in told
    assert "column id: not a label" in told


def test_levels_come_from_the_training_rows(tmp_path):
    files = [f"{i}.wav" for i in range(40)]
    rows = [f"{name},{i if i < 20 else 1000 + i},{'train' if i < 20 else 'test'}" for i, name in enumerate(files)]
    frame, _ = read(tmp_path, "file,rating,split\n" + "\n".join(rows), *files)
    assert set(frame.loc[frame["split"] == "test", "rating_level"]) == {"high"}


def test_classes_that_are_none_are_told(tmp_path):
    files = [f"{i}.wav" for i in range(60)]
    rows = [f"{name},one,note {i},{'A' * 70 if i else 'B'},,{'Yes' if i % 2 else 'no'}" for i, name in enumerate(files)]
    frame, _ = read(tmp_path, "file,same,notes,long,empty,smoker\n" + "\n".join(rows), *files)
    assert [task.name for task in CORPORA["my"].tasks] == ["my-smoker"]
    assert TASKS["my-smoker"].labels == {"Yes": "smoker", "no": "not smoker"}
    assert len(frame) == 60
    told = "\n".join(CORPORA["my"].remarks)
    for words in (
        "column same: fewer than two",
        "column notes: 60 different values",
        "column long: 2 ",
        "empty: empty",
    ):
        assert words in told


def test_spellings_and_columns_with_names_that_are_taken(tmp_path):
    frame, _ = read(tmp_path, "file,accent,intensity,queries_bin\na,Irish,soft,x\nb,irish,loud,y\nc,Irish  ,soft,x\n")
    assert set(frame["accent"]) == {"Irish"}
    assert "spellings counted as one: irish as Irish" in "\n".join(CORPORA["my"].remarks)
    assert list(frame["intensity_label"]) == ["soft", "loud", "soft"]
    assert "queries_bin_label" in frame


def test_splits_and_speakers(tmp_path):
    text = "file,mood,speaker,partition\na,up,s1,Train\nb,down,s1,devel\nc,up,s2,TEST\n"
    frame, _ = read(tmp_path, text)
    assert list(frame["split"]) == ["train", "validation", "test"]
    assert "speakers in more than one split, which makes figures too good: s1" in CORPORA["my"].remarks
    read(tmp_path / "apart", text.replace("s1", "s3", 1))
    assert not [remark for remark in CORPORA["my"].remarks if "speaker" in remark]
    read(tmp_path / "unknown", "file,mood,split\na,up,train\nb,down,test\n")
    assert "no column speaker: whether the splits share speakers is not known" in CORPORA["my"].remarks


def test_comparexs_one_table_with_splits_in_the_names(tmp_path):
    names = ["train_0001.wav", "train_0002.wav", "devel_0001.wav", "devel_0002.wav", "test_0001.wav"]
    rows = [f"{name};{label}" for name, label in zip(names, ("L", "NL", "L", "NL", "?"), strict=True)]
    make(tmp_path, "file_name;label\n" + "\n".join(rows), [f"wav/{name}" for name in names], table="lab/labels.csv")
    frame = load_corpus("my", tmp_path / "lab" / "labels.csv")
    assert frame["split"].value_counts().to_dict() == {"train": 2, "validation": 2, "test": 1}
    assert TASKS["my-label"].split == "validation", "the labels of the test rows are hidden"
    assert "my-label: no test row has the label; it uses the validation rows" in CORPORA["my"].remarks


def test_comparexs_table_of_each_split(tmp_path):
    for split in ("train", "devel", "test"):
        table = f"filename,label\n{split}_1.wav,calm\n{split}_2.wav,wild\n"
        make(tmp_path, table, [f"wav/{split}_{i}.wav" for i in (1, 2)], table=f"lab/{split}.csv")
    frame = load_corpus("my", tmp_path)
    assert frame["split"].value_counts().to_dict() == {"train": 2, "validation": 2, "test": 2}
    assert set(frame["file"].str[:4]) == {"wav/"}
    make(tmp_path, "filename,mood\ntest_1.wav,calm\n", (), table="lab/test.csv")
    with pytest.raises(CorpusError, match="has other columns than devel.csv"):
        parse_corpora([f"my={tmp_path}"])


def test_a_column_of_emotions_by_any_name(tmp_path):
    frame, _ = read(tmp_path, "file,label\na,anger\nb,sadness\nc,happiness\n")
    assert frame["emotion"].to_dict() == THREE
    assert TASKS["my-label"].column == "emotion"
    read(tmp_path, "file,label\na,N\nb,SUR\nc,L\n")
    assert TASKS["my-label"].column == "label", "letters are not taken for emotions"


def test_reading_another_table_forgets_the_tasks_of_the_first(tmp_path):
    read(tmp_path / "first", "file,accent\na,Irish\nb,Welsh\n")
    read(tmp_path / "second", "file,mood\na,up\nb,down\n")
    assert [name for name in TASKS if name.startswith("my-")] == ["my-mood"]


@pytest.fixture
def corpus(tmp_path):
    """A corpus with audio: three splits, two speakers each, an accent beside the emotion, and three bad rows."""
    rows = ["file,emotion,accent,speaker,split"]
    for number, split in enumerate(("train", "devel", "test")):
        for voice in range(4):
            name = f"{split}{voice}.wav"
            write(tmp_path / "my" / "wav" / name, pitch=100 + 60 * voice, seconds=0.5, seed=10 * number + voice)
            accent = "Scottish" if voice % 2 else "Irish"
            rows.append(f"{name},{'angry' if voice > 1 else 'sad'},{accent},{number}{voice % 2},{split}")
    rows += ["../outside.wav,sad,Irish,9,test", "gone.wav,sad,Irish,9,test", "test0.wav,sad"]
    (tmp_path / "my" / "files.csv").write_text("\n".join(rows))
    return tmp_path / "my"


def test_a_folder_and_a_table_are_evaluated_with_one_command(corpus, tiny_release, tmp_path, capsys):
    make(tmp_path / "other", "file,mood\na.wav,up\nb.wav,down\n", ())
    for i, name in enumerate("ab"):
        write(tmp_path / "other" / f"{name}.wav", pitch=120 + i, seconds=0.5)
    options = ["--model", str(tiny_release), "--output_dir", str(tmp_path / "eval"), "--n_resamples", "20"]
    corpora = ["--corpora", f"my={corpus}", f"second={tmp_path / 'other'}"]
    assert evaluate([*options, *corpora, "--template", "this is {}", "my-accent=the accent is {}"]) == 0
    tasks = json.loads((tmp_path / "eval" / "results.json").read_text())["tasks"]
    assert {name: (task["n"], task["chance"]) for name, task in tasks.items()} == {
        "my-emotion": (4, 0.5),
        "my-accent": (4, 0.5),
        "second-mood": (2, 0.5),
    }
    assert tasks["my-emotion"]["prompts"] == {"sad": ["this is sad"], "angry": ["this is angry"]}
    assert tasks["my-accent"]["prompts"]["Irish"] == ["the accent is Irish"]
    assert (tmp_path / "eval" / "my-accent_confusion.png").read_bytes()[:4] == b"\x89PNG"
    rejected = pd.read_csv(tmp_path / "eval" / "rejected.csv")
    assert list(rejected["reason"].str.extract(r"line (\d+)", expand=False)) == ["14", "15", "16"]
    printed = capsys.readouterr().out
    assert "my-accent" in printed
    assert "3 files left out" in printed
    assert "my: ../outside.wav: files.csv, line 14: the file name '../outside.wav' leads out" in printed
    assert evaluate([*options, *corpora, "--template", "my-acent=the accent is {}"]) == 2
    assert "is of a task that does not run; these do: my-emotion, my-accent" in capsys.readouterr().err


def test_nothing_to_tell_apart_says_why(tmp_path, tiny_release, capsys):
    make(tmp_path / "my", "file,code\na,1\nb,0\n")
    options = ["--model", str(tiny_release), "--output_dir", str(tmp_path / "eval")]
    assert evaluate([*options, "--corpora", f"my={tmp_path / 'my'}"]) == 2
    assert "no task to run on the corpus 'my'. no column split" in (message := capsys.readouterr().err)
    assert "column code: the numbers 0, 1 tell a model nothing" in message


def test_list_verify_and_build_take_it(corpus, tmp_path, capsys):
    assert corpora_command(["list", f"my={corpus}"]) == 0
    assert "my: my, 12 utterances, 3 rows left out" in (printed := capsys.readouterr().out)
    assert "task        my-accent: Irish, Scottish" in printed
    assert corpora_command(["list"]) == 0
    assert "my" not in [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert corpora_command(["verify", f"my={corpus}"]) == 1
    assert "gone.wav: files.csv, line 15: no such file" in (printed := capsys.readouterr().out)
    assert "owner" not in printed
    assert max(map(len, printed.splitlines()[1:10])) <= 80
    assert build(["--corpora", f"my={corpus}", "--output_dir", str(tmp_path / "out"), "--num_proc", "1"]) == 0
    rows = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows[split]) for split in rows} == {"train": 4, "validation": 4, "test": 4}
    assert "speaker is angry" in rows["train"][3]["queries"]
    assert len(pd.read_csv(tmp_path / "out" / "rejected.csv")) == 3
    lines = (corpus / "files.csv").read_text().splitlines()
    (corpus / "files.csv").write_text("\n".join(lines[:-3]))
    assert corpora_command(["verify", f"my={corpus}"]) == 0
    assert "every row can be used" in capsys.readouterr().out
