"""What `paraclap.publishing.hub` does with a Hub on loopback: comparing, one commit, faults on demand, refusals."""

import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from helpers.loopback_http import HubError
from helpers.loopback_hub import LoopbackHub, User

import paraclap.publishing.hub
from paraclap.publishing.checks import files_of
from paraclap.publishing.errors import PublishError
from paraclap.publishing.hub import Target, publish

TOKEN, READ_TOKEN = "hf_writeWRITEwriteWRITE", "hf_readREADreadREADread"
NAME = "lab/tiny"


@pytest.fixture
def client(monkeypatch, tmp_path):
    """A Hub, with this process's huggingface_hub client speaking with it, and not waiting long between tries."""
    users = {TOKEN: User("me", orgs=("lab",)), READ_TOKEN: User("me", role="read", orgs=("lab",))}
    with LoopbackHub(users) as hub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
        hasty = SimpleNamespace(sleep=lambda seconds: None, time=time.time)
        monkeypatch.setattr(huggingface_hub.utils._http, "time", hasty)
        monkeypatch.setattr(paraclap.publishing.hub, "PATIENCE", (0.05, 0.5))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def folder(tmp_path):
    """A folder like a staged model."""
    staged = tmp_path / "staged"
    (staged / ".eval_results").mkdir(parents=True)
    (staged / "README.md").write_text("---\nlicense: apache-2.0\n---\n# tiny\n")
    (staged / "configuration_paraclap.py").write_text("model_type = 'paraclap'\n")
    (staged / "model.safetensors").write_bytes(bytes(range(256)) * 4000)
    (staged / "sample.wav").write_bytes(b"RIFF" * 1000)
    (staged / ".eval_results" / "paraclap.yaml").write_text("[]\n")
    return staged


def target(**kwargs):
    return Target(**{"repo_id": NAME, "repo_type": "model", "marker": "configuration_paraclap.py"} | kwargs)


def content(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files_of(folder)}


# -------------------------------------------------------------------------------------------------------- what changed


def test_only_what_changed_is_written_and_what_is_gone_deleted(client, folder, tmp_path):
    publish(folder, target(), "first")
    following = Path(shutil.copytree(folder, tmp_path / "next"))
    (following / "README.md").write_text("---\nlicense: apache-2.0\n---\nother\n")
    (following / "sample.wav").unlink()
    (following / "new.txt").write_text("")
    outcome = publish(following, target(), "second")
    assert (outcome.written, outcome.deleted) == (("README.md", "new.txt"), ("sample.wav",))
    assert client.files("models", NAME) == content(following)
    assert ".gitattributes" in client.repos["models", NAME].find("main").files
    assert client.commits("models", NAME) == ["initial commit", "first", "second"]


def test_branch_pull_request_and_private(client, folder, tmp_path):
    publish(folder, target(private=True, revision="next"), "to a branch")
    assert client.repos["models", NAME].private
    assert client.files("models", NAME) == {}
    assert client.files("models", NAME, "next") == content(folder)
    outcome = publish(folder, target(create_pr=True), "as a request")
    assert outcome.url.endswith("/discussions/1")
    assert client.files("models", NAME) == {}
    assert client.files("models", NAME, "refs/pr/1") == content(folder)


def test_a_tag_is_never_moved(client, folder, tmp_path):
    publish(folder, target(tag="v1"), "first")
    assert publish(folder, target(tag="v1"), "again").written == ()
    following = Path(shutil.copytree(folder, tmp_path / "next"))
    (following / "new.txt").write_text("new")
    with pytest.raises(PublishError, match="The tag v1 exists already"):
        publish(following, target(tag="v1"), "second")
    assert client.commits("models", NAME) == ["initial commit", "first"]
    publish(following, target(tag="v2"), "second")
    assert client.files("models", NAME, "v1") == content(folder)
    assert client.files("models", NAME, "v2") == content(following)


# -------------------------------------------------------------------------------------------------------------- faults

STAGES = [
    "whoami",
    "create",
    "info",
    "refs",
    "tree",
    "validate",
    "preupload",
    "batch",
    "upload",
    "verify",
    "commit",
    "tag",
]
FAULTS = [(stage, fault) for stage in STAGES for fault in (429, 500, "cut")]
FAULTS += [(stage, "lost") for stage in ("create", "upload", "commit", "tag")] + [("commit", "late")]


@pytest.mark.parametrize(("stage", "fault"), FAULTS)
@pytest.mark.parametrize("times", [1, 50])
def test_faults(client, folder, stage, fault, times):
    """A fault that passes, or one that stays: published, or as it was; and the repeated push succeeds."""
    client.fail(stage, fault, times)
    try:
        publish(folder, target(tag="v1"), "first")
        published = True
    except PublishError as error:
        published, reason = False, str(error)
        assert "\n" not in reason
        assert TOKEN not in reason
    if published or stage == "tag" or (stage, fault) == ("commit", "lost"):
        # What is published stays published where only the tag was refused, or the answers stay away.
        assert client.files("models", NAME) == content(folder)
        assert published or ("are published" in reason and "tag v1 is not" in reason) or stage == "commit"
    elif stage == "refs":  # without which it cannot be seen that nobody else has written there
        assert client.commits("models", NAME) == ["initial commit"]
        assert "The newly created repo could not be deleted and may be left empty" in reason
    else:
        assert client.repos == {}
    assert published or times > 1 or stage in ("validate",)
    client.faults.clear()
    publish(folder, target(tag="v1"), "first")
    assert client.files("models", NAME) == client.files("models", NAME, "v1") == content(folder)
    assert client.commits("models", NAME) == ["initial commit", "first"]


def test_what_was_there_before_a_failed_push_stays(client, folder, tmp_path):
    """A branch that was made for the commit goes again; the repo and its other branches are as they were."""
    publish(folder, target(), "first")
    following = Path(shutil.copytree(folder, tmp_path / "next"))
    (following / "new.txt").write_text("new")
    client.fail("commit", 500, 3)
    with pytest.raises(PublishError, match="The Hub failed"):
        publish(following, target(revision="next"), "second")
    repo = client.repos["models", NAME]
    assert set(repo.refs) == {"main"}
    assert client.files("models", NAME) == content(folder)
    assert client.commits("models", NAME) == ["initial commit", "first"]


@pytest.mark.parametrize("revision", ["main", "next"])
def test_a_repo_that_somebody_else_has_begun_to_use_is_not_removed(client, folder, monkeypatch, revision):
    def somebody_commits(request):
        client.repos["models", NAME].add("theirs", {"theirs.txt": b""}, revision)
        raise HubError(500, "made to fail")

    monkeypatch.setattr(client, "preupload", somebody_commits)
    with pytest.raises(PublishError):
        publish(folder, target(), "first")
    assert client.files("models", NAME, revision)["theirs.txt"] == b""


def test_without_xet_storage_large_files_go_over_http(client, folder, monkeypatch, capsys):
    """hf_xet is installed and does not ask the Hub whether it has Xet storage, and this one has none."""
    assert find_spec("hf_xet")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    publish(folder, target(), "first")
    assert client.files("models", NAME) == content(folder)
    assert "Xet storage cannot be used" in capsys.readouterr().out
    stages = [stage for stage, _ in client.requests]
    assert stages.index("xet") < stages.index("upload")
    assert stages.count("commit") == 1


def test_a_commit_that_came_in_between_is_not_overwritten(client, folder, monkeypatch, tmp_path):
    publish(folder, target(), "first")
    following = Path(shutil.copytree(folder, tmp_path / "next"))
    (following / "new.txt").write_text("new")
    repo, original = client.repos["models", NAME], client.preupload

    def somebody_commits(request):
        if repo.refs["main"].title == "first":
            repo.add("theirs", repo.refs["main"].files | {"theirs.txt": b""}, "main")
        return original(request)

    monkeypatch.setattr(client, "preupload", somebody_commits)
    with pytest.raises(PublishError, match="Another commit was made to lab/tiny in the meantime"):
        publish(following, target(), "second")
    assert client.commits("models", NAME) == ["initial commit", "first", "theirs"]


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("changes", "token", "message"),
    [
        ({}, None, "No Hugging Face Hub token was found. Log in with `hf auth login`"),
        ({}, "hf_unknownUNKNOWNunknown", "rejects this token"),
        ({}, READ_TOKEN, "The token of me is read-only"),
        ({"repo_id": "stranger/tiny"}, TOKEN, "cannot write to stranger/tiny"),
        ({"repo_id": "nobody/tiny"}, TOKEN, "user or organisation nobody does not exist"),
        ({"repo_id": "lab/other"}, TOKEN, "lab/other is taken: it has files but no configuration_paraclap.py"),
        ({"repo_id": "lab/gated"}, TOKEN, "lab/gated is gated"),
        ({"repo_id": "lab/other", "private": True}, TOKEN, "lab/other is already public"),
    ],
)
def test_refusals_are_one_clear_line(client, folder, monkeypatch, changes, token, message):
    client.commit_other = publish_other(client)
    monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
    before = {key: client.commits(*key) for key in client.repos}
    with pytest.raises(PublishError) as raised:
        publish(folder, target(**changes), "first")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hf_" not in str(raised.value)
    assert {key: client.commits(*key) for key in client.repos} == before


def publish_other(hub):
    """Two repos that are there already: somebody's other model, and a gated one."""
    api = huggingface_hub.HfApi(token=TOKEN)
    for name in ("lab/other", "lab/gated"):
        api.create_repo(name)
        repo = hub.repos["models", name]
        repo.add("other", {"pytorch_model.bin": b"weights"}, "main")
    repo.gated = True


def test_no_connection(client, folder, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PublishError, match="The connection to http://127.0.0.1:9 failed .* repeat the command"):
        publish(folder, target(), "first")
