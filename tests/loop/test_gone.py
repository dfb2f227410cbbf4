"""What is gone, and what proves it before its rights are taken away.

A 404 and an index without a row prove nothing: both lag, and show only what we may read. The
activity log must tell of the end, and of no move between the making of a right and that end.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from reconciler.changes import Hold
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.world.cloud import Cloud, blocked, holds, last
from tests.world.ids import APPS, ASSIGNMENTS, DATA, ELSEWHERE, FAR, IDENTITIES, SHARED, VM, machine
from tests.world.sweeps import GRAPH

OWN = {("Reader", "rg-app")}
MISSING = "/virtualmachines/vm1"
LOG = "/microsoft.insights/eventtypes/management/values"
ALWAYS = 10_000
GONE_AFTER = timedelta(minutes=10)
DAY = 24 * 3600


def log_calls(cloud: Cloud) -> int:
    """Return how often the activity log was read."""
    return sum(LOG in call.path for call in cloud.wire.calls)


def test_a_gone_machine_keeps_its_rights_until_the_log_is_asked(steady: Cloud) -> None:
    """Its rights go on the copy that is due ten minutes after it was first missed."""
    old = steady.principal()
    steady.delete(VM)
    began = steady.clock()

    first = steady.look(VM)

    assert first.again_after
    assert first.again_after > GONE_AFTER - timedelta(seconds=1)
    assert steady.rights(old) == OWN
    assert log_calls(steady) == 0

    steady.follow(first)

    assert steady.rights(old) == set()
    assert steady.clock() - began >= GONE_AFTER
    assert steady.replan().compliant


def end_machine(cloud: Cloud) -> None:
    """Delete the machine itself."""
    cloud.delete(VM)


def end_group(cloud: Cloud) -> None:
    """Delete the machine's group; a right elsewhere outlives it."""
    cloud.remove_group(APPS)


ENDS: dict[str, Callable[[Cloud], None]] = {
    "deleted": end_machine,
    "with its group": end_group,
    "evicted": Cloud.evict,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("found", ["look", "sweep"])
def test_every_end_that_the_log_tells_of_is_one(steady: Cloud, end: str, found: str) -> None:
    """Wherever its rights lie: the index names what bears its marker or its principal."""
    old = steady.principal()
    steady.granted_by_us(DATA)
    steady.pass_time()
    ENDS[end](steady)
    if found == "look":
        steady.drive(VM)
    else:
        steady.sweep()

    assert steady.rights(old) == set()


@pytest.mark.parametrize("end", ["identity", "group"])
def test_a_gone_identity_loses_its_rights_as_a_machine_does(steady: Cloud, end: str) -> None:
    """It cannot move, but a 404 may be a late index for it as well."""
    old = steady.principal(SHARED)
    steady.granted_by_us(APPS, SHARED)
    steady.pass_time()
    if end == "identity":
        steady.delete(SHARED)
    else:
        steady.remove_group(IDENTITIES)
    first = steady.look(SHARED)
    assert len(steady.rights(old)) == 2

    steady.follow(first)

    assert steady.rights(old) == set()


@pytest.mark.parametrize("place", [VM, SHARED])
def test_a_late_log_is_asked_again(steady: Cloud, place: str) -> None:
    """It is asked at ten minutes and at twice that; nothing goes before it tells."""
    old, before = steady.principal(place), steady.rights(steady.principal(place))
    steady.set_faults(log_delay=900)
    steady.delete(place)
    began = steady.clock()
    second = steady.look(steady.copy(steady.look(place)))

    assert steady.rights(old) == before
    assert holds(second.plans[-1]) == {Hold.UNCONFIRMED}

    third = steady.look(steady.copy(second))

    assert steady.rights(old) == set()
    assert timedelta(minutes=20) <= third.plans[0].at - began < timedelta(minutes=21)


@pytest.mark.parametrize("place", [VM, SHARED])
def test_without_a_told_end_the_rights_stay_and_are_shown(steady: Cloud, place: str) -> None:
    """After an hour nothing is asked any more; whoever knows better removes them by hand."""
    old, before = steady.principal(place), steady.rights(steady.principal(place))
    steady.delete(place)
    steady.wire.answer("GET", LOG, 200, body={"value": []}, times=ALWAYS)
    began = steady.clock()
    results = steady.drive(place)

    assert steady.rights(old) == before
    gave_up = last(results, place)
    assert holds(gave_up) == {Hold.GONE_UNPROVED}
    assert timedelta(hours=1) <= gave_up.at - began < timedelta(hours=1, minutes=1)
    assert log_calls(steady) < 10


def test_what_nothing_proves_is_looked_at_once_a_day(steady: Cloud) -> None:
    """Every sweep finds its rights; only the day's first look asks again."""
    old = steady.principal()
    steady.delete(VM)
    steady.wire.answer("GET", LOG, 200, body={"value": []}, times=ALWAYS)
    steady.sweep()
    for _ in range(5):
        steady.pass_time(4 * 3600)
        swept = steady.app.sweep()
        assert ResourceId.parse(VM) not in {one.id for one in swept.requests}
    assert steady.rights(old) == OWN

    steady.wire.clear()
    steady.pass_time(DAY)
    steady.sweep()

    assert steady.rights(old) == set()


def test_an_end_of_long_ago_proves_nothing(steady: Cloud) -> None:
    """A soft-deleted principal can be restored for thirty days."""
    old = steady.principal()
    steady.delete(VM)
    steady.pass_time(31 * DAY)
    steady.drive(VM)

    assert steady.rights(old) == OWN
    assert holds(last(steady.drive(VM))) == {Hold.GONE_UNPROVED}


def test_a_write_after_the_told_end_makes_it_none(far: Cloud) -> None:
    """Deleted, rebuilt, and moved out of sight: the log's last word is the rebuild."""
    old = far.principal()
    far.delete(VM)
    first = far.look(VM)
    far.build()
    far.drive(VM)
    new = far.principal()
    assert (far.rights(old), far.rights(new)) == (set(), OWN)
    far.move(FAR)

    far.follow(first)
    results = far.drive(VM)
    far.sweep()

    assert far.rights(new) == OWN
    assert holds(last(results)) == {Hold.GONE_UNPROVED}


def test_a_rebuilt_and_moved_machine_is_safe_from_a_copy_under_way(steady: Cloud) -> None:
    """The copy wondered about the old one; the new one lives under another id."""
    old = steady.principal()
    steady.delete(VM)
    first = steady.look(VM)
    steady.build()
    steady.drive(VM)
    new = steady.principal()
    assert steady.rights(new) == OWN
    assert steady.rights(old) == set()
    steady.move(DATA)

    steady.follow(first)
    results = steady.drive(VM)

    assert steady.rights(new) == OWN
    assert holds(last(results)) == {Hold.CARRIED}


def test_a_machine_rebuilt_unseen_and_moved_out_of_sight_keeps_its_new_right(far: Cloud) -> None:
    """Another process granted it; this one only remembers that the machine was missed."""
    far.delete(VM)
    first = far.look(VM)
    other = far.app
    far.deploy()
    far.build()
    far.drive(VM)
    new = far.principal()
    far.move(FAR)
    far.app = other

    far.follow(first)

    assert far.rights(new) == OWN


def test_a_moved_machine_keeps_its_rights(steady: Cloud) -> None:
    """A machine in another group carries the principal, so nothing of it is retired."""
    principal = steady.principal()
    steady.move(DATA)
    results = steady.drive(VM)

    assert steady.rights(principal) == OWN
    assert holds(last(results)) == {Hold.CARRIED}


@pytest.mark.parametrize("readable", [True, False])
def test_a_machine_moved_to_another_subscription_keeps_its_rights(
    far: Cloud, *, readable: bool
) -> None:
    """Whether we can read it there or not; nothing tells of its end."""
    principal = far.principal()
    if readable:
        far.operator.assign(f"/subscriptions/{ELSEWHERE}", far.world.app.oid)
    far.move(FAR)
    far.drive(VM)
    far.sweep()
    far.pass_time(2 * DAY)
    results = far.sweep()

    assert far.rights(principal) == OWN
    held = {hold for one in results if one.plans for hold in holds(one.plans[-1])}
    assert (Hold.CARRIED if readable else Hold.GONE_UNPROVED) in held


def test_an_end_after_a_move_says_nothing_of_what_moved(far: Cloud) -> None:
    """A namesake was built at the old id and deleted: the log tells of its end only."""
    principal = far.principal()
    far.move(FAR)
    far.build(VM)
    far.delete(VM)
    far.drive(VM)
    far.sweep()

    assert far.rights(principal) == OWN


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("source", [MISSING, ASSIGNMENTS, GRAPH, LOG])
def test_a_gone_machine_loses_nothing_while_one_read_fails(
    steady: Cloud, source: str, status: int
) -> None:
    """A refused source is no source, whatever the others say."""
    old = steady.principal()
    steady.delete(VM)
    first = steady.look(VM)
    assert first.again is not None
    steady.pass_time(1000)
    steady.wire.calls.clear()
    for method in ("GET", "POST"):
        steady.wire.answer(method, source, status, "Refused", times=ALWAYS)
    result = steady.look(first.again)
    if (source, status) not in {(MISSING, 404), (ASSIGNMENTS, 404)}:
        # There a 404 is what is to be seen, or tells of an empty list.
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
    steady.look(steady.copy(second))

    assert steady.rights(old) == set()


def test_a_machine_that_returned_in_between_starts_the_waiting_anew(steady: Cloud) -> None:
    """Gone, back and gone again are two absences, each with its own ten minutes."""
    steady.delete(VM)
    first = steady.look(VM)
    steady.build()
    principal = steady.principal()
    steady.follow(first)
    steady.drive(VM)
    assert steady.rights(principal) == OWN
    steady.delete(VM)
    last = steady.look(VM)

    assert steady.rights(principal) == OWN
    assert last.again_after
    assert last.again_after > GONE_AFTER - timedelta(seconds=1)


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


def test_a_machine_rebuilt_while_its_absence_is_confirmed_keeps_its_new_right(
    steady: Cloud,
) -> None:
    """What was made after the told end belongs to the machine that was built since."""
    steady.delete(VM)
    first = steady.look(VM)
    assert first.again is not None
    steady.pass_time(1000)

    def rebuilt_and_granted() -> None:
        steady.build(settle=False)
        steady.granted_by_us(DATA)

    steady.wire.before("POST", GRAPH, rebuilt_and_granted)
    steady.look(first.again)

    assert ("Reader", "rg-data") in steady.rights(steady.principal())


def test_a_right_found_after_its_machine_was_read_is_confirmed(steady: Cloud) -> None:
    """A machine rebuilt in between explains it; the one that was read does not."""

    def rebuilt_and_granted() -> None:
        steady.build(settle=False)
        steady.granted_by_us(DATA)

    request = steady.removing()
    steady.wire.before("POST", GRAPH, rebuilt_and_granted)
    result = steady.look(request)

    assert ("Reader", "rg-data") in steady.rights(steady.principal())
    assert [one.code for one in result.outcomes] == ["Changed"]
    assert result.again_after is not None


def test_an_id_that_names_nothing_is_looked_at_once_more(cloud: Cloud) -> None:
    """Nothing wanted, nothing held: an empty plan, and an end after the index was asked."""
    results = cloud.drive(machine("never"))

    assert all(result.plans[-1].compliant for result in results)
    assert len(results) == 2
    assert results[-1].again is None
    assert blocked(results) == []


def test_a_subscription_that_can_no_longer_be_seen_proves_nothing(steady: Cloud) -> None:
    """Access lost to all of it answers every call with one and the same 404."""
    old = steady.principal()
    steady.wire.answer("GET", MISSING, 404, "SubscriptionNotFound", times=ALWAYS)
    results = steady.drive(Request(ResourceId.parse(VM)))

    assert steady.wire.writes == []
    assert steady.rights(old) == OWN
    assert results[-1].outcomes[-1].code == "SubscriptionNotFound"
