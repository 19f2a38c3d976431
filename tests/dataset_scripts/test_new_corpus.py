"""A new corpus is one new file: everything else learns of it from there."""

import dataclasses
import importlib
import json
import textwrap

import pytest
from datasets import load_dataset
from helpers.owners_layouts import write
from huggingface_hub import ModelCard

from dataset_scripts import corpora
from dataset_scripts.build_query_corpus import main as build
from dataset_scripts.corpora import CorpusError
from dataset_scripts.corpora.__main__ import main as corpora_command
from paraclap.evaluation.__main__ import main as evaluate
from paraclap.publishing.cards import Facts, model_card
from paraclap.publishing.licences import Decision

MODULE = """
    import re
    from pathlib import Path

    from dataset_scripts.corpus import Corpus, Reading
    from dataset_scripts.layout import audio_files, locate, read_names
    from dataset_scripts.tasks import Task, gender_task, same_words

    NAME = re.compile("(?P<speaker>[fm][0-9])_(?P<mood>glad|gloomy)")
    SPLITS = {"1": "train", "2": "validation", "3": "test"}


    def row_of(match):
        gender = "female" if match["speaker"][0] == "f" else "male"
        split = SPLITS[match["speaker"][1]]
        return {"speaker": match["speaker"], "gender": gender, "mood": match["mood"], "split": split}


    def read(root: Path) -> Reading:
        root = locate(root, lambda folder: (folder / "clips").is_dir(), "clips/f1_glad.wav")
        return read_names(root, audio_files(root / "clips"), NAME, "Toy's (f1_glad)", row_of)


    CORPUS = Corpus(
        name="toy",
        title="Toy Moods",
        homepage="https://toy.example",
        licence="CC-BY-4.0",
        citation="Doe, Toy Moods, 2026",
        languages={"fi": "Finnish"},
        layout="clips/f1_glad.wav",
        read=read,
        utterances=12,
        counts={"mood": {"glad": 6, "gloomy": 6}},
        label_columns=("mood",),
        tasks=(Task("toy-mood", "mood", same_words("glad gloomy")), gender_task("toy-gender")),
        hub_dataset="lab/toy",
    )
"""


@pytest.fixture
def toy(tmp_path, monkeypatch, registry):
    """The folder of a corpus whose module was just added."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "toy.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.setattr(corpora, "__path__", [*corpora.__path__, str(modules)])
    importlib.invalidate_caches()
    corpora.discover()
    for number, speaker in enumerate(("f1", "m1", "f2", "m2", "f3", "m3")):
        for mood in ("glad", "gloomy"):
            write(tmp_path / "toy" / "clips" / f"{speaker}_{mood}.wav", pitch=100 + 20 * number, seconds=0.5)
    return tmp_path / "toy"


def test_a_new_corpus_is_one_new_file(toy, tiny_release, tmp_path, capsys):
    assert corpora_command(["list"]) == 0
    assert "toy Toy Moods fi 12 CC-BY-4.0" in " ".join(capsys.readouterr().out.split())
    assert corpora_command(["verify", f"toy={toy}"]) == 0
    assert "as the owner ships it" in capsys.readouterr().out
    (toy / "clips" / "f3_glad.wav").rename(toy / "clips" / "x3_glad.wav")
    assert corpora_command(["verify", f"toy={toy}"]) == 1
    assert "is not one of Toy's (f1_glad)" in capsys.readouterr().out

    assert build(["--corpora", f"toy={toy}", "--output_dir", str(tmp_path / "out"), "--num_proc", "1"]) == 0
    rows = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["test"]
    assert set(rows["language"]) == {"fi"}
    assert "Toy Moods" in (tmp_path / "out" / "README.md").read_text()

    results = tmp_path / "eval"
    options = ["--model", str(tiny_release), "--corpora", f"toy={toy}", "--output_dir", str(results)]
    assert evaluate([*options, "--n_resamples", "0"]) == 0
    evaluation = json.loads((results / "results.json").read_text())
    assert {name: task["n"] for name, task in evaluation["tasks"].items()} == {"toy-mood": 3, "toy-gender": 3}

    facts = Facts("lab/model", "speaker is {}.", evaluation=evaluation, corpora=["toy"])
    model_card(facts).save(tmp_path / "card.md")
    card = ModelCard.load(tmp_path / "card.md")
    assert card.data.language == ["en", "fi"]
    assert card.data.datasets == ["lab/toy"]
    assert card.data.license == "cc-by-4.0"
    assert "Toy Moods" in card.text
    assert "Finnish" in card.text
    assert {result.dataset_name for result in card.data.eval_results} == {
        "Toy Moods (mood, 2 classes)",
        "Toy Moods (gender, 2 classes)",
    }


def test_modules_and_tasks_have_names_of_their_own(toy, tmp_path):
    module = tmp_path / "modules" / "other.py"
    module.write_text((tmp_path / "modules" / "toy.py").read_text())
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match="The module other defines the corpus 'toy'; expected the same name"):
        corpora.discover()
    with pytest.raises(CorpusError, match="toy and second both have a task 'toy-mood'; rename one"):
        corpora.register(dataclasses.replace(corpora.CORPORA["toy"], name="second"))


def test_the_card_knows_every_corpus_s_language():
    german = [name for name, corpus in corpora.CORPORA.items() if corpus.languages == {"de": "German"}]
    assert {"emodb", "fau_aibo", "alc", "sld"} <= set(german)
    for name, corpus in corpora.CORPORA.items():
        data = model_card(Facts("lab/model", "{}", corpora=[name], decision=Decision("other", "for the test"))).data
        assert data.language == sorted({*corpus.languages, "en"})
