"""Delays, giving up and copies: what one request comes to when something is left to do."""

from datetime import timedelta

import pytest

from reconciler.azure.failures import (
    AUTHORIZATION_FAILED,
    LINKED_AUTHORIZATION_FAILED,
    PRINCIPAL_NOT_FOUND,
    ROLE_NOT_FOUND,
    SIGN_IN,
)
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Outcome,
    Plan,
    Reason,
    Result,
    Status,
    Withheld,
)
from reconciler.errors import Again, Blocked, Conflict
from reconciler.model import MOST_SIGHTINGS, Grant, Removals, Request, Sight, Sighting
from reconciler.reconcile.retry import Progress, schedule_repeat
from tests.world.builders import APP, DATA, NEW, OLD, SETTLE, VM, assignment, machine, observed
from tests.world.ids import NOON, READER

SECONDS = timedelta(seconds=1)
MINUTES = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GRANT = CreateAssignment(Grant(READER, DATA), NEW, "marker")
ATTACH = AttachIdentity(VM, APP)
DELETE = DeleteAssignment(assignment(OLD), Reason.RESOURCE_GONE)
REMOVALS = Removals("digest", frozenset({APP}))
EARLIER = Sighting(NOON - MINUTES, Sight.DEAD_ENTRY, "a")


def progress(
    *outcomes: Outcome,
    changes: tuple[Change, ...] = (),
    withheld: tuple[Withheld, ...] = (),
    age: timedelta = timedelta(),
    seen: tuple[Sighting, ...] = (),
) -> Progress:
    """Return a run that began at noon for a request that is so old, after one pass."""
    first = NOON - age if age else None
    request = Request(VM, removals=REMOVALS, first=first, sightings=seen)
    plan = Plan(VM, NOON, changes=changes, withheld=withheld)
    return Progress(request, NOON, plans=[plan], outcomes=list(outcomes))


def delay(made: Progress, *, writes: bool = True) -> timedelta | None:
    """Return when the copy is due."""
    return made.result(NOON, writes=writes).again_after


def again(change: Change = GRANT, code: str = "", after: timedelta | None = None) -> Outcome:
    """Return an outcome that time may mend."""
    return Outcome(change, Status.AGAIN, "not now", code, after)


def done(change: Change = GRANT) -> Outcome:
    """Return an outcome that went well."""
    return Outcome(change, Status.DONE)


def test_a_run_that_left_nothing_to_do_has_no_copy() -> None:
    """The message is completed and that is the end of it."""
    result = progress(done()).result(NOON, writes=True)

    assert result.again_after is None
    assert result.again is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0 * SECONDS, 10 * SECONDS),
        (10 * SECONDS, 10 * SECONDS),
        (20 * SECONDS, 20 * SECONDS),
        (40 * SECONDS, 40 * SECONDS),
        (4 * MINUTES, 4 * MINUTES),
        (20 * MINUTES, 5 * MINUTES),
    ],
)
def test_delays_double_from_ten_seconds_to_five_minutes(
    age: timedelta, expected: timedelta
) -> None:
    """Each copy waits as long as the request is old, so that nothing is counted or stored."""
    assert delay(progress(again(), age=age)) == expected


def test_retry_after_comes_before_our_own_delay() -> None:
    """Of several the soonest counts."""
    assert delay(progress(again(after=7 * SECONDS), age=4 * MINUTES)) == 7 * SECONDS
    assert delay(progress(again(after=20 * MINUTES))) == 20 * MINUTES
    assert (
        delay(progress(again(after=90 * SECONDS), again(ATTACH, after=30 * SECONDS)))
        == 30 * SECONDS
    )


def test_a_delay_is_at_least_a_second() -> None:
    """A hold that lifted during the look must not lead to a busy loop."""
    lifted = Withheld(ATTACH, Hold.SETTLING, until=NOON - SECONDS)

    assert delay(progress(withheld=(lifted,))) == SECONDS


@pytest.mark.parametrize(
    ("code", "age", "status"),
    [
        ("", HOUR - SECONDS, Status.AGAIN),
        ("", HOUR, Status.BLOCKED),
        (PRINCIPAL_NOT_FOUND, 10 * MINUTES - SECONDS, Status.AGAIN),
        (PRINCIPAL_NOT_FOUND, 10 * MINUTES, Status.BLOCKED),
        (ROLE_NOT_FOUND, 10 * MINUTES - SECONDS, Status.AGAIN),
        (ROLE_NOT_FOUND, 10 * MINUTES, Status.BLOCKED),
    ],
)
def test_what_is_repeated_for_too_long_is_blocked(
    code: str, age: timedelta, status: Status
) -> None:
    """After an hour, or ten minutes for a principal or role that is not replicated by then."""
    result = progress(again(code=code), age=age).result(NOON, writes=True)

    assert [outcome.status for outcome in result.outcomes] == [status]
    assert (result.again is None) == (status is Status.BLOCKED)
    assert ("given up" in result.outcomes[0].detail) == (status is Status.BLOCKED)


def test_a_change_that_was_made_starts_the_waiting_anew() -> None:
    """The hour of giving up counts from the last thing that was done."""
    result = progress(done(ATTACH), again(), age=2 * HOUR).result(NOON, writes=True)

    assert result.outcomes[1].status is Status.AGAIN
    assert result.again_after == 10 * SECONDS
    assert result.again is not None
    assert result.again.first == NOON


@pytest.mark.parametrize("code", [AUTHORIZATION_FAILED, LINKED_AUTHORIZATION_FAILED])
def test_a_missing_right_is_tried_once_more_after_ten_minutes(code: str) -> None:
    """A right that was just granted needs up to that long to be effective (facts: Rights)."""
    refused = Outcome(GRANT, Status.BLOCKED, "no", code)

    assert delay(progress(refused, changes=(GRANT,))) == 10 * MINUTES
    assert delay(progress(refused, changes=(GRANT,), age=10 * MINUTES)) is None
    assert (
        delay(progress(Outcome(GRANT, Status.BLOCKED, "no", "ScopeLocked"), changes=(GRANT,)))
        is None
    )


def test_a_failed_sign_in_is_tried_again_for_an_hour() -> None:
    """A person may have to act, but the identity endpoint may also just be down."""
    refused = Outcome(None, Status.BLOCKED, "no", SIGN_IN)

    assert delay(progress(refused)) == 10 * SECONDS
    assert delay(progress(refused, age=HOUR)) is None


def test_an_unknown_conflict_is_blocked_when_it_comes_again() -> None:
    """Nobody knows whether it passes, so it is tried once more, however soon."""
    unknown = Outcome(ATTACH, Status.AGAIN, "no", "PropertyChangeNotAllowed", last_try=True)
    first = progress(unknown).result(NOON, writes=True)
    assert [one.status for one in first.outcomes] == [Status.AGAIN]
    assert first.again
    assert first.again.sightings == (Sighting(NOON, Sight.REFUSED, "PropertyChangeNotAllowed"),)

    later = first.again.since or NOON
    second = Progress(first.again, later, outcomes=[unknown]).result(later, writes=True)
    assert [one.status for one in second.outcomes] == [Status.BLOCKED]
    assert second.again is None

    other = Progress(
        first.again, later, outcomes=[Outcome(ATTACH, Status.AGAIN, code="A", last_try=True)]
    )
    assert other.result(later, writes=True).again is not None
    passing = Progress(first.again, later, outcomes=[again(code="PropertyChangeNotAllowed")])
    assert passing.result(later, writes=True).again is not None


def test_a_passing_hold_is_looked_at_when_it_may_lift() -> None:
    """Where no time is known, after the usual delay."""
    settling = Withheld(ATTACH, Hold.SETTLING, until=NOON + SETTLE)
    busy = Withheld(ATTACH, Hold.BUSY)

    assert delay(progress(withheld=(settling,))) == SETTLE
    assert delay(progress(withheld=(busy,))) == 10 * SECONDS
    assert delay(progress(withheld=(settling, busy))) == 10 * SECONDS


ABSENT = {Hold.IDENTITY_ABSENT, Hold.SCOPE_ABSENT}


def young(held: Withheld, age: timedelta = 0 * SECONDS) -> Progress:
    """Return a run about a machine that was just made."""
    made = progress(withheld=(held,), age=age)
    made.young = True
    return made


@pytest.mark.parametrize("hold", [hold for hold in Hold if not hold.passing])
def test_a_lasting_hold_has_no_copy(hold: Hold) -> None:
    """Looking again would show the same, except where a late index may hide what was just made."""
    held = Withheld(ATTACH, hold)

    assert delay(progress(withheld=(held,), age=15 * MINUTES)) is None
    assert (delay(progress(withheld=(held,))) is not None) is (hold is Hold.SCOPE_ABSENT)
    assert (delay(young(held)) is not None) is (hold in ABSENT)


@pytest.mark.parametrize("hold", sorted(ABSENT))
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0 * SECONDS, 10 * SECONDS),
        (40 * SECONDS, 40 * SECONDS),
        (15 * MINUTES - SECONDS, 5 * MINUTES),
        (15 * MINUTES, None),
    ],
)
def test_an_absent_identity_or_scope_is_asked_for_again_for_fifteen_minutes(
    hold: Hold, age: timedelta, expected: timedelta | None
) -> None:
    """An identity or scope that was just made is 404 for a while (facts: Visibility).

    Of an identity only a young machine asks again: the index shows any other to its own event.
    """
    held = Withheld(ATTACH, hold)
    assert delay(young(held, age)) == expected
    assert delay(young(held, age), writes=False) is None


def test_a_right_that_waits_for_its_replacement_has_no_copy_of_its_own() -> None:
    """The copy that the replacement needs serves it as well."""
    kept = Withheld(DeleteAssignment(assignment(), Reason.UNWANTED), Hold.REPLACING)

    assert delay(progress(withheld=(kept,))) is None
    assert delay(progress(withheld=(kept,), age=HOUR)) is None
    assert progress(withheld=(kept,), age=HOUR).result(NOON, writes=True).outcomes == ()
    assert delay(progress(again(after=7 * SECONDS), withheld=(kept,))) == 7 * SECONDS
    assert progress(done(), withheld=(kept,)).may_look_again()


def test_a_missing_id_is_looked_at_when_the_log_may_show_its_end() -> None:
    """Also where that is later than any other delay, and only where we may write."""
    made = progress()
    made.alive, made.ask_at = False, NOON + 10 * MINUTES

    assert delay(made) == 10 * MINUTES
    assert delay(made, writes=False) is None
    made.ask_at = NOON - MINUTES
    assert delay(made) == SECONDS


def test_an_unconfirmed_removal_is_looked_at_when_the_plan_says() -> None:
    """Without a time, it is looked at for an hour and then blocked."""
    unproved = Withheld(DELETE, Hold.UNCONFIRMED, until=NOON + 20 * MINUTES)
    undated = Withheld(DELETE, Hold.UNCONFIRMED)

    assert delay(progress(withheld=(unproved,), age=2 * HOUR)) == 20 * MINUTES
    assert delay(progress(withheld=(undated,), age=59 * MINUTES)) == 5 * MINUTES
    stuck = progress(withheld=(undated,), age=HOUR).result(NOON, writes=True)
    assert stuck.again is None
    assert [(one.change, one.status) for one in stuck.outcomes] == [(DELETE, Status.BLOCKED)]


def test_a_resource_that_stays_busy_is_blocked_after_an_hour() -> None:
    """Machines hang in `Updating` at times (facts: Dead entries); somebody must see it."""
    busy = Withheld(ATTACH, Hold.BUSY)
    result = progress(withheld=(busy,), age=HOUR).result(NOON, writes=True)

    assert result.again is None
    assert [(one.change, one.status) for one in result.outcomes] == [(ATTACH, Status.BLOCKED)]


def test_audit_mode_repeats_only_a_look_that_failed() -> None:
    """Audit mode tells once; only a look that failed is repeated."""
    busy = Withheld(ATTACH, Hold.BUSY)

    assert delay(progress(withheld=(busy,), changes=(GRANT,)), writes=False) is None
    assert delay(progress(again(), withheld=(busy,)), writes=False) == 10 * SECONDS


def test_a_written_change_that_the_list_lacks_is_looked_at_again() -> None:
    """Lists lag behind writes; the write itself is not repeated."""
    made = progress(done(), changes=(GRANT,))

    assert made.untried((GRANT,)) == ()
    assert delay(made) == 10 * SECONDS
    assert made.result(NOON, writes=True).outcomes == (done(),)


def test_a_grant_is_the_same_change_whatever_its_marker() -> None:
    """A later look may show it with another one."""
    made = progress(done())
    renamed = CreateAssignment(GRANT.grant, NEW, "another marker")
    other = CreateAssignment(GRANT.grant, OLD, "marker")

    assert made.untried((renamed, other, ATTACH)) == (other, ATTACH)


def test_a_grant_without_principal_waits_unless_its_identity_is_blocked() -> None:
    """The identity may only just be being switched on."""
    waiting = CreateAssignment(GRANT.grant, None, "marker")

    assert delay(progress(done(ATTACH), changes=(waiting,))) == 10 * SECONDS
    assert delay(progress(Outcome(ATTACH, Status.BLOCKED), changes=(waiting,))) is None


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((), False),
        ((done(),), True),
        ((Outcome(GRANT, Status.CONFLICT),), True),
        ((done(ATTACH), again()), False),
        ((Outcome(GRANT, Status.BLOCKED),), False),
        ((Outcome(GRANT, Status.PRESENT),), True),
        ((done(DELETE),), False),
        ((done(DELETE), done()), True),
        ((again(DELETE), done()), True),
        ((done(DeleteAssignment(assignment(), Reason.UNWANTED)),), True),
    ],
)
def test_another_pass_follows_only_where_a_look_can_show_something_new(
    outcomes: tuple[Outcome, ...], expected: object
) -> None:
    """Only time helps what Azure put off; the deletion of a dead right needs no look."""
    assert progress(*outcomes).may_look_again() is expected


def test_no_pass_follows_where_a_copy_is_due_in_a_moment() -> None:
    """The copy sees what was written."""
    settling = Withheld(ATTACH, Hold.SETTLING, until=NOON + 5 * SECONDS)

    assert not progress(done(), withheld=(settling,)).may_look_again()


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((done(ATTACH),), True),
        ((done(DetachIdentity(VM, APP, Reason.NOT_ALLOWED)), done(ATTACH)), True),
        ((done(ATTACH), done()), False),
        ((Outcome(ATTACH, Status.BLOCKED),), False),
    ],
)
def test_only_identities_and_dead_rights_need_no_look_but_the_answer(
    outcomes: tuple[Outcome, ...], expected: object
) -> None:
    """A PATCH's answer shows the resource; of rights it shows nothing."""
    assert progress(*outcomes).only_patched() is expected


def test_a_deleted_dead_right_that_a_list_still_shows_has_no_copy() -> None:
    """Its answer told that it is gone."""
    assert delay(progress(done(DELETE), changes=(DELETE,))) is None


def test_a_conflict_is_decided_anew_by_the_next_look() -> None:
    """It is decided anew, from what the other writer left."""
    made = progress(Outcome(GRANT, Status.CONFLICT), done(ATTACH))
    made.add_look(observed(machine()), Plan(VM, NOON))

    assert made.outcomes == [done(ATTACH)]
    assert made.untried((GRANT,)) == (GRANT,)


def test_a_failed_look_is_an_outcome_without_a_change() -> None:
    """A passing failure is looked at again, any other is for a person."""
    error = Again("slow down", status=429, code="TooManyRequests")
    error.retry_after = 3 * SECONDS
    passing, lasting = Progress(Request(VM), NOON), Progress(Request(VM), NOON)
    passing.add_failure(error)
    lasting.add_failure(Blocked("no", status=403, code="Denied"))

    assert passing.outcomes == [
        Outcome(None, Status.AGAIN, "slow down", "TooManyRequests", 3 * SECONDS)
    ]
    assert delay(passing) == 3 * SECONDS
    assert lasting.outcomes == [Outcome(None, Status.BLOCKED, "no", "Denied")]
    assert delay(lasting) is None


def test_an_unknown_conflict_of_a_look_is_a_last_try() -> None:
    """Also where it was the look itself that met it."""
    error = Conflict("no", status=409, code="A")
    error.known = False
    made = Progress(Request(VM), NOON)
    made.add_failure(error)

    assert made.outcomes == [Outcome(None, Status.AGAIN, "no", "A", last_try=True)]


def test_a_copy_keeps_what_its_request_asked_for() -> None:
    """Its `since` is when it becomes due, so that no earlier run covers it."""
    copy = progress(again(), age=40 * SECONDS, seen=(EARLIER,)).result(NOON, writes=True).again

    assert copy == Request(
        VM,
        since=NOON + 40 * SECONDS,
        removals=REMOVALS,
        first=NOON - 40 * SECONDS,
        sightings=(EARLIER,),
    )


def test_a_first_copy_keeps_when_the_run_began() -> None:
    """Waiting counts from the first question, not from when the run ended."""
    copy = progress(again()).result(NOON + 5 * SECONDS, writes=True).again

    assert copy is not None
    assert copy.first == NOON


def test_a_new_sighting_starts_the_waiting_anew() -> None:
    """An entry that was just seen dead has not been dead since the request was first asked."""
    fresh = Sighting(NOON, Sight.DEAD_ENTRY, "b")
    made = progress(again(), age=MINUTES, seen=(EARLIER,))
    made.plans = [Plan(VM, NOON, sightings=(fresh,))]
    copy = made.result(NOON, writes=True).again

    assert copy is not None
    assert copy.sightings == (EARLIER, fresh)
    assert copy.first == NOON


def test_a_known_sighting_keeps_its_first_time() -> None:
    """Otherwise it would never have been seen for long enough."""
    made = progress(again(), age=MINUTES, seen=(EARLIER,))
    made.plans = [Plan(VM, NOON, sightings=(Sighting(NOON, EARLIER.what, EARLIER.about),))]
    copy = made.result(NOON, writes=True).again

    assert copy is not None
    assert copy.sightings == (EARLIER,)
    assert copy.first == NOON - MINUTES


@pytest.mark.parametrize("what", [Sight.GONE, Sight.NOT_YET])
@pytest.mark.parametrize(
    ("alive", "kept"),
    [(False, True), (True, False), (None, True)],
    ids=["not found", "there again", "look failed"],
)
def test_a_not_found_sighting_is_kept_until_the_id_is_found(
    what: Sight, alive: object, kept: object
) -> None:
    """A machine that came back and went once more is waited for from the start."""
    missed, other = Sighting(NOON - MINUTES, what), Sighting(NOON - MINUTES, Sight.GONE, APP.key)
    made = progress(again(DELETE), seen=(missed, other), age=MINUTES)
    made.alive = None if alive is None else bool(alive)
    copy = made.result(NOON, writes=True).again

    assert copy is not None
    assert (missed in copy.sightings) is kept
    assert other in copy.sightings


@pytest.mark.parametrize("alive", [False, True, None])
def test_a_copy_expects_an_id_until_it_is_found(alive: object) -> None:
    """Until then a 404 means "not yet"."""
    made = Progress(Request(VM, expected=True), NOON, outcomes=[again()])
    made.alive = None if alive is None else bool(alive)
    copy = made.result(NOON, writes=True).again

    assert copy is not None
    assert copy.expected is not alive


def test_a_copy_keeps_the_latest_twenty_sightings() -> None:
    """Nobody fills a queue by making new ones all the time."""
    seen = tuple(Sighting(NOON - MINUTES, Sight.DEAD_ENTRY, f"{n:02}") for n in range(20))
    made = progress(again(), seen=seen)
    made.sightings = [Sighting(NOON, Sight.DEAD_ENTRY, f"new {n}") for n in range(5)]
    copy = made.result(NOON, writes=True).again

    assert copy is not None
    assert len(copy.sightings) == MOST_SIGHTINGS
    assert copy.sightings == (*seen[5:], *made.sightings)


def test_a_scheduled_repeat_is_due_in_five_minutes_with_what_was_seen() -> None:
    """The index may not know a young machine yet, or a move may still go on."""
    request = Request(DATA, since=NOON - HOUR, sightings=(EARLIER,))
    result = schedule_repeat(Result(requests=(Request(VM),)), request, NOON, Sight.MISSED)

    assert result.requests == (Request(VM),)
    assert result.again_after == 5 * MINUTES
    assert result.again == Request(
        DATA, since=NOON + 5 * MINUTES, sightings=(EARLIER, Sighting(NOON, Sight.MISSED))
    )
