"""Rights in a subscription that is not watched: granted, found and retired like all others."""

from pathlib import Path

import pytest

from tests.world.cloud import Cloud, blocked
from tests.world.ids import APPS, ASSIGNMENTS, DATA, SHARED, SUB, SUBSCRIPTION, VM, machine
from tests.world.policies import guardrails, named, policy, rule

FAR = "33333333-3333-3333-3333-333333333333"
FAR_DATA = f"/subscriptions/{FAR}/resourceGroups/rg-far"
FAR_VM = machine("vm9", FAR_DATA)
RAILS = guardrails(
    grants=[{"scope": SUB, "roles": ["Reader"]}, {"scope": FAR_DATA, "roles": ["Reader"]}]
)


@pytest.fixture
def far(tmp_path: Path) -> Cloud:
    """Policy grants in a second subscription, which is not watched."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[{"id": SUBSCRIPTION}, {"id": FAR}],
        groups=[{"id": APPS}, {"id": DATA}, {"id": FAR_DATA}],
    )
    system = {"grants": [{"role": "Reader", "scope": FAR_DATA}]}
    cloud.deploy(policy(rule(system=system), identities=named(grants=[])), RAILS)
    cloud.sweep()
    cloud.pass_time()
    return cloud


def test_rights_at_the_guardrails_scopes_are_seen_wherever_they_lie(far: Cloud) -> None:
    """Only resources must lie in watched subscriptions; their rights need not."""
    assert far.rights(far.principal()) == {("Reader", "rg-far")}
    assert {one.id.name for one in far.app.sweep().requests} == {"shared"}


def test_rights_in_another_subscription_are_retired_too(far: Cloud) -> None:
    """Policy no longer names that scope; the marker still tells whose the right was."""
    old = far.principal()
    far.deploy(policy(identities=named(grants=[])), RAILS)
    far.delete(VM)
    far.sweep()

    assert far.rights(old) == set()


@pytest.fixture
def narrow(far: Cloud) -> Cloud:
    """Guardrails name a single machine there, and policy grants `shared` a right at it."""
    far.build(FAR_VM)
    grants = [{"role": "Reader", "scope": FAR_VM}]
    rails = guardrails(grants=[{"scope": FAR_VM, "roles": ["Reader"]}])
    far.deploy({"version": 1, "identities": named(grants=grants)}, rails)
    far.drive(SHARED)
    assert far.rights(far.principal(SHARED)) == {("Reader", "vm9")}
    far.pass_time()
    far.events.clear()
    return far


def test_a_right_at_a_far_machine_comes_back_when_the_machine_does(narrow: Cloud) -> None:
    """Its group is swept, though neither watched nor named by guardrails: that only reads."""
    narrow.build(FAR_VM)
    assert narrow.rights(narrow.principal(SHARED)) == set()
    narrow.drive(*narrow.hear())

    assert narrow.rights(narrow.principal(SHARED)) == {("Reader", "vm9")}


def test_a_far_right_that_nobody_claims_has_its_group_swept(narrow: Cloud) -> None:
    """The search ends in a sweep, not in a refusal."""
    unknown = f"{FAR_VM}{ASSIGNMENTS}/{narrow.world.guid()}"

    assert blocked(narrow.drive(unknown)) == []


def test_a_machine_that_moved_out_of_sight_keeps_its_rights(far: Cloud) -> None:
    """It carries its principal in a subscription that we can read but do not watch."""
    principal = far.principal()
    far.move(FAR_DATA)
    far.sweep()

    assert far.rights(principal) == {("Reader", "rg-far")}
