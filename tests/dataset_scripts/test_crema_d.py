"""CREMA-D: splits, listeners' votes, age groups, and what the owner ships wrong."""

import numpy as np
import pandas as pd
import pytest
from helpers.owners_layouts import make_crema_d

from dataset_scripts.build_query_corpus import build_query_corpus
from dataset_scripts.corpora import TASKS, CorpusError, crema_d, scan_corpus


def test_labels(tmp_path):
    frame, rejected = scan_corpus("crema_d", make_crema_d(tmp_path))
    rows = frame.set_index("file")
    row = rows.loc["AudioWAV/1001_DFA_ANG_XX.wav"]
    assert (row.emotion, row.gender, row.age, row.transcript) == ("angry", "male", 51, "Don't forget a jacket.")
    assert rejected.empty
    assert len(frame) == 10
    assert rows.groupby("speaker")["split"].first().to_dict() == {
        **{"1001": "train", "1004": "test"},
        **{"1018": "validation", "1076": "train"},
    }
    assert rows.groupby("speaker")["age_group"].first().to_dict() == {
        **{"1001": "middle-aged", "1004": "elderly"},
        **{"1018": "young", "1076": "young"},
    }
    assert row.listeners_emotion == "angry"
    assert rows.loc["AudioWAV/1001_DFA_NEU_LO.wav", "listeners_emotion"] == "neutral:sad"
    assert rows.loc["AudioWAV/1004_DFA_ANG_XX.wav", "listeners_emotion"] is None
    assert TASKS["crema_d"].references(frame).notna().sum() == 10, "the paper's task has all rows"
    assert TASKS["crema_d-test"].references(frame).notna().sum() == 2


def test_a_vote_that_is_no_emotion_is_refused_and_a_copy_without_votes_is_read(tmp_path):
    table = make_crema_d(tmp_path) / "summaryTable.csv"
    table.write_text(table.read_text().replace("N:S", "N:X"))
    with pytest.raises(CorpusError, match="summaryTable.csv, row 3: VoiceVote is 'X'; expected one of A, D, F"):
        scan_corpus("crema_d", tmp_path)
    table.unlink()
    assert scan_corpus("crema_d", tmp_path)[0]["listeners_emotion"].isna().all()


def test_a_build_rejects_recordings_without_audio_and_with_two_emotions(tmp_path):
    frame, rejected = build_query_corpus({"crema_d": make_crema_d(tmp_path / "crema")}, tmp_path / "out")
    reasons = rejected.set_index("file")["reason"]
    assert set(reasons.index) == {
        f"AudioWAV/{name}.wav" for name in ("1076_MTI_SAD_XX", "1001_DFA_ANG_XX", "1001_DFA_FEA_XX")
    }
    assert reasons["AudioWAV/1001_DFA_FEA_XX.wav"] == (
        "the same recording as AudioWAV/1001_DFA_ANG_XX.wav, which has emotion angry"
    )
    assert len(frame) == 7


def test_splits_are_a_seeded_draw_balanced_by_sex_and_age(corpora):
    people = pd.read_csv(corpora / "CREMA-D" / "VideoDemographics.csv")
    rng = np.random.default_rng(0)
    drawn = {"test": set(), "validation": set()}
    for sex in ("Female", "Male"):
        actors = people[people["Sex"] == sex].sort_values(["Age", "ActorID"])["ActorID"].to_numpy()
        for group in np.array_split(actors, 8):
            for split, actor in zip(drawn, rng.choice(group, 2, replace=False), strict=True):
                drawn[split].add(str(actor))
    assert drawn == {"test": crema_d.TEST_SPEAKERS, "validation": crema_d.VALIDATION_SPEAKERS}


def test_the_real_corpus(corpora):
    frame, rejected = scan_corpus("crema_d", corpora / "CREMA-D")
    assert rejected.empty
    speakers = frame.drop_duplicates("speaker")
    assert len(speakers) == 91
    assert pd.crosstab(speakers["split"], speakers["gender"]).to_dict() == {
        "female": {"test": 8, "train": 27, "validation": 8},
        "male": {"test": 8, "train": 32, "validation": 8},
    }
    assert frame.groupby("split")["age_group"].nunique().to_dict() == {"test": 3, "train": 3, "validation": 3}
    assert (frame["listeners_emotion"] == frame["emotion"]).sum() == 3099
