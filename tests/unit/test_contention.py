"""When a change waits, and when another writer is fighting over it."""

from datetime import datetime, timedelta

import pytest

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Reason,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.model import Grant
from reconciler.reconcile.contention import Contention, Repetition
from tests.world.builders import APP, DATA, NEW, OLD, VM, assignment
from tests.world.ids import NOON, READER

SECONDS = timedelta(seconds=1)
MINUTES = timedelta(minutes=1)
CREATE = CreateAssignment(Grant(READER, DATA), NEW, "marker")
ATTACH = AttachIdentity(VM, APP)
NARROW = UpdateAssignment(assignment(), Grant(READER, DATA, "c"), "m", Reason.CONDITION_DIFFERS)


class Clock:
    """A time that tests turn."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Return the time now."""
        return self.now


def made(times: int, change: Change = CREATE, incarnation: str | None = None) -> Contention:
    """Return what is known after a change was made some times at noon."""
    contention = Contention(lambda: NOON)
    for _ in range(times):
        contention.record(VM, change, incarnation)
    return contention


WIDENS = {
    "grant": CREATE,
    "attach": ATTACH,
    "heal": DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED),
    "lift a condition": UpdateAssignment(
        assignment(), Grant(READER, DATA), "m", Reason.CONDITION_DIFFERS
    ),
    "mark": UpdateAssignment(assignment(), Grant(READER, DATA, "c"), "m", Reason.MARKER_DIFFERS),
}
NARROWS = {
    "restore a condition": NARROW,
    "take an exclusive identity off": DetachIdentity(VM, APP, Reason.NOT_ALLOWED),
    "take an unwanted right": DeleteAssignment(assignment(), Reason.UNWANTED),
    "take a dead right": DeleteAssignment(assignment(OLD), Reason.RESOURCE_GONE),
}


@pytest.mark.parametrize("change", WIDENS.values(), ids=list(WIDENS))
def test_a_change_made_three_times_within_an_hour_is_contended(change: Change) -> None:
    """Whether or not a look saw it fulfilled in between: somebody undoes it each time."""
    assert not made(2, change).repetition(VM, change).contended
    assert made(3, change).repetition(VM, change).contended


@pytest.mark.parametrize("change", NARROWS.values(), ids=list(NARROWS))
def test_a_change_that_narrows_is_never_contended(change: Change) -> None:
    """However often somebody widens it; before each time it still waits."""
    contention = made(100, change)

    assert not contention.repetition(VM, change).contended
    assert contention.repetition(VM, change).wait == 5 * MINUTES


@pytest.mark.parametrize(
    ("times", "wait"),
    [
        (0, None),
        (1, 10 * SECONDS),
        (2, 20 * SECONDS),
        (3, 40 * SECONDS),
        (4, 80 * SECONDS),
        (5, 160 * SECONDS),
        (6, 5 * MINUTES),
        (9, 5 * MINUTES),
    ],
)
def test_a_repeated_change_waits_ten_seconds_doubling_up_to_five_minutes(
    times: int, wait: timedelta | None
) -> None:
    """Whichever event asks for it."""
    assert made(times, NARROW).repetition(VM, NARROW).wait == wait


def test_the_wait_counts_from_the_last_write() -> None:
    """And ends when it is over."""
    clock = Clock()
    contention = Contention(clock)
    contention.record(VM, CREATE)
    clock.now += 4 * SECONDS
    assert contention.repetition(VM, CREATE).wait == 6 * SECONDS
    clock.now += 6 * SECONDS
    assert contention.repetition(VM, CREATE).wait is None
    contention.record(VM, CREATE)
    assert contention.repetition(VM, CREATE).wait == 20 * SECONDS


@pytest.mark.parametrize(
    ("place", "change", "incarnation"),
    [
        pytest.param(
            VM, CreateAssignment(Grant(READER, DATA), OLD, "marker"), "a", id="another principal"
        ),
        pytest.param(
            VM, CreateAssignment(Grant(READER, DATA, "c"), NEW, "marker"), "a", id="a condition"
        ),
        pytest.param(APP, CREATE, "a", id="another place"),
        pytest.param(VM, CREATE, "b", id="the machine that was rebuilt"),
        pytest.param(VM, CREATE, None, id="no incarnation"),
        pytest.param(VM, ATTACH, "a", id="another change"),
    ],
)
def test_another_change_is_no_repetition(
    place: ResourceId, change: Change, incarnation: str | None
) -> None:
    """A rebuilt machine is another one, and what it is given is new."""
    contention = made(3, CREATE, "a")

    assert contention.repetition(place, change, incarnation) == Repetition()


def test_a_change_is_the_same_whatever_its_case_and_marker() -> None:
    """Answers differ in spelling from one look to the next."""
    contention = made(3)
    spelled = ResourceId.parse(DATA.text.upper())
    again = CreateAssignment(Grant(READER, spelled), NEW.upper(), "another marker")

    assert contention.repetition(ResourceId.parse(VM.text.upper()), again).contended


def test_a_contended_change_may_be_made_once_a_write_is_an_hour_old() -> None:
    """One more write within the hour makes it contended again."""
    clock = Clock()
    contention = Contention(clock)
    for minutes in (0, 20, 40):
        clock.now = NOON + minutes * MINUTES
        contention.record(VM, CREATE)

    clock.now = NOON + 60 * MINUTES
    assert contention.repetition(VM, CREATE).contended
    clock.now += SECONDS
    assert not contention.repetition(VM, CREATE).contended
    assert contention.repetition(VM, CREATE).times == 2
    contention.record(VM, CREATE)
    assert contention.repetition(VM, CREATE).contended


def test_only_the_latest_ten_thousand_changes_are_remembered() -> None:
    """Losing one costs nothing but a later notice."""
    contention = made(3)
    for number in range(10_000):
        contention.record(ResourceId.parse(f"{VM}{number}"), CREATE)

    assert contention.repetition(VM, CREATE).times == 0


def test_only_the_latest_writes_of_a_change_are_remembered() -> None:
    """Nobody can fill the memory by undoing it."""
    assert made(1000).repetition(VM, CREATE).times <= 10
