"""Resource Graph: who carries what, and what a sweep should look at.

The index is stale by up to minutes, so it only ever nominates: what it names is decided by a GET,
and what it does not name is not thereby absent. Ids enter queries through `_quoted` alone.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from reconciler import answers
from reconciler.arm import Arm
from reconciler.errors import Unreadable
from reconciler.ids import ResourceId, fold
from reconciler.marker import SERVICE_PRINCIPAL
from reconciler.model import USER_ASSIGNED_IDENTITY, Resource, RoleAssignment, UserIdentity

_log = logging.getLogger(__name__)

_COLUMNS: Final = "id, name, type, kind, location, tags, managedBy, identity, properties"
_ASSIGNMENTS: Final = (
    "authorizationresources | where type =~ 'microsoft.authorization/roleassignments'"
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Questions to Resource Graph; raises `ArmError`.

    Resources are sought in the watched subscriptions, role assignments also where the guardrails
    allow them.
    """

    arm: Arm
    watched: tuple[ResourceId, ...]
    granted: tuple[ResourceId, ...] = ()

    def resources(self, types: Collection[str]) -> tuple[Resource, ...]:
        """Return all resources of some types, with their identities."""
        if not types:
            return ()
        listed = ", ".join(_quoted(fold(name)) for name in sorted(types))
        rows = self._rows(f"resources | where type in~ ({listed}) | project {_COLUMNS}")
        return tuple(_readable(rows, answers.resource))

    def identities(self) -> tuple[UserIdentity, ...]:
        """Return all user-assigned identities."""
        kind = _quoted(fold(USER_ASSIGNED_IDENTITY))
        rows = self._rows(f"resources | where type =~ {kind} | project {_COLUMNS}")
        return tuple(_readable(rows, answers.user_identity))

    def carriers(self, principals: Iterable[str]) -> tuple[ResourceId, ...]:
        """Return the resources that carry one of some system-assigned principals.

        Asked of all that we can read: a machine may have moved to where we do not watch.
        """
        listed = ", ".join(_quoted(principal) for principal in sorted(principals))
        rows = self.arm.query(
            f"resources | where tostring(identity.principalId) in~ ({listed}) | project id", ()
        )
        return tuple(answers.id_of(row) for row in rows)

    def marked(self, markers: Iterable[str]) -> tuple[ResourceId, ...]:
        """Return the role assignments whose description is one of some marker texts."""
        listed = ", ".join(_quoted(marker) for marker in sorted(markers))
        rows = self._assigned(f"tostring(properties.description) in~ ({listed})", "id")
        return tuple(answers.id_of(row) for row in rows)

    def assignments(self) -> tuple[RoleAssignment, ...]:
        """Return all service principals' role assignments."""
        kind = _quoted(SERVICE_PRINCIPAL)
        rows = self._assigned(
            f"tostring(properties.principalType) =~ {kind}", "id, name, type, properties"
        )
        return tuple(_readable(rows, answers.role_assignment))

    def _rows(self, kql: str) -> Iterator[answers.Json]:
        return self.arm.query(kql, self.watched)

    def _assigned(self, condition: str, columns: str) -> Iterator[answers.Json]:
        kql = f"{_ASSIGNMENTS} | where {condition} | project {columns}"
        return self.arm.query(kql, tuple(dict.fromkeys([*self.watched, *self.granted])))


def _readable[T](rows: Iterable[answers.Json], read: Callable[[answers.Json], T]) -> Iterator[T]:
    """Leave out what cannot be read: one odd row of anybody must not end every sweep.

    Nothing is decided by what is left out: its id is no nomination, and an assignment of ours can
    always be read.
    """
    for row in rows:
        try:
            yield read(row)
        except Unreadable as error:
            _log.warning("left out of what the index shows: %s", error)


def _quoted(text: str) -> str:
    """Return a KQL string literal; what could end one early is escaped."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
