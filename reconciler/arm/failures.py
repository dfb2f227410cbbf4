"""What Azure's refusals mean to us: again later, blocked, absent, or a bug of ours.

The table follows facts B6 (bodies and texts from recordings and issue threads); the status decides
where the code is not in it, because services use one code for several things (facts A2.6).
"""

import json
import re
from datetime import timedelta
from typing import Any, Final, Protocol, cast

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from reconciler.arm import signin
from reconciler.errors import (
    Again,
    AlreadyExists,
    ArmError,
    Blocked,
    Conflict,
    NotFound,
    Rejected,
)

PRINCIPAL_NOT_FOUND: Final = "PrincipalNotFound"
AUTHORIZATION_FAILED: Final = "AuthorizationFailed"
SIGN_IN: Final = "SignIn"
"""Not Azure's: what we call it when no token is to be had, or ours is refused."""
GROUP_NOT_FOUND: Final = "ResourceGroupNotFound"
LOOK_AGAIN_AT_RIGHTS: Final = frozenset({AUTHORIZATION_FAILED, "LinkedAuthorizationFailed"})
TEN_MINUTES: Final = frozenset({PRINCIPAL_NOT_FOUND, "RoleDefinitionDoesNotExist"})
NAME_TAKEN: Final = "RoleAssignmentUpdateNotPermitted"
LIMIT_REACHED: Final = "RoleAssignmentLimitExceeded"

_BY_CODE: Final[dict[str, type[ArmError]]] = {
    PRINCIPAL_NOT_FOUND: Again,
    "RoleAssignmentExists": AlreadyExists,
    # Another assignment sits on our name. Ours always bears the name of its own triple, so this
    # one is not ours and only its owner may move it.
    "RoleAssignmentUpdateNotPermitted": Blocked,
    "RoleAssignmentLimitExceeded": Blocked,
    "CannotDeleteLastRbacAdminAssignment": Blocked,
    "ScopeLocked": Blocked,
    "RequestDisallowedByPolicy": Blocked,
    "FailedIdentityOperation": Blocked,
}
_CONFLICT: Final = frozenset({409, 412})
TOO_MANY: Final = 429
_NO_TOKEN: Final = 401
_PASSING: Final = frozenset({408, TOO_MANY})
_SERVER_ERROR: Final = 500
_WAIT_IN_TEXT: Final = re.compile(r"after '?(\d+)'? seconds?", re.IGNORECASE)
_TEXT_LIMIT: Final = 500


class Response(Protocol):
    """What the SDKs' two generations of responses have in common."""

    status_code: int
    headers: Any

    def text(self) -> str:
        """Return the body."""
        ...


def from_response(what: str, response: Response) -> ArmError:
    """Return the error that a refused call comes to; `what` names the call for the reader."""
    code, text = _error_of(response)
    kind = _BY_CODE.get(code) or _by_status(response.status_code)
    error = kind(
        f"{what}: {response.status_code} {code}: {text}".rstrip(": "),
        status=response.status_code,
        code=SIGN_IN if response.status_code == _NO_TOKEN else code,
        request_id=response.headers.get("x-ms-request-id", ""),
    )
    if isinstance(error, Again):
        error.retry_after = _retry_after(response, text)
    return error


def from_exception(what: str, error: AzureError) -> ArmError:
    """Return the error that an exception of the SDK comes to."""
    if isinstance(error, ClientAuthenticationError):
        # Its answer, if it holds one, may be the identity endpoint's: a 404 there says nothing
        # about what was asked for.
        return Blocked(f"{what}: cannot sign in: {_said(error)}", code=SIGN_IN)
    if isinstance(error, HttpResponseError) and error.response is not None:
        return from_response(what, cast("Response", error.response))
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return Again(f"{what}: Azure could not be reached: {_said(error)}")
    return Again(f"{what}: {_said(error)}")


def _by_status(status: int) -> type[ArmError]:
    if status == 404:  # noqa: PLR2004 (the one status that means absent)
        return NotFound
    if status in _CONFLICT:
        return Conflict
    if status in _PASSING or status >= _SERVER_ERROR:
        return Again
    return Blocked if status in {_NO_TOKEN, 403} else Rejected


def _error_of(response: Response) -> tuple[str, str]:
    """Read code and message out of the three body shapes that are recorded (facts A2.6)."""
    try:
        body: Any = json.loads(response.text())
    except ValueError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    inner = body.get("error")
    error = inner if isinstance(inner, dict) else body
    code = error.get("code") or error.get("Code") or (inner if isinstance(inner, str) else "")
    text = error.get("message") or error.get("Message") or error.get("error_description") or ""
    return _in_one_line(str(code)), _in_one_line(str(text))


def _retry_after(response: Response, text: str) -> timedelta | None:
    """Return how long Azure asks us to wait; some 429 say so only in the text (facts A2.6)."""
    header = response.headers.get("Retry-After", "")
    if header.isascii() and header.isdigit():
        return timedelta(seconds=int(header))
    found = _WAIT_IN_TEXT.search(text)
    return timedelta(seconds=int(found[1])) if found else None


def _said(error: AzureError) -> str:
    """Return why no token was to be had, or the first line of any other error."""
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    said = signin.reason(str(error)) or first_line
    return _in_one_line(said) + signin.advice(said)


def _in_one_line(text: str) -> str:
    """Cut a text, and make one line of it: it quotes others' names, and ends in the log."""
    shown = (sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return "".join(shown)[:_TEXT_LIMIT]
