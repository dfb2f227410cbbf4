"""How many ARM calls an event may cost; counted in the local Azure's own log."""

from collections import Counter

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Request
from sandbox import deployment
from tests.world.cloud import Cloud
from tests.world.ids import DATA, SHARED, VM, machine
from tests.world.live import Live
from tests.world.policies import Content, named, policy, rule

READER = "Reader"
GRANTS = [{"role": READER, "scope": "{resourceGroup}"}, {"role": READER, "scope": DATA}]

# Policy, and what it asks of one machine: u identities, and a right at each of s scopes.
BUDGETS: list[tuple[Content, int, int]] = [
    (policy(rule(attach=[])), 0, 1),
    (policy(), 1, 1),
    (policy(rule(system={"grants": GRANTS})), 1, 2),
    (
        policy(
            rule(attach=["shared", "other", "foreign"], system={"grants": GRANTS}),
            identities=named() | named("other") | named("foreign"),
        ),
        3,
        2,
    ),
]


def spent(cloud: Cloud, place: str = VM) -> tuple[int, list[str]]:
    """Answer an event that happened now; returns how many calls it cost, and their methods."""
    before = len(cloud.world.requests)
    cloud.pass_time(1)
    cloud.drive(Request(ResourceId.parse(place), since=cloud.clock()))
    ours = [
        one.method
        for one in list(cloud.world.requests)[before:]
        if one.app_id == cloud.world.app.app_id
    ]
    return len(ours), ours


@pytest.mark.parametrize(("content", "u", "s"), BUDGETS)
def test_an_event_that_needs_nothing(cloud: Cloud, content: Content, u: int, s: int) -> None:
    """1 + u + s: the resource, each identity that policy wants there, each distinct scope."""
    cloud.deploy(content)
    cloud.drive(VM)
    cloud.pass_time()
    calls, methods = spent(cloud)

    assert calls == 1 + u + s
    assert set(methods) == {"GET"}
    assert len(cloud.rights(cloud.principal())) == s


@pytest.mark.parametrize(("content", "u", "s"), BUDGETS)
def test_a_recycled_machine(cloud: Cloud, content: Content, u: int, s: int) -> None:
    """Twice a look, one PATCH, a PUT for each right and a DELETE for each old one; no polls.

    Where something is retired, one GET, one question to Resource Graph and, once for a group and
    minute, one to the activity log prove it.
    """
    cloud.deploy(content)
    cloud.drive(VM)
    old = cloud.principal()
    cloud.build(system=False)
    calls, methods = spent(cloud)

    # A rule that asks for the system-assigned identity alone writes a type that leaves others out.
    again = 1 if u == 0 else 0
    assert calls == 2 * (1 + u + s) + 1 + s + s + 3 + again
    assert methods.count("PATCH") == methods.count("POST") == 1
    assert methods.count("PUT") == methods.count("DELETE") == s
    assert cloud.rights(old) == set()
    assert len(cloud.rights(cloud.principal())) == s


def test_an_identity_that_needs_nothing(steady: Cloud) -> None:
    """Itself, its scopes, and one question to the index about who should carry it."""
    calls, _ = spent(steady, SHARED)

    assert calls <= 3


def test_a_machine_that_no_rule_speaks_of(cloud: Cloud) -> None:
    """Nothing is wanted there, so only the machine is read."""
    cloud.deploy(policy(rule(match={"type": "Microsoft.Compute/virtualMachines", "name": ["x"]})))
    calls, _ = spent(cloud)

    assert calls == 1


def rebuild(cloud: Cloud, live: Live, *places: str, system: bool) -> None:
    """Delete machines and build them anew, as fast as that goes; the app hears of all of it."""
    body: Content = {"location": "westeurope", "properties": {}}
    body |= {"identity": {"type": "SystemAssigned"}} if system else {}
    for place in places:
        assert cloud.operator.call("DELETE", place).status_code == 202
    live.run(6)
    for place in places:
        assert cloud.operator.call("PUT", place, body).status_code == 201
    live.run(20)


@pytest.mark.parametrize(("system", "most"), [(False, 15), (True, 12)])
def test_a_machine_from_its_deletion_to_the_last_echo(
    steady: Cloud, *, system: bool, most: int
) -> None:
    """A first and a settled look, one PATCH, one PUT, a last look, and what proves an end."""
    old = steady.principal()
    live = Live(steady)
    rebuild(steady, live, VM, system=system)
    live.run(3600)
    methods = Counter(call.method for call in steady.wire.calls)

    assert methods.total() == most
    assert {name: methods[name] for name in ("PATCH", "PUT", "DELETE", "POST")} == dict.fromkeys(
        ("PATCH", "PUT", "DELETE", "POST"), 1
    )
    assert steady.attached() == {"system", "shared"}
    assert steady.rights(steady.principal()) == {("Reader", "rg-app")}
    assert steady.rights(old) == set()


def test_a_machine_that_a_template_builds_costs_no_more(steady: Cloud) -> None:
    """Machine, extensions and tags are written one by one; the copy that is due answers them."""
    live = Live(steady)
    steady.delete(VM)
    steady.pass_time(2)
    deployment.rebuild(steady.world, VM, identity={"type": "SystemAssigned"})
    live.run(3600)

    assert len(live.results) > 5
    assert len(steady.wire.calls) <= 14
    assert steady.attached() == {"system", "shared"}


@pytest.mark.parametrize("index", [0, 30])
def test_machines_that_share_an_identity(cloud: Cloud, index: int) -> None:
    """Seven calls a machine, and one look at the identity; an index that is late adds its GETs."""
    places = [machine(f"vm{number}") for number in range(1, 31)]
    attaching = {key: value for key, value in rule().items() if key != "system"}
    cloud.deploy(policy(attaching))
    for place in places[1:]:
        cloud.build(place, system=False, settle=False)
    cloud.pass_time()
    cloud.drive(*places, most=1000)
    cloud.pass_time(3600)
    cloud.set_faults(index_delay=index)
    live = Live(cloud)
    cloud.wire.calls.clear()
    rebuild(cloud, live, *places, system=False)
    live.run(3600)
    # Of a 404 the GET alone comes again: at once, and ten and twenty seconds later.
    late = 4 if index else 0

    assert len(cloud.wire.calls) <= (7 + late) * len(places) + 2
    assert all(cloud.attached(place) == {"shared"} for place in places)


def test_a_second_event_of_one_rebuild_costs_nothing(steady: Cloud) -> None:
    """A rebuild raises several events; the look that came after them all answers them all."""
    steady.build(system=False)
    first, *others = steady.hear()
    steady.drive(first)
    steady.wire.calls.clear()
    steady.drive(*others)

    assert others
    assert steady.wire.calls == []
