"""What holds for every plan, whatever is wanted and whatever lies there, forged or not."""

from dataclasses import replace

from hypothesis import assume, given

from reconciler import roles
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Plan,
    Reason,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.marker import assignment_name, parse
from reconciler.model import Desired, Mode, Resource, RoleAssignment, Wanted
from tests.properties import planning
from tests.properties.planning import Case
from tests.unit.builders import DATA, HOME, IDS, LAB, MAKER
from tests.unit.worlds import apply_to, asked_again


def touched(made: Plan) -> list[RoleAssignment]:
    """Return the assignments that a plan updates or deletes."""
    return [
        change.assignment
        for change in made.changes
        if isinstance(change, UpdateAssignment | DeleteAssignment)
    ]


@given(planning.cases)
def test_a_plan_converges(case: Case) -> None:
    """Made real, it soon leaves nothing to change, and no change is made twice on the way."""
    # Grants to a machine come with the wish for its system-assigned identity.
    assume(case.wanted.system or case.found.principal or not case.wanted.grants)
    rounds: list[Plan] = []
    for _ in range(8):
        made = case.plan
        rounds.append(made)
        case = replace(
            case,
            request=asked_again(case.request, made, case.found),
            found=apply_to(case.found, made),
        )

    assert not rounds[-1].changes
    assert not any(held.hold.passing for held in rounds[-1].withheld if held.until)
    changes = [change for one in rounds for change in one.changes]
    assert len(set(changes)) == len(changes)


@given(planning.cases)
def test_nothing_is_touched_that_is_not_ours(case: Case) -> None:
    """Deleted is what bears all four marks; updated at most what lost its marker."""
    made = case.plan

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
            assert marker.resource == case.found.id


@given(planning.cases)
def test_only_identities_that_policy_names_there_are_touched(case: Case) -> None:
    """Attached and created is what is wanted, detached what is, too, or what is exclusive."""
    wanted = {one.what for one in case.wanted.attach}
    unwelcome = {one.what for one in case.wanted.unwelcome}
    ensured = {one.what for one in case.wanted.ensured}

    for change in case.plan.changes:
        match change:
            case AttachIdentity(_, None):
                assert case.wanted.system
            case AttachIdentity(_, identity):
                assert identity in wanted
            case DetachIdentity(_, identity, Reason.NOT_ALLOWED):
                assert identity in unwelcome
                assert case.request.removals == case.terms.digest
            case DetachIdentity(_, identity):
                assert identity in wanted
            case CreateIdentity(new):
                assert new in ensured
        if identity := _user_assigned(change):
            assert IDS.contains(identity)
            assert identity != case.terms.own_identity
            assert identity not in case.terms.guardrails.protected


def _user_assigned(change: Change) -> ResourceId | None:
    match change:
        case AttachIdentity(_, identity) | DetachIdentity(_, identity):
            return identity
        case CreateIdentity(new):
            return new.id
        case _:
            return None


@given(planning.cases)
def test_nothing_is_done_to_what_is_exempt(case: Case) -> None:
    """Neither to a subject nor to an identity that it would carry; and nothing else is held."""
    made = case.plan
    without = replace(case, terms=replace(case.terms, exemptions=())).plan

    for change in made.changes:
        assert not case.exempt(case.found.id)
        assert not case.exempt(_user_assigned(change))
    kept = {held.change for held in made.withheld if held.hold is Hold.EXEMPT}
    assert {*made.changes, *kept} >= set(without.changes)
    assert set(made.changes) <= set(without.changes)
    assert all(case.exempt(case.found.id) or case.exempt(_user_assigned(one)) for one in kept)


@given(planning.cases)
def test_a_live_right_goes_only_under_the_policy_s_digest(case: Case) -> None:
    """No event can take a right away that the subject's principal of today holds."""
    for change in case.plan.changes:
        if isinstance(change, DeleteAssignment):
            alive = change.assignment.principal == case.found.principal
            assert (change.reason is Reason.UNWANTED) == alive
            assert not alive or case.request.removals == case.terms.digest


@given(planning.cases)
def test_a_wanted_right_is_never_deleted(case: Case) -> None:
    """Whatever a request says: what policy wants of the subject's principal stays."""
    rights = {(one.what.role, one.what.scope) for one in case.wanted.grants}

    for change in case.plan.changes:
        if isinstance(change, DeleteAssignment) and change.reason is Reason.UNWANTED:
            assert (change.assignment.role, change.assignment.scope) not in rights


def _allowed(case: Case, change: CreateAssignment | UpdateAssignment) -> bool:
    role, scope = change.grant.role, change.grant.scope
    built_in = roles.table().lookup(role)
    privileged = built_in.privileged if built_in else case.found.roles[role]
    return privileged is not None and case.terms.guardrails.allows(
        role, scope, privileged=privileged
    )


@given(planning.cases)
def test_rights_are_written_only_below_the_guardrails(case: Case) -> None:
    """And none is given around our own home, nor one that the guardrails do not name."""
    made = case.plan

    for change in made.changes:
        if isinstance(change, CreateAssignment | UpdateAssignment):
            assert _allowed(case, change)
            assert not change.grant.scope.contains(HOME)
    scopes = [one.scope for one in touched(made)]
    scopes += [one.grant.scope for one in made.changes if isinstance(one, CreateAssignment)]
    assert all(any(rail.contains(scope) for rail in (DATA, HOME, LAB)) for scope in scopes)


@given(planning.cases)
def test_nothing_is_done_about_what_is_not_watched_or_not_ours_to_change(case: Case) -> None:
    """Unwatched, managed by another, protected, or ourselves: everything is withheld."""
    found, terms = case.found, case.terms
    managed = isinstance(found.subject, Resource) and found.subject.managed_by
    off_limits = found.id in {terms.own_identity, *terms.guardrails.protected}
    ourselves = found.principal == MAKER

    if managed or off_limits or ourselves or not terms.watches(found.id):
        rights = (CreateAssignment, UpdateAssignment, DeleteAssignment)
        made = case.plan
        assert ourselves or not made.changes
        assert not any(
            isinstance(one, rights) and _principal(one) == found.principal for one in made.changes
        )


def _principal(change: CreateAssignment | UpdateAssignment | DeleteAssignment) -> str | None:
    if isinstance(change, CreateAssignment):
        return change.principal
    return change.assignment.principal


def _audited[T](wanted: tuple[Wanted[T], ...]) -> tuple[Wanted[T], ...]:
    return tuple(replace(one, mode=Mode.AUDIT) for one in wanted)


@given(planning.cases)
def test_audit_plans_no_write_for_what_policy_speaks_of(case: Case) -> None:
    """The same is told as in repair mode, and all of it withheld."""
    wanted = case.wanted
    audited = Desired(
        _audited(wanted.attach),
        replace(wanted.system, mode=Mode.AUDIT) if wanted.system else None,
        _audited(wanted.grants),
        tuple((replace(one, mode=Mode.AUDIT), text) for one, text in wanted.unresolved),
        _audited(wanted.ensured),
        _audited(wanted.unwelcome),
    )
    rights = {(one.what.role, one.what.scope) for one in wanted.grants}

    told = replace(case, wants=lambda _: audited).plan
    repaired = case.plan

    # What is left are rights that no rule speaks of, be it in audit or not.
    assert all(isinstance(one, DeleteAssignment) for one in told.changes)
    assert all((one.role, one.scope) not in rights for one in touched(told))
    shown = {*told.changes, *(held.change for held in told.withheld)}
    assert set(repaired.changes) <= shown
    assert shown == {*repaired.changes, *(held.change for held in repaired.withheld)}
    lifted = {held.change for held in told.withheld if held.hold is Hold.AUDIT}
    assert set(repaired.changes) - set(told.changes) <= lifted
