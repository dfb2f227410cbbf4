"""Identities on machines: attached, healed, left alone."""

import pytest

from reconciler.changes import Hold
from tests.loop.cloud import Cloud, blocked, holds
from tests.loop.lab import (
    APPS,
    HOME,
    IDENTITIES,
    SHARED,
    VM,
    Content,
    guardrails,
    identity,
    machine,
    named,
    policy,
    rule,
)

OWN = {("Reader", "rg-app")}
ALWAYS = 10_000
OTHER = machine("vm2")


def shared_only(**keys: object) -> Content:
    """Return a rule that asks for the one identity and nothing else."""
    content = rule(**keys)
    del content["system"]
    return content


def shown(cloud: Cloud, vm: str = VM) -> Content:
    """Return a machine as ARM shows it, to be changed and shown to the app."""
    body: Content = cloud.operator.get(vm)
    return body


def test_others_identities_stay(cloud: Cloud) -> None:
    """A PATCH names only what changes."""
    cloud.attach("foreign", "other")
    cloud.drive(VM)

    assert cloud.attached() == {"system", "shared", "foreign", "other"}


def test_a_recreated_identity_is_healed_on_every_machine(steady: Cloud) -> None:
    """Its dead entries are detached and attached anew, its rights granted to the new principal."""
    steady.build(OTHER)
    steady.drive(OTHER)
    steady.pass_time()
    old = steady.principal(SHARED)
    steady.recreate_identity()
    steady.drive(SHARED)
    steady.pass_time()

    assert steady.attached(VM) == steady.attached(OTHER) == {"system", "shared"}
    assert steady.rights(old) == set()
    assert steady.rights(steady.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}
    assert all(steady.replan(place).compliant for place in (VM, OTHER, SHARED))


def test_a_stale_entry_is_healed_only_when_seen_twice_with_time_between(steady: Cloud) -> None:
    """An attach under way shows no principal either, so one sight of it proves nothing."""
    steady.recreate_identity()
    first = steady.look(VM)

    assert holds(first.plans[-1]) == {Hold.SETTLING}
    assert steady.wire.writes == []

    assert first.again is not None
    began = steady.clock()
    steady.drive(first.again)
    assert steady.attached() == {"system", "shared"}
    assert steady.clock() - began >= steady.app.settings.settle


def test_an_attach_under_way_is_no_dead_entry(cloud: Cloud) -> None:
    """While the operation runs its entry has no principal, and that is as it should be."""
    cloud.look(VM)
    plan = cloud.replan()

    assert cloud.resource().provisioning_state(cloud.clock()) == "Updating"
    assert plan.compliant


def test_the_only_identity_is_taken_away_under_an_etag(cloud: Cloud) -> None:
    """Without any left the type alone takes all away, so nothing may have changed meanwhile."""
    cloud.deploy(policy(shared_only()))
    cloud.drive(VM)
    cloud.pass_time()
    cloud.recreate_identity()
    cloud.wire.calls.clear()
    cloud.drive(VM)

    detach, attach = [call for call in cloud.wire.calls if call.method == "PATCH"]
    assert detach.body == {"identity": {"type": "None"}}
    assert detach.if_match
    assert attach.body["identity"]["type"] == "UserAssigned"
    assert cloud.attached() == {"shared"}


def test_the_only_identity_is_not_taken_away_without_an_etag(cloud: Cloud) -> None:
    """Another could have been attached meanwhile and would be lost with it."""
    cloud.deploy(policy(shared_only()))
    cloud.drive(VM)
    cloud.pass_time()
    cloud.recreate_identity()
    body = shown(cloud)
    del body["etag"]
    cloud.wire.answer("GET", "/virtualmachines/vm1", 200, body=body, times=ALWAYS)
    cloud.wire.calls.clear()
    results = cloud.drive(VM)

    assert cloud.wire.writes == []
    assert holds(results[-1].plans[-1]) == {Hold.NO_ETAG}


def test_a_dead_entry_of_a_gone_identity_makes_room_for_the_others(cloud: Cloud) -> None:
    """One dead entry makes every attach fail, so it goes first."""
    both = named() | named("other")
    cloud.deploy(policy(rule(attach=["shared"]), identities=both))
    cloud.drive(VM)
    cloud.pass_time()
    cloud.delete(SHARED)
    cloud.deploy(policy(rule(attach=["shared", "other"]), identities=both))
    results = cloud.drive(VM)

    assert cloud.attached() == {"system", "other"}
    assert set(cloud.resource().users) == {identity("other").lower()}
    assert holds(results[-1].plans[-1]) == {Hold.IDENTITY_ABSENT}


def test_a_gone_identity_makes_its_machines_be_looked_at(steady: Cloud) -> None:
    """Its event leads to the machines that carry it, and its dead entries go."""
    steady.delete(SHARED)
    steady.drive(SHARED)

    assert steady.resource().users == {}


def test_anothers_dead_entry_is_blocked_and_shown(cloud: Cloud) -> None:
    """Policy does not speak of it, so only its owner may take it away."""
    cloud.attach("foreign")
    cloud.delete(identity("foreign"))
    results = cloud.drive(VM)

    assert identity("foreign").lower() in cloud.resource().users
    assert Hold.DEAD_ENTRY in holds(results[-1].plans[-1])
    assert {one.code for one in blocked(results)} == {"FailedIdentityOperation"}


def test_one_bad_identity_does_not_block_the_others(cloud: Cloud) -> None:
    """A PATCH of several that is refused is repeated one by one."""
    everything = named() | named("other") | named("foreign")
    cloud.deploy(policy(rule(attach=["shared", "other", "foreign"]), identities=everything))
    cloud.wire.answer(
        "PATCH", "", 400, "FailedIdentityOperation", holding="Identities/other", times=ALWAYS
    )
    results = cloud.drive(VM)

    assert cloud.attached() == {"system", "shared", "foreign"}
    assert cloud.rights(cloud.principal()) == OWN
    assert [one.code for one in blocked(results)] == ["FailedIdentityOperation"]


def test_an_identity_that_we_may_not_assign_does_not_block_the_others(cloud: Cloud) -> None:
    """LinkedAuthorizationFailed is a 403 about one of several."""
    both = named() | named("other")
    cloud.deploy(policy(rule(attach=["shared", "other"]), identities=both))
    cloud.wire.answer(
        "PATCH", "", 403, "LinkedAuthorizationFailed", holding="Identities/shared", times=ALWAYS
    )
    results = cloud.drive(VM)

    assert cloud.attached() == {"system", "other"}
    assert [one.code for one in blocked(results)] == ["LinkedAuthorizationFailed"]


@pytest.mark.parametrize("wanted", [rule(attach=[]), shared_only()])
def test_the_default_identity_stays_what_it_is(cloud: Cloud, wanted: Content) -> None:
    """A second identity, or a system-assigned one, is withheld from a machine with a single one."""
    cloud.attach("foreign")
    cloud.deploy(policy(wanted | {"allowDefaultChange": False}))
    results = cloud.drive(VM)

    assert cloud.attached() == {"foreign"}
    assert holds(results[-1].plans[-1]) == {Hold.DEFAULT_IDENTITY}
    assert results[-1].again_after is None

    cloud.deploy(policy(wanted))
    cloud.drive(VM)
    assert cloud.replan().compliant


def test_a_machine_without_a_default_may_be_given_more(cloud: Cloud) -> None:
    """With two identities the metadata service picks none, and a third changes nothing."""
    cloud.attach("foreign", "other")
    cloud.deploy(policy(shared_only(allowDefaultChange=False)))
    cloud.drive(VM)

    assert cloud.attached() == {"foreign", "other", "shared"}


def test_restoring_a_healed_identity_is_no_change_of_the_default(cloud: Cloud) -> None:
    """Between our detach and attach the other one is alone; that is our doing and passes."""
    cloud.attach("shared", "foreign")
    cloud.deploy(policy(shared_only(allowDefaultChange=False)))
    cloud.recreate_identity()
    cloud.drive(VM)

    assert cloud.attached() == {"shared", "foreign"}
    assert cloud.replan().compliant


def test_an_unknown_identity_type_is_never_written(cloud: Cloud) -> None:
    """What cannot be read cannot be written back in canonical form."""
    body = shown(cloud)
    body["identity"] = {"type": "SystemAssigned, Delegated", "principalId": cloud.world.guid()}
    cloud.wire.answer("GET", "/virtualmachines/vm1", 200, body=body, times=ALWAYS)
    result = cloud.look(VM)

    assert Hold.UNKNOWN_IDENTITY_TYPE in holds(result.plans[-1])
    assert [call for call in cloud.wire.writes if call.method == "PATCH"] == []


def test_an_identity_that_does_not_exist_is_withheld_alone(cloud: Cloud) -> None:
    """Policy wants it, nobody created it: shown, and everything else goes on."""
    cloud.deploy(policy(rule(attach=["shared", "ghost"]), identities=named() | named("ghost")))
    results = cloud.drive(VM)

    assert cloud.attached() == {"system", "shared"}
    assert cloud.rights(cloud.principal()) == OWN
    assert holds(results[-1].plans[-1]) == {Hold.IDENTITY_ABSENT}


@pytest.mark.parametrize(
    "extra",
    [
        {"extra": {"managedBy": f"{APPS}/providers/Microsoft.Lab/labs/lab"}},
        {
            "properties": {
                "virtualMachineScaleSet": {
                    "id": f"{APPS}/providers/Microsoft.Compute/virtualMachineScaleSets/set"
                }
            }
        },
    ],
)
def test_what_another_manages_is_left_alone_and_shown(cloud: Cloud, extra: Content) -> None:
    """`managedBy`, and members of a scale set: their maker would undo it."""
    vm = cloud.resource()
    for name, value in extra.items():
        getattr(vm, name).update(value)
    results = cloud.drive(VM)

    assert cloud.wire.writes == []
    assert holds(results[-1].plans[-1]) == {Hold.MANAGED}


def test_the_apps_own_identity_is_refused(cloud: Cloud) -> None:
    """It is neither attached nor granted anything, though policy and guardrails ask for it."""
    own = f"{HOME}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reconciler"
    before = cloud.rights(cloud.world.app.oid)
    entry = {"id": own, "mode": "repair", "grants": [{"role": "Reader", "scope": APPS}]}
    cloud.deploy(
        policy(rule(attach=["own"]), identities={"own": entry}),
        guardrails(identities=[IDENTITIES, HOME]),
    )
    results = cloud.drive(VM)
    results += cloud.drive(own)

    assert cloud.attached() == {"system"}
    assert cloud.rights(cloud.world.app.oid) == before
    assert Hold.OWN_IDENTITY in holds(results[-1].plans[-1])
