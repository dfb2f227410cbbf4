"""The activity log: what was written, by whom, as the recorded log tells it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.world.faults import Faults, RequestFault
from tests.world.arm import GROUP, MACHINE, STORE, Arm, error
from tests.world.ids import SUB

LOG = f"{SUB}/providers/Microsoft.Insights/eventtypes/management/values"
SINCE = "eventTimestamp ge '2026-03-01T12:00:00Z'"


def log(arm: Arm, *context: str) -> list[dict[str, Any]]:
    """Return the log since the test's clock started."""
    found: list[dict[str, Any]] = arm.get(f"{LOG}?$filter={' and '.join((SINCE, *context))}")[
        "value"
    ]
    return found


def operations(entries: list[dict[str, Any]], status: str = "Succeeded") -> list[str]:
    """Return the operation names of entries with a status."""
    return [each["operationName"]["value"] for each in entries if each["status"]["value"] == status]


def test_a_write_is_told_with_its_writer(arm: Arm) -> None:
    """Caller, request and result of a role assignment."""
    made = arm.assign(STORE, arm.principal("stranger").oid)
    uri = made.json()["id"]

    entry, _ = log(arm, f"resourceUri eq '{uri}'")
    assert entry["caller"] == arm.world.operator.oid
    assert entry["operationName"]["value"] == "Microsoft.Authorization/roleAssignments/write"
    assert entry["httpRequest"]["method"] == "PUT"
    assert entry["subStatus"]["value"] == "Created"
    assert entry["correlationId"] == made.headers["x-ms-correlation-request-id"]


def test_filters_narrow_it(arm: Arm) -> None:
    """By time, group, resource and request; newest first, members on demand."""
    arm.clock.forward(60)
    arm.attach("id1")
    arm.clock.forward(60)
    arm.call("POST", f"{MACHINE}/restart")
    arm.settle()
    arm.call("PUT", f"{SUB}/resourceGroups/other", {"location": "westeurope"})

    assert operations(log(arm, f"resourceUri eq '{MACHINE}'"))[:2] == [
        "Microsoft.Compute/virtualMachines/restart/action",
        "Microsoft.Compute/virtualMachines/write",
    ]
    assert len(log(arm, "resourceGroupName eq 'other'")) == 2
    later = arm.get(f"{LOG}?$filter=eventTimestamp ge '2026-03-01T12:02:00Z'")["value"]
    assert len(later) == 4
    until = "eventTimestamp le '2026-03-01T12:01:30Z'"
    assert len(log(arm, until, "resourceProvider eq 'Microsoft.Compute'", SINCE)) >= 1
    few = arm.get(f"{LOG}?$filter={SINCE}&$select=caller,eventTimestamp")["value"]
    assert set(few[0]) == {"caller", "eventTimestamp"}


def test_it_is_paged(arm: Arm) -> None:
    """More than a page goes on behind a link."""
    for _ in range(210):
        arm.call("POST", f"{MACHINE}/restart")
    arm.settle()
    first = arm.get(f"{LOG}?$filter={SINCE}")

    assert len(first["value"]) == 200
    assert "nextLink" in first


@pytest.mark.parametrize(
    "text",
    [
        "resourceProvider eq 'Microsoft.Compute'",
        f"{SINCE} and caller eq 'me'",
        "eventTimestamp ge 'noon'",
    ],
)
def test_other_filters_are_refused(arm: Arm, text: str) -> None:
    """A filter must name the beginning, and only what is known."""
    assert error(arm.call("GET", f"{LOG}?$filter={text}"))[0] == 400


def test_a_write_has_an_entry_for_its_request_and_one_for_its_end(arm: Arm) -> None:
    """Started, then Succeeded, under one correlation id; the request's body is in the first."""
    arm.world.faults = Faults(operation_delay=30)
    arm.call("PATCH", MACHINE, {"tags": {"a": "b"}})
    of_machine = f"resourceUri eq '{MACHINE}'"
    (begun,) = log(arm, of_machine, SINCE)[:1]
    arm.settle(31)
    ended, again = log(arm, of_machine)[:2]

    assert begun == again
    assert begun["status"]["value"] == "Started"
    assert json.loads(begun["properties"]["requestbody"]) == {"tags": {"a": "b"}}
    assert (ended["status"]["value"], ended["eventName"]["value"]) == ("Succeeded", "EndRequest")
    assert begun["correlationId"] == ended["correlationId"]
    assert begun["eventDataId"] != ended["eventDataId"]
    assert begun["eventTimestamp"] < ended["eventTimestamp"]


def test_a_write_that_fails_late_says_so(arm: Arm) -> None:
    """Its second entry is an error."""
    arm.world.faults = Faults(requests=[RequestFault(method="DELETE", late=True, times=1)])
    assert arm.call("DELETE", MACHINE).status_code == 202
    arm.settle()

    assert operations(log(arm, f"resourceUri eq '{MACHINE}'"), "Failed") == [
        "Microsoft.Compute/virtualMachines/delete"
    ]
    assert "Microsoft.Compute/virtualMachines/delete" not in operations(log(arm))


@pytest.mark.parametrize(
    ("delay", "after", "shown"),
    [(180, 179, False), (180, 180, True), ((180, 1200), 179, False), ((180, 1200), 1200, True)],
)
def test_an_entry_shows_late(delay: Any, after: float, *, shown: bool) -> None:  # noqa: ANN401
    """Only the delay after it was written; each has its own where a range is given."""
    arm = Arm()
    arm.world.faults = Faults(log_delay=delay)
    arm.call("DELETE", STORE)
    arm.clock.forward(after)

    found = log(arm, f"resourceUri eq '{STORE}'")
    deleted = "Microsoft.Storage/storageAccounts/delete" in operations(found)
    assert deleted is shown
    assert all(each["submissionTimestamp"] > each["eventTimestamp"] for each in found)


def test_the_log_goes_back_ninety_days(arm: Arm) -> None:
    """Older is refused, without an envelope (recorded; the text is assumed)."""
    arm.clock.forward(90 * 86400)
    assert log(arm)
    arm.clock.forward(1)
    answer = arm.call("GET", f"{LOG}?$filter={SINCE}")

    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message"}


def test_the_end_of_a_resource_is_told(arm: Arm) -> None:
    """By its own deletion, by its group's, by an eviction; a move is told at the group it left."""
    spot = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/spot"
    other = f"{SUB}/resourceGroups/rg and other"
    arm.call("PUT", other, {"location": "westus"})
    body = {"location": "westus", "properties": {"priority": "Spot", "evictionPolicy": "Delete"}}
    arm.call("PUT", spot, body)
    arm.settle()
    arm.call("POST", f"{spot}/simulateEviction")
    (evicted,) = log(arm, f"resourceUri eq '{spot}'")[:1]
    assert (
        evicted["operationName"]["value"] == "Microsoft.Compute/virtualMachines/evictSpotVM/action"
    )
    assert evicted["status"]["value"] == "Succeeded"
    assert "httpRequest" not in evicted

    moved = {"resources": [MACHINE], "targetResourceGroup": other}
    assert arm.call("POST", f"{GROUP}/moveResources", moved).status_code == 202
    arm.settle()
    move = "Microsoft.Resources/subscriptions/resourceGroups/moveResources/action"
    assert operations(log(arm, f"resourceUri eq '{GROUP}'"))[0] == move
    assert operations(log(arm, f"resourceUri eq '{GROUP}'"), "Started") == [move]

    arm.call("DELETE", other)
    arm.settle()
    there = MACHINE.replace(GROUP, other)
    assert operations(log(arm, f"resourceUri eq '{there}'")) == [
        "Microsoft.Compute/virtualMachines/delete"
    ]
    assert operations(log(arm, f"resourceUri eq '{other}'"))[0].endswith("/delete")


@pytest.mark.parametrize("policy", ["Delete", "Deallocate"])
def test_an_eviction_without_a_request_is_told_by_no_event(arm: Arm, policy: str) -> None:
    """The platform's own: the log alone knows of it."""
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["eventType"]))
    machine = arm.world.resources[MACHINE.lower()]
    with arm.world.transaction():
        arm.world.evict(machine, deletes=policy == "Delete")

    assert told == []
    assert operations(log(arm, f"resourceUri eq '{MACHINE}'"))[0].endswith("/evictSpotVM/action")
    assert arm.call("GET", MACHINE).status_code == (404 if policy == "Delete" else 200)


def test_entries_have_the_recorded_members(arm: Arm, shared: Path) -> None:
    """Both entries of a write and cascaded deletions show what the recorded ones show."""
    path = shared / "events" / "activitylog_role_assignments_recorded.json"
    recorded = json.loads(path.read_text("utf-8"))["value"]

    def key(entry: dict[str, Any]) -> tuple[str, str]:
        return entry["operationName"]["value"], entry["status"]["value"]

    theirs = {key(each): each for each in recorded}
    arm.assign(STORE, arm.principal("stranger").oid)
    arm.call("DELETE", GROUP)
    arm.settle()
    entries = log(arm, "resourceProvider eq 'Microsoft.Authorization'")
    found = {key(each): each for each in reversed(entries)}

    assert set(found) == set(theirs)
    for which, entry in found.items():
        expected = theirs[which]
        assert set(entry) == set(expected)
        assert entry["authorization"]["action"] == expected["authorization"]["action"]
        for name in ("eventName", "resourceType", "operationName", "subStatus"):
            assert entry[name] == expected[name]
        assert set(entry["properties"]) == set(expected["properties"])
