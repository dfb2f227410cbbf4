"""Whose a role assignment is that somebody else wrote or deleted.

An assignment of ours is named by its triple, so a deleted one can be recognised by computing the
name of everything that policy could have granted at its scope, without having stored anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from reconciler.changes import Result
from reconciler.controller import Controller
from reconciler.controller.run import Run
from reconciler.errors import Again, Blocked, NotFound
from reconciler.ids import ResourceId, dashless
from reconciler.marker import assignment_name, parse
from reconciler.model import Request, Resource, UserIdentity
from reconciler.observe import desired_of
from reconciler.policy import desired as wanted

SECOND_SEARCH: Final = timedelta(minutes=5)
MISSED: Final = "missed"
"""What `Request.seen` says once nobody was found whose it could have been."""


@dataclass(frozen=True, slots=True)
class AssignmentSearch:
    """Finds the resource or identity that a role assignment is about, and requests that."""

    controller: Controller

    def reconcile(self, request: Request) -> Result:
        """Request whose it was; not found: search once more in five minutes, then sweep its scope.

        The index may not know a young machine yet, hence the second search.
        """
        run = Run(request, self.controller.now())
        try:
            owner = self._owner(request.id)
        except (Again, Blocked) as error:
            run.failed(error)
            return run.result(self.controller.now())
        if owner:
            return Result(requests=(Request(owner, since=request.since),))
        if MISSED not in request.seen:
            copy = replace(request, seen=(*request.seen, MISSED))
            return Result(again_after=SECOND_SEARCH, again=copy)
        return Result(requests=(Request(request.id.scope, since=request.since),))

    def _owner(self, assignment: ResourceId) -> ResourceId | None:
        try:
            found = self.controller.arm.assignment(assignment)
        except NotFound:
            name, principal = dashless(assignment.name), None
        else:
            marker = parse(found.description)
            if marker and self.controller.terms.watches(marker.resource):
                return marker.resource
            name, principal = "", found.principal
        scope = assignment.scope
        for subject in self._subjects():
            for grant in desired_of(self.controller.policy, subject).grants:
                what = grant.what
                ours = assignment_name(scope, what.role, subject.principal or "")
                if what.scope == scope and (
                    dashless(ours) == name or principal == subject.principal
                ):
                    return subject.id
        return None

    def _subjects(self) -> Iterator[Resource | UserIdentity]:
        """Yield what policy may grant something to: identities first, they are few."""
        policy = self.controller.policy
        for identity in policy.identities.values():
            if identity.grants:
                try:
                    yield self.controller.arm.user_identity(identity.id)
                except NotFound:
                    continue
        rules = [rule for rule in policy.rules if rule.system and rule.system.grants]
        if rules:
            types = {name for rule in rules for name in rule.match.type}
            for resource in self.controller.inventory.resources(types):
                if resource.principal and any(wanted.matches(rule, resource) for rule in rules):
                    yield resource
