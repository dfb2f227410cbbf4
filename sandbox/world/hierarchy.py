"""Management groups as a tree, and where subscriptions lie in it; the world has one.

A seed makes it, ``managementgroups`` serves it, and rights are inherited along it. Names are
compared in lower case.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from sandbox.arm import ids

TYPE = "Microsoft.Management/managementGroups"
_PREFIX = f"/providers/{TYPE}/"
_FOLDED = _PREFIX.lower()


@dataclasses.dataclass(frozen=True, slots=True)
class ManagementGroup:
    """One management group."""

    name: str
    display_name: str
    parent: str  # The lower-case name of the one above; empty for the tenant's root.

    @property
    def id(self) -> str:
        """Its ARM id."""
        return f"{_PREFIX}{self.name}"


class Hierarchy:
    """The tree of one tenant."""

    def __init__(self, tenant: str) -> None:
        """Start with the root, which is named like the tenant and holds all subscriptions."""
        self._root = tenant
        self.groups = {tenant: ManagementGroup(tenant, "Tenant Root Group", "")}
        self.placed: dict[str, str] = {}
        """The group of a subscription, where it is not the root."""

    @property
    def root(self) -> ManagementGroup:
        """The group above all others."""
        return self.groups[self._root]

    def over(self, subscription: str) -> ManagementGroup:
        """Return the group that a subscription lies in."""
        return self.groups[self.placed.get(subscription, self._root)]

    def path(self, group: ManagementGroup) -> list[ManagementGroup]:
        """Return the groups above one, the root first."""
        path: list[ManagementGroup] = []
        while group.parent:
            group = self.groups[group.parent]
            path.insert(0, group)
        return path

    def above(self, key: str) -> Iterator[str]:
        """Yield the lower-case ids of the groups that a lower-case id is or lies in."""
        group = None
        if subscription := ids.parse(key).subscription:
            group = self.over(subscription)
        elif key.startswith(_FOLDED):
            group = self.groups.get(key.removeprefix(_FOLDED).partition("/")[0])
        if group is not None:
            yield from (above.id.lower() for above in (group, *self.path(group)))

    def children(self, group: ManagementGroup) -> list[ManagementGroup]:
        """Return the groups directly below one."""
        return [child for child in self.groups.values() if child.parent == group.name.lower()]

    def beneath(self, name: str, subscriptions: Iterable[str]) -> set[str]:
        """Return those of some subscriptions that lie in a group at any depth."""
        group = self.groups.get(name.lower())
        over = {subscription: self.over(subscription) for subscription in subscriptions}
        return {name for name, above in over.items() if group in (above, *self.path(above))}

    def members(self, group: ManagementGroup, subscriptions: Iterable[str]) -> list[str]:
        """Return those of some subscriptions that lie directly in a group."""
        return sorted(name for name in subscriptions if self.over(name) == group)

    def put(self, group: ManagementGroup) -> None:
        """Take a group in place of what had its name."""
        self.groups[group.name.lower()] = group

    def place(self, subscription: str, group: ManagementGroup) -> None:
        """Move a subscription into a group."""
        self.placed[subscription] = group.name.lower()
