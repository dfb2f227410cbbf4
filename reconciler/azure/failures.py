"""What Azure's refusals mean to us: again later, blocked, absent, or a bug of ours.

One table by code, from recordings and issue threads (facts: Errors and Resource Graph). Where a
code is not in it the status decides, because services use one code for several things: what
passes by its status is asked again, anything else needs a person.
"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol, cast

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from reconciler.azure import signin
from reconciler.errors import (
    Again,
    AlreadyExists,
    ArmError,
    Blocked,
    Conflict,
    NotFound,
    Rejected,
    Unreadable,
)
from reconciler.printable import printable

PRINCIPAL_NOT_FOUND: Final = "PrincipalNotFound"
ROLE_NOT_FOUND: Final = "RoleDefinitionDoesNotExist"
AUTHORIZATION_FAILED: Final = "AuthorizationFailed"
LINKED_AUTHORIZATION_FAILED: Final = "LinkedAuthorizationFailed"
NAME_TAKEN: Final = "RoleAssignmentUpdateNotPermitted"
LIMIT_REACHED: Final = "RoleAssignmentLimitExceeded"
SCOPE_LOCKED: Final = "ScopeLocked"
DISABLED: Final = "ReadOnlyDisabledSubscription"
GROUP_NOT_FOUND: Final = "ResourceGroupNotFound"
SIGN_IN: Final = "SignIn"
"""Not Azure's: what we call it when no token is to be had, or ours is refused."""

LOOK_AGAIN_AT_RIGHTS: Final = frozenset({AUTHORIZATION_FAILED, LINKED_AUTHORIZATION_FAILED})
"""Codes that are looked at once more after ten minutes: a right may just have been given."""
TEN_MINUTES: Final = frozenset({PRINCIPAL_NOT_FOUND, ROLE_NOT_FOUND})
"""Codes that pass within ten minutes or not at all: what was just made is not known everywhere."""


class _Row(NamedTuple):
    kind: type[ArmError]
    next_step: str = ""


_RIGHT = (
    "give the app the right that Azure names, there or above; "
    "one that was just given counts within ten minutes"
)
_LINKED = (
    "give the app Managed Identity Operator on the identity that Azure names, or take one that is "
    "gone out of policy"
)
_PROVIDER = (
    "register the resource provider that Azure names in that subscription (az provider register)"
)
_UNUSABLE = "look at what Azure names: no api-version or type of ours is known there"
_ADMINISTRATOR = "give another administrator the same right first, or keep this one"
_DENIED = "have the policy's owner exempt what Azure names, or take it out of our policy"
_SUBSCRIPTION = (
    "check that the subscription exists and that the app may read it, else take it out of policy "
    "and settings"
)
_MEND = "mend what Azure names; the next event or sweep tries again"
_OURS = "report it with Azure's text: it is a mistake of identity-reconciler"
_SIGN_IN = "look at the app's identity and RECONCILER_CLIENT_ID; it is asked again for an hour"

_TABLE: Final[dict[str, _Row]] = {
    # Again later.
    PRINCIPAL_NOT_FOUND: _Row(
        Again, "check that the identity is there, in the tenant of the subscription"
    ),
    ROLE_NOT_FOUND: _Row(Again, "check that the role is there and may be assigned at that scope"),
    # Another's work that ends (recorded or reported; that a group's deletion ends is assumed).
    **dict.fromkeys(
        (
            "AnotherOperationInProgress",
            "Conflict",
            "ConflictingConcurrentWriteNotAllowed",
            "NamespaceInTransition",
            "OperationPreempted",
            "PreconditionFailed",
            "ReferencedResourceNotProvisioned",
            "ResourceGroupBeingDeleted",
            "RetryableError",
            "RetryableErrorDueToAnotherOperation",
            "TooManyRequests",
        ),
        _Row(Conflict, "look at what else writes to it (its activity log)"),
    ),
    # Absent, as a 404. Other codes that end like these say that nothing could be looked up.
    **dict.fromkeys(
        (
            "ClusterNotFound",
            "ContainerGroupNotFound",
            "EntityNotFound",
            "ManagementGroupNotFound",
            "NotFound",
            "ParentResourceNotFound",
            GROUP_NOT_FOUND,
            "ResourceNotFound",
            "RoleAssignmentNotFound",
        ),
        _Row(NotFound),
    ),
    # Present.
    "RoleAssignmentExists": _Row(AlreadyExists),
    # Needs a person.
    AUTHORIZATION_FAILED: _Row(Blocked, _RIGHT),
    LINKED_AUTHORIZATION_FAILED: _Row(Blocked, _LINKED),
    "DenyAssignmentAuthorizationFailed": _Row(
        Blocked, "have the owner of the deny assignment (a managed application or stack) except it"
    ),
    SCOPE_LOCKED: _Row(Blocked, "take the lock off, or keep what it protects"),
    LIMIT_REACHED: _Row(
        Blocked, "remove role assignments that nobody needs, or ask Azure for a higher limit"
    ),
    "CannotDeleteLastRbacAdminAssignment": _Row(Blocked, _ADMINISTRATOR),
    "LastOwnerCannotBeDeleted": _Row(Blocked, _ADMINISTRATOR),
    # Another assignment sits on our name, which only its owner may move.
    NAME_TAKEN: _Row(Blocked, "find the assignment of that name in the tenant, and remove it"),
    "RequestDisallowedByPolicy": _Row(Blocked, _DENIED),
    "RequestDisallowedByAzure": _Row(Blocked, _DENIED),
    "FailedIdentityOperation": _Row(
        Blocked,
        "check that each identity on the resource is still there, and detach or create anew what "
        "is gone: Azure refuses changes beside it",
    ),
    "IdentityQuotaExceeded": _Row(Blocked, "detach identities that the resource does not need"),
    "PropertyChangeNotAllowed": _Row(Blocked, _MEND),
    DISABLED: _Row(Blocked, "have the subscription enabled, or do not watch it"),
    "SubscriptionNotFound": _Row(Blocked, _SUBSCRIPTION),
    "SubscriptionNotRegistered": _Row(Blocked, _PROVIDER),
    "MissingSubscriptionRegistration": _Row(Blocked, _PROVIDER),
    "MissingRegistrationForLocation": _Row(Blocked, _PROVIDER),
    "NoRegisteredProviderFound": _Row(Blocked, _PROVIDER),
    "InvalidResourceNamespace": _Row(Blocked, _UNUSABLE),
    "InvalidResourceType": _Row(Blocked, _UNUSABLE),
    "InvalidApiVersionParameter": _Row(Blocked, _UNUSABLE),
    "ResourceTypeNotSupported": _Row(Blocked, _UNUSABLE),
    # A bug of ours; `InvalidParameter` as well, where it is about the identity block.
    "InvalidRequestContent": _Row(Rejected, _OURS),
    "InvalidIdentityValues": _Row(Rejected, _OURS),
    "MissingIdentityIds": _Row(Rejected, _OURS),
    "DuplicateIdentityIds": _Row(Rejected, _OURS),
}
# Services wrap their own code in these, so that a code inside says more.
_WRAPPERS: Final = frozenset(
    {"", "BadRequest", "Conflict", "Forbidden", "NotFound", "OperationNotAllowed"}
)
_INVALID_PARAMETER: Final = "InvalidParameter"
_ABOUT_IDENTITIES: Final = re.compile(r"resourceIdentity|identityIds?\b", re.IGNORECASE)
# Portal text of a refusal that came without a code (documented).
_LAST_ADMINISTRATOR: Final = "Cannot delete the last RBAC admin assignment"

TOO_MANY: Final = 429
_NO_TOKEN: Final = 401
_CHANGED: Final = 412
_CONFLICT: Final = frozenset({409, _CHANGED})
_PASSING: Final = frozenset({_NO_TOKEN, 408, TOO_MANY})
_NOT_FOUND: Final = 404
_REFUSED: Final = 400
_SERVER_ERROR: Final = 500
_LONGEST_WAIT: Final = timedelta(hours=1)
_WAIT_IN_TEXT: Final = re.compile(r"after '?([0-9]+)'? seconds?", re.IGNORECASE)
# Azure names the client first and the linked scope last.
_HEAD: Final = 200
_TAIL: Final = 600
_DEEPEST: Final = 5
"""Levels down to which a body is searched for codes; the deepest recorded one has four."""


class Response(Protocol):
    """What the SDKs' two generations of responses have in common."""

    status_code: int
    headers: Any

    def text(self) -> str:
        """Return the body."""
        ...


def from_response(what: str, response: Response) -> ArmError:
    """Return the error that an answer comes to; `what` names the call for the reader."""
    status = response.status_code
    body = _body_of(response)
    code, text = _code_of(body), _in_one_line(_text_of(body))
    row = _row_for(status, code, f"{_text_of(body)} {_target_of(body)}")
    error = row.kind(
        f"{what}: {f'{status} {code}'.rstrip()}: {text}".rstrip(": "),
        status=status,
        code=SIGN_IN if status == _NO_TOKEN else code,
        request_id=_in_one_line(str(response.headers.get("x-ms-request-id", ""))),
    )
    error.next_step = row.next_step
    error.gateway = response.headers.get("x-ms-failure-cause") == "gateway"
    if isinstance(error, Again):
        error.retry_after = _retry_after(response, _text_of(body))
    if isinstance(error, Conflict):
        # A machine's 412 has no body (facts: Machines).
        error.known = row.next_step != _MEND or (status == _CHANGED and not code)
    return error


def from_exception(what: str, error: Exception) -> ArmError:
    """Return the error that an exception of the SDK, or of what it stands on, comes to."""
    if isinstance(error, ClientAuthenticationError):
        # Its answer, if it holds one, may be the identity endpoint's: a 404 there says nothing
        # about what was asked for.
        refused = Blocked(f"{what}: cannot sign in: {_said(error)}", code=SIGN_IN)
        refused.next_step = _SIGN_IN
        return refused
    if isinstance(error, HttpResponseError) and error.response is not None:
        return from_response(what, cast("Response", error.response))
    # Errors of the connection are the operating system's where the SDK did not wrap them.
    if isinstance(error, ServiceRequestError | ServiceResponseError | OSError):
        return Again(f"{what}: Azure could not be reached: {_said(error)}")
    if isinstance(error, AzureError):
        return Again(f"{what}: {_said(error)}")
    return Unreadable(f"{what}: the answer cannot be read: {type(error).__name__}: {_said(error)}")


def _row_for(status: int, code: str, text: str) -> _Row:
    """Return the meaning of an answer: by what passes, by its code, and then by its status."""
    if status < _REFUSED:
        return _Row(Unreadable)
    if status in _PASSING or status >= _SERVER_ERROR:
        return _Row(Again, _SIGN_IN if status == _NO_TOKEN else "")
    row = _TABLE.get(code)
    if code == _INVALID_PARAMETER and _ABOUT_IDENTITIES.search(text):
        row = _Row(Rejected, _OURS)
    elif not code and _LAST_ADMINISTRATOR in text:
        row = _Row(Blocked, _ADMINISTRATOR)
    elif status == _NOT_FOUND and (not code or code.isdigit()):
        row = _Row(NotFound)
    if row is None or (row.kind is NotFound and status != _NOT_FOUND):
        return _Row(Conflict if status in _CONFLICT else Blocked, _MEND)
    return row


def _body_of(response: Response) -> dict[str, Any]:
    """Return the error in a body of any shape that is recorded (facts: Errors), or nothing."""
    try:
        body: Any = response.text()
        # Some services answer with JSON in a string, or with an error that is one.
        for _ in range(_DEEPEST):
            if isinstance(body, str):
                body = json.loads(body)
                continue
            inner = body.get("error", body.get("Error")) if isinstance(body, dict) else None
            if not isinstance(inner, dict | str) or not inner:
                break
            if isinstance(inner, str) and not inner.lstrip().startswith("{"):
                # As token endpoints answer: a code and a description.
                return {"code": inner, "message": body.get("error_description"), **body}
            body = inner
    except Exception:  # noqa: BLE001 (anybody's body: charsets, depth and numbers raise as they like)
        return {}
    return dict(body) if isinstance(body, dict) else {}


def _code_of(body: dict[str, Any]) -> str:
    """Return the code that says most: the outer one, or a known one that it only wraps."""
    codes = list(_codes(body, _DEEPEST))
    outer = _name(_part(body, "code"))
    if outer in _WRAPPERS or outer.isdigit():
        known = (code for code in codes if code in _TABLE and code not in _WRAPPERS)
        return next(known, outer or next(iter(codes), ""))
    return outer


def _codes(body: object, levels: int) -> Iterator[str]:
    """Yield the codes in a body and in what it wraps: details, inner errors, JSON in its text."""
    if isinstance(body, list):
        for part in body:
            yield from _codes(part, levels - 1)
    if not isinstance(body, dict) or not levels:
        return
    if code := _name(_part(body, "code")):
        yield code
    for key in ("error", "details", "innererror"):
        yield from _codes(_part(body, key), levels - 1)
    text = _part(body, "message")
    if isinstance(text, str) and text.lstrip().startswith("{"):
        try:
            wrapped = json.loads(text)
        except (ValueError, RecursionError):
            return
        yield from _codes(wrapped, levels - 1)


def _part(body: dict[str, Any], key: str) -> object:
    """Return a part of an error, in ARM's spelling or in App Service's with a capital."""
    found = body.get(key)
    return body.get(key.capitalize()) if found is None else found


def _name(value: object) -> str:
    """Return a code; some are numbers."""
    return _in_one_line(str(value)) if isinstance(value, str | int) else ""


def _text_of(body: dict[str, Any]) -> str:
    text = _part(body, "message")
    return text if isinstance(text, str) else ""


def _target_of(body: dict[str, Any]) -> str:
    target = _part(body, "target")
    return target if isinstance(target, str) else ""


def _retry_after(response: Response, text: str) -> timedelta | None:
    """Return how long Azure asks us to wait; some 429 say so only in the text (facts: Errors)."""
    header = str(response.headers.get("Retry-After", ""))
    if header.isascii() and header.isdigit():
        return _seconds(header)
    found = _WAIT_IN_TEXT.search(text)
    return _seconds(found[1]) if found else None


def _seconds(digits: str) -> timedelta:
    """Return a time to wait, an hour at most, however long the number is."""
    longest = int(_LONGEST_WAIT.total_seconds())
    number = digits.lstrip("0") or "0"
    return timedelta(
        seconds=longest if len(number) > len(str(longest)) else min(int(number), longest)
    )


def _said(error: Exception) -> str:
    """Return why no token was to be had, or the first line of any other error."""
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    said = signin.reason(str(error)) or first_line
    return _in_one_line(said) + signin.advice(said)


def _in_one_line(text: str) -> str:
    """Cut a text in its middle, and make one line of it: it quotes others' names, in the log."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} [...] {text[-_TAIL:]}"
    return printable(text)
