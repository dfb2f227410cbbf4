"""A live right is never taken on weak evidence: answers that are late, torn, stale or missing.

Each test tries one wrong answer at one place, for one look or for many, and lets every copy come.
"""

import copy
from collections.abc import Callable

import pytest

from reconciler.changes import Hold
from reconciler.model import Request
from tests.world.cloud import Cloud, holds, last
from tests.world.ids import DATA, SHARED, VM
from tests.world.policies import Content, policy, rule
from tests.world.sweeps import GRAPH, OWN

AT_VM = "/virtualmachines/vm1"
AT_SHARED = "/userassignedidentities/shared"
BLOBS = {("Storage Blob Data Reader", "rg-data")}
FOR_LONG = 60
"""More answers than all copies of an hour need."""

type Wrong = Callable[[Cloud, Content], Content]


def without_identity(_: Cloud, body: Content) -> Content:
    """Leave the identity block out."""
    return {key: value for key, value in body.items() if key != "identity"}


def user_assigned_only(_: Cloud, body: Content) -> Content:
    """Show another type, without the system-assigned identity."""
    users = body["identity"]["userAssignedIdentities"]
    return body | {"identity": {"type": "UserAssigned", "userAssignedIdentities": users}}


def without_principal(_: Cloud, body: Content) -> Content:
    """Show the type, but no principal yet."""
    return body | {"identity": {"type": "SystemAssigned"}}


def principal_of_zeros(_: Cloud, body: Content) -> Content:
    """Show a principal of zeros, as some providers do while they update."""
    zeros = "00000000-0000-0000-0000-000000000000"
    return body | {"identity": {**body["identity"], "principalId": zeros}}


def earlier(cloud: Cloud, body: Content) -> Content:
    """Show an earlier incarnation, with a principal and a time of its own."""
    properties = body["properties"] | {
        "vmId": cloud.world.guid(),
        "timeCreated": "2026-02-01T00:00:00+00:00",
    }
    block = body["identity"] | {"principalId": cloud.world.guid()}
    return body | {"identity": block, "properties": properties}


def another_principal(cloud: Cloud, body: Content) -> Content:
    """Show a principal that nobody knows, of the same machine."""
    return body | {"identity": body["identity"] | {"principalId": cloud.world.guid()}}


def unknown_type(_: Cloud, body: Content) -> Content:
    """Show a type that nobody knows."""
    return body | {"identity": body["identity"] | {"type": "Delegated"}}


def another_at_work(cloud: Cloud, body: Content) -> Content:
    """Show another principal while the machine is being updated."""
    properties = body["properties"] | {"provisioningState": "Updating"}
    return another_principal(cloud, body) | {"properties": properties}


TORN: dict[str, Wrong] = {
    one.__name__: one
    for one in (
        without_identity,
        user_assigned_only,
        without_principal,
        principal_of_zeros,
        earlier,
        another_principal,
        unknown_type,
        another_at_work,
    )
}


def steadily(cloud: Cloud, *places: str | Request) -> None:
    """Look until no copy is due, at no moment without the rights and identities that are there."""
    whose = cloud.principal(), cloud.principal(SHARED)

    def intact() -> None:
        assert cloud.rights(whose[0]) >= OWN
        assert cloud.rights(whose[1]) == BLOBS
        assert cloud.attached() >= {"system", "shared"}

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        cloud.wire.before(method, "", intact, times=10_000)
    cloud.drive(*places, most=200)
    intact()


def as_before(cloud: Cloud) -> None:
    """Assert that a later, complete look finds all as it should be."""
    cloud.wire.clear()
    cloud.pass_time()
    assert cloud.replan(VM).compliant
    assert cloud.replan(SHARED).compliant


@pytest.mark.parametrize("times", [1, 2, 3, FOR_LONG])
@pytest.mark.parametrize("wrong", TORN)
def test_one_torn_or_stale_machine_takes_nothing(steady: Cloud, wrong: str, times: int) -> None:
    """Two reads must agree, and Resource Graph with both; the one principal there still carries."""
    body = copy.deepcopy(steady.operator.get(VM))
    steady.wire.answer("GET", AT_VM, 200, body=TORN[wrong](steady, body), times=times)
    old = steady.principal()
    steady.drive(VM, most=200)
    assert steady.rights(old) >= OWN
    assert steady.attached() >= {"system", "shared"}
    steady.wire.clear()
    steady.drive(*steady.app.sweep().requests)

    assert steady.rights(old) >= OWN


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("wrong", TORN)
def test_a_torn_answer_beside_removals_takes_nothing(steady: Cloud, wrong: str, skip: int) -> None:
    """A request that may remove what is unwanted asks more, and believes no more."""
    body = copy.deepcopy(steady.operator.get(VM))
    request = steady.removing()
    steady.wire.answer("GET", AT_VM, 200, body=TORN[wrong](steady, body), skip=skip)
    steadily(steady, request)


@pytest.mark.parametrize("times", [1, 2, FOR_LONG])
@pytest.mark.parametrize("place", [VM, SHARED])
def test_a_404_takes_nothing(steady: Cloud, place: str, times: int) -> None:
    """Resource Manager's index may be late for longer than anybody looks."""
    part = AT_VM if place == VM else AT_SHARED
    steady.wire.answer("GET", part, 404, "ResourceNotFound", times=times)
    steadily(steady, VM, SHARED)
    steady.pass_time(4000)
    as_before(steady)


@pytest.mark.parametrize("times", [1, FOR_LONG])
@pytest.mark.parametrize("place", [VM, SHARED])
@pytest.mark.parametrize("rows", ["none", "all but this"])
def test_a_404_and_an_index_without_a_row_take_nothing(
    steady: Cloud, place: str, rows: str, times: int
) -> None:
    """They may be late together, or see no subscription that we may not read."""
    part = AT_VM if place == VM else AT_SHARED
    assignment = steady.right(steady.principal(place))
    row = {"id": assignment.id, "type": "microsoft.authorization/roleassignments", "principal": ""}
    steady.wire.answer("GET", part, 404, "ResourceNotFound", times=times)
    data = [] if rows == "none" else [row]
    steady.wire.answer("POST", GRAPH, 200, body={"data": data}, times=times)
    steadily(steady, VM, SHARED)
    steady.pass_time(4000)
    as_before(steady)


def test_a_row_that_is_still_there_keeps_the_rights(steady: Cloud) -> None:
    """Even where the log tells of an end: an index that is late proves nothing."""
    old = steady.principal()
    steady.set_faults(graph_delay=2 * 3600)
    steady.delete(VM)
    results = steady.drive(VM)

    assert steady.rights(old) == OWN
    assert holds(last(results)) <= {Hold.GONE_UNPROVED, Hold.CARRIED}

    steady.set_faults(graph_delay=0)
    steady.pass_time(24 * 3600)
    steady.sweep()

    assert steady.rights(old) == set()


@pytest.mark.parametrize("delay", [5, 60, 600])
def test_an_index_older_than_the_rebuild_keeps_the_old_right(steady: Cloud, delay: int) -> None:
    """A row of the old principal proves that the index is too old to tell; it is asked again."""
    old = steady.principal()
    steady.set_faults(graph_delay=delay)
    steady.build()
    new = steady.principal()
    steady.drive(VM)

    assert steady.rights(new) == OWN
    assert steady.rights(old) == set()


def test_the_old_principal_on_another_machine_is_no_replaced_one(steady: Cloud) -> None:
    """The machine was moved, and a namesake was built: both live."""
    moved = steady.principal()
    steady.move(DATA)
    steady.build(VM)
    results = steady.drive(VM)

    assert steady.rights(moved) == OWN
    assert steady.rights(steady.principal(VM)) == OWN
    assert holds(last(results)) == {Hold.CARRIED}


def test_a_stale_machine_beside_a_stale_index_takes_nothing(steady: Cloud) -> None:
    """Both show the machine before; a right that was made after it was built is not its heir's."""
    before = copy.deepcopy(steady.operator.get(VM))
    steady.build()
    steady.drive(VM)
    new = steady.principal()
    steady.pass_time(1000)
    steady.set_faults(graph_delay=4 * 3600)
    steady.wire.answer("GET", AT_VM, 200, body=before, times=FOR_LONG)
    steady.drive(VM, most=200)

    assert steady.rights(new) == OWN


@pytest.mark.parametrize("times", [1, 2, FOR_LONG])
def test_a_stale_identity_takes_nothing(steady: Cloud, times: int) -> None:
    """Its GET shows the principal before; Resource Graph knows the one of today."""
    before = copy.deepcopy(steady.operator.get(SHARED))
    steady.recreate_identity()
    steady.drive(SHARED)
    steady.pass_time()
    new = steady.principal(SHARED)
    assert steady.rights(new) == BLOBS
    steady.wire.answer("GET", AT_SHARED, 200, body=before, times=times)
    steady.wire.calls.clear()
    steady.drive(SHARED, most=200)

    assert steady.rights(new) == BLOBS
    if times == 1:
        assert steady.wire.writes == []


def test_a_machine_that_shows_ids_of_a_deleted_identity_proves_no_life(steady: Cloud) -> None:
    """Its entry may show them for a week."""
    steady.set_faults(dead_entry_delay=7 * 24 * 3600)
    old = steady.principal(SHARED)
    steady.delete(SHARED)
    steady.drive(SHARED)

    assert steady.rights(old) == set()


def test_system_off_and_on_again_is_a_new_principal(steady: Cloud) -> None:
    """The machine is the same; the old principal's right goes once two reads agree."""
    old = steady.principal()
    off = {"type": "UserAssigned"}
    assert steady.operator.call("PATCH", VM, {"identity": off}).status_code == 200
    steady.pass_time()
    assert steady.rights(old) == OWN
    results = steady.drive(VM)
    new = steady.principal()

    assert new != old
    assert steady.rights(new) == OWN
    assert steady.rights(old) == OWN
    assert holds(last(results)) == {Hold.REPLACED_UNPROVED}


def test_a_machine_that_shows_no_principal_proves_nothing(steady: Cloud) -> None:
    """Switched off is no end: policy in audit mode leaves it off, and the old right stays."""
    old = steady.principal()
    steady.deploy(policy(rule(mode="audit")))
    steady.operator.call("PATCH", VM, {"identity": {"type": "UserAssigned"}})
    steady.pass_time()
    steady.drive(VM)
    steady.sweep()

    assert steady.rights(old) == OWN


def test_one_answer_of_the_index_serves_a_machine_with_many_rights(steady: Cloud) -> None:
    """Where something is retired there is one more GET and one question."""
    steady.granted_by_us(DATA)
    steady.pass_time()
    steady.build()
    steady.wire.calls.clear()
    steady.drive(VM)

    assert sum(GRAPH in one.path for one in steady.wire.calls) == 1
