"""What the events of rights, locks, scopes and identities lead to, and how much they may cost."""

from datetime import timedelta

import pytest

from reconciler.changes import Result, Status
from reconciler.events import Event, decode
from reconciler.ids import ResourceId
from reconciler.model import Request, Sight, Sighting
from tests.world.cloud import Cloud, as_request, blocked
from tests.world.ids import APPS, ASSIGNMENTS, DATA, SHARED, SUB, VM, machine
from tests.world.live import Live
from tests.world.policies import policy, rule
from tests.world.sweeps import GRAPH, OWN, fleet

LOCK = f"{APPS}/providers/Microsoft.Authorization/locks/keep"
SECONDS = 30


def take(cloud: Cloud, principal: str) -> None:
    """Let the operator delete all that a principal holds."""
    for right in list(cloud.world.assignments_of([principal])):
        answer = cloud.operator.call("DELETE", right.id, version="2022-04-01")
        assert answer.status_code == 200


def foreign(cloud: Cloud, vm: str = VM) -> str:
    """Put another's right in the place of ours, under a name of its own; returns the principal."""
    principal = cloud.principal(vm)
    cloud.world.remove_assignment(cloud.right(principal))
    cloud.grant(principal)
    cloud.pass_time(3600)
    return principal


def compared(cloud: Cloud) -> int:
    """Return how often the scope's own list was compared with what policy wants there."""
    return sum(GRAPH in call.path for call in cloud.wire.calls)


def test_a_deleted_foreign_right_that_satisfied_policy_is_replaced(steady: Cloud) -> None:
    """In seconds, by one of ours, though its name fits nobody."""
    principal = foreign(steady)
    live = Live(steady)
    take(steady, principal)
    live.run(SECONDS)

    assert steady.rights(principal) == OWN
    assert steady.right(principal).description == steady.mark()


def test_a_deleted_foreign_right_of_an_identity_is_replaced(steady: Cloud) -> None:
    """As a machine's is."""
    principal = steady.principal(SHARED)
    held = steady.rights(principal)
    old = steady.right(principal)
    steady.world.remove_assignment(old)
    steady.grant(principal, role=old.role, scope=DATA)
    steady.pass_time(3600)
    live = Live(steady)
    take(steady, principal)
    live.run(SECONDS)

    assert steady.rights(principal) == held


def test_a_scope_is_compared_at_most_once_a_minute(steady: Cloud) -> None:
    """Rights that others make and delete there do not use up the index."""
    other = steady.world.new_principal("app").oid
    live = Live(steady)
    for _ in range(20):
        steady.grant(other)
        take(steady, other)
        live.run(1)
    live.run(120)
    # Each write is looked at once; the index is asked whose it is.
    written = 20
    assert compared(steady) <= written + 3

    # What went meanwhile was not overlooked.
    steady.wire.calls.clear()
    principal = foreign(steady)
    steady.grant(other)
    take(steady, other)
    take(steady, principal)
    live.run(2)
    live.run(120)
    assert steady.rights(principal) == OWN


def test_a_comparison_covers_the_deletions_ten_seconds_before_it(steady: Cloud) -> None:
    """Lists lag, but by less than that."""
    unknown = [
        Request(ResourceId.parse(f"{APPS}{ASSIGNMENTS}/{steady.world.guid()}"), steady.clock())
        for _ in range(5)
    ]
    steady.pass_time(11)
    steady.look(unknown[0])
    steady.wire.calls.clear()
    results = [steady.look(request) for request in unknown[1:]]

    assert {(result.requests, result.again_after) for result in results} == {((), None)}
    assert all(ASSIGNMENTS in call.path for call in steady.wire.calls)


def test_more_than_200_who_lack_a_right_are_left_to_a_sweep_of_the_scope(steady: Cloud) -> None:
    """Up to 200 are requested; of more than that the scope is swept."""
    rows = steady.operator.query(
        "resources | where type =~ 'microsoft.compute/virtualmachines'"
    ).json()["data"]
    for count, scopes in ((200, False), (201, True)):
        many = [
            rows[0]
            | {"id": machine(f"m{number}"), "name": f"m{number}"}
            | {"identity": rows[0]["identity"] | {"principalId": steady.world.guid()}}
            for number in range(count)
        ]
        steady.pass_time(120)
        steady.wire.answer("POST", GRAPH, 200, body={"data": many})
        unknown = Request(ResourceId.parse(f"{APPS}{ASSIGNMENTS}/{steady.world.guid()}"))
        found = [request.id for request in steady.look(unknown).requests]

        assert (found == [ResourceId.parse(APPS)]) == scopes
        assert len(found) == (1 if scopes else count)


def test_what_a_deleted_lock_held_back_is_done(steady: Cloud) -> None:
    """The dead right of a rebuilt machine stayed under it."""
    old = steady.principal()
    live = Live(steady)
    assert steady.operator.call("DELETE", VM).status_code == 202
    live.run(6)
    new = {"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {}}
    assert steady.operator.call("PUT", VM, new).status_code == 201
    body = {"properties": {"level": "CanNotDelete"}}
    assert steady.operator.call("PUT", LOCK, body, version="2020-05-01").status_code == 201
    live.run(300)
    assert steady.rights(old) == OWN
    assert steady.rights(steady.principal()) == OWN
    codes = [one.code for _, result in live.results for one in result.outcomes]
    assert "ScopeLocked" in codes
    live.run(2 * 3600)
    steady.wire.calls.clear()
    assert steady.operator.call("DELETE", LOCK, version="2020-05-01").status_code == 200
    live.run(120)

    assert steady.rights(old) == set()
    assert steady.attached() == {"system", "shared"}


@pytest.mark.parametrize(
    ("place", "swept"),
    [(APPS, [APPS]), (SUB, [SUB]), (DATA, [DATA]), (f"{SUB[:-1]}2", [])],
)
def test_a_deleted_lock_has_its_scope_swept(steady: Cloud, place: str, swept: list[str]) -> None:
    """A written one holds back, and requests nothing."""
    lock = f"{place}/providers/Microsoft.Authorization/locks/keep"
    heard = {
        what: [
            str(request.id)
            for request in steady.app.requests(Event(f"Microsoft.Resources.Resource{what}", lock))
        ]
        for what in ("WriteSuccess", "DeleteSuccess")
    }

    assert heard == {"WriteSuccess": [], "DeleteSuccess": swept}


@pytest.mark.parametrize("place", [VM, f"{VM}/extensions/agent"])
def test_a_machine_s_deleted_lock_has_its_group_swept(steady: Cloud, place: str) -> None:
    """A request for the machine would not find what else the lock held back."""
    lock = f"{place}/providers/Microsoft.Authorization/locks/keep"
    (request,) = steady.app.requests(Event("Microsoft.Resources.ResourceDeleteSuccess", lock))

    assert request.id == ResourceId.parse(APPS)


def test_an_attached_identity_s_rights_are_looked_at_once_an_hour(cloud: Cloud) -> None:
    """By a request that leads to no others, however many machines are given it."""
    fleet(cloud, 3)
    cloud.world.remove_assignment(cloud.right(cloud.principal(SHARED)))
    cloud.pass_time(2 * 3600)
    looks = []
    for place in (machine("vm1"), machine("vm2"), machine("vm3")):
        assert cloud.operator.patch(place, {"type": "SystemAssigned"}).status_code == 200
        cloud.pass_time(600)
        results = cloud.drive(place)
        assert cloud.attached(place) == {"system", "shared"}
        looks += [one.id for one in (each for result in results for each in result.requests)]

    assert looks == [ResourceId.parse(SHARED)]
    assert cloud.rights(cloud.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}


def test_only_an_identity_s_own_event_requests_those_that_carry_it(steady: Cloud) -> None:
    """The look after an attach does not, nor does it ask the index."""
    steady.resource().users.clear()
    steady.wire.calls.clear()
    seen = (Sighting(steady.clock(), Sight.ATTACHED),)
    led = steady.look(Request(ResourceId.parse(SHARED), since=steady.clock(), sightings=seen))
    asked = compared(steady)
    steady.pass_time(1)
    own = steady.look(Request(ResourceId.parse(SHARED), since=steady.clock()))

    assert (led.requests, asked) == ((), 0)
    assert [request.id for request in own.requests] == [ResourceId.parse(VM)]


def test_a_deletion_s_request_is_put_back_and_covered_by_the_rebuild_s_look(steady: Cloud) -> None:
    """It is due when a rebuild would have settled, and costs nothing then."""
    live = Live(steady)
    steady.operator.call("DELETE", VM)
    live.run(6)
    ((deleted, put_back),) = live.results
    assert put_back.again == deleted
    assert steady.wire.calls == []
    steady.operator.call("PUT", VM, {"location": "westeurope", "properties": {}})
    live.run(120)
    mine = [result for request, result in live.results if request == deleted]

    assert mine[1:] == [Result()]


def test_a_rebuild_that_never_comes_is_looked_at_when_it_would_have_settled(steady: Cloud) -> None:
    """A minute after the deletion; what proves the end comes later."""
    old = steady.principal()
    live = Live(steady)
    steady.operator.call("DELETE", VM)
    live.run(60)
    assert steady.wire.calls == []
    live.run(10)
    assert steady.wire.calls
    assert steady.rights(old) == OWN
    live.run(3600)
    assert steady.rights(old) == set()


@pytest.mark.parametrize("time", ["", "soon", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 5])
@pytest.mark.parametrize("what", ["WriteSuccess", "DeleteSuccess", "ActionSuccess"])
def test_an_event_s_hostile_time_is_bounded(steady: Cloud, time: object, what: str) -> None:
    """An event of the year 1, or of the year 9999, is one of a week ago or of now."""
    take(steady, steady.principal())
    # A look since then would answer what is so old.
    steady.deploy()
    body = {"eventType": f"Microsoft.Resources.Resource{what}", "subject": VM, "eventTime": time}
    event = decode(body)
    assert event is not None
    (request,) = steady.app.requests(event)
    assert request.since is not None
    assert abs(request.since - steady.clock()) <= timedelta(days=7)
    steady.drive(request)

    assert steady.rights(steady.principal()) == OWN


FAR = timedelta(days=365 * 50)


@pytest.mark.parametrize("shift", [-FAR, FAR], ids=["long ago", "far ahead"])
@pytest.mark.parametrize("place", [VM, SHARED, APPS, f"{APPS}{ASSIGNMENTS}/x"])
def test_a_hostile_message_comes_to_an_end(steady: Cloud, place: str, shift: timedelta) -> None:
    """Whoever writes to the queue chooses times and sightings freely."""
    steady.world.remove_assignment(steady.right(steady.principal()))
    moment = steady.clock() + shift
    sights = tuple(Sighting(moment, what, about) for what in Sight for about in ("", VM, "x=y>z"))
    request = Request(ResourceId.parse(place), moment, True, None, moment, sights * 40)  # noqa: FBT003 (as in the model)
    live = Live(steady)
    live.ask(request)
    live.run(3 * 3600)
    answered = len(live.results)
    live.run(30 * 86400)

    assert 0 < answered == len(live.results)
    copies = [result.again for _, result in live.results if result.again]
    assert all(len(copy.sightings) <= 20 for copy in copies)
    assert steady.rights(steady.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}
    assert steady.attached() == {"system", "shared"}


@pytest.mark.parametrize("header", ["-1", "1e9", "9" * 400, "soon", "", "\u0664", "0"])
def test_a_hostile_retry_after_is_bounded(steady: Cloud, header: str) -> None:
    """A 429 closes its kind of call for an hour at most."""
    steady.wire.answer("GET", ASSIGNMENTS, 429, "X", headers={"Retry-After": header})
    result = steady.look(VM)

    assert result.again_after is not None
    assert timedelta(seconds=1) <= result.again_after <= timedelta(hours=1, seconds=10)


def test_a_role_that_is_not_replicated_yet_is_granted_later(cloud: Cloud) -> None:
    """RoleDefinitionDoesNotExist passes as PrincipalNotFound does, or not at all."""
    cloud.wire.answer("PUT", ASSIGNMENTS, 400, "RoleDefinitionDoesNotExist", times=3)
    cloud.drive(VM)
    assert cloud.rights(cloud.principal()) == OWN

    cloud.build()
    began = cloud.clock()
    cloud.wire.answer("PUT", ASSIGNMENTS, 404, "RoleDefinitionDoesNotExist", times=10_000)
    results = cloud.drive(VM)
    assert {one.code for one in blocked(results)} == {"RoleDefinitionDoesNotExist"}
    assert timedelta(minutes=10) <= cloud.clock() - began < timedelta(minutes=25)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_unknown_conflict_is_tried_once_more_and_then_blocked(cloud: Cloud, method: str) -> None:
    """With Azure's text and a next step; nobody knows whether it passes."""
    cloud.wire.answer(method, "", 409, "CanvasIsFull", text="no room for it", times=10_000)
    results = cloud.drive(VM)
    tried = [call for call in cloud.wire.writes if call.method == method and "vm1" in str(call)]
    told = [
        one
        for result in results
        for one in result.outcomes
        if one.code == "CanvasIsFull" and one.status is Status.BLOCKED
    ]

    assert len(tried) == 2
    assert "no room for it" in told[0].detail
    assert told[0].next_step
    assert results[-1].again is None


@pytest.mark.parametrize("status", [400, 403, 405, 410, 418, 422, 451])
def test_an_unknown_refusal_is_blocked_with_azure_s_text_and_stops_nothing_else(
    cloud: Cloud, status: int
) -> None:
    """It is no bug of ours, and no poison message."""
    cloud.deploy(policy(rule(attach=[]), identities={}))
    cloud.wire.answer("PUT", ASSIGNMENTS, status, "Whatever", text="the reason", times=10_000)
    results = cloud.drive(VM)

    (outcome,) = blocked(results)
    assert (outcome.code, "the reason" in outcome.detail) == ("Whatever", True)
    assert outcome.next_step
    assert len([call for call in cloud.wire.writes if call.method == "PUT"]) == 1
    assert cloud.attached() == {"system"}


def test_a_disabled_subscription_is_asked_once_for_all_its_machines(cloud: Cloud) -> None:
    """Every write to it is refused; an hour later one is tried again."""
    places = [machine(f"vm{number}") for number in range(1, 11)]
    for place in places[1:]:
        cloud.build(place, settle=False)
    cloud.pass_time()
    for method in ("PUT", "PATCH", "DELETE"):
        cloud.wire.answer(method, "", 409, "ReadOnlyDisabledSubscription", times=10_000)
    results = cloud.drive(*places, most=200)
    codes = [one.code for result in results for one in result.outcomes]

    assert len(cloud.wire.writes) == 1
    assert set(codes) == {"ReadOnlyDisabledSubscription"}
    assert len(codes) >= len(places)
    cloud.pass_time(3700)
    cloud.wire.clear()
    cloud.drive(*places, most=200)
    assert all(cloud.rights(cloud.principal(place)) == OWN for place in places)


def test_a_deleted_id_that_was_never_ours_is_looked_at_once(steady: Cloud) -> None:
    """When it is due; its end is not proved."""
    live = Live(steady)
    live.ask(as_request(machine("never")))
    live.run(3600)

    assert len(live.results) <= 3
    assert steady.wire.writes == []
