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
    unwanted_id,
)
from reconciler.ids import ResourceId
from reconciler.marker import parse
from reconciler.model import Desired, Mode, Resource, RoleAssignment, Traces, Wanted
from tests.properties import planning
from tests.properties.planning import Case
from tests.unit.worlds import apply_to, asked_again
from tests.world.builders import DATA, HOME, IDS, LAB, MAKER, OLD


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


def is_ours(one: RoleAssignment) -> bool:
    """Return whether a right bears all four marks, spelled out once more."""
    marker = parse(one.description)
    return (
        marker is not None
        and marker.owner in {"prod", "former"}
        and one.principal_type == "ServicePrincipal"
        and one.created_by == one.updated_by == MAKER
    )


@given(planning.cases)
def test_nothing_is_touched_that_is_not_ours(case: Case) -> None:
    """Deleted is what bears all four marks; written anew also what we made, lost and still want."""
    wanted = {(one.what.role, one.what.scope) for one in case.wanted.grants}

    for change in case.plan.changes:
        if isinstance(change, DeleteAssignment):
            assert is_ours(change.assignment)
            marker = parse(change.assignment.description)
            alive = change.assignment.principal == case.found.principal
            assert alive or (marker and marker.resource == case.found.id)
        if isinstance(change, UpdateAssignment):
            one = change.assignment
            assert one.principal == case.found.principal
            assert (one.role, one.scope) in wanted
            assert (one.created_by, one.principal_type) == (MAKER, "ServicePrincipal")
            lost = one.updated_by != MAKER or parse(one.description) is None
            assert lost or is_ours(one)


@given(planning.cases)
def test_nothing_dead_goes_where_any_part_of_the_proof_is_missing(case: Case) -> None:
    """No word of its end, a trace of it, one read alone, or a carrier: its rights stay."""
    found = case.found
    shown = found.traces.shown if found.traces else {}
    unproved = [
        replace(found, traces=None),
        replace(found, confirmed=False, endings={}),
        *(
            replace(found, confirmed=False, endings={one: replace(end, **lacking)})
            for one, end in found.endings.items()
            for lacking in ({"ended": None}, {"complete": False})
        ),
        replace(found, confirmed=False, traces=Traces({**shown, found.id: OLD})),
        replace(found, traces=Traces({**shown, found.id: "another"})),
    ]

    for lacking in unproved:
        for change in replace(case, found=lacking).plan.changes:
            dead = isinstance(change, DeleteAssignment) and change.reason.dead
            gone = isinstance(change, DetachIdentity) and change.reason is Reason.IDENTITY_GONE
            assert not dead
            assert not gone or lacking.endings


@given(planning.cases)
def test_a_principal_that_another_resource_carries_loses_nothing(case: Case) -> None:
    """It lives, whatever the marker's own resource shows."""
    shown = case.found.traces.shown if case.found.traces else {}
    elsewhere = {carried for place, carried in shown.items() if place != case.found.id}

    for change in case.plan.changes:
        if isinstance(change, DeleteAssignment) and change.reason.dead:
            assert change.assignment.principal not in elsewhere


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
            case DetachIdentity(_, identity):
                assert identity in wanted
            case CreateIdentity(new):
                assert new in ensured
        if identity := _user_assigned(change):
            assert IDS.contains(identity)
            assert identity != case.context.own_identity
            assert identity not in case.context.guardrails.protected


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
    without = replace(case, context=replace(case.context, exemptions=())).plan

    for change in made.changes:
        assert not case.exempt(case.found.id)
        assert not case.exempt(_user_assigned(change))
    kept = {held.change for held in made.withheld if held.hold is Hold.EXEMPT}
    assert {*made.changes, *kept} >= set(without.changes)
    assert set(made.changes) <= set(without.changes)
    assert all(case.exempt(case.found.id) or case.exempt(_user_assigned(one)) for one in kept)


@given(planning.cases)
def test_a_right_of_today_s_principal_goes_only_by_name(case: Case) -> None:
    """No event can take a right away that the subject's principal of today holds."""
    for change in case.plan.changes:
        if isinstance(change, DeleteAssignment):
            alive = change.assignment.principal == case.found.principal
            assert (change.reason is Reason.UNWANTED) == alive
        if change.reason.unwanted:
            assert case.allows(unwanted_id(change))


@given(planning.cases)
def test_a_wanted_right_of_today_s_principal_never_goes(case: Case) -> None:
    """Whatever a request says: what policy wants of the subject's principal stays."""
    rights = {(one.what.role, one.what.scope) for one in case.wanted.grants}
    carried = {one.what for one in case.wanted.attach if case.found.identities.get(one.what)}

    for change in case.plan.changes:
        if isinstance(change, DeleteAssignment) and change.reason is Reason.UNWANTED:
            assert (change.assignment.role, change.assignment.scope) not in rights
        if isinstance(change, DetachIdentity) and change.identity in carried:
            assert change.reason is Reason.IDENTITY_RECREATED
            entry = case.found.subject.identities.entry(change.identity)  # type: ignore[union-attr]
            own = case.found.identities[change.identity]
            assert entry.principal != own.principal  # type: ignore[union-attr]


@given(planning.cases)
def test_an_unwanted_right_never_goes_together_with_what_replaces_it(case: Case) -> None:
    """Neither before it nor in the same breath, but where the subscription is full."""
    made = case.plan
    created = [one.grant for one in made.changes if isinstance(one, CreateAssignment)]
    chosen = {one.what: one.choices for one in case.wanted.grants}

    for change in made.changes:
        if isinstance(change, DeleteAssignment) and change.reason is Reason.UNWANTED:
            gone = change.assignment
            assert case.found.limit_reached or not any(
                (one.role == gone.role or one.scope == gone.scope) and gone.scope not in chosen[one]
                for one in created
            )


def _allowed(case: Case, change: CreateAssignment | UpdateAssignment) -> bool:
    role, scope = change.grant.role, change.grant.place
    built_in = roles.table().lookup(role)
    privileged = built_in.privileged if built_in else case.found.roles[role]
    return privileged is not None and case.context.guardrails.allows(
        role, scope, privileged=privileged
    )


@given(planning.cases)
def test_rights_are_written_only_below_the_guardrails(case: Case) -> None:
    """And none is given around our own home, nor one that the guardrails do not name."""
    made = case.plan

    for change in made.changes:
        if isinstance(change, CreateAssignment | UpdateAssignment):
            assert _allowed(case, change)
            place = change.grant.place
            assert not place.contains(HOME)
            assert any(rail.contains(place) for rail in (DATA, LAB))
        if isinstance(change, DeleteAssignment):
            assert not HOME.contains(change.assignment.scope)


@given(planning.cases)
def test_nothing_is_done_about_what_is_not_watched_or_not_ours_to_change(case: Case) -> None:
    """Unwatched, protected, or ourselves: everything is withheld; the managed are given nothing."""
    found, context, made = case.found, case.context, case.plan
    off_limits = found.id in {context.own_identity, *context.guardrails.protected}

    if off_limits or not context.watches(found.id):
        assert not made.changes
    if found.principal == MAKER:
        rights = (CreateAssignment, UpdateAssignment, DeleteAssignment)
        assert not any(isinstance(one, rights) and _principal(one) == MAKER for one in made.changes)
    if isinstance(found.subject, Resource) and found.subject.managed_by:
        assert all(
            isinstance(one, DeleteAssignment)
            or (isinstance(one, DetachIdentity) and one.reason is Reason.NOT_ALLOWED)
            for one in made.changes
        )


def _principal(change: CreateAssignment | UpdateAssignment | DeleteAssignment) -> str | None:
    if isinstance(change, CreateAssignment):
        return change.principal
    return change.assignment.principal


def _audited[T](wanted: tuple[Wanted[T], ...]) -> tuple[Wanted[T], ...]:
    return tuple(replace(one, mode=Mode.AUDIT) for one in wanted)


@given(planning.cases)
def test_audit_withholds_every_change_that_policy_asks_for(case: Case) -> None:
    """The plan shows the same as in repair mode, and all of it withheld."""
    wanted = case.wanted
    audited = Desired(
        _audited(wanted.attach),
        replace(wanted.system, mode=Mode.AUDIT) if wanted.system else None,
        _audited(wanted.grants),
        _audited(wanted.unresolved),
        _audited(wanted.ensured),
        _audited(wanted.unwelcome),
    )
    rights = {(one.what.role, one.what.scope) for one in wanted.grants}

    audit_plan = replace(case, wants=lambda _: audited).plan
    repaired = case.plan

    # What is left are rights that no rule speaks of, be it in audit or not.
    assert all(isinstance(one, DeleteAssignment) for one in audit_plan.changes)
    assert all((one.role, one.scope) not in rights for one in touched(audit_plan))
    shown = {*audit_plan.changes, *(held.change for held in audit_plan.withheld)}
    assert set(repaired.changes) <= shown
    # What guardrails forbid by now is a finding only where policy would grant it.
    mended = {*repaired.changes, *(held.change for held in repaired.withheld)}
    forbidden = {one.assignment for one in mended if one.reason is Reason.FORBIDDEN}  # type: ignore[union-attr]
    assert _apart_from(forbidden, shown) == _apart_from(forbidden, mended)
    lifted = {
        held.change for held in audit_plan.withheld if held.hold in {Hold.AUDIT, Hold.ROLLOUT}
    }
    assert set(repaired.changes) - set(audit_plan.changes) <= lifted


def _apart_from(forbidden: set[RoleAssignment], changes: set[Change]) -> set[Change]:
    rights = (UpdateAssignment, DeleteAssignment)
    return {one for one in changes if not (isinstance(one, rights) and one.assignment in forbidden)}
