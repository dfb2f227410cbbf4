"""Resource Graph: which resources carry which identity, and what a sweep should look at.

Sweeps, looks and searches for an assignment's owner ask here. The index is stale by up to minutes
(facts: Visibility), so it only ever nominates: what it names is decided by a GET, and what it does
not name is not thereby absent. Ids enter queries through `_quoted` alone.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from reconciler import resource_types
from reconciler.azure import parsing
from reconciler.azure.client import Arm
from reconciler.errors import Unreadable
from reconciler.ids import ResourceId, fold
from reconciler.marker import SERVICE_PRINCIPAL, Marker, Ownership
from reconciler.model import (
    ROLE_ASSIGNMENT,
    USER_ASSIGNED_IDENTITY,
    Resource,
    RoleAssignment,
    Traces,
    UserIdentity,
)
from reconciler.wording import near_misses

_log = logging.getLogger(__name__)

_COLUMNS: Final = "id, name, type, kind, location, tags, managedBy, identity, properties"
_ASSIGNMENTS: Final = f"authorizationresources | where type =~ '{fold(ROLE_ASSIGNMENT)}'"
_NEAR_MISSES: Final = 3
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""No principal has this id. It keeps a list from being empty, which would be no query."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Questions to Resource Graph; each raises `ArmError`.

    Resources are sought in the watched subscriptions, role assignments also where the guardrails
    allow them. What makers of ours created is sought in all that we can read: without naming
    subscriptions, so that management groups show, too (facts: Resource Graph). `leave`: how many of
    the queries of each window are left to others; `patience`: how long to wait for a turn at each
    page.
    """

    arm: Arm
    watched: tuple[ResourceId, ...]
    granted: tuple[ResourceId, ...] = ()
    leave: int = 0
    patience: timedelta = timedelta()

    def resources(
        self, types: Collection[str], within: Iterable[ResourceId] = ()
    ) -> tuple[Resource, ...]:
        """Return all resources of some types, or those in some places, with their identities."""
        if not types:
            return ()
        kql = f"resources | where type in~ ({_quoted(*map(fold, types))})"
        if places := " or ".join(f"id startswith {_quoted(f'{place}/')}" for place in within):
            kql += f" | where {places}"
        rows = self._rows(f"{kql} | project {_COLUMNS}", self.watched)
        return tuple(_readable(rows, parsing.resource))

    def identities(self) -> tuple[UserIdentity, ...]:
        """Return all user-assigned identities."""
        kql = f"resources | where type =~ {_quoted(fold(USER_ASSIGNED_IDENTITY))}"
        rows = self._rows(f"{kql} | project {_COLUMNS}", self.watched)
        return tuple(_readable(rows, parsing.user_identity))

    def assignments(self, within: ResourceId | None = None) -> tuple[RoleAssignment, ...]:
        """Return service principals' assignments where policy may grant, or those in a scope."""
        condition = f"tostring(properties.principalType) =~ {_quoted(SERVICE_PRINCIPAL)}"
        return self._assignments(
            condition, within, tuple(dict.fromkeys([*self.watched, *self.granted]))
        )

    def made_by(
        self, makers: Iterable[str], within: ResourceId | None = None
    ) -> tuple[RoleAssignment, ...]:
        """Return the role assignments that some principals created, wherever they lie."""
        condition = f"tostring(properties.createdBy) in~ ({_quoted(*makers)})"
        return self._assignments(condition, within, ())

    def _assignments(
        self, condition: str, within: ResourceId | None, subscriptions: tuple[ResourceId, ...]
    ) -> tuple[RoleAssignment, ...]:
        kql = f"{_ASSIGNMENTS} | where {condition}"
        if within:
            scope = "tostring(properties.scope)"
            below = _quoted(f"{str(within).rstrip('/')}/")
            kql += f" | where {scope} =~ {_quoted(str(within))} or {scope} startswith {below}"
        rows = self._rows(f"{kql} | project id, name, type, properties", subscriptions)
        return tuple(_readable(rows, parsing.role_assignment))

    def traces(
        self, ids: Collection[ResourceId], principals: Collection[str], ownership: Ownership
    ) -> tuple[Traces, tuple[ResourceId, ...]]:
        """Ask once for all that is left of some ids and principals, and who carries them today.

        Also returns the assignments that makers of ours created and that bear a marker of one of
        the ids, or one of the principals; a row that cannot be read raises `Unreadable`.
        """
        owners = sorted({ownership.owner, *ownership.former_owners})
        markers = _quoted(*(str(Marker(owner, place)) for owner in owners for place in ids))
        named, carried = _quoted(*map(str, ids)), _quoted(*(principals or [_NOBODY]))
        # One join: it unites only resources and their containers (facts: Resource Graph).
        rows = self._rows(
            "resources | extend principal = tolower(tostring(identity.principalId))"
            f" | where isnotempty(principal) or id in~ ({named})"
            " | project holder = id, principal, own = tolower(tostring(properties.principalId))"
            f" | join kind=fullouter ({_ASSIGNMENTS}"
            f" | where tostring(properties.createdBy) in~ ({_quoted(*ownership.makers)})"
            f" | where tostring(properties.description) in~ ({markers})"
            f" or tostring(properties.principalId) in~ ({carried})"
            " | project assignment = id, principal = tolower(tostring(properties.principalId))"
            ") on principal"
            f" | where isnotempty(assignment) or holder in~ ({named}) or principal in~ ({carried})"
            " | project id = coalesce(holder, assignment), holder, principal, own, assignment",
            (),
        )
        shown: dict[ResourceId, str | None] = {}
        twice: set[tuple[ResourceId, str | None]] = set()
        assignments: dict[ResourceId, None] = {}
        for row in rows:
            # Columns of the side that a row lacks are empty.
            texts = {name: text for name, text in row.items() if isinstance(text, str) and text}
            if assignment := texts.get("assignment"):
                assignments[parsing.id_of({"id": assignment})] = None
            if holder := texts.get("holder"):
                place = parsing.id_of({"id": holder})
                own = "own" if place.is_type(USER_ASSIGNED_IDENTITY) else "principal"
                principal = texts.get(own)
                if shown.setdefault(place, principal) != principal:
                    twice.add((place, principal))
        return Traces(shown, frozenset(twice)), tuple(assignments)

    def absent(self, scopes: Collection[ResourceId]) -> Mapping[ResourceId, tuple[str, ...]]:
        """Return those of some resources that are not there, each with names that are near.

        Only types that the index shows are judged; near names are of the same type and group.
        """
        judged = [
            scope for scope in scopes if scope.group and resource_types.find(scope.type).indexed
        ]
        if not judged:
            return {}
        kinds = " or ".join(
            f"(type =~ {_quoted(fold(scope.type))}"
            f" and id startswith {_quoted(f'{scope.group_id}/')})"
            for scope in judged
        )
        rows = self._rows(f"resources | where {kinds} | project id", ())
        there = {parsing.id_of(row) for row in rows}
        absent: dict[ResourceId, tuple[str, ...]] = {}
        for scope in judged:
            if scope not in there:
                siblings = {
                    fold(place.name): str(place)
                    for place in there
                    if place.is_type(scope.type) and place.group_id == scope.group_id
                }
                close = near_misses(scope.name, siblings, most=_NEAR_MISSES)
                absent[scope] = tuple(siblings[name] for name in close)
        return absent

    def find(self, type_name: str, name: str) -> tuple[ResourceId, ...]:
        """Return the resources of a type that bear a name, in all that we can read."""
        kql = f"resources | where type =~ {_quoted(fold(type_name))} and name =~ {_quoted(name)}"
        return tuple(parsing.id_of(row) for row in self._rows(f"{kql} | project id", ()))

    def ancestors(self, subscriptions: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the names, in lower case, of all management groups above some subscriptions."""
        ids = _quoted(*(f"/subscriptions/{subscription}" for subscription in subscriptions))
        rows = self._rows(
            "resourcecontainers | where type =~ 'microsoft.resources/subscriptions'"
            f" | where id in~ ({ids}) | project id, properties",
            (),
        )
        return {
            parsing.id_of(row).subscription or "": parsing.management_groups(row) for row in rows
        }

    def _rows(self, kql: str, subscriptions: tuple[ResourceId, ...]) -> Iterator[parsing.Json]:
        """Yield the rows of one question, asked in some subscriptions or in all (none)."""
        return self.arm.query(kql, subscriptions, leave=self.leave, patience=self.patience)


def _readable(rows: Iterable[parsing.Json], read: Callable[[parsing.Json], Any]) -> Iterator[Any]:
    """Yield what `read` makes of each row; leave out and log what cannot be read.

    One odd row of anybody must not end every sweep, and nothing is decided by what is left out: its
    id is no nomination, and an assignment of ours can always be read.
    """
    for row in rows:
        try:
            yield read(row)
        except Unreadable as error:
            _log.warning("left out of what the index shows: %s", error)


def _quoted(*texts: str) -> str:
    """Return KQL string literals, sorted and separated by commas; no text can end its own early."""
    escaped = (text.replace("\\", "\\\\").replace("'", "\\'") for text in sorted(texts))
    return ", ".join(f"'{text}'" for text in escaped)
