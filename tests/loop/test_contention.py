"""A change that another writer keeps undoing is blocked, and the writer is named where one can."""

from collections.abc import Callable

import pytest

from reconciler.changes import CreateAssignment, Outcome, Result
from reconciler.ids import ResourceId
from reconciler.model import Grant
from reconciler.reconcile.contention import blocked_outcomes
from tests.world.cloud import Cloud, blocked
from tests.world.ids import READER, SHARED, VM

LOG = "/microsoft.insights/eventtypes/management/values"
OWN = {("Reader", "rg-app")}
ASSIGNMENT_DELETE = "Microsoft.Authorization/roleAssignments/delete"


def delete_right(cloud: Cloud) -> None:
    """Let the operator delete the machine's right, if it has one."""
    for right in list(cloud.world.assignments_of([cloud.principal()])):
        answer = cloud.operator.call("DELETE", right.id, version="2022-04-01")
        assert answer.status_code == 200


def detach(cloud: Cloud) -> None:
    """Let the operator take the identity away from the machine, if it carries it."""
    if "shared" in cloud.attached():
        block = {"type": "SystemAssigned"}
        answer = cloud.operator.call("PATCH", VM, {"identity": block})
        assert answer.status_code == 200, answer.text


def fight_until_blocked(cloud: Cloud, *undo: Callable[[Cloud], None]) -> list[Result]:
    """Undo what the app does until it is blocked; returns the results of its last try."""
    for _ in range(4):
        for one in undo:
            one(cloud)
        cloud.pass_time(120)
        results = cloud.drive(VM)
        if len(blocked(results)) == len(undo):
            return results
    raise AssertionError("it is made again and again")


def log_calls(cloud: Cloud) -> int:
    """Return how often the activity log was read."""
    return sum(LOG in call.path for call in cloud.wire.calls)


def contended(results: list[Result]) -> Outcome:
    """Return the one change that is blocked, as contended."""
    (found,) = blocked(results)
    assert found.code == "Contended"
    return found


def test_the_writer_who_keeps_deleting_a_right_is_named(steady: Cloud) -> None:
    """With the log's own word for the deletion; our own writes are not another's."""
    found = contended(fight_until_blocked(steady, delete_right))

    assert steady.world.operator.oid in found.detail
    assert ASSIGNMENT_DELETE in found.detail
    assert steady.world.app.oid not in found.detail
    assert log_calls(steady) == 1


def test_the_writer_who_keeps_detaching_an_identity_is_named(steady: Cloud) -> None:
    """By the last write of the machine that is not ours."""
    found = contended(fight_until_blocked(steady, detach))

    assert steady.world.operator.oid in found.detail
    assert "Microsoft.Compute/virtualMachines/write" in found.detail


def test_two_contended_changes_cost_one_question_to_the_log(steady: Cloud) -> None:
    """The first names the writer; the second does not."""
    found = blocked(fight_until_blocked(steady, delete_right, detach))

    assert [one.code for one in found] == ["Contended", "Contended"]
    assert sum(steady.world.operator.oid in one.detail for one in found) == 1
    assert log_calls(steady) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
def test_a_log_that_cannot_be_read_leaves_the_writer_unnamed(steady: Cloud, status: int) -> None:
    """It is blocked all the same, and everything else goes on."""
    steady.wire.answer("GET", LOG, status, "Refused", headers={"Retry-After": "600"})
    found = contended(fight_until_blocked(steady, delete_right))

    assert found.detail.endswith("by another writer")
    assert steady.replan().changes
    assert steady.drive(SHARED)[-1].plans[-1].compliant


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": None},
        {"value": {"status": "Succeeded"}},
        {"value": ["Succeeded"]},
        {"value": [{"status": {"value": "Succeeded"}}]},
        {"value": [{"status": {"value": "Succeeded"}, "operationName": {"value": 7}}]},
    ],
)
def test_a_log_of_another_shape_leaves_the_writer_unnamed(steady: Cloud, body: object) -> None:
    """What cannot be read is not guessed at."""
    steady.wire.answer("GET", LOG, 200, body=body)

    assert contended(fight_until_blocked(steady, delete_right)).detail.endswith("by another writer")


def entry(caller: str, minute: int, **more: object) -> dict[str, object]:
    """Return an entry of the log: a deletion of a role assignment, unless it is told otherwise."""
    return {
        "caller": caller,
        "claims": {},
        "operationName": {"value": ASSIGNMENT_DELETE},
        "status": {"value": "Succeeded"},
        "eventTimestamp": f"2026-03-01T12:{minute:02}:00.1234567Z",
        **more,
    }


def test_the_latest_successful_write_of_another_is_named(steady: Cloud) -> None:
    """Neither ours under any name, nor what failed, nor other operations."""
    ours = steady.world.app.oid
    claims = {"http://schemas.microsoft.com/identity/claims/objectidentifier": ours.upper()}
    rows = [
        entry("early@example.org", 1, claims=None),
        entry("late@example.org", 2),
        entry("middle@example.org", 1),
        entry("begun@example.org", 3, status={"value": "Started"}),
        entry("read@example.org", 3, operationName={"value": "Microsoft.Authorization/x/action"}),
        entry(ours.upper(), 4),
        entry("us@example.org", 4, claims=claims),
    ]
    steady.wire.answer("GET", LOG, 200, body={"value": rows})
    found = contended(fight_until_blocked(steady, delete_right))

    assert found.detail.endswith(f"last by late@example.org ({ASSIGNMENT_DELETE}, 12:02:00 UTC)")


def test_a_log_with_only_our_writes_names_nobody(steady: Cloud) -> None:
    """It is late by minutes, so it may not know the other writer yet."""
    rows = [entry(steady.world.app.oid, 4)]
    steady.wire.answer("GET", LOG, 200, body={"value": rows})

    assert contended(fight_until_blocked(steady, delete_right)).detail.endswith("by another writer")


def test_without_contention_the_log_is_not_read(steady: Cloud) -> None:
    """A right that was deleted once simply comes back."""
    delete_right(steady)
    steady.drive(VM)

    assert steady.rights(steady.principal()) == OWN
    assert log_calls(steady) == 0


def test_a_right_outside_of_subscriptions_costs_no_question_to_the_log(cloud: Cloud) -> None:
    """The activity log is kept for each subscription."""
    group = ResourceId.parse("/providers/Microsoft.Management/managementGroups/corp")
    change = CreateAssignment(Grant(READER, group), cloud.world.app.oid, "")
    (found,) = blocked_outcomes([change], cloud.app.arm, frozenset(), cloud.clock())

    assert found.code == "Contended"
    assert cloud.wire.calls == []
