"""Which role assignments a subject must get, keep or lose; what stands in the way is for the holds.

Case by case, for an assignment that was read:

    triple wanted | whose                    | outcome
    --------------|--------------------------|------------------------------------------------
    yes           | nobody's: missing        | create
    yes           | ours, same condition     | nothing; withheld delete where guardrails forbid it
    yes           | ours, differs            | update
    yes           | made by us, marker lost  | update: written anew as policy wants it
    yes           | another's, same          | nothing: it satisfies policy and stays theirs
    yes           | another's, differs       | update, withheld
    no            | ours, principal replaced | delete, once that is proved
    no            | ours, subject gone       | delete, once that is proved
    no            | ours, principal alive    | delete (unwanted), only under `removals`
    no            | made by us, marker lost  | delete, withheld
    no            | another's                | nothing, ever

A principal that is alive here decides alone: its right may bear the id under which it lived before.
"""

from collections.abc import Iterator
from typing import Any

from reconciler.changes import (
    CreateAssignment,
    DeleteAssignment,
    Hold,
    Reason,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.marker import parse
from reconciler.model import Desired, Grant, Mode, Observed, RoleAssignment, Wanted
from reconciler.plan.context import PlanContext
from reconciler.plan.steps import Step

type Triple = tuple[str | None, str, ResourceId]


def steps(desired: Desired, observed: Observed, context: PlanContext) -> Iterator[Step]:
    """Yield what the rights of a subject lack or have too much."""
    found = {_triple(assignment): assignment for assignment in observed.assignments}
    wanted: dict[Triple, list[Wanted[Grant]]] = {}
    for grant in desired.grants:
        triple = (observed.principal, grant.what.role, grant.what.place)
        wanted.setdefault(triple, []).append(grant)
    for triple, grants in wanted.items():
        yield from _wanted(grants, found.get(triple), observed, context)
    for triple, assignment in found.items():
        if triple not in wanted:
            yield from _not_wanted(assignment, desired, observed, context)
    for lost in desired.unresolved:
        yield Step(_create(lost.what, observed, context), lost)


def _create(grant: Grant, observed: Observed, context: PlanContext) -> CreateAssignment:
    return CreateAssignment(grant, observed.principal, context.ownership.marker_for(observed.id))


def _wanted(
    grants: list[Wanted[Grant]],
    found: RoleAssignment | None,
    observed: Observed,
    context: PlanContext,
) -> Iterator[Step]:
    """Yield what a wanted right needs; `grants` are several only under different conditions."""
    wanted = min(grants, key=lambda one: one.what.condition or "")
    grant, ownership = wanted.what, context.ownership
    marker = ownership.marker_for(observed.id)
    conflicting = len(grants) > 1
    if found is None:
        yield Step(_create(grant, observed, context), wanted, conflicting)
    elif wanted.mode is Mode.REPAIR and _forbidden(grant, found, observed, context):
        yield Step(DeleteAssignment(found, Reason.FORBIDDEN), wanted)
    elif found.condition != grant.condition:
        change = UpdateAssignment(found, grant, marker, Reason.CONDITION_DIFFERS)
        yield Step(change, wanted, conflicting)
    elif ownership.lost(found) or (ownership.marker_of(found) and found.description != marker):
        change = UpdateAssignment(found, grant, marker, Reason.MARKER_DIFFERS)
        yield Step(change, wanted, conflicting)
    elif conflicting:
        yield Step(_create(grant, observed, context), wanted, conflicting)


def _forbidden(
    grant: Grant, found: RoleAssignment, observed: Observed, context: PlanContext
) -> bool:
    """Return whether a right of ours that policy wants is one that may not be given any more."""
    if not context.ownership.marker_of(found):
        return False
    hold = context.hold_on_grant(grant.role, grant.place, observed.roles)
    return hold in {Hold.GUARDRAILS, Hold.HOME}


def _not_wanted(
    found: RoleAssignment, desired: Desired, observed: Observed, context: PlanContext
) -> Iterator[Step]:
    ownership, alive = context.ownership, found.principal == observed.principal
    marker = ownership.marker_of(found)
    if marker is None:
        named = parse(found.description)
        ours = alive or (named is not None and named.names(observed.id))
        if ours and ownership.lost(found):
            yield Step(DeleteAssignment(found, Reason.UNWANTED))
        return
    if not alive and not marker.names(observed.id):
        return
    if alive:
        reason = Reason.UNWANTED
    else:
        reason = Reason.PRINCIPAL_REPLACED if observed.subject else Reason.RESOURCE_GONE
    yield Step(DeleteAssignment(found, reason), _same_right(found, desired))


def _same_right(found: RoleAssignment, desired: Desired) -> Wanted[Any] | None:
    """Return what policy asks at the same scope in the same role, now for another principal.

    Of several under different conditions one that is to be mended, whatever their order.
    """
    same = [
        grant
        for grant in desired.grants
        if (grant.what.role, grant.what.scope) == (found.role, found.scope)
    ]
    first = min(same, key=lambda one: one.what.condition or "", default=None)
    return next((one for one in same if one.mode is Mode.REPAIR), first)


def _triple(assignment: RoleAssignment) -> Triple:
    return (assignment.principal, assignment.role, assignment.scope)
