"""Query corpus, metric and demo on a loopback Hub, loaded from there in fresh processes."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
from helpers.loopback_hub import LoopbackHub, User
from helpers.owners_layouts import make_emodb, make_nemo
from huggingface_hub import DatasetCard, RepoCard

import dataset_scripts.corpora
import paraclap.page
import paraclap.publishing.dataset
from dataset_scripts.build_query_corpus import BuildOptions, build_query_corpus
from paraclap.publishing import push
from paraclap.publishing.dataset import stage_dataset
from paraclap.publishing.errors import PublishError
from paraclap.publishing.hub import Target, publish
from paraclap.publishing.others import METRIC, stage_metric
from paraclap.resources import resource
from paraclap.training.corpus_check import check_corpus

TOKEN = "hf_writeWRITEwriteWRITE"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A query corpus of two small corpora, nEMO with 8 rows and EMO-DB with 4."""
    root = tmp_path_factory.mktemp("corpus")
    roots = {"nemo": make_nemo(root / "nemo"), "emodb": make_emodb(root / "emodb", speakers=("03", "08"))}
    build_query_corpus(roots, root / "out")
    return root / "out"


@pytest.fixture
def hub(monkeypatch):
    import huggingface_hub

    with LoopbackHub({TOKEN: User("me", orgs=("lab",))}) as hub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def closed(monkeypatch):
    """EMO-DB under a licence that forbids to pass it on."""
    corpora = dict(dataset_scripts.corpora.CORPORA)
    corpora["emodb"] = dataclasses.replace(corpora["emodb"], licence="academic licence, on request")
    monkeypatch.setattr(dataset_scripts.corpora, "CORPORA", corpora)


def fresh(script, hub, tmp_path):
    """Runs a script in a fresh process that knows nothing but the loopback Hub; the last line of its output."""
    environment = os.environ | hub.environment() | {"HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def stage(tmp_path, corpus, **options):
    folder = tmp_path / "staged"
    folder.mkdir()
    stage_dataset(corpus, folder, "lab/corpus", **options)
    return folder


def rows_of(folder, tmp_path):
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    return [row for split in loaded.values() for row in split]


def test_the_corpus_goes_to_the_hub_and_back(hub, corpus, tmp_path):
    options = ["--repo_id", "lab/corpus", "--staging_dir", str(tmp_path / "staged")]
    assert push.main(["dataset", str(corpus), *options]) == 0
    script = (
        "import json, datasets\n"
        "corpus = datasets.load_dataset('lab/corpus')\n"
        "rows = {s: [[r['file'], r['queries'], len(r['audio']['bytes'])] for r in c] for s, c in corpus.items()}\n"
        "print(json.dumps(rows))\n"
    )
    found = json.loads(fresh(script, hub, tmp_path))
    original = datasets.load_dataset(str(corpus), cache_dir=str(tmp_path / "cache"))
    expected = {s: [[r["file"], r["queries"], len(r["audio"]["bytes"])] for r in c] for s, c in original.items()}
    assert found == expected
    check_corpus(tmp_path / "staged", ("train", "validation", "test"))  # build.json lists the files as published
    card = DatasetCard.load(tmp_path / "staged" / "README.md")
    assert card.data.license == ["cc-by-nc-sa-4.0", "cc0-1.0"]
    assert 'load_dataset("lab/corpus")' in card.text
    assert "What is left out" not in card.text


def test_of_a_closed_corpus_only_names_and_bins_are_published(closed, corpus, tmp_path):
    folder = stage(tmp_path, corpus)
    rows = rows_of(folder, tmp_path)
    hidden = [row for row in rows if row["corpus"] == "emodb"]
    assert len(hidden) == 4
    assert len(rows) == 12
    for row in hidden:
        assert {name for name, value in row.items() if value} <= {"file", "corpus", "split"} | {
            name for name in row if name.endswith("_bin")
        }
        assert row["pitch_mean_bin"]
    assert all(row["audio"]["bytes"] and row["queries"] for row in rows if row["corpus"] == "nemo")
    text = (folder / "README.md").read_text()
    assert "- other\n" in text
    assert "build_query_corpus --corpora nemo=DIR emodb=DIR" in text
    for file in folder.rglob("*"):
        assert not file.is_file() or str(corpus.parent).encode() not in file.read_bytes()
    assert {"queries.csv", "emotions.csv", "bins.json", "rejected.csv"} <= {file.name for file in folder.iterdir()}


def test_audio_of_a_closed_corpus_needs_a_private_repo(closed, corpus, tmp_path):
    with pytest.raises(PublishError, match="EMO-DB does not allow publishing it: --include_audio needs --private"):
        stage(tmp_path, corpus, include_audio=True)
    (tmp_path / "staged").rmdir()
    folder = stage(tmp_path, corpus, include_audio=True, private=True)
    assert all(row["audio"]["bytes"] and row["queries"] for row in rows_of(folder, tmp_path))


def test_folders_of_this_machine_are_not_published(tmp_path):
    root = make_emodb(tmp_path / "secret_place" / "emodb", speakers=("03", "08"))
    build_query_corpus({"emodb": root}, tmp_path / "out", BuildOptions(audio="path"))
    folder = stage(tmp_path, tmp_path / "out")
    assert all(row["audio"] is None and row["queries"] for row in rows_of(folder, tmp_path))
    assert not [file for file in folder.rglob("*") if file.is_file() and b"secret_place" in file.read_bytes()]


def test_what_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(PublishError, match="is not a query corpus: build.json is missing"):
        stage(tmp_path, tmp_path)


def test_the_metric_loads_by_its_name(hub, tmp_path):
    options = ["--repo_id", "lab/uar", "--staging_dir", str(tmp_path / "staged")]
    assert push.main(["metric", *options]) == 0
    assert set(hub.files("spaces", "lab/uar")) == {"README.md", "requirements.txt", "uar.py"}
    assert hub.repos["spaces", "lab/uar"].sdk == "static"
    script = (
        "import evaluate\n"
        "uar = evaluate.load('lab/uar')\n"
        "print(uar.compute(references=['a', 'a', 'a', 'b'], predictions=['a', 'a', 'b', 'b'])"
        "['unweighted_average_recall'])\n"
    )
    assert float(fresh(script, hub, tmp_path)) == pytest.approx(5 / 6)
    with pytest.raises(PublishError, match="'u-a-r' is not a valid module name"):
        stage_metric(resource(METRIC), tmp_path, "lab/u-a-r")


def test_the_demo_goes_to_a_space(hub, tmp_path, capsys):
    options = ["--repo_id", "lab/demo", "--model", "lab/tiny", "--staging_dir", str(tmp_path / "staged")]
    assert push.main(["space", *options]) == 0
    files = hub.files("spaces", "lab/demo")
    page = {f"paraclap_page/{file.name}" for file in Path(paraclap.page.__file__).parent.glob("*.py")}
    assert {"app.py", "README.md", "requirements.txt", "model_id.txt", *page} == set(files), "and all of the page"
    assert files["model_id.txt"] == b"lab/tiny\n"
    assert hub.repos["spaces", "lab/demo"].sdk == "gradio"
    assert RepoCard.load(tmp_path / "staged" / "README.md").data.to_dict()["models"] == ["lab/tiny"]
    assert push.main(["space", "--repo_id", "lab/demo", "--model", "tiny", "--dry_run"]) == 2
    assert "--model is 'tiny'; expected ORG/NAME" in capsys.readouterr().err


def test_a_model_is_not_overwritten_by_a_corpus_of_its_name(hub, tmp_path):
    (tmp_path / "bins.json").write_text("{}")
    publish(tmp_path, Target("lab/corpus", "dataset", "bins.json"), "first")
    with pytest.raises(PublishError, match="is taken"):
        publish(tmp_path, Target("lab/corpus", "dataset", "other.json"), "second")
