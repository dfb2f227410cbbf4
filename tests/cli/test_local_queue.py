"""`LocalQueue` carries confirmed requests to their end; over the local Azure, in process."""

import signal
from pathlib import Path

import pytest

from reconciler.changes import PLAN_CHANGED, CreateAssignment, Hold, Status
from reconciler.cli import terminal
from reconciler.cli.apply import LocalQueue, confirmed_requests
from reconciler.cli.plan import Subjects
from reconciler.cli.terminal import Interrupted
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.world.cloud import Cloud
from tests.world.ids import APPS, SHARED, SUB, VM, machine
from tests.world.policies import guardrails, policy, rule

SECOND = machine("vm2")
MOVED = rule(system={"grants": [{"role": "Reader", "scope": f"{SUB}/resourceGroups/rg-nowhere"}]})


@pytest.fixture
def lab(tmp_path: Path) -> Cloud:
    """Two machines in rg-app, which policy gives the identity `shared` and Reader on its group."""
    return Cloud(tmp_path, virtualMachines=[{"id": VM}, {"id": SECOND}])


def subjects(lab: Cloud, *ids: str) -> Subjects:
    """Return the subjects of a command that was given these ids."""
    return Subjects(lab.app, tuple(map(ResourceId.parse, ids)))


def confirmed(lab: Cloud, *ids: str) -> list[tuple[Request, str]]:
    """Return the requests for some ids and no others, each with its plan's fingerprint."""
    comparisons = subjects(lab, *ids).compare()
    chosen = [comparison for comparison in comparisons if str(comparison.plan.id) in ids]
    return confirmed_requests(lab.app, chosen)


def local_queue(lab: Cloud) -> LocalQueue:
    """Return the queue of one command that prints nothing."""
    return LocalQueue(lab.app, minutes=60, print_outcomes=False)


@pytest.mark.parametrize("written", range(3))
def test_an_interrupt_between_two_writes_ends_once_both_are_accounted_for(
    lab: Cloud, written: int
) -> None:
    """The identity and the first machine take three writes; the second machine is not begun."""
    requests = confirmed(lab, SHARED, VM, SECOND)
    queue = local_queue(lab)
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == written + 1:
            signal.raise_signal(signal.SIGINT)

    for method in ("PUT", "PATCH", "DELETE"):
        lab.wire.before(method, "/", count, times=99)
    with terminal.raise_interrupts(), pytest.raises(Interrupted):
        queue.drain(requests)

    outcomes = queue.outcomes.values()
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    granted = sum(isinstance(outcome.change, CreateAssignment) for outcome in outcomes)
    holders = [lab.principal(SHARED), *([lab.principal()] if lab.resource().system else [])]
    assert granted == sum(len(lab.rights(holder)) for holder in holders)
    attaches = len(outcomes) - granted
    assert attaches == len(lab.attached())
    assert not lab.attached(SECOND)


def test_a_second_interrupt_ends_at_once(lab: Cloud) -> None:
    """Nobody can know then what the last call came to, and the message says so."""
    requests = confirmed(lab, SHARED, VM)
    lab.wire.before("PATCH", "/", lambda: signal.raise_signal(signal.SIGINT))
    lab.wire.before("PATCH", "/", lambda: signal.raise_signal(signal.SIGINT))

    with terminal.raise_interrupts(), pytest.raises(Interrupted) as caught:
        local_queue(lab).drain(requests)

    assert "what was under way may be done, too" in str(caught.value)
    with terminal.raise_interrupts(), terminal.defer_interrupts():
        pass  # Nothing is left of it.


def test_a_plan_that_could_not_be_compared_at_first_is_compared_later(lab: Cloud) -> None:
    """The first look fails, and meanwhile another switches the identity on."""
    requests = confirmed(lab, VM)
    lab.wire.answer("GET", f"{APPS}/providers/", 503, headers={"Retry-After": "1"})
    lab.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}})
    lab.wire.calls.clear()
    queue = local_queue(lab)

    queue.drain(requests)

    assert PLAN_CHANGED in {outcome.code for outcome in queue.outcomes.values()}
    assert not lab.wire.writes


def test_another_plan_is_neither_carried_out_nor_waited_for(lab: Cloud) -> None:
    """A machine that settles would be looked at again, and that look has nothing to compare."""
    lab.build(settle=False)
    ((request, _),) = confirmed(lab, VM)
    lab.wire.calls.clear()
    queue = local_queue(lab)

    queue.drain([(request, "0" * 64)])

    (refused,) = queue.outcomes.values()
    assert (refused.status, refused.code) == (Status.BLOCKED, PLAN_CHANGED)
    assert refused.next_step
    assert not lab.wire.writes


def test_a_released_right_goes_at_once_under_a_fingerprint_of_its_own(lab: Cloud) -> None:
    """Its replacement has no scope; nobody waits for that, and no other plan is accepted."""
    lab.drive(*lab.app.sweep().requests)
    lab.pass_time()
    lab.deploy(policy(MOVED), guardrails())
    comparison = subjects(lab, VM).compare()[0]
    (kept,) = comparison.plan.kept
    held = lab.rights(lab.principal())
    assert (kept.hold, len(held)) == (Hold.REPLACEMENT, 1)

    released = frozenset({comparison.plan.id})
    ((request, fingerprint),) = confirmed_requests(lab.app, [comparison], released)
    assert fingerprint != comparison.plan.fingerprint
    refusing = local_queue(lab)
    refusing.drain([(request, comparison.plan.fingerprint)])
    assert lab.rights(lab.principal()) == held
    releasing = local_queue(lab)
    releasing.drain([(request, fingerprint)])

    assert [outcome.code for outcome in refusing.outcomes.values()] == [PLAN_CHANGED]
    assert [outcome.status for outcome in releasing.outcomes.values()] == [Status.DONE]
    assert not lab.rights(lab.principal())


def test_an_attach_beside_anothers_dead_entry_is_withheld(lab: Cloud) -> None:
    """Azure would refuse it; the next step names what stands in the way."""
    lab.attach("foreign")
    lab.delete(SHARED.replace("/shared", "/foreign"))
    entry = next(iter(lab.resource().users.values()))
    assert not entry.principal.alive

    plan = lab.replan()

    assert not any("Attach" in type(change).__name__ for change in plan.changes)
    assert Hold.DEAD_ENTRY in {held.hold for held in plan.withheld}
