"""What a look leads to: changes, the plan that holds them, and what became of each.

The plan is the only hand-over between deciding and writing: `reconciler.plan` makes it,
`reconciler.apply` carries it out, the command line shows it.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, partial
from typing import Final, Self, assert_never

from reconciler.ids import ResourceId, fold
from reconciler.model import Grant, NewIdentity, Request, RoleAssignment, Sighting, Unresolved

# What a change takes away: a right or entry of a principal that is no more, or one in use.
_DEAD, _LIVE = "dead", "live"


class Reason(StrEnum):
    """Why a change is wanted; each row is its text, and what the change takes away, if anything.

    `dead`: it takes away a right or entry of a principal or identity that is no more, and needs
    proof of that. `unwanted`: it takes away one that is in use, and needs a request that names it.
    """

    dead: bool
    unwanted: bool

    def __new__(cls, why: str, takes: str = "") -> Self:
        """Make the text the value, and keep the rest of the row beside it."""
        reason = str.__new__(cls, why)
        reason._value_ = why
        reason.dead, reason.unwanted = takes == _DEAD, takes == _LIVE
        return reason

    IDENTITY_MISSING = "identity missing"
    IDENTITY_RECREATED = "identity was recreated, its entry is dead", _DEAD
    IDENTITY_GONE = "identity is gone, its entry is dead", _DEAD
    ASSIGNMENT_MISSING = "role assignment missing"
    CONDITION_DIFFERS = "condition differs"
    MARKER_DIFFERS = "marker differs"
    PRINCIPAL_REPLACED = "its principal was replaced", _DEAD
    RESOURCE_GONE = "its resource is gone", _DEAD
    UNWANTED = "no policy asks for it", _LIVE
    FORBIDDEN = "policy asks for it, but the guardrails do not allow it any more"
    NOT_ALLOWED = "the identity is exclusive, and no rule attaches it here", _LIVE


# How a hold ends: by time alone, or as policy itself asks. Any other waits for a person.
_PASSING, _AGREED = "passing", "agreed"


class Hold(StrEnum):
    """Why a change that policy leads to may not be made; `reconciler.plan.holds` decides when.

    Each row is the reason, the next step of a person, and what the hold waits for. `passing`: time
    alone lifts it, so that a fingerprint counts the change and not the hold; one that names no
    time (`Withheld.until`) is asked again for an hour and is blocked as `Stuck` then, so a wait
    that a person ends is not passing. `agreed`: policy itself asks to wait, so it is neither drift
    nor an error.
    """

    next_step: str
    passing: bool
    agreed: bool

    def __new__(cls, why: str, next_step: str, ends: str = "") -> Self:
        """Make the text the value, and keep the rest of the row beside it."""
        hold = str.__new__(cls, why)
        hold._value_ = why
        hold.next_step = next_step
        hold.passing, hold.agreed = ends == _PASSING, ends == _AGREED
        return hold

    # What policy and settings ask to leave alone.
    EXEMPT = (
        "policy exempts it",
        "delete the exemption, or let it end, once hands may be put on it",
        _AGREED,
    )
    AUDIT = "policy says audit", "set mode: repair in the rule or identity that asks for it"
    ROLLOUT = (
        "its rule is rolled out to a share of its matches, and it is not yet among them",
        "raise the rule's rollout",
        _AGREED,
    )
    REMOVALS = (
        "what is unwanted is only removed by the scheduled sweep or by apply",
        "wait for the next scheduled sweep, or run apply for this id",
    )
    # Where we may not write at all.
    HOME = (
        "it would reach this app's own resource group, identity or storage",
        "choose a scope that neither holds RECONCILER_HOME nor lies in it",
    )
    OWN_IDENTITY = (
        "it is this app's own identity",
        "name another identity in policy; the app never changes its own",
    )
    PROTECTED = (
        "the identity is protected by the guardrails",
        "name another identity in policy, or take it off `protected` in guardrails.yaml",
    )
    NOT_WATCHED = (
        "it lies in no watched subscription",
        "add its subscription to RECONCILER_SUBSCRIPTIONS, or take it out of the rule's `within`",
    )
    MANAGED = (
        "the resource is managed by another resource",
        "attach and grant at the resource that `managedBy` names",
    )
    # What guardrails and roles forbid.
    GUARDRAILS = (
        "the guardrails do not allow this role there",
        "allow the role at that scope in guardrails.yaml, or take the grant out of policy",
    )
    IDENTITY_PLACE = (
        "the guardrails do not allow identities from there",
        "add its resource group to `identities` in guardrails.yaml, or name another identity",
    )
    ROLE_UNREAD = (
        "the role cannot be read, so nobody knows how far it reaches",
        "check the role's id, and give the app the right to read role definitions",
    )
    # What is there in Azure forbids it.
    UNKNOWN_IDENTITY_TYPE = (
        "the resource's identity type is not understood",
        "look at the resource's `identity`, and report its type to the developers of this app",
    )
    NO_ETAG = (
        "the last identity can only be taken away under an etag",
        "remove it by hand: az vm identity remove",
    )
    IDENTITY_ABSENT = (
        "the identity does not exist",
        "create it, say `ensure: present` in policy, or take it out of the rule",
    )
    SCOPE_ABSENT = (
        "its scope does not exist",
        "correct the scope in policy, or create what it names",
    )
    UNRESOLVED = (
        "its scope has no name for this resource",
        "add the key to the map, or give the resource the tag or location that the scope needs",
    )
    DEFAULT_IDENTITY = (
        "it would change the identity that the metadata service picks by default",
        "set allowDefaultChange: true in the rule once its workloads name their identity",
    )
    RESTART = (
        "it would restart the resource's apps, which no rule allows",
        "set allowRestart: true in the rule",
    )
    DEAD_ENTRY = (
        "a dead identity entry makes every attach fail",
        "detach the dead entry by hand, or create its identity again",
    )
    FOREIGN_CONDITION = (
        "an assignment that is not ours grants this with another condition",
        "delete that assignment, or write its condition into policy",
    )
    CONFLICTING = (
        "policy asks for it under two conditions",
        "keep one of the two conditions in policy",
    )
    NO_ROOM_FOR_MARKER = (
        "its id is too long, or holds a sign, for the marker to be read back",
        "grant it by hand, or give the resource a shorter name",
    )
    # Why a right stays.
    NO_MARKER = (
        "we made it, but its marker is lost or another wrote it last, and no policy asks for it",
        "see who changed it, and delete it by hand where nobody needs it",
    )
    REPLACEMENT = (
        "what replaces it is not there",
        "mend what keeps its replacement back, or remove it with apply, which asks once more",
    )
    CARRIED = (
        "another resource still carries the principal",
        "let policy name that resource, or look at it with plan",
    )
    GONE_UNPROVED = (
        "it is not found, but nothing proves its end",
        "where it is really gone, delete the assignment, or detach the entry, by hand",
    )
    REPLACED_UNPROVED = (
        "nothing proves that its principal is gone",
        "where the principal is really gone, delete the assignment by hand",
    )
    # What time alone lifts.
    SETTLING = "the resource is still being built", "wait; it goes on by itself", _PASSING
    BUSY = (
        "the resource is being changed",
        "wait; where that never ends, look at the resource's provisioning state",
        _PASSING,
    )
    UNCONFIRMED = (
        "what seems to be dead is not proved dead yet",
        "wait; it is looked at again by itself",
        _PASSING,
    )
    REPLACING = "what replaces it is made first", "wait; it goes once that is there", _PASSING


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
    """Detach a user-assigned identity whose entry is dead, or that may not be on this resource."""

    resource: ResourceId
    identity: ResourceId
    reason: Reason


@dataclass(frozen=True, slots=True)
class CreateAssignment:
    """Grant a role; `principal` is none while the receiving identity has none that is known."""

    grant: Grant
    principal: str | None
    marker: str
    reason: Reason = Reason.ASSIGNMENT_MISSING


@dataclass(frozen=True, slots=True)
class UpdateAssignment:
    """Write the condition and marker of an existing assignment again; role and scope stay."""

    assignment: RoleAssignment
    grant: Grant
    marker: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class DeleteAssignment:
    """Delete an assignment of ours."""

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
    """A change that policy leads to but a hold stops; `until` is when a passing hold may lift."""

    change: Change
    hold: Hold
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What one look leads to: sorted changes, and the withheld ones with their holds.

    `incarnation` is the subject's; `sightings` are what the next look must know.
    """

    id: ResourceId
    at: datetime
    incarnation: str | None = None
    changes: tuple[Change, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    sightings: tuple[Sighting, ...] = ()

    @property
    def compliant(self) -> bool:
        """Whether there is nothing to change and nothing withheld."""
        return not self.changes and not self.withheld

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do, or only what a rollout or an exemption holds back."""
        return not self.changes and all(held.hold.agreed for held in self.withheld)

    @property
    def kept(self) -> tuple[Withheld, ...]:
        """The unwanted rights that stay until what replaces them is there."""
        return tuple(held for held in self.withheld if held.hold is Hold.REPLACEMENT)

    @property
    def todo(self) -> tuple[Change, ...]:
        """The changes to be made now, and those whose hold time alone lifts."""
        return (*self.changes, *(held.change for held in self.waiting))

    @property
    def waiting(self) -> tuple[Withheld, ...]:
        """The changes that are withheld until time alone lifts their hold."""
        return tuple(held for held in self.withheld if held.hold.passing)

    @property
    def lasting(self) -> tuple[Withheld, ...]:
        """The changes that are withheld until somebody acts."""
        return tuple(held for held in self.withheld if not held.hold.passing)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over changes, lasting holds and the incarnation; no times, no etags.

        A person approves a plan by it. A change that waits for time counts as one to be made, so
        the fingerprint stays the same when its hold lifts.
        """
        withheld = ({**_folded(held.change), "hold": held.hold.name} for held in self.lasting)
        content = {
            "id": self.id.key,
            "incarnation": self.incarnation,
            "changes": sorted(map(_folded, self.todo), key=_as_json),
            "withheld": sorted(withheld, key=_as_json),
        }
        return hashlib.sha256(_as_json(content).encode()).hexdigest()


def _folded(change: Change) -> dict[str, str | None]:
    """Describe a change in one casing, since Azure's answers spell the same id differently."""
    return {
        key: text if text is None or key in {"condition", "tags"} else fold(text)
        for key, text in describe(change).items()
    }


_as_json = partial(json.dumps, sort_keys=True)


def fingerprint(plans: tuple[Plan, ...]) -> str:
    """Return one plan's fingerprint, or the one over the sorted fingerprints of several."""
    if len(plans) == 1:
        return plans[0].fingerprint
    joined = "\n".join(sorted(plan.fingerprint for plan in plans))
    return hashlib.sha256(joined.encode()).hexdigest()


def describe(change: Change) -> dict[str, str | None]:
    """Return a change as plain values, as every output format and the fingerprint show it."""
    match change:
        case AttachIdentity(resource, identity) | DetachIdentity(resource, identity):
            content: dict[str, str | None] = {
                "resource": str(resource),
                "identity": str(identity) if identity else "system-assigned",
            }
        case CreateIdentity(new):
            tags = ", ".join(f"{name}={value}" for name, value in new.tags)
            content = {"identity": str(new.id), "location": new.location, "tags": tags}
        case CreateAssignment(_, principal):
            content = {"principal": principal}
        case UpdateAssignment(assignment):
            content = {"assignment": str(assignment.id), "principal": assignment.principal}
        case DeleteAssignment(assignment):
            content = {
                "assignment": str(assignment.id),
                "principal": assignment.principal,
                "role": assignment.role,
                "scope": str(assignment.scope),
            }
        case _:
            assert_never(change)
    if isinstance(change, CreateAssignment | UpdateAssignment):
        scope = change.grant.scope
        content["role"] = change.grant.role
        if isinstance(scope, Unresolved):
            # Two grants whose scopes cannot be resolved differ in their templates.
            content |= {"scope": None, "template": scope.template}
        else:
            content["scope"] = str(scope)
        content["condition"] = change.grant.condition
    return {"kind": type(change).__name__, "reason": change.reason.name, **content}


def unwanted_id(change: Change) -> ResourceId:
    """Return the id by which a request names an unwanted right, or an exclusive identity's entry.

    Raises `TypeError` for a change that takes nothing away.
    """
    match change:
        case DeleteAssignment(assignment):
            return assignment.id
        case DetachIdentity(_, identity):
            return identity
        case _:
            raise TypeError(f"{type(change).__name__} takes nothing away")


class Status(StrEnum):
    """What became of one change."""

    DONE = "done"
    PRESENT = "already present, not ours"
    AGAIN = "again later"
    CONFLICT = "another writer came first"
    BLOCKED = "blocked"


CONTENDED: Final = "Contended"
"""The code of a change that another writer undoes again and again."""

PLAN_CHANGED: Final = "PlanChanged"
"""The code where the plan is no longer the one that a person confirmed."""

CHANGED: Final = "Changed"
"""The code where two reads of a subject differ, so that nothing is decided from either."""

NOT_YET: Final = "NotYet"
"""The code of an id that a write event named and that Resource Manager does not show yet."""

STUCK: Final = "Stuck"
"""The code of a change whose hold time alone should lift, and did not within an hour."""

NOT_WATCHED: Final = "NotWatched"
"""The code of an id that is refused unread, most often since no watched subscription holds it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change; `change` is none where the look itself failed.

    `last_try`: the refusal is not known to pass by itself, so a second one blocks the change.
    `next_step` is what a person does about it.
    """

    change: Change | None
    status: Status
    detail: str = ""
    code: str = ""
    retry_after: timedelta | None = None
    last_try: bool = False
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one request came to.

    `requests` are further ones to be answered. `again` is a copy of the request, due after the
    delay `again_after`; both are none where nothing is left to do.
    """

    plans: tuple[Plan, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    requests: tuple[Request, ...] = ()
    again_after: timedelta | None = None
    again: Request | None = None
