"""The sweep: what events missed, and what policy no longer asks for, within limits."""

from datetime import timedelta

import pytest

from reconciler.changes import Result, Status
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.loop.cloud import (
    APPS,
    ASSIGNMENTS,
    DATA,
    SHARED,
    VM,
    Cloud,
    Content,
    guardrails,
    identity,
    machine,
    named,
    policy,
    rule,
)

GRAPH = "/microsoft.resourcegraph/"
OWN = {("Reader", "rg-app")}
RAILS: Content = {"count": 2, "percent": 0}


def ids(result: Result) -> set[str]:
    """Return the names of what a sweep nominated."""
    return {request.id.name for request in result.requests}


def fleet(cloud: Cloud, count: int) -> list[str]:
    """Build machines and let the app bring them to what policy asks."""
    places = [machine(f"vm{number}") for number in range(1, count + 1)]
    for place in places[1:]:
        cloud.build(place)
    cloud.sweep()
    cloud.pass_time()
    cloud.wire.calls.clear()
    return places


def machines_lost_their_rule() -> Content:
    """Return policy that speaks of no machine any more."""
    return policy(rule(within=[DATA]))


def test_a_sweep_nominates_exactly_what_differs(cloud: Cloud) -> None:
    """A machine without its right, one without its identity, one that is gone; not the others."""
    places = fleet(cloud, 5)
    cloud.world.remove_assignment(cloud.right(cloud.principal(places[0])))
    cloud.operator.call("PATCH", places[1], {"identity": {"type": "SystemAssigned"}})
    cloud.delete(places[2])
    cloud.pass_time()

    assert ids(cloud.app.sweep()) == {"vm1", "vm2", "vm3", "shared"}


def test_a_sweep_over_a_new_world_brings_everything_about(cloud: Cloud) -> None:
    """Installed late, the app finds what no event ever told it."""
    cloud.sweep()

    assert cloud.attached() == {"system", "shared"}
    assert cloud.rights(cloud.principal()) == OWN
    assert ids(cloud.app.sweep()) == {"shared"}


def test_a_sweep_writes_nothing_itself(cloud: Cloud) -> None:
    """The index is stale by up to minutes, so it only nominates."""
    cloud.app.sweep()

    assert cloud.wire.writes == []


def test_what_the_index_wrongly_shows_leads_to_nothing(steady: Cloud) -> None:
    """Each nomination is decided from fresh reads."""
    steady.wire.answer("POST", GRAPH, 200, body={"data": []})
    swept = steady.app.sweep()
    steady.wire.calls.clear()
    steady.drive(*swept.requests)

    assert VM.rsplit("/", 1)[-1] in ids(swept)
    assert steady.wire.writes == []


def test_a_sweep_removes_as_many_as_it_may(cloud: Cloud) -> None:
    """At the limit the unwanted go; the machines themselves keep their identities."""
    places = fleet(cloud, 2)
    cloud.deploy(machines_lost_their_rule(), guardrails(maxRemovals=RAILS))
    cloud.sweep()

    assert [cloud.rights(cloud.principal(place)) for place in places] == [set(), set()]
    assert cloud.attached() == {"system", "shared"}


def test_over_the_limit_nothing_is_removed(cloud: Cloud) -> None:
    """One too many, and none goes: a broken policy must not revoke everything."""
    places = fleet(cloud, 3)
    cloud.deploy(machines_lost_their_rule(), guardrails(maxRemovals=RAILS))
    swept, *_ = cloud.sweep()

    assert {request.removals for request in swept.requests} == {None}
    assert [cloud.rights(cloud.principal(place)) for place in places] == [OWN] * 3


def test_over_the_limit_retired_rights_still_go(cloud: Cloud) -> None:
    """What belongs to a replaced principal is nobody's right any more."""
    places = fleet(cloud, 4)
    old = cloud.principal(places[0])
    cloud.build(places[0])
    others = {"type": "Microsoft.Compute/virtualMachines", "tags": {"new": "*"}}
    cloud.deploy(policy(rule(match=others)), guardrails(maxRemovals=RAILS))
    cloud.sweep()

    assert cloud.rights(old) == set()
    assert cloud.rights(cloud.principal(places[1])) == OWN


def test_the_limit_is_the_larger_of_count_and_percent(cloud: Cloud) -> None:
    """The percentage is of all our assignments: three of four here."""
    places = fleet(cloud, 3)
    limits = {"count": 0, "percent": 75}
    cloud.deploy(machines_lost_their_rule(), guardrails(maxRemovals=limits))
    cloud.sweep()

    assert all(cloud.rights(cloud.principal(place)) == set() for place in places)


@pytest.mark.parametrize("without", ["rules", "identity"])
def test_what_policy_no_longer_speaks_of_counts_against_the_limit(
    cloud: Cloud, without: str
) -> None:
    """A rule or identity that was deleted from policy cannot slip past the limit."""
    places = fleet(cloud, 3)
    before = cloud.rights(cloud.principal(SHARED))
    content = (
        {"version": 1, "identities": named()}
        if without == "rules"
        else policy(rule(attach=["other"], within=[DATA]), identities=named("other"))
    )
    cloud.deploy(content, guardrails(maxRemovals=RAILS))
    cloud.sweep()

    assert cloud.rights(cloud.principal(SHARED)) == before
    assert [cloud.rights(cloud.principal(place)) for place in places] == [OWN] * 3


def test_an_identity_that_policy_dropped_loses_its_rights(steady: Cloud) -> None:
    """Its markers still name it, so the sweep finds it without policy."""
    steady.deploy(policy(rule(attach=[]), identities=named("other")))
    steady.sweep()

    assert steady.rights(steady.principal(SHARED)) == set()


def test_what_the_index_missed_is_asked_for_without_leave_to_remove(steady: Cloud) -> None:
    """A live machine that the index does not show was not counted against the limit."""
    steady.deploy(machines_lost_their_rule())
    principal = steady.principal()
    rows = steady.operator.query(
        "authorizationresources | project id, name, type, properties"
    ).json()
    steady.wire.answer("POST", GRAPH, 200, body=rows)
    steady.wire.answer("POST", GRAPH, 200, body={"data": []}, times=2)
    swept = steady.app.sweep()
    steady.drive(*swept.requests)

    assert "vm1" in ids(swept)
    assert steady.rights(principal) == OWN


def test_a_gone_machine_is_found_by_its_marker(steady: Cloud) -> None:
    """Its delete event was lost; the sweep retires its rights, after the same waiting."""
    old = steady.principal()
    steady.delete(VM)
    steady.sweep()

    assert steady.rights(old) == set()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"data": [], "resultTruncated": "true"}),
        (200, {"count": 0}),
        (429, {"error": {"code": "RateLimiting", "message": "slow down"}}),
        (503, {"error": {"code": "ServiceUnavailable", "message": "down"}}),
        (403, {"error": {"code": "AuthorizationFailed", "message": "no"}}),
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_what_the_index_could_not_show_is_reported_and_never_absent(
    steady: Cloud, status: int, body: Content, position: int
) -> None:
    """Throttled, partial or down: the sweep says so and nominates nothing."""
    steady.wire.answer("POST", GRAPH, status, body=body, skip=position)
    result = steady.app.sweep()

    assert result.requests == ()
    assert [one.status for one in result.outcomes] in ([Status.AGAIN], [Status.BLOCKED])
    assert steady.wire.writes == []


@pytest.mark.parametrize(
    ("position", "table", "odd"),
    [
        (
            0,
            "authorizationresources",
            {
                "id": f"{DATA}/providers/Microsoft.Sql/servers/s/databases/C#{ASSIGNMENTS}/a",
                "properties": {"scope": f"{DATA}/providers/Microsoft.Sql/servers/s/databases/C#"},
            },
        ),
        (
            1,
            "resources | where type =~ 'microsoft.managedidentity/userassignedidentities'",
            {"id": identity("young"), "properties": {}},
        ),
        (
            2,
            "resources | where type =~ 'microsoft.compute/virtualmachines'",
            {"id": machine("odd"), "identity": {"userAssignedIdentities": ["x"]}},
        ),
    ],
    ids=["assignment", "identity", "machine"],
)
def test_one_row_that_cannot_be_read_does_not_end_the_sweep(
    cloud: Cloud, position: int, table: str, odd: Content
) -> None:
    """Anybody can make one: a right at a database named `C#`, an identity just being made."""
    rows = cloud.operator.query(table).json()["data"]
    cloud.wire.answer("POST", GRAPH, 200, body={"data": [odd, *rows]}, skip=position)

    assert ids(cloud.app.sweep()) == {"vm1", "shared"}


def test_a_sweep_of_a_scope_that_failed_comes_again(steady: Cloud) -> None:
    """A request is not lost because the index is throttled."""
    right = steady.right(steady.principal())
    steady.world.remove_assignment(right)
    steady.wire.answer("POST", GRAPH, 429, "RateLimiting", headers={"Retry-After": "5"})
    results = steady.drive(APPS)

    assert results[0].again_after is not None
    assert steady.rights(steady.principal()) == OWN


def test_a_sweep_of_a_scope_asks_for_what_lies_or_holds_there(cloud: Cloud) -> None:
    """Of one group: its machines, and what is granted something in it."""
    cloud.build(machine("vm9", DATA))
    cloud.deploy(policy(rule(within=[APPS, DATA])))

    assert ids(cloud.look(APPS)) == {"vm1"}
    assert ids(cloud.look(DATA)) == {"vm9", "shared"}


def test_a_sweep_of_a_scope_knows_who_reaches_it_through_a_map(cloud: Cloud) -> None:
    """Which entry a machine picks is told by its location or tags, not by its id."""
    system = {"grants": [{"role": "Reader", "scope": "{maps.data[location]}"}]}
    content = policy(rule(system=system)) | {"maps": {"data": {"westeurope": DATA}}}
    cloud.deploy(content)

    assert ids(cloud.look(DATA)) == {"vm1", "shared"}


def test_all_pages_of_the_index_are_read(steady: Cloud) -> None:
    """A page says where the next one begins."""
    rows = steady.operator.query(
        "authorizationresources | project id, name, type, properties"
    ).json()["data"]
    half = len(rows) // 2
    steady.wire.answer("POST", GRAPH, 200, body={"data": rows[:half], "$skipToken": "next"})
    steady.wire.answer("POST", GRAPH, 200, body={"data": rows[half:]})

    assert ids(steady.app.sweep()) == {"shared"}
    assert steady.wire.calls[1].body["options"]["$skipToken"] == "next"


def test_lasting_holds_are_not_asked_for_over_and_over(cloud: Cloud) -> None:
    """A look could change nothing about what a person must decide."""
    cloud.attach("foreign")
    cloud.deploy(policy(rule(allowDefaultChange=False)))
    cloud.drive(*cloud.app.sweep().requests)

    assert ids(cloud.app.sweep()) == {"shared"}


def test_an_index_of_others_assignments_is_of_no_concern(steady: Cloud) -> None:
    """Whatever else is granted in the subscription is neither counted nor asked for."""
    for _ in range(3):
        other = steady.world.new_principal("app")
        steady.grant(other.oid, scope=DATA)
    steady.grant(steady.principal(identity("foreign")), scope=APPS)

    assert ids(steady.app.sweep()) == {"shared"}


def test_a_scope_is_swept_once_for_a_burst_of_its_events(cloud: Cloud) -> None:
    """A sweep that began after an event answers it, so that a deployment's events cost little."""
    cloud.look(APPS)
    before = len(cloud.wire.calls)
    earlier = Request(ResourceId.parse(APPS), since=cloud.clock() - timedelta(seconds=1))

    assert cloud.app.handle(earlier) == Result()
    assert len(cloud.wire.calls) == before

    cloud.app.handle(Request(ResourceId.parse(APPS), since=cloud.clock()))

    assert len(cloud.wire.calls) > before


@pytest.mark.parametrize("place", [APPS, SHARED])
def test_what_a_message_leads_to_is_not_lost_when_it_comes_again(cloud: Cloud, place: str) -> None:
    """The process ended after the look and before the queue had its requests."""
    cloud.drive(SHARED)
    cloud.build()
    message = Request(ResourceId.parse(place), since=cloud.clock() - timedelta(seconds=1))

    first = cloud.app.handle(message)
    again = cloud.app.handle(message)

    assert ids(first) == ids(again) == {"vm1"}


def test_a_sweep_that_failed_is_asked_again(cloud: Cloud) -> None:
    """The timer may be half an hour away, and the index was only busy."""
    cloud.wire.answer("POST", GRAPH, 429, "RateLimiting", times=1)

    failed = cloud.app.sweep()
    assert failed.again is not None
    cloud.drive(failed.again)

    assert cloud.attached() == {"system", "shared"}
