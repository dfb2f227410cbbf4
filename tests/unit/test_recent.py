"""Which requests earlier or coming looks answer, so that no call is needed."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.azure.memory import Remembered
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request, Sight, Sighting
from reconciler.reconcile.recent import RecentRuns
from tests.world.builders import APP, OTHER_VM, SECOND, VM
from tests.world.ids import NOON

SECONDS = timedelta(seconds=1)
MINUTES = timedelta(minutes=1)
SOON = 60 * SECONDS
LOOKED = Request(VM)
ONE = Removals("d", frozenset({APP}))
TWO = Removals("d", frozenset({APP, SECOND}))
ANOTHER = Removals("e", frozenset({APP}))


def seen(what: Sight, at: datetime, **changes: object) -> Request:
    """Return a request for the machine of which something was seen."""
    request = Request(VM, since=NOON, sightings=(Sighting(at, what),))
    return replace(request, **changes)  # type: ignore[arg-type]


def answered(request: Request, looked: Request = LOOKED) -> bool:
    """Return whether a look at noon that found it and left nothing to do answers a request."""
    recent = RecentRuns(SOON)
    recent.found(VM, NOON)
    recent.finished(looked, NOON)
    return recent.cover(request, NOON + SECONDS)


def test_a_run_that_began_after_a_request_s_time_covers_it() -> None:
    """Most echoes of our own writes end here: the event is older than the look after the write."""
    assert answered(Request(VM, since=NOON - SECONDS))
    assert answered(Request(ResourceId.parse(VM.text.upper()), since=NOON - SECONDS))
    assert answered(Request(VM, since=NOON - SECONDS, expected=True, first=NOON - SECONDS))


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(Request(VM, since=NOON), id="the same moment"),
        pytest.param(Request(VM, since=NOON + SECONDS), id="a later event"),
        pytest.param(Request(VM), id="no time"),
        pytest.param(Request(OTHER_VM, since=NOON - SECONDS), id="another machine"),
        pytest.param(Request(VM, since=NOON - SECONDS, removals=ONE), id="removals"),
    ],
)
def test_a_run_covers_no_other_request(request_: Request) -> None:
    """In doubt another look costs little."""
    assert not answered(request_)


@pytest.mark.parametrize(
    ("looked", "asked", "answers"),
    [
        (ONE, None, True),
        (ONE, ONE, True),
        (TWO, ONE, True),
        (ONE, TWO, False),
        (ONE, ANOTHER, False),
        (None, ONE, False),
        (None, Removals("d"), False),
        (ONE, replace(ONE, at_once=True), False),
        (replace(ONE, at_once=True), ONE, True),
    ],
)
def test_a_run_covers_the_removals_that_it_had(
    looked: Removals | None,
    asked: Removals | None,
    answers: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """Another policy's removals are not covered."""
    request = Request(VM, since=NOON - SECONDS, removals=asked)

    assert answered(request, replace(LOOKED, removals=looked)) is answers


def test_an_unfinished_run_covers_nothing() -> None:
    """It also ends what an earlier run covered."""
    recent = RecentRuns(SOON)
    recent.finished(LOOKED, NOON)
    recent.unfinished(LOOKED)
    recent.unfinished(Request(OTHER_VM))

    assert not recent.cover(Request(VM, since=NOON - SECONDS), NOON)
    assert recent.last_began(VM) is None


def test_the_start_of_the_last_finished_run_is_known() -> None:
    """From there, scopes are swept at most once a minute."""
    recent = RecentRuns(SOON)
    assert recent.last_began(VM) is None
    recent.finished(LOOKED, NOON)
    assert recent.last_began(VM) == NOON


def test_a_run_that_led_on_does_not_cover_its_own_message() -> None:
    """What its first run asked for may never have reached the queue."""
    recent = RecentRuns(SOON)
    request = Request(VM, since=NOON - SECONDS)
    recent.finished(request, NOON, leads_on=True)

    assert not recent.cover(request, NOON)
    assert recent.cover(Request(VM, since=NOON - 2 * SECONDS), NOON)

    recent.finished(request, NOON)
    assert recent.cover(request, NOON)


@pytest.mark.parametrize(
    ("request_", "answers"),
    [
        (Request(VM, since=NOON - SECONDS), True),
        (Request(VM, since=NOON - SECONDS, expected=True), False),
        (seen(Sight.NOT_YET, NOON, since=NOON - SECONDS, expected=True), True),
    ],
    ids=["a delete event", "a write event", "one that was asked again"],
)
def test_a_run_that_did_not_find_the_id_covers_no_write_event(
    request_: Request,
    answers: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """The index may be behind that write. A request that was put off for that lag is covered."""
    recent = RecentRuns(SOON)
    recent.found(VM, NOON - SECONDS)
    recent.finished(LOOKED, NOON)

    assert recent.cover(request_, NOON + SECONDS) is answers


COPY = Request(VM, since=NOON + SOON, first=NOON)
"""A copy that is due as far ahead as one may be that answers what comes meanwhile."""


def comes(request: Request, copy: Request = COPY, now: datetime = NOON) -> bool:
    """Return whether a copy that is due later answers a request."""
    recent = RecentRuns(SOON)
    recent.unfinished(LOOKED, copy)
    return recent.cover(request, now)


@pytest.mark.parametrize("expected", [True, False])
def test_a_copy_that_is_due_soon_covers_what_comes_before(
    expected: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """A machine that settles is looked at once, however many events its building makes."""
    assert comes(Request(VM, since=NOON, expected=expected))
    assert comes(Request(VM, since=NOON + SECONDS, expected=expected), now=NOON + SECONDS)
    assert comes(Request(VM, since=COPY.since))


@pytest.mark.parametrize(
    ("request_", "copy", "now"),
    [
        pytest.param(COPY, COPY, NOON, id="the copy itself"),
        pytest.param(
            Request(VM, since=NOON),
            replace(COPY, since=NOON + SOON + SECONDS),
            NOON,
            id="one that is due too late",
        ),
        pytest.param(Request(VM, since=NOON), COPY, NOON + SOON, id="one that is due now"),
        pytest.param(
            Request(VM, since=NOON), COPY, NOON + SOON + SECONDS, id="one that did not come"
        ),
        pytest.param(Request(VM, since=NOON + SOON + SECONDS), COPY, NOON, id="a later event"),
        pytest.param(Request(VM), COPY, NOON, id="no time"),
        pytest.param(Request(OTHER_VM, since=NOON), COPY, NOON, id="another machine"),
        pytest.param(Request(VM, since=NOON, removals=ONE), COPY, NOON, id="removals"),
        pytest.param(
            Request(VM, since=NOON, removals=TWO), replace(COPY, removals=ONE), NOON, id="more"
        ),
        pytest.param(
            Request(VM, since=NOON, expected=True),
            replace(COPY, sightings=(Sighting(NOON, Sight.GONE),)),
            NOON,
            id="a rebuilt machine, where the copy asks whether it is gone",
        ),
    ],
)
def test_a_copy_covers_no_other_request(request_: Request, copy: Request, now: datetime) -> None:
    """Neither itself, nor what it would come too late or see too little for."""
    assert not comes(request_, copy, now)


def test_a_copy_covers_the_removals_that_it_carries() -> None:
    """It allows as much."""
    assert comes(Request(VM, since=NOON, removals=ONE), replace(COPY, removals=TWO))


def test_a_copy_covers_beside_the_run_before_it() -> None:
    """A scope that was swept a moment ago is swept once more for all that comes meanwhile."""
    recent = RecentRuns(SOON)
    recent.finished(LOOKED, NOON)
    recent.copy_due(COPY, LOOKED)

    assert recent.last_began(VM) == NOON
    assert recent.cover(Request(VM, since=NOON - SECONDS), NOON)
    assert recent.cover(Request(VM, since=NOON + SECONDS), NOON + SECONDS)
    assert not recent.cover(COPY, NOON)


GONE = seen(Sight.GONE, NOON - 10 * MINUTES)


@pytest.mark.parametrize(
    ("request_", "alive", "answers"),
    [
        pytest.param(GONE, NOON - MINUTES, True, id="seen alive since"),
        pytest.param(GONE, NOON - 11 * MINUTES, False, id="seen alive before"),
        pytest.param(GONE, NOON - 10 * MINUTES, False, id="at the same moment"),
        pytest.param(replace(GONE, removals=ONE), NOON, False, id="removals"),
        pytest.param(replace(GONE, since=None), NOON, True, id="without a time"),
        pytest.param(seen(Sight.NOT_YET, NOON - MINUTES), NOON, False, id="what is not yet there"),
        pytest.param(
            replace(GONE, sightings=(Sighting(NOON - MINUTES, Sight.GONE, APP.key),)),
            NOON,
            False,
            id="another's end",
        ),
    ],
)
def test_a_run_that_found_the_id_covers_the_question_whether_it_is_gone(
    request_: Request,
    alive: datetime,
    answers: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """A machine that was rebuilt meanwhile needs no look for its end."""
    recent = RecentRuns(SOON)
    recent.found(VM, alive)

    assert recent.cover(request_, NOON) is answers


def test_a_failed_run_does_not_forget_that_the_id_was_found() -> None:
    """It says nothing either way."""
    recent = RecentRuns(SOON)
    recent.found(VM, NOON)
    recent.unfinished(LOOKED)

    assert recent.cover(GONE, NOON)


def test_only_the_latest_ten_thousand_ids_are_remembered() -> None:
    """A process may live for weeks."""
    recent = RecentRuns(SOON)
    for number in range(10_001):
        recent.finished(Request(ResourceId.parse(f"/subscriptions/{number}")), NOON)

    since = NOON - SECONDS
    assert not recent.cover(Request(ResourceId.parse("/subscriptions/0"), since=since), NOON)
    assert recent.cover(Request(ResourceId.parse("/subscriptions/1"), since=since), NOON)


def test_what_was_learned_is_known_for_as_long_as_it_may_be() -> None:
    """And no longer; none is a value, too."""
    known: Remembered[str, int | None] = Remembered(MINUTES)
    known.put("a", 7, NOON)
    known.put("b", None, NOON)

    assert known.get("a", NOON + MINUTES - SECONDS) == 7
    assert known.age("b", NOON + SECONDS) == SECONDS
    assert known.get("a", NOON + MINUTES) is None
    assert known.age("b", NOON + MINUTES) is None
    assert known.age("c", NOON) is None


def test_only_the_latest_ten_thousand_things_learned_are_known() -> None:
    """Learned again, one is young again."""
    known: Remembered[int, int] = Remembered(MINUTES)
    for number in (0, *range(10_000), 0, 10_000):
        known.put(number, number, NOON)

    assert known.get(0, NOON) == 0
    assert known.get(1, NOON) is None
    assert known.get(2, NOON) == 2
