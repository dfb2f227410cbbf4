"""Exemptions through the whole loop: hands off until the last day, and back to work after it."""

from datetime import timedelta

from reconciler.changes import Hold
from reconciler.observe import desired_of
from reconciler.render import text
from reconciler.render.comparison import Comparison
from tests.world.cloud import Cloud, as_request, holds
from tests.world.ids import APPS, VM
from tests.world.policies import Content, policy


def exempt(cloud: Cloud, days: int, scope: str = VM) -> Content:
    """Return policy that exempts a scope for some more days."""
    last = (cloud.clock() + timedelta(days=days)).date()
    entry = {"scope": scope, "reason": "forensics", "expires": last.isoformat()}
    return policy() | {"exemptions": [entry]}


def told(cloud: Cloud) -> str:
    """Return the plan of the machine as the command line shows it."""
    observed, plan = cloud.app.reconciler.plan(as_request(VM))
    comparison = Comparison(observed, desired_of(cloud.app.policy, observed.subject), plan)
    return "\n".join(text.plan_lines([comparison], cloud.app.policy))


def test_an_exempt_machine_is_not_touched(cloud: Cloud) -> None:
    """Neither an event nor a sweep writes anything about it."""
    cloud.deploy(exempt(cloud, 1))
    cloud.drive(VM)
    cloud.sweep()

    assert cloud.attached() == set()
    assert holds(cloud.replan()) == {Hold.EXEMPT}
    assert "policy exempts it: forensics (until " in told(cloud)


def test_an_exempt_machine_keeps_its_rights_when_it_is_gone(steady: Cloud) -> None:
    """Whoever examines it may still need them."""
    principal = steady.principal()
    rights = steady.rights(principal)
    steady.deploy(exempt(steady, 1, APPS))
    steady.delete(VM)
    steady.drive(VM)

    assert rights
    assert steady.rights(principal) == rights


def test_after_its_last_day_a_sweep_takes_up_the_work(cloud: Cloud) -> None:
    """Nothing has to be deployed anew, and the plan tells what has ended."""
    cloud.deploy(exempt(cloud, 1))
    cloud.sweep()
    cloud.clock.forward(timedelta(days=2).total_seconds())
    assert "its exemption ended with " in told(cloud)
    cloud.sweep()

    assert cloud.attached() == {"system", "shared"}
    assert cloud.replan().compliant
