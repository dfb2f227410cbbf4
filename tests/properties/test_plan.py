"""What holds for every plan, whatever is wanted and whatever lies there, forged or not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler import roles
from reconciler.changes import (
    CreateAssignment,
    DeleteAssignment,
    Hold,
    Plan,
    Reason,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.marker import assignment_name, parse
from reconciler.model import (
    AttachedIdentity,
    Desired,
    Grant,
    Mode,
    Observed,
    Request,
    Resource,
    RoleAssignment,
)
from reconciler.plan import plan
from tests.properties import planning
from tests.unit.builders import DATA, HOME, LAB, MAKER, TERMS
from tests.unit.worlds import apply_to, asked_again


def planned(wanted: Desired, found: Observed, request: Request) -> Plan:
    """Plan under the builders' terms."""
    return plan(wanted, found, request, TERMS)


def touched(made: Plan) -> list[RoleAssignment]:
    """Return the assignments that a plan updates or deletes."""
    return [
        change.assignment
        for change in made.changes
        if isinstance(change, UpdateAssignment | DeleteAssignment)
    ]


@given(planning.desired, planning.observed(), planning.requests)
def test_a_plan_converges(wanted: Desired, found: Observed, request: Request) -> None:
    """Made real, it leaves nothing to change in at most two more rounds, but to heal first."""
    # Grants to a machine come with the wish for its system-assigned identity.
    assume(wanted.system or found.principal or not wanted.grants)
    rounds: list[Plan] = []
    for _ in range(5):
        made = planned(wanted, found, request)
        rounds.append(made)
        request = asked_again(request, made, found)
        found = apply_to(found, made)

    assert not rounds[-1].changes
    assert not any(held.hold.passing for held in rounds[-1].withheld if held.until)
    assert [bool(one.changes) for one in rounds].count(True) <= 3


@given(planning.desired, planning.observed(), planning.requests)
def test_nothing_is_touched_that_is_not_ours(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """Deleted is what bears all four marks; updated at most what lost its marker."""
    made = planned(wanted, found, request)

    for one in touched(made):
        assert one.created_by == MAKER
        assert one.principal_type == "ServicePrincipal"
        assert one.id.name == assignment_name(one.scope, one.role, one.principal)
    for change in made.changes:
        if isinstance(change, UpdateAssignment | DeleteAssignment):
            marker = parse(change.assignment.description)
            bald = isinstance(change, UpdateAssignment) and marker is None
            assert bald or (marker and marker.owner in {"prod", "former"})
        if isinstance(change, DeleteAssignment):
            marker = parse(change.assignment.description)
            assert marker
            assert marker.resource == found.id


@given(planning.desired, planning.observed(), planning.requests)
def test_a_live_right_goes_only_under_the_policy_s_digest(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """No event can take a right away that the subject's principal of today holds."""
    made = planned(wanted, found, request)

    for change in made.changes:
        if isinstance(change, DeleteAssignment):
            alive = change.assignment.principal == found.principal
            assert (change.reason is Reason.UNWANTED) == alive
            assert not alive or request.removals == TERMS.digest


@given(planning.desired, planning.observed(), planning.requests)
def test_a_wanted_right_is_never_deleted(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """Whatever a request says: what policy wants of the subject's principal stays."""
    rights = {(one.what.role, one.what.scope) for one in wanted.grants}

    for change in planned(wanted, found, request).changes:
        if isinstance(change, DeleteAssignment) and change.reason is Reason.UNWANTED:
            assert (change.assignment.role, change.assignment.scope) not in rights


def _allowed(grant: Grant) -> bool:
    role = roles.table().lookup(grant.role)
    assert role is not None
    return TERMS.guardrails.allows(grant.role, grant.scope, privileged=role.privileged)


@given(planning.desired, planning.observed(), planning.requests)
def test_rights_are_written_only_below_the_guardrails(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """And none is given around our own home, nor one that the guardrails do not name."""
    made = planned(wanted, found, request)

    for change in made.changes:
        if isinstance(change, CreateAssignment | UpdateAssignment):
            assert _allowed(change.grant)
            assert not change.grant.scope.contains(HOME)
    scopes = [one.scope for one in touched(made)]
    scopes += [one.grant.scope for one in made.changes if isinstance(one, CreateAssignment)]
    assert all(any(rail.contains(scope) for rail in (DATA, HOME, LAB)) for scope in scopes)


@given(planning.desired, planning.observed(), planning.requests)
def test_nothing_is_done_about_what_is_not_watched_or_not_ours_to_change(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """Unwatched, managed by another, protected, or ourselves: everything is withheld."""
    subject = found.subject
    managed = isinstance(subject, Resource) and subject.managed_by
    off_limits = found.id in {TERMS.own_identity, *TERMS.guardrails.protected}
    ourselves = found.principal == MAKER

    if managed or off_limits or ourselves or not TERMS.watches(found.id):
        rights = (CreateAssignment, UpdateAssignment, DeleteAssignment)
        made = planned(wanted, found, request)
        assert ourselves or not made.changes
        assert not any(
            isinstance(one, rights) and _principal(one) == found.principal for one in made.changes
        )


def _principal(change: CreateAssignment | UpdateAssignment | DeleteAssignment) -> str | None:
    if isinstance(change, CreateAssignment):
        return change.principal
    return change.assignment.principal


@given(planning.desired, planning.observed(), planning.requests)
def test_audit_plans_no_write_for_what_policy_speaks_of(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """The same is told as in repair mode, and all of it withheld."""
    audited = Desired(
        tuple(replace(one, mode=Mode.AUDIT) for one in wanted.attach),
        replace(wanted.system, mode=Mode.AUDIT) if wanted.system else None,
        tuple(replace(one, mode=Mode.AUDIT) for one in wanted.grants),
        tuple((replace(one, mode=Mode.AUDIT), text) for one, text in wanted.unresolved),
    )
    rights = {(one.what.role, one.what.scope) for one in wanted.grants}

    told = planned(audited, found, request)
    repaired = planned(wanted, found, request)

    # What is left are rights that no rule speaks of, be it in audit or not.
    assert all(isinstance(one, DeleteAssignment) for one in told.changes)
    assert all((one.role, one.scope) not in rights for one in touched(told))
    shown = {*told.changes, *(held.change for held in told.withheld)}
    assert set(repaired.changes) <= shown
    assert shown == {*repaired.changes, *(held.change for held in repaired.withheld)}
    lifted = {held.change for held in told.withheld if held.hold is Hold.AUDIT}
    assert set(repaired.changes) - set(told.changes) <= lifted


@given(planning.desired, planning.observed(), planning.requests, st.randoms())
def test_order_and_fingerprint_do_not_depend_on_the_order_of_answers(
    wanted: Desired,
    found: Observed,
    request: Request,
    random: Random,
) -> None:
    """Lists come in any order, and so do rules."""

    def shuffled[T](values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(values, len(values)))

    made = planned(wanted, found, request)
    again = planned(
        replace(wanted, attach=shuffled(wanted.attach), grants=shuffled(wanted.grants)),
        replace(found, assignments=shuffled(found.assignments)),
        request,
    )

    assert again.changes == made.changes
    assert again.withheld == made.withheld
    assert again.fingerprint == made.fingerprint


@given(planning.desired, planning.observed(), planning.requests)
def test_a_fingerprint_does_not_depend_on_casing_times_or_etags(
    wanted: Desired, found: Observed, request: Request
) -> None:
    """A plan that a person approved is the same plan a moment later."""
    made = planned(wanted, found, request)
    again = planned(wanted, _spelled(found, str.upper), request)
    other = planned(wanted, _spelled(found, str.lower), request)

    assert again.fingerprint == other.fingerprint == made.fingerprint


def _spelled(found: Observed, spell: Callable[[str], str]) -> Observed:
    """Return the same world with ids spelled otherwise, another etag and a moment later."""

    def id_(one: ResourceId) -> ResourceId:
        return ResourceId.parse(spell(str(one)))

    subject = found.subject
    if isinstance(subject, Resource):
        entries = (
            AttachedIdentity(id_(one.id), one.principal) for one in subject.identities.attached
        )
        subject = replace(
            subject,
            id=id_(subject.id),
            etag=subject.etag and f"{subject.etag}1",
            identities=replace(subject.identities, attached=tuple(entries)),
        )
    elif subject:
        subject = replace(subject, id=id_(subject.id))
    assignments = (replace(one, id=id_(one.id), scope=id_(one.scope)) for one in found.assignments)
    return replace(
        found,
        id=id_(found.id),
        at=found.at + timedelta(microseconds=1),
        subject=subject,
        assignments=tuple(assignments),
    )
