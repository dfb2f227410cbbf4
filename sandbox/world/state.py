"""What the world consists of: principals, resources, role assignments, running operations."""

import collections
import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

from sandbox.arm import ids

LONG_AGO = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
"""Since when there is what a seed holds, as far as delays go."""

DEALLOCATED = "deallocated"  # The power of a machine that holds no place in Azure.

DELETING = "Deleting"
MOVING = "MovingResources"
"""The state of two groups between which resources move (issues: azure-cli 11942)."""


@dataclasses.dataclass(slots=True)
class Principal:
    """A user or service principal of the directory; a deleted one never returns."""

    oid: str
    app_id: str
    name: str
    kind: str  # ``ServicePrincipal`` or ``User``, as role assignments spell it.
    created: dt.datetime
    """Role assignments may know it only some time later (facts: Role assignments)."""
    secret: str | None = None
    resource_id: str | None = None  # The resource whose identity it is.
    alive: bool = True
    ended: dt.datetime = LONG_AGO  # Since when it is no longer alive.

    def end(self, now: dt.datetime) -> None:
        """Delete it."""
        self.alive, self.ended = False, now

    @property
    def client(self) -> str:
        """What refusals call it: users by name, others by application id (recorded)."""
        return self.name if self.kind == "User" else self.app_id


@dataclasses.dataclass(frozen=True, slots=True)
class Attached:
    """A user-assigned identity on a resource: one incarnation, named by its principal."""

    id: str
    principal: Principal
    fresh: bool = False
    """Attached by the operation that runs; its principal is not shown yet (facts: Machines)."""

    def aged(self) -> "Attached":
        """Return it as it is once the operation has ended."""
        return Attached(self.id, self.principal) if self.fresh else self


@dataclasses.dataclass(slots=True)
class Resource:
    """A resource or resource group."""

    id: ids.ArmId
    type: str
    location: str
    created: dt.datetime
    ready_at: dt.datetime  # When its running operation ends; in the past when none runs.
    entered: dt.datetime = LONG_AGO
    """Since when there is something under its id: its creation, or its last move."""
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    properties: dict[str, Any] = dataclasses.field(default_factory=dict)
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Other top-level members of its body: sku, kind, zones, managedBy."""
    system: Principal | None = None
    users: dict[str, Attached] = dataclasses.field(default_factory=dict)
    """User-assigned identities by lower-case id."""
    identity_written: bool = False
    """Whether a request ever carried an identity block; some types then show ``None``."""
    busy: str = "Creating"  # The provisioning state until ``ready_at``.
    outcome: str = "Succeeded"  # The provisioning state from then on.
    version: int = 1  # Counts writes; the entity tag of compute resources.
    power: str = "running"
    principal: Principal | None = None  # The principal that a user-assigned identity is.
    instances: dict[str, "Resource"] = dataclasses.field(default_factory=dict)
    """A uniform scale set's machines by number; nobody's request writes them."""

    @property
    def holders(self) -> tuple[str, dict[str, str]]:
        """Whom its identities stand for: its own, and the attached ones by lower-case id."""
        users = {key: attached.principal.oid for key, attached in self.users.items()}
        return self.system.oid if self.system else "", users

    def provisioning_state(self, now: dt.datetime) -> str:
        """Return the state that a read at this time sees."""
        return self.busy if now < self.ready_at else self.outcome

    def snapshot(self) -> "Resource":
        """Return it as it is now; writes replace its other members and never change them."""
        return dataclasses.replace(self, extra=dict(self.extra))


@dataclasses.dataclass(frozen=True, slots=True)
class Assignment:
    """A role assignment."""

    name: str
    scope: str
    role: str  # The role's GUID, lower case.
    principal: str
    principal_type: str
    created: dt.datetime
    updated: dt.datetime
    created_by: str
    updated_by: str
    description: str | None = None
    condition: str | None = None
    condition_version: str | None = None
    delegated: str | None = None
    granted: dt.datetime = LONG_AGO  # When a request made it; what a seed holds counts at once.

    @property
    def id(self) -> str:
        """Its ARM id."""
        scope = "" if self.scope == "/" else self.scope
        return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{self.name}"

    @property
    def triple(self) -> tuple[str, str, str]:
        """What may exist once only."""
        return self.scope.lower(), self.role, self.principal


@dataclasses.dataclass(frozen=True, slots=True)
class Lock:
    """A management lock on a subscription, a group or a resource."""

    id: str
    level: str  # ``CanNotDelete`` or ``ReadOnly``.
    properties: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Notes and owners, when it was given any."""

    @property
    def scope(self) -> str:
        """What it locks."""
        return ids.parse(self.id).scope


@dataclasses.dataclass(slots=True)
class Operation:
    """An asynchronous operation, which ends when its time has come."""

    name: str
    started: dt.datetime
    ends: dt.datetime
    resource: str = ""  # The id of the resource that it works on.
    location: str = ""
    state: str = ""  # The resource's provisioning state meanwhile.
    error: dict[str, Any] | None = None  # Code and message, where it ends as failed.

    def status(self, now: dt.datetime, running: str) -> str:
        """Return how it ended, or while it runs the state that it has then."""
        ended = "Failed" if self.error else "Succeeded"
        return running if now < self.ends else ended

    def retry(self, now: dt.datetime) -> dict[str, str]:
        """Return the header that says when to ask again: when it ends, at least in a second."""
        return {"Retry-After": str(max(1, math.ceil((self.ends - now).total_seconds())))}


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One line of the request log: an ARM call as it was answered."""

    method: str
    path: str
    status: int
    app_id: str
    at: dt.datetime


class Pending:
    """What is done once an operation has ended: removals, moves, a deployment's next step."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Operation, Callable[[], None]]] = []

    def add(self, operation: Operation, effect: Callable[[], None]) -> None:
        """Call ``effect`` when an operation has ended."""
        self._waiting.append((operation, effect))

    def finish(self, now: dt.datetime) -> None:
        """Do what is due by now, in the order in which it was added."""
        if not self._waiting:
            return
        due = [effect for operation, effect in self._waiting if operation.ends <= now]
        self._waiting = [waiting for waiting in self._waiting if waiting[0].ends > now]
        for effect in due:
            effect()


@dataclasses.dataclass(slots=True)
class EventSubscription:
    """Who wants which events of a source, and where they are to be delivered."""

    id: ids.ArmId
    source: str
    """The lower-case id of the subscription, the group or the topic whose events it gets."""
    properties: dict[str, Any]  # As they were sent and checked, with their defaults.
    operation: Operation  # Its last write.
    consent: Literal["pending", "given", "refused"] = "given"
    """Whether its endpoint wants the events; only webhooks are asked."""


class Assignments:
    """All role assignments, indexed the ways they are asked for."""

    def __init__(self) -> None:
        self.by_name: dict[str, Assignment] = {}
        self.by_triple: dict[tuple[str, str, str], Assignment] = {}
        self.by_scope: dict[str, dict[str, Assignment]] = {}
        self.by_principal: dict[str, dict[str, Assignment]] = {}
        self.in_subscription: collections.Counter[str] = collections.Counter()
        """How many there are in a subscription, at all its scopes."""

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    def put(self, assignment: Assignment) -> None:
        """Store one, in place of the one with its name."""
        name = assignment.name.lower()
        if name not in self.by_name:
            self.in_subscription[ids.parse(assignment.scope).subscription.lower()] += 1
        self.by_name[name] = assignment
        self.by_triple[assignment.triple] = assignment
        self.by_scope.setdefault(assignment.scope.lower(), {})[name] = assignment
        self.by_principal.setdefault(assignment.principal, {})[name] = assignment

    def remove(self, assignment: Assignment) -> None:
        """Remove one that is there."""
        name = assignment.name.lower()
        del self.by_name[name]
        self.in_subscription[ids.parse(assignment.scope).subscription.lower()] -= 1
        del self.by_triple[assignment.triple]
        for index, key in (
            (self.by_scope, assignment.scope.lower()),
            (self.by_principal, assignment.principal),
        ):
            del index[key][name]
            if not index[key]:
                del index[key]

    def below(self, key: str) -> list[Assignment]:
        """Return those at or below a lower-case scope."""
        scopes = [scope for scope in self.by_scope if ids.contains(key, scope)]
        return [assignment for scope in scopes for assignment in self.by_scope[scope].values()]


class History[T]:
    """The states of things by key, each with the time from which on it was so.

    Lists and indexes that lag behind show things as they were (facts: Role assignments and
    Throttling).
    """

    def __init__(self) -> None:
        self._states: dict[str, list[tuple[dt.datetime, T | None]]] = {}

    def note(self, key: str, state: T | None, at: dt.datetime, keep: float) -> None:
        """Note what a thing is now, None when it is gone; the state must not change any more.

        What is older than others will look back, by so many seconds, is dropped.
        """
        states = self._states.setdefault(key, [(LONG_AGO, None)])
        states.append((at, state))
        # One state that is old enough for everybody stays, as the oldest that is known.
        while len(states) > 1 and states[1][0] <= at - dt.timedelta(seconds=keep):
            del states[0]
        if len(states) == 1 and state is None:
            del self._states[key]

    def at(self, moment: dt.datetime) -> Iterator[T]:
        """Yield all that was there at a moment, or as far back as is known."""
        for states in self._states.values():
            seen = next((state for when, state in reversed(states) if when <= moment), states[0][1])
            if seen is not None:
                yield seen
