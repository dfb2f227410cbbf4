"""Whose a role assignment is that somebody else wrote or deleted.

An assignment of ours is named by its triple, so a deleted one can be recognised by computing the
name of everything that policy could have granted at its scope, without having stored anything.
"""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.changes import Result
from reconciler.controller import Controller
from reconciler.controller.run import Run, once_more
from reconciler.errors import Again, Blocked, NotFound
from reconciler.ids import ResourceId, dashless
from reconciler.marker import assignment_name, parse
from reconciler.model import Request, Resource, RoleAssignment, UserIdentity
from reconciler.observe import desired_of, is_reconciled
from reconciler.policy.language import Matcher

MISSED: Final = "missed"
"""What `Request.seen` says once nobody was found whose it could have been."""


@dataclass(frozen=True, slots=True)
class AssignmentSearch:
    """Finds the resource or identity that a role assignment is about, and requests that."""

    controller: Controller

    def reconcile(self, request: Request) -> Result:
        """Request whose it is or was.

        One that is gone and was nobody's is sought once more in five minutes, since the index may
        not know a young machine yet; then its scope is swept.
        """
        run = Run(request, self.controller.now())
        try:
            found = self._read(_dashed(request.id))
            owner = self._marked(found) or self._owner(request.id, found)
        except (Again, Blocked) as error:
            run.failed(error)
            return run.result(self.controller.now())
        if owner:
            return Result(requests=(Request(owner, since=request.since),))
        if found:
            return Result()
        if MISSED not in request.seen:
            return once_more(Result(), request, self.controller.now(), *request.seen, MISSED)
        # Asked for itself, a machine or an identity would be reconciled.
        scope = request.id.scope
        return Result(requests=(Request(scope.group_id or scope, since=request.since),))

    def _read(self, assignment: ResourceId) -> RoleAssignment | None:
        try:
            return self.controller.arm.assignment(assignment)
        except NotFound:
            return None

    def _marked(self, found: RoleAssignment | None) -> ResourceId | None:
        """Return what a marker names, be it forged or not: it is only looked at."""
        marker = parse(found.description) if found else None
        if not marker or not is_reconciled(marker.resource):
            return None
        return marker.resource if self.controller.terms.watches(marker.resource) else None

    def _owner(self, assignment: ResourceId, found: RoleAssignment | None) -> ResourceId | None:
        """Find whom it grants something to or, of a deleted one, whose its name tells it was."""
        scope, name = assignment.scope, dashless(assignment.name)
        for subject in self._subjects():
            for grant in desired_of(self.controller.policy, subject).grants:
                if grant.what.scope != scope:
                    continue
                ours = assignment_name(scope, grant.what.role, subject.principal or "")
                if found.principal == subject.principal if found else dashless(ours) == name:
                    return subject.id
        return None

    def _subjects(self) -> Iterator[Resource | UserIdentity]:
        """Yield what policy may grant something to: identities first, they are few."""
        policy = self.controller.policy
        granted = [identity.id for identity in policy.identities.values() if identity.grants]
        for one in granted:
            if one.exact:
                with contextlib.suppress(NotFound):
                    yield self.controller.arm.user_identity(one.exact)
        many = [one for one in granted if not one.exact]
        if many:
            for identity in self.controller.inventory.identities():
                if any(one.may_be(identity.id) for one in many):
                    yield identity
        rules = [rule for rule in policy.rules if rule.system and rule.system.grants]
        if rules:
            matcher = Matcher(rules)
            types = {name for rule in rules for name in rule.match.type}
            for resource in self.controller.inventory.resources(types):
                if resource.principal and matcher.about(resource):
                    yield resource


def _dashed(assignment: ResourceId) -> ResourceId:
    """Return the id as ARM spells it; a cascaded delete names it without dashes (facts A1)."""
    try:
        name = uuid.UUID(assignment.name)
    except ValueError:
        return assignment
    return ResourceId.parse(f"{str(assignment).removesuffix(assignment.name)}{name}")
