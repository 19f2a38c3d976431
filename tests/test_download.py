"""Downloads against a server on loopback that breaks off in the middle: resumed, checked, unpacked."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from dataset_scripts.corpora import download as module
from dataset_scripts.corpora.__main__ import main
from dataset_scripts.corpora.download import Archive, DownloadError, download

CONTENT = np.random.default_rng(0).bytes(300_000)
BREAK_AFTER = 100_000  # bytes of each answer


class Flaky(BaseHTTPRequestHandler):
    """Gives at most `BREAK_AFTER` bytes an answer, then closes the connection."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server = self.server
        if self.path != "/speech.zip":
            self.send_error(404)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if body:
            server.starts.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.archive) - start))
        self.end_headers()
        if body:
            self.wfile.write(server.archive[start : start + server.break_after])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server with one archive; `starts` are the bytes that answers began at."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Actor_01/03-01-05-01-02-01-01.wav", CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    server.archive, server.starts, server.break_after = buffer.getvalue(), [], BREAK_AFTER
    server.url = f"http://127.0.0.1:{server.server_port}/speech.zip"
    server.checksum = "sha256:" + hashlib.sha256(server.archive).hexdigest()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(module, "PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path):
    download([Archive(server.url, server.checksum)], tmp_path)
    assert (tmp_path / "Actor_01" / "03-01-05-01-02-01-01.wav").read_bytes() == CONTENT
    assert server.starts == [0, 100_000, 200_000, 300_000]
    download([Archive(server.url, server.checksum)], tmp_path)
    assert len(server.starts) == 4, "what was fetched is not fetched again"


def test_a_run_that_gave_up_is_taken_up_by_the_next(server, tmp_path, monkeypatch):
    fetch, calls = module._fetch, []

    def once(*args):
        calls.append(args)
        if len(calls) > 1:
            raise OSError("no route to host")
        return fetch(*args)

    monkeypatch.setattr(module, "_fetch", once)
    with pytest.raises(DownloadError, match="no route to host, 5 times; run again later, it goes on where it was"):
        download([Archive(server.url, server.checksum)], tmp_path)
    monkeypatch.setattr(module, "_fetch", fetch)
    download([Archive(server.url, server.checksum)], tmp_path)
    assert server.starts == [0, 100_000, 200_000, 300_000]


def test_another_content_is_refused_and_removed(server, tmp_path):
    with pytest.raises(DownloadError, match="sha256 is .*; expected 00.*run again"):
        download([Archive(server.url, "sha256:" + "00" * 32)], tmp_path)
    assert not (tmp_path / "Actor_01").exists()
    download([Archive(server.url, server.checksum)], tmp_path)
    assert (tmp_path / "Actor_01").exists()


def test_the_command_shows_the_licence(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(module.ARCHIVES, "ravdess", (Archive(server.url, server.checksum),))
    assert main(["download", f"ravdess={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "licence CC-BY-NC-SA-4.0, from https://zenodo.org" in printed and "verify ravdess=" in printed
    assert main(["download", f"ravdess={tmp_path}", "--archives", "song.zip"]) == 2
    assert "has no archive 'song.zip'; it has speech.zip" in capsys.readouterr().err
    assert main(["download", f"iemocap={tmp_path}"]) == 2
    assert "IEMOCAP is not fetched by this command" in capsys.readouterr().err
    monkeypatch.setitem(module.ARCHIVES, "ravdess", (Archive(server.url + ".gone", server.checksum),))
    assert main(["download", f"ravdess={tmp_path}"]) == 2
    assert "404" in capsys.readouterr().err
