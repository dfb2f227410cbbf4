"""What guardrails, or a custom role that changed, no longer allow although it was given."""

import pytest

from reconciler.changes import Hold, Reason
from tests.loop import test_custom_roles as custom
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, DATA, SUB, VM
from tests.world.policies import Content, guardrails, policy, rule
from tests.world.sweeps import OWN

ELSEWHERE = {"scope": f"{SUB}/resourceGroups/rg-x", "roles": ["Reader", "Storage Blob Data Reader"]}
READ_DATA = {"scope": DATA, "roles": ["Storage Blob Data Reader"]}
WIDE = policy(rule(within=[SUB]))
"""Policy whose machines may be anywhere, so that guardrails decide for each."""


def is_shown(cloud: Cloud, place: str = VM) -> None:
    """Assert that a right that is not allowed is shown, and that nobody takes it away."""
    principal = cloud.principal(place)
    before = cloud.rights(principal)
    assert before
    cloud.sweep()
    cloud.drive(place)
    cloud.apply(place)
    cloud.apply(place, at_once=True)

    plan = cloud.shown(place)
    (held,) = plan.withheld
    assert (held.hold, held.change.reason) == (Hold.GUARDRAILS, Reason.FORBIDDEN)
    assert not plan.settled
    assert cloud.rights(principal) == before


OWNERS = {"scope": APPS, "roles": ["Owner"], "privileged": True}


@pytest.mark.parametrize(
    "grants",
    [[ELSEWHERE, READ_DATA], [ELSEWHERE, OWNERS, READ_DATA]],
    ids=["another scope", "another role there"],
)
def test_a_machines_right_that_guardrails_no_longer_allow_is_shown(
    cloud: Cloud, grants: list[Content]
) -> None:
    """Nobody removes it while policy wants it, nor calls it compliant."""
    cloud.deploy(WIDE)
    cloud.sweep()
    cloud.pass_time()
    assert cloud.rights(cloud.principal()) == OWN
    cloud.deploy(WIDE, guardrails(grants=grants))

    is_shown(cloud)


def test_it_goes_once_policy_withdraws_it(cloud: Cloud) -> None:
    """Then it is unwanted like any other."""
    cloud.deploy(WIDE)
    cloud.sweep()
    cloud.pass_time()
    rails = guardrails(grants=[ELSEWHERE, READ_DATA])
    cloud.deploy(policy(rule(within=[SUB], system={"grants": []})), rails)
    cloud.sweep()

    assert cloud.rights(cloud.principal()) == set()


def test_it_goes_with_its_machine(cloud: Cloud) -> None:
    """What is dead is nobody's right."""
    cloud.deploy(WIDE)
    cloud.sweep()
    cloud.pass_time()
    old = cloud.principal()
    cloud.deploy(WIDE, guardrails(grants=[ELSEWHERE, READ_DATA]))
    cloud.delete(VM)
    cloud.drive(VM)

    assert cloud.rights(old) == set()


def test_a_rebuilt_machine_is_not_given_it_and_its_forerunner_loses_it(cloud: Cloud) -> None:
    """The new right is withheld by the same guardrails."""
    cloud.deploy(WIDE)
    cloud.sweep()
    cloud.pass_time()
    old = cloud.principal()
    cloud.deploy(WIDE, guardrails(grants=[ELSEWHERE, READ_DATA]))
    cloud.build()
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == set()
    assert cloud.rights(old) == set()


def test_a_right_in_audit_is_not_judged(steady: Cloud) -> None:
    """Policy does not ask for it to be there."""
    steady.deploy(policy(rule(mode="audit")), guardrails(grants=[READ_DATA]))

    assert not [held for held in steady.shown().withheld if held.change.reason is Reason.FORBIDDEN]
    assert steady.rights(steady.principal()) == OWN


@pytest.mark.parametrize(
    "action",
    [
        custom.RUNS,
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Compute/virtualMachines/*",
        "*",
    ],
)
def test_a_custom_role_that_became_privileged_is_shown(cloud: Cloud, action: str) -> None:
    """Whoever may change the role changed what was given; each plan reads it anew."""
    custom.allow(cloud, custom.READS)
    custom.deploy(cloud)
    cloud.sweep()
    cloud.pass_time()
    assert cloud.rights(cloud.principal()) == {("Custom", "rg-app")}
    assert cloud.replan().compliant
    custom.allow(cloud, action)

    is_shown(cloud)

    custom.allow(cloud, custom.READS)
    assert cloud.replan().compliant


def test_a_custom_role_that_cannot_be_read_any_more_keeps_what_was_given(cloud: Cloud) -> None:
    """Not readable is not privileged."""
    custom.allow(cloud, custom.READS)
    custom.deploy(cloud)
    cloud.sweep()
    cloud.pass_time()
    for status in (403, 404, 503):
        cloud.wire.answer("GET", "/roledefinitions/", status, "Refused")
        cloud.drive(VM)
        cloud.drive(cloud.removing())

    assert cloud.rights(cloud.principal()) == {("Custom", "rg-app")}
    assert holds(cloud.replan()) == set()
