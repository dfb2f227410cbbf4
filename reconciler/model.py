"""The domain's own types: what is asked, what was observed, what is desired.

All are frozen values. None knows Azure's JSON, which `reconciler.azure.parsing` reads, or YAML,
which `reconciler.policy` reads. What is to be done about the difference is in `reconciler.changes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.ids import ResourceId

USER_ASSIGNED_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
SUBSCRIPTION = "Microsoft.Resources/subscriptions"

MOST_SIGHTINGS = 20
"""Sightings that a request keeps, the latest ones."""
_OLDEST = timedelta(days=7)
_FURTHEST_AHEAD = timedelta(hours=1)


class Mode(StrEnum):
    """Whether a difference is only shown or also repaired."""

    AUDIT = "audit"
    REPAIR = "repair"


class Sight(StrEnum):
    """What a look may have seen that the next look at the same id must know."""

    GONE = "gone"
    """The id itself, or an identity that policy wants on it, was not found."""
    NOT_YET = "not yet"
    """Not found although a write event had named it: Resource Manager's index is late."""
    DEAD_ENTRY = "dead entry"
    """An entry of a recreated identity; `about` holds identity, stale and present principal."""
    REFUSED = "refused"
    """A conflict whose code is not known to pass by itself; `about` is that code."""
    MOVED = "moved"
    """Resources were moved out of the scope."""
    MISSED = "missed"
    """A deleted assignment was found to be nobody's; the index may not show its subject yet."""
    ATTACHED = "attached"
    """The identity was attached to a resource, or swept: only its own rights need a look."""
    DELETED = "deleted"
    """A right of the id was deleted; `about` is the assignment, which lists may still show."""
    WRITTEN = "written"
    """Another wrote a right of the id: `about` is the assignment. Lists may show it as before."""


@dataclass(frozen=True, slots=True, order=True)
class Sighting:
    """What was seen, when it was first seen, and the id or code that it is about, if any."""

    at: datetime
    what: Sight
    about: str = ""


@dataclass(frozen=True, slots=True)
class Removals:
    """What may be removed as unwanted, under the policy by which it was counted.

    `digest` is that of the policy. `ids` name role assignments, and exclusive identities whose
    entry on the requested resource may go. None stands for all, in a plan that is only shown to a
    person or counted by a sweep. `at_once`: a person agreed that a right goes before its
    replacement is there.
    """

    digest: str
    ids: frozenset[ResourceId] | None = frozenset()
    at_once: bool = False

    def allow(self, unwanted: ResourceId) -> bool:
        """Return whether this assignment or identity entry may go."""
        return self.ids is None or unwanted in self.ids

    def cover(self, other: "Removals") -> bool:
        """Return whether this allows all that the other allows."""
        if self.digest != other.digest or (other.at_once and not self.at_once):
            return False
        return self.ids is None or (other.ids is not None and other.ids <= self.ids)


@dataclass(frozen=True, slots=True)
class Request:
    """One ARM id to look at, and nothing else of the event that led to it.

    `since`: a look that began earlier does not answer the request; a time in the future is when the
    request is due. `expected`: a write event or the index named the id, so a 404 means "not yet".
    `removals`: the unwanted rights that may go. `first`: when the request was first asked.
    `sightings`: what earlier runs of it saw. A copy, which goes back into the queue, keeps both.
    """

    id: ResourceId
    since: datetime | None = None
    expected: bool = False
    removals: Removals | None = None
    first: datetime | None = None
    sightings: tuple[Sighting, ...] = ()

    def sighted(self, what: Sight, about: str = "") -> datetime | None:
        """Return when this was first seen, or none."""
        times = (
            sighting.at
            for sighting in self.sightings
            if (sighting.what, sighting.about) == (what, about)
        )
        return min(times, default=None)

    def bounded(self, now: datetime) -> "Request":
        """Return the request with its times between a week ago and an hour ahead.

        Anybody who can write to the queue may have written it: a time far ahead would be put back
        for ever, and dates near the year 1 overflow when a time zone or a delay is applied.
        """

        def within(time: datetime) -> datetime:
            return min(max(time, now - _OLDEST), now + _FURTHEST_AHEAD)

        return Request(
            self.id,
            within(self.since) if self.since else None,
            self.expected,
            self.removals,
            within(self.first) if self.first else None,
            tuple(
                Sighting(within(sighting.at), sighting.what, sighting.about)
                for sighting in self.sightings[-MOST_SIGHTINGS:]
            ),
        )


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A grant's scope that cannot be resolved for this subject: its template, and the cause."""

    template: str
    why: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A wanted right: role (GUID, lower case) at a scope, with an optional ABAC condition."""

    role: str
    scope: ResourceId | Unresolved
    condition: str | None = None

    @property
    def place(self) -> ResourceId:
        """The scope of a grant that can be given; raises `TypeError` for an unresolved one."""
        if isinstance(self.scope, Unresolved):
            raise TypeError(f"{self.scope.template} has no name here: {self.scope.why}")
        return self.scope


@dataclass(frozen=True, slots=True)
class Permission:
    """One of the permissions of a role definition."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A right as found in Azure; `role` is the GUID at the end of its definition id.

    `created` is when it was made. `created_by` and `updated_by` are the principals that made it and
    wrote it last, none where Azure does not show them yet.
    """

    id: ResourceId
    principal: str
    principal_type: str
    role: str
    scope: ResourceId
    condition: str | None = None
    description: str | None = None
    created_by: str | None = None
    created: datetime | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """An entry of the activity log: what was done, by whom, and when.

    `caller` is the name of who did it, as people know it, and `principal` the object id of the
    same, where the entry has one. Where `succeeded` is false it had only begun, or it failed.
    """

    operation: str
    caller: str
    principal: str | None
    at: datetime
    succeeded: bool = True


@dataclass(frozen=True, slots=True)
class AttachedIdentity:
    """A user-assigned identity as a resource's own entry shows it; the principal may be stale."""

    id: ResourceId
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class IdentityBlock:
    """The identities that a resource carries.

    `raw_type` is the block's type where that is not understood, else none. `unknown` are the keys
    of its map that are not the id of a user-assigned identity; they are never written.
    """

    system: bool = False
    principal: str | None = None
    attached: tuple[AttachedIdentity, ...] = ()
    raw_type: str | None = None
    unknown: tuple[str, ...] = ()

    def entry(self, identity: ResourceId) -> AttachedIdentity | None:
        """Return the entry of a user-assigned identity, or none."""
        return next((entry for entry in self.attached if entry.id == identity), None)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as read.

    `state` is its provisioning state; `deploying`: an extension of it is being provisioned.
    `incarnation` differs from that of an earlier resource under the same id, as a `vmId` does.
    """

    id: ResourceId
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    identities: IdentityBlock = IdentityBlock()
    state: str = "Succeeded"
    deploying: bool = False
    incarnation: str | None = None
    created: datetime | None = None
    etag: str | None = None
    managed_by: str | None = None
    kind: str = ""

    @property
    def principal(self) -> str | None:
        """The principal of its system-assigned identity."""
        return self.identities.principal


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """A user-assigned identity as its own GET shows it."""

    id: ResourceId
    principal: str
    client: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """A user-assigned identity as it is to be created, should it be missing."""

    id: ResourceId
    location: str
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """What the activity log shows of an id's end, and of moves from its group.

    `ended`: the last successful deletion or eviction with no successful write after it. `moves`:
    when resources were moved out of its group. `complete`: whether all entries could be read.
    `evicted`: the end was an eviction, which may only have stopped a machine.
    """

    ended: datetime | None = None
    moves: tuple[datetime, ...] = ()
    complete: bool = True
    evicted: bool = False

    def proves(self, made: datetime | None, at: datetime) -> bool:
        """Return whether a right that was made for the id at `made` is proved dead at `at`.

        It is not where anything was moved out of the group between the two times, or, after an
        eviction, up to now: the machine may live on elsewhere under the same principal (facts:
        Moves).
        """
        if self.ended is None or made is None or not self.complete:
            return False
        in_time = made < self.ended and at - END_COUNTS <= self.ended
        last = at if self.evicted else self.ended
        return in_time and not any(made <= move <= last for move in self.moves)


LOG_KEPT = timedelta(days=90)
"""How long the activity log keeps an entry (facts: Activity log)."""

END_COUNTS = timedelta(days=30)
"""How old an end may be and count: a principal can be restored for as long (facts: Rights)."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What Resource Graph shows of an id and of principals, asked once at one time.

    `shown`: the id, where it has a row, and every resource that carries one of the principals,
    each with its own principal. `twice`: rows of an id that is in `shown` already; pages are read
    one after the other, so the rows of one id may differ.
    """

    shown: Mapping[ResourceId, str | None] = field(default_factory=dict[ResourceId, "str | None"])
    twice: frozenset[tuple[ResourceId, str | None]] = frozenset()

    def agree(self, place: ResourceId, principal: str) -> bool:
        """Return whether the id has a row, and all its rows show this principal."""
        rows = (*self.shown.items(), *self.twice)
        return {carried for row, carried in rows if row == place} == {principal}

    def holder(self, principal: str, besides: ResourceId) -> ResourceId | None:
        """Return a resource other than `besides` that has the principal, by the index, or none.

        `besides` is the id that is asked about; the index may still hold an old row of it.
        """
        holders = (
            place
            for place, carried in (*self.shown.items(), *self.twice)
            if carried == principal and place != besides
        )
        return min(holders, key=lambda place: place.key, default=None)


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one look at one id has read.

    `subject` is none where its GET was 404. `identities` holds each identity that policy wants on
    the subject, none where its own GET was 404, and the exclusive ones that are attached and must
    not be. `roles`: whether each custom role that policy wants here (GUID, lower case) is
    privileged, none where it could not be read. `confirmed`: a second read of the subject agreed
    with the first. `traces` is none where Resource Graph was not asked, and `endings` lacks an id
    for which the activity log was not asked. `absent`: scopes of wanted grants that do not exist,
    each with ids that are spelled alike. `limit_reached`: Azure has just refused a grant because
    its subscription holds no more assignments.
    """

    id: ResourceId
    at: datetime
    subject: Resource | UserIdentity | None
    assignments: tuple[RoleAssignment, ...] = ()
    identities: Mapping[ResourceId, UserIdentity | None] = field(
        default_factory=dict[ResourceId, UserIdentity | None]
    )
    roles: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    confirmed: bool = False
    traces: Traces | None = None
    endings: Mapping[ResourceId, Ending] = field(default_factory=dict[ResourceId, Ending])
    absent: Mapping[ResourceId, tuple[str, ...]] = field(
        default_factory=dict[ResourceId, tuple[str, ...]]
    )
    limit_reached: bool = False

    @property
    def principal(self) -> str | None:
        """The subject's principal today; none where it is gone or has none."""
        return self.subject.principal if self.subject else None

    @property
    def incarnation(self) -> str | None:
        """A value that no earlier subject under the same id had: of an identity, its principal."""
        if isinstance(self.subject, Resource):
            return self.subject.incarnation
        return self.principal


@dataclass(frozen=True, slots=True)
class Wanted[T]:
    """One thing that policy wants, the rules or identity that want it, and their mode.

    `default_change` and `restart`: a rule allows that attaching changes the default identity, or
    restarts apps. `rollout`: the mode is audit because the resource is not yet in its rule's share.
    `choices`: every scope that the grant could have, where the resource's tag or location picks the
    scope from a map.
    """

    what: T
    mode: Mode
    by: tuple[str, ...]
    default_change: bool = False
    restart: bool = False
    rollout: bool = False
    choices: frozenset[ResourceId] = frozenset()


@dataclass(frozen=True, slots=True)
class Desired:
    """What policy wants of one subject.

    `unresolved`: grants whose scope cannot be resolved for the subject. `ensured`: identities of
    `attach` that are created where they are missing. `unwelcome`: identities that the subject
    carries, that no rule attaches, and that by their ids may be exclusive.
    """

    attach: tuple[Wanted[ResourceId], ...] = ()
    system: Wanted[None] | None = None
    grants: tuple[Wanted[Grant], ...] = ()
    unresolved: tuple[Wanted[Grant], ...] = ()
    ensured: tuple[Wanted[NewIdentity], ...] = ()
    unwelcome: tuple[Wanted[ResourceId], ...] = ()
