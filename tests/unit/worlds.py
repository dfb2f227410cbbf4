"""A pure model of the world that a plan changes, for the planner's property tests."""

from collections.abc import Iterator
from dataclasses import replace

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Plan,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.model import (
    AttachedIdentity,
    Ending,
    IdentityBlock,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    Traces,
    UserIdentity,
)
from tests.world.builders import MAKER, NEW, OTHER_VM, SETTLE, assignment

LATER = 10 * SETTLE
"""After so long the end of what was not found may be asked for; six times that is an hour."""


def apply_to(found: Observed, plan: Plan) -> Observed:
    """Return what a look finds after all of a plan's changes were made and time went by.

    Meanwhile Resource Graph and the activity log have caught up with what is there and what is not.
    """
    assignments = list(found.assignments)
    for change in plan.changes:
        assignments = _rights_after(assignments, change, found)
    identities = {**found.identities, **dict(_created(plan))}
    subject = _subject_after(found, plan)
    others = found.traces.shown if found.traces else {}
    shown = {one: carried for one, carried in others.items() if one == OTHER_VM}
    endings = {one: Ending(found.at) for one, own in identities.items() if own is None}
    endings[found.id] = Ending(None if subject else found.at)
    return replace(
        found,
        at=found.at + LATER,
        subject=subject,
        assignments=tuple(assignments),
        identities=identities,
        confirmed=True,
        traces=Traces({**shown, found.id: subject.principal} if subject else shown),
        endings=endings,
    )


def _created(plan: Plan) -> Iterator[tuple[ResourceId, UserIdentity]]:
    for change in plan.changes:
        if isinstance(change, CreateIdentity):
            yield change.new.id, UserIdentity(change.new.id, NEW, "", change.new.location)


def asked_again(request: Request, plan: Plan, since: Observed) -> Request:
    """Return the copy of a request: it keeps what was seen, and since when."""
    known = {(one.what, one.about): one for one in request.sightings}
    for one in plan.sightings:
        known.setdefault((one.what, one.about), one)
    first = request.first or since.at
    return replace(request, first=first, sightings=tuple(sorted(known.values())))


def _rights_after(
    assignments: list[RoleAssignment], change: Change, found: Observed
) -> list[RoleAssignment]:
    match change:
        case DeleteAssignment(gone):
            return [one for one in assignments if one != gone]
        case UpdateAssignment(old, grant, marker):
            written = replace(old, condition=grant.condition, description=marker, updated_by=MAKER)
            return [written if one == old else one for one in assignments]
        case CreateAssignment(grant, str(principal), marker):
            made = assignment(principal, grant.role, grant.place, found.id)
            written = replace(made, condition=grant.condition, description=marker, created=found.at)
            return [*assignments, written]
        case _:
            return assignments


def _subject_after(found: Observed, plan: Plan) -> Resource | UserIdentity | None:
    subject = found.subject
    if not isinstance(subject, Resource):
        return subject
    block = subject.identities
    for change in plan.changes:
        match change:
            case AttachIdentity(_, None):
                block = replace(block, system=True)
            case AttachIdentity(_, ResourceId() as identity):
                block = _with(block, identity, found)
            case DetachIdentity(_, identity):
                block = _without(block, identity)
            case _:
                continue
    if block.system:
        block = replace(block, principal=block.principal or NEW)
    return replace(subject, identities=block, state="Succeeded", deploying=False)


def _with(block: IdentityBlock, identity: ResourceId, found: Observed) -> IdentityBlock:
    own = found.identities[identity]
    entry = AttachedIdentity(identity, own.principal if own else None)
    return replace(block, attached=(*block.attached, entry))


def _without(block: IdentityBlock, identity: ResourceId) -> IdentityBlock:
    return replace(block, attached=tuple(one for one in block.attached if one.id != identity))
