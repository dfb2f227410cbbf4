"""Who else writes to a machine: it is busy, overtakes us, or is no longer the one that was seen."""

from reconciler.changes import Hold, Status
from tests.world.cloud import Cloud, blocked, holds, void
from tests.world.ids import VM

OWN = {("Reader", "rg-app")}
ALWAYS = 10_000


def test_a_machine_that_is_being_updated_is_not_patched(steady: Cloud) -> None:
    """A PATCH would collide; grants to its principal do not wait."""
    steady.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}})
    steady.world.remove_assignment(steady.right(steady.principal()))
    result = steady.look(VM)

    assert holds(result.plans[-1]) == {Hold.BUSY}
    assert steady.rights(steady.principal()) == OWN

    assert result.again is not None
    steady.drive(result.again)
    assert steady.attached() == {"system", "shared"}


def test_a_machine_that_stays_busy_is_blocked_in_the_end(cloud: Cloud) -> None:
    """After an hour without progress a person must look at it."""
    body = cloud.operator.get(VM)
    body["properties"]["provisioningState"] = "Updating"
    cloud.wire.answer("GET", "/virtualmachines/vm1", 200, body=body, times=ALWAYS)
    results = cloud.drive(VM)

    assert results[-1].again_after is None
    assert blocked(results)


def test_another_writer_between_look_and_patch_is_looked_at_again(cloud: Cloud) -> None:
    """If-Match turns a lost update into a 412, and the run begins anew."""

    def overtake() -> None:
        answer = cloud.operator.call("PATCH", VM, {"tags": {"owner": "somebody"}})
        assert answer.status_code == 200
        cloud.clock.forward(10)

    cloud.wire.before("PATCH", "/virtualmachines/vm1", overtake)
    cloud.look(VM)

    assert [one.status for one in cloud.world.requests if one.method == "PATCH"] == [200, 412, 200]
    assert cloud.resource().tags == {"owner": "somebody"}
    assert cloud.attached() == {"system", "shared"}
    assert cloud.replan().compliant


def test_a_conflict_is_looked_at_again(cloud: Cloud) -> None:
    """409 is no refusal: the same run decides anew."""
    cloud.wire.answer("PATCH", "", 409, "ConflictingConcurrentWriteNotAllowed")
    result = cloud.look(VM)

    assert cloud.attached() == {"system", "shared"}
    assert {one.status for one in result.outcomes} == {Status.DONE}


def test_a_lasting_conflict_waits_and_is_blocked_in_the_end(cloud: Cloud) -> None:
    """At most three passes a run; after an hour without progress a person must look."""
    cloud.wire.answer("PATCH", "", 409, "AnotherOperationInProgress", times=ALWAYS)
    results = cloud.drive(VM)

    assert len(results[0].plans) == 3
    assert results[0].again_after is not None
    assert {one.code for one in blocked(results)} == {"AnotherOperationInProgress"}


def test_a_patch_that_met_the_next_machine_ends_the_plan(cloud: Cloud) -> None:
    """Etags begin anew with each machine; what the answer shows decides whether to go on."""
    old = cloud.build().system

    def rebuild() -> None:
        cloud.world.remove(cloud.resource())
        body = {
            "location": "westeurope",
            "properties": {},
            "identity": {"type": "SystemAssigned"},
        }
        assert cloud.operator.call("PUT", VM, body).status_code == 201

    cloud.wire.before("PATCH", "/virtualmachines/vm1", rebuild)
    cloud.look(VM)
    calls = cloud.wire.calls
    patched = next(place for place, call in enumerate(calls) if call.method == "PATCH")

    assert cloud.attached() == {"system", "shared"}
    assert calls[patched + 1].method == "GET"
    assert old is not None
    assert cloud.rights(old.oid) == set()
    assert cloud.rights(cloud.principal()) == OWN


def test_a_machine_rebuilt_before_the_patch_is_granted_nothing_by_the_old_plan(
    steady: Cloud,
) -> None:
    """412 says that the machine is not the one that was seen, nor is its principal."""
    steady.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}})
    steady.pass_time()
    steady.world.remove_assignment(steady.right(steady.principal()))
    steady.wire.calls.clear()
    steady.wire.before("PATCH", "/virtualmachines/vm1", lambda: void(steady.build(settle=False)))
    steady.look(VM)
    calls = steady.wire.calls
    patched = next(place for place, call in enumerate(calls) if call.method == "PATCH")

    assert calls[patched + 1].method == "GET"
    assert steady.rights(steady.principal()) == OWN


def test_a_machine_that_vanishes_before_the_patch_is_looked_at_again(steady: Cloud) -> None:
    """Its 404 is one source only; the next look decides."""
    steady.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}})
    steady.pass_time()
    steady.wire.before("PATCH", "/virtualmachines/vm1", lambda: steady.delete(VM))
    old = steady.principal()
    steady.drive(VM)

    assert steady.rights(old) == set()
