"""Audit mode: everything is told, nothing is written, whatever has happened."""

import logging
from collections.abc import Callable

import pytest

from tests.world.cloud import Cloud
from tests.world.ids import SHARED, VM, identity, machine
from tests.world.policies import Content, guardrails, policy, rule

type Story = Callable[[Cloud], object]


def lose_right(cloud: Cloud) -> None:
    """Delete a machine's right."""
    cloud.world.remove_assignment(cloud.right(cloud.principal()))


def lose_identity(cloud: Cloud) -> None:
    """Take a machine's user-assigned identities away."""
    cloud.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}})


STORIES: dict[str, Story] = {
    "nothing happened": lambda _: None,
    "rebuilt": lambda cloud: cloud.build(),
    "rebuilt without an identity": lambda cloud: cloud.build(system=False),
    "young": lambda cloud: cloud.build(settle=False),
    "new": lambda cloud: cloud.build(machine("vm2")),
    "gone": lambda cloud: cloud.delete(VM),
    "right lost": lose_right,
    "identity lost": lose_identity,
    "identity recreated": lambda cloud: cloud.recreate_identity(),
    "identity gone": lambda cloud: cloud.delete(SHARED),
    "another's identity dead": lambda cloud: cloud.delete(identity("foreign")),
}
UNWANTED = policy(rule(attach=["shared"], system={"grants": []}))


def everything(cloud: Cloud) -> None:
    """Look at all there is, by request and by sweep, and let the copies come."""
    cloud.drive(VM, machine("vm2"), SHARED)
    cloud.sweep()
    cloud.pass_time(4000)
    cloud.drive(VM, machine("vm2"), SHARED)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("content", [policy(), UNWANTED], ids=["policy", "unwanted"])
def test_the_setting_alone_keeps_everything_as_it_is(
    steady: Cloud, story: str, content: Content
) -> None:
    """RECONCILER_MODE=audit: not one writing call, over everything that can happen."""
    STORIES[story](steady)
    steady.deploy(content, RECONCILER_MODE="audit")
    everything(steady)

    assert steady.wire.calls
    assert steady.wire.writes == []


@pytest.mark.parametrize("story", STORIES)
def test_rules_in_audit_write_nothing_in_repair_mode(steady: Cloud, story: str) -> None:
    """Rules and identities are in audit unless they say otherwise."""
    STORIES[story](steady)
    rails = guardrails()
    content = policy(rule(mode="audit"))
    content["identities"]["shared"]["mode"] = "audit"
    steady.deploy(content, rails)
    everything(steady)

    # A gone machine or identity has no rule any more: its marked rights are ours to retire.
    expected = {"DELETE"} if story in {"gone", "identity gone"} else set()
    assert {call.method for call in steady.wire.writes} == expected


def test_audit_says_what_repair_would_do(steady: Cloud) -> None:
    """The plan is the same; only its application is missing."""
    lose_right(steady)
    lose_identity(steady)
    steady.pass_time()
    steady.deploy(RECONCILER_MODE="audit")
    told = steady.look(VM).plans[-1]
    steady.deploy()
    done = steady.look(VM).plans[0]

    assert told.fingerprint == done.fingerprint
    assert told.changes


def test_the_log_of_audit_mode_names_each_change(
    steady: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever tries the app out in audit mode has no other place to see what it would do."""
    principal = steady.principal()
    lose_right(steady)
    lose_identity(steady)
    steady.pass_time()
    steady.deploy(RECONCILER_MODE="audit")
    with caplog.at_level(logging.INFO, "reconciler.reconcile.loop"):
        steady.look(VM)

    head, *told = caplog.messages
    assert head == f"{VM}: 2 to change, 0 withheld, 0 done"
    assert [line for line in told if "attach identity shared: identity missing" in line]
    assert [line for line in told if "grant Reader: " in line and f", to {principal}" in line]


def test_the_log_says_what_policy_withholds_and_what_was_done(
    steady: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """A withheld change has its hold beside it, and one that was made its outcome."""
    lose_right(steady)
    with caplog.at_level(logging.INFO, "reconciler.reconcile.loop"):
        steady.deploy(policy(rule(mode="audit")))
        steady.look(VM)
        steady.deploy()
        steady.look(VM)

    text = "\n".join(caplog.messages)
    assert f"{VM}: withheld: grant Reader: " in text
    assert ", because policy says audit" in text
    assert f"{VM}: done: grant Reader at " in text
