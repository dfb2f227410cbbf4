"""What a look leads to: changes, the plan that holds them, and what became of each.

The plan is the only hand-over between deciding and writing: `reconciler.plan` makes it,
`reconciler.apply` carries it out, the command line shows it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final, assert_never

from reconciler.ids import ResourceId, fold
from reconciler.model import Grant, NewIdentity, Request, RoleAssignment


class Reason(StrEnum):
    """Why a change is wanted."""

    IDENTITY_MISSING = "identity missing"
    IDENTITY_RECREATED = "identity was recreated, its entry is dead"
    IDENTITY_GONE = "identity is gone, its entry is dead"
    ASSIGNMENT_MISSING = "role assignment missing"
    CONDITION_DIFFERS = "condition differs"
    MARKER_DIFFERS = "marker differs"
    PRINCIPAL_REPLACED = "its principal was replaced"
    RESOURCE_GONE = "its resource is gone"
    UNWANTED = "no policy asks for it"
    NOT_ALLOWED = "the identity is exclusive, and no rule attaches it here"


class Hold(StrEnum):
    """Why a change that we would make may not be made."""

    AUDIT = "policy says audit"
    PROTECTED = "the identity is protected by the guardrails"
    OWN_IDENTITY = "it is this app's own identity"
    GUARDRAILS = "the guardrails do not allow this role there"
    ROLE_UNREAD = "the custom role cannot be read, so nobody knows how far it reaches"
    IDENTITY_PLACE = "the guardrails do not allow identities from there"
    EXEMPT = "policy exempts it"
    HOME = "the scope contains this app's own resource group, or lies in it"
    NOT_WATCHED = "it lies in no watched subscription"
    MANAGED = "the resource is managed by another resource"
    DEFAULT_IDENTITY = "it would change the identity that the metadata service picks by default"
    UNKNOWN_IDENTITY_TYPE = "the resource's identity type is not understood"
    RESTART = "it would restart the resource's apps, which no rule allows"
    NO_ETAG = "the last identity can only be taken away under an etag"
    IDENTITY_ABSENT = "the identity does not exist"
    FOREIGN_CONDITION = "an assignment that is not ours grants this with another condition"
    NO_MARKER = "an assignment of ours lost its marker and no policy asks for it"
    NO_ROOM_FOR_MARKER = "its id is too long, or holds a sign, for the marker to be read back"
    CONFLICTING = "policy asks for it under two conditions"
    UNRESOLVED = "its scope cannot be named for this resource"
    REMOVALS = "what is unwanted is only removed by a sweep or by apply"
    DEAD_ENTRY = "another's dead identity entry makes every attach fail"
    CARRIED = "another resource still carries the principal"
    # The passing ones: time alone may lift them, so a fingerprint counts the change, not the hold.
    SETTLING = "the resource is still being built"
    BUSY = "the resource is being changed"
    UNCONFIRMED = "the resource may have moved; it is looked at once more"

    @property
    def passing(self) -> bool:
        """Whether time alone lifts it."""
        return self in {Hold.SETTLING, Hold.BUSY, Hold.UNCONFIRMED}


@dataclass(frozen=True, slots=True)
class CreateIdentity:
    """Create a user-assigned identity that a resource needs."""

    new: NewIdentity
    reason: Reason = Reason.IDENTITY_MISSING


@dataclass(frozen=True, slots=True)
class AttachIdentity:
    """Attach a user-assigned identity, or switch on the system-assigned one (`identity` none)."""

    resource: ResourceId
    identity: ResourceId | None
    reason: Reason = Reason.IDENTITY_MISSING


@dataclass(frozen=True, slots=True)
class DetachIdentity:
    """Detach a user-assigned identity whose entry is dead, or that may not be there."""

    resource: ResourceId
    identity: ResourceId
    reason: Reason


@dataclass(frozen=True, slots=True)
class CreateAssignment:
    """Grant a role; `principal` is none while the identity that receives it is not yet there."""

    grant: Grant
    principal: str | None
    marker: str
    reason: Reason = Reason.ASSIGNMENT_MISSING


@dataclass(frozen=True, slots=True)
class UpdateAssignment:
    """Write condition and marker of an assignment of ours anew."""

    assignment: RoleAssignment
    grant: Grant
    marker: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class DeleteAssignment:
    """Take an assignment of ours away."""

    assignment: RoleAssignment
    reason: Reason


type Change = (
    CreateIdentity
    | AttachIdentity
    | DetachIdentity
    | CreateAssignment
    | UpdateAssignment
    | DeleteAssignment
)


@dataclass(frozen=True, slots=True)
class Withheld:
    """A change that we would make but may not; `until` is when a passing hold may lift."""

    change: Change
    hold: Hold
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What one look leads to: sorted changes, and what is withheld and why."""

    id: ResourceId
    at: datetime
    incarnation: str | None = None
    changes: tuple[Change, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def compliant(self) -> bool:
        """Nothing to change and nothing withheld."""
        return not self.changes and not self.withheld

    @property
    def todo(self) -> tuple[Change, ...]:
        """What will be changed, now or once time has lifted its hold."""
        return (*self.changes, *(held.change for held in self.waiting))

    @property
    def waiting(self) -> tuple[Withheld, ...]:
        """What will be changed once time has lifted its hold."""
        return tuple(held for held in self.withheld if held.hold.passing)

    @property
    def lasting(self) -> tuple[Withheld, ...]:
        """What stays withheld until somebody decides otherwise."""
        return tuple(held for held in self.withheld if not held.hold.passing)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over changes, lasting holds and the incarnation; no times, no etags.

        What only waits counts as a change: the plan is the same once its hold has run out.
        """
        content = {
            "id": self.id.key,
            "incarnation": self.incarnation,
            "changes": _sorted(_folded(change) for change in self.todo),
            "withheld": _sorted(
                {**_folded(held.change), "hold": held.hold.name} for held in self.lasting
            ),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def fingerprint(plans: tuple[Plan, ...]) -> str:
    """Return one plan's fingerprint, or the one over the sorted fingerprints of several."""
    if len(plans) == 1:
        return plans[0].fingerprint
    joined = "\n".join(sorted(plan.fingerprint for plan in plans))
    return hashlib.sha256(joined.encode()).hexdigest()


def describe(change: Change) -> dict[str, str | None]:
    """Return a change as plain values, the same for every output format and the fingerprint."""
    match change:
        case AttachIdentity(resource, identity) | DetachIdentity(resource, identity):
            content: dict[str, str | None] = {
                "resource": str(resource),
                "identity": str(identity) if identity else "system-assigned",
            }
        case CreateIdentity(new):
            tags = ", ".join(f"{name}={value}" for name, value in new.tags)
            content = {"identity": str(new.id), "location": new.location, "tags": tags}
        case CreateAssignment(grant, principal, _):
            content = {"principal": principal, **_grant(grant)}
        case UpdateAssignment(assignment, grant, _):
            content = {
                "assignment": str(assignment.id),
                "principal": assignment.principal,
                **_grant(grant),
            }
        case DeleteAssignment(assignment):
            content = {
                "assignment": str(assignment.id),
                "principal": assignment.principal,
                "role": assignment.role,
                "scope": str(assignment.scope),
            }
        case _:
            assert_never(change)
    return {"kind": type(change).__name__, "reason": change.reason.name, **content}


def _folded(change: Change) -> dict[str, str | None]:
    """Describe a change so that the casing of ids, which varies between answers, tells nothing."""
    content = describe(change)
    return {
        key: text if text is None or key in {"condition", "tags"} else fold(text)
        for key, text in content.items()
    }


def _sorted(described: Iterable[dict[str, str | None]]) -> list[dict[str, str | None]]:
    return sorted(described, key=lambda each: json.dumps(each, sort_keys=True))


def _grant(grant: Grant) -> dict[str, str | None]:
    return {"role": grant.role, "scope": str(grant.scope), "condition": grant.condition}


class Status(StrEnum):
    """What became of one change."""

    DONE = "done"
    PRESENT = "already present, not ours"
    AGAIN = "again later"
    CONFLICT = "another writer came first"
    BLOCKED = "blocked"


CONTENDED: Final = "Contended"
"""The code of what another writer undoes again and again."""

NOT_WATCHED: Final = "NotWatched"
"""The code of an id that is not for us to look at."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change; `change` is none where the look itself failed."""

    change: Change | None
    status: Status
    detail: str = ""
    code: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What one request came to.

    `requests` are to be looked at next; `again_after` is the delay of `again`, the copy of the
    request that is due then.
    """

    plans: tuple[Plan, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    requests: tuple[Request, ...] = ()
    again_after: timedelta | None = None
    again: Request | None = None
