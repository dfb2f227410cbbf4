"""Who is there and who may do what: principals, locks, roles and role assignments.

The world builds on it; what hangs on a resource goes with the resource there.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from sandbox.arm import ids
from sandbox.authorization.roles import BUILT_IN, Role
from sandbox.eventgrid.feed import Feed
from sandbox.world.clock import Clock
from sandbox.world.faults import Faults
from sandbox.world.state import Assignment, Assignments, Lock, Principal

_DEFINITION = "Microsoft.Authorization/roleDefinitions"
_LOCK = "Microsoft.Authorization/locks"
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"


class Authority(Feed):
    """The part of the world that stands behind ``Microsoft.Authorization``."""

    def __init__(self, clock: Clock, seed: int, faults: Faults) -> None:
        """Start with the built-in roles and nobody to hold them."""
        super().__init__(clock, seed, faults)
        self.principals: dict[str, Principal] = {}
        self.assignments = Assignments()
        self.assignment_limits: dict[str, int] = {}
        """How many role assignments a subscription may hold, where it is not the usual number."""
        self.roles: dict[str, Role] = {role.guid: role for role in BUILT_IN}
        self.locks: dict[str, Lock] = {}
        """Management locks by lower-case id."""

    def new_principal(
        self,
        name: str,
        *,
        resource_id: str | None = None,
        secret: str | None = None,
        kind: str = "ServicePrincipal",
        oid: str | None = None,
    ) -> Principal:
        """Create a principal; how soon role assignments know it is up to the faults."""
        principal = Principal(
            oid=oid or self.guid(),
            app_id=self.guid(),
            name=name,
            kind=kind,
            created=self.now(),
            secret=secret,
            resource_id=resource_id,
        )
        self.principals[principal.oid] = principal
        return principal

    def put_lock(self, lock: Lock) -> None:
        """Create or change a management lock."""
        lock_id = ids.parse(lock.id)
        update = lock_id.key in self.locks
        self.locks[lock_id.key] = lock
        self._emit("Write", lock_id, _LOCK, update=update)

    def remove_lock(self, lock: Lock) -> None:
        """Delete a management lock."""
        lock_id = ids.parse(lock.id)
        del self.locks[lock_id.key]
        self._emit("Delete", lock_id, _LOCK)

    def put_role(self, role: Role, definition: ids.ArmId) -> None:
        """Create or change a custom role, by the id under which it was written."""
        update = role.guid in self.roles
        self.roles[role.guid] = role
        self._emit("Write", definition, _DEFINITION, update=update)

    def remove_role(self, role: Role, definition: ids.ArmId) -> None:
        """Delete a custom role."""
        del self.roles[role.guid]
        self._emit("Delete", definition, _DEFINITION)

    def put_assignment(self, assignment: Assignment) -> None:
        """Create or update a role assignment."""
        update = assignment.name.lower() in self.assignments.by_name
        self.assignments.put(assignment)
        self._note_assignment(assignment.name, assignment)
        self._emit("Write", ids.parse(assignment.id), _ASSIGNMENT, update=update)

    def remove_assignment(self, assignment: Assignment) -> None:
        """Delete a role assignment."""
        self.assignments.remove(assignment)
        self._note_assignment(assignment.name, None)
        self._emit("Delete", ids.parse(assignment.id), _ASSIGNMENT)

    def _tell_assignments_below(self, key: str) -> None:
        for assignment in self._assignments_below(key):
            # A cascade writes the name without dashes (facts: Resource events, recorded).
            bare = dataclasses.replace(assignment, name=assignment.name.replace("-", ""))
            self._emit("Delete", ids.parse(bare.id), _ASSIGNMENT, gone=assignment)

    def _remove_assignments_below(self, key: str) -> None:
        for assignment in self._assignments_below(key):
            self.assignments.remove(assignment)
            self._note_assignment(assignment.name, None)

    def _assignments_below(self, key: str) -> list[Assignment]:
        scopes = [scope for scope in self.assignments.by_scope if ids.contains(key, scope)]
        return [each for one in scopes for each in self.assignments.by_scope[one].values()]

    def assignments_of(self, principals: Iterable[str]) -> Iterator[Assignment]:
        """Yield the role assignments that principals hold."""
        for principal in principals:
            yield from self.assignments.by_principal.get(principal, {}).values()
