"""The HTTP side of the loopback Hub: routes, answers, and the faults that tests ask for."""

import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

KIND, NAME, REVISION = r"(?P<kind>models|datasets|spaces)", r"(?P<name>[\w.-]+/[\w.-]+)", r"(?P<revision>[^/]+)"
PREFIX = r"(?:(?P<kind>datasets|spaces)/)?"
ROUTES = [
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("DELETE", r"/api/repos/delete", "delete"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("GET", rf"/api/{KIND}/{NAME}(?:/revision/{REVISION})?", "info"),
    ("GET", rf"/api/{KIND}/{NAME}/refs", "refs"),
    ("GET", rf"/api/{KIND}/{NAME}/tree/{REVISION}(?:/(?P<path>.+))?", "tree"),
    ("POST", rf"/api/{KIND}/{NAME}/paths-info/{REVISION}", "paths"),
    ("POST", rf"/api/{KIND}/{NAME}/preupload/{REVISION}", "preupload"),
    ("POST", rf"/api/{KIND}/{NAME}/commit/{REVISION}", "commit"),
    ("GET", rf"/api/{KIND}/{NAME}/commits/{REVISION}", "log"),
    ("GET", rf"/api/{KIND}/{NAME}/xet-write-token/{REVISION}", "xet"),
    ("POST", rf"/api/{KIND}/{NAME}/branch/{REVISION}", "branch"),
    ("DELETE", rf"/api/{KIND}/{NAME}/branch/{REVISION}", "delete_branch"),
    ("POST", rf"/api/{KIND}/{NAME}/tag/{REVISION}", "tag"),
    ("POST", rf"/{PREFIX}{NAME}\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/storage/(?P<oid>[0-9a-f]{64})", "upload"),
    ("POST", r"/storage/verify", "verify"),
    ("GET", rf"/{PREFIX}{NAME}/resolve/{REVISION}/(?P<path>.+)", "resolve"),
]


class HubError(Exception):
    """An answer other than 200: status, message, and the code by which the client tells what it is."""

    def __init__(self, status, message, code=None):
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets the hub answer it, and plays the faults."""

    hub = None  # the LoopbackHub that answers
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """Nothing: the requests are kept in `hub.requests`."""

    def answer(self):
        """Serves one request."""
        url = urlsplit(self.path)
        method = "GET" if self.command == "HEAD" else self.command
        found = ((stage, re.fullmatch(pattern, url.path)) for verb, pattern, stage in ROUTES if verb == method)
        stage, match = next((pair for pair in found if pair[1]), (None, None))
        if match is None:
            self.read_body()
            return self.send(404, json.dumps({"error": f"no route for {self.command} {url.path}"}).encode())
        self.hub.requests.append((stage, self.path))
        self.at, self.query = match.groupdict(), parse_qs(url.query)
        if "kind" in self.at:
            self.at["kind"] = self.at["kind"] or "models"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.user = self.hub.users.get(token)
        fault = next((pair for pair in self.hub.faults if pair[0] == stage), None)
        if fault:
            self.hub.faults.remove(fault)
            return self.play(fault[1], stage)
        self.body = self.read_body()
        self.send(*self.outcome(stage))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def outcome(self, stage):
        """Status, body and headers of the answer."""
        try:
            result = getattr(self.hub, stage)(self)
        except HubError as error:
            text = str(error)
            body = text if text.startswith("{") else json.dumps({"error": text})
            # The Hub repeats its message in a header, which cannot hold lines.
            headers = {"X-Error-Message": text.replace("\n", " ")} | (
                {"X-Error-Code": error.code} if error.code else {}
            )
            return error.status, body.encode(), headers
        if isinstance(result, tuple):
            return 200, *result
        return 200, json.dumps(result).encode(), {}

    def play(self, fault, stage):
        """Goes wrong as told."""
        if isinstance(fault, int):
            self.body = self.read_body()
            return self.send(fault, b'{"error": "made to fail"}', {"X-Error-Message": "made to fail"})
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length // 2) if fault == "cut" and length else self.read_body()
        if fault == "lost":
            self.outcome(stage)
        if fault == "late":
            threading.Thread(target=lambda: (time.sleep(1), self.outcome(stage)), daemon=True).start()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def read_body(self):
        """The request's content, sent with a length or in chunks."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status, body, headers=None):
        """Sends an answer, or the part of it that a Range asks for."""
        headers = {"Content-Type": "application/json", "Accept-Ranges": "bytes"} | (headers or {})
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and status == 200:
            start, end = int(asked[1]), int(asked[2] or len(body) - 1)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(body) - 1)}/{len(body)}"
            status, body = 206, body[start : end + 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
