"""From what Azure announces to what is done: coalescing, our own echoes, deleted assignments."""

from datetime import timedelta

import pytest

from reconciler.changes import Result
from reconciler.events import Event
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request
from tests.world.cloud import Cloud, as_request
from tests.world.ids import APPS, ASSIGNMENTS, DATA, SHARED, VM, machine
from tests.world.policies import policy, rule

OWN = {("Reader", "rg-app")}


def deletion(cloud: Cloud, vm: str = VM) -> Request:
    """Let the operator delete a machine's right; returns what its event asks for."""
    right = cloud.right(cloud.principal(vm))
    cloud.events.clear()
    answer = cloud.operator.call("DELETE", right.id, version="2022-04-01")
    assert answer.status_code == 200
    (request,) = cloud.hear()
    return request


def test_an_event_older_than_the_last_look_costs_no_call(steady: Cloud) -> None:
    """The look has seen all that the event could tell."""
    request = Request(ResourceId.parse(VM), since=steady.clock())
    steady.pass_time(1)
    steady.look(VM)
    steady.wire.calls.clear()
    result = steady.look(request)

    assert steady.wire.calls == []
    assert (result.plans, result.again_after) == ((), None)


def test_an_event_newer_than_the_last_look_is_looked_at(steady: Cloud) -> None:
    """What happened after the look began may have been missed by it."""
    steady.look(VM)
    steady.pass_time(1)
    steady.wire.calls.clear()
    steady.look(Request(ResourceId.parse(VM), since=steady.clock()))

    assert steady.wire.calls


def test_a_look_without_removals_does_not_cover_a_request_with_them(steady: Cloud) -> None:
    """A sweep's request may do more than the look that came before."""
    steady.look(VM)
    steady.wire.calls.clear()
    since = steady.clock() - timedelta(hours=1)
    right = ResourceId.parse(steady.right(steady.principal()).id)
    named = Removals(steady.app.policy.digest, frozenset({right}))
    steady.look(Request(ResourceId.parse(VM), since=since, removals=named))

    assert steady.wire.calls


def test_a_copy_that_is_due_soon_covers_what_comes_meanwhile(steady: Cloud) -> None:
    """The look that failed covers nothing; its copy does, in ten seconds."""
    deletion(steady)
    steady.wire.answer("GET", "/virtualmachines/", 503)
    failed = steady.look(VM)
    steady.wire.calls.clear()
    meanwhile = steady.look(Request(ResourceId.parse(VM), since=steady.clock()))

    assert meanwhile == Result()
    assert steady.wire.calls == []
    assert failed.again is not None
    steady.drive(failed.again)
    assert steady.rights(steady.principal()) == OWN


def test_a_copy_that_is_due_late_covers_nothing(steady: Cloud) -> None:
    """What is to be looked at again is not yet as it should be."""
    deletion(steady)
    steady.wire.answer("GET", "/virtualmachines/", 503, headers={"Retry-After": "600"})
    steady.look(VM)
    steady.drive(Request(ResourceId.parse(VM), since=steady.clock()))

    assert steady.rights(steady.principal()) == OWN


def test_a_copy_without_removals_does_not_cover_a_request_with_them(steady: Cloud) -> None:
    """A sweep named what may go."""
    steady.wire.answer("GET", "/virtualmachines/", 503)
    steady.look(VM)
    steady.wire.calls.clear()
    right = ResourceId.parse(steady.right(steady.principal()).id)
    named = Removals(steady.app.policy.digest, frozenset({right}))
    steady.look(Request(ResourceId.parse(VM), since=steady.clock(), removals=named))

    assert steady.wire.calls


@pytest.mark.parametrize("at_end", [False, True])
def test_an_event_of_our_own_write_costs_no_call(cloud: Cloud, *, at_end: bool) -> None:
    """What we wrote was looked at after the write, whenever its event comes."""
    cloud.world.faults = cloud.world.faults.changed({"events_at_end": at_end})
    cloud.events.clear()
    cloud.drive(*cloud.app.sweep().requests)
    cloud.wire.calls.clear()

    assert cloud.hear() == []
    assert {event["data"]["claims"]["appid"] for event in cloud.events} == {cloud.world.app.app_id}
    assert {event["eventType"].rpartition(".")[2] for event in cloud.events} == {
        "ResourceWriteSuccess"
    }
    assert cloud.wire.calls == []


def test_an_accepted_patch_that_failed_later_is_looked_at(cloud: Cloud) -> None:
    """It left something undone."""
    cloud.world.faults = cloud.world.faults.changed(
        {"requests": [{"method": "PATCH", "late": True, "times": 1}]}
    )
    cloud.events.clear()
    cloud.drive(VM)
    heard = cloud.hear()

    assert {request.id for request in heard} == {ResourceId.parse(VM)}
    assert [one["eventType"] for one in cloud.events if "Failure" in one["eventType"]]


@pytest.mark.parametrize("how", ["WriteFailure", "WriteCancel", "DeleteFailure", "ActionCancel"])
@pytest.mark.parametrize("place", [VM, SHARED, APPS, f"{APPS}{ASSIGNMENTS}/x"])
def test_a_failure_of_others_is_not_looked_at(steady: Cloud, place: str, how: str) -> None:
    """It changed nothing; of ours a resource or identity is looked at."""
    client = steady.world.app.app_id
    found = [
        steady.app.requests(
            Event(f"Microsoft.Resources.Resource{how}", place, data={"claims": {"appid": appid}})
        )
        for appid in ("somebody", client, client.upper())
    ]
    own = [ResourceId.parse(place)] if place in {VM, SHARED} else []

    assert [[one.id for one in each] for each in found] == [[], own, own]


def test_a_rebuild_is_repaired_by_what_its_events_ask_for(steady: Cloud) -> None:
    """Delete and write, in whatever order and number they come."""
    old = steady.principal()
    steady.build(settle=False)
    heard = steady.hear()
    steady.drive(*reversed(heard), *heard)

    assert {request.id for request in heard} == {ResourceId.parse(VM)}
    assert steady.rights(old) == set()
    assert steady.rights(steady.principal()) == OWN
    assert steady.attached() == {"system", "shared"}


def test_a_deleted_right_is_found_by_its_name_and_granted_again(steady: Cloud) -> None:
    """The name shows whose it was, though nothing was stored."""
    results = steady.drive(deletion(steady))

    assert [str(request.id) for request in results[0].requests] == [VM]
    assert steady.rights(steady.principal()) == OWN


def test_a_deleted_right_of_an_identity_requests_the_identity(steady: Cloud) -> None:
    """A user-assigned identity is a candidate too."""
    result = steady.look(deletion(steady, SHARED))

    assert [request.id for request in result.requests] == [ResourceId.parse(SHARED)]


def test_a_name_without_dashes_is_recognised(steady: Cloud) -> None:
    """A cascaded delete spells the assignment's name without them."""
    request = deletion(steady)
    bare = f"{APPS}{ASSIGNMENTS}/{request.id.name.replace('-', '')}"
    steady.wire.calls.clear()
    result = steady.look(bare)

    assert [str(found.id) for found in result.requests] == [VM]
    assert steady.wire.calls[0].path == request.id.key


def test_a_deleted_right_whose_owner_is_not_found_is_sought_once_more(steady: Cloud) -> None:
    """The index may not know a young machine yet: it is asked again five minutes later."""
    unknown = Request(ResourceId.parse(f"{APPS}{ASSIGNMENTS}/{steady.world.guid()}"))
    first = steady.look(unknown)

    assert first.requests == ()
    assert first.again_after == timedelta(minutes=5)
    assert first.again is not None
    steady.pass_time(300)
    steady.wire.calls.clear()
    second = steady.look(first.again)

    assert (second.requests, second.again_after) == ((), None)
    assert steady.wire.calls
    assert steady.wire.writes == []


def test_a_right_at_a_machine_is_granted_again_when_the_machine_is_rebuilt(cloud: Cloud) -> None:
    """Who is granted something at a machine is looked at when that is written or deleted."""
    other = machine("vm2")
    cloud.build(other)
    grants = {"grants": [{"role": "Reader", "scope": other}]}
    only = rule(match={"type": "Microsoft.Compute/virtualMachines", "name": "vm1"}, system=grants)
    cloud.deploy(policy(only))
    cloud.drive(VM)
    cloud.pass_time()
    assert cloud.rights(cloud.principal()) == {("Reader", "vm2")}
    cloud.events.clear()
    cloud.build(other)
    assert cloud.rights(cloud.principal()) == set()
    cloud.drive(*cloud.hear())

    assert cloud.rights(cloud.principal()) == {("Reader", "vm2")}


def test_a_young_machines_deleted_right_is_found_by_the_second_search(steady: Cloud) -> None:
    """The index did not know the machine at first."""
    request = deletion(steady)
    steady.wire.answer("POST", "/microsoft.resourcegraph/", 200, body={"data": []})
    steady.drive(request)

    assert steady.rights(steady.principal()) == OWN


def test_a_failed_search_is_repeated_with_growing_delays(steady: Cloud) -> None:
    """And given up like anything else."""
    request = deletion(steady)
    steady.wire.answer("POST", "/microsoft.resourcegraph/", 503, times=10_000)
    results = steady.drive(request)
    delays = [one.again_after.total_seconds() for one in results if one.again_after]

    assert delays[0] == 10
    assert max(delays) == 300
    assert results[-1].again_after is None


def test_our_right_written_by_another_requests_its_machine(steady: Cloud) -> None:
    """Somebody edited it: its marker, or its principal, shows whose it is."""
    right = steady.right(steady.principal())
    steady.events.clear()
    steady.grant(right.principal, name=right.name, description="edited by hand")
    steady.drive(*steady.hear())

    assert steady.right(right.principal).description == steady.mark(VM)


def test_a_foreign_right_that_was_written_requests_nothing(steady: Cloud) -> None:
    """Whoever may grant at a scope must not thereby have it swept, with leave to remove."""
    steady.events.clear()
    steady.grant(steady.world.new_principal("app").oid)
    (request,) = steady.hear()

    result = steady.look(request)

    assert (result.requests, result.again_after) == ((), None)


def test_a_marker_that_names_nothing_of_ours_hides_no_owner(steady: Cloud) -> None:
    """The principal still shows whose it is."""
    right = steady.right(steady.principal())
    steady.events.clear()
    steady.grant(
        right.principal, name=right.name, description=steady.mark(f"{APPS}/providers/A.B/c/d")
    )
    steady.drive(*steady.hear())

    assert steady.right(right.principal).description == steady.mark(VM)


def test_an_event_of_an_assignment_that_we_wrote_requests_nothing(steady: Cloud) -> None:
    """What we wrote we know."""
    deletion(steady)
    steady.events.clear()
    steady.look(VM)

    assert steady.events
    assert steady.hear() == []


def test_a_new_identity_requests_the_machines_that_should_carry_it(cloud: Cloud) -> None:
    """Created after its machines, it is attached to each."""
    cloud.build(machine("vm2"))
    cloud.drive(SHARED)

    assert cloud.attached(VM) == {"system", "shared"}
    assert cloud.attached(machine("vm2")) == {"system", "shared"}


def test_machines_of_a_deleted_group_lose_their_rights_in_other_groups(cloud: Cloud) -> None:
    """The machines of a deleted group lose what they held in other groups."""
    grant = {"role": "Reader", "scope": DATA}
    cloud.deploy(policy(rule(system={"grants": [grant]})))
    cloud.drive(VM)
    old = cloud.principal()
    assert cloud.rights(old) == {("Reader", "rg-data")}
    cloud.events.clear()
    answer = cloud.operator.call("DELETE", APPS, version="2021-04-01")
    assert answer.status_code == 202
    cloud.drive(*cloud.hear())

    assert cloud.rights(old) == set()


@pytest.mark.parametrize("place", [VM, SHARED])
def test_a_second_look_right_after_the_first_writes_nothing(cloud: Cloud, place: str) -> None:
    """A second look right after the first finds nothing to write."""
    cloud.drive(VM, SHARED)
    cloud.wire.calls.clear()
    cloud.drive(as_request(place))

    assert cloud.wire.writes == []
