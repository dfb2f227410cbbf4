"""The activity log: what was written, by whom, as the recorded log tells it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.arm import GROUP, MACHINE, STORE, SUB, Arm, error

LOG = f"{SUB}/providers/Microsoft.Insights/eventtypes/management/values"
SINCE = "eventTimestamp ge '2026-03-01T12:00:00Z'"


def log(arm: Arm, *terms: str) -> list[dict[str, Any]]:
    """Return the log since the test's clock started."""
    found: list[dict[str, Any]] = arm.get(f"{LOG}?$filter={' and '.join((SINCE, *terms))}")["value"]
    return found


def operations(entries: list[dict[str, Any]]) -> list[str]:
    """Return the operation names of entries."""
    return [each["operationName"]["value"] for each in entries]


def test_a_write_is_told_with_its_writer(arm: Arm) -> None:
    """Caller, request and result of a role assignment."""
    made = arm.assign(STORE, arm.principal("stranger").oid)
    uri = made.json()["id"]

    (entry,) = log(arm, f"resourceUri eq '{uri}'")
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
    assert len(log(arm, "resourceGroupName eq 'other'")) == 1
    later = arm.get(f"{LOG}?$filter=eventTimestamp ge '2026-03-01T12:02:00Z'")["value"]
    assert len(later) == 2
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


def test_entries_have_the_recorded_members(arm: Arm, shared: Path) -> None:
    """Writes and cascaded deletions show what the recorded ones show."""
    path = shared / "events" / "activitylog_role_assignments_recorded.json"
    recorded = json.loads(path.read_text("utf-8"))["value"]
    theirs = {
        each["operationName"]["value"]: each
        for each in recorded
        if each["status"]["value"] == "Succeeded"
    }
    arm.assign(STORE, arm.principal("stranger").oid)
    arm.call("DELETE", GROUP)
    arm.settle()
    for entry in log(arm, "resourceProvider eq 'Microsoft.Authorization'")[:2]:
        expected = theirs[entry["operationName"]["value"]]
        assert set(entry) == set(expected)
        assert entry["authorization"]["action"] == expected["authorization"]["action"]
        assert entry["resourceType"] == expected["resourceType"]
        assert entry["operationName"] == expected["operationName"]
        assert entry["subStatus"] == expected["subStatus"]
        assert set(entry["properties"]) == set(expected["properties"])
