"""Which role assignments a subject must get, keep or lose.

Case by case, for an assignment at a scope that was read:

    triple wanted | whose                    | outcome
    --------------|--------------------------|------------------------------------------------
    yes           | nobody's: missing        | create
    yes           | ours, same condition     | nothing
    yes           | ours, differs            | update
    yes           | ours but for the marker  | update: give it its marker back
    yes           | another's, same          | nothing: it satisfies policy and stays theirs
    yes           | another's, differs       | update, withheld
    no            | ours, principal replaced | delete (retired)
    no            | ours, subject gone       | delete (retired), once it cannot have moved
    no            | ours, principal alive    | delete (unwanted), only under `removals`
    no            | ours but for the marker  | delete, withheld
    no            | another's                | nothing, ever
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from reconciler.changes import (
    CreateAssignment,
    DeleteAssignment,
    Hold,
    Reason,
    UpdateAssignment,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.marker import parse
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Desired,
    Grant,
    Mode,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    UserIdentity,
    Wanted,
)
from reconciler.plan.identities import is_busy
from reconciler.plan.terms import Terms

type Step = CreateAssignment | UpdateAssignment | DeleteAssignment | Withheld
type Triple = tuple[str | None, str, ResourceId]

GONE: Final = "gone"
"""What `Request.seen` says once a resource was found gone."""

MOVE_FACTOR: Final = 5
"""A gone resource is looked at again after this many settling times: it may have moved."""


@dataclass
class AssignmentPlanner:
    """Plans the assignments of one subject; `system` is why its identity stays off."""

    observed: Observed
    request: Request
    terms: Terms
    system: Withheld | None = None
    seen: list[str] = field(default_factory=list)

    def steps(self, desired: Desired) -> Iterator[Step]:
        """Yield changes and what is withheld of them."""
        found = {_triple(assignment): assignment for assignment in self.observed.assignments}
        wanted: dict[Triple, list[Wanted[Grant]]] = {}
        for grant in desired.grants:
            triple = (self.observed.principal, grant.what.role, grant.what.scope)
            wanted.setdefault(triple, []).append(grant)
        for triple, grants in wanted.items():
            yield from self._granted(grants, found.get(triple))
        for triple, assignment in found.items():
            if triple not in wanted:
                yield from self._removed(assignment, desired)
        for lost, template in desired.unresolved:
            nowhere = Grant(lost.what, self.observed.id)
            hold = Hold.AUDIT if lost.mode is Mode.AUDIT else Hold.UNRESOLVED
            yield Withheld(self._create(nowhere), hold, template)

    def _create(self, grant: Grant) -> CreateAssignment:
        marker = self.terms.ownership.marker_for(self.observed.id)
        return CreateAssignment(grant, self.observed.principal, marker)

    def _granted(self, grants: list[Wanted[Grant]], found: RoleAssignment | None) -> Iterator[Step]:
        wanted = min(grants, key=lambda one: one.what.condition or "")
        grant = wanted.what
        step = self._difference(grant, found)
        if len(grants) > 1:
            yield Withheld(step or self._create(grant), Hold.CONFLICTING)
        elif step:
            foreign = found is not None and not self.terms.ownership.may_write(found)
            hold = Hold.FOREIGN_CONDITION if foreign else self._hold_on_grant(wanted, step.marker)
            # A right waits for as long as the identity that receives it.
            until = self.system.until if self.system and self.system.hold is hold else None
            yield Withheld(step, hold, until=until) if hold else step

    def _difference(
        self, grant: Grant, found: RoleAssignment | None
    ) -> CreateAssignment | UpdateAssignment | None:
        if found is None:
            return self._create(grant)
        ownership = self.terms.ownership
        marker = ownership.marker_for(self.observed.id)
        if found.condition != grant.condition:
            return UpdateAssignment(found, grant, marker, Reason.CONDITION_DIFFERS)
        if ownership.may_write(found) and found.description != marker:
            return UpdateAssignment(found, grant, marker, Reason.MARKER_DIFFERS)
        return None

    def _hold_on_grant(self, wanted: Wanted[Grant], marker: str) -> Hold | None:
        if wanted.mode is Mode.AUDIT:
            return Hold.AUDIT
        subject = self.observed.subject
        if subject is None:
            return Hold.IDENTITY_ABSENT
        hold = self._hold_on_subject(subject.principal)
        if isinstance(subject, UserIdentity):
            hold = hold or self.terms.hold_on_place(subject.id)
        if parse(marker) is None:
            hold = hold or Hold.NO_ROOM_FOR_MARKER
        if subject.principal is None and self.system:
            hold = hold or self.system.hold
        role, scope = wanted.what.role, wanted.what.scope
        return hold or self.terms.hold_on_grant(role, scope, self.observed.roles)

    def _hold_on_subject(self, principal: str | None) -> Hold | None:
        """Return why no right of the subject may be changed, be it given or taken away."""
        subject = self.observed.subject
        if isinstance(subject, Resource) and subject.managed_by:
            return Hold.MANAGED
        if not self.terms.watches(self.observed.id):
            return Hold.NOT_WATCHED
        return self.terms.hold_on_identity(self.observed.id, principal)

    def _removed(self, assignment: RoleAssignment, desired: Desired) -> Iterator[Step]:
        ownership = self.terms.ownership
        marker = ownership.marker_of(assignment)
        if marker is None:
            alive = assignment.principal == self.observed.principal
            if alive and ownership.may_write(assignment):
                yield Withheld(DeleteAssignment(assignment, Reason.UNWANTED), Hold.NO_MARKER)
        elif marker.resource == self.observed.id:
            step, later = self._retired_or_unwanted(assignment)
            hold = self._hold_on_removal(step, desired)
            yield Withheld(step, hold) if hold else later or step

    def _hold_on_removal(self, step: DeleteAssignment, desired: Desired) -> Hold | None:
        gone = step.assignment
        same = (grant for grant in desired.grants if _is_about(gone, grant.what))
        if any(grant.mode is Mode.AUDIT for grant in same):
            return Hold.AUDIT
        unnamed = {lost.what for lost, _ in desired.unresolved}
        if step.reason is Reason.UNWANTED and gone.role in unnamed:
            # Policy may ask for just this right: where is only not known now.
            return Hold.UNRESOLVED
        if not self.terms.guardrails.covers(gone.scope):
            return Hold.GUARDRAILS
        return self._hold_on_subject(gone.principal)

    def _retired_or_unwanted(
        self, assignment: RoleAssignment
    ) -> tuple[DeleteAssignment, Withheld | None]:
        subject = self.observed.subject
        if subject is None:
            step = DeleteAssignment(assignment, Reason.RESOURCE_GONE)
            return step, self._hold_on_gone(step)
        if assignment.principal == subject.principal:
            step = DeleteAssignment(assignment, Reason.UNWANTED)
            allowed = self.request.removals == self.terms.digest
            return step, None if allowed else Withheld(step, Hold.REMOVALS)
        step = DeleteAssignment(assignment, Reason.PRINCIPAL_REPLACED)
        hold = _unsure(subject) if isinstance(subject, Resource) else None
        return step, Withheld(step, hold) if hold else None

    def _hold_on_gone(self, step: DeleteAssignment) -> Withheld | None:
        """Wait with a gone resource's rights: a moved machine keeps its principal (facts B5)."""
        if self.observed.id.is_type(USER_ASSIGNED_IDENTITY):
            return None
        if GONE not in self.seen:
            self.seen.append(GONE)
        carrier = self.observed.carriers.get(step.assignment.principal)
        if carrier:
            return Withheld(step, Hold.CARRIED, str(carrier))
        since = self.request.first if GONE in self.request.seen else None
        due = (since or self.observed.at) + MOVE_FACTOR * self.terms.settle
        if since is None or self.observed.at < due:
            return Withheld(step, Hold.UNCONFIRMED, until=due)
        return None


def _unsure(resource: Resource) -> Hold | None:
    """Return why a resource does not prove that its principal was replaced."""
    if resource.identities.raw_type is not None:
        return Hold.UNKNOWN_IDENTITY_TYPE
    # One that is being built may not show its principal yet.
    absent = resource.principal is None
    return Hold.BUSY if absent and (resource.identities.system or is_busy(resource)) else None


def _triple(assignment: RoleAssignment) -> Triple:
    return (assignment.principal, assignment.role, assignment.scope)


def _is_about(assignment: RoleAssignment, grant: Grant) -> bool:
    return (assignment.role, assignment.scope) == (grant.role, grant.scope)
