"""Nothing is lost, and nothing goes on for ever: messages that come again, copies, lagging lists.

A message is completed after what it led to is in the queue. So whatever the process remembers of
an answer, the same message may come again because nothing of that answer got there.
"""

from datetime import timedelta

import pytest

from reconciler import messages
from reconciler.changes import Hold, Result, Status
from reconciler.errors import SettingsError
from reconciler.ids import ResourceId
from reconciler.model import USER_ASSIGNED_IDENTITY, Removals, Request, Sight, Sighting
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, ASSIGNMENTS, DATA, SHARED, VM, identity
from tests.world.policies import Content, guardrails, named, policy, rule
from tests.world.sweeps import GRAPH, fleet

REDELIVERED = 30
"""Seconds after which the host hands out a message again (host.json)."""
STORAGE_TAKES = 64 * 1024 * 3 // 4
"""Bytes of a queue message, which is base64."""


def event(cloud: Cloud, place: str, *, ago: float = 0, written: bool = False) -> Request:
    """Return what an event asks for that happened some seconds ago."""
    return Request(
        ResourceId.parse(place), cloud.clock() - timedelta(seconds=ago), expected=written
    )


def without_system() -> Content:
    """Return the usual rule without a system-assigned identity."""
    return {key: value for key, value in rule().items() if key != "system"}


def deleted(cloud: Cloud, place: str = VM, scope: str = APPS) -> Request:
    """Take our right away, and return what its deletion asks for."""
    right = cloud.right(cloud.principal(place))
    found = f"{scope}{ASSIGNMENTS}/{right.name}"
    assert cloud.operator.call("DELETE", found, version="2022-04-01").status_code == 200
    return event(cloud, found)


# What was lost on the way to the queue.


def test_a_message_is_not_covered_by_the_copy_that_it_led_to(cloud: Cloud) -> None:
    """The copy may never have reached the queue: its storage may have refused it."""
    cloud.deploy(policy(without_system()))
    cloud.build(settle=False)
    cloud.pass_time(8)
    request = event(cloud, VM, written=True)
    cloud.clock.forward(1)
    first = cloud.look(request)
    assert first.again
    assert first.again_after
    assert first.again_after > timedelta(seconds=REDELIVERED)

    cloud.clock.forward(REDELIVERED)
    again = cloud.look(request)

    assert again.again
    cloud.follow(again)
    assert cloud.attached() == {"system", "shared"}


def test_a_scope_s_message_is_not_covered_by_the_copy_that_it_led_to(cloud: Cloud) -> None:
    """Of a burst of events one copy sweeps the scope, where that was put into the queue."""
    cloud.look(event(cloud, APPS))
    cloud.clock.forward(5)
    second = event(cloud, APPS)
    cloud.clock.forward(1)
    assert cloud.look(second).again

    cloud.clock.forward(REDELIVERED)

    assert cloud.look(second).again


def test_a_deletion_that_comes_again_is_compared_again(steady: Cloud) -> None:
    """The requests for those who lacked a right may have been lost."""
    steady.grant(
        steady.operator.principal("stranger").oid, name="11111111-2222-4333-8444-555555555555"
    )
    gone = f"{APPS}{ASSIGNMENTS}/99999999-2222-4333-8444-555555555555"
    steady.world.remove_assignment(steady.right(steady.principal()))
    request = event(steady, gone, ago=1)
    first = steady.look(request)
    assert [str(one.id) for one in first.requests] == [VM]

    steady.clock.forward(REDELIVERED)

    assert [str(one.id) for one in steady.look(request).requests] == [VM]


def test_an_identity_attached_before_a_failed_look_is_requested(cloud: Cloud) -> None:
    """The copy finds it attached, and would request nobody."""
    cloud.wire.answer("GET", "/virtualmachines/", 503, "ServerError", skip=1)
    result = cloud.look(VM)

    assert {one.status for one in result.outcomes} == {Status.DONE, Status.AGAIN}
    assert [str(one.id) for one in result.requests] == [SHARED]


# What answers less than is asked.


@pytest.mark.parametrize("left", ["nothing", "a copy"])
def test_a_look_at_an_identity_s_own_rights_does_not_cover_its_event(
    steady: Cloud, left: str
) -> None:
    """Only that event requests those that carry a dead entry of it."""
    steady.pass_time(4000)
    steady.recreate_identity()
    told = event(steady, SHARED, written=True)
    steady.clock.forward(1)
    seen = (Sighting(steady.clock(), Sight.ATTACHED),)
    if left == "a copy":
        steady.wire.answer("PUT", "/roleassignments/", 503, "ServerError")
    steady.look(Request(ResourceId.parse(SHARED), steady.clock(), sightings=seen))
    steady.clock.forward(1)

    assert [str(one.id) for one in steady.look(told).requests] == [VM]


def test_a_copy_that_asks_for_an_end_covers_nobody_once_the_id_was_found(
    steady: Cloud,
) -> None:
    """The look that found the rebuilt machine covers it, so that it reads nothing."""
    steady.delete(VM)
    steady.pass_time(60)
    gone = steady.look(event(steady, VM)).again
    assert gone
    assert gone.since
    steady.build()
    steady.drive(event(steady, VM, ago=90, written=True))
    spot = {"properties": {"priority": "Spot", "evictionPolicy": "Delete"}}
    assert steady.operator.call("PATCH", VM, spot).status_code == 200
    steady.clock.moment = gone.since - timedelta(seconds=55)
    steady.world.announce()
    assert steady.operator.call("POST", f"{VM}/simulateEviction").status_code == 204
    evicted = event(steady, VM)
    steady.clock.forward(1)
    assert steady.clock() < gone.since

    assert steady.look(evicted).again


def test_our_deleted_right_is_granted_again_though_its_list_still_shows_it(steady: Cloud) -> None:
    """Lists lag behind deletions as well; a GET of the right's own id does not."""
    steady.set_faults(assignment_lag=45)
    request = deleted(steady)
    steady.clock.forward(1)

    steady.drive(request)

    assert steady.rights(steady.principal()) == {("Reader", "rg-app")}


def test_another_look_at_a_lagging_list_does_not_cover_a_deletion(steady: Cloud) -> None:
    """It found nothing to do."""
    steady.set_faults(assignment_lag=45)
    request = deleted(steady)
    steady.clock.forward(0.2)
    steady.look(event(steady, VM, written=True))
    steady.clock.forward(1)

    steady.drive(request)

    assert steady.rights(steady.principal()) == {("Reader", "rg-app")}


def test_a_deleted_foreign_right_is_replaced_though_its_list_still_shows_it(
    cloud: Cloud,
) -> None:
    """The deleted one is known by its name."""
    cloud.build()
    theirs = cloud.grant(cloud.principal())
    cloud.sweep()
    cloud.pass_time()
    cloud.set_faults(assignment_lag=45)
    found = f"{APPS}{ASSIGNMENTS}/{theirs.name}"
    assert cloud.operator.call("DELETE", found, version="2022-04-01").status_code == 200
    request = event(cloud, found)
    cloud.clock.forward(1)

    cloud.drive(request)

    assert cloud.rights(cloud.principal()) == {("Reader", "rg-app")}


def test_a_comparison_right_after_a_deletion_does_not_cover_it(steady: Cloud) -> None:
    """The list that it read may still have shown what was deleted; a minute later it does not."""
    steady.set_faults(assignment_lag=5)
    places = fleet(steady, 2)
    steady.drive(*places)
    steady.pass_time()
    first, second = (deleted(steady, place) for place in places)
    stranger = f"{APPS}{ASSIGNMENTS}/99999999-2222-4333-8444-555555555555"
    steady.clock.forward(1)
    steady.look(event(steady, stranger, ago=1))

    steady.drive(first, second)

    assert all(steady.rights(steady.principal(one)) for one in places)


def test_a_burst_of_deletions_at_a_scope_costs_a_read_each_and_few_comparisons(
    steady: Cloud,
) -> None:
    """One comparison a minute serves all that are old enough."""
    places = [f"{APPS}{ASSIGNMENTS}/99999999-2222-4333-8444-{number:012}" for number in range(30)]
    results = steady.drive(*(event(steady, place) for place in places), most=150)

    lists = [call for call in steady.wire.calls if call.path.endswith("/roleassignments")]
    assert len(lists) <= 6
    assert len(results) <= 120


# What must end.


def test_more_dead_entries_than_are_remembered_are_given_up_as_well(cloud: Cloud) -> None:
    """Those that do not fit are new at every look, which is no progress."""
    names = [f"dead{number:02}" for number in range(25)]
    for name in names:
        cloud.recreate_identity(identity(name))
    cloud.attach(*names)
    entries: Content = {}
    for name in names:
        entries |= named(name)
    cloud.deploy(policy({**without_system(), "attach": names}, identities=entries))
    for name in names:
        cloud.delete(identity(name))
    began = cloud.clock()

    results = cloud.drive(VM)

    assert holds(results[-1].plans[-1]) == {Hold.IDENTITY_ABSENT}
    assert cloud.clock() - began < timedelta(hours=1)


@pytest.mark.parametrize("part", ["/microsoft.resourcegraph/", "/eventtypes/"])
@pytest.mark.parametrize("code", ["ResourceNotFound", "NotFound", ""])
def test_a_404_of_the_index_or_the_log_is_asked_again(cloud: Cloud, part: str, code: str) -> None:
    """It says nothing about what was asked for."""
    cloud.build()
    cloud.sweep()
    cloud.delete(VM)
    cloud.pass_time(1200)
    method = "POST" if "graph" in part else "GET"
    cloud.wire.answer(method, part, 404, code, times=1)
    first = (Sighting(cloud.clock() - timedelta(minutes=11), Sight.GONE),)

    result = cloud.look(Request(ResourceId.parse(VM), sightings=first))

    assert [one.status for one in result.outcomes] == [Status.AGAIN]
    cloud.follow(result)
    assert all("vm1" not in (one.description or "") for one in cloud.world.assignments)


def test_a_404_of_the_index_has_the_sweep_asked_again(cloud: Cloud) -> None:
    """The next timer may be half an hour away."""
    cloud.wire.answer("POST", GRAPH, 404, "ResourceNotFound")

    result = cloud.app.sweep()

    assert [one.status for one in result.outcomes] == [Status.AGAIN]
    cloud.follow(result)
    assert cloud.attached() == {"system", "shared"}


# What is asked too often, and kept too long.


def test_a_foreign_right_in_a_role_that_policy_does_not_grant_costs_one_read(
    steady: Cloud,
) -> None:
    """Deployments make such rights by the hundred, and Resource Graph's quota is everybody's."""
    contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    right = steady.grant(steady.operator.principal("stranger").oid, role=contributor)

    result = steady.look(event(steady, f"{APPS}{ASSIGNMENTS}/{right.name}"))

    assert result == Result()
    assert len(steady.wire.calls) == 1


def test_a_swept_identity_does_not_ask_the_index_who_carries_it(steady: Cloud) -> None:
    """The same sweep has looked at everybody's entries."""
    swept = steady.app.sweep()
    (request,) = [one for one in swept.requests if one.id.is_type(USER_ASSIGNED_IDENTITY)]
    steady.wire.calls.clear()

    steady.drive(request)

    assert not [call for call in steady.wire.calls if GRAPH in call.path]


def test_a_dead_entry_is_found_by_a_sweep(steady: Cloud) -> None:
    """No event told that the identity was recreated."""
    steady.recreate_identity()

    steady.sweep()

    entry = steady.resource().users[SHARED.lower()]
    assert entry.principal.alive


def test_unwanted_rights_are_named_in_messages_that_the_queue_takes(cloud: Cloud) -> None:
    """An identity may lose hundreds at once; one message too many would fail the whole sweep."""
    groups = [f"{APPS}-of-a-team-with-a-rather-long-name-{number:03}" for number in range(250)]
    for group in groups:
        body = {"location": "westeurope"}
        cloud.operator.call("PUT", group, body, version="2021-04-01")
        cloud.granted_by_us(group, SHARED)
    limits = {"maxRemovals": {"count": 1000, "percent": 100}}
    cloud.deploy(policy(), guardrails(**limits))

    requests = cloud.app.sweep().requests

    assert all(len(messages.encode(one).encode()) <= STORAGE_TAKES for one in requests)
    cloud.drive(*(messages.decode(messages.encode(one)) for one in requests))
    assert cloud.rights(cloud.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}


def test_removals_of_many_ids_are_not_remembered(steady: Cloud) -> None:
    """A process remembers ids and times, not messages: others can write to the queue."""
    names = frozenset(
        ResourceId.parse(f"{DATA}{ASSIGNMENTS}/99999999-2222-4333-8444-{number:012}")
        for number in range(300)
    )
    request = Request(
        ResourceId.parse(VM), steady.clock(), removals=Removals(steady.app.policy.digest, names)
    )
    steady.clock.forward(1)
    steady.look(request)

    known = steady.app.recent._known.values()  # noqa: SLF001 (how much it is)
    runs = [run for one in known for run in (one.finished, one.coming) if run]
    assert all(run.removals is None or len(run.removals.ids or ()) < 100 for run in runs)
    assert runs


def test_a_copy_that_did_not_reach_the_queue_covers_nobody(cloud: Cloud) -> None:
    """Another event of the id is looked at."""
    cloud.deploy(policy(without_system()))
    cloud.build(settle=False)
    cloud.pass_time(8)
    result = cloud.look(event(cloud, VM, written=True))
    assert result.again
    assert result.again_after
    cloud.clock.forward(1)
    assert cloud.look(event(cloud, VM, written=True)) == Result()

    with pytest.raises(SettingsError):
        cloud.app.defer(result.again, result.again_after)

    assert cloud.look(event(cloud, VM, written=True)).again
