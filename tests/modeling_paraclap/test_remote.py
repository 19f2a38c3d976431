"""Downloads from servers that behave, and from servers that do not."""

import base64
import contextlib
import gzip
import logging
import socket
import threading
from urllib.parse import unquote

import numpy as np
import pytest
from helpers.audio import encoded, tone

from modeling_paraclap.audio_paraclap import AudioError
from modeling_paraclap.inputs_paraclap import load_input

SPEECH = tone(0.5)
FILE = encoded(SPEECH, subtype="FLOAT")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILE)


@contextlib.contextmanager
def serving(answer):
    """An address whose server gives `answer(request, send)` to say what it sends, byte for byte."""
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):  # the server or the client is gone
                while True:
                    threading.Thread(target=talk, args=server.accept()[:1], daemon=True).start()

        def talk(connection):
            with connection, contextlib.suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                requests.append(request.decode("latin-1"))
                answer(request, connection.sendall)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", requests
        server.shutdown(socket.SHUT_RDWR)


def content(request, send):
    send(OK + FILE)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/speech.wav", "/speech.wav"),
        ("/two words.wav", "/two words.wav"),
        ("/two%20words.wav", "/two words.wav"),
        ("/Grüße.wav", "/Grüße.wav"),
        ("/a.wav?who=ü&x=a b", "/a.wav?who=ü&x=a b"),
        ("/a.wav?u=%C3%BC#part", "/a.wav?u=ü"),
        ("", "/"),
        ("/日本/ñ [1].wav", "/日本/ñ [1].wav"),
    ],
)
def test_addresses_are_quoted(path, asked):
    with serving(content) as (host, requests):
        for scheme in ("http", "HTTP", " http"):
            np.testing.assert_array_equal(load_input(f"{scheme}://{host}{path}", 16000), SPEECH)
    assert [unquote(request.split(" HTTP/")[0].removeprefix("GET ")) for request in requests] == [asked] * 3


def test_user_and_password_are_sent_and_never_shown(caplog):
    caplog.set_level(logging.DEBUG)
    with serving(content) as (host, requests):
        np.testing.assert_array_equal(load_input(f"http://me:s%40cret@{host}/a.wav", 16000), SPEECH)
    assert f"Authorization: Basic {base64.b64encode(b'me:s@cret').decode()}" in requests[0]
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    with serving(lambda _, send: send(refusal)) as (host, _), pytest.raises(AudioError, match="403 .Forb") as caught:
        load_input(f"http://me:s%40cret@{host}/a.wav?key=s%40cret", 16000)
    assert f"at http://{host}/a.wav cannot be downloaded" in str(caught.value)
    assert "cret" not in str(caught.value)
    assert "s%40cret@" not in caplog.text
    assert "s@cret" not in caplog.text


def redirect(location):
    return lambda _, send: send(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location)


def test_redirects():
    with serving(content) as (host, _), serving(redirect(b"http://%s/b.wav" % host.encode())) as (other, _):
        np.testing.assert_array_equal(load_input(f"http://{other}/a.wav", 16000), SPEECH)
    for location in (b"/again", b"file:///etc/passwd", b"ftp://host/a", b"http://[", b"\xff\xfe"):
        with serving(redirect(location)) as (host, _), pytest.raises(AudioError, match="cannot be downloaded"):
            load_input(f"http://{host}/a.wav", 16000)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "disconnected"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", r"answers 404 \(Not Found\)"),
        (b"HTTP/1.1 599 \xff\r\nContent-Length: 0\r\n\r\n", "answers 599"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "is empty"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "is empty"),
        (OK + FILE[:5000], "cannot be downloaded"),
        (OK.replace(b"200 OK", b"2e2 OK") + FILE, "cannot be downloaded"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "cannot be downloaded"),
        (b"\0\xff" * 5000, "cannot be downloaded"),
        (OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n") + FILE, "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip.", "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"x" * 200_000), "cannot be downloaded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n<html>Please log in to see this</html>\n", "not audio"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "cannot be downloaded"),
    ],
)
def test_every_wrong_answer_is_an_audio_error(answer, message):
    with serving(lambda _, send: send(answer)) as (host, _), pytest.raises(AudioError, match=message) as caught:
        load_input(f"http://{host}/a.wav", 16000)
    assert f"The audio at http://{host}/a.wav" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///a.wav",
        "http://host:99999/a.wav",
        "http://host:port/a.wav",
        "http://[::1/a.wav",
        "http://me:secret@/a.wav",
        "http://me:secret@host:port/a.wav",
        "http://me:sec/ret@host/a.wav",
        "http://a b/c.wav",
        "http://host/a\x00b.wav",
        "http://" + "x" * 300 + "/a.wav",
        "http://xn--\udcff/a.wav",
        "http://host/\udcff.wav",
        "http://.../a.wav",
        "http://127.0.0.1:1/a.wav",
        "https://127.0.0.1:1/a.wav",
        "http://host/" + "x" * 100_000,
    ],
)
def test_every_wrong_address_is_an_audio_error(url):
    with pytest.raises(AudioError, match="cannot be downloaded") as caught:
        load_input(url, 16000)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 700
    str(caught.value).encode("utf-8")  # can be printed and written
    assert caught.value.__cause__ is None


def test_compressed_answers_are_unpacked_and_bounded(monkeypatch):
    monkeypatch.setenv("PARACLAP_MAX_DOWNLOAD_MB", "1")

    def packed(body):
        body = gzip.compress(body)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        return serving(lambda _, send: send(head + body))

    with packed(FILE) as (host, _):
        np.testing.assert_array_equal(load_input(f"http://{host}/a.wav", 16000), SPEECH)
    with packed(bytes(5_000_000)) as (host, _), pytest.raises(AudioError, match="too large: the limit is 1 MB"):
        load_input(f"http://{host}/a.wav", 16000)


def test_a_body_without_end_is_stopped(monkeypatch):
    monkeypatch.setenv("PARACLAP_MAX_DOWNLOAD_MB", "2")
    sent = 0

    def endless(request, send):
        nonlocal sent
        send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            send(bytes(65536))
            sent += 65536

    with serving(endless) as (host, _), pytest.raises(AudioError, match="is too large.*PARACLAP_MAX_DOWNLOAD_MB"):
        load_input(f"http://{host}/a.wav", 16000)
    assert sent < 20e6  # what fits into the buffers between


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n", OK])
def test_an_answer_that_trickles_is_stopped(monkeypatch, start):
    """A byte now and then is something each time; only the whole can be too slow."""
    monkeypatch.setenv("PARACLAP_MAX_DOWNLOAD_S", "0.5")
    stop = threading.Event()

    def trickle(request, send):
        send(start or b"H")
        while not stop.wait(0.05):
            send(b"x")

    before = set(threading.enumerate())
    with serving(trickle) as (host, _):
        with pytest.raises(AudioError, match="in time: the limit is 0.5 seconds.*_DOWNLOAD_S"):
            load_input(f"http://{host}/a.wav", 16000)
        # The download has ended though the server goes on: nothing but the server's threads is left.
        assert not [t.name for t in set(threading.enumerate()) - before if "(run)" in t.name]
    stop.set()


def test_a_server_that_says_nothing_is_left(monkeypatch):
    monkeypatch.setattr("modeling_paraclap.remote_paraclap.SILENT_S", 0.3)
    stop = threading.Event()
    with serving(lambda _, send: stop.wait(20)) as (host, _), pytest.raises(AudioError, match="nothing came for 0.3 s"):
        load_input(f"http://{host}/a.wav", 16000)
    stop.set()


def test_a_download_works_inside_a_running_event_loop():
    import asyncio

    async def notebook(host):
        return load_input(f"http://{host}/a.wav", 16000)

    with serving(content) as (host, _):
        np.testing.assert_array_equal(asyncio.run(notebook(host)), SPEECH)


def test_downloads_of_several_threads():
    results = []
    with serving(content) as (host, _):
        threads = [
            threading.Thread(target=lambda: results.append(load_input(f"http://{host}/a.wav", 16000))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [len(result) for result in results] == [len(SPEECH)] * 4
