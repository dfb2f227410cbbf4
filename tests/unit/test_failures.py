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

from reconciler.azure import failures
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

# The refusals of facts: Errors, then the others that were recorded, by file.
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
    "400_InvalidParameter_1": Blocked,
    "400_InvalidParameter_identityIds_with_SystemAssigned": Rejected,
    "400_InvalidParameter_identity_duplicated": Rejected,
    "400_InvalidIdentityValues": Rejected,
    "400_MissingIdentityIds": Rejected,
    "400_RoleDefinitionHasAssignments": Blocked,
    "400_InvalidRequestContent_1": Rejected,
    "400_InvalidRequestPropertyValue_1": Blocked,
    "400_InvalidTemplateDeployment_1": Blocked,
    "400_LocationNotAvailableForResourceType_1": Blocked,
    "400_MsiInvalidForRenewal_1": Blocked,
    "400_NicInUse_1": Blocked,
    "400_NoRegisteredProviderFound_1": Blocked,
    "400_OperationNotAllowed_1": Blocked,
    "400_ServicePrincipalNotFound_1": Blocked,
    "405_MethodNotAllowed_1": Blocked,
    "404_InvalidResourceType_1": Blocked,
    "404_NotFound_1": NotFound,
    "404_ParentResourceNotFound_1": NotFound,
    "404_ResourceGroupNotFound_1": NotFound,
    "404_ResourceNotFound_1": NotFound,
    "404_ResourceNotFound_2": NotFound,
    "404_ResourceNotFound_3": NotFound,
    "404_ResourceTypeNotSupported_1": Blocked,
    "409_AnotherOperationInProgress": Conflict,
    "409_Conflict_compute_concurrent": Conflict,
    "409_ConflictingConcurrentWriteNotAllowed": Conflict,
    "409_MissingSubscriptionRegistration_1": Blocked,
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
    [
        *(("7", 7), ("0", 0), ("-1", None), ("1.5", None), ("soon", None), ("٣", None), ("", None)),
        *(("3599", 3599), ("3601", 3600), ("000000007", 7), ("9" * 5000, 3600)),
        *(("Fri, 31 Dec 9999 23:59:59 GMT", None), ("1e3", None), ("7, 7", None), ("\x00", None)),
    ],
)
def test_the_header_is_whole_seconds_or_nothing(header: str, seconds: int | None) -> None:
    """What is no number is no wait, more than an hour is an hour, and nothing raises."""
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
    "content",
    [
        *("", "<html>", [], None, "text", 7, {"error": 7}, {"error": {}}, {"error": []}),
        *("[" * 100_000, "1" * 10_000, '{"error": NaN}', '{"error": "{"}', '"\\ud800"'),
        *({"code": {}, "message": []}, {"error": {"code": None, "details": 7}}, "1e999"),
    ],
    ids=lambda content: repr(content)[:20],
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((200, Unreadable), (204, Unreadable), (302, Unreadable), (304, Unreadable)),
        *((400, Blocked), (401, Again), (403, Blocked), (404, NotFound), (408, Again)),
        *((409, Conflict), (410, Blocked), (412, Conflict), (429, Again), (500, Again)),
        *((501, Again), (599, Again), (999, Again)),
    ],
)
def test_a_body_of_any_shape_is_judged_by_its_status(
    status: int, kind: type[ArmError], content: object
) -> None:
    """Proxies and gateways answer with pages of their own."""
    assert type(meaning(status, content)) is kind


@pytest.mark.parametrize("digits", ["9" * 20, "9" * 5000, "3601"])
def test_a_wait_in_a_text_is_an_hour_at_most(digits: str) -> None:
    """A text is no better than a header."""
    error = meaning(429, {"message": f"Please try again after '{digits}' seconds."})

    assert isinstance(error, Again)
    assert error.retry_after == timedelta(hours=1)


PASSING = {
    *("AnotherOperationInProgress", "Conflict", "ConflictingConcurrentWriteNotAllowed"),
    *("NamespaceInTransition", "OperationPreempted", "PreconditionFailed"),
    *("ReferencedResourceNotProvisioned", "ResourceGroupBeingDeleted", "RetryableError"),
    *("RetryableErrorDueToAnotherOperation", "TooManyRequests"),
}


@pytest.mark.parametrize("code", sorted(PASSING))
@pytest.mark.parametrize("status", [400, 409, 412])
def test_a_conflict_that_is_known_to_pass_is_asked_again(code: str, status: int) -> None:
    """Somebody else is at work; what was observed may be no longer true."""
    error = meaning(status, {"error": {"code": code}})

    assert isinstance(error, Conflict)
    assert error.known


@pytest.mark.parametrize(
    "code", ["", "SomethingNew", "OperationNotAllowed", "ImageInUse", "NotFound"]
)
def test_a_conflict_that_nobody_knows_says_so(code: str) -> None:
    """It is tried once more after a delay, and then somebody has to look."""
    error = meaning(409, {"error": {"code": code, "message": "made up"}})

    assert type(error) is Conflict
    assert not error.known
    assert error.next_step


def test_a_failed_precondition_is_known_without_a_body() -> None:
    """A virtual machine's 412 has none (recorded)."""
    error = meaning(412)

    assert isinstance(error, Conflict)
    assert error.known


@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("AuthorizationFailed", "right"),
        ("LinkedAuthorizationFailed", "Managed Identity Operator"),
        ("DenyAssignmentAuthorizationFailed", "deny assignment"),
        ("ScopeLocked", "lock"),
        ("RoleAssignmentLimitExceeded", "limit"),
        ("CannotDeleteLastRbacAdminAssignment", "administrator"),
        ("LastOwnerCannotBeDeleted", "administrator"),
        ("RoleAssignmentUpdateNotPermitted", "name"),
        ("RequestDisallowedByPolicy", "exempt"),
        ("FailedIdentityOperation", "identity"),
        ("IdentityQuotaExceeded", "identities"),
        ("MissingSubscriptionRegistration", "register"),
        ("NoRegisteredProviderFound", "register"),
        ("ReadOnlyDisabledSubscription", "enabled"),
        ("PropertyChangeNotAllowed", "mend"),
        ("VMMarketplaceInvalidInput", "mend"),
    ],
)
def test_what_needs_a_person_says_what_to_do(status: int, code: str, word: str) -> None:
    """Whatever its status; the text ends in the next step."""
    error = meaning(status, {"error": {"code": code, "message": "made up"}})
    unknown = code == "VMMarketplaceInvalidInput" and status == 409

    assert type(error) is (Conflict if unknown else Blocked)
    assert word in error.next_step
    assert unknown or str(error).endswith(error.next_step)


@pytest.mark.parametrize(
    "code",
    [
        "InvalidRequestContent",
        "InvalidIdentityValues",
        "MissingIdentityIds",
        "DuplicateIdentityIds",
    ],
)
def test_few_refusals_are_bugs_of_ours(code: str) -> None:
    """A closed list: what else Azure finds wrong may be wrong with the machine."""
    assert type(meaning(400, {"error": {"code": code}})) is Rejected


@pytest.mark.parametrize("code", ["PrincipalNotFound", "RoleDefinitionDoesNotExist"])
@pytest.mark.parametrize("status", [400, 404])
def test_what_was_just_made_is_waited_for(code: str, status: int) -> None:
    """The directory and the role definitions replicate, for minutes."""
    assert type(meaning(status, {"error": {"code": code}})) is Again
    assert code in failures.TEN_MINUTES


@pytest.mark.parametrize(
    "code",
    [
        *("SubscriptionNotFound", "InvalidResourceType", "InvalidResourceNamespace"),
        *("NoRegisteredProviderFound", "MissingSubscriptionRegistration", "SomethingNew"),
        *("ServicePrincipalNotFound", "TenantNotFound", "ResourceTypeNotSupported"),
    ],
)
def test_a_404_that_is_not_about_what_was_asked_is_no_absence(code: str) -> None:
    """Where nothing could be looked up, nothing is known to be missing."""
    assert type(meaning(404, {"error": {"code": code}})) is Blocked


@pytest.mark.parametrize(
    "code",
    ["", "404", "NotFound", "ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound"],
)
@pytest.mark.parametrize("gateway", [True, False])
def test_an_absence_says_who_tells_of_it(code: str, *, gateway: bool) -> None:
    """Resource Manager's own index lags behind, so a log has to say whether it was asked."""
    headers = {"x-ms-failure-cause": "gateway"} if gateway else {}
    error = meaning(404, {"error": {"code": code}}, **headers)

    assert type(error) is NotFound
    assert error.gateway is gateway


KNOWN_INSIDE = {"code": "ScopeLocked", "message": "locked"}


@pytest.mark.parametrize(
    "body",
    [
        {"error": KNOWN_INSIDE},
        KNOWN_INSIDE,
        {"Code": "ScopeLocked", "Message": "locked"},
        {"Error": {"Code": "ScopeLocked"}},
        json.dumps(json.dumps({"error": KNOWN_INSIDE})),
        {"error": json.dumps(KNOWN_INSIDE)},
        {"error": json.dumps({"error": KNOWN_INSIDE})},
        {"error": {"code": "BadRequest", "message": json.dumps({"error": KNOWN_INSIDE})}},
        {"error": {"code": "Conflict", "details": [None, 7, {"code": "Other"}, KNOWN_INSIDE]}},
        {"error": {"code": "Conflict", "details": [{"code": "x", "details": [KNOWN_INSIDE]}]}},
        {"Code": "409", "Details": [{"Message": "x"}, {"Code": "ScopeLocked"}]},
        {"error": {"code": "BadRequest", "innererror": KNOWN_INSIDE}},
        {"error": {"message": "no code", "details": [KNOWN_INSIDE]}},
    ],
)
def test_the_code_is_found_wherever_a_service_puts_it(body: object) -> None:
    """Nested, flat, with capitals, JSON in a string, in details and inner errors."""
    error = meaning(409, body)

    assert type(error) is Blocked
    assert error.code == "ScopeLocked"


def test_a_code_of_its_own_is_not_changed_by_what_it_holds() -> None:
    """A missing identity's text quotes another answer, with a code that means something else."""
    details = [{"code": "AuthorizationFailed"}, {"code": "ScopeLocked"}]
    error = meaning(400, {"error": {"code": "FailedIdentityOperation", "details": details}})

    assert error.code == "FailedIdentityOperation"


@pytest.mark.parametrize("detail", ["TooManyRequests", "RetryableErrorDueToAnotherOperation"])
def test_compute_s_word_for_everything_passes_only_by_its_detail(detail: str) -> None:
    """`OperationNotAllowed` is throttling, another's work, or for ever (facts: Errors)."""
    error = meaning(409, {"error": {"code": "OperationNotAllowed", "details": [{"code": detail}]}})

    assert isinstance(error, Conflict)
    assert error.known


class Torn(Refusal):
    """An answer whose body cannot be had."""

    def text(self) -> str:
        """Raise what decoding raises."""
        raise LookupError("'hex' is not a text encoding")


def test_a_body_that_cannot_be_had_is_judged_by_its_status() -> None:
    """A charset is the sender's word."""
    assert type(failures.from_response("asking", Torn(404))) is NotFound
    assert type(failures.from_response("asking", Torn(403))) is Blocked


def test_the_linked_scope_is_told(shared: Path) -> None:
    """Azure names it last in a long text, and it is what a person has to mend."""
    name = "403_LinkedAuthorizationFailed_assign_action"
    record = json.loads(recorded(shared)[name].read_text("utf-8"))
    long_id = (
        "/subscriptions/x/resourceGroups/" + "g" * 90 + "/providers/Microsoft.Compute/" + "v" * 300
    )
    text = record["body"]["error"]["message"].replace("/subscriptions/be897230", long_id, 1)
    error = meaning(403, {"error": {"code": "LinkedAuthorizationFailed", "message": text}})

    assert "userAssignedIdentities/<identity>'" in error.reason
    assert "assign/action" in error.reason
    assert "The client 'd7586b94" in error.reason
    assert error.code in failures.LOOK_AGAIN_AT_RIGHTS


def test_the_request_id_is_kept_for_support() -> None:
    """It is what support asks for first."""
    assert meaning(500, {}, **{"x-ms-request-id": "abc"}).request_id == "abc"


def test_a_text_cannot_forge_a_line_of_the_log() -> None:
    """It quotes names that others chose; control and bidirectional characters are replaced."""
    body = {"error": {"code": "No\x1b", "message": "no\r\nall is well\u202e"}}

    assert meaning(403, body).reason == "asking: 403 No\ufffd: no\ufffd\ufffdall is well\ufffd"
    assert str(meaning(403, body)).isprintable()


def test_a_long_text_is_cut() -> None:
    """Logs and reports are no place for a page."""
    body = {"error": {"code": "Long", "message": "x" * 10_000}}

    assert len(meaning(400, body).reason) < 1000


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientAuthenticationError("no identity here\nsecond line"), Blocked),
        (ServiceRequestError("connection refused"), Again),
        (ServiceResponseError("read timed out"), Again),
        (AzureError("something else"), Again),
        (ConnectionResetError("reset"), Again),
        (RecursionError("too deep"), Unreadable),
        (LookupError("no such charset"), Unreadable),
    ],
)
def test_what_brought_no_answer_is_judged_by_what_went_wrong(
    error: Exception, kind: type[ArmError]
) -> None:
    """A lost connection passes; who cannot sign in needs a person. Only the first line is told."""
    found = failures.from_exception("asking", error)

    assert type(found) is kind
    assert found.status == 0
    assert "second line" not in str(found)
