"""The owner of a role assignment that somebody else wrote or deleted; `reconciler.app` asks.

An assignment of ours is named by its triple, so a deleted one can be recognised by computing the
name of everything that policy could have granted at its scope, without having stored anything. One
whose name fits nobody may have been another's, which satisfied policy: then everything that policy
wants at the scope is compared with what the scope's list still holds.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.changes import Result
from reconciler.errors import Again, Blocked, NotFound
from reconciler.ids import ResourceId, dashless
from reconciler.marker import SERVICE_PRINCIPAL, assignment_name, parse
from reconciler.model import (
    Mode,
    Request,
    Resource,
    RoleAssignment,
    Sight,
    Sighting,
    UserIdentity,
)
from reconciler.observe import Observer, desired_of
from reconciler.plan.context import FIRST_DELAY
from reconciler.policy.desired import matching_rules
from reconciler.reconcile.recent import RecentRuns
from reconciler.reconcile.retry import failed_result, schedule_repeat
from reconciler.resource_types import is_reconciled

_MOST_REQUESTS: Final = 200
_COMPARED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AssignmentSearch:
    """Finds the resources and identities that a role assignment is about, and requests those.

    Assignments of people and groups are never ours: one read at most.
    """

    observer: Observer
    recent: RecentRuns
    now: Callable[[], datetime]

    def reconcile(self, request: Request) -> Result:
        """Return requests for whose the assignment is or was; it is never changed itself."""
        began = self.now()
        owners: list[ResourceId] = []
        written: tuple[Sighting, ...] = ()
        if request.sighted(Sight.DELETED, request.id.key) and self._is_compared(request):
            return Result()
        try:
            assignment: RoleAssignment | None = None
            with contextlib.suppress(NotFound):
                assignment = self.observer.arm.assignment(_dashed(request.id))
            if assignment is None:
                return self._after_deletion(request)
            if assignment.principal_type != SERVICE_PRINCIPAL:
                return Result()
            # The owner's look is told what was written: the list that it reads may lag.
            written = (Sighting(began, Sight.WRITTEN, assignment.id.key),)
            marker, watches = parse(assignment.description), self.observer.context.watches
            if marker and is_reconciled(marker.resource) and watches(marker.resource):
                # A forged marker costs no more than a look at what it names.
                owners.append(marker.resource)
            # Whoever wrote it may have let the marker name another than its holder.
            for subject, _ in self._wanting(assignment.scope, assignment.role):
                if subject.principal == assignment.principal:
                    owners.append(subject.id)
                    break
            result = Result()
        except (Again, Blocked) as error:
            # Whoever the marker names is known without the index, and is looked at all the same.
            result = failed_result(request, error, began, self.now())
        return replace(
            result,
            requests=tuple(
                Request(owner, request.since, sightings=written) for owner in dict.fromkeys(owners)
            ),
        )

    def _after_deletion(self, request: Request) -> Result:
        """Request whose a deleted assignment was or, where no name fits, whoever lacks a right."""
        scope, now = request.id.scope, self.now()
        if self._is_compared(request):
            return Result()
        known = self.recent.compared.get(scope, now)
        if known and known[1] != hash(request):
            # One comparison a minute serves all that is deleted at a scope meanwhile.
            due = known[0] + _COMPARED_EVERY
            deleted = Sighting(now, Sight.DELETED, request.id.key)
            sightings = tuple(dict.fromkeys((*request.sightings, deleted)))
            first = request.first or request.since
            copy = replace(request, since=due, first=first, sightings=sightings)
            return Result(again_after=due - now, again=copy)
        name = dashless(request.id.name)
        # The owner's look is told what is gone: the list that it reads may lag as well.
        gone = (Sighting(now, Sight.DELETED, _dashed(request.id).key),)
        lacking: list[ResourceId] = []
        held: set[tuple[str, str]] | None = None
        for subject, role in self._wanting(scope):
            if dashless(assignment_name(scope, role, subject.principal or "")) == name:
                return Result(requests=(Request(subject.id, request.since, sightings=gone),))
            if held is None:
                # Lists lag; of this assignment it is known that it is gone.
                rights = self.observer.arm.assignments_at(scope)
                left = (one for one in rights if dashless(one.id.name) != name)
                held = {(one.principal, one.role) for one in left}
            if (subject.principal, role) not in held:
                lacking.append(subject.id)
        self.recent.compared.put(scope, (now, hash(request)), now)
        requests = tuple(
            Request(subject_id, request.since, sightings=gone)
            for subject_id in dict.fromkeys(lacking)
        )
        if len(lacking) > _MOST_REQUESTS:
            # A sweep of the group serves them all. Asked for by its own id, a machine or an
            # identity would be reconciled.
            requests = (Request(scope.group_id or scope, since=request.since),)
        result = Result(requests=requests)
        if lacking or request.sighted(Sight.MISSED):
            return result
        # Nobody lacks anything, but the index may not know a young machine yet.
        return schedule_repeat(result, replace(request, first=None), now, Sight.MISSED)

    def _is_compared(self, request: Request) -> bool:
        """Return whether another request compared the scope so late that its list was right.

        The process remembers the latest comparison for a minute.
        """
        deleted = request.first or request.since
        known = self.recent.compared.get(request.id.scope, self.now())
        if known is None or deleted is None or known[1] == hash(request):
            return False
        return known[0] > deleted + FIRST_DELAY

    def _wanting(
        self, scope: ResourceId, role: str | None = None
    ) -> Iterator[tuple[Resource | UserIdentity, str]]:
        """Yield whoever policy grants a role, or any, at a scope, with that role."""
        for subject in self._subjects(role):
            for grant in desired_of(self.observer.policy, subject).grants:
                if grant.what.scope == scope and grant.mode is Mode.REPAIR:
                    yield subject, grant.what.role

    def _subjects(self, role: str | None) -> Iterator[Resource | UserIdentity]:
        """Yield what policy may grant a role, or any, to: identities first, they are few.

        Most rights that others write are in roles that policy does not name; those cost no call.
        """
        arm, inventory = self.observer.arm, self.observer.inventory
        policy = self.observer.policy
        granted = [
            entry.id
            for entry in policy.identities.values()
            if any(role in {None, grant.role.guid} for grant in entry.grants)
        ]
        for identity_id in granted:
            if identity_id.exact:
                with contextlib.suppress(NotFound):
                    yield arm.user_identity(identity_id.exact)
        templates = [identity_id for identity_id in granted if not identity_id.exact]
        if templates:
            for identity in inventory.identities():
                if any(template.may_be(identity.id) for template in templates):
                    yield identity
        rules = [
            rule
            for rule in policy.rules
            if rule.system and any(role in {None, grant.role.guid} for grant in rule.system.grants)
        ]
        if rules:
            types = {name for rule in rules for name in rule.match.type}
            for resource in inventory.resources(types):
                if resource.principal and matching_rules(rules, resource):
                    yield resource


def _dashed(assignment: ResourceId) -> ResourceId:
    """Return the id as ARM spells it; a cascaded delete names it without dashes.

    See facts: Resource events.
    """
    try:
        name = uuid.UUID(assignment.name)
    except ValueError:
        return assignment
    return ResourceId.parse(f"{str(assignment).removesuffix(assignment.name)}{name}")
