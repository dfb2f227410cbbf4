"""Whose a role assignment is that somebody else wrote or deleted.

An assignment of ours is named by its triple, so a deleted one can be recognised by computing the
name of everything that policy could have granted at its scope, without having stored anything. One
whose name fits nobody may have been another's, which satisfied policy: then everything that policy
wants at the scope is compared with what the scope's list still holds.
"""

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
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
    is_reconciled,
)
from reconciler.observe import desired_of
from reconciler.plan.context import FIRST_DELAY
from reconciler.policy.match import matching_rules
from reconciler.policy.model import Grant
from reconciler.reconcile.loop import Controller
from reconciler.reconcile.retry import Run, once_more

_MOST_REQUESTS: Final = 200
_COMPARED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AssignmentSearch:
    """Finds the resources and identities that a role assignment is about, and requests those."""

    controller: Controller

    def reconcile(self, request: Request) -> Result:
        """Request whose it is or was.

        Where it is gone and nobody lacks anything, it is sought again in five minutes: the index
        may not know a young machine yet.
        """
        run = Run(request, self.controller.now())
        if request.sighted(Sight.DELETED, request.id.key) and self._is_compared(request):
            return Result()
        try:
            found = self._read(_dashed(request.id))
            if found and found.principal_type != SERVICE_PRINCIPAL:
                # Rights of people and groups are never ours.
                return Result()
            if found:
                owner = self._marked(found) or self._holder(found)
                return Result(requests=(Request(owner, since=request.since),) if owner else ())
            return self._after_deletion(request)
        except (Again, Blocked) as error:
            run.failed(error)
            return run.result(self.controller.now())

    def _read(self, assignment: ResourceId) -> RoleAssignment | None:
        try:
            return self.controller.arm.assignment(assignment)
        except NotFound:
            return None

    def _marked(self, found: RoleAssignment) -> ResourceId | None:
        """Return what a marker names, be it forged or not: it is only looked at."""
        marker = parse(found.description)
        if not marker or not is_reconciled(marker.resource):
            return None
        return marker.resource if self.controller.context.watches(marker.resource) else None

    def _holder(self, found: RoleAssignment) -> ResourceId | None:
        """Return what policy grants something to where this one lies, and whose principal it is."""
        return next(
            (
                one.id
                for one, _ in self._wanting(found.scope, found.role)
                if one.principal == found.principal
            ),
            None,
        )

    def _after_deletion(self, request: Request) -> Result:
        """Request whose a deleted assignment was or, where no name fits, whoever lacks a right."""
        scope, now, recent = request.id.scope, self.controller.now(), self.controller.recent
        if self._is_compared(request):
            return Result()
        known = recent.compared.get(scope, now)
        if known and known[1] != hash(request):
            due = known[0] + _COMPARED_EVERY
            told = request.first or request.since
            seen = dict.fromkeys((*request.sightings, Sighting(now, Sight.DELETED, request.id.key)))
            copy = replace(request, since=due, first=told, sightings=tuple(seen))
            return Result(again_after=due - now, again=copy)
        name = dashless(request.id.name)
        # The list that the owner's look will read may lag as well.
        gone = (Sighting(now, Sight.DELETED, _dashed(request.id).key),)
        lacking: list[ResourceId] = []
        held = None
        for subject, role in self._wanting(scope):
            if dashless(assignment_name(scope, role, subject.principal or "")) == name:
                return Result(requests=(Request(subject.id, request.since, sightings=gone),))
            if held is None:
                rights = self.controller.arm.assignments_at(scope)
                # Lists lag; of this one it is known that it is gone.
                left = (one for one in rights if dashless(one.id.name) != name)
                held = {(one.principal, one.role) for one in left}
            if (subject.principal, role) not in held:
                lacking.append(subject.id)
        recent.compared.put(scope, (now, hash(request)), now)
        if len(lacking) > _MOST_REQUESTS:
            # Asked for itself, a machine or an identity would be reconciled.
            result = Result(requests=(Request(scope.group_id or scope, since=request.since),))
        else:
            asked = dict.fromkeys(lacking)
            result = Result(
                requests=tuple(Request(one, request.since, sightings=gone) for one in asked)
            )
        if lacking or request.sighted(Sight.MISSED):
            return result
        return once_more(result, replace(request, first=None), now, Sight.MISSED)

    def _is_compared(self, request: Request) -> bool:
        """Return whether another request compared the scope so late that its list was right.

        The process remembers the latest comparison for a minute.
        """
        controller, told = self.controller, request.first or request.since
        known = controller.recent.compared.get(request.id.scope, controller.now())
        if known is None or told is None or known[1] == hash(request):
            return False
        return known[0] > told + FIRST_DELAY

    def _wanting(
        self, scope: ResourceId, role: str | None = None
    ) -> Iterator[tuple[Resource | UserIdentity, str]]:
        """Yield whoever policy grants a role, or any, at a scope, with that role."""
        for subject in self._subjects(role):
            for grant in desired_of(self.controller.policy, subject).grants:
                if grant.what.scope == scope and grant.mode is Mode.REPAIR:
                    yield subject, grant.what.role

    def _subjects(self, role: str | None) -> Iterator[Resource | UserIdentity]:
        """Yield what policy may grant a role, or any, to: identities first, they are few.

        Most rights that others write are in roles that policy does not know; those cost no call.
        """
        policy = self.controller.policy

        def gives(grants: Iterable[Grant]) -> bool:
            return any(role in {None, grant.role.guid} for grant in grants)

        granted = [one.id for one in policy.identities.values() if gives(one.grants)]
        for one in granted:
            if one.exact:
                with contextlib.suppress(NotFound):
                    yield self.controller.arm.user_identity(one.exact)
        many = [one for one in granted if not one.exact]
        if many:
            for identity in self.controller.inventory.identities():
                if any(one.may_be(identity.id) for one in many):
                    yield identity
        rules = [rule for rule in policy.rules if rule.system and gives(rule.system.grants)]
        if rules:
            types = {name for rule in rules for name in rule.match.type}
            for resource in self.controller.inventory.resources(types):
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
