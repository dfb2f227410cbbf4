"""What one process remembers: when a look is answered already, and when a change is contended."""

from datetime import timedelta

import pytest

from reconciler.changes import (
    Change,
    CreateAssignment,
    DetachIdentity,
    Hold,
    Plan,
    Reason,
    Withheld,
)
from reconciler.controller.memory import Contention, Looks
from reconciler.ids import ResourceId
from reconciler.model import Grant, Request
from tests.unit.builders import APP, DATA, NEW, NOON, OLD, OTHER_VM, READER, VM

SECOND = timedelta(seconds=1)
BEGAN = Request(VM)
CREATE = CreateAssignment(Grant(READER, DATA), NEW, "marker")


def answered(request: Request, looked: Request = BEGAN) -> bool:
    """Tell whether a look at noon answers a request."""
    looks = Looks()
    looks.remember(looked, NOON)
    return looks.answer(request)


def test_a_look_that_began_after_a_request_s_time_answers_it() -> None:
    """Our own echoes end here: the event is older than the look that saw what it tells."""
    assert answered(Request(VM, since=NOON - SECOND))
    assert answered(Request(ResourceId.parse(VM.text.upper()), since=NOON - SECOND))


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(Request(VM, since=NOON), id="the same moment"),
        pytest.param(Request(VM, since=NOON + SECOND), id="a later event"),
        pytest.param(Request(VM), id="no time"),
        pytest.param(Request(OTHER_VM, since=NOON - SECOND), id="another machine"),
        pytest.param(Request(VM, since=NOON - SECOND, removals="d"), id="more removals"),
    ],
)
def test_anything_else_is_looked_at(request_: Request) -> None:
    """In doubt another look costs little."""
    assert not answered(request_)


def test_a_look_under_a_policy_s_removals_answers_those_of_the_same_policy() -> None:
    """It did at least as much; another policy's removals are another matter."""
    since = NOON - SECOND
    looked = Request(VM, removals="d")

    assert answered(Request(VM, since=since), looked)
    assert answered(Request(VM, since=since, removals="d"), looked)
    assert not answered(Request(VM, since=since, removals="e"), looked)


def test_a_look_that_left_something_to_do_answers_nothing() -> None:
    """Also what an earlier look saw is then no longer so."""
    looks = Looks()
    looks.remember(BEGAN, NOON)
    looks.forget(BEGAN)
    looks.forget(Request(OTHER_VM))

    assert not looks.answer(Request(VM, since=NOON - SECOND))


def test_a_message_that_comes_again_is_looked_at_where_it_led_on() -> None:
    """What its first look asked for may never have reached the queue."""
    looks = Looks()
    request = Request(VM, since=NOON - SECOND)
    looks.remember(request, NOON, leads_on=True)

    assert not looks.answer(request)
    assert looks.answer(Request(VM, since=NOON - 2 * SECOND))

    looks.remember(request, NOON)
    assert looks.answer(request)


def test_only_the_latest_ten_thousand_looks_are_remembered() -> None:
    """A process may live for weeks."""
    looks = Looks()
    for number in range(10_001):
        looks.remember(Request(ResourceId.parse(f"/subscriptions/{number}")), NOON)

    since = NOON - SECOND
    assert not looks.answer(Request(ResourceId.parse("/subscriptions/0"), since=since))
    assert looks.answer(Request(ResourceId.parse("/subscriptions/1"), since=since))


def made_and_undone(contention: Contention, change: Change = CREATE) -> None:
    """Make a change, see it fulfilled, and find it wanted again."""
    contention.made(VM, change)
    contention.saw(Plan(VM, NOON))
    contention.saw(Plan(VM, NOON, changes=(change,)))


@pytest.mark.parametrize(
    "change",
    [CREATE, DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED)],
    ids=["create", "detach"],
)
def test_the_fourth_time_within_an_hour_is_contended(change: Change) -> None:
    """Three times may be chance; then somebody undoes it each time."""
    contention = Contention(lambda: NOON)
    for _ in range(3):
        assert not contention.contended(VM, change)
        made_and_undone(contention, change)

    assert contention.contended(VM, change)


def test_a_change_that_no_look_has_shown_yet_is_not_contended() -> None:
    """Lists lag behind writes: making it again is no quarrel with anybody."""
    contention = Contention(lambda: NOON)
    for _ in range(9):
        contention.made(VM, CREATE)
        contention.saw(Plan(VM, NOON, changes=(CREATE,)))

    assert not contention.contended(VM, CREATE)


def test_a_change_that_only_waits_was_not_shown_fulfilled() -> None:
    """A machine that is busy with our last write may still show what that write will change."""
    contention = Contention(lambda: NOON)
    change = DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED)
    for _ in range(9):
        contention.made(VM, change)
        contention.saw(Plan(VM, NOON, withheld=(Withheld(change, Hold.BUSY),)))

    assert not contention.contended(VM, change)


def test_another_change_is_not_contended() -> None:
    """A rebuilt machine has another principal, so its grants are others."""
    contention = Contention(lambda: NOON)
    for _ in range(3):
        made_and_undone(contention)

    another = CreateAssignment(Grant(READER, DATA), OLD, "marker")
    conditional = CreateAssignment(Grant(READER, DATA, "c"), NEW, "marker")
    assert not contention.contended(VM, another)
    assert not contention.contended(VM, conditional)
    assert not contention.contended(APP, CREATE)


def test_a_change_is_tried_again_after_an_hour() -> None:
    """The quarrel may have ended."""
    now = NOON
    contention = Contention(lambda: now)
    for minutes in (0, 20, 40):
        now = NOON + timedelta(minutes=minutes)
        made_and_undone(contention)

    now = NOON + timedelta(minutes=60)
    assert contention.contended(VM, CREATE)
    now += SECOND
    assert not contention.contended(VM, CREATE)
    made_and_undone(contention)
    assert contention.contended(VM, CREATE)


def test_only_the_latest_ten_thousand_places_are_remembered() -> None:
    """Losing one costs nothing but a later notice."""
    contention = Contention(lambda: NOON)
    for _ in range(3):
        made_and_undone(contention)
    for number in range(10_000):
        contention.made(ResourceId.parse(f"{VM}{number}"), CREATE)

    assert not contention.contended(VM, CREATE)
