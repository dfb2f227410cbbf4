"""Identities on machines: attached, healed, left alone."""

from datetime import timedelta

import pytest

from reconciler.changes import Hold
from reconciler.ids import ResourceId
from reconciler.model import Request, Sight, Sighting
from tests.world.cloud import Cloud, blocked, holds, last
from tests.world.ids import APPS, HOME, IDENTITIES, SHARED, VM, identity, machine
from tests.world.policies import Content, guardrails, named, policy, rule

OWN = {("Reader", "rg-app")}
LOG = "/microsoft.insights/eventtypes/management/values"
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

    assert holds(first.plans[-1]) == {Hold.UNCONFIRMED}
    assert steady.wire.writes == []

    began = steady.clock()
    steady.follow(first)
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
    """Its event leads to those that carry it; a dead entry that is in nobody's way stays."""
    steady.delete(SHARED)
    results = steady.drive(SHARED)

    looked = {plan.id for one in results for plan in one.plans}
    assert ResourceId.parse(VM) in looked
    assert set(steady.resource().users) == {SHARED.lower()}
    assert holds(steady.replan()) == {Hold.IDENTITY_ABSENT}


def test_a_dead_entry_waits_for_the_proof_that_its_identity_is_gone(cloud: Cloud) -> None:
    """Not found is not gone: nothing is detached before the log was asked, nor where it is mute."""
    both = named() | named("other")
    cloud.deploy(policy(rule(attach=["shared"]), identities=both))
    cloud.drive(VM)
    cloud.pass_time()
    cloud.delete(SHARED)
    cloud.wire.answer("GET", LOG, 200, body={"value": []}, times=ALWAYS)
    cloud.deploy(policy(rule(attach=["shared", "other"]), identities=both))
    cloud.wire.calls.clear()
    cloud.drive(VM)

    assert set(cloud.resource().users) == {SHARED.lower()}
    assert not [call for call in cloud.wire.writes if call.method == "PATCH"]
    assert Hold.GONE_UNPROVED in holds(cloud.drive(VM)[-1].plans[-1])

    cloud.wire.clear()
    cloud.drive(VM)
    assert cloud.attached() == {"system", "other"}


def test_a_dead_entry_whose_detach_changes_the_default_names_both_ways_out(cloud: Cloud) -> None:
    """Alone on the machine, the other one would become what the metadata service picks."""
    two = named() | named("other")
    cloud.deploy(policy(shared_only(), identities=two))
    cloud.drive(VM)
    cloud.pass_time()
    cloud.delete(SHARED)
    wanted = shared_only(attach=["shared", "other"], allowDefaultChange=False)
    cloud.deploy(policy(wanted, identities=two))
    cloud.wire.calls.clear()
    cloud.drive(VM)
    plan = last(cloud.drive(VM))
    (attach,) = [held for held in plan.withheld if held.hold is Hold.DEAD_ENTRY]

    assert not [call for call in cloud.wire.writes if call.method == "PATCH"]
    assert set(cloud.resource().users) == {SHARED.lower()}
    assert "by hand" in attach.detail
    assert "allowDefaultChange: true" in attach.detail

    cloud.deploy(policy(wanted | {"allowDefaultChange": True}, identities=two))
    cloud.drive(VM)
    assert cloud.attached() == {"other"}


@pytest.mark.parametrize("told", ["by its events", "by a sweep", "while away"])
@pytest.mark.parametrize("shows_ids", [False, True])
def test_an_identity_deleted_and_made_anew_is_attached_again(
    cloud: Cloud, told: str, *, shows_ids: bool
) -> None:
    """Beside another identity, where the default may not change."""
    cloud.set_faults(dead_entry_delay=7 * 24 * 3600 if shows_ids else 0)
    both = shared_only(attach=["shared", "other"])
    two = named() | named("other")
    cloud.deploy(policy(both, identities=two))
    cloud.sweep()
    cloud.pass_time()
    cloud.deploy(policy(both | {"allowDefaultChange": False}, identities=two))
    before, mark = cloud.attached(), len(cloud.events)
    cloud.delete(SHARED)
    if told == "by its events":
        cloud.drive(*cloud.hear(mark))
        mark = len(cloud.events)
    cloud.recreate_identity()
    cloud.pass_time(60)
    if told == "by its events":
        cloud.drive(*cloud.hear(mark))
    elif told == "by a sweep":
        cloud.sweep()
    else:
        cloud.drive(VM, SHARED)
    cloud.pass_time(2000)
    cloud.sweep()

    assert cloud.attached() == before == {"shared", "other"}
    assert cloud.resource().users[SHARED.lower()].principal.oid == cloud.principal(SHARED)
    assert cloud.rights(cloud.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}
    assert cloud.replan().compliant


def test_a_heal_that_died_between_its_halves_is_ended_by_the_message(cloud: Cloud) -> None:
    """What was seen travels with the request, so the attach needs no leave from the rule."""
    content = policy(shared_only(allowDefaultChange=False))
    cloud.attach("shared", "foreign")
    cloud.deploy(content)
    cloud.recreate_identity()
    message = cloud.copy(cloud.look(VM))
    cloud.look(message)
    assert cloud.attached() == {"foreign"}
    cloud.deploy(content)
    cloud.pass_time()
    cloud.drive(message)

    assert cloud.attached() == {"shared", "foreign"}


def test_a_heals_second_half_is_for_the_identity_that_was_seen(cloud: Cloud) -> None:
    """A forged or old sighting gives no leave to change the default."""
    cloud.attach("foreign")
    cloud.deploy(policy(shared_only(allowDefaultChange=False)))
    own = ResourceId.parse(SHARED).key
    for principal, age in ((cloud.world.guid(), 0), (cloud.principal(SHARED), 2)):
        seen = cloud.clock() - timedelta(hours=age)
        sighting = Sighting(seen, Sight.DEAD_ENTRY, f"{own}=->{principal}")
        cloud.drive(Request(ResourceId.parse(VM), sightings=(sighting,)))

    assert cloud.attached() == {"foreign"}


def test_anothers_dead_entry_is_left_alone_and_nothing_is_attached_beside_it(cloud: Cloud) -> None:
    """Policy does not speak of it, so only its owner may take it away; Azure would refuse."""
    cloud.attach("foreign")
    cloud.delete(identity("foreign"))
    results = cloud.drive(VM)

    assert identity("foreign").lower() in cloud.resource().users
    assert holds(cloud.replan()) == {Hold.DEAD_ENTRY}
    assert blocked(results) == []
    assert not [call for call in cloud.wire.writes if call.method == "PATCH"]


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


MANAGED = {"managedBy": f"{APPS}/providers/Microsoft.Lab/labs/lab"}


def test_what_another_manages_is_given_nothing_and_shown(cloud: Cloud) -> None:
    """Whatever `managedBy` names would undo it."""
    cloud.resource().extra.update(MANAGED)
    results = cloud.drive(VM)

    assert cloud.wire.writes == []
    assert holds(results[-1].plans[-1]) == {Hold.MANAGED}


def test_what_another_manages_loses_what_policy_withdrew(steady: Cloud) -> None:
    """Hands off is what an exemption says, not `managedBy`."""
    steady.resource().extra.update(MANAGED)
    steady.deploy(policy(rule(system={"grants": []})))
    steady.sweep()

    assert steady.rights(steady.principal()) == set()
    assert steady.attached() == {"system", "shared"}


def test_a_member_of_a_flexible_set_is_a_machine_like_any_other(cloud: Cloud) -> None:
    """It has an id, an identity and a life of its own."""
    flexible = {"id": f"{APPS}/providers/Microsoft.Compute/virtualMachineScaleSets/set"}
    cloud.resource().properties["virtualMachineScaleSet"] = flexible
    cloud.drive(VM)
    assert cloud.attached() == {"system", "shared"}
    assert cloud.rights(cloud.principal()) == OWN
    assert cloud.replan().compliant

    cloud.deploy(policy(rule(system={"grants": []})))
    cloud.sweep()
    assert cloud.rights(cloud.principal()) == set()


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
