"""What is gone, and how sure one must be before its rights are taken away."""

from pathlib import Path

import pytest

from reconciler.changes import Hold
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.loop.cloud import Cloud, holds
from tests.loop.lab import APPS, ASSIGNMENTS, DATA, SEED, SHARED, VM, machine

OWN = {("Reader", "rg-app")}
MISSING = "/virtualmachines/vm1"


def test_a_gone_machine_keeps_its_rights_until_it_cannot_have_moved(steady: Cloud) -> None:
    """Its rights go on the copy that is due five settling times after it was first missed."""
    old = steady.principal()
    steady.delete(VM)
    began = steady.clock()

    first = steady.look(VM)

    assert holds(first.plans[-1]) == {Hold.UNCONFIRMED}
    assert steady.rights(old) == OWN

    assert first.again is not None
    steady.drive(first.again)

    assert steady.rights(old) == set()
    assert steady.clock() - began >= 5 * steady.app.settings.settle
    assert steady.replan().compliant


def test_a_second_look_that_comes_early_takes_nothing_away(steady: Cloud) -> None:
    """Only the copy that is due later knows that it was missed before; another event does not."""
    old = steady.principal()
    steady.delete(VM)
    first = steady.look(VM)
    steady.pass_time(30)
    again = steady.look(VM)
    assert first.again is not None
    steady.look(first.again)

    assert again.again is not None
    assert steady.rights(old) == OWN


def test_a_machine_that_was_evicted_untold_leaves_no_right_behind(steady: Cloud) -> None:
    """Azure takes a Spot machine away by no request; the next sweep finds what it held."""
    old = steady.principal()
    spot = {"properties": {"priority": "Spot", "evictionPolicy": "Delete"}}
    assert steady.operator.call("PATCH", VM, spot).status_code == 200
    steady.pass_time()
    assert steady.operator.call("POST", f"{VM}/simulateEviction").status_code == 204
    assert VM.lower() not in steady.world.resources

    steady.sweep()

    assert steady.rights(old) == set()
    assert steady.replan().compliant


def move(cloud: Cloud, group: str) -> str:
    """Move the machine to another group; returns the principal that it keeps."""
    vm, principal, moved = cloud.resource(), cloud.principal(), machine("vm1", group)
    cloud.world.remove(vm)
    cloud.build(moved, system=False)
    assert vm.system is not None
    vm.system.alive = True
    cloud.resource(moved).system = vm.system
    return principal


def test_a_moved_machine_keeps_its_rights(steady: Cloud) -> None:
    """A machine in another group carries the principal, so nothing of it is retired."""
    principal = move(steady, DATA)

    results = steady.drive(VM)

    assert steady.rights(principal) == OWN
    assert holds(results[-1].plans[-1]) == {Hold.CARRIED}


def test_a_machine_moved_out_of_sight_of_policy_keeps_its_rights(tmp_path: Path) -> None:
    """The subscription that it moved to need not be watched, only readable."""
    elsewhere = "22222222-2222-2222-2222-222222222222"
    group = f"/subscriptions/{elsewhere}/resourceGroups/rg-new"
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": elsewhere, "name": "other"}],
        groups=[*SEED["groups"], {"id": group}],
    )
    cloud.sweep()
    principal = move(cloud, group)

    results = cloud.drive(VM)

    assert cloud.rights(principal) == OWN
    assert holds(results[-1].plans[-1]) == {Hold.CARRIED}


def test_a_gone_identity_loses_its_rights_at_once(steady: Cloud) -> None:
    """A user-assigned identity cannot move, so there is nothing to wait for."""
    old = steady.principal(SHARED)
    steady.delete(SHARED)
    result = steady.look(SHARED)

    assert result.again_after is None
    assert steady.rights(old) == set()


def test_a_gone_group_is_a_second_source(steady: Cloud) -> None:
    """The group's own 404 says as much as its list; rights elsewhere are then retired."""
    steady.deploy()
    old = steady.principal(SHARED)
    group = steady.world.groups[steady.world.group_key(steady.resource(SHARED).id)]
    steady.world.remove_group(group)
    steady.drive(SHARED)

    assert steady.rights(old) == set()


def test_what_its_group_still_lists_is_not_gone(steady: Cloud) -> None:
    """One 404 is one source: nothing is deleted, and it is looked at again."""
    old = steady.principal()
    steady.wire.answer("GET", MISSING, 404, "ResourceNotFound", times=10_000)
    result = steady.look(VM)

    assert steady.wire.writes == []
    assert steady.rights(old) == OWN
    assert result.again_after is not None

    steady.wire.clear()
    assert result.again is not None
    assert steady.look(result.again).plans[-1].compliant


def test_a_listed_machine_that_never_answers_is_blocked_in_the_end(steady: Cloud) -> None:
    """After an hour without progress a person must look; its rights are still there."""
    old = steady.principal()
    steady.wire.answer("GET", MISSING, 404, "ResourceNotFound", times=10_000)
    results = steady.drive(VM)

    assert results[-1].outcomes[-1].code == "StillListed"
    assert results[-1].again_after is None
    assert steady.rights(old) == OWN


@pytest.mark.parametrize("status", [403, 429, 500, 503])
@pytest.mark.parametrize("source", ["/resources", MISSING, ASSIGNMENTS])
def test_a_gone_machine_loses_nothing_while_one_read_fails(
    steady: Cloud, source: str, status: int
) -> None:
    """Only 404 means absent; a refused second source is no source."""
    old = steady.principal()
    steady.delete(VM)
    first = steady.look(VM)
    assert first.again is not None
    steady.pass_time(1000)
    steady.wire.answer("GET", source, status, "Refused")
    result = steady.look(first.again)

    assert steady.wire.writes == []
    assert steady.rights(old) == OWN
    assert result.again_after or result.outcomes


def test_a_failed_read_does_not_start_the_waiting_anew(steady: Cloud) -> None:
    """What was seen once stays seen while nothing else is known."""
    old = steady.principal()
    steady.delete(VM)
    first = steady.look(VM)
    assert first.again is not None
    steady.pass_time(1000)
    steady.wire.answer("GET", MISSING, 503, "ServerTimeout")
    second = steady.look(first.again)
    assert second.again is not None
    steady.look(second.again)

    assert steady.rights(old) == set()


def test_a_machine_that_returned_in_between_starts_the_waiting_anew(steady: Cloud) -> None:
    """Gone, back and gone again are two absences, each with its own five settling times."""
    steady.delete(VM)
    first = steady.look(VM)
    steady.build()
    principal = steady.principal()
    assert first.again is not None
    steady.drive(first.again)
    steady.delete(VM)
    last = steady.look(VM)

    assert steady.rights(principal) == OWN
    assert holds(last.plans[-1]) == {Hold.UNCONFIRMED}


def test_rights_elsewhere_are_found_by_their_marker(steady: Cloud) -> None:
    """What a gone identity held at a scope that policy no longer names goes too."""
    elsewhere = f"{DATA}/providers/Microsoft.Storage/storageAccounts/store"
    steady.operator.call("PUT", elsewhere, {"location": "westeurope"}, version="2023-01-01")
    old = steady.principal(SHARED)
    scope = APPS
    steady.operator.called_by(steady.world.app)
    steady.grant(
        old, scope=scope, name=steady.our_name(old, scope=scope), description=steady.mark(SHARED)
    )
    steady.operator.called_by(steady.world.operator)
    steady.delete(SHARED)
    steady.drive(SHARED)

    assert steady.rights(old) == set()


def test_a_machine_rebuilt_while_its_absence_is_confirmed_keeps_its_new_right(
    steady: Cloud,
) -> None:
    """Rights found after the machine was read are only retired by a second read that agrees."""
    elsewhere = f"{DATA}"
    steady.delete(VM)
    first = steady.look(VM)
    assert first.again is not None
    steady.pass_time(1000)

    def rebuilt_and_granted() -> None:
        principal = steady.build(settle=False).system
        assert principal is not None
        steady.operator.called_by(steady.world.app)
        steady.grant(
            principal.oid,
            scope=elsewhere,
            name=steady.our_name(principal.oid, scope=elsewhere),
            description=steady.mark(),
        )
        steady.operator.called_by(steady.world.operator)

    steady.wire.before("POST", "/microsoft.resourcegraph/", rebuilt_and_granted)
    steady.look(first.again)

    assert ("Reader", "rg-data") in steady.rights(steady.principal())


def test_an_id_that_names_nothing_is_no_error(cloud: Cloud) -> None:
    """Nothing wanted, nothing held: an empty plan."""
    result = cloud.look(machine("never"))

    assert result.plans[-1].compliant
    assert result.again_after is None
    assert result.plans[-1].id == ResourceId.parse(machine("never"))


def test_a_subscription_that_can_no_longer_be_seen_is_no_second_source(steady: Cloud) -> None:
    """Access lost to all of it answers every call with one and the same 404."""
    old = steady.principal()
    for part in (MISSING, "/resources"):
        steady.wire.answer("GET", part, 404, "SubscriptionNotFound", times=10_000)
    results = steady.drive(VM)

    assert steady.wire.writes == []
    assert steady.rights(old) == OWN
    assert results[-1].outcomes[-1].code == "SubscriptionNotFound"


def test_a_right_found_after_its_machine_was_read_is_confirmed(steady: Cloud) -> None:
    """A machine rebuilt in between explains it; the one that was read does not."""

    def rebuilt_and_granted() -> None:
        principal = steady.build(settle=False).system
        assert principal is not None
        steady.operator.called_by(steady.world.app)
        name = steady.our_name(principal.oid, scope=DATA)
        steady.grant(principal.oid, scope=DATA, name=name, description=steady.mark())
        steady.operator.called_by(steady.world.operator)

    steady.wire.before("POST", "/microsoft.resourcegraph/", rebuilt_and_granted)
    result = steady.look(Request(ResourceId.parse(VM), removals=steady.app.policy.digest))

    assert ("Reader", "rg-data") in steady.rights(steady.principal())
    assert [one.code for one in result.outcomes] == ["Changed"]
    assert result.again_after is not None
