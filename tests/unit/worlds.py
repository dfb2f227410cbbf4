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
    IdentityBlock,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    UserIdentity,
)
from tests.unit.builders import NEW, SETTLE, assignment

LATER = 6 * SETTLE
"""Longer than anything that time lifts by itself."""


def apply_to(found: Observed, plan: Plan) -> Observed:
    """Return what a look finds after all of a plan's changes were made and time went by."""
    assignments = list(found.assignments)
    for change in plan.changes:
        assignments = _rights_after(assignments, change, found)
    return replace(
        found,
        at=found.at + LATER,
        subject=_subject_after(found, plan),
        assignments=tuple(assignments),
        identities={**found.identities, **dict(_created(plan))},
    )


def _created(plan: Plan) -> Iterator[tuple[ResourceId, UserIdentity]]:
    for change in plan.changes:
        if isinstance(change, CreateIdentity):
            yield change.new.id, UserIdentity(change.new.id, NEW, "", change.new.location)


def asked_again(request: Request, plan: Plan, since: Observed) -> Request:
    """Return the copy of a request: it keeps what was seen, and since when."""
    fresh = set(plan.seen) - set(request.seen)
    first = since.at if fresh or request.first is None else request.first
    return replace(request, first=first, seen=tuple(sorted({*request.seen, *plan.seen})))


def _rights_after(
    assignments: list[RoleAssignment], change: Change, found: Observed
) -> list[RoleAssignment]:
    match change:
        case DeleteAssignment(gone):
            return [one for one in assignments if one != gone]
        case UpdateAssignment(old, grant, marker):
            written = replace(old, condition=grant.condition, description=marker)
            return [written if one == old else one for one in assignments]
        case CreateAssignment(grant, str(principal), marker):
            made = assignment(principal, grant.role, grant.scope, found.id)
            return [*assignments, replace(made, condition=grant.condition, description=marker)]
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
