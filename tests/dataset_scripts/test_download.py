"""Downloads against a server on loopback that breaks off in the middle: resumed, checked, unpacked."""

import dataclasses
import hashlib
import io
import json
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from dataset_scripts import transfer
from dataset_scripts.corpora import CORPORA
from dataset_scripts.corpora.__main__ import downloadable, main
from dataset_scripts.corpus import Archive, Dataverse
from dataset_scripts.download import download
from dataset_scripts.transfer import DownloadError

CONTENT = np.random.default_rng(0).bytes(300_000)
BREAK_AFTER = 100_000  # bytes of each answer


class Flaky(BaseHTTPRequestHandler):
    """Gives at most `BREAK_AFTER` bytes an answer, then closes the connection."""

    def do_HEAD(self):
        self.send_error(403)  # as stores with signed URLs do

    def do_GET(self):
        server = self.server
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        server.starts.append((self.path, start))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + BREAK_AFTER])
        self.close_connection = True

    def log_message(self, *args):
        pass


def make_zip(members):
    """A zip of name -> bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server(monkeypatch):
    """A server with one archive; `starts` are the files and the bytes that answers began at."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    archive = make_zip({"Actor_01/03-01-05-01-02-01-01.wav": CONTENT})
    server.files, server.starts = {"/speech.zip": archive}, []
    server.root = f"http://127.0.0.1:{server.server_port}"
    server.url = f"{server.root}/speech.zip"
    server.checksum = f"sha256:{sha256(archive)}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


STARTS = [("/speech.zip", start) for start in (0, 100_000, 200_000, 300_000)]


def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path):
    download([Archive(server.url, server.checksum)], tmp_path)
    assert (tmp_path / "Actor_01" / "03-01-05-01-02-01-01.wav").read_bytes() == CONTENT
    assert server.starts == STARTS
    download([Archive(server.url, server.checksum)], tmp_path)
    assert len(server.starts) == 4, "what was fetched is not fetched again"


def test_a_run_that_gave_up_is_taken_up_by_the_next(server, tmp_path, monkeypatch):
    fetch, calls = transfer._fetch, []

    def once(*args):
        calls.append(args)
        if len(calls) > 1:
            raise OSError("no route to host")
        return fetch(*args)

    monkeypatch.setattr(transfer, "_fetch", once)
    with pytest.raises(DownloadError, match="no route to host, 5 times. Run again later to resume"):
        download([Archive(server.url, server.checksum)], tmp_path)
    monkeypatch.setattr(transfer, "_fetch", fetch)
    download([Archive(server.url, server.checksum)], tmp_path)
    assert server.starts == STARTS


def test_another_content_is_refused_and_removed(server, tmp_path):
    with pytest.raises(DownloadError, match="sha256 is .*; expected 00.*Run again"):
        download([Archive(server.url, "sha256:" + "00" * 32)], tmp_path)
    assert not (tmp_path / "Actor_01").exists()
    download([Archive(server.url, server.checksum)], tmp_path)
    assert (tmp_path / "Actor_01").exists()


def test_without_the_owner_s_checksum_the_first_download_s_is_kept(server, tmp_path):
    notes = download([Archive(server.url)], tmp_path)
    assert (tmp_path / "Actor_01").exists()
    assert len(notes) == 1
    assert "owner publishes no checksum of speech.zip" in notes[0]
    assert sha256(server.files["/speech.zip"]) in notes[0]
    record = tmp_path / ".checksums"
    assert record.read_text() == f"{sha256(server.files['/speech.zip'])}  {server.url}\n"
    assert "matches its first download" in download([Archive(server.url)], tmp_path)[0]
    shutil.rmtree(tmp_path / ".downloads")
    server.files["/speech.zip"] = make_zip({"Actor_01/evil.wav": b"x"})
    with pytest.raises(DownloadError, match="sha256 is .*; the first download had .*delete that line of .checksums"):
        download([Archive(server.url)], tmp_path)
    assert not (tmp_path / "Actor_01" / "evil.wav").exists()
    record.unlink()
    download([Archive(server.url)], tmp_path)
    assert (tmp_path / "Actor_01" / "evil.wav").exists()


def test_a_git_repository_with_its_large_files_elsewhere(server, tmp_path):
    audio = {f"AudioWAV/{i}.wav": CONTENT + bytes([i]) for i in range(20)}
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n"
    members = {f"repo-master/{name}": pointer.format(sha256(content)).encode() for name, content in audio.items()}
    members |= {"repo-master/people.csv": b"ActorID,Age,Sex\n", "repo-master/VideoFlash/0.flv": b"large"}
    server.files = {"/master.zip": make_zip(members), **{f"/media/{name}": audio[name] for name in audio}}
    repository = Archive(
        f"{server.root}/master.zip", members=("AudioWAV/", "people.csv"), objects=f"{server.root}/media/"
    )
    server.files["/media/AudioWAV/3.wav"] = b"not the one"
    with pytest.raises(DownloadError, match="AudioWAV/3.wav: sha256 is .*; expected"):
        download([repository], tmp_path)
    server.files["/media/AudioWAV/3.wav"] = audio["AudioWAV/3.wav"]
    download([repository], tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in audio} == audio
    assert (tmp_path / "people.csv").exists()
    assert not (tmp_path / "VideoFlash").exists()
    breaks = [start for name, start in server.starts if name == "/media/AudioWAV/0.wav"]
    assert breaks == [0, 100_000, 200_000, 300_000]
    before = len(server.starts)
    download([repository], tmp_path)
    assert len(server.starts) == before, "what is there is not fetched again"


def test_a_dataverse_lists_its_files_with_their_checksums(server, tmp_path):
    dataset = Dataverse(server.root, "doi:10.1/X")
    zipped = make_zip({"OAF_sad/OAF_back_sad.wav": b"sad"})
    entries = [
        ("OAF_back_angry.wav", "OAF_angry", CONTENT, "MD5", hashlib.md5),
        ("more.zip", "", zipped, "SHA-1", hashlib.sha1),
    ]
    listed = []
    for number, (label, folder, content, kind, function) in enumerate(entries):
        checksum = {"type": kind, "value": function(content).hexdigest()}
        entry = {"label": label, "dataFile": {"id": number, "checksum": checksum}}
        listed.append(entry | ({"directoryLabel": folder} if folder else {}))
        server.files[f"/api/access/datafile/{number}"] = content
    server.files[dataset.listing.removeprefix(server.root)] = json.dumps({"status": "OK", "data": listed}).encode()
    assert download([dataset], tmp_path) == []
    assert (tmp_path / "OAF_angry" / "OAF_back_angry.wav").read_bytes() == CONTENT
    assert (tmp_path / "OAF_sad" / "OAF_back_sad.wav").read_bytes() == b"sad"
    before = len(server.starts)
    download([dataset], tmp_path)
    assert len(server.starts) == before + 1, "the list alone"
    listed[0]["label"] = "../../outside.wav"
    server.files[dataset.listing.removeprefix(server.root)] = json.dumps({"data": listed}).encode()
    with pytest.raises(ValueError, match="leads out of the corpus folder"):
        download([dataset], tmp_path)
    server.files[dataset.listing.removeprefix(server.root)] = b"<html>"
    with pytest.raises(DownloadError, match="is not a list of files with checksums"):
        download([dataset], tmp_path)


def test_every_corpus_that_may_be_fetched_is_known():
    assert {"ravdess", "librispeech", "emodb", "nemo", "crema_d", "tess"} <= set(downloadable())
    for corpus in CORPORA.values():
        assert len({archive.name for archive in corpus.archives}) == len(corpus.archives)


def test_the_command_shows_the_licence(server, tmp_path, monkeypatch, capsys):
    def offer(archive):
        corpus = dataclasses.replace(CORPORA["ravdess"], archives=(archive,))
        monkeypatch.setitem(CORPORA, "ravdess", corpus)

    offer(Archive(server.url, server.checksum))
    assert main(["download", f"ravdess={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "licence CC-BY-NC-SA-4.0, from https://zenodo.org" in printed
    assert "verify ravdess=" in printed
    assert main(["download", f"ravdess={tmp_path}", "--archives", "song.zip"]) == 2
    assert "has no archive 'song.zip'; it has speech.zip" in capsys.readouterr().err
    assert main(["download", f"iemocap={tmp_path}"]) == 2
    assert "IEMOCAP is not fetched by this command" in capsys.readouterr().err
    offer(Archive(server.url + ".gone", server.checksum))
    assert main(["download", f"ravdess={tmp_path}"]) == 2
    assert "404" in capsys.readouterr().err
