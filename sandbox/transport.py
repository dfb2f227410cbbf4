"""The in-process entrance: HTTPS calls run a WSGI application, and waiting turns a clock.

Tests give `session` to ``requests`` users and `Transport` to azure-core clients. Retries and
pollers of the SDKs sleep through their transport, so that ten minutes of polling cost milliseconds.
``sandbox.server`` speaks to the same application through `environ` and `run`.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import unquote_to_bytes, urlsplit

import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter

from sandbox.world.clock import Clock

type StartResponse = Callable[[str, list[tuple[str, str]]], object]
type App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def environ(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], body: bytes
) -> dict[str, Any]:
    """Return the WSGI environment of an HTTPS request; the target is its path with its query."""
    path, _, query = target.partition("?")
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        made[f"HTTP_{name.upper().replace('-', '_')}"] = value
    made["HTTP_HOST"] = host
    made["CONTENT_TYPE"] = made.pop("HTTP_CONTENT_TYPE", "")
    made["CONTENT_LENGTH"] = str(len(body))
    made.pop("HTTP_CONTENT_LENGTH", None)
    return made


def run(app: App, made: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Run the application and return status line, headers and body."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(app(made, lambda status, headers: started.append((status, headers))))
    status, headers = started[0]
    return status, headers, body


class _Adapter(BaseAdapter):
    """A transport adapter for ``requests`` that calls a WSGI application."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kw: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        """Answer a prepared request without any network."""
        url = urlsplit(cast("str", request.url))
        target = f"{url.path}?{url.query}" if url.query else url.path
        body = request.body or b""
        data = body.encode() if isinstance(body, str) else body
        made = environ(request.method or "GET", target, url.netloc, request.headers.items(), data)
        try:
            status, headers, content = run(self._app, made)
        except ConnectionError as error:
            # As when the server hangs up after it has read the request.
            lost = urllib3.exceptions.ProtocolError("Connection aborted.", error)
            raise requests.ConnectionError(lost, request=request) from error
        code, _, reason = status.partition(" ")
        response = requests.Response()
        response.status_code = int(code)
        response.reason = reason
        response.headers.update(headers)
        response.url = cast("str", request.url)
        response.request = request
        response.encoding = "utf-8"
        response.raw = urllib3.HTTPResponse(
            body=io.BytesIO(content),
            headers=dict(headers),
            status=int(code),
            preload_content=False,
            request_method=request.method,
        )
        return response

    def close(self) -> None:
        """Nothing is held open."""


def session(app: App) -> requests.Session:
    """Return a session whose https:// requests are answered by the application."""
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", _Adapter(app))
    return made


class Transport(RequestsTransport):  # type: ignore[misc]  # azure-core loads it lazily
    """A transport whose https:// calls run a WSGI application, and whose sleep turns a clock."""

    def __init__(self, app: App, clock: Clock) -> None:
        """Make one for an application and the clock that its world goes by."""
        super().__init__(session=session(app), session_owner=False)
        self._clock = clock

    def sleep(self, duration: float) -> None:
        """Let time pass without waiting; azure-core calls it between tries and polls."""
        self._clock.forward(duration)
