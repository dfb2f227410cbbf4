"""A sweep reads an index that is stale, partial or down, and draws no wrong conclusion."""

import pytest

from reconciler.changes import Status
from tests.world.cloud import Cloud
from tests.world.ids import APPS, ASSIGNMENTS, DATA, VM, identity, machine
from tests.world.policies import Content
from tests.world.sweeps import GRAPH, OWN, ids, machines_lost_their_rule


def asks(cloud: Cloud, times: int) -> None:
    """Let the app ask for what a machine carries, as looks do, so often within one moment."""
    for _ in range(times):
        list(cloud.app.arm.query("resources | where id == 'x' | project id", ()))


def test_a_sweep_takes_at_most_ten_of_fifteen_queries_a_window(steady: Cloud) -> None:
    """It leaves the others to looks, and waits for its turn."""
    steady.world.faults = steady.world.faults.changed({"throttling": True})
    steady.wire.tick = 0
    asks(steady, 9)
    before = steady.clock()
    swept = steady.app.sweep()

    assert (swept.outcomes, swept.again) == ((), None)
    assert "shared" in ids(swept)
    assert steady.clock() > before
    asks(steady, 4)
    statuses = [
        one.status for one in steady.world.requests if one.app_id == steady.world.app.app_id
    ]
    assert 429 not in statuses


@pytest.mark.parametrize("place", [APPS, DATA])
def test_a_sweep_of_a_scope_leaves_queries_to_looks(steady: Cloud, place: str) -> None:
    """Many events of groups must not starve the looks."""
    steady.world.faults = steady.world.faults.changed({"throttling": True})
    steady.wire.tick = 0
    asks(steady, 9)
    result = steady.look(place)

    assert [one.status for one in result.outcomes] == [Status.AGAIN]
    assert result.again is not None
    asks(steady, 4)


def test_a_row_that_is_wrong_leads_to_no_change(steady: Cloud) -> None:
    """Each nomination is decided from fresh reads."""
    steady.wire.answer("POST", GRAPH, 200, body={"data": []}, times=2)
    swept = steady.app.sweep()
    steady.wire.calls.clear()
    steady.drive(*swept.requests)

    assert VM.rsplit("/", 1)[-1] in ids(swept)
    assert steady.wire.writes == []


def test_a_machine_that_the_index_lacks_is_requested_without_removals(steady: Cloud) -> None:
    """It may be alive, and was not counted against the limit."""
    steady.deploy(machines_lost_their_rule())
    principal = steady.principal()
    rows = steady.operator.query(
        "authorizationresources | project id, name, type, properties"
    ).json()
    steady.wire.answer("POST", GRAPH, 200, body=rows, times=2)
    steady.wire.answer("POST", GRAPH, 200, body={"data": []}, times=2)
    swept = steady.app.sweep()
    steady.drive(*swept.requests)

    assert "vm1" in ids(swept)
    assert {request.removals for request in swept.requests if request.id.name == "vm1"} == {None}
    assert steady.rights(principal) == OWN


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
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_an_index_that_cannot_be_read_is_reported_and_nominates_nothing(
    steady: Cloud, status: int, body: Content, position: int
) -> None:
    """Throttled for long, partial or down: what it could not show is never absent."""
    steady.wire.answer("POST", GRAPH, status, body=body, skip=position, times=1000)
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
            "authorizationresources",
            {"id": f"{DATA}{ASSIGNMENTS}/a", "properties": {"scope": 7}},
        ),
        (
            2,
            "resources | where type =~ 'microsoft.managedidentity/userassignedidentities'",
            {"id": identity("young"), "properties": {}},
        ),
        (
            3,
            "resources | where type =~ 'microsoft.compute/virtualmachines'",
            {"id": machine("odd"), "identity": {"userAssignedIdentities": ["x"]}},
        ),
    ],
    ids=["assignment", "assignment of ours", "identity", "machine"],
)
def test_one_row_that_cannot_be_read_does_not_end_the_sweep(
    cloud: Cloud, position: int, table: str, odd: Content
) -> None:
    """Anybody can make one: a right at a database named `C#`, an identity just being made."""
    rows = cloud.operator.query(table).json()["data"]
    cloud.wire.answer("POST", GRAPH, 200, body={"data": [odd, *rows]}, skip=position)

    assert ids(cloud.app.sweep()) == {"vm1", "shared"}


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


def test_foreign_assignments_are_neither_counted_nor_nominated(steady: Cloud) -> None:
    """Whatever else is granted in the subscription is neither counted nor asked for."""
    for _ in range(3):
        other = steady.world.new_principal("app")
        steady.grant(other.oid, scope=DATA)
    steady.grant(steady.principal(identity("foreign")), scope=APPS)

    assert ids(steady.app.sweep()) == {"shared"}
