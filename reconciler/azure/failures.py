"""What Azure's refusals mean to us: one table, from status and code to kind and next step.

`Pipeline` and `reconciler.notify` turn every failed call into an `ArmError` here. The rows rest on
facts: Errors and Resource Graph (bodies and texts from recordings and issue threads), and
docs/failures.md is made from them. The first row that fits an answer counts. A code that no row
names needs a person, unless its status is one that passes: services use one code for several
things.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, cast

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

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
from reconciler.wording import printable

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
"""Not Azure's: our code where no token is to be had, or ours is refused."""
NO_CODE: Final = ""
A_NUMBER: Final = "(number)"
"""Stands in a row for every code of digits: App Service repeats a status so."""

NO_ANSWER: Final = 0
TOO_MANY: Final = 429
_NO_TOKEN: Final = 401


class Repeat(StrEnum):
    """How long a failed call is made again, in the words of docs/failures.md."""

    FOR_AN_HOUR = "for an hour"
    FOR_TEN_MINUTES = "for ten minutes"
    ONCE = "once, after the usual delay"
    ONCE_AFTER_TEN_MINUTES = "once, after ten minutes"
    NOT_FOR_AN_HOUR = "for an hour no write to the subscription is sent"
    NO = "not by itself"


@dataclass(frozen=True, slots=True)
class Failure:
    """One row: the answers that it is about, and what they mean.

    An answer fits by its status and its code, where the row names some, and by its text. Status 0
    is a call without an answer.
    """

    kind: type[ArmError]
    codes: tuple[str, ...] = ()
    next_step: str = ""
    repeat: Repeat = Repeat.NO
    statuses: Collection[int] = ()
    text: str = ""
    """A pattern that must be found in the message or target."""


_SIGN_IN: Final = (
    "look at the app's identity and RECONCILER_CLIENT_ID; it is asked again for an hour"
)
_ADMINISTRATOR: Final = "give another administrator the same right first, or keep this one"
_MEND: Final = "mend what Azure names; the next event or sweep tries again"
_OURS: Final = "report it with Azure's text: it is a mistake of identity-reconciler"

TABLE: Final = (
    # What passes, by its status.
    Failure(Blocked, (SIGN_IN,), _SIGN_IN, Repeat.FOR_AN_HOUR, {NO_ANSWER}),
    Failure(Again, repeat=Repeat.FOR_AN_HOUR, statuses={NO_ANSWER}),
    Failure(Unreadable, repeat=Repeat.FOR_AN_HOUR, statuses=range(1, 400)),
    Failure(Again, (), _SIGN_IN, Repeat.FOR_AN_HOUR, {_NO_TOKEN}),
    Failure(Again, repeat=Repeat.FOR_AN_HOUR, statuses={408, TOO_MANY}),
    Failure(Again, repeat=Repeat.FOR_AN_HOUR, statuses=range(500, 1000)),
    # What was just made is not known everywhere: it passes within ten minutes or not at all.
    Failure(
        Again,
        (PRINCIPAL_NOT_FOUND,),
        "check that the identity is there, in the tenant of the subscription",
        Repeat.FOR_TEN_MINUTES,
    ),
    Failure(
        Again,
        (ROLE_NOT_FOUND,),
        "check that the role is there and may be assigned at that scope",
        Repeat.FOR_TEN_MINUTES,
    ),
    # Another's work that ends (recorded or reported; that a group's deletion ends is assumed).
    Failure(
        Conflict,
        (
            *("AnotherOperationInProgress", "Conflict", "ConflictingConcurrentWriteNotAllowed"),
            *("NamespaceInTransition", "OperationPreempted", "PreconditionFailed"),
            *("ReferencedResourceNotProvisioned", "ResourceGroupBeingDeleted", "RetryableError"),
            *("RetryableErrorDueToAnotherOperation", "TooManyRequests"),
        ),
        "look at what else writes to it (its activity log)",
        Repeat.FOR_AN_HOUR,
    ),
    # Absent. Other codes that end like these mean that nothing could be looked up.
    Failure(
        NotFound,
        (
            *("ClusterNotFound", "ContainerGroupNotFound", "EntityNotFound"),
            *("ManagementGroupNotFound", "NotFound", "ParentResourceNotFound", GROUP_NOT_FOUND),
            *("ResourceNotFound", "RoleAssignmentNotFound"),
        ),
        statuses={404},
    ),
    # Present, but not ours.
    Failure(AlreadyExists, ("RoleAssignmentExists",)),
    # Needs a person. A right may just have been given.
    Failure(
        Blocked,
        (AUTHORIZATION_FAILED,),
        "give the app the right that Azure names, there or above; "
        "one that was just given counts within ten minutes",
        Repeat.ONCE_AFTER_TEN_MINUTES,
    ),
    Failure(
        Blocked,
        (LINKED_AUTHORIZATION_FAILED,),
        "give the app Managed Identity Operator on the identity that Azure names, or take one that "
        "is gone out of policy",
        Repeat.ONCE_AFTER_TEN_MINUTES,
    ),
    Failure(
        Blocked,
        ("DenyAssignmentAuthorizationFailed",),
        "have the owner of the deny assignment (a managed application or stack) except it",
    ),
    Failure(Blocked, (SCOPE_LOCKED,), "take the lock off, or keep what it protects"),
    Failure(
        Blocked,
        (LIMIT_REACHED,),
        "remove role assignments that nobody needs, or ask Azure for a higher limit",
    ),
    Failure(
        Blocked,
        ("CannotDeleteLastRbacAdminAssignment", "LastOwnerCannotBeDeleted"),
        _ADMINISTRATOR,
    ),
    # Portal text of a refusal that came without a code (documented).
    Failure(
        Blocked,
        (NO_CODE,),
        _ADMINISTRATOR,
        text="Cannot delete the last RBAC admin assignment",
    ),
    # Another assignment sits on our name, which only its owner may move.
    Failure(
        Blocked, (NAME_TAKEN,), "find the assignment of that name in the tenant, and remove it"
    ),
    Failure(
        Blocked,
        ("RequestDisallowedByPolicy", "RequestDisallowedByAzure"),
        "have the policy's owner exempt what Azure names, or take it out of our policy",
    ),
    Failure(
        Blocked,
        ("FailedIdentityOperation",),
        "check that each identity on the resource is still there, and detach or create anew what "
        "is gone: Azure refuses changes beside it",
    ),
    Failure(
        Blocked,
        ("IdentityQuotaExceeded",),
        "detach identities that the resource does not need",
    ),
    Failure(Blocked, ("PropertyChangeNotAllowed",), _MEND),
    Failure(
        Blocked,
        (DISABLED,),
        "have the subscription enabled, or do not watch it",
        Repeat.NOT_FOR_AN_HOUR,
    ),
    Failure(
        Blocked,
        ("SubscriptionNotFound",),
        "check that the subscription exists and that the app may read it, else take it out of "
        "policy and settings",
    ),
    Failure(
        Blocked,
        (
            *("SubscriptionNotRegistered", "MissingSubscriptionRegistration"),
            *("MissingRegistrationForLocation", "NoRegisteredProviderFound"),
        ),
        "register the resource provider that Azure names in that subscription (az provider "
        "register)",
    ),
    Failure(
        Blocked,
        (
            *("InvalidResourceNamespace", "InvalidResourceType"),
            *("InvalidApiVersionParameter", "ResourceTypeNotSupported"),
        ),
        "look at what Azure names: no api-version or type of ours is known there",
    ),
    # A closed list of our own bugs: what else Azure finds wrong may be wrong with the resource.
    Failure(
        Rejected,
        (
            *("InvalidRequestContent", "InvalidIdentityValues"),
            *("MissingIdentityIds", "DuplicateIdentityIds"),
        ),
        _OURS,
    ),
    Failure(Rejected, ("InvalidParameter",), _OURS, text=r"resourceIdentity|identityIds?\b"),
    # By the status, whatever the code. A machine's 412 has no body (facts: Machines).
    Failure(NotFound, (NO_CODE, A_NUMBER), statuses={404}),
    Failure(Conflict, (NO_CODE,), _MEND, Repeat.FOR_AN_HOUR, {412}),
    Failure(Conflict, (), _MEND, Repeat.ONCE, {409, 412}),
    Failure(Blocked, (), _MEND),
)

LOOK_AGAIN_AT_RIGHTS: Final = frozenset(
    code for row in TABLE if row.repeat is Repeat.ONCE_AFTER_TEN_MINUTES for code in row.codes
)
TEN_MINUTES: Final = frozenset(
    code for row in TABLE if row.repeat is Repeat.FOR_TEN_MINUTES for code in row.codes
)

# Services wrap their own code in these, so that a code inside says more.
_WRAPPERS: Final = frozenset(
    {NO_CODE, "BadRequest", "Conflict", "Forbidden", "NotFound", "OperationNotAllowed"}
)
_KNOWN: Final = frozenset(code for row in TABLE if not row.text for code in row.codes) - _WRAPPERS
_DEEPEST: Final = 5
"""Levels down to which a body is searched for codes; the deepest recorded one has four."""
_LONGEST_WAIT: Final = 3600
_WAIT_IN_TEXT: Final = re.compile(r"after '?([0-9]+)'? seconds?", re.IGNORECASE)
# Azure names the client first and the linked scope last.
_HEAD: Final = 200
_TAIL: Final = 600

# azure-identity's account of each credential that it tried; the sentence before a managed
# identity's answer is wrong where the answer is App Service's.
_TRIED: Final = re.compile(
    r"^\t(\w+Credential): "
    r"(?:App Service managed identity configuration not found in environment\. )?(.+)$",
    re.MULTILINE,
)
_NOT_SET_UP: Final = re.compile(
    r"unavailable|not found on path|is not installed|could not be found|No accounts were found"
    r"|requires the|'az login'|'azd auth login'|Connect-AzAccount"
)
_NOBODY: Final = (
    "nobody is signed in; use a managed identity, the AZURE_* variables of a service principal, "
    "or `az login`"
)
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"


class Response(Protocol):
    """What the SDKs' two generations of responses have in common."""

    status_code: int
    headers: Any

    def text(self) -> str:
        """Return the body."""
        ...


def find(status: int, code: str, text: str = "") -> Failure:
    """Return the first row of `TABLE` that an answer fits; `text` is its message and target."""
    names = {code, A_NUMBER} if code.isdigit() else {code}
    return next(
        row
        for row in TABLE
        if (not row.statuses or status in row.statuses)
        and (not row.codes or not names.isdisjoint(row.codes))
        and (not row.text or re.search(row.text, text, re.IGNORECASE))
    )


def from_response(what: str, response: Response) -> ArmError:
    """Return the error that an answer comes to; `what` names the call for the reader."""
    status, body = response.status_code, _error_in(response)
    message, target = (
        part if isinstance(part := _part(body, key), str) else "" for key in ("message", "target")
    )
    codes = list(_codes(body, _DEEPEST))
    code = _name(_part(body, "code"))
    if code in _WRAPPERS or code.isdigit():
        code = next((inner for inner in codes if inner in _KNOWN), code or next(iter(codes), ""))
    row = find(status, code, f"{message} {target}")
    error = row.kind(
        f"{what}: {f'{status} {code}'.rstrip()}: {_in_one_line(message)}".rstrip(": "),
        status=status,
        code=SIGN_IN if status == _NO_TOKEN else code,
        request_id=_in_one_line(str(response.headers.get("x-ms-request-id", ""))),
    )
    error.next_step = row.next_step
    error.gateway = response.headers.get("x-ms-failure-cause") == "gateway"
    if isinstance(error, Again):
        # Some 429 name the wait in their text only (facts: Errors).
        seconds = str(response.headers.get("Retry-After", ""))
        if not (seconds.isascii() and seconds.isdigit()):
            in_text = _WAIT_IN_TEXT.search(message)
            seconds = in_text[1] if in_text else ""
        if seconds:
            # An hour at most, however long the number is.
            digits = seconds.lstrip("0") or "0"
            wait = int(digits) if len(digits) <= len(str(_LONGEST_WAIT)) else _LONGEST_WAIT
            error.retry_after = timedelta(seconds=min(wait, _LONGEST_WAIT))
    if isinstance(error, Conflict):
        error.known = row.repeat is not Repeat.ONCE
    return error


def from_exception(what: str, error: Exception) -> ArmError:
    """Return the error that an exception of the SDK, or of what it stands on, comes to."""
    text = str(error)
    reason = next(iter(text.splitlines()), type(error).__name__)
    if tried := _TRIED.findall(text):
        # Most credentials only say that they are not set up; what counts is the one that is.
        reasons = [f"{name}: {why}" for name, why in tried if not _NOT_SET_UP.search(why)]
        reason = "; ".join(reasons) or _NOBODY
    advice = "; name its authority's file in REQUESTS_CA_BUNDLE" if _UNTRUSTED in reason else ""
    reason = _in_one_line(reason) + advice
    if isinstance(error, ClientAuthenticationError):
        # Its answer, if it holds one, may be the identity endpoint's: a 404 there says nothing
        # about what was asked for.
        row = find(NO_ANSWER, SIGN_IN)
        refused = row.kind(f"{what}: cannot sign in: {reason}", code=SIGN_IN)
        refused.next_step = row.next_step
        return refused
    if isinstance(error, HttpResponseError) and error.response is not None:
        return from_response(what, cast("Response", error.response))
    # Errors of the connection are the operating system's where the SDK did not wrap them.
    if isinstance(error, ServiceRequestError | ServiceResponseError | OSError):
        return Again(f"{what}: Azure could not be reached: {reason}")
    if isinstance(error, AzureError):
        return Again(f"{what}: {reason}")
    return Unreadable(f"{what}: the answer cannot be read: {type(error).__name__}: {reason}")


def _error_in(response: Response) -> dict[str, Any]:
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
    part = body.get(key)
    return body.get(key.capitalize()) if part is None else part


def _name(value: object) -> str:
    """Return a code; some are numbers."""
    return _in_one_line(str(value)) if isinstance(value, str | int) else ""


def _in_one_line(text: str) -> str:
    """Cut a text in its middle, and make one line of it: it quotes others' names, in the log."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} [...] {text[-_TAIL:]}"
    return printable(text)
