"""Exclusive identities through the sweep: nobody else may carry them."""

from reconciler.changes import Hold
from tests.world.cloud import Cloud, holds
from tests.world.ids import DATA, IDENTITIES, VM, machine
from tests.world.policies import Content, guardrails, named, policy, rule

STRAY = machine("stray", DATA)


def exclusive() -> Content:
    """Return policy under which only machines in rg-app may carry `shared`."""
    return policy(rule(), identities=named(exclusive=True))


def test_a_sweep_takes_it_from_whoever_else_carries_it(cloud: Cloud) -> None:
    """Whoever attached it there holds its rights, be it in a place that no rule speaks of."""
    cloud.build(STRAY)
    cloud.attach("shared", "other", vm=STRAY)
    cloud.deploy(exclusive())
    cloud.sweep()

    assert cloud.attached(STRAY) == {"system", "other"}
    assert cloud.attached(VM) == {"system", "shared"}


def test_a_sweep_takes_it_where_it_is_the_only_one(cloud: Cloud) -> None:
    """The last one goes under an etag, which the index does not show."""
    cloud.build(STRAY, system=False)
    cloud.attach("shared", vm=STRAY)
    cloud.deploy(exclusive())
    cloud.sweep()

    assert cloud.attached(STRAY) == set()


def test_an_event_alone_takes_nothing_away(cloud: Cloud) -> None:
    """It is shown as withheld until a sweep or a person removes it."""
    cloud.build(STRAY)
    cloud.attach("shared", vm=STRAY)
    cloud.deploy(exclusive())
    cloud.drive(STRAY)

    assert cloud.attached(STRAY) == {"system", "shared"}
    assert holds(cloud.replan(STRAY)) == {Hold.REMOVALS}


def test_it_counts_against_the_limit_of_a_sweep(cloud: Cloud) -> None:
    """Too many at once look like a mistake in policy."""
    cloud.build(STRAY)
    cloud.attach("shared", vm=STRAY)
    rails = guardrails(maxRemovals={"count": 0, "percent": 0}, identities=[IDENTITIES])
    cloud.deploy(exclusive(), rails=rails)
    cloud.sweep()

    assert cloud.attached(STRAY) == {"system", "shared"}
