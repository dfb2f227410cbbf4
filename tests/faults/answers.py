"""The wrong answers that Azure, or what lies before it, may give to one call; each once."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.wsgi import App, StartResponse

type Json = dict[str, Any]


class DeathError(BaseException):
    """The process ends here, whatever it was about; no handler of the app may catch it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; `body` may be made out of the true one."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    of_truth: Callable[[Json], object] | None = None
    """Makes the body out of the true answer's, which is then really given."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the call itself: it is lost before Azure sees it, or its answer is."""

    done: bool
    death: bool


type Fault = Answer | Fate | None
"""None is for the answer that this URL gave before anything happened."""


def _error(status: int, code: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = {"error": {"code": code, "message": f"{code}, as a fault"}}
    return Answer(status, body, named)


def _without(*keys: str) -> Callable[[Json], object]:
    def cut(body: Json) -> object:
        return {key: value for key, value in body.items() if key not in keys}

    return cut


def _another_type(body: Json) -> object:
    return {**body, "type": "Microsoft.Web/sites", "id": f"{body.get('id', '')}x"}


def _torn(body: Json) -> object:
    text = json.dumps(body).encode()
    return text[: len(text) // 2]


def _half(body: Json) -> object:
    for key in ("value", "data"):
        if isinstance(body.get(key), list):
            return {**body, key: body[key][: len(body[key]) // 2]}
    return body


def _empty(body: Json) -> object:
    return body | {key: [] for key in ("value", "data") if key in body}


FAULTS: Final[dict[str, Fault]] = {
    "404 of the gateway": _error(404, "ResourceNotFound", x_ms_failure_cause="gateway"),
    "404 of the provider": _error(404, "ResourceNotFound"),
    "404 without a group": _error(404, "ResourceGroupNotFound", x_ms_failure_cause="gateway"),
    "404 without a subscription": _error(404, "SubscriptionNotFound"),
    "404 without a body": Answer(404, b""),
    "400 unknown": _error(400, "SomethingNew"),
    "401": _error(401, "InvalidAuthenticationToken"),
    "403": _error(403, "AuthorizationFailed"),
    "403 of what is linked": _error(403, "LinkedAuthorizationFailed"),
    "409 passing": _error(409, "AnotherOperationInProgress"),
    "409 locked": _error(409, "ScopeLocked"),
    "409 disabled": _error(409, "ReadOnlyDisabledSubscription"),
    "409 unknown": _error(409, "SomethingNew"),
    "412": _error(412, "PreconditionFailed"),
    "429 with a wait": _error(429, "TooManyRequests", Retry_After="17"),
    "429 without": _error(429, "SubscriptionRequestsThrottled"),
    "429 with nonsense": _error(429, "TooManyRequests", Retry_After="-99999999999999999999"),
    "500": _error(500, "InternalServerError"),
    "502 of a proxy": Answer(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}),
    "200 that is no JSON": Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
    "200 that is a list": Answer(200, []),
    "200 that is an empty object": Answer(200, {}),
    "200 that is null": Answer(200, b"null"),
    "202 without a body": Answer(202, b""),
    "204": Answer(204, b""),
    "301": Answer(301, b"", {"Location": "/elsewhere"}),
    "torn in the middle": Answer(200, of_truth=_torn),
    "an empty list": Answer(200, of_truth=_empty),
    "half of the list": Answer(200, of_truth=_half),
    "without its identity": Answer(200, of_truth=_without("identity")),
    "without its properties": Answer(200, of_truth=_without("properties")),
    "without tags and location": Answer(200, of_truth=_without("tags", "location", "etag")),
    "another type and id": Answer(200, of_truth=_another_type),
    "stale": None,
    "lost before Azure saw it": Fate(done=False, death=False),
    "its answer lost": Fate(done=True, death=False),
    "death before it": Fate(done=False, death=True),
    "death after it": Fate(done=True, death=True),
}


@dataclass
class Faulty:
    """A WSGI application around Azure's: one of its calls goes wrong, and every write is watched.

    `before` and `after` are called around each write; `number` counts the calls since `armed`.
    """

    azure: App
    watch: Callable[[str, Callable[[], None]], None]
    number: int = 0
    wrong: int = 0
    fault: Fault = None
    armed: bool = False
    seen: dict[tuple[str, str, bytes], tuple[str, bytes]] = field(
        default_factory=dict[tuple[str, str, bytes], tuple[str, bytes]]
    )

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Hand the call on, or let it go wrong."""
        if not self.armed:
            return self._true(environ, start)
        self.number += 1
        if self.number != self.wrong:
            return self._true(environ, start)
        match self.fault:
            case Fate(done, death):
                if done:
                    self._true(environ, _nowhere)
                raise DeathError if death else ConnectionResetError
            case None:
                known = self.seen.get(_key(environ))
                if known is None:
                    return self._true(environ, start)
                status, content = known
                start(status, [("Content-Type", "application/json")])
                return [content]
            case Answer() as answer:
                return self._wrong(answer, environ, start)

    def _wrong(
        self, answer: Answer, environ: dict[str, Any], start: StartResponse
    ) -> Iterable[bytes]:
        body = answer.body
        status = f"{answer.status} Fault"
        if answer.of_truth:
            told: list[str] = []
            content = b"".join(self._true(environ, lambda text, *_: told.append(text)))
            status = told[0]
            try:
                true = json.loads(content)
            except ValueError:
                true = None
            body = answer.of_truth(true) if isinstance(true, dict) else content
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **answer.headers}
        start(status, list(headers.items()))
        return [content]

    def _true(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        answered: list[bytes] = []

        def noting(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # noqa: ANN401 (WSGI)
            told.append(status)
            return start(status, headers, *more)

        def act() -> None:
            answered.append(b"".join(self.azure(environ, noting)))

        told: list[str] = []
        key, what = _key(environ), f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.watch(what, act)
        if not self.armed:
            self.seen[key] = told[0], answered[0]
        return answered


def _key(environ: dict[str, Any]) -> tuple[str, str, bytes]:
    stream = environ["wsgi.input"]
    body: bytes = stream.read()
    stream.seek(0)
    return environ["REQUEST_METHOD"], environ["PATH_INFO"].lower(), body


def _nowhere(*_: object) -> None:
    """Take an answer that nobody receives."""
