"""Management groups as a tree, and where subscriptions lie in it; the world has one.

``managementgroups`` serves it, and rights are inherited along it. Names are compared in lower case.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.arm import ids
from sandbox.world.state import Operation

TYPE = "Microsoft.Management/managementGroups"
_PREFIX = f"/providers/{TYPE}/"
_FOLDED = _PREFIX.lower()


@dataclasses.dataclass(slots=True)
class ManagementGroup:
    """One management group."""

    name: str
    display_name: str
    parent: str
    """The lower-case name of the one above; empty for the tenant's root."""
    updated: dt.datetime
    updated_by: str | None = None
    version: int = 1

    @property
    def id(self) -> str:
        """Its ARM id."""
        return f"{_PREFIX}{self.name}"


class Hierarchy:
    """The tree of one tenant."""

    def __init__(self, tenant: str, now: dt.datetime) -> None:
        """Start with the root, which is named like the tenant and holds all subscriptions."""
        self._root = tenant
        self.groups = {tenant: ManagementGroup(tenant, "Tenant Root Group", "", now)}
        self.placed: dict[str, str] = {}
        """The group of a subscription, where it is not the root."""
        self.settings: dict[str, Any] | None = None
        self._versions: dict[str, int] = {}
        self.operations: dict[tuple[str, str], Operation] = {}
        """The last creation and deletion, by verb and lower-case name."""

    @property
    def guarded(self) -> bool:
        """Whether to put a new group below the root takes the right to write there."""
        return bool((self.settings or {}).get("requireAuthorizationForGroupCreation"))

    def next_version(self, name: str) -> int:
        """Return the version of the next write; it goes on where a deleted group was (recorded)."""
        return self._versions.get(name.lower(), 0) + 1

    @property
    def root(self) -> ManagementGroup:
        """The group above all others."""
        return self.groups[self._root]

    def over(self, subscription: str) -> ManagementGroup:
        """Return the group that a subscription lies in."""
        return self.groups[self.placed.get(subscription, self._root)]

    def path(self, group: ManagementGroup) -> list[ManagementGroup]:
        """Return the groups above one, the root first."""
        found: list[ManagementGroup] = []
        while group.parent:
            group = self.groups[group.parent]
            found.insert(0, group)
        return found

    def above(self, key: str) -> Iterator[str]:
        """Yield the lower-case ids of the groups that a lower-case id is or lies in."""
        group = None
        if subscription := ids.parse(key).subscription:
            group = self.over(subscription)
        elif key.startswith(_FOLDED):
            group = self.groups.get(key.removeprefix(_FOLDED).partition("/")[0])
        if group is not None:
            yield from (each.id.lower() for each in (group, *self.path(group)))

    def children(self, group: ManagementGroup) -> list[ManagementGroup]:
        """Return the groups directly below one."""
        return [each for each in self.groups.values() if each.parent == group.name.lower()]

    def beneath(self, name: str, subscriptions: Iterable[str]) -> set[str]:
        """Return those of some subscriptions that lie in a group at any depth."""
        group = self.groups.get(name.lower())
        return {
            each for each in subscriptions if group in ((over := self.over(each)), *self.path(over))
        }

    def members(self, group: ManagementGroup, subscriptions: Iterable[str]) -> list[str]:
        """Return those of some subscriptions that lie directly in a group."""
        return sorted(each for each in subscriptions if self.over(each) == group)

    def put(self, group: ManagementGroup) -> None:
        """Take a group in place of what had its name."""
        self.groups[group.name.lower()] = group
        self._versions[group.name.lower()] = group.version

    def place(self, subscription: str, group: ManagementGroup) -> None:
        """Move a subscription into a group."""
        self.placed[subscription] = group.name.lower()

    def remove(self, group: ManagementGroup) -> None:
        """Take a group away that has nothing below."""
        del self.groups[group.name.lower()]
