"""Token buckets: ARM's, Compute's and Resource Graph's, with the headers that show them."""

from typing import Any

import pytest
import requests

from sandbox.world.faults import Faults
from tests.world.arm import GROUP, MACHINE, STORE, Arm, error, identity

LEFT = "x-ms-ratelimit-remaining-"
BUDGET = f"{LEFT}resource"
OTHER = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/other"


@pytest.fixture
def busy(arm: Arm) -> Arm:
    """A client of an Azure that counts."""
    arm.world.faults = Faults(throttling=True, operation_delay=0)
    return arm


def until_refused(arm: Arm, method: str, path: str, most: int) -> tuple[int, requests.Response]:
    """Call until the answer is 429; returns how many calls were not refused, and that answer."""
    for count in range(most):
        answer = arm.call(method, path)
        if answer.status_code == 429:
            return count, answer
    raise AssertionError(f"{most} times {method} {path} were not refused")


@pytest.mark.parametrize(
    ("method", "kind", "size", "refill"),
    [("GET", "read", 250, 25), ("PUT", "write", 200, 10), ("DELETE", "delete", 200, 10)],
)
def test_arm_counts_each_kind_of_call(
    busy: Arm, method: str, kind: str, size: int, refill: int
) -> None:
    """A bucket a principal and kind, refilled by the second; the others stay full."""
    first = busy.call(method, f"{STORE}1")
    count, refused = until_refused(busy, method, f"{STORE}1", size)

    assert first.headers[f"{LEFT}subscription-{kind}s"] == str(size - 1)
    assert first.headers[f"{LEFT}subscription-global-{kind}s"] == str(15 * size - 1)
    assert count == size - 1
    assert error(refused) == (429, "SubscriptionRequestsThrottled")
    assert f"Number of '{kind}' requests for subscription actor" in refused.text
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    assert refused.headers[f"{LEFT}subscription-{kind}s"] == "0"

    busy.clock.forward(1)
    assert until_refused(busy, method, f"{STORE}1", size)[0] == refill
    other = "GET" if method == "DELETE" else "DELETE"
    assert busy.call(other, f"{STORE}2").status_code != 429


def test_each_principal_has_a_bucket_and_all_share_one(busy: Arm) -> None:
    """One who asks too much harms no other, until all together do."""
    until_refused(busy, "GET", STORE, 251)
    path = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store"
    strangers = [busy.world.new_principal(f"s{number}") for number in range(15)]
    answers = [
        busy.called_by(stranger).call("GET", path).status_code
        for stranger in strangers
        for _ in range(250)
    ]

    assert answers[0] == 403
    assert answers.count(403) == 3750 - 250
    assert answers[-1] == 429


def test_calls_to_the_tenant_are_counted_apart(busy: Arm) -> None:
    """They have a bucket of their own size, and codes of their own (assumed)."""
    until_refused(busy, "GET", STORE, 251)
    count, refused = until_refused(busy, "GET", "/subscriptions", 300)

    assert count == 250
    assert refused.headers[f"{LEFT}tenant-reads"] == "0"
    assert error(refused) == (429, "TenantRequestsThrottled")


def test_a_machine_can_be_updated_twelve_times_at_once(busy: Arm) -> None:
    """Four more a minute, each machine for itself; the refusal is Compute's.

    See facts: Throttling and Errors.
    """
    busy.call("PUT", OTHER, {"location": "westus"})
    answers = [busy.attach("id1") for _ in range(13)]
    refused = answers[-1]

    assert [each.status_code for each in answers[:-1]] == [200] * 12
    assert answers[0].headers[BUDGET] == (
        "Microsoft.Compute/UpdateVMSubscriptionMaximum;1498,Microsoft.Compute/UpdateVMResource;11"
    )
    assert error(refused) == (429, "OperationNotAllowed")
    (detail,) = refused.json()["error"]["details"]
    assert (detail["code"], detail["target"]) == ("TooManyRequests", "UpdateVMResource")
    assert refused.headers["Retry-After"] == "15"
    assert busy.call("PATCH", OTHER, {}).status_code == 200
    busy.clock.forward(15)
    assert [busy.attach("id1").status_code for _ in range(2)] == [200, 429]


def test_a_refused_request_does_nothing(busy: Arm) -> None:
    """Neither does it take from the buckets that had something left."""
    for _ in range(12):
        busy.attach("id1")
    version = busy.world.resources[MACHINE.lower()].version
    assert busy.attach("id2").status_code == 429
    assert busy.world.resources[MACHINE.lower()].version == version
    assert set(busy.world.resources[MACHINE.lower()].users) == {
        key for key in busy.world.resources if key.endswith("/id1")
    }


@pytest.mark.parametrize(("path", "size"), [(MACHINE, 36), (f"{GROUP}/x", 0)])
def test_reads_of_a_machine_are_counted(busy: Arm, path: str, size: int) -> None:
    """Thirty-six at once (facts: Throttling); what is no machine has no such budget."""
    if size:
        assert until_refused(busy, "GET", path, size + 1)[0] == size
    else:
        assert BUDGET not in busy.call("GET", path).headers


def test_resource_graph_answers_fifteen_queries_in_five_seconds(busy: Arm) -> None:
    """It has its own quota, its own headers and its own code (facts: Errors and Throttling)."""
    text = "resources | project id"
    answers = [busy.query(text) for _ in range(16)]

    remaining = [int(each.headers["x-ms-user-quota-remaining"]) for each in answers]
    assert remaining == [*range(14, -1, -1), 0]
    assert error(answers[-1]) == (429, "RateLimiting")
    assert answers[-1].headers["Retry-After"] == "1"
    busy.clock.forward(5)
    assert busy.query(text).headers["x-ms-user-quota-remaining"] == "14"


def test_retry_after_may_be_missing(busy: Arm) -> None:
    """As on some real 429, which name the seconds in the text only (facts: Errors)."""
    busy.world.faults = Faults(throttling=True, retry_after=False)
    _, refused = until_refused(busy, "GET", STORE, 251)
    machine = [busy.attach("id1") for _ in range(13)][-1]
    graph = [busy.query("resources") for _ in range(16)][-1]

    for answer in (refused, machine, graph):
        assert answer.status_code == 429
        assert "Retry-After" not in answer.headers
    assert "after '1' seconds" in refused.text


def test_nobody_is_refused_without_throttling(arm: Arm) -> None:
    """Every bucket looks full, however much was asked."""
    answers = [arm.call("GET", MACHINE) for _ in range(300)]

    assert {each.status_code for each in answers} == {200}
    assert {each.headers[f"{LEFT}subscription-reads"] for each in answers} == {"249"}


RIGHTS = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments"


def test_actions_on_rights_are_counted_if_told_so(busy: Arm) -> None:
    """Each action for itself, by the minute; ARM's own gateway refuses."""
    assert until_refused(busy, "GET", RIGHTS, 251)[1].json()["error"]["code"] != (
        "ResourceRequestsThrottled"
    )
    busy.world.faults = Faults(throttling=True, authorization_limit=120)
    count, refused = until_refused(busy, "GET", RIGHTS, 121)

    assert count == 120
    assert error(refused) == (429, "ResourceRequestsThrottled")
    action = "Microsoft.Authorization/roleAssignments/read"
    assert f"action '{action}' exceeded the limit of '120' for time interval" in refused.text
    assert refused.headers["Retry-After"] == "60"
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    assert busy.assign(GROUP, busy.principal("stranger").oid).status_code == 201
    assert busy.call("GET", f"{GROUP}/providers/Microsoft.Authorization/locks").status_code == 200
    assert busy.call("GET", STORE).status_code == 200
    busy.clock.forward(59)
    assert busy.call("GET", RIGHTS).headers["Retry-After"] == "1"
    busy.clock.forward(1)
    assert until_refused(busy, "GET", RIGHTS, 121)[0] == 120


def test_identities_are_created_at_a_limited_rate(busy: Arm) -> None:
    """Eighty in twenty seconds by subscription and region; a machine's own identity counts too."""

    def create(number: int, location: str = "westus") -> requests.Response:
        return busy.call("PUT", identity(f"new{number}"), {"location": location})

    assert {create(number).status_code for number in range(80)} == {201}
    refused = create(80)
    assert error(refused) == (429, "429")
    assert "is temporarily throttled" in refused.text
    assert refused.headers["Retry-After"] == "1"
    body = {"location": "westus", "identity": {"type": "SystemAssigned"}}
    assert busy.call("PUT", OTHER, body).status_code == 429
    assert OTHER.lower() not in busy.world.resources
    assert create(1).status_code == 200
    assert create(81, "eastus").status_code == 201
    busy.clock.forward(20)
    assert busy.call("PUT", OTHER, body).status_code == 201


def test_identities_are_assigned_at_a_limited_rate(busy: Arm) -> None:
    """Three hundred in twenty seconds; a PATCH that attaches nothing new is free."""
    owner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    busy.assign(GROUP, busy.world.app.oid, owner)
    callers = (busy.caller, busy.world.app)
    answers: list[requests.Response] = []
    for number in range(301):
        # What ARM lets one principal write would be used up earlier.
        busy.caller = callers[number % 2]
        new, old = (identity(f"id{1 + (number + each) % 2}") for each in (0, 1))
        entries: dict[str, Any] = {new: {}, old: None} if number else {new: {}}
        block = {"type": "UserAssigned", "userAssignedIdentities": entries}
        answers.append(busy.patch(STORE, block))

    assert {each.status_code for each in answers[:-1]} == {200}
    assert error(answers[-1]) == (429, "429")
    assert busy.patch(STORE, {"type": "None"}).status_code == 200


def test_a_machine_gets_twenty_tokens_a_second(busy: Arm) -> None:
    """The metadata service refuses more, in words of its own and without Retry-After."""
    busy.patch(MACHINE, {"type": "SystemAssigned"})
    url = f"https://host/imds{MACHINE}/metadata/identity/oauth2/token?resource=https://x"
    answers = [busy.session.get(url, headers={"Metadata": "true"}) for _ in range(21)]

    assert [each.status_code for each in answers] == [200] * 20 + [429]
    assert answers[-1].json()["error_description"] == "Temporarily throttled, too many requests"
    assert "Retry-After" not in answers[-1].headers
    busy.clock.forward(1)
    assert busy.session.get(url, headers={"Metadata": "true"}).status_code == 200
