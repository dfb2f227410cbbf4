"""The state of the local Azure; every write passes here, and only here events arise.

The world is made of parts, each a module of its own; services read them freely inside
``transaction`` and change them through the world's methods. One lock guards all of it: handlers are
short and never sleep, so nothing is gained by a finer one.
"""

import collections
import contextlib
import dataclasses
import datetime as dt
import functools
import random
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.arm import errors, ids
from sandbox.authorization.roles import BUILT_IN, Role
from sandbox.world import hierarchy
from sandbox.world.clock import Clock, wall_clock
from sandbox.world.events import Change, Context
from sandbox.world.faults import FaultInjector, Faults
from sandbox.world.feed import Feed
from sandbox.world.state import (
    DEALLOCATED,
    DELETING,
    MOVING,
    Assignment,
    Assignments,
    EventSubscription,
    History,
    Lock,
    Operation,
    Pending,
    Principal,
    Request,
    Resource,
)
from sandbox.world.throttling import Buckets

_LOG_LENGTH = 1_000_000
_DEFINITION = "Microsoft.Authorization/roleDefinitions"
_LOCK = "Microsoft.Authorization/locks"
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_GROUP_DELETE = "Microsoft.Resources/subscriptions/resourcegroups/delete"


class World:
    """Subscriptions, groups, resources, principals and role assignments of one tenant."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        faults: Faults | None = None,
        tenant: str | None = None,
    ) -> None:
        """Create an empty tenant; by default it goes by the wall's clock, without faults.

        The seed is that of every random GUID and of the faults' chances, so that a run repeats.
        """
        self.now = self.clock = clock or wall_clock()
        self.random = random.Random(seed)
        drawn = self.guid()
        self.tenant = tenant or drawn
        self.injector = FaultInjector(seed, faults or Faults())
        self.buckets = Buckets(self.clock)
        self.feed = Feed(self.clock, self.injector, self.tenant)
        self.hierarchy = hierarchy.Hierarchy(self.tenant)
        self.pending = Pending()
        self.identity_secret = self.guid()
        self.token_key = self.random.randbytes(64)
        self.subscriptions: dict[str, str] = {}
        self.unregistered: set[tuple[str, str]] = set()
        """Subscriptions with the namespaces that they are not registered for, in lower case."""
        self.subscription_tags: dict[str, dict[str, str]] = {}
        """Tags of subscriptions, by lower-case id."""
        self.groups: dict[str, Resource] = {}
        self.members: dict[str, dict[str, Resource]] = {}
        self.children: dict[str, dict[str, Resource]] = {}
        """Nested resources by the lower-case id of their parent."""
        self.resources: dict[str, Resource] = {}
        self.vanished: set[str] = set()
        """What went by itself, by lower-case id: ARM knows it, and its provider does not."""
        self.operations: dict[str, Operation] = {}
        self.principals: dict[str, Principal] = {}
        self.assignments = Assignments()
        self.assignment_limits: dict[str, int] = {}
        """How many role assignments a subscription may hold, where it is not the usual number."""
        self.roles: dict[str, Role] = {role.guid: role for role in BUILT_IN}
        # By lower-case id.
        self.locks: dict[str, Lock] = {}
        self.event_subscriptions: dict[str, EventSubscription] = {}
        self.asks_webhooks = False
        """Whether webhooks must consent to an event subscription; who delivers sets it."""
        self.resource_history: History[Resource] = History()
        self.assignment_history: History[Assignment] = History()
        self.last_query: tuple[object, list[dict[str, Any]]] = (None, [])
        """What Resource Graph was asked last and its rows, until the next write."""
        self.requests: collections.deque[Request] = collections.deque(maxlen=_LOG_LENGTH)
        self.operator = self.new_principal("operator", secret=self.guid())
        self.app = self.operator
        """The principal that the application signs in as; the seed gives it an identity."""
        self._lock = threading.RLock()
        self._depth = 0
        self._cascading = False
        self._context = Context(self.operator)

    @property
    def faults(self) -> Faults:
        """The switches as they are; a change fills all buckets and counts all requests anew."""
        return self.injector.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.injector.faults = faults
        self.buckets = Buckets(self.clock)

    def guid(self) -> str:
        """Return a new GUID from the seeded source."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    # Transactions.

    @contextlib.contextmanager
    def transaction(self, context: Context | None = None) -> Iterator[None]:
        """Hold the world for one piece of work; its events are delivered afterwards."""
        with self._lock:
            outer = self._context
            self._context = context or outer
            self._depth += 1
            self._release()
            try:
                yield
            finally:
                self._depth -= 1
                self._context = outer
                outermost = self._depth == 0
                self._release()
        if outermost:
            self.feed.deliver()

    def _release(self) -> None:
        self.pending.finish(self.now())
        self.feed.release()

    def announce(self) -> dt.datetime | None:
        """Deliver the events of what has ended by now; return when there will be more.

        Every transaction does it as well, so only who waits for events need call it.
        """
        with self.transaction():
            return self.feed.next_due()

    def authorize(self, right: Assignment, role_name: str) -> None:
        """Note in the running transaction which assignment allowed it; events show it."""
        self._context = dataclasses.replace(self._context, right=right, role_name=role_name)

    def start_operation(self) -> Operation:
        """Start an operation that succeeds after the operation delay.

        The events of what the running transaction writes from now on come when it has ended.
        """
        now = self.now()
        operation = Operation(self.guid(), now, now + self.injector.operation_time())
        self.operations[operation.name] = operation
        if self._depth:
            self._context = dataclasses.replace(self._context, operation=operation)
        return operation

    def end(self, operation: Operation, error: dict[str, str] | None = None) -> None:
        """End an operation now, with an error or well; the events of what it wrote come at once."""
        operation.ends, operation.error = self.now(), error
        self.feed.hasten(operation)

    def _emit(  # noqa: PLR0913 - the variable parts of a change
        self,
        verb: str,
        resource: ids.ArmId,
        kind: str,
        *,
        action: str = "",
        update: bool = True,
        gone: Assignment | None = None,
        silent: bool = False,
    ) -> None:
        # Topics are subscriptions: what happens above them reaches nobody.
        if not resource.subscription:
            return
        operation = f"{kind}/{action or verb.lower()}"
        running = self._context.operation if self.faults.events_at_end else None
        self.feed.add(
            Change(
                id=self.guid(),
                verb=verb,
                resource=resource,
                operation=operation,
                action=_GROUP_DELETE if self._cascading else operation,
                context=self._context,
                at=running.ends if running else self.now(),
                update=update,
                gone=gone,
                silent=silent,
            )
        )

    # Scopes.

    def scopes(self, key: str) -> tuple[str, ...]:
        """Return the lower-case scope and all above it, up to ``/``."""
        return tuple(dict.fromkeys((key, *ids.ancestors(key), *self.hierarchy.above(key), "/")))

    def within(self, scope: str, key: str) -> bool:
        """Return whether a lower-case id lies at or below a lower-case scope."""
        return scope == "/" or ids.contains(scope, key) or scope in self.scopes(key)

    @staticmethod
    def group_key(resource: ids.ArmId) -> str:
        """Return the lower-case id of a resource's group."""
        return f"/subscriptions/{resource.subscription}/resourcegroups/{resource.group}".lower()

    def group(self, scope: ids.ArmId) -> Resource:
        """Return the resource group that something is or lies in; raises ``AzureError`` 404."""
        group = self.groups.get(self.group_key(scope))
        if group is None:
            raise errors.group_not_found(scope.group)
        return group

    def require_scope(self, scope: ids.ArmId) -> None:
        """Raise ``AzureError`` 404 for a group of any kind or a resource that is not there."""
        above = scope.type.lower() == hierarchy.TYPE.lower()
        if above and scope.name.lower() not in self.hierarchy.groups:
            raise errors.management_not_found(scope.text)
        if not scope.group:
            return
        group = self.group(scope)
        # Children that have no service here (a blob container) live as long as their parent.
        alive = any(key in self.resources for key in ids.ancestors(scope.key))
        if scope.key != group.id.key and not alive:
            raise errors.resource_not_found(scope)

    # Resources.

    def put_group(self, group: Resource) -> None:
        """Create or replace a resource group."""
        update = group.id.key in self.groups
        self.groups[group.id.key] = group
        self.members.setdefault(group.id.key, {})
        self._emit("Write", group.id, group.type, update=update)

    def put(self, resource: Resource) -> None:
        """Create a resource, or note that an existing one was changed."""
        update = resource.id.key in self.resources
        if update:
            resource.version += 1
        if resource.system is not None:
            # A moved resource's principal names the old id until the next write (facts: Moves).
            resource.system.resource_id = resource.id.text
        self._enter(resource)
        self._emit("Write", resource.id, resource.type, update=update)

    def indexed(self, resource: Resource) -> bool:
        """Return whether ARM's own index shows a resource by now.

        Its GET and ARM's lists of resources go by the index, a provider's lists and all writes do
        not, as far as is known (facts: Visibility).
        """
        span, since = self.faults.index_delay, resource.entered
        if not span:
            return True
        return self.now() >= since + self.injector.delay(span, f"{resource.id.key} {since}")

    def tag(self, scope: ids.ArmId, tags: dict[str, str], verb: str = "Write") -> None:
        """Give a subscription, a group or a resource other tags.

        The event is of the scope itself (facts: Resource events); that of a deletion is assumed.
        """
        tagged = self.groups.get(scope.key) or self.resources.get(scope.key)
        if tagged is None:
            self.subscription_tags[scope.subscription.lower()] = tags
        else:
            tagged.tags = tags
            tagged.version += 1
        if scope.key in self.resources:
            self._note_resource(scope.key, tagged)
        self._emit(verb, scope, "Microsoft.Resources/tags")

    def act(self, resource: Resource, action: str) -> None:
        """Note that a POST succeeded on a resource."""
        self._emit("Action", resource.id, resource.type, action=f"{action}/action")

    def emit(self, verb: str, resource: Resource) -> None:
        """Note a deployment's own write, or a deletion that begins and fails in the end."""
        self._emit(verb, resource.id, resource.type)

    def evict(self, machine: Resource, *, deletes: bool) -> None:
        """Take a Spot machine's place away: its provider does not know it any more, or it stops.

        Its name in the log is known from issues; that there is no event is assumed.
        """
        action = "evictSpotVM/action"
        self._emit("Action", machine.id, machine.type, action=action, silent=True)
        if deletes:
            self._forget(machine)
            self.vanished.add(machine.id.key)
        else:
            machine.power = DEALLOCATED

    def remove(self, resource: Resource) -> None:
        """Delete a resource, its children, its identity and the assignments at its scope.

        All that is there until the operation of the request, if it started one, has ended.
        Assignments that its identity holds elsewhere stay behind (facts: Role assignments,
        documented).
        """
        self._emit_assignments_below(resource.id.key)
        self._emit("Delete", resource.id, resource.type)
        self._leave(resource, self._forget)

    def remove_group(self, group: Resource) -> None:
        """Delete a resource group with all that is in it; it stays as long as a resource does."""
        self._cascading = True
        try:
            self._emit_assignments_below(group.id.key)
            for resource in list(self.members[group.id.key].values()):
                # Children go with their parent.
                if resource.id.outer.lower() not in self.resources:
                    self._emit("Delete", resource.id, resource.type)
                    self._leave(resource, self._forget)
            self._emit("Delete", group.id, group.type)
        finally:
            self._cascading = False

        def forget(group: Resource) -> None:
            if self.groups.get(group.id.key) is group:
                self._remove_extensions_below(group.id.key)
                del self.groups[group.id.key], self.members[group.id.key]

        self._leave(group, forget)

    def move(self, resources: Iterable[Resource], operation: Operation, *groups: Resource) -> None:
        """Move resources with their children from one group to another, at an operation's end.

        They keep their principals and lose nothing but what hangs on the old id: role assignments
        there are orphans from then on (facts: Rights, documented).
        """
        for group in groups:
            group.busy, group.ready_at = MOVING, operation.ends
        for resource in resources:
            self.pending.add(operation, functools.partial(self._move, resource, groups[-1].id))

    def _move(self, resource: Resource, group: ids.ArmId) -> None:
        children = list(self.children.pop(resource.id.key, {}).values())
        self._exit(resource)
        for moved in (resource, *resource.instances.values()):
            moved.id = ids.moved(moved.id, group)
            moved.version += 1
        self._enter(resource)
        for child in children:
            self._move(child, group)

    def _leave(self, resource: Resource, forget: Callable[[Resource], None]) -> None:
        operation = self._context.operation
        if operation is None:
            forget(resource)
        else:
            resource.busy, resource.ready_at = DELETING, operation.ends
            self.pending.add(operation, functools.partial(forget, resource))

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

    def _exit(self, resource: Resource) -> None:
        key = resource.id.key
        del self.resources[key], self.members[self.group_key(resource.id)][key]
        self._note_resource(key, None)
        self.children.get(resource.id.outer.lower(), {}).pop(key, None)

    def _note_resource(self, key: str, resource: Resource | None) -> None:
        self.last_query = None, []
        state = resource.snapshot() if resource else None
        self.resource_history.note(key, state, self.now(), self.faults.graph_delay)

    # Rights: principals, roles, role assignments and locks.

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
        oid = oid or self.guid()
        principal = Principal(oid, self.guid(), name, kind, self.now(), secret, resource_id)
        self.principals[oid] = principal
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

    def assignments_of(self, principals: Iterable[str]) -> Iterator[Assignment]:
        """Yield the role assignments that principals hold."""
        for principal in principals:
            yield from self.assignments.by_principal.get(principal, {}).values()

    def _emit_assignments_below(self, key: str) -> None:
        for assignment in self.assignments.below(key):
            # A cascade writes the name without dashes (facts: Resource events, recorded).
            bare = dataclasses.replace(assignment, name=assignment.name.replace("-", ""))
            self._emit("Delete", ids.parse(bare.id), _ASSIGNMENT, gone=assignment)

    def _remove_extensions_below(self, key: str) -> None:
        for subscription in [name for name in self.event_subscriptions if ids.contains(key, name)]:
            del self.event_subscriptions[subscription]
        for assignment in self.assignments.below(key):
            self.assignments.remove(assignment)
            self._note_assignment(assignment.name, None)

    def _note_assignment(self, name: str, assignment: Assignment | None) -> None:
        self.last_query = None, []
        keep = max(self.faults.assignment_lag, self.faults.graph_delay)
        self.assignment_history.note(name.lower(), assignment, self.now(), keep)

    def put_event_subscription(self, subscription: EventSubscription) -> None:
        """Create or change an event subscription."""
        update = subscription.id.key in self.event_subscriptions
        self.event_subscriptions[subscription.id.key] = subscription
        self._emit("Write", subscription.id, subscription.id.type, update=update)

    def remove_event_subscription(self, subscription: EventSubscription) -> None:
        """Delete an event subscription."""
        del self.event_subscriptions[subscription.id.key]
        self._emit("Delete", subscription.id, subscription.id.type)
