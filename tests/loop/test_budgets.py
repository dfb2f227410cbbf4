"""How many ARM calls an event may cost; counted in the local Azure's own log."""

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.loop.cloud import Cloud
from tests.loop.lab import DATA, SHARED, VM, Content, named, policy, rule

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
    """Twice a look, one PATCH, a PUT for each right and a DELETE for each old one; no polls."""
    cloud.deploy(content)
    cloud.drive(VM)
    old = cloud.principal()
    cloud.build(system=False)
    calls, methods = spent(cloud)

    assert calls == 2 * (1 + u + s) + 1 + s + s
    assert methods.count("PATCH") == 1
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


def test_a_second_event_of_one_rebuild_costs_nothing(steady: Cloud) -> None:
    """A rebuild raises several events; the look that came after them all answers them all."""
    steady.build(system=False)
    first, *others = steady.hear()
    steady.drive(first)
    steady.wire.calls.clear()
    steady.drive(*others)

    assert others
    assert steady.wire.calls == []
