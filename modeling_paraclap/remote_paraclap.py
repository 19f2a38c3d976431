"""Download of audio from http and https addresses, bounded in size and in time."""

import asyncio
import contextlib
import re
import threading
from http import HTTPStatus
from types import ModuleType
from typing import Any

from .limits_paraclap import advice, limit
from .source_paraclap import Source, Spool, name_of, without_secrets
from .waveform_paraclap import AudioError

URL = re.compile(r"\s*https?://", re.IGNORECASE)
TIME = "PARACLAP_MAX_DOWNLOAD_S"
# Nothing of an answer for so long ends it; the whole is bounded besides.
SILENT_S = 15
MOST_REDIRECTS = 5


def is_url(audio: Any) -> bool:
    """Return whether audio is an http or https address."""
    return isinstance(audio, str) and URL.match(audio) is not None


def fetch(url: str, stack: contextlib.ExitStack) -> Source:
    """Download a file to a temporary one, which is removed when the stack is closed.

    Args:
        url: An http or https address. Blanks and letters outside ASCII are quoted; user and password are sent as
            HTTP's basic authentication.
        stack: Closes the file.

    Raises:
        AudioError: If the address is wrong, the server answers with an error, breaks off, or takes longer or sends more
            than `PARACLAP_MAX_DOWNLOAD_S` and `PARACLAP_MAX_DOWNLOAD_MB` allow.
        ImportError: If httpx2 is missing.
    """
    http, name = _client_library(), name_of(url)
    seconds = limit(TIME)
    spool = Spool(name, stack)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(asyncio.wait_for(_fetch(http, url, spool), seconds))
        except BaseException as error:  # raised again below, in the thread that waits
            failures.append(error)

    # Of its own, since the caller may be inside a running event loop; only there can the whole of it be ended in time.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds + SILENT_S)
    if thread.is_alive():
        raise _too_slow(name)
    if failures:
        raise _explained(failures[0], http, name) from None  # the cause may quote the address with its password
    return spool.source()


async def _fetch(http: ModuleType, url: str, spool: Spool) -> None:
    address = http.URL(url.strip())
    auth = (address.username, address.password) if address.userinfo else None
    # Without the password, which the client's log would show.
    address = address.copy_with(username=None, password=None)
    options = {"timeout": SILENT_S, "follow_redirects": True, "max_redirects": MOST_REDIRECTS}
    async with (
        http.AsyncClient(headers={"User-Agent": "paraclap"}, **options) as client,
        client.stream("GET", address, auth=auth) as response,
    ):
        if not response.is_success:
            raise AudioError(f"{spool.title} cannot be downloaded: the server answers {_status(response.status_code)}.")
        async for chunk in response.aiter_bytes():
            spool.write(chunk)


def _status(code: int) -> str:
    phrases = {status.value: status.phrase for status in HTTPStatus}
    return f"{code} ({phrases[code]})" if code in phrases else str(code)


def _too_slow(name: str) -> AudioError:
    return AudioError(f"{name} cannot be downloaded in time: {advice(TIME)}")


def _explained(error: BaseException, http: ModuleType, name: str) -> BaseException:
    """Return the AudioError that explains a failed download, or any other error unchanged."""
    if isinstance(error, AudioError):
        return error
    if isinstance(error, http.TimeoutException):
        return AudioError(f"{name} cannot be downloaded: nothing came for {SILENT_S} s. Try again later.")
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return _too_slow(name)
    if isinstance(error, (http.InvalidURL, http.UnsupportedProtocol)):  # whose messages quote what they stumble on
        return AudioError(f"{name} cannot be downloaded: this is no valid address. Check it.")
    if isinstance(error, (http.HTTPError, http.StreamError, OSError, ValueError, ImportError)):
        reason = without_secrets(" ".join(str(error).split()))[:200] or type(error).__name__
        return AudioError(f"{name} cannot be downloaded: {reason}. Check that the address is the file's.")
    return error


def _client_library() -> ModuleType:
    try:
        import httpx2 as http
    except ImportError:
        try:
            import httpx as http
        except ImportError as error:
            raise ImportError(f"Downloading audio needs httpx2 (`pip install httpx2`): {error}") from error
    return http
