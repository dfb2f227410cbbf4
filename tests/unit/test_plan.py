"""The planner, case by case: desired and observed against changes and what is withheld.

The tables follow those at the head of `plan.identities` and `plan.assignments`, row by row, and
then name every hold.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.changes import (
    Hold,
    Reason,
)
from reconciler.ids import ResourceId
from reconciler.marker import Marker
from reconciler.model import (
    Desired,
    Mode,
    Request,
    RoleAssignment,
    Wanted,
)
from reconciler.plan import plan
from tests.unit.builders import (
    APP,
    BLOB_READER,
    CROWN,
    DATA,
    IDS,
    LOOK,
    NOON,
    NOTHING,
    OF_APP,
    OLD,
    OTHER_VM,
    OWNERSHIP,
    READER,
    SECOND,
    SETTLE,
    STRANGER,
    SUB,
    TERMS,
    VM,
    WITH_REMOVALS,
    assignment,
    attached,
    bare,
    below,
    both,
    entry,
    foreign,
    granted,
    machine,
    observed,
    switched_on,
    user_identity,
)
from tests.unit.plan_cases import (
    AUDIT,
    CONDITION,
    DEAD,
    GONE_SEEN,
    HERE,
    RECREATED_SEEN,
    Case,
    attach,
    check,
    create,
    delete,
    detach,
    update,
)

IDENTITIES = {
    "one that is there and not attached is attached": Case(
        attached(), observed(machine(), identities=HERE), (attach(),)
    ),
    "one that is attached with its principal is left alone": Case(
        attached(), observed(machine(entry()), identities=HERE)
    ),
    "an entry in other casing counts": Case(
        attached(),
        observed(machine(entry(ResourceId.parse(APP.text.upper()))), identities=HERE),
    ),
    "an entry with another principal, seen for the first time, waits": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
    ),
    "an entry with another principal, seen a moment ago, waits": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
        request=replace(RECREATED_SEEN, first=NOON - SETTLE + timedelta(seconds=1)),
    ),
    "an entry with another principal, seen for long enough, is detached": Case(
        attached(),
        observed(machine(entry(principal=OLD)), identities=HERE),
        (detach(),),
        request=RECREATED_SEEN,
    ),
    "an entry without principal, seen for long enough, is detached": Case(
        attached(),
        observed(machine(entry(principal=None)), identities=HERE),
        (detach(),),
        request=replace(RECREATED_SEEN, seen=(f"{APP.key}=->{OF_APP}",)),
    ),
    "another dead entry than the one seen waits anew": Case(
        attached(),
        observed(machine(entry(principal=None)), identities=HERE),
        withheld=((detach(), Hold.SETTLING),),
        request=RECREATED_SEEN,
    ),
    "an entry without principal while the machine is updated is an attach under way": Case(
        attached(), observed(machine(entry(principal=None), state="Updating"), identities=HERE)
    ),
    "one that is gone is detached": Case(
        attached(),
        observed(machine(entry(), entry(SECOND)), identities={APP: None}),
        (detach(Reason.IDENTITY_GONE),),
    ),
    "one that is gone and not attached is withheld": Case(
        attached(),
        observed(machine(), identities={APP: None}),
        withheld=((attach(), Hold.IDENTITY_ABSENT),),
    ),
    "the system-assigned one that is off is switched on": Case(
        switched_on(), observed(bare()), (attach(None),)
    ),
    "the system-assigned one that is on is left alone": Case(switched_on(), observed(machine())),
    "what nobody wants stays attached": Case(NOTHING, observed(machine(entry(principal=None)))),
    "both kinds are attached to a machine that has none": Case(
        both(attached(), switched_on()), observed(bare(), identities=HERE), (attach(), attach(None))
    ),
}

ASSIGNMENTS = {
    "a missing right is granted": Case(granted(), observed(machine()), (create(),)),
    "a right waits in the plan for a principal that is about to come": Case(
        both(switched_on(), granted()),
        observed(bare()),
        (attach(None), create(principal=None)),
    ),
    "ours with the same condition is left alone": Case(
        granted(condition=CONDITION), observed(machine(), assignment(condition=CONDITION))
    ),
    "ours with another condition is updated": Case(
        granted(condition=CONDITION),
        observed(machine(), assignment()),
        (update(assignment(), Reason.CONDITION_DIFFERS, CONDITION),),
    ),
    "ours under a former owner is given our marker": Case(
        granted(),
        observed(machine(), former := assignment(description=str(Marker("former", VM)))),
        (update(former),),
    ),
    "ours but for the marker gets it back": Case(
        granted(),
        observed(machine(), bald := assignment(description=None)),
        (update(bald),),
    ),
    "ours with the marker of where the machine was before is given the new one": Case(
        granted(),
        observed(machine(), moved := assignment(resource=OTHER_VM)),
        (update(moved),),
    ),
    "another's that satisfies policy stays theirs": Case(granted(), observed(machine(), foreign())),
    "another deployment's that satisfies policy stays theirs": Case(
        granted(), observed(machine(), assignment(description=str(Marker("other", VM))))
    ),
    "another's with another condition is withheld": Case(
        granted(condition=CONDITION),
        observed(machine(), foreign()),
        withheld=(
            (update(foreign(), Reason.CONDITION_DIFFERS, CONDITION), Hold.FOREIGN_CONDITION),
        ),
    ),
    "a replaced principal's right goes at once and the new one is granted": Case(
        granted(),
        observed(machine(), assignment(OLD)),
        (delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), create()),
    ),
    "a recreated identity's old right goes at once": Case(
        granted(),
        observed(user_identity(), lost := assignment(OLD, resource=APP)),
        (
            delete(lost, Reason.PRINCIPAL_REPLACED),
            create(principal=OF_APP, resource=APP),
        ),
        request=Request(APP),
    ),
    "a right of an identity that was switched off is retired": Case(
        NOTHING,
        observed(bare(), assignment(OLD)),
        (delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),),
    ),
    "a gone machine's right goes once it cannot have moved": Case(
        NOTHING,
        observed(None, assignment(OLD)),
        (delete(assignment(OLD), Reason.RESOURCE_GONE),),
        request=GONE_SEEN,
    ),
    "a gone identity's right goes at once": Case(
        NOTHING,
        observed(None, dead := assignment(OF_APP, resource=APP), id_=APP),
        (delete(dead, Reason.RESOURCE_GONE),),
        request=Request(APP),
    ),
    "an unwanted right of a live principal goes where removals are allowed": Case(
        NOTHING, observed(machine(), assignment()), (delete(assignment()),), request=WITH_REMOVALS
    ),
    "an unwanted right of a live principal stays on an event": Case(
        NOTHING,
        observed(machine(), assignment()),
        withheld=((delete(assignment()), Hold.REMOVALS),),
    ),
    "ours but for the marker, unwanted, is shown and kept": Case(
        NOTHING,
        observed(machine(), assignment(description="by hand")),
        withheld=((delete(assignment(description="by hand")), Hold.NO_MARKER),),
        request=WITH_REMOVALS,
    ),
    "another's that nobody wants is nobody's business": Case(
        NOTHING, observed(machine(), foreign()), request=WITH_REMOVALS
    ),
    "another machine's is not touched": Case(
        NOTHING,
        observed(machine(), assignment(OLD, resource=OTHER_VM)),
        request=WITH_REMOVALS,
    ),
}

FORGED = {
    "owner": assignment(OLD, description=str(Marker("other", VM))),
    "name": assignment(OLD, id=foreign().id),
    "principal type": assignment(OLD, principal_type="User"),
    "maker": assignment(OLD, created_by=STRANGER),
    "maker not yet known": assignment(OLD, created_by=None),
    "marker with one more key": assignment(
        OLD, description=f"{OWNERSHIP.marker_for(VM)},role=reader"
    ),
}


@pytest.mark.parametrize("case", IDENTITIES.values(), ids=list(IDENTITIES))
def test_identities_are_attached_and_freed(case: Case) -> None:
    """Every row of the table in `plan.identities`."""
    check(case)


@pytest.mark.parametrize("case", ASSIGNMENTS.values(), ids=list(ASSIGNMENTS))
def test_rights_are_granted_mended_and_retired(case: Case) -> None:
    """Every row of the table in `plan.assignments`."""
    check(case)


@pytest.mark.parametrize("found", FORGED.values(), ids=list(FORGED))
def test_what_lacks_one_mark_is_never_deleted(found: RoleAssignment) -> None:
    """Anybody may write a marker; a principal that nobody has does not make it ours."""
    check(Case(NOTHING, observed(machine(), found), request=WITH_REMOVALS))
    check(Case(NOTHING, observed(None, found), request=GONE_SEEN))


def test_a_dead_entry_of_others_is_shown_beside_the_attach_that_it_makes_fail() -> None:
    """Only its owner may take it away; a machine that needs no attach is not spoken of."""
    found = observed(machine(entry(SECOND, None)), identities=HERE)

    check(
        Case(
            attached(),
            found,
            (attach(),),
            ((detach(Reason.IDENTITY_GONE, SECOND), Hold.DEAD_ENTRY),),
        )
    )


def test_two_dead_entries_that_are_all_there_is_need_an_etag() -> None:
    """Together they are the last identity, which only goes by a PATCH of the type."""
    desired = both(attached(), attached(SECOND))
    gone = {APP: None, SECOND: None}
    changes = (detach(Reason.IDENTITY_GONE), detach(Reason.IDENTITY_GONE, SECOND))
    pair = (entry(), entry(SECOND))

    check(Case(desired, observed(machine(*pair), identities=gone), changes))
    check(
        Case(
            desired,
            observed(machine(*pair, etag=None), identities=gone),
            withheld=tuple((change, Hold.NO_ETAG) for change in changes),
        )
    )


def test_the_default_identity_may_change_where_a_rule_says_so() -> None:
    """`allowDefaultChange` is the only thing that lifts that hold."""
    found = observed(bare(entry(SECOND)), identities=HERE)

    check(Case(attached(default_change=True), found, (attach(),)))
    check(Case(switched_on(default_change=True), found, (attach(None),)))


def test_an_identity_that_was_detached_to_be_healed_is_attached_again() -> None:
    """It was there before, so the default identity does not change by it."""
    found = observed(bare(entry(SECOND)), identities=HERE)

    check(Case(attached(), found, (attach(),), request=RECREATED_SEEN))


def test_grants_to_a_known_principal_do_not_wait_for_a_machine_to_settle() -> None:
    """Only the PATCH could disturb a deployment that is under way."""
    young = machine(created=NOON, state="Creating", deploying=True)

    check(
        Case(
            both(attached(), granted()),
            observed(young, identities=HERE),
            (create(),),
            ((attach(), Hold.BUSY),),
        )
    )


@pytest.mark.parametrize(
    ("found", "hold"),
    [
        pytest.param(bare(entry(SECOND)), Hold.DEFAULT_IDENTITY, id="default identity"),
        pytest.param(bare(state="Updating"), Hold.BUSY, id="busy"),
        pytest.param(bare(created=NOON), Hold.SETTLING, id="settling"),
    ],
)
def test_a_grant_waits_as_long_as_the_identity_that_receives_it(found: object, hold: Hold) -> None:
    """While the system-assigned identity may not be switched on there is nobody to grant to."""
    check(
        Case(
            both(switched_on(), granted()),
            observed(found),  # type: ignore[arg-type]
            withheld=((attach(None), hold), (create(principal=None), hold)),
        )
    )


def test_a_right_that_an_audited_rule_speaks_of_is_not_taken_away() -> None:
    """Audit never writes: neither the old principal's right goes, nor does the new one come."""
    check(
        Case(
            granted(mode=AUDIT),
            observed(machine(), assignment(OLD)),
            withheld=(
                (delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), Hold.AUDIT),
                (create(), Hold.AUDIT),
            ),
        )
    )


def test_a_grant_whose_scope_has_no_name_keeps_what_was_granted_under_it() -> None:
    """While policy's scope cannot be told, no right of that role counts as unwanted."""
    unresolved = Desired(unresolved=((Wanted(READER, Mode.REPAIR, ()), "{location}"),))

    check(
        Case(
            unresolved,
            observed(machine(), assignment()),
            withheld=(
                (create(scope=VM), Hold.UNRESOLVED),
                (delete(assignment()), Hold.UNRESOLVED),
            ),
            request=WITH_REMOVALS,
        )
    )


def test_a_passing_hold_says_when_it_lifts() -> None:
    """The controller looks again then, not before."""
    young = plan(
        attached(), observed(machine(created=NOON), identities=HERE), LOOK, TERMS
    ).withheld[0]
    gone = plan(NOTHING, observed(None, assignment(OLD)), LOOK, TERMS).withheld[0]
    dead = plan(
        attached(), observed(machine(entry(principal=OLD)), identities=HERE), LOOK, TERMS
    ).withheld[0]

    assert young.until == NOON + SETTLE
    assert gone.until == NOON + 5 * SETTLE
    assert dead.until == NOON + SETTLE


def test_a_plan_says_what_was_seen() -> None:
    """A later look compares: the same dead entry, or gone once more."""
    dead = plan(attached(), observed(machine(entry(principal=OLD)), identities=HERE), LOOK, TERMS)
    gone = plan(NOTHING, observed(None, assignment(OLD)), LOOK, TERMS)

    assert dead.seen == (DEAD,)
    assert gone.seen == ("gone",)
    assert plan(NOTHING, observed(None), LOOK, TERMS).seen == ()


def test_changes_come_in_the_order_in_which_they_are_safe() -> None:
    """The dead make room first, what a live principal no longer needs goes last."""
    unwanted = assignment(role=BLOB_READER)
    stale = assignment(scope=below(DATA, _VAULT), description=None)
    planned = plan(
        both(both(attached(), attached(SECOND)), both(granted(), granted(scope=stale.scope))),
        observed(
            machine(entry(SECOND), entry(CROWN)),
            unwanted,
            stale,
            assignment(OLD),
            identities={APP: user_identity(), SECOND: None},
        ),
        WITH_REMOVALS,
        TERMS,
    )

    assert planned.changes == (
        delete(assignment(OLD), Reason.PRINCIPAL_REPLACED),
        detach(Reason.IDENTITY_GONE, SECOND),
        attach(),
        create(),
        update(stale),
        delete(unwanted),
    )


_VAULT = "providers/Microsoft.KeyVault/vaults/kv"


def test_identities_outside_the_place_for_them_are_not_freed_either() -> None:
    """The guardrails' places bound what policy may do with an identity, whatever it is."""
    outside = below(SUB, f"resourceGroups/rg-id2/{'/'.join(APP.text.split('/')[5:])}")
    assert not IDS.contains(outside)

    check(
        Case(
            attached(outside),
            observed(machine(entry(outside)), identities={outside: None}),
            withheld=((detach(Reason.IDENTITY_GONE, outside), Hold.IDENTITY_PLACE),),
        )
    )
