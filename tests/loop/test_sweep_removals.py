"""What policy no longer asks for goes by a sweep, within limits."""

import pytest

from tests.world.cloud import Cloud
from tests.world.ids import DATA, SHARED, VM
from tests.world.policies import Content, guardrails, named, policy, rule
from tests.world.sweeps import OWN, fleet, machines_lost_their_rule

RAILS: Content = {"count": 2, "percent": 0}


def test_a_sweep_removes_unwanted_rights_up_to_its_limit(cloud: Cloud) -> None:
    """The machines themselves keep their identities."""
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
def test_rights_that_policy_no_longer_names_count_against_the_limit(
    cloud: Cloud, without: str
) -> None:
    """A rule or identity that was deleted from policy cannot slip past the limit.

    Counted is by the group of what the markers name: a neighbour's many keep only their own.
    """
    places = fleet(cloud, 3)
    before = cloud.rights(cloud.principal(SHARED))
    content = (
        {"version": 1, "identities": named()}
        if without == "rules"
        else policy(rule(attach=["other"], within=[DATA]), identities=named("other"))
    )
    cloud.deploy(content, guardrails(maxRemovals=RAILS))
    cloud.sweep()

    # The machines' group is set aside; that of the identity loses one right, which may go.
    kept = before if without == "rules" else set()
    assert cloud.rights(cloud.principal(SHARED)) == kept
    assert [cloud.rights(cloud.principal(place)) for place in places] == [OWN] * 3


def test_an_identity_that_policy_dropped_loses_its_rights(steady: Cloud) -> None:
    """Its markers still name it, so a sweep finds it without policy."""
    steady.deploy(policy(rule(attach=[]), identities=named("other")))
    steady.sweep()

    assert steady.rights(steady.principal(SHARED)) == set()


def test_a_gone_machine_is_found_by_its_marker(steady: Cloud) -> None:
    """Its delete event was lost; a sweep retires its rights, after the same waiting."""
    old = steady.principal()
    steady.delete(VM)
    steady.sweep()

    assert steady.rights(old) == set()
