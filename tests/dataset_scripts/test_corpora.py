"""The corpora: owners' layouts in, one table out; what is wrong or unsafe is refused in plain words."""

import pytest
from helpers.owners_layouts import (
    MAKERS,
    NEMO_HEADER,
    make_emodb,
    make_nemo,
    make_ravdess,
    nemo_row,
    write,
    write_nemo_table,
)

from dataset_scripts.corpora import CORPORA, CorpusError, load_corpus, scan_corpus
from dataset_scripts.layout import check_inside

FOLDERS = {"nemo": "nEMO", "emodb": "EMO-DB", "ravdess": "RAVDESS", "librispeech": "LibriSpeech"}
WITH_DIMENSIONS = ("msp_podcast", "iemocap", "msp_improv")


@pytest.mark.parametrize("name", FOLDERS)
def test_real_corpora_are_complete(corpora, name):
    frame, rejected = scan_corpus(name, corpora / FOLDERS[name])
    assert rejected.empty
    assert len(frame) == {"nemo": 4481, "emodb": 535, "ravdess": 1440, "librispeech": 351}[name]
    assert frame["emotion"].value_counts().to_dict() == CORPORA[name].emotions
    assert frame["speaker"].nunique() == {"nemo": 9, "emodb": 10, "ravdess": 24, "librispeech": 261}[name]
    genders = {"nemo": (2069, 2412), "emodb": (302, 233), "ravdess": (720, 720), "librispeech": (175, 176)}[name]
    assert ((frame["gender"] == "female").sum(), (frame["gender"] == "male").sum()) == genders
    splits = {
        "nemo": {"train": 2696, "validation": 706, "test": 1079},
        "emodb": {"train": 304, "validation": 104, "test": 127},
        "ravdess": {"test": 1440},
        "librispeech": {"train": 223, "validation": 28, "test": 100},
    }
    assert frame["split"].value_counts().to_dict() == splits[name]
    assert (frame.groupby("speaker")["split"].nunique() == 1).all(), "splits are speaker-disjoint"
    assert (corpora / FOLDERS[name] / frame["file"].iloc[0]).is_file()


@pytest.mark.parametrize("extension", ["wav", "flac", "opus", "WAV"])
@pytest.mark.parametrize("name", MAKERS)
def test_one_schema_for_all_whatever_the_extension(tmp_path, name, extension):
    frame = load_corpus(name, MAKERS[name](tmp_path / "corpus", extension=extension))
    assert list(frame.columns) == list(CORPORA[name].columns)
    assert set(frame["corpus"]) == {name}
    assert frame["file"].is_monotonic_increasing
    assert frame["file"].is_unique
    assert all((tmp_path / "corpus" / file).is_file() for file in frame["file"])
    assert all(file.endswith(f".{extension}") for file in frame["file"])
    assert frame[["arousal", "valence", "dominance"]].isna().all(axis=None) == (name not in WITH_DIMENSIONS)
    assert all(value is None or isinstance(value, str) for value in frame["transcript"])


def test_labels_of_each_corpus(tmp_path):
    nemo = load_corpus("nemo", make_nemo(tmp_path / "nemo")).set_index("file")
    row = nemo.loc["samples/SM0_anger_1.opus"]
    assert (row.emotion, row.speaker, row.gender, row.age, row.language, row.split) == (
        *("angry", "SM0", "male", 24, "pl"),
        "train",
    )
    assert set(nemo["split"]) == {"train", "validation", "test"}
    emodb = load_corpus("emodb", make_emodb(tmp_path / "emodb")).set_index("file").loc["wav/08a01Fa.wav"]
    assert (emodb.emotion, emodb.gender, emodb.age, emodb.language) == ("happy", "female", 34, "de")
    assert emodb.transcript == "Der Lappen liegt auf dem Eisschrank."
    ravdess = load_corpus("ravdess", make_ravdess(tmp_path / "ravdess")).set_index("file")
    row = ravdess.loc["Actor_02/03-01-07-01-02-01-02.wav"]
    assert (row.emotion, row.gender, row.split) == ("disgusted", "female", "test")
    libri = load_corpus("librispeech", MAKERS["librispeech"](tmp_path / "libri")).set_index("speaker")
    assert libri["split"].to_dict() == {
        "19": "train",
        "26": "train",
        "20": "validation",
        "84": "validation",
        "61": "test",
    }
    assert libri.loc["19", "transcript"] == "NORTHANGER ABBEY"
    assert libri.loc["26", "transcript"] is None
    assert libri.loc["19", "gender"] == "female"
    assert libri.loc["26", "gender"] == "male"
    assert libri["emotion"].isna().all()


@pytest.mark.parametrize("name", MAKERS)
def test_folder_one_level_up(tmp_path, name):
    MAKERS[name](tmp_path / "downloads" / "corpus")
    (tmp_path / "downloads" / "other").mkdir()
    above = load_corpus(name, tmp_path / "downloads")
    assert above.equals(load_corpus(name, tmp_path / "downloads" / "corpus"))


def test_folders_inside_the_corpus(tmp_path):
    nemo = make_nemo(tmp_path / "nemo")
    assert load_corpus("nemo", nemo / "samples").equals(load_corpus("nemo", nemo))
    emodb = make_emodb(tmp_path / "emodb")
    assert list(load_corpus("emodb", emodb / "wav")["path"]) == list(load_corpus("emodb", emodb)["path"])


def test_ravdess_copy_with_the_actors_twice_counts_once(tmp_path):
    make_ravdess(tmp_path)
    make_ravdess(tmp_path / "Audio_Speech_Actors_01-24")
    assert len(load_corpus("ravdess", tmp_path)) == 4


@pytest.mark.parametrize("name", MAKERS)
def test_a_wrong_folder_is_told_what_was_expected(tmp_path, name):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(CorpusError, match="expected .*; found notes.txt") as error:
        load_corpus(name, tmp_path)
    assert CORPORA[name].layout in str(error.value)
    with pytest.raises(CorpusError, match="is not a folder; expected"):
        load_corpus(name, tmp_path / "missing")


def test_unknown_and_ambiguous_corpora_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="Unknown corpus 'aemocap'; known are aesdd, alc, "):
        load_corpus("aemocap", tmp_path)
    make_emodb(tmp_path / "first")
    make_emodb(tmp_path / "second")
    with pytest.raises(CorpusError, match=r"several such corpora \(first, second\)"):
        load_corpus("emodb", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../etc/passwd", "leads out of the corpus folder"),
        ("../outside.wav", "leads out of the corpus folder"),
        ("/etc/passwd", "is absolute"),
        ("C:\\secret.wav", "is absolute"),
        ("\\\\host\\share\\a.wav", "is absolute"),
        ("a\0b.wav", "NUL"),
        ("", "is empty"),
    ],
)
def test_unsafe_names_are_refused_with_their_row(tmp_path, name, message):
    make_nemo(tmp_path / "nemo", speakers=("SM0",))
    write(tmp_path / "outside.wav")
    write_nemo_table(tmp_path / "nemo", [nemo_row("SM0_anger_1.wav"), nemo_row(name)])
    with pytest.raises(CorpusError, match=message) as error:
        load_corpus("nemo", tmp_path / "nemo")
    assert "data.tsv, row 3" in str(error.value) or "row 2 or the next" in str(error.value)


def test_a_symbolic_link_out_of_the_corpus_is_refused(tmp_path):
    make_nemo(tmp_path / "nemo", speakers=("SM0",))
    (tmp_path / "nemo/samples/link_1.wav").symlink_to(write(tmp_path / "private.wav"))
    write_nemo_table(tmp_path / "nemo", [nemo_row("SM0_anger_1.wav"), nemo_row("link_1.wav")])
    with pytest.raises(CorpusError, match="data.tsv, row 3: .*link_1.wav.* leads out of"):
        load_corpus("nemo", tmp_path / "nemo")
    inside = tmp_path / "nemo" / "samples" / "inside.wav"
    inside.symlink_to("SM0_anger_1.opus")
    assert check_inside(tmp_path / "nemo", "samples/inside.wav", "row 1") == inside


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([nemo_row("a.wav"), nemo_row("b.wav"), nemo_row("a.wav")], NEMO_HEADER, "row 4: duplicate .*row 2"),
        ([nemo_row("a.wav"), nemo_row("a.flac")], NEMO_HEADER, "row 3: duplicate"),
        ([nemo_row("a.wav")], NEMO_HEADER.replace("emotion", "label"), "columns file_id, label.*missing: emotion"),
        ([nemo_row("a.wav")[:-4]], NEMO_HEADER, "row 2: 6 fields; expected 7"),
        ([nemo_row("a.wav", emotion="hangry")], NEMO_HEADER, "row 2: unknown emotion 'hangry'; known are neutral"),
        ([nemo_row("a.wav", age="old")], NEMO_HEADER, "row 2: the age is 'old'"),
        ([], "", "columns .none.; expected file_id"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, rows, header, message):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / "samples" / name, seconds=0.1)
    write_nemo_table(tmp_path, rows, header)
    with pytest.raises(ValueError, match=message):
        load_corpus("nemo", tmp_path)


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    make_nemo(tmp_path, speakers=("SM0",))
    (tmp_path / "data.tsv").write_bytes((NEMO_HEADER + "\n" + nemo_row("SM0_anger_1.wav") + "ż").encode("utf-16"))
    with pytest.raises(CorpusError, match="is not UTF-8 text"):
        load_corpus("nemo", tmp_path)


def test_missing_and_unlisted_audio_is_reported_not_fatal(tmp_path):
    make_nemo(tmp_path)
    (tmp_path / "samples" / "SM0_anger_1.opus").unlink()
    write(tmp_path / "samples" / "XX0_anger_1.wav")
    frame, rejected = scan_corpus("nemo", tmp_path)
    reasons = rejected.set_index("file")["reason"]
    assert len(frame) == 7
    assert len(rejected) == 2
    assert reasons["samples/SM0_anger_1.wav"].startswith("listed in data.tsv, row 2, but")
    assert reasons["samples/XX0_anger_1.wav"] == "not listed in data.tsv"
    with pytest.warns(UserWarning, match="nEMO: 2 files left out, 7 kept; the first is samples/SM0_anger_1.wav"):
        load_corpus("nemo", tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("emodb", "wav/noise.wav", "not one of EMO-DB's"),
        ("emodb", "wav/99a01Wa.wav", "not one of EMO-DB's"),
        ("ravdess", "Actor_01/03-02-05-01-02-01-01.wav", "not one of RAVDESS's speech files"),  # 02 is song
        ("ravdess", "Actor_01/03-01-05-01-02-01-25.wav", "not one of RAVDESS's speech files"),  # there are 24 actors
        ("librispeech", "train-clean-100/9/1/9-1-0000.wav", "speaker 9 is not in SPEAKERS.TXT"),
        ("librispeech", "train-clean-100/19/198/talk.wav", "not one of LibriSpeech's"),
    ],
)
def test_foreign_names_are_reported(tmp_path, name, file, reason):
    whole = len(load_corpus(name, MAKERS[name](tmp_path)))
    write(tmp_path / file, seconds=0.1)
    hidden = (tmp_path / file).with_name("._" + (tmp_path / file).name)
    hidden.write_bytes(b"what macOS leaves beside files")
    frame, rejected = scan_corpus(name, tmp_path)
    assert len(frame) == whole
    assert list(rejected["file"]) == [file]
    assert reason in rejected["reason"].iloc[0]


def test_the_same_utterance_in_two_containers_is_refused(tmp_path):
    make_emodb(tmp_path)
    write(tmp_path / "wav" / "03a01Wa.flac")
    with pytest.raises(CorpusError, match="03a01Wa.flac and .*03a01Wa.wav have the same id; remove one"):
        load_corpus("emodb", tmp_path)


def test_a_broken_speakers_table_is_refused(tmp_path):
    MAKERS["librispeech"](tmp_path)
    with open(tmp_path / "SPEAKERS.TXT", "a", encoding="utf-8") as table:
        table.write("99 | X | dev-clean | 1 | Nobody\n")
    with pytest.raises(CorpusError, match="SPEAKERS.TXT, row 8: .*expected 'ID | F or M"):
        load_corpus("librispeech", tmp_path)


def test_registry_names_licence_and_homepage():
    for name, corpus in CORPORA.items():
        assert corpus.name == name
        assert corpus.licence
        assert corpus.homepage.startswith("http")
        without = {"iemocap": 2510, "msp_improv": 640}.get(name, 0)  # other and no agreement
        for counts in corpus.counts.values():
            assert sum(counts.values()) + without == corpus.utterances
