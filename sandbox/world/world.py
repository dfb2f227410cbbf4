"""The whole state of the local Azure; every write passes here, and only here events arise.

Services read it freely inside ``transaction`` and change it through its methods. One lock guards
all of it: handlers are short and never sleep, so nothing is gained by a finer one.
"""

import collections
import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.arm import errors, ids, leaving
from sandbox.eventgrid.events import Context
from sandbox.world import hierarchy
from sandbox.world.authority import Authority
from sandbox.world.clock import Clock, wall_clock
from sandbox.world.state import DEALLOCATED, Operation, Resource
from sandbox.world.switches import Weather

_LOG_LENGTH = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One line of the request log: an ARM call as it was answered."""

    method: str
    path: str
    status: int
    app_id: str
    at: dt.datetime


class World(Authority):
    """Subscriptions, groups, resources, principals and role assignments of one tenant."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        weather: Weather | None = None,
    ) -> None:
        """Create an empty tenant.

        Args:
            clock: gives the time; everything is computed from it, nothing waits. The wall's if
                none is given.
            seed: for every random GUID and for the weather's chances, so that a run repeats.
            weather: its weaknesses; fair if none is given.
        """
        super().__init__(clock or wall_clock(), seed, weather or Weather())
        self.identity_secret = self.guid()
        self.token_key = self.random.randbytes(64)
        self.subscriptions: dict[str, str] = {}
        self.unregistered: set[tuple[str, str]] = set()
        """Subscriptions with the namespaces that they are not registered for, in lower case."""
        self.subscription_tags: dict[str, dict[str, str]] = {}
        """Tags of subscriptions, by lower-case id."""
        self.hierarchy = hierarchy.Hierarchy(self.tenant)
        self.groups: dict[str, Resource] = {}
        self.members: dict[str, dict[str, Resource]] = {}
        self.children: dict[str, dict[str, Resource]] = {}
        """Nested resources by the lower-case id of their parent."""
        self.resources: dict[str, Resource] = {}
        self.vanished: set[str] = set()
        """What went by itself, by lower-case id: ARM knows it, and its provider does not."""
        self.operations: dict[str, Operation] = {}
        self.leaving = leaving.Leaving()
        self.last_query: tuple[object, list[dict[str, Any]]] = (None, [])
        """Resource Graph's last answer, by what was asked and ``changes``."""
        self.requests: collections.deque[Request] = collections.deque(maxlen=_LOG_LENGTH)
        self.operator = self.new_principal("operator", secret=self.guid())
        self.app = self.operator
        """The principal that the application signs in as; the seed gives it an identity."""
        self._context = Context(self.operator)

    # Scopes.

    def scopes(self, key: str) -> tuple[str, ...]:
        """Return the lower-case scope and all above it, up to ``/``."""
        found = ids.ancestors(key)
        return tuple(dict.fromkeys((key, *found, *self.hierarchy.above(key), "/")))

    def within(self, scope: str, key: str) -> bool:
        """Tell whether a lower-case id lies at or below a lower-case scope."""
        return scope == "/" or ids.contains(scope, key) or scope in self.scopes(key)

    def group(self, scope: ids.ArmId) -> Resource:
        """Return the resource group that something is or lies in; raises ``AzureError`` 404."""
        found = self.groups.get(self.group_key(scope))
        if found is None:
            raise errors.group_not_found(scope.group)
        return found

    def require_scope(self, scope: ids.ArmId) -> None:
        """Raise ``AzureError`` 404 for a group of any kind or a resource that is not there."""
        above = scope.type.lower() == hierarchy.TYPE.lower()
        if above and scope.name.lower() not in self.hierarchy.groups:
            raise errors.management_not_found(scope.text)
        if not scope.group:
            return
        group = self.group(scope)
        # Children that have no service here (a blob container) live as long as their parent.
        alive = any(each in self.resources for each in ids.ancestors(scope.key))
        if scope.key != group.id.key and not alive:
            raise errors.resource_not_found(scope)

    # Resources.

    def start_operation(self) -> Operation:
        """Start an operation that succeeds after the operation delay.

        What the running transaction writes from now on is told when it has ended.
        """
        now = self.now()
        operation = Operation(self.guid(), now, now + self.operation_time())
        self.operations[operation.name] = operation
        if self._depth:
            self._context = dataclasses.replace(self._context, operation=operation)
        return operation

    def put_group(self, group: Resource) -> None:
        """Create or replace a resource group."""
        update = group.id.key in self.groups
        self.groups[group.id.key] = group
        self.members.setdefault(group.id.key, {})
        self._emit("Write", group.id, group.type, update=update)

    def put(self, resource: Resource) -> None:
        """Create a resource, or say that an existing one was changed."""
        update = resource.id.key in self.resources
        if update:
            resource.version += 1
        if resource.system is not None:
            # A moved resource's principal names the old id until the next write (facts: Machines).
            resource.system.resource_id = resource.id.text
        self._enter(resource)
        self._emit("Write", resource.id, resource.type, update=update)

    def indexed(self, resource: Resource) -> bool:
        """Return whether ARM's own index shows a resource by now.

        Its GET and ARM's lists of resources go by the index, a provider's lists and all writes do
        not (facts: Visibility speak of the former only).
        """
        span, since = self.weather.index_delay, resource.entered
        return not span or self.now() >= since + self.delay(span, f"{resource.id.key} {since}")

    def _enter(self, resource: Resource) -> None:
        key = resource.id.key
        if key not in self.resources:
            resource.entered = self.now()
        self.resources[key] = resource
        self.vanished.discard(key)
        self.members[self.group_key(resource.id)][key] = resource
        self._note_resource(key, resource)
        parent = resource.id.outer.lower()
        if parent in self.resources:
            self.children.setdefault(parent, {})[key] = resource

    def tag(self, scope: ids.ArmId, tags: dict[str, str], verb: str = "Write") -> None:
        """Give a subscription, a group or a resource other tags, by the resource that they are.

        The news is of the scope itself (facts: Resource events); that of a deletion is assumed.
        """
        found = self.groups.get(scope.key) or self.resources.get(scope.key)
        if found is None:
            self.subscription_tags[scope.subscription.lower()] = tags
        else:
            found.tags, found.tagged = tags, bool(tags)
            found.version += 1
        if scope.key in self.resources:
            self._note_resource(scope.key, found)
        self._emit(verb, scope, "Microsoft.Resources/tags")

    def act(self, resource: Resource, action: str) -> None:
        """Say that a POST succeeded on a resource."""
        self._emit("Action", resource.id, resource.type, action=f"{action}/action")

    def remove(self, resource: Resource) -> None:
        """Delete a resource, its children, its identity and the assignments at its scope.

        All that is there until the operation of the request, if it started one, has ended.
        Assignments that its identity holds elsewhere stay behind (facts: Role assignments,
        documented).
        """
        self._tell_assignments_below(resource.id.key)
        self._emit("Delete", resource.id, resource.type)
        self._leave(resource, self._forget)

    def _leave(self, resource: Resource, forget: Callable[[Resource], None]) -> None:
        operation = self._context.operation
        if operation is None:
            forget(resource)
        else:
            resource.busy, resource.ready_at = leaving.STATE, operation.ends
            self.leaving.add(operation, functools.partial(forget, resource))

    def _release(self) -> None:
        self.leaving.depart(self.now())
        super()._release()

    def tell(self, verb: str, resource: Resource) -> None:
        """Say what a request did that is not the world's to do.

        It changed an instance of a scale set, or began a deletion that fails in the end.
        """
        self._emit(verb, resource.id, resource.type)

    def evict(self, machine: Resource, *, deletes: bool) -> None:
        """Take a Spot machine's place away: its provider does not know it any more, or it stops."""
        self.tell_eviction(machine)
        if deletes:
            self._forget(machine)
            self.vanished.add(machine.id.key)
        else:
            machine.power = DEALLOCATED

    def tell_eviction(self, scope: Resource) -> None:
        """Log that the platform evicted a machine, which it tells at the machine or at its set.

        The names are known from issues; that no event tells of it is assumed.
        """
        self._emit("Action", scope.id, scope.type, action="evictSpotVM/action", silent=True)

    def _forget(self, resource: Resource) -> None:
        key = resource.id.key
        if self.resources.get(key) is not resource:  # It went with another.
            return
        self._remove_extensions_below(key)
        for child in list(self.children.pop(key, {}).values()):
            self._forget(child)
        for principal in (resource.system, resource.principal):
            if principal is not None:
                principal.end(self.now())
        self._exit(resource)

    def _exit(self, resource: Resource) -> None:
        key = resource.id.key
        del self.resources[key], self.members[self.group_key(resource.id)][key]
        self._note_resource(key, None)
        self.children.get(resource.id.outer.lower(), {}).pop(key, None)

    def move(self, resources: Iterable[Resource], operation: Operation, *groups: Resource) -> None:
        """Move resources with their children from one group to another, at an operation's end.

        They keep their principals and lose nothing but what hangs on the old id: role assignments
        there are orphans from then on (facts: Rights, documented).
        """
        target = groups[-1].id
        for group in groups:
            group.busy, group.ready_at = leaving.MOVING, operation.ends
        for resource in resources:
            self.leaving.add(operation, functools.partial(self._move, resource, target))

    def _move(self, resource: Resource, group: ids.ArmId) -> None:
        children = list(self.children.pop(resource.id.key, {}).values())
        self._exit(resource)
        for each in (resource, *resource.instances.values()):
            each.id = ids.moved(each.id, group)
            each.version += 1
        self._enter(resource)
        for child in children:
            self._move(child, group)

    def remove_group(self, group: Resource) -> None:
        """Delete a resource group with all that is in it; it stays as long as a resource does."""
        with self._cascade():
            self._tell_assignments_below(group.id.key)
            for resource in list(self.members[group.id.key].values()):
                # Children go with their parent.
                if resource.id.outer.lower() not in self.resources:
                    self._emit("Delete", resource.id, resource.type)
                    self._leave(resource, self._forget)
            self._emit("Delete", group.id, group.type)
        self._leave(group, self._forget_group)

    def _forget_group(self, group: Resource) -> None:
        if self.groups.get(group.id.key) is group:
            self._remove_extensions_below(group.id.key)
            del self.groups[group.id.key], self.members[group.id.key]

    @staticmethod
    def group_key(resource: ids.ArmId) -> str:
        """Return the lower-case id of a resource's group."""
        return f"/subscriptions/{resource.subscription}/resourcegroups/{resource.group}".lower()

    def _remove_extensions_below(self, key: str) -> None:
        for each in [each for each in self.event_subscriptions if ids.contains(key, each)]:
            del self.event_subscriptions[each]
        self._remove_assignments_below(key)
