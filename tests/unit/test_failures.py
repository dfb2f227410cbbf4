"""What Azure's refusals mean to us, over every refusal that was recorded or reported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)

from reconciler.arm import failures
from reconciler.errors import (
    Again,
    AlreadyExists,
    ArmError,
    Blocked,
    Conflict,
    NotFound,
    Rejected,
)

# The refusals that facts B6 lists, then the others that were recorded, by file.
MEANINGS: dict[str, type[ArmError]] = {
    "400_PrincipalNotFound_1": Again,
    "400_PrincipalNotFound_2": Again,
    "400_PrincipalNotFound_with_hint": Again,
    "409_RoleAssignmentExists_1": AlreadyExists,
    "409_RoleAssignmentExists_with_id": AlreadyExists,
    "400_RoleAssignmentUpdateNotPermitted": Blocked,
    "400_RoleAssignmentLimitExceeded": Blocked,
    "409_ScopeLocked_delete": Blocked,
    "403_AuthorizationFailed_1": Blocked,
    "403_AuthorizationFailed_2": Blocked,
    "403_AuthorizationFailed_3": Blocked,
    "403_AuthorizationFailed_4": Blocked,
    "403_AuthorizationFailed_abac": Blocked,
    "403_LinkedAuthorizationFailed_1": Blocked,
    "403_LinkedAuthorizationFailed_assign_action": Blocked,
    "403_LastOwnerCannotBeDeleted": Blocked,
    "400_FailedIdentityOperation_1": Blocked,
    "400_FailedIdentityOperation_generic": Blocked,
    "400_FailedIdentityOperation_vm_uai_missing": Blocked,
    "400_InvalidParameter_1": Rejected,
    "400_InvalidParameter_identityIds_with_SystemAssigned": Rejected,
    "400_InvalidParameter_identity_duplicated": Rejected,
    "400_InvalidIdentityValues": Rejected,
    "400_MissingIdentityIds": Rejected,
    "400_RoleDefinitionHasAssignments": Rejected,
    "400_InvalidRequestContent_1": Rejected,
    "400_InvalidRequestPropertyValue_1": Rejected,
    "400_InvalidTemplateDeployment_1": Rejected,
    "400_LocationNotAvailableForResourceType_1": Rejected,
    "400_MsiInvalidForRenewal_1": Rejected,
    "400_NicInUse_1": Rejected,
    "400_NoRegisteredProviderFound_1": Rejected,
    "400_OperationNotAllowed_1": Rejected,
    "400_ServicePrincipalNotFound_1": Rejected,
    "405_MethodNotAllowed_1": Rejected,
    "404_InvalidResourceType_1": NotFound,
    "404_NotFound_1": NotFound,
    "404_ParentResourceNotFound_1": NotFound,
    "404_ResourceGroupNotFound_1": NotFound,
    "404_ResourceNotFound_1": NotFound,
    "404_ResourceNotFound_2": NotFound,
    "404_ResourceNotFound_3": NotFound,
    "404_ResourceTypeNotSupported_1": NotFound,
    "409_AnotherOperationInProgress": Conflict,
    "409_Conflict_compute_concurrent": Conflict,
    "409_ConflictingConcurrentWriteNotAllowed": Conflict,
    "409_MissingSubscriptionRegistration_1": Conflict,
    "409_OperationNotAllowed_1": Conflict,
    "409_OperationNotAllowed_2": Conflict,
    "409_OperationNotAllowed_3": Conflict,
    "412_PreconditionFailed_1": Conflict,
    "412_PreconditionFailed_2": Conflict,
    "412_vm_PreconditionFailed": Conflict,
    "429_Compute_OperationNotAllowed_TooManyRequests": Again,
    "429_NamespaceInTransition_1": Again,
    "429_ResourceRequestsThrottled_1": Again,
    "429_RetryableError_1": Again,
    "429_RetryableError_2": Again,
    "429_SubscriptionRequestsThrottled_1": Again,
    "429_SubscriptionRequestsThrottled_backend_storage": Again,
    "429_SubscriptionRequestsThrottled_token_bucket": Again,
    "429_TooManyRequests_plain": Again,
    "429_nocode_1": Again,
    "500_InternalServerError_1": Again,
    "500_MultipleErrorsOccurred_1": Again,
    "502_BadGatewayConnection_1": Again,
    "503_ServerTimeout_1": Again,
    "504_GatewayTimeout_1": Again,
}


@dataclass
class Refusal:
    """An answer as the pipeline hands it over."""

    status_code: int
    content: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the body."""
        return self.content if isinstance(self.content, str) else json.dumps(self.content)


def refusal(path: Path) -> Refusal:
    """Read one recorded or reported refusal; its name has the status where its source has none."""
    record = json.loads(path.read_text("utf-8"))
    return Refusal(record["status"] or int(path.name[:3]), record["body"])


def meaning(status: int, content: object = None, **headers: str) -> ArmError:
    """Return what an answer comes to."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failures.from_response("asking", Refusal(status, content, named))


def recorded(shared: Path) -> dict[str, Path]:
    """Return all refusals by name."""
    folders = [shared / "arm" / "errors" / name for name in ("issues", "recorded")]
    return {path.stem: path for folder in folders for path in folder.glob("[0-9][0-9][0-9]_*.json")}


@pytest.mark.parametrize(("name", "kind"), MEANINGS.items(), ids=MEANINGS)
def test_every_known_refusal_has_its_meaning(shared: Path, name: str, kind: type[ArmError]) -> None:
    """Again later, blocked, absent, present, or a bug of ours."""
    error = failures.from_response("asking", refusal(recorded(shared)[name]))

    assert type(error) is kind
    assert error.status == int(name[:3])


@pytest.mark.parametrize(
    "code", ["CannotDeleteLastRbacAdminAssignment", "RequestDisallowedByPolicy"]
)
def test_what_needs_a_person_is_blocked_whatever_its_status(code: str) -> None:
    """Codes that are documented but were never recorded."""
    assert {type(meaning(status, {"error": {"code": code}})) for status in (400, 403, 409)} == {
        Blocked
    }


def test_no_known_refusal_is_left_out(shared: Path) -> None:
    """A new recording has to be given its meaning here."""
    assert set(recorded(shared)) == set(MEANINGS)


def test_code_and_text_are_read_from_every_shape(shared: Path) -> None:
    """ARM's envelope, flat, and App Service's with capitals."""
    files = recorded(shared)
    flat = failures.from_response("asking", refusal(files["412_PreconditionFailed_1"]))
    capitals = failures.from_response("asking", refusal(files["429_nocode_1"]))

    assert flat.code == "PreconditionFailed"
    assert "etag mismatch" in str(flat)
    assert capitals.code == "429"
    assert "exclusive lock" in str(capitals)


def waits(shared: Path, name: str) -> timedelta | None:
    """Return how long a refusal asks us to wait."""
    error = failures.from_response("asking", refusal(recorded(shared)[name]))
    assert isinstance(error, Again)
    return error.retry_after


def test_the_wait_is_read_from_the_text_where_no_header_names_it(shared: Path) -> None:
    """Retry-After may be absent on a 429."""
    assert waits(shared, "429_ResourceRequestsThrottled_1") == timedelta(seconds=324)
    assert waits(shared, "429_SubscriptionRequestsThrottled_token_bucket") == timedelta(seconds=1)
    assert waits(shared, "429_TooManyRequests_plain") is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("-1", None), ("1.5", None), ("soon", None), ("٣", None)],
)
def test_the_header_is_whole_seconds_or_nothing(header: str, seconds: int | None) -> None:
    """What is not a number is no wait; it must not raise either."""
    error = meaning(429, {}, Retry_After=header)

    assert isinstance(error, Again)
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_the_header_goes_before_the_text() -> None:
    """Where both name a wait, the header is the contract."""
    body = {"error": {"code": "Throttled", "message": "Please try again after '90' seconds."}}
    error = meaning(429, body, Retry_After="3")

    assert isinstance(error, Again)
    assert error.retry_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    "content", ["", "<html>", [], None, "text", 7, {"error": 7}, {"error": {}}]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (401, Blocked), (403, Blocked), (404, NotFound), (409, Conflict)],
)
def test_a_body_of_any_shape_is_judged_by_its_status(
    status: int, kind: type[ArmError], content: object
) -> None:
    """Proxies and gateways answer with pages of their own."""
    assert type(meaning(status, content)) is kind


def test_the_request_id_is_kept_for_support() -> None:
    """It is what support asks for first."""
    assert meaning(500, {}, **{"x-ms-request-id": "abc"}).request_id == "abc"


def test_a_text_cannot_forge_a_line_of_the_log() -> None:
    """It quotes names that others chose; control and bidirectional characters are replaced."""
    body = {"error": {"code": "No\x1b", "message": "no\r\nall is well\u202e"}}

    assert str(meaning(403, body)) == "asking: 403 No\ufffd: no\ufffd\ufffdall is well\ufffd"


def test_a_long_text_is_cut() -> None:
    """Logs and reports are no place for a page."""
    body = {"error": {"code": "Long", "message": "x" * 10_000}}

    assert len(str(meaning(400, body))) < 1000


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientAuthenticationError("no identity here\nsecond line"), Blocked),
        (ServiceRequestError("connection refused"), Again),
        (ServiceResponseError("read timed out"), Again),
        (AzureError("something else"), Again),
    ],
)
def test_what_brought_no_answer_is_judged_by_what_went_wrong(
    error: AzureError, kind: type[ArmError]
) -> None:
    """A lost connection passes; who cannot sign in needs a person. Only the first line is told."""
    found = failures.from_exception("asking", error)

    assert type(found) is kind
    assert found.status == 0
    assert "second line" not in str(found)
