"""The revision is known in a checkout, and its absence is no error."""

import shutil
import subprocess

import pytest

from paraclap.revision import git_revision


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_and_a_change_that_is_not_committed(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD").strip()
    assert git_revision(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert git_revision(tmp_path) == f"{commit}-dirty"


def test_without_git_or_a_checkout_there_is_none(tmp_path, monkeypatch):
    assert git_revision(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision() is None
