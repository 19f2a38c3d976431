"""The paper's corpora that are not at hand, in their owners' layouts; the tasks on them; `list` and `verify`."""

import dataclasses

import pandas as pd
import pytest
from helpers.owners_layouts import (
    MAKERS,
    MSP_HEADER,
    make_alc,
    make_alc_bas,
    make_crema_d,
    make_fau_aibo,
    make_iemocap,
    make_msp_audformat,
    make_msp_podcast,
    make_ravdess,
    make_sld,
    make_tess,
)

from dataset_scripts.corpora import CORPORA, TASKS, CorpusError, scan_corpus
from dataset_scripts.corpora.__main__ import main
from dataset_scripts.egemaps import extract_functionals
from dataset_scripts.verify import verify_corpus
from paraclap.evaluation.measures import uar_per_group

FOLDERS = {"nemo": "nEMO", "emodb": "EMO-DB", "ravdess": "RAVDESS", "librispeech": "LibriSpeech"}


@pytest.mark.parametrize("table", ["labels_consensus.csv", "labels_concensus.csv"])
def test_msp_podcast(tmp_path, table):
    frame, rejected = scan_corpus("msp_podcast", make_msp_podcast(tmp_path, table=table))
    assert list(frame["emotion"]) == ["angry", "happy", None, "neutral", "contemptuous", "surprised"]
    assert list(frame["split"]) == ["train"] * 3 + ["validation", "test", "test"]
    assert list(frame["speaker"]) == ["30", "31", None, "32", "33", "34"]
    assert list(frame["gender"]) == ["male", "female", None, "male", "female", "male"]
    assert list(frame["arousal"]) == [1.0, 1.8, 3.4, 4.2, 5.0, 5.8]
    assert set(frame["dominance"]) == {2.6}
    assert list(rejected["file"]) == ["Audios/MSP-PODCAST_0001_0002.wav"]
    assert rejected["reason"].iloc[0].startswith("no agreement on the emotion")


def test_msp_podcast_as_audformat_is_the_same(tmp_path):
    pytest.importorskip("audformat")
    owners, left_out = scan_corpus("msp_podcast", make_msp_podcast(tmp_path / "owners"))
    converted, also_left_out = scan_corpus("msp_podcast", make_msp_audformat(tmp_path / "audformat"))
    pd.testing.assert_frame_equal(converted.drop(columns=["path", "valence"]), owners.drop(columns=["path", "valence"]))
    assert list(also_left_out["file"]) == list(left_out["file"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",A,", ",Q,", "row 2: EmoClass is 'Q'; expected one of A, H, S, F, U, D, C, N, O, X"),
        (",1.0,", ",0.5,", "row 2: EmoAct is '0.5'; expected a number from 1 to 7"),
        (",1.0,", ",nan,", "row 2: EmoAct is 'nan'"),
        (",Male,Train", ",man,Train", "row 2: Gender is 'man'; expected one of Male, Female, Unknown"),
        (",Male,Train", ",Male,Rest", "row 2: Split_Set is 'Rest'; expected one of Train, Development"),
        ("MSP-PODCAST_0001_0001", "MSP-PODCAST_0001_0000", "row 3: duplicate file .*first in .*row 2"),
        ("MSP-PODCAST_0001_0001", "../../etc/passwd", "row 3: .*leads out of the corpus folder"),
        ("MSP-PODCAST_0001_0001", "/etc/passwd", "row 3: .*is absolute"),
        ("MSP-PODCAST_0001_0001", "a\0b", "row 3: .*NUL|row 2 or the next"),
        (MSP_HEADER, MSP_HEADER.replace("EmoAct", "Arousal"), "row 1, has .*missing: EmoAct"),
    ],
)
def test_a_wrong_row_is_refused_with_its_number(tmp_path, old, new, message):
    table = make_msp_podcast(tmp_path) / "Labels" / "labels_consensus.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(CorpusError, match=message):
        scan_corpus("msp_podcast", tmp_path)


def test_iemocap(tmp_path):
    frame, rejected = scan_corpus("iemocap", make_iemocap(tmp_path))
    assert rejected.empty
    assert len(frame) == 16
    row = frame.set_index("file").loc["Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_M001.wav"]
    assert (row.speaker, row.gender, row.session, row.emotion) == ("01M", "male", "01", "happy"), "not the markers' F"
    assert (row.valence, row.arousal, row.dominance, row.transcript) == (1.5, 4.0, 4.5, "Yeah.")
    assert frame["emotion"].isna().sum() == 4
    assert frame["speaker"].nunique() == 4
    references = TASKS["iemocap"].references(frame)
    assert references.value_counts().to_dict() == {"happy": 4, "angry": 2, "sad": 2, "neutral": 2}, "excited is happy"


def test_iemocap_refuses_a_row_that_it_does_not_know(tmp_path):
    table = make_iemocap(tmp_path) / "Session1/dialog/EmoEvaluation/Ses01F_impro05.txt"
    whole = table.read_bytes()
    table.write_bytes(whole.replace(b"\tang\t", b"\tmad\t"))
    with pytest.raises(CorpusError, match="Ses01F_impro05.txt, row 3: .*expected '.START - END. UTTERANCE"):
        scan_corpus("iemocap", tmp_path)
    table.write_bytes(whole + whole)
    with pytest.raises(CorpusError, match="duplicate file"):
        scan_corpus("iemocap", tmp_path)


def test_tess_with_all_its_quirks(tmp_path):
    frame, rejected = scan_corpus("tess", make_tess(tmp_path))
    labels = frame.set_index("file")
    assert rejected.empty
    assert len(frame) == 9
    assert labels.loc["OAF_neutral/OA_bite_neutral.wav", "speaker"] == "OAF"
    assert set(labels.loc[labels.index.str.contains("_ps"), "emotion"]) == {"surprised"}
    assert set(frame["age"]) == {26, 64}
    assert set(frame["gender"]) == {"female"}
    assert labels.loc["YAF_sad/YAF_back_sad.wav", "transcript"] == "Say the word back."
    functionals, unreadable = extract_functionals(frame)  # AIFF named .wav, and 96 kHz
    assert len(functionals) == 9
    assert unreadable.empty


def test_tess_in_one_folder_and_with_a_copy_inside(tmp_path):
    make_tess(tmp_path / "folders")
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (tmp_path / "folders").rglob("*.wav"):
        (flat / path.name).write_bytes(path.read_bytes())
    one, _ = scan_corpus("tess", flat)
    many, _ = scan_corpus("tess", tmp_path / "folders")
    columns = ["speaker", "emotion", "transcript"]
    assert sorted(one[columns].to_numpy().tolist()) == sorted(many[columns].to_numpy().tolist())
    make_tess(tmp_path / "folders" / "TESS Toronto emotional speech set data")
    assert len(scan_corpus("tess", tmp_path / "folders")[0]) == 9


def test_fau_aibo(tmp_path):
    frame, rejected = scan_corpus("fau_aibo", make_fau_aibo(tmp_path))
    assert rejected.empty
    assert frame["split"].value_counts().to_dict() == {"train": 5, "test": 5}
    test = frame[frame["split"] == "test"]
    assert list(test["aibo_class"]) == ["angry", "emphatic", "neutral", "motherese", "rest"]
    assert list(test["negativity"]) == ["negative", "negative"] + ["non-negative"] * 3
    assert set(frame["speaker"]) == {"Ohm_01", "Mont_01"}
    assert TASKS["fau_aibo-5"].references(frame).notna().sum() == 5, "the test school alone"
    table = tmp_path / "labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt"
    table.write_text(table.read_text().replace("IDL 0.8", "MAD 0.8", 1))
    with pytest.raises(
        CorpusError, match="chunk_labels_2cl_corpus.txt, row 3: the label is 'MAD'; expected one of IDL"
    ):
        scan_corpus("fau_aibo", tmp_path)


@pytest.mark.parametrize("make", [make_alc, make_alc_bas])
def test_alc_in_both_layouts(tmp_path, make):
    frame, rejected = scan_corpus("alc", make(tmp_path))
    assert rejected.empty
    assert set(frame["split"]) == {"train", "validation", "test"}
    test = frame[frame["split"] == "test"]
    assert sorted(test["intoxication"]) == ["intoxicated", "not intoxicated"]
    assert TASKS["alc"].references(frame).notna().sum() == 2


def test_sld(tmp_path):
    frame, rejected = scan_corpus("sld", make_sld(tmp_path))
    assert rejected.empty
    assert frame["split"].value_counts().to_dict() == {"train": 2, "test": 2, "validation": 1}
    assert list(frame.loc[frame["split"] == "test", "likability"]) == ["not likable", "likable"]


def test_every_task_of_the_paper_has_its_counts_prompts_and_figures():
    rows = {"iemocap": 5531, "ravdess": 1440, "crema_d": 7442, "tess": 2800, "fau_aibo-2": 8257, "fau_aibo-5": 8257}
    rows["alc"] = 3000
    classes = {
        "iemocap": 4,
        "ravdess": 8,
        "crema_d": 6,
        "tess": 7,
        "fau_aibo-2": 2,
        "fau_aibo-5": 5,
        "alc": 2,
        "sld": 2,
    }
    for name, count in classes.items():
        task = TASKS[name]
        assert len(task.labels) == count
        assert set(task.paper_prompts) == set(task.labels)
        assert sum(task.counts.values()) == rows.get(name, 0)
        assert set(task.counts) in ({*task.labels}, set())
        assert set(task.paper_uar) == {"only_emo", "rand5", "rand1", "no_emo"}
    assert TASKS["tess"].paper_prompts["surprised"] == "pleasant surprise"
    assert TASKS["iemocap"].paper_prompts["sad"] == "this person is feeling sadness."


def test_the_mean_over_sessions():
    truth, said = ["sad", "sad", "angry", "sad", "angry"], ["sad", "angry", "angry", "sad", "sad"]
    table = pd.DataFrame({"reference": truth, "prediction": said})
    groups = pd.Series(["01", "01", "01", "02", "02"])
    assert uar_per_group(table, groups, ["sad", "angry"]) == {"01": 0.75, "02": 0.5}


def test_list_shows_every_corpus_and_task_within_80_columns(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    first = {line.split(" ")[0] for line in lines}
    assert {*CORPORA, *TASKS} <= first


def test_list_of_a_corpus_shows_all_that_is_known_of_it(capsys):
    assert main(["list", *CORPORA]) == 0
    printed = capsys.readouterr().out
    long_words = ("http", "AudioWAV", "SPEAKER")
    assert all(len(line) <= 80 or any(word in line for word in long_words) for line in printed.splitlines())
    flowing = " ".join(printed.split())
    for corpus in CORPORA.values():
        facts = [corpus.layout, corpus.homepage, corpus.licence, corpus.citation, corpus.note]
        facts += [*corpus.languages.values(), *(f"{task.name}: {', '.join(task.labels)}" for task in corpus.tasks)]
        for text in (f"{corpus.name}: {corpus.title}", *facts):
            assert " ".join(text.split()) in flowing
    assert main(["list", "aemocap"]) == 2
    assert "Unknown corpus 'aemocap'; known are" in capsys.readouterr().err


@pytest.mark.parametrize("name", FOLDERS)
def test_real_corpora_pass_verify(corpora, name, capsys):
    assert main(["verify", f"{name}={corpora / FOLDERS[name]}", "--labels_only"]) == 0
    assert "as the owner ships it" in capsys.readouterr().out


def test_verify_decodes_every_file(corpora, capsys):
    assert main(["verify", f"emodb={corpora / 'EMO-DB'}", f"librispeech={corpora / 'LibriSpeech'}"]) == 0
    assert "unreadable" not in capsys.readouterr().out


def test_verify_tells_what_is_missing_extra_and_unreadable(tmp_path, capsys):
    root = make_msp_podcast(tmp_path / "msp")
    (root / "Audios" / "MSP-PODCAST_0001_0001.wav").unlink()
    (root / "Audios" / "MSP-PODCAST_0001_0000.wav").write_bytes(b"not audio")
    (root / "Audios" / "extra.wav").write_bytes(b"")
    assert main(["verify", f"msp_podcast={root}"]) == 1
    printed = capsys.readouterr().out
    assert "utterances" in printed
    assert "45619" in printed
    assert f"{5 - 45619:+d}" in printed
    assert "1 left out: no agreement on the emotion; left out as in section 3.1 of the paper" in printed
    assert (
        "1 left out: listed, but Audios/ has no audio file of that name\n  Audios/MSP-PODCAST_0001_0001.wav" in printed
    )
    assert "1 left out: not listed in labels_consensus.csv\n  Audios/extra.wav" in printed
    assert "1 unreadable\n  Audios/MSP-PODCAST_0001_0000.wav" in printed
    assert "NOT as the owner ships it" in printed
    assert "55,283 utterances less those without agreement" in printed
    assert main(["verify", f"msp_podcast={tmp_path / 'nowhere'}"]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_what_the_owner_ships_broken_is_no_fault_of_the_copy(tmp_path):
    make_crema_d(tmp_path)
    small = dataclasses.replace(CORPORA["crema_d"], utterances=10, counts={}, tasks=())
    whole, lines = verify_corpus(small, tmp_path)
    assert whole
    assert any("1076_MTI_SAD_XX.wav" in line for line in lines)
    make_ravdess(tmp_path / "r")
    whole, lines = verify_corpus(CORPORA["ravdess"], tmp_path / "r")
    assert not whole
    assert "task ravdess: angry" in "\n".join(lines)


def test_makers_cover_every_corpus():
    assert set(MAKERS) == set(CORPORA)
