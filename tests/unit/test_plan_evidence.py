"""What proves that a principal is dead, and what leaves its right where it is.

Each row lacks one part of the proof, or has all of it in another way.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from reconciler.changes import Change, DeleteAssignment, Hold, Reason
from reconciler.model import (
    Ending,
    IdentityBlock,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    Sight,
    Sighting,
    Traces,
    UserIdentity,
)
from reconciler.plan import plan
from tests.unit.plan_cases import GONE_SEEN
from tests.unit.plan_cases import REPLACED as PROVED
from tests.world.builders import (
    APP,
    CONTEXT,
    LONG_AGO,
    LOOK,
    MADE,
    NEW,
    NOTHING,
    OF_APP,
    OLD,
    OTHER_VM,
    SETTLE,
    VM,
    assignment,
    bare,
    machine,
    observed,
    user_identity,
)
from tests.world.ids import NOON

DAYS = timedelta(days=1)
MINUTES = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


def first_missed(ago: timedelta) -> Request:
    """Return a request whose machine was first not found some time ago."""
    return Request(VM, sightings=(Sighting(NOON - ago, Sight.GONE),))


def decided(found: Observed, request: Request) -> tuple[Hold | None, datetime | None, str]:
    """Return what holds the one right that may go, until when and with which words."""
    planned = plan(NOTHING, found, request, CONTEXT)
    if planned.changes:
        assert not planned.withheld
        assert [type(one) for one in planned.changes] == [DeleteAssignment]
        return None, None, ""
    (held,) = planned.withheld
    return held.hold, held.until, held.detail


@dataclass(frozen=True)
class Gone:
    """What was found out about a machine that is not found, and what it comes to."""

    hold: Hold | None
    ending: Ending | None = field(default_factory=lambda: Ending(LONG_AGO))
    traces: Traces | None = field(default_factory=Traces)
    right: RoleAssignment = field(default_factory=lambda: assignment(OLD))
    request: Request = GONE_SEEN


GONE = {
    "no trace in Resource Graph and its end in the log prove it": Gone(None),
    "what other resources carry is no trace of it": Gone(None, traces=Traces({OTHER_VM: NEW})),
    "Resource Graph was not asked": Gone(Hold.UNCONFIRMED, traces=None),
    "Resource Graph still has its row": Gone(Hold.UNCONFIRMED, traces=Traces({VM: OLD})),
    "Resource Graph has a row of it without principal": Gone(
        Hold.UNCONFIRMED, traces=Traces({VM: None})
    ),
    "its principal lives on elsewhere": Gone(Hold.CARRIED, traces=Traces({OTHER_VM: OLD})),
    "its principal lives on elsewhere, whatever else is not known": Gone(
        Hold.CARRIED, ending=None, traces=Traces({OTHER_VM: OLD}), request=LOOK
    ),
    "the log was not asked": Gone(Hold.UNCONFIRMED, ending=None),
    "the log is silent": Gone(Hold.UNCONFIRMED, ending=Ending()),
    "the log could not be read to its end": Gone(
        Hold.UNCONFIRMED, ending=Ending(LONG_AGO, complete=False)
    ),
    "its end was before the right was made": Gone(Hold.UNCONFIRMED, ending=Ending(MADE - HOUR)),
    "its end was when the right was made": Gone(Hold.UNCONFIRMED, ending=Ending(MADE)),
    "its end was just after the right was made": Gone(None, ending=Ending(MADE + MOMENT)),
    "nobody knows when the right was made": Gone(
        Hold.UNCONFIRMED, right=assignment(OLD, created=None)
    ),
    "its end was thirty days ago": Gone(
        None, ending=Ending(NOON - 30 * DAYS), right=assignment(OLD, created=NOON - 31 * DAYS)
    ),
    "its end was longer ago than that": Gone(
        Hold.UNCONFIRMED,
        ending=Ending(NOON - 30 * DAYS - MOMENT),
        right=assignment(OLD, created=NOON - 31 * DAYS),
    ),
    "the right is older than the log": Gone(None, right=assignment(OLD, created=NOON - 400 * DAYS)),
    "the right is older than the log, which tells of a move": Gone(
        Hold.UNCONFIRMED,
        ending=Ending(LONG_AGO, moves=(NOON - 80 * DAYS,)),
        right=assignment(OLD, created=NOON - 400 * DAYS),
    ),
    "resources were moved out of its group in between": Gone(
        Hold.UNCONFIRMED, ending=Ending(LONG_AGO, moves=(MADE + HOUR,))
    ),
    "resources were moved when the right was made": Gone(
        Hold.UNCONFIRMED, ending=Ending(LONG_AGO, moves=(MADE,))
    ),
    "resources were moved at its end": Gone(
        Hold.UNCONFIRMED, ending=Ending(LONG_AGO, moves=(NOON, LONG_AGO))
    ),
    "resources were moved before the right was made, and after its end": Gone(
        None, ending=Ending(LONG_AGO, moves=(MADE - HOUR, NOON))
    ),
    "nothing proves it for just under an hour": Gone(
        Hold.UNCONFIRMED, ending=Ending(), request=first_missed(HOUR - MOMENT)
    ),
    "nothing proves it for an hour": Gone(
        Hold.GONE_UNPROVED, ending=Ending(), request=first_missed(HOUR)
    ),
    "its row stays for an hour": Gone(
        Hold.GONE_UNPROVED, traces=Traces({VM: OLD}), request=first_missed(HOUR)
    ),
    "it is proved after an hour": Gone(None, request=first_missed(HOUR)),
}


@pytest.mark.parametrize("row", GONE.values(), ids=list(GONE))
def test_a_gone_machine_s_right_goes_only_on_proof_of_its_end(row: Gone) -> None:
    """404 alone proves nothing, and what the activity log does not tell is not known."""
    endings = {VM: row.ending} if row.ending else {}
    found = observed(None, row.right, traces=row.traces, endings=endings)

    assert decided(found, row.request)[0] is row.hold


@pytest.mark.parametrize(
    ("after", "again"),
    [
        (0 * MINUTES, 10 * MINUTES),
        (9 * MINUTES, 10 * MINUTES),
        (10 * MINUTES, 20 * MINUTES),
        (20 * MINUTES, 40 * MINUTES),
        (40 * MINUTES, 60 * MINUTES),
        (59 * MINUTES, 60 * MINUTES),
        (60 * MINUTES, None),
        (7 * DAYS, None),
    ],
)
def test_its_end_is_asked_for_after_ten_twenty_forty_and_sixty_minutes(
    after: timedelta, again: timedelta | None
) -> None:
    """The log is late by minutes; after an hour the right is left to a person."""
    hold, until, _ = decided(observed(None, assignment(OLD)), first_missed(after))

    assert until == (NOON - after + again if again else None)
    assert hold is (Hold.UNCONFIRMED if again else Hold.GONE_UNPROVED)


@pytest.mark.parametrize(
    ("gone_after", "after", "again"),
    [
        (0 * MINUTES, 0 * MINUTES, timedelta(seconds=10)),
        (0 * MINUTES, timedelta(seconds=10), timedelta(seconds=20)),
        (5 * MINUTES, 5 * MINUTES, 10 * MINUTES),
        (60 * MINUTES, 59 * MINUTES, 60 * MINUTES),
        (60 * MINUTES, 60 * MINUTES, None),
    ],
)
def test_how_long_the_log_may_be_late_is_a_setting(
    gone_after: timedelta, after: timedelta, again: timedelta | None
) -> None:
    """It is asked first after `RECONCILER_GONE_AFTER`, and from then on at doubled times."""
    asked = replace(CONTEXT, gone_after=gone_after).next_ask(NOON, NOON + after)

    assert asked == (NOON + again if again else None)


def test_a_first_404_starts_the_waiting() -> None:
    """What was seen of another id, or for how long the request is under way, does not count."""
    for request in (
        LOOK,
        Request(VM, first=NOON - HOUR),
        Request(VM, sightings=(Sighting(NOON - HOUR, Sight.GONE, APP.key),)),
        Request(VM, sightings=(Sighting(NOON - HOUR, Sight.NOT_YET),)),
    ):
        assert decided(observed(None, assignment(OLD)), request)[1] == NOON + 10 * MINUTES


@pytest.mark.parametrize(
    ("traces", "words"),
    [
        (Traces({VM: OLD}), "Resource Graph still shows it"),
        (Traces(), "the activity log tells of no end"),
        (Traces({OTHER_VM: OLD}), str(OTHER_VM)),
    ],
)
def test_a_withheld_removal_names_the_missing_proof(traces: Traces, words: str) -> None:
    """A person looks there."""
    assert decided(observed(None, assignment(OLD), traces=traces), first_missed(HOUR))[2] == words


@dataclass(frozen=True)
class Replaced:
    """What was found out about a machine with another principal, and what it comes to."""

    hold: Hold | None
    subject: Resource | UserIdentity = field(default_factory=machine)
    traces: Traces | None = field(default_factory=lambda: Traces({VM: NEW}))
    confirmed: bool = True
    right: RoleAssignment = field(default_factory=lambda: assignment(OLD))
    until: datetime | None = None
    log: Ending | None = field(default_factory=Ending)


REPLACED = {
    "two reads and Resource Graph that agree prove it": Replaced(None),
    "what others carry makes no difference": Replaced(
        None, traces=Traces({VM: NEW, OTHER_VM: OF_APP})
    ),
    "one read alone": Replaced(Hold.UNCONFIRMED, confirmed=False),
    "Resource Graph was not asked": Replaced(Hold.UNCONFIRMED, traces=None),
    "Resource Graph still shows the old principal": Replaced(
        Hold.UNCONFIRMED, traces=Traces({VM: OLD})
    ),
    "Resource Graph has no row": Replaced(Hold.UNCONFIRMED, traces=Traces()),
    "Resource Graph shows no principal": Replaced(Hold.UNCONFIRMED, traces=Traces({VM: None})),
    "Resource Graph shows a third principal": Replaced(
        Hold.UNCONFIRMED, traces=Traces({VM: OF_APP})
    ),
    "another resource carries the old principal": Replaced(
        Hold.CARRIED, traces=Traces({VM: NEW, OTHER_VM: OLD})
    ),
    "the right is younger than the machine": Replaced(
        Hold.REPLACED_UNPROVED, right=assignment(OLD, created=LONG_AGO + MOMENT)
    ),
    "the right is as old as the machine": Replaced(
        Hold.REPLACED_UNPROVED, right=assignment(OLD, created=LONG_AGO)
    ),
    "the right is just older than the machine": Replaced(
        None, right=assignment(OLD, created=LONG_AGO - MOMENT)
    ),
    "nobody knows when the right was made": Replaced(
        Hold.REPLACED_UNPROVED, right=assignment(OLD, created=None)
    ),
    "of a type that does not say when it was made, the reads and Resource Graph decide": Replaced(
        None, machine(created=None)
    ),
    "the machine is being made": Replaced(Hold.BUSY, machine(state="Creating")),
    "the machine is being updated": Replaced(Hold.BUSY, machine(state="updating")),
    "the machine is being deleted": Replaced(Hold.BUSY, machine(state="Deleting")),
    "the machine has failed, but is there": Replaced(None, machine(state="Failed")),
    "the machine is still settling": Replaced(
        Hold.UNCONFIRMED,
        machine(created=NOON - SETTLE + MOMENT),
        until=NOON + MOMENT,
    ),
    "the machine has just settled": Replaced(None, machine(created=NOON - SETTLE)),
    "an extension is being provisioned": Replaced(Hold.UNCONFIRMED, machine(deploying=True)),
    "the machine's principal is about to come": Replaced(
        Hold.BUSY, machine(identities=IdentityBlock(system=True))
    ),
    "the machine shows no principal": Replaced(Hold.REPLACED_UNPROVED, bare()),
    "an identity block of a type that nobody knows": Replaced(
        Hold.UNKNOWN_IDENTITY_TYPE, machine(identities=IdentityBlock(raw_type="Delegated"))
    ),
    "the log was not asked for moves": Replaced(Hold.UNCONFIRMED, log=None),
    "the log could not be read to its end": Replaced(Hold.UNCONFIRMED, log=Ending(complete=False)),
    "resources were moved out of its group since the right was made": Replaced(
        Hold.REPLACED_UNPROVED, log=Ending(moves=(MADE + HOUR,))
    ),
    "resources were moved before the right was made": Replaced(
        None, log=Ending(moves=(MADE - MOMENT,))
    ),
    "resources were moved long after the machine was rebuilt": Replaced(
        None, log=Ending(moves=(LONG_AGO + HOUR,))
    ),
    "a recreated identity is proved alike": Replaced(
        None,
        user_identity(),
        Traces({APP: OF_APP}),
        right=assignment(OLD, resource=APP),
    ),
    "a recreated identity that was read once": Replaced(
        Hold.UNCONFIRMED,
        user_identity(),
        Traces({APP: OF_APP}),
        confirmed=False,
        right=assignment(OLD, resource=APP),
    ),
    "a recreated identity that Resource Graph does not know yet": Replaced(
        Hold.UNCONFIRMED,
        user_identity(),
        Traces({APP: OLD}),
        right=assignment(OLD, resource=APP),
    ),
}


@pytest.mark.parametrize("row", REPLACED.values(), ids=list(REPLACED))
def test_a_replaced_principal_s_right_goes_only_where_everything_agrees(row: Replaced) -> None:
    """One torn, stale or early answer shows another principal, or none."""
    endings = {row.subject.id: row.log} if row.log and isinstance(row.subject, Resource) else {}
    found = observed(
        row.subject, row.right, confirmed=row.confirmed, traces=row.traces, endings=endings
    )
    hold, until, _ = decided(found, Request(row.subject.id))

    assert (hold, until) == (row.hold, row.until)


def test_a_dead_principal_s_rights_are_judged_one_by_one() -> None:
    """What was made after the machine may belong to a principal that is yet to be seen."""
    early, late = assignment(OLD), assignment("young", created=NOON)
    planned = plan(
        NOTHING,
        observed(machine(), early, late, **PROVED),
        LOOK,
        CONTEXT,
    )
    kept: list[Change] = [held.change for held in planned.withheld]

    assert planned.changes == (DeleteAssignment(early, Reason.PRINCIPAL_REPLACED),)
    assert kept == [DeleteAssignment(late, Reason.PRINCIPAL_REPLACED)]
