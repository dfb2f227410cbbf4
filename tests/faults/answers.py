"""The wrong answers that Azure, or what lies before it, may give to one call; each once.

All but an old answer and a death are faults that the sandbox injects (docs/faults.md).
"""

import json
from typing import Final, Literal

from sandbox.world.faults import Answer, RequestFault

type Fault = RequestFault | Literal["stale", "death before", "death after"] | None
"""A stale answer is the one that the same call got before anything happened."""


def _answer(status: int, body: str = "", **headers: str) -> RequestFault:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return RequestFault(answer=Answer(status=status, body=body, headers=named))


def _error(status: int, code: str, **headers: str) -> RequestFault:
    body = {"error": {"code": code, "message": f"{code}, as a fault"}}
    return _answer(status, json.dumps(body), **headers)


FAULTS: Final[dict[str, Fault]] = {
    "404 of the gateway": _error(404, "ResourceNotFound", x_ms_failure_cause="gateway"),
    "404 of the provider": _error(404, "ResourceNotFound"),
    "404 without a group": _error(404, "ResourceGroupNotFound", x_ms_failure_cause="gateway"),
    "404 without a subscription": _error(404, "SubscriptionNotFound"),
    "404 without a body": _answer(404),
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
    "502 of a proxy": _answer(502, "<html>Bad gateway</html>", Content_Type="text/html"),
    "200 that is no JSON": _answer(200, "<html>Sign in</html>", Content_Type="text/html"),
    "200 that is a list": _answer(200, "[]"),
    "200 that is an empty object": _answer(200, "{}"),
    "200 that is null": _answer(200, "null"),
    "202 without a body": _answer(202),
    "204": _answer(204),
    "301": _answer(301, Location="/elsewhere"),
    "torn in the middle": RequestFault(alter="torn"),
    "an empty list": RequestFault(alter="empty"),
    "half of the list": RequestFault(alter="half"),
    "without its identity": RequestFault(without=["identity"]),
    "without its properties": RequestFault(without=["properties"]),
    "without tags and location": RequestFault(without=["tags", "location", "etag"]),
    "another type and id": RequestFault(alter="renamed"),
    "stale": "stale",
    "lost before Azure saw it": RequestFault(drop=True),
    "its answer lost": RequestFault(drop=True, done=True),
    "death before it": "death before",
    "death after it": "death after",
}
