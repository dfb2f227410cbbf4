"""The sweep: what events missed, of everything or of one scope."""

from datetime import timedelta

from reconciler.changes import Result
from reconciler.ids import ResourceId
from reconciler.model import Request, Sight, Sighting
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, SHARED, machine
from tests.world.policies import policy, rule
from tests.world.sweeps import GRAPH, OWN, fleet, ids


def test_a_sweep_nominates_exactly_what_differs(cloud: Cloud) -> None:
    """A machine without its right, one without its identity, one that is gone; not the others."""
    places = fleet(cloud, 5)
    cloud.world.remove_assignment(cloud.right(cloud.principal(places[0])))
    cloud.operator.call("PATCH", places[1], {"identity": {"type": "SystemAssigned"}})
    cloud.delete(places[2])
    cloud.pass_time()

    assert ids(cloud.app.sweep()) == {"vm1", "vm2", "vm3", "shared"}


def test_a_sweep_over_a_new_world_brings_it_to_what_policy_asks(cloud: Cloud) -> None:
    """Installed late, the app finds what no event ever told it."""
    cloud.sweep()

    assert cloud.attached() == {"system", "shared"}
    assert cloud.rights(cloud.principal()) == OWN
    assert ids(cloud.app.sweep()) == {"shared"}


def test_a_sweep_writes_nothing_itself(cloud: Cloud) -> None:
    """The index is stale by up to minutes, so it only nominates."""
    cloud.app.sweep()

    assert cloud.wire.writes == []


def test_a_failed_sweep_of_a_scope_comes_again(steady: Cloud) -> None:
    """A request is not lost because the index is throttled."""
    right = steady.right(steady.principal())
    steady.world.remove_assignment(right)
    steady.wire.answer("POST", GRAPH, 429, "RateLimiting", headers={"Retry-After": "5"})
    results = steady.drive(APPS)

    assert results[0].again_after is not None
    assert steady.rights(steady.principal()) == OWN


def test_a_sweep_of_a_scope_nominates_what_lies_there_or_is_granted_there(cloud: Cloud) -> None:
    """Of one group: its machines, and what is granted something in it."""
    cloud.build(machine("vm9", DATA))
    cloud.deploy(policy(rule(within=[APPS, DATA])))

    assert ids(cloud.look(APPS)) == {"vm1"}
    assert ids(cloud.look(DATA)) == {"vm9", "shared"}


def test_a_sweep_of_a_scope_nominates_who_reaches_it_through_a_map(cloud: Cloud) -> None:
    """A machine's location or tags pick the entry, not its id."""
    system = {"grants": [{"role": "Reader", "scope": "{maps.data[location]}"}]}
    content = policy(rule(system=system)) | {"maps": {"data": {"westeurope": DATA}}}
    cloud.deploy(content)

    assert ids(cloud.look(DATA)) == {"vm1", "shared"}


def test_a_lasting_hold_alone_is_not_nominated(cloud: Cloud) -> None:
    """A look could change nothing about what a person must decide."""
    cloud.attach("foreign")
    cloud.deploy(policy(rule(allowDefaultChange=False)))
    cloud.drive(*cloud.app.sweep().requests)

    assert ids(cloud.app.sweep()) == {"shared"}


def test_a_scope_is_swept_once_for_a_burst_of_its_events(cloud: Cloud) -> None:
    """A sweep that began after an event answers it, so that a deployment's events cost little."""
    cloud.look(APPS)
    before = len(cloud.wire.calls)
    earlier = Request(ResourceId.parse(APPS), since=cloud.clock() - timedelta(seconds=1))

    assert cloud.app.handle(earlier) == Result()
    assert len(cloud.wire.calls) == before


def test_a_scope_is_swept_at_most_once_a_minute(cloud: Cloud) -> None:
    """What comes later waits for one copy, which covers all of it; other scopes do not wait."""
    began = cloud.clock()
    cloud.look(APPS)
    before = len(cloud.wire.calls)
    copies = []
    for _ in range(10):
        cloud.pass_time(2)
        result = cloud.look(Request(ResourceId.parse(APPS), since=cloud.clock()))
        assert result.requests == ()
        copies += [result.again] if result.again else []

    assert len(cloud.wire.calls) == before
    (copy,) = copies
    assert copy.since == began + timedelta(minutes=1)
    assert cloud.look(DATA).requests
    cloud.pass_time(40)
    assert ids(cloud.look(copy)) == {"vm1"}


def test_a_sweep_s_copy_that_comes_too_early_is_put_back_without_a_call(cloud: Cloud) -> None:
    """The queue's clock is not ours."""
    cloud.look(APPS)
    cloud.pass_time(2)
    copy = cloud.look(Request(ResourceId.parse(APPS), since=cloud.clock())).again
    assert copy is not None
    before = len(cloud.wire.calls)
    early = cloud.look(copy)

    assert (early.requests, early.again, len(cloud.wire.calls)) == ((), copy, before)


def test_a_look_s_message_that_comes_again_leads_on_again(cloud: Cloud) -> None:
    """The process ended after the look and before the queue had its requests."""
    cloud.drive(SHARED)
    cloud.build()
    message = Request(ResourceId.parse(SHARED), since=cloud.clock() - timedelta(seconds=1))

    first = cloud.app.handle(message)
    again = cloud.app.handle(message)

    assert ids(first) == ids(again) == {"vm1"}


def test_a_sweep_s_message_that_comes_again_leads_on_again(cloud: Cloud) -> None:
    """Though the same scope is swept again a minute later only."""
    cloud.build()
    message = Request(ResourceId.parse(APPS), since=cloud.clock() - timedelta(seconds=1))

    first = cloud.app.handle(message)
    again = cloud.app.handle(message)
    cloud.pass_time(60)

    assert again.again is not None
    assert ids(first) == ids(cloud.app.handle(again.again)) == {"vm1"}


def test_what_was_moved_out_of_a_scope_is_sought_everywhere_and_once_more(cloud: Cloud) -> None:
    """The index may not show it in its new place yet."""
    cloud.build(machine("vm9", DATA))
    cloud.deploy(policy(rule(within=[DATA], attach=[]), identities={}))
    moved = Sighting(cloud.clock(), Sight.MOVED)
    cloud.wire.calls.clear()
    request = Request(ResourceId.parse(APPS), since=cloud.clock(), sightings=(moved,))
    first = cloud.look(request)
    listed = [
        call.body["query"]
        for call in cloud.wire.calls
        if call.body and "virtualmachines" in call.body["query"]
    ]

    assert first.again_after == timedelta(minutes=5)
    assert first.again is not None
    assert [query for query in listed if "startswith" in query] == []
    cloud.pass_time(300)
    second = cloud.look(first.again)
    assert second.again is None


def test_a_failed_sweep_of_everything_is_asked_again(cloud: Cloud) -> None:
    """The timer may be half an hour away, and the index was only busy."""
    cloud.wire.answer("POST", GRAPH, 503, "ServiceUnavailable", times=1)

    failed = cloud.app.sweep()
    assert failed.again is not None
    cloud.drive(failed.again)

    assert cloud.attached() == {"system", "shared"}
