"""Resource Graph: who carries what, and what a sweep should look at.

The index is stale by up to minutes, so it only ever nominates: what it names is decided by a GET,
and what it does not name is not thereby absent. Ids enter queries through `_quoted` alone.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

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
from reconciler.suggestions import near_misses

_log = logging.getLogger(__name__)

_COLUMNS: Final = "id, name, type, kind, location, tags, managedBy, identity, properties"
_ASSIGNMENTS: Final = f"authorizationresources | where type =~ '{fold(ROLE_ASSIGNMENT)}'"
_NEAR_MISSES: Final = 3
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""No principal bears it; a list of none would be no query."""

# Types at which roles are granted and which Resource Graph's table `resources` shows (documented).
SHOWN: Final = frozenset(
    {
        "microsoft.apimanagement/service",
        "microsoft.app/containerapps",
        "microsoft.app/managedenvironments",
        "microsoft.appconfiguration/configurationstores",
        "microsoft.automation/automationaccounts",
        "microsoft.batch/batchaccounts",
        "microsoft.cache/redis",
        "microsoft.cognitiveservices/accounts",
        "microsoft.compute/disks",
        "microsoft.compute/galleries",
        "microsoft.compute/snapshots",
        "microsoft.compute/virtualmachines",
        "microsoft.compute/virtualmachinescalesets",
        "microsoft.containerregistry/registries",
        "microsoft.containerservice/managedclusters",
        "microsoft.datafactory/factories",
        "microsoft.desktopvirtualization/applicationgroups",
        "microsoft.desktopvirtualization/hostpools",
        "microsoft.desktopvirtualization/workspaces",
        "microsoft.documentdb/databaseaccounts",
        "microsoft.eventgrid/topics",
        "microsoft.eventhub/namespaces",
        "microsoft.insights/components",
        "microsoft.keyvault/vaults",
        "microsoft.machinelearningservices/workspaces",
        "microsoft.managedidentity/userassignedidentities",
        "microsoft.network/networksecuritygroups",
        "microsoft.network/virtualnetworks",
        "microsoft.operationalinsights/workspaces",
        "microsoft.recoveryservices/vaults",
        "microsoft.search/searchservices",
        "microsoft.servicebus/namespaces",
        "microsoft.sql/servers",
        "microsoft.storage/storageaccounts",
        "microsoft.synapse/workspaces",
        "microsoft.web/sites",
    }
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Questions to Resource Graph; raises `ArmError`.

    Resources are sought in the watched subscriptions, role assignments also where the guardrails
    allow them. What makers of ours created is sought in all that we can read: without naming
    subscriptions, so that management groups show, too (issue threads). `leave`: how many of the
    queries of each window are left to others; `patience`: how long to wait for a turn at each page.
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
        listed = _list(fold(name) for name in types)
        places = " or ".join(f"id startswith {_quoted(f'{place}/')}" for place in within)
        also = f" | where {places}" if places else ""
        rows = self._rows(f"resources | where type in~ ({listed}){also} | project {_COLUMNS}")
        return tuple(_readable(rows, parsing.resource))

    def identities(self) -> tuple[UserIdentity, ...]:
        """Return all user-assigned identities."""
        kind = _quoted(fold(USER_ASSIGNED_IDENTITY))
        rows = self._rows(f"resources | where type =~ {kind} | project {_COLUMNS}")
        return tuple(_readable(rows, parsing.user_identity))

    def assignments(self, within: ResourceId | None = None) -> tuple[RoleAssignment, ...]:
        """Return service principals' assignments where policy may grant, or those in a scope."""
        condition = f"tostring(properties.principalType) =~ {_quoted(SERVICE_PRINCIPAL)}"
        asked = tuple(dict.fromkeys([*self.watched, *self.granted]))
        return self._assigned(condition, within, asked)

    def made_by(
        self, makers: Iterable[str], within: ResourceId | None = None
    ) -> tuple[RoleAssignment, ...]:
        """Return the role assignments that some principals created, wherever they lie."""
        condition = f"tostring(properties.createdBy) in~ ({_list(makers)})"
        return self._assigned(condition, within, ())

    def _assigned(
        self, condition: str, within: ResourceId | None, asked: tuple[ResourceId, ...]
    ) -> tuple[RoleAssignment, ...]:
        kql = f"{_ASSIGNMENTS} | where {condition}"
        if within:
            scope = "tostring(properties.scope)"
            below = _quoted(f"{str(within).rstrip('/')}/")
            kql += f" | where {scope} =~ {_quoted(str(within))} or {scope} startswith {below}"
        rows = self._asked(f"{kql} | project id, name, type, properties", asked)
        return tuple(_readable(rows, parsing.role_assignment))

    def traces(
        self, ids: Collection[ResourceId], principals: Collection[str], ownership: Ownership
    ) -> tuple[Traces, tuple[ResourceId, ...]]:
        """Ask once for all that is left of some ids and principals, and who carries them today.

        Also returns the assignments that makers of ours created and that bear a marker of one of
        the ids, or one of the principals; a row that cannot be read raises `Unreadable`.
        """
        owners = sorted({ownership.owner, *ownership.former_owners})
        markers = _list(str(Marker(owner, one)) for owner in owners for one in ids)
        named, carried = _list(map(str, ids)), _list(principals or [_NOBODY])
        # One join: Resource Graph unites no other tables than resources and their containers.
        rows = self._asked(
            "resources | extend principal = tolower(tostring(identity.principalId))"
            f" | where isnotempty(principal) or id in~ ({named})"
            " | project holder = id, principal, own = tolower(tostring(properties.principalId))"
            f" | join kind=fullouter ({_ASSIGNMENTS}"
            f" | where tostring(properties.createdBy) in~ ({_list(ownership.makers)})"
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
            if assignment := _text(row, "assignment"):
                assignments[parsing.id_of({"id": assignment})] = None
            if holder := _text(row, "holder"):
                place = parsing.id_of({"id": holder})
                own = "own" if place.is_type(USER_ASSIGNED_IDENTITY) else "principal"
                principal = _text(row, own)
                if shown.setdefault(place, principal) != principal:
                    twice.add((place, principal))
        return Traces(shown, frozenset(twice)), tuple(assignments)

    def absent(self, scopes: Collection[ResourceId]) -> Mapping[ResourceId, tuple[str, ...]]:
        """Return those of some resources that are not there, each with names that are near.

        Only types in `SHOWN` are judged; the names are of the same type in the same group.
        """
        judged = [one for one in scopes if fold(one.type) in SHOWN and one.group]
        if not judged:
            return {}
        siblings = " or ".join(
            f"(type =~ {_quoted(fold(one.type))} and id startswith {_quoted(f'{one.group_id}/')})"
            for one in judged
        )
        rows = self._asked(f"resources | where {siblings} | project id", ())
        there = {parsing.id_of(row) for row in rows}
        missing = [one for one in judged if one not in there]
        return {one: _near(one, there) for one in missing}

    def find(self, type_name: str, name: str) -> tuple[ResourceId, ...]:
        """Return the resources of a type that bear a name, in all that we can read."""
        kql = f"resources | where type =~ {_quoted(fold(type_name))} and name =~ {_quoted(name)}"
        return tuple(parsing.id_of(row) for row in self._asked(f"{kql} | project id", ()))

    def ancestors(self, subscriptions: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the names, in lower case, of all management groups above some subscriptions."""
        listed = _list(f"/subscriptions/{one}" for one in subscriptions)
        rows = self._asked(
            "resourcecontainers | where type =~ 'microsoft.resources/subscriptions'"
            f" | where id in~ ({listed}) | project id, properties",
            (),
        )
        return {
            parsing.id_of(row).subscription or "": parsing.management_groups(row) for row in rows
        }

    def _rows(self, kql: str) -> Iterator[parsing.Json]:
        return self._asked(kql, self.watched)

    def _asked(self, kql: str, where: tuple[ResourceId, ...]) -> Iterator[parsing.Json]:
        return self.arm.query(kql, where, leave=self.leave, patience=self.patience)


def _near(missing: ResourceId, there: Iterable[ResourceId]) -> tuple[str, ...]:
    """Return ids of the same type in the same group that are spelled nearly as a missing one."""
    siblings = {
        fold(one.name): str(one)
        for one in there
        if one.is_type(missing.type) and one.group_id == missing.group_id
    }
    close = near_misses(missing.name, siblings, most=_NEAR_MISSES)
    return tuple(siblings[name] for name in close)


def _readable[T](rows: Iterable[parsing.Json], read: Callable[[parsing.Json], T]) -> Iterator[T]:
    """Leave out what cannot be read: one odd row of anybody must not end every sweep.

    Nothing is decided by what is left out: its id is no nomination, and an assignment of ours can
    always be read.
    """
    for row in rows:
        try:
            yield read(row)
        except Unreadable as error:
            _log.warning("left out of what the index shows: %s", error)


def _text(row: parsing.Json, column: str) -> str | None:
    found = row.get(column)
    return found if isinstance(found, str) and found else None


def _list(texts: Iterable[str]) -> str:
    """Return KQL string literals, separated by commas."""
    return ", ".join(_quoted(text) for text in sorted(texts))


def _quoted(text: str) -> str:
    """Return a KQL string literal; what could end one early is escaped."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
