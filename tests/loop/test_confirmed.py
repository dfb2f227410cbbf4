"""`apply` does what a person confirmed, or nothing."""

from collections.abc import Callable

import pytest

from reconciler.changes import PLAN_CHANGED, Hold
from reconciler.model import Request
from tests.world.cloud import Cloud, blocked
from tests.world.ids import APPS, DATA, SHARED, VM
from tests.world.policies import Content, guardrails, named, policy, rule
from tests.world.sweeps import OWN

STORE = f"{DATA}/providers/Microsoft.Storage/storageAccounts/gone"
READS_GONE = policy(rule(attach=[], system={"grants": [{"role": "Reader", "scope": STORE}]}))


def lose_right(cloud: Cloud) -> None:
    """Delete what the machine holds."""
    cloud.world.remove_assignment(cloud.right(cloud.principal()))


def lose_identity(cloud: Cloud) -> None:
    """Take the user-assigned identity away."""
    assert cloud.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}}).ok
    cloud.pass_time()


def grant_elsewhere(cloud: Cloud) -> None:
    """Give the machine another right of ours, which no policy asks for."""
    cloud.granted_by_us(DATA)


def exempt(cloud: Cloud) -> None:
    """Exempt the machine in policy."""
    entry = {"scope": VM, "reason": "forensics", "expires": "2026-03-31"}
    cloud.deploy(WITHDRAWN | {"exemptions": [entry]})


def narrow(cloud: Cloud) -> None:
    """Narrow the guardrails so that something is withheld which was not."""
    wide = policy(rule(within=[APPS.rpartition("/resourceGroups")[0]]))
    rails = guardrails(
        grants=[
            {"scope": f"{APPS}-x", "roles": ["Reader"]},
            {"scope": DATA, "roles": ["Storage Blob Data Reader"]},
        ]
    )
    cloud.deploy(wide, rails)


WITHDRAWN = policy(rule(system={"grants": []}))
MEANWHILE: dict[str, Callable[[Cloud], object]] = {
    "the machine is rebuilt": Cloud.build,
    "the machine is rebuilt bare": lambda cloud: cloud.build(system=False),
    "the machine is gone": lambda cloud: cloud.delete(VM),
    "its right is gone": lose_right,
    "its identity is gone": lose_identity,
    "it has another right of ours": grant_elsewhere,
    "policy exempts it": exempt,
    "policy asks for it again": Cloud.deploy,
    "guardrails are narrowed": narrow,
}
STILL: dict[str, Callable[[Cloud], object]] = {
    "nothing": lambda _: None,
    "time passes": lambda cloud: cloud.pass_time(3600),
    "a tag is written": lambda cloud: cloud.operator.call("PATCH", VM, {"tags": {"a": "b"}}),
    "another's right": lambda cloud: cloud.grant(cloud.operator.principal("stranger").oid),
    "another's identity elsewhere": lambda cloud: cloud.build(VM.replace("vm1", "vm2")),
    "a new process": lambda cloud: cloud.deploy(WITHDRAWN),
}


def rights(cloud: Cloud) -> set[str]:
    """Return the ids of all rights that we made."""
    mine = cloud.world.app.oid
    return {one.id for one in cloud.world.assignments if one.created_by == mine}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_nothing_is_done_where_the_first_look_plans_anything_else(
    steady: Cloud, meanwhile: str
) -> None:
    """Not a part of it either; the new plan is to be looked at."""
    steady.deploy(WITHDRAWN)
    request, fingerprint = steady.confirmed()
    MEANWHILE[meanwhile](steady)
    before = rights(steady)
    steady.wire.calls.clear()
    result = steady.app.handle(request, fingerprint)

    assert steady.wire.writes == []
    assert rights(steady) == before
    assert [one.code for one in blocked([result])] == [PLAN_CHANGED]
    assert result.again is None
    assert blocked([result])[0].next_step


@pytest.mark.parametrize("still", STILL)
def test_what_was_confirmed_is_done_where_the_plan_is_the_same(steady: Cloud, still: str) -> None:
    """Times, etags, tags and others' rights are no part of what was confirmed."""
    steady.deploy(WITHDRAWN)
    request, fingerprint = steady.confirmed()
    STILL[still](steady)
    steady.follow(steady.app.handle(request, fingerprint))

    assert steady.rights(steady.principal()) == set()
    assert steady.attached() == {"system", "shared"}


@pytest.mark.parametrize("broken", [429, 503])
def test_a_first_look_that_failed_is_followed_by_one_that_is_compared(
    steady: Cloud, broken: int
) -> None:
    """It has planned nothing, so that what comes after it is the first."""
    steady.deploy(WITHDRAWN)
    request, fingerprint = steady.confirmed()
    steady.wire.answer("GET", "/virtualmachines/vm1", broken, "Later")
    result = steady.app.handle(request, fingerprint)
    assert steady.wire.writes == []
    assert result.plans == ()

    lose_right(steady)
    again = steady.copy(result)
    result = steady.app.handle(again, fingerprint)
    assert [one.code for one in result.outcomes] == [PLAN_CHANGED]
    assert steady.wire.writes == []


def test_a_passing_hold_that_ended_is_no_other_plan(steady: Cloud) -> None:
    """What waits was confirmed as well."""
    steady.build(settle=False)
    request, fingerprint = steady.confirmed()
    steady.pass_time()
    steady.follow(steady.app.handle(request, fingerprint))

    assert steady.attached() == {"system", "shared"}
    assert steady.rights(steady.principal()) == OWN


@pytest.mark.parametrize("same", [True, False])
def test_what_goes_at_once_was_confirmed_as_such(steady: Cloud, *, same: bool) -> None:
    """What was agreed to is the shown plan with what was kept among its changes."""
    steady.deploy(READS_GONE)
    assert [held.hold for held in steady.shown().kept] == [Hold.REPLACEMENT]
    request, fingerprint = steady.confirmed(at_once=True)
    if not same:
        grant_elsewhere(steady)
    before = rights(steady)
    result = steady.app.handle(request, fingerprint)

    if same:
        assert steady.rights(steady.principal()) == set()
    else:
        assert rights(steady) == before
        assert [one.code for one in blocked([result])] == [PLAN_CHANGED]


def test_only_what_was_named_goes(steady: Cloud) -> None:
    """What became unwanted between plan and apply was not confirmed."""
    steady.deploy(WITHDRAWN)
    request, _ = steady.confirmed()
    extra = steady.granted_by_us(DATA)
    steady.drive(request)

    assert steady.right(steady.principal()) == extra


@pytest.mark.parametrize("place", [VM, SHARED])
def test_a_request_without_a_fingerprint_is_not_compared(steady: Cloud, place: str) -> None:
    """Events confirm nothing."""
    content: Content = policy(rule(), identities=named())
    steady.deploy(content)
    lose_right(steady)
    results = steady.drive(Request(steady.shown(place).id))

    assert blocked(results) == []
