"""The domain's own types: what is asked, what was found, what is wanted.

All are frozen values without behaviour that needs the outside; nothing here knows JSON shapes of
Azure (`reconciler.observe` does) or YAML (`reconciler.policy` does). What is to be done about the
difference is in `reconciler.changes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.ids import ResourceId

VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
USER_ASSIGNED_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
SUBSCRIPTION = "Microsoft.Resources/subscriptions"

RESTARTING = frozenset({"microsoft.web/sites", "microsoft.web/sites/slots"})
"""Types, in lower case, whose apps restart when their identities change (documented)."""


MOVED = "moved"
"""What `Request.seen` says of a scope that resources were moved out of."""


class Mode(StrEnum):
    """Whether a difference is only told or also mended."""

    AUDIT = "audit"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class Request:
    """One ARM id to look at; nothing else of the event that led to it.

    `since`: an earlier look is no answer. `removals`: the policy digest under which unwanted rights
    may go. `first`, `seen`: when it was first asked and what was seen then, kept by copies.
    """

    id: ResourceId
    since: datetime | None = None
    removals: str | None = None
    first: datetime | None = None
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A wanted right: role (GUID, lower case) at a scope, with an optional ABAC condition."""

    role: str
    scope: ResourceId
    condition: str | None = None


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

    `created` is when it was made; `created_by` and `updated_by` are the principals that made it and
    wrote it last, none where Azure does not say so yet.
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
    """An entry of the activity log: what was done, by whom as people know them, and when.

    `principal` is the object id of the same, where the entry has it.
    """

    operation: str
    caller: str
    principal: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AttachedIdentity:
    """A user-assigned identity as a resource's own entry shows it; the principal may be stale."""

    id: ResourceId
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class IdentityBlock:
    """The identities that a resource carries; `raw_type` is kept where it could not be read.

    `unknown` are keys of its map that are no user-assigned identity's id: never written.
    """

    system: bool = False
    principal: str | None = None
    attached: tuple[AttachedIdentity, ...] = ()
    raw_type: str | None = None
    unknown: tuple[str, ...] = ()

    def entry(self, identity: ResourceId) -> AttachedIdentity | None:
        """Return the entry of a user-assigned identity, if the resource carries it."""
        return next((entry for entry in self.attached if entry.id == identity), None)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as read; `incarnation` tells it from an earlier one under the same id."""

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
class Observed:
    """Everything that one look at one id found.

    `subject` is none where the id is gone by two sources. `identities` holds every identity that
    policy wants on the subject by its own GET, none for one that is gone by two sources, and the
    exclusive ones that it carries and may not. `carriers` are resources that still carry a gone
    subject's principals. `roles` says of each custom role that policy wants here (GUID, lower case)
    whether it is privileged, none where it could not be read.
    """

    id: ResourceId
    at: datetime
    subject: Resource | UserIdentity | None
    assignments: tuple[RoleAssignment, ...] = ()
    identities: Mapping[ResourceId, UserIdentity | None] = field(
        default_factory=dict[ResourceId, UserIdentity | None]
    )
    carriers: Mapping[str, ResourceId] = field(default_factory=dict[str, ResourceId])
    roles: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])

    @property
    def principal(self) -> str | None:
        """The subject's principal today; none where it is gone or has none."""
        return self.subject.principal if self.subject else None

    @property
    def incarnation(self) -> str | None:
        """What tells this subject from an earlier one under the same id."""
        if isinstance(self.subject, Resource):
            return self.subject.incarnation
        return self.principal


@dataclass(frozen=True, slots=True)
class Wanted[T]:
    """One thing that policy wants, the rules or identity that want it, and whether to mend it."""

    what: T
    mode: Mode
    by: tuple[str, ...]
    default_change: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """What policy wants of one subject.

    `unresolved` are grants whose scope could not be named, with the reason; `ensured` are those of
    the attached identities that are created where they are missing; `unwelcome` are those
    that it carries, no rule attaches, and by their ids may be exclusive.
    """

    attach: tuple[Wanted[ResourceId], ...] = ()
    system: Wanted[None] | None = None
    grants: tuple[Wanted[Grant], ...] = ()
    unresolved: tuple[tuple[Wanted[str], str], ...] = ()
    ensured: tuple[Wanted[NewIdentity], ...] = ()
    unwelcome: tuple[Wanted[ResourceId], ...] = ()
