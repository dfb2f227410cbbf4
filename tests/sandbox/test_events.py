"""The resource events that writes cause."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.eventgrid import sending
from sandbox.world.faults import Faults
from tests.world.arm import GROUP, MACHINE, STORE, Arm, identity
from tests.world.ids import SUB

LOWER = GROUP.replace("resourceGroups", "resourcegroups")


@pytest.fixture
def events(arm: Arm) -> list[dict[str, Any]]:
    """The events from now on."""
    found: list[dict[str, Any]] = []
    arm.world.feed.subscribe(found.append)
    return found


def test_a_write_names_the_resource_in_the_casing_of_writes(
    arm: Arm, events: list[dict[str, Any]]
) -> None:
    """Subject and resourceUri have a lower-case resourcegroups; an update has its request."""
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    arm.settle()
    (event,) = events
    data = event["data"]

    assert event["eventType"] == "Microsoft.Resources.ResourceWriteSuccess"
    assert event["subject"] == data["resourceUri"] == MACHINE.replace(GROUP, LOWER)
    assert data["operationName"] == "Microsoft.Compute/virtualMachines/write"
    assert data["httpRequest"]["method"] == "PATCH"
    assert data["claims"]["appid"] == arm.world.operator.app_id
    claim = "http://schemas.microsoft.com/identity/claims/objectidentifier"
    assert data["claims"][claim] == arm.world.operator.oid
    assert data["authorization"]["evidence"]["role"] == "Owner"
    assert event["dataVersion"] == "2"


def test_a_creation_carries_no_request(arm: Arm, events: list[dict[str, Any]]) -> None:
    """The request is included only for updates and deletions."""
    arm.call("PUT", identity("new"), {"location": "westus"})

    assert "httpRequest" not in events[0]["data"]


def test_a_persons_claims_name_the_person(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Who signed in by the CLI has its application, and a name."""
    person = arm.principal("person")
    contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    arm.assign(SUB, person.oid, contributor, principalType="User")
    arm.called_by(person).call("PUT", identity("new"), {"location": "westus"})
    claims = events[1]["data"]["claims"]

    assert claims["name"] == "person"
    assert claims["appid"] not in {person.app_id, arm.world.operator.app_id}
    assert claims["http://schemas.microsoft.com/identity/claims/scope"] == "user_impersonation"


def test_events_have_the_documented_members(
    arm: Arm, events: list[dict[str, Any]], shared: Path
) -> None:
    """The samples' names at every level, and their casing of the group; in both schemas."""
    arm.call("PUT", identity("new"), {"location": "westus"})
    arm.call("DELETE", identity("new"))
    arm.call("POST", f"{MACHINE}/start")
    arm.settle()
    for event, verb in zip(events, ("write", "delete", "action"), strict=True):
        for schema in ("eventgrid", "cloudevents"):
            name = f"docs_subscription_{verb}_success_{schema}.json"
            sample = json.loads((shared / "events" / name).read_text("utf-8"))[0]
            ours = sending.to_cloud(event) if schema == "cloudevents" else event

            assert ours.keys() == sample.keys()
            assert ours["data"].keys() == sample["data"].keys()
            assert ours["subject"].split("/")[3] == sample["subject"].split("/")[3]
            request, theirs = (each["data"].get("httpRequest", {}) for each in (ours, sample))
            assert request.keys() == theirs.keys()
            right, theirs = (each["data"]["authorization"] for each in (ours, sample))
            assert right.keys() == theirs.keys()
            assert right["evidence"].keys() >= theirs["evidence"].keys()


def test_a_deletion_is_spelled_otherwise(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Deletes spell resourceGroups."""
    arm.call("DELETE", MACHINE)
    arm.settle()

    assert events[0]["eventType"] == "Microsoft.Resources.ResourceDeleteSuccess"
    assert events[0]["subject"] == MACHINE


def test_an_actions_subject_ends_in_the_action(arm: Arm, events: list[dict[str, Any]]) -> None:
    """The resourceUri is the machine's."""
    arm.call("POST", f"{MACHINE}/powerOff")
    arm.settle()

    assert events[0]["subject"] == f"{MACHINE}/powerOff"
    assert events[0]["data"]["resourceUri"] == MACHINE
    operation = "Microsoft.Compute/virtualMachines/powerOff/action"
    assert events[0]["data"]["operationName"] == operation


def test_a_groups_deletion_cascades(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Assignments go with their name without dashes, by the authority of the group's deletion."""
    name = arm.assign(STORE, arm.principal("stranger").oid).json()["name"]
    events.clear()
    arm.call("DELETE", GROUP)
    arm.settle()
    by_operation = {event["data"]["operationName"]: event for event in events}
    gone = by_operation["Microsoft.Authorization/roleAssignments/delete"]

    assert gone["subject"].endswith(f"/roleAssignments/{name.replace('-', '')}")
    action = "Microsoft.Resources/subscriptions/resourcegroups/delete"
    assert gone["data"]["authorization"]["action"] == action
    assert "Microsoft.Storage/storageAccounts/delete" in by_operation
    assert events[-1]["subject"] == GROUP
    assert arm.call("GET", f"{GROUP}/resources").status_code == 404


def test_reading_and_refused_writes_cause_no_event(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Only what changed the world is told."""
    arm.get(MACHINE)
    arm.attach("gone")
    arm.call("DELETE", f"{MACHINE}x")

    assert events == []


def test_a_subscriber_may_call_back(arm: Arm) -> None:
    """Events come after the write, so that reading there shows it."""
    seen: list[str] = []
    arm.world.feed.subscribe(lambda _: seen.append(arm.get(MACHINE)["identity"]["type"]))
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    arm.settle()

    assert seen == ["SystemAssigned"]


def test_an_operations_event_comes_at_its_end(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Accepted is not done: the event bears the time of the end."""
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    before = list(events)
    arm.settle()

    assert before == []
    assert [event["eventTime"] for event in events] == ["2026-03-01T12:00:00.2000000Z"]


def test_a_switch_tells_at_once(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Where the end is not awaited, acceptance is told."""
    arm.world.faults = Faults(events_at_end=False)
    arm.patch(MACHINE, {"type": "SystemAssigned"})

    assert [event["eventTime"] for event in events] == ["2026-03-01T12:00:00.0000000Z"]


def test_a_failed_operation_is_told_as_failed(arm: Arm, events: list[dict[str, Any]]) -> None:
    """The write was accepted, and then did not succeed."""
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    (operation,) = arm.world.operations.values()
    operation.error = {"code": "AllocationFailed", "message": "no room"}
    arm.settle()

    assert events[0]["eventType"] == "Microsoft.Resources.ResourceWriteFailure"
    assert events[0]["data"]["status"] == "Failed"


@pytest.mark.parametrize(
    ("switch", "at_once", "in_the_end"),
    [
        ("events_lost", 0, 0),
        ("events_duplicate", 2, 2),
        ("events_late", 0, 1),
        ("events_reordered", 0, 1),
    ],
)
def test_events_may_go_astray(
    arm: Arm, events: list[dict[str, Any]], switch: str, at_once: int, in_the_end: int
) -> None:
    """Each switch is a probability; a late event comes five minutes later."""
    arm.world.faults = arm.world.faults.changed({switch: 1.0})
    arm.call("PUT", identity("new"), {"location": "westus"})
    first = len(events)
    arm.settle(300)

    assert (first, len(events)) == (at_once, in_the_end)


def test_reordered_events_overtake_each_other(arm: Arm, events: list[dict[str, Any]]) -> None:
    """All come, in another order than they were written."""
    arm.world.faults = Faults(events_reordered=1.0)
    names = [identity(f"id{number}") for number in range(10, 20)]
    for name in names:
        arm.call("PUT", name, {"location": "westus"})
    arm.settle(10)
    heard = [event["subject"].replace(LOWER, GROUP) for event in events]

    assert sorted(heard) == names
    assert heard != names


def test_old_events_hold_their_parts_as_text(arm: Arm, events: list[dict[str, Any]]) -> None:
    """Authorization, claims and request are JSON in a string, as in 2017.

    See facts: Resource events.
    """
    arm.world.faults = Faults(events_textual=1, operation_delay=0)
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    (event,) = events
    data = event["data"]

    assert event["dataVersion"] == ""
    assert all(isinstance(data[name], str) for name in ("authorization", "claims", "httpRequest"))
    assert json.loads(data["claims"])["appid"] == arm.world.operator.app_id
    assert json.loads(data["httpRequest"])["method"] == "PATCH"
    assert data["resourceUri"] == event["subject"]


def test_names_may_begin_with_capitals(arm: Arm, events: list[dict[str, Any]]) -> None:
    """But for those of claims, which are the token's (facts: Resource events)."""
    arm.world.faults = Faults(events_pascal_case=1, operation_delay=0)
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    data = events[0]["data"]

    assert set(data["authorization"]) == {"Scope", "Action", "Evidence"}
    assert "RoleAssignmentId" in data["authorization"]["Evidence"]
    assert data["httpRequest"]["Method"] == "PATCH"
    assert data["claims"]["appid"] == arm.world.operator.app_id
