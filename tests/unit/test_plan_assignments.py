"""The planner on rights, case by case; the rows follow the table in `plan.assignments`."""

import pytest

from reconciler.changes import CreateAssignment, Hold, Reason
from reconciler.marker import Marker
from reconciler.model import Ending, Request, RoleAssignment, Traces
from tests.unit.plan_cases import (
    AUDIT,
    CONDITION,
    ENDED,
    GONE_SEEN,
    HERE,
    REPLACED,
    Case,
    attach,
    check,
    create,
    delete,
    update,
)
from tests.world.builders import (
    APP,
    LONG_AGO,
    NEW,
    NOTHING,
    OF_APP,
    OLD,
    OTHER_VM,
    OWNERSHIP,
    SECOND,
    STRANGER,
    SUB,
    VM,
    WITH_REMOVALS,
    assignment,
    attached,
    bare,
    both,
    entry,
    foreign,
    granted,
    machine,
    observed,
    switched_on,
    unresolved,
    user_identity,
)
from tests.world.ids import NOON

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
    "a replaced principal's right goes once that is proved, and the new one is granted": Case(
        granted(),
        observed(machine(), assignment(OLD), **REPLACED),
        (delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), create()),
    ),
    "a replaced principal's right stays until that is proved, and the new one is granted": Case(
        granted(),
        observed(machine(), assignment(OLD)),
        (create(),),
        ((delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), Hold.UNCONFIRMED),),
    ),
    "a recreated identity's old right goes once that is proved": Case(
        granted(),
        observed(
            user_identity(),
            lost := assignment(OLD, resource=APP),
            confirmed=True,
            traces=Traces({APP: OF_APP}),
        ),
        (
            delete(lost, Reason.PRINCIPAL_REPLACED),
            create(principal=OF_APP, resource=APP),
        ),
        request=Request(APP),
    ),
    "a right whose identity was switched off proves nothing and stays": Case(
        NOTHING,
        observed(bare(), assignment(OLD), **REPLACED),
        withheld=((delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), Hold.REPLACED_UNPROVED),),
    ),
    "a gone machine's right goes once its end is in the log": Case(
        NOTHING,
        observed(None, assignment(OLD), **ENDED),
        (delete(assignment(OLD), Reason.RESOURCE_GONE),),
        request=GONE_SEEN,
    ),
    "a gone identity's right goes by the same proof": Case(
        NOTHING,
        observed(
            None,
            dead := assignment(OF_APP, resource=APP),
            id_=APP,
            traces=Traces(),
            endings={APP: Ending(LONG_AGO)},
        ),
        (delete(dead, Reason.RESOURCE_GONE),),
        request=Request(APP),
    ),
    "a gone identity's right stays until its end is in the log": Case(
        NOTHING,
        observed(None, dead, id_=APP),
        withheld=((delete(dead, Reason.RESOURCE_GONE), Hold.UNCONFIRMED),),
        request=Request(APP),
    ),
    "a right that is wanted and that guardrails forbid by now is shown and stays": Case(
        granted(scope=SUB),
        observed(machine(), wide := assignment(scope=SUB)),
        withheld=((delete(wide, Reason.FORBIDDEN), Hold.HOME),),
    ),
    "an unwanted right of a live principal goes where removals are allowed": Case(
        NOTHING, observed(machine(), assignment()), (delete(assignment()),), request=WITH_REMOVALS
    ),
    "an unwanted right of a live principal stays on an event": Case(
        NOTHING,
        observed(machine(), assignment()),
        withheld=((delete(assignment()), Hold.REMOVALS),),
    ),
    "ours with the marker of where the machine was before is unwanted like any other": Case(
        NOTHING,
        observed(machine(), moved),
        (delete(moved),),
        request=WITH_REMOVALS,
    ),
    "ours but for the marker, unwanted, is shown and kept": Case(
        NOTHING,
        observed(machine(), assignment(description="by hand")),
        withheld=((delete(assignment(description="by hand")), Hold.NO_MARKER),),
        request=WITH_REMOVALS,
    ),
    "ours that another wrote last, unwanted, is shown and kept": Case(
        NOTHING,
        observed(machine(), taken := assignment(updated_by=STRANGER)),
        withheld=((delete(taken), Hold.NO_MARKER),),
        request=WITH_REMOVALS,
    ),
    "ours that another wrote last, wanted, is written anew": Case(
        granted(), observed(machine(), taken), (update(taken),)
    ),
    "ours that another made wider, wanted, is made as narrow as before": Case(
        granted(condition=CONDITION),
        observed(machine(), taken),
        (update(taken, Reason.CONDITION_DIFFERS, CONDITION),),
    ),
    "ours of a gone machine that another wrote last is shown and kept, whatever is proved": Case(
        NOTHING,
        observed(None, lone := assignment(OLD, updated_by=STRANGER), **ENDED),
        withheld=((delete(lone), Hold.NO_MARKER),),
        request=GONE_SEEN,
    ),
    "another deployment's under our own identity is never ours to update": Case(
        granted(condition=CONDITION),
        observed(machine(), theirs := assignment(description=str(Marker("other", VM)))),
        withheld=((update(theirs, Reason.CONDITION_DIFFERS, CONDITION), Hold.FOREIGN_CONDITION),),
    ),
    "another deployment's under our own identity is never ours to delete": Case(
        NOTHING, observed(machine(), theirs), request=WITH_REMOVALS
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
    "principal type": assignment(OLD, principal_type="User"),
    "maker": assignment(OLD, created_by=STRANGER),
    "maker not yet known": assignment(OLD, created_by=None),
}
LOST = {
    "writer": assignment(OLD, updated_by=STRANGER),
    "writer not yet known": assignment(OLD, updated_by=None),
}


@pytest.mark.parametrize("case", ASSIGNMENTS.values(), ids=list(ASSIGNMENTS))
def test_each_case_of_the_table_of_assignments(case: Case) -> None:
    """Every row of the table in `plan.assignments`."""
    check(case)


@pytest.mark.parametrize("found", FORGED.values(), ids=list(FORGED))
def test_an_assignment_without_one_of_the_four_marks_is_never_deleted(
    found: RoleAssignment,
) -> None:
    """Anybody may write a marker; a principal that nobody has does not make it ours."""
    check(Case(NOTHING, observed(machine(), found, **REPLACED), request=WITH_REMOVALS))
    check(Case(NOTHING, observed(None, found, **ENDED), request=GONE_SEEN))


@pytest.mark.parametrize("found", LOST.values(), ids=list(LOST))
def test_an_assignment_that_another_may_have_rewritten_is_withheld(
    found: RoleAssignment,
) -> None:
    """Its marker may be forged, so nothing that it says is believed."""
    shown = ((delete(found), Hold.NO_MARKER),)

    check(Case(NOTHING, observed(machine(), found, **REPLACED), withheld=shown))
    check(Case(NOTHING, observed(None, found, **ENDED), withheld=shown, request=GONE_SEEN))


def test_an_assignment_of_ours_under_another_name_is_ours() -> None:
    """Names can be computed and taken by anybody; what is ours under another name is ours."""
    renamed = assignment(id=foreign().id)

    check(Case(NOTHING, observed(machine(), renamed), (delete(renamed),), request=WITH_REMOVALS))
    check(Case(granted(), observed(machine(), renamed)))


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


def test_an_audited_rule_withholds_the_old_right_s_removal_too() -> None:
    """Audit never writes: neither the old principal's right goes, nor does the new one come."""
    check(
        Case(
            granted(mode=AUDIT),
            observed(machine(), assignment(OLD), **REPLACED),
            withheld=(
                (delete(assignment(OLD), Reason.PRINCIPAL_REPLACED), Hold.AUDIT),
                (create(), Hold.AUDIT),
            ),
        )
    )


def test_an_unresolved_grant_keeps_no_old_right() -> None:
    """What the resource's own data no longer picks is unwanted like any other right."""
    wanted = unresolved()
    lost = CreateAssignment(wanted.unresolved[0].what, NEW, OWNERSHIP.marker_for(VM))

    check(
        Case(
            wanted,
            observed(machine(), assignment()),
            (delete(assignment()),),
            ((lost, Hold.UNRESOLVED),),
            request=WITH_REMOVALS,
        )
    )
