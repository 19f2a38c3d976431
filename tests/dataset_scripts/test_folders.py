"""Folders are written whole or not at all, and by one process at a time."""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataset_scripts.folders import FolderInUseError, locked, partial_of, replace_folder, restore_folder, written_whole

HOLD = """
import os, sys, time
from pathlib import Path
from dataset_scripts.folders import locked
folder = Path(sys.argv[1])
with locked(folder, lock=folder / "lock"):
    if sys.argv[2] == "fork" and os.fork() == 0:
        time.sleep(3)  # a worker process that outlives a killed one for a moment
        os._exit(0)
    print("held", flush=True)
    time.sleep(600)
"""


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_new_or_as_before(tmp_path):
    final = tmp_path / "a" / "corpus"
    with written_whole(final) as folder:
        (folder / "one").write_text("1")
        assert not final.exists()
    with pytest.raises(KeyboardInterrupt), written_whole(final) as folder:  # noqa: PT012
        (folder / "two").write_text("2")
        raise KeyboardInterrupt
    assert files_in(tmp_path) == ["a/corpus/one"]
    with written_whole(final) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "three").write_text("3")
    assert files_in(tmp_path) == ["a/corpus/sub/three"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    final = tmp_path / "corpus"
    partial_of(final).mkdir()
    (partial_of(final) / "half").write_text("half a fi")
    with written_whole(final) as folder:
        assert files_in(folder) == []
        (folder / "whole").write_text("a file")
    assert files_in(tmp_path) == ["corpus/whole"]


def test_a_folder_killed_between_two_renames_comes_back(tmp_path, monkeypatch):
    final, partial = tmp_path / "best", tmp_path / "new"
    for folder in (final, partial):
        folder.mkdir()
        (folder / folder.name).touch()
    rename = type(final).rename

    def rename_but_the_new(path, target):
        if path == partial:
            raise InterruptedError
        return rename(path, target)

    monkeypatch.setattr(type(final), "rename", rename_but_the_new)
    with pytest.raises(InterruptedError):
        replace_folder(partial, final)
    assert not final.exists()
    monkeypatch.undo()
    restore_folder(final)
    assert files_in(tmp_path) == ["best/best", "new/new"]
    replace_folder(partial, final)
    restore_folder(final)
    assert files_in(tmp_path) == ["best/new"]


def holder(folder, how="alone"):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), how], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_the_other_process_is_named(tmp_path):
    process = holder(tmp_path)
    try:
        expected = f"{tmp_path} is in use by process {process.pid} on {socket.gethostname()} since 2"
        with pytest.raises(FolderInUseError, match=expected), locked(tmp_path, lock=tmp_path / "lock"):
            pass
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_the_lock_of_a_killed_process_is_taken_over(how, tmp_path):
    process = holder(tmp_path, how)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(tmp_path, lock=tmp_path / "lock"):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()
    assert files_in(tmp_path) in ([], ["lock"])


def test_a_lock_lies_beside_its_folder_and_the_next_waits_for_it(tmp_path):
    folder = tmp_path / "made later" / "corpus"

    def wait():
        with locked(folder, timeout=60.0):
            return True

    with ThreadPoolExecutor(1) as pool:
        with locked(folder):
            assert files_in(tmp_path) == ["made later/.corpus.lock", "made later/.corpus.lock.json"]
            waiting = pool.submit(wait)
            with pytest.raises(FolderInUseError), locked(folder):
                pass
            assert not waiting.done()
        assert waiting.result()


@pytest.mark.parametrize("left", ["", "no JSON", "[]", '{"pid": "x"}', '{"pid": -1}', '{"pid": 99999999999999999999}'])
def test_whatever_is_left_beside_a_lock_that_nobody_holds_does_not_matter(left, tmp_path):
    (tmp_path / "lock").write_text("left")
    (tmp_path / "lock.json").write_text(left)
    with locked(tmp_path, lock=tmp_path / "lock"):
        with pytest.raises(FolderInUseError, match=f"process {os.getpid()}"), locked(tmp_path, lock=tmp_path / "lock"):
            pass
        (tmp_path / "lock.json").write_text(left)
        with pytest.raises(FolderInUseError, match="is in use by process"), locked(tmp_path, lock=tmp_path / "lock"):
            pass
