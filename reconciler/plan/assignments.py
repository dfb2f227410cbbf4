"""Which role assignments a subject must get, keep or lose, whatever stands in the way.

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

"Twice": under two conditions. "Nowhere": its scope has no name for this subject. "Ours": it bears
all four marks (`reconciler.marker`) and is about this subject, because it is of the principal that
the subject has today, whatever id the marker names (resources are moved), or because the marker
names the subject. "Lost": made by us for this subject, but its marker is lost, or another wrote it
last. Whether an earlier principal is really dead is for `reconciler.plan.evidence`.
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
    """Yield what the rights that policy wants still need: the rows that begin with yes."""
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
        # Several differ in their conditions alone; one stands for them, the same in every look.
        first = min(alike, key=lambda wanted: wanted.what.condition or "")
        conflicting = len(alike) > 1
        grant, found = first.what, held.get(right)
        change: Change | None = None
        if found is None:
            change = CreateAssignment(grant, principal, marker)
        elif (
            first.mode is Mode.REPAIR
            and ownership.marker_of(found)
            and context.hold_on_grant(*right, observed.roles) in {Hold.GUARDRAILS, Hold.HOME}
        ):
            change = DeleteAssignment(found, Reason.FORBIDDEN)
        elif found.condition != grant.condition:
            change = UpdateAssignment(found, grant, marker, Reason.CONDITION_DIFFERS)
        elif ownership.lost(found) or (ownership.marker_of(found) and found.description != marker):
            change = UpdateAssignment(found, grant, marker, Reason.MARKER_DIFFERS)
        elif conflicting:
            change = CreateAssignment(grant, principal, marker)
        if change:
            yield Proposal(change, first, conflicting)
    for unresolved in desired.unresolved:
        yield Proposal(CreateAssignment(unresolved.what, principal, marker), unresolved)


def for_unwanted(desired: Desired, observed: Observed, context: PlanContext) -> Iterator[Proposal]:
    """Yield the rights that are there and wanted no more: the rows that begin with no."""
    ownership, principal = context.ownership, observed.principal
    wanted = {(grant.what.role, grant.what.place) for grant in desired.grants}
    for assignment in observed.assignments:
        right, alive = (assignment.role, assignment.scope), assignment.principal == principal
        if alive and right in wanted:
            continue
        # The marker counts only where it is not of the principal that the subject has today.
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
            # What policy asks for at the same scope in the same role, now for another principal:
            # in audit mode neither the old right goes nor does the new one come.
            same = [
                grant for grant in desired.grants if (grant.what.role, grant.what.scope) == right
            ]
            successor = min(
                same,
                key=lambda grant: (grant.mode is not Mode.REPAIR, grant.what.condition or ""),
                default=None,
            )
            yield Proposal(DeleteAssignment(assignment, reason), successor)
