"""Delays, giving up and copies: what one request comes to when something is left to do."""

from datetime import timedelta

import pytest

from reconciler.arm.failures import AUTHORIZATION_FAILED, PRINCIPAL_NOT_FOUND
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    Hold,
    Outcome,
    Plan,
    Reason,
    Status,
    Withheld,
)
from reconciler.controller.run import Run
from reconciler.errors import Again, Blocked
from reconciler.model import Grant, Request
from tests.unit.builders import APP, DATA, NEW, NOON, OLD, READER, SETTLE, VM, assignment

SECONDS = timedelta(seconds=1)
MINUTES = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GRANT = CreateAssignment(Grant(READER, DATA), NEW, "marker")
ATTACH = AttachIdentity(VM, APP)
DELETE = DeleteAssignment(assignment(OLD), Reason.RESOURCE_GONE)


def run(
    *outcomes: Outcome,
    changes: tuple[Change, ...] = (),
    withheld: tuple[Withheld, ...] = (),
    age: timedelta = timedelta(),
    seen: tuple[str, ...] = (),
) -> Run:
    """Return a run that began at noon for a request that is so old, after one pass."""
    request = Request(VM, removals="digest", first=NOON - age if age else None, seen=seen)
    plan = Plan(VM, NOON, changes=changes, withheld=withheld)
    return Run(request, NOON, plans=[plan], outcomes=list(outcomes))


def wait(one: Run, *, writes: bool = True) -> timedelta | None:
    """Return when the copy is due."""
    return one.result(NOON, writes=writes).again_after


def again(change: Change = GRANT, code: str = "", after: timedelta | None = None) -> Outcome:
    """Return an outcome that time may mend."""
    return Outcome(change, Status.AGAIN, "not now", code, after)


def done(change: Change = GRANT) -> Outcome:
    """Return an outcome that went well."""
    return Outcome(change, Status.DONE)


def test_nothing_left_to_do_needs_no_copy() -> None:
    """The message is completed and that is the end of it."""
    result = run(done()).result(NOON, writes=True)

    assert result.again_after is None
    assert result.again is None


@pytest.mark.parametrize(
    ("age", "delay"),
    [
        (0 * SECONDS, 10 * SECONDS),
        (10 * SECONDS, 10 * SECONDS),
        (20 * SECONDS, 20 * SECONDS),
        (40 * SECONDS, 40 * SECONDS),
        (4 * MINUTES, 4 * MINUTES),
        (20 * MINUTES, 5 * MINUTES),
    ],
)
def test_delays_double_from_ten_seconds_to_five_minutes(age: timedelta, delay: timedelta) -> None:
    """Each copy waits as long as the request is old, so that nothing is counted or stored."""
    assert wait(run(again(), age=age)) == delay


def test_what_azure_asks_us_to_wait_is_waited() -> None:
    """Retry-After comes before our own reckoning; of several the soonest counts."""
    assert wait(run(again(after=7 * SECONDS), age=4 * MINUTES)) == 7 * SECONDS
    assert wait(run(again(after=20 * MINUTES))) == 20 * MINUTES
    assert wait(run(again(after=90 * SECONDS), again(ATTACH, after=30 * SECONDS))) == 30 * SECONDS


def test_a_delay_is_never_nothing() -> None:
    """A hold that lifted while we looked is looked at in a second, not in a circle."""
    lifted = Withheld(ATTACH, Hold.SETTLING, until=NOON - SECONDS)

    assert wait(run(withheld=(lifted,))) == SECONDS


@pytest.mark.parametrize(
    ("code", "age", "status"),
    [
        ("", HOUR - SECONDS, Status.AGAIN),
        ("", HOUR, Status.BLOCKED),
        (PRINCIPAL_NOT_FOUND, 10 * MINUTES - SECONDS, Status.AGAIN),
        (PRINCIPAL_NOT_FOUND, 10 * MINUTES, Status.BLOCKED),
    ],
)
def test_what_time_does_not_mend_is_blocked(code: str, age: timedelta, status: Status) -> None:
    """After an hour, or ten minutes for a principal that never comes, a person must look."""
    result = run(again(code=code), age=age).result(NOON, writes=True)

    assert [outcome.status for outcome in result.outcomes] == [status]
    assert (result.again is None) == (status is Status.BLOCKED)
    assert ("given up" in result.outcomes[0].detail) == (status is Status.BLOCKED)


def test_progress_starts_the_waiting_anew() -> None:
    """An hour counts from the last thing that was done."""
    result = run(done(ATTACH), again(), age=2 * HOUR).result(NOON, writes=True)

    assert result.outcomes[1].status is Status.AGAIN
    assert result.again_after == 10 * SECONDS
    assert result.again is not None
    assert result.again.first == NOON


def test_a_missing_right_is_looked_at_once_more_after_ten_minutes() -> None:
    """A right that was granted a moment ago needs that long to be effective (facts B4)."""
    refused = Outcome(GRANT, Status.BLOCKED, "no", AUTHORIZATION_FAILED)

    assert wait(run(refused, changes=(GRANT,))) == 10 * MINUTES
    assert wait(run(refused, changes=(GRANT,), age=10 * MINUTES)) is None
    assert wait(run(Outcome(GRANT, Status.BLOCKED, "no", "ScopeLocked"), changes=(GRANT,))) is None


def test_a_passing_hold_is_looked_at_when_it_lifts() -> None:
    """Where that is known; else as often as anything else."""
    settling = Withheld(ATTACH, Hold.SETTLING, until=NOON + SETTLE)
    busy = Withheld(ATTACH, Hold.BUSY)

    assert wait(run(withheld=(settling,))) == SETTLE
    assert wait(run(withheld=(busy,))) == 10 * SECONDS
    assert wait(run(withheld=(settling, busy))) == 10 * SECONDS


@pytest.mark.parametrize("hold", [hold for hold in Hold if not hold.passing])
def test_a_lasting_hold_is_left_to_a_person(hold: Hold) -> None:
    """Looking again would show the same."""
    assert wait(run(withheld=(Withheld(ATTACH, hold),))) is None


def test_a_resource_that_stays_busy_is_blocked_after_an_hour() -> None:
    """Machines hang in `Updating` at times (facts C2); somebody must see it."""
    busy = Withheld(ATTACH, Hold.BUSY)
    result = run(withheld=(busy,), age=HOUR).result(NOON, writes=True)

    assert result.again is None
    assert [(one.change, one.status) for one in result.outcomes] == [(ATTACH, Status.BLOCKED)]


def test_where_nothing_is_written_no_hold_is_waited_for() -> None:
    """Audit mode tells once; only a look that failed is repeated."""
    busy = Withheld(ATTACH, Hold.BUSY)

    assert wait(run(withheld=(busy,), changes=(GRANT,)), writes=False) is None
    assert wait(run(again(), withheld=(busy,)), writes=False) == 10 * SECONDS


def test_a_write_that_the_next_list_does_not_show_is_looked_at_again() -> None:
    """Lists lag behind writes; the write itself is not repeated."""
    one = run(done(), changes=(GRANT,))

    assert one.untried((GRANT,)) == ()
    assert wait(one) == 10 * SECONDS
    assert one.result(NOON, writes=True).outcomes == (done(),)


def test_a_change_is_the_same_when_a_later_look_shows_it_anew() -> None:
    """A grant is one by what it gives to whom, whatever marker goes with it."""
    one = run(done())
    renamed = CreateAssignment(GRANT.grant, NEW, "another marker")
    other = CreateAssignment(GRANT.grant, OLD, "marker")

    assert one.untried((renamed, other, ATTACH)) == (other, ATTACH)


def test_a_grant_waits_for_its_identity_unless_that_is_blocked() -> None:
    """Nobody to grant to may only mean not yet, but not where a person must act first."""
    waiting = CreateAssignment(GRANT.grant, None, "marker")

    assert wait(run(done(ATTACH), changes=(waiting,))) == 10 * SECONDS
    assert wait(run(Outcome(ATTACH, Status.BLOCKED), changes=(waiting,))) is None


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((), False),
        ((done(),), True),
        ((Outcome(GRANT, Status.CONFLICT),), True),
        ((done(ATTACH), again()), False),
        ((Outcome(GRANT, Status.BLOCKED),), False),
        ((Outcome(GRANT, Status.PRESENT),), True),
    ],
)
def test_another_pass_follows_only_where_it_can_show_something_new(
    outcomes: tuple[Outcome, ...], expected: object
) -> None:
    """What Azure puts off, time mends and not another look."""
    assert run(*outcomes).may_look_again is expected


def test_a_conflict_is_forgotten_by_the_next_pass() -> None:
    """It is decided anew, from what the other writer left."""
    one = run(Outcome(GRANT, Status.CONFLICT), done(ATTACH))
    one.forget_conflicts()

    assert one.outcomes == [done(ATTACH)]
    assert one.untried((GRANT,)) == (GRANT,)


def test_a_look_that_failed_is_an_outcome_without_a_change() -> None:
    """Passing failures are looked at again, others are for a person."""
    error = Again("slow down", status=429, code="TooManyRequests")
    error.retry_after = 3 * SECONDS
    passing, lasting = Run(Request(VM), NOON), Run(Request(VM), NOON)
    passing.failed(error)
    lasting.failed(Blocked("no", status=403, code="Denied"))

    assert passing.outcomes == [
        Outcome(None, Status.AGAIN, "slow down", "TooManyRequests", 3 * SECONDS)
    ]
    assert wait(passing) == 3 * SECONDS
    assert lasting.outcomes == [Outcome(None, Status.BLOCKED, "no", "Denied")]
    assert wait(lasting) is None


def test_a_copy_keeps_what_the_request_asked_for() -> None:
    """Its time is when it becomes due, so that no look before that answers it."""
    copy = run(again(), age=40 * SECONDS, seen=("a",)).result(NOON, writes=True).again

    assert copy == Request(
        VM,
        since=NOON + 40 * SECONDS,
        removals="digest",
        first=NOON - 40 * SECONDS,
        seen=("a",),
    )


def test_a_first_copy_remembers_when_the_look_began() -> None:
    """Not when it ended: waiting is reckoned from the first question."""
    copy = run(again()).result(NOON + 5 * SECONDS, writes=True).again

    assert copy is not None
    assert copy.first == NOON


def test_a_new_sight_starts_its_waiting_anew() -> None:
    """An entry seen dead for the first time has not been dead since the request was asked."""
    one = run(again(), age=MINUTES, seen=("old",))
    one.plans = [Plan(VM, NOON, seen=("new",))]
    copy = one.result(NOON, writes=True).again

    assert copy is not None
    assert copy.seen == ("new", "old")
    assert copy.first == NOON


def test_a_known_sight_keeps_its_time() -> None:
    """Else it would never have been seen for long enough."""
    one = run(again(), age=MINUTES, seen=("a",))
    one.plans = [Plan(VM, NOON, seen=("a",))]
    copy = one.result(NOON, writes=True).again

    assert copy is not None
    assert copy.first == NOON - MINUTES


@pytest.mark.parametrize(
    ("looked", "gone", "kept"),
    [(True, True, True), (True, False, False), (False, False, True)],
    ids=["gone still", "there again", "look failed"],
)
def test_gone_is_remembered_until_the_resource_is_seen_again(
    looked: object, gone: object, kept: object
) -> None:
    """A machine that came back and went once more is waited for from the start."""
    one = run(again(DELETE), seen=("gone",), age=MINUTES)
    one.gone = bool(gone)
    if not looked:
        one.plans = []
    copy = one.result(NOON, writes=True).again

    assert copy is not None
    assert ("gone" in copy.seen) is kept
