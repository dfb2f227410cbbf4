"""How requests that were confirmed are carried to their end; over the local Azure, in process."""

import signal
from pathlib import Path

import pytest

from reconciler.changes import PLAN_CHANGED, CreateAssignment, Hold, Status
from reconciler.cli import interrupt
from reconciler.cli.interrupt import Interrupted
from reconciler.cli.look import Look
from reconciler.cli.work import Work
from reconciler.ids import ResourceId
from tests.loop.cloud import Cloud
from tests.loop.lab import APPS, SHARED, VM, guardrails, machine, policy, rule
from tests.sandbox.arm import SUB

SECOND = machine("vm2")
MOVED = rule(system={"grants": [{"role": "Reader", "scope": f"{SUB}/resourceGroups/rg-nowhere"}]})


@pytest.fixture
def lab(tmp_path: Path) -> Cloud:
    """Two machines in rg-app, which policy gives the identity `shared` and Reader on its group."""
    return Cloud(tmp_path, virtualMachines=[{"id": VM}, {"id": SECOND}])


def look(lab: Cloud, *places: str) -> Look:
    """Return the look at some ids."""
    return Look(lab.app, tuple(map(ResourceId.parse, places)))


def work(lab: Cloud, minutes: float = 60) -> Work:
    """Return the work of one command that tells nothing at once."""
    return Work(lab.app, minutes, told_at_once=False)


@pytest.mark.parametrize("written", range(3))
def test_an_interrupt_between_two_writes_ends_once_all_of_them_are_told(
    lab: Cloud, written: int
) -> None:
    """The identity and the first machine take three writes; of the second nothing is begun."""
    subjects = look(lab, SHARED, VM, SECOND)
    confirmed = [subjects.request(finding, made={}) for finding in subjects.findings()]
    doing = work(lab)
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == written + 1:
            signal.raise_signal(signal.SIGINT)

    for method in ("PUT", "PATCH", "DELETE"):
        lab.wire.before(method, "/", count, times=99)
    with interrupt.listening(), pytest.raises(Interrupted):
        doing.do(confirmed)

    assert {one.status for one in doing.outcomes} == {Status.DONE}
    granted = sum(isinstance(one.change, CreateAssignment) for one in doing.outcomes)
    holders = [lab.principal(SHARED), *([lab.principal()] if lab.resource().system else [])]
    assert granted == sum(len(lab.rights(holder)) for holder in holders)
    attaches = len(doing.outcomes) - granted
    assert attaches == len(lab.attached())
    assert not lab.attached(SECOND)


def test_a_second_interrupt_ends_at_once(lab: Cloud) -> None:
    """Nobody can tell then what the last call came to, and the message says so."""
    subjects = look(lab, VM)
    confirmed = [subjects.request(finding, made={}) for finding in subjects.findings()]
    lab.wire.before("PATCH", "/", lambda: signal.raise_signal(signal.SIGINT))
    lab.wire.before("PATCH", "/", lambda: signal.raise_signal(signal.SIGINT))

    with interrupt.listening(), pytest.raises(Interrupted) as caught:
        work(lab).do(confirmed)

    assert "what was under way may be done, too" in str(caught.value)
    with interrupt.listening(), interrupt.finishing():
        pass  # Nothing is left of it.


def test_a_plan_that_could_not_be_compared_at_first_is_compared_later(lab: Cloud) -> None:
    """The first look fails, and meanwhile another switches the identity on."""
    subjects = look(lab, VM)
    confirmed = [subjects.request(finding, made={}) for finding in subjects.findings()[:1]]
    lab.wire.answer("GET", f"{APPS}/providers/", 503, headers={"Retry-After": "1"})
    lab.operator.call("PATCH", VM, {"identity": {"type": "SystemAssigned"}})
    lab.wire.calls.clear()
    doing = work(lab)

    doing.do(confirmed)

    assert PLAN_CHANGED in {one.code for one in doing.outcomes}
    assert not lab.wire.writes


def test_another_plan_is_neither_done_nor_waited_for(lab: Cloud) -> None:
    """A machine that settles would be looked at again, and that look has nothing to compare."""
    lab.build(settle=False)
    subjects = look(lab, VM)
    ((request, _),) = [subjects.request(one, made={}) for one in subjects.findings()[:1]]
    lab.wire.calls.clear()
    doing = work(lab)

    doing.do([(request, "0" * 64)])

    (refused,) = doing.outcomes
    assert (refused.status, refused.code) == (Status.BLOCKED, PLAN_CHANGED)
    assert refused.next_step
    assert not lab.wire.writes


def test_what_is_kept_goes_at_once_under_the_fingerprint_of_just_that(lab: Cloud) -> None:
    """Its replacement has no scope; nobody waits for that, and no other plan is accepted."""
    lab.drive(*lab.app.sweep().requests)
    lab.pass_time()
    lab.deploy(policy(MOVED), guardrails())
    subjects = look(lab, VM)
    finding = subjects.findings()[0]
    (kept,) = finding.plan.kept
    held = lab.rights(lab.principal())
    assert (kept.hold, len(held)) == (Hold.REPLACEMENT, 1)

    request, fingerprint = subjects.request(finding, at_once=True, made={})
    assert fingerprint != finding.plan.fingerprint
    refused = work(lab)
    refused.do([(request, finding.plan.fingerprint)])
    assert lab.rights(lab.principal()) == held
    doing = work(lab)
    doing.do([(request, fingerprint)])

    assert [one.code for one in refused.outcomes] == [PLAN_CHANGED]
    assert [one.status for one in doing.outcomes] == [Status.DONE]
    assert not lab.rights(lab.principal())


def test_an_attach_beside_anothers_dead_entry_is_withheld_and_not_counted(lab: Cloud) -> None:
    """Azure would refuse it; the next step names what stands in the way."""
    lab.attach("foreign")
    lab.delete(SHARED.replace("/shared", "/foreign"))
    entry = next(iter(lab.resource().users.values()))
    assert not entry.principal.alive

    plan = lab.replan()

    assert not any("Attach" in type(change).__name__ for change in plan.changes)
    assert Hold.DEAD_ENTRY in {held.hold for held in plan.withheld}
