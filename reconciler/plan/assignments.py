"""Which role assignments a subject must get, keep or lose, before any hold is considered.

A triple is principal, role and scope; at most one assignment exists for each. Case by case:

    | triple wanted | the assignment there is          | proposal                             |
    |---------------|----------------------------------|--------------------------------------|
    | yes           | none                             | create                               |
    | yes           | ours, guardrails forbid it now   | delete (FORBIDDEN), always withheld  |
    | yes           | ours or lost, another condition  | update (CONDITION_DIFFERS)           |
    | yes           | ours, another marker             | update (MARKER_DIFFERS)              |
    | yes           | lost                             | update (MARKER_DIFFERS)              |
    | yes           | ours, as wanted                  | none                                 |
    | yes           | another's, another condition     | update, withheld (FOREIGN_CONDITION) |
    | yes           | another's, as wanted             | none: it satisfies policy            |
    | yes, twice    | any of these                     | as above or create (CONFLICTING)     |
    | yes, nowhere  | -                                | create, withheld (UNRESOLVED)        |
    | no            | ours, of today's principal       | delete (UNWANTED), if requested      |
    | no            | ours, of an earlier principal    | delete (PRINCIPAL_REPLACED)          |
    | no            | ours, and the subject is gone    | delete (RESOURCE_GONE)               |
    | no            | lost                             | delete, withheld (NO_MARKER)         |
    | no            | another's, or another subject's  | none                                 |

"Twice": policy wants the triple under two conditions. "Nowhere": the scope cannot be resolved for
this subject. "Ours": the assignment bears all four marks (`reconciler.marker`) and is about this
subject: it is of the subject's principal of today, whatever id the marker names (resources are
moved), or the marker names the subject. "Lost": we made it, about this subject, but its marker is
lost, or another wrote it last. `reconciler.plan.evidence` proves that an earlier principal is dead.
"""

from collections.abc import Iterator

from reconciler.changes import (
    Change,
    CreateAssignment,
    DeleteAssignment,
    Hold,
    Reason,
    UpdateAssignment,
)
from reconciler.ids import ResourceId
from reconciler.marker import parse
from reconciler.model import Desired, Grant, Mode, Observed, Wanted
from reconciler.plan.context import PlanContext, Proposal


def for_wanted(desired: Desired, observed: Observed, context: PlanContext) -> Iterator[Proposal]:
    """Yield the changes that wanted rights need: the rows of the table that begin with yes."""
    ownership, principal = context.ownership, observed.principal
    marker = ownership.marker_for(observed.id)
    held = {
        (assignment.role, assignment.scope): assignment
        for assignment in observed.assignments
        if assignment.principal == principal
    }
    by_right: dict[tuple[str, ResourceId], list[Wanted[Grant]]] = {}
    for wanted in desired.grants:
        by_right.setdefault((wanted.what.role, wanted.what.place), []).append(wanted)
    for right, alike in by_right.items():
        # Wants of one triple differ in their conditions alone. The first by its condition stands
        # for all, so that each look proposes the same.
        first = min(alike, key=lambda wanted: wanted.what.condition or "")
        conflicting = len(alike) > 1
        grant, existing = first.what, held.get(right)
        change: Change | None = None
        if existing is None:
            change = CreateAssignment(grant, principal, marker)
        elif (
            first.mode is Mode.REPAIR
            and ownership.marker_of(existing)
            and context.hold_on_grant(*right, observed.roles) in {Hold.GUARDRAILS, Hold.HOME}
        ):
            # The holds withhold this deletion, so it only shows that the right is forbidden.
            change = DeleteAssignment(existing, Reason.FORBIDDEN)
        elif existing.condition != grant.condition:
            change = UpdateAssignment(existing, grant, marker, Reason.CONDITION_DIFFERS)
        elif ownership.lost(existing) or (
            ownership.marker_of(existing) and existing.description != marker
        ):
            change = UpdateAssignment(existing, grant, marker, Reason.MARKER_DIFFERS)
        elif conflicting:
            # The right is there under one of the conditions. CONFLICTING withholds this change,
            # which shows that policy contradicts itself.
            change = CreateAssignment(grant, principal, marker)
        if change:
            yield Proposal(change, first, conflicting)
    for unresolved in desired.unresolved:
        yield Proposal(CreateAssignment(unresolved.what, principal, marker), unresolved)


def for_unwanted(desired: Desired, observed: Observed, context: PlanContext) -> Iterator[Proposal]:
    """Yield the deletions of rights no longer wanted: the rows of the table that begin with no."""
    ownership, principal = context.ownership, observed.principal
    wanted = {(grant.what.role, grant.what.place) for grant in desired.grants}
    for assignment in observed.assignments:
        right, alive = (assignment.role, assignment.scope), assignment.principal == principal
        if alive and right in wanted:
            continue
        # A right of the subject's principal of today is about the subject, whatever its marker
        # names. Any other right is about the subject only if its marker names it.
        about_subject = alive or (
            (marker := parse(assignment.description)) is not None and marker.names(observed.id)
        )
        if about_subject and ownership.lost(assignment):
            yield Proposal(DeleteAssignment(assignment, Reason.UNWANTED))
        elif about_subject and ownership.marker_of(assignment):
            if alive:
                reason = Reason.UNWANTED
            else:
                reason = Reason.PRINCIPAL_REPLACED if observed.subject else Reason.RESOURCE_GONE
            # The grant of the same role at the same scope to the principal of today. The deletion
            # takes its mode: in audit mode the old right stays, and the new one is not made.
            same = [
                grant for grant in desired.grants if (grant.what.role, grant.what.scope) == right
            ]
            successor = min(
                same,
                key=lambda grant: (grant.mode is not Mode.REPAIR, grant.what.condition or ""),
                default=None,
            )
            yield Proposal(DeleteAssignment(assignment, reason), successor)
