"""The words for one change, one hold and one outcome; `text` puts lines together."""

import math
from collections.abc import Mapping
from typing import assert_never

from reconciler.changes import (
    CONTENDED,
    NOT_WATCHED,
    STUCK,
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Outcome,
    Plan,
    Reason,
    Status,
    UpdateAssignment,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import Grant, Unresolved
from reconciler.roles import role_name

type Details = list[tuple[str, str]]

VERBS = ("create", "attach", "detach", "reattach", "grant", "update", "remove")
"""All that is done to a subject, as summaries count it."""

_VERBS: Mapping[type[Change], str] = {
    CreateIdentity: "create",
    AttachIdentity: "attach",
    DetachIdentity: "detach",
    CreateAssignment: "grant",
    UpdateAssignment: "update",
    DeleteAssignment: "remove",
}

SIGNS = {
    "create": "+",
    "attach": "+",
    "detach": "-",
    "reattach": "~",
    "grant": "+",
    "update": "~",
    "remove": "-",
}

_NEXT: Mapping[str, str] = {
    CONTENDED: (
        "stop the other writer, or let policy ask for what it writes; it is tried once an hour"
    ),
    NOT_WATCHED: (
        "name a virtual machine or user-assigned identity in a watched subscription, or watch more "
        "(RECONCILER_SUBSCRIPTIONS, RECONCILER_MANAGEMENT_GROUPS)"
    ),
    STUCK: "look at the resource itself: time alone does not help",
}
"""By code, what a person does about a blocked outcome that does not say so itself."""

_MEND = "mend what the message names; the next event or sweep tries again"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def verb(change: Change) -> str:
    """Return what is done, as one of `VERBS`."""
    if isinstance(change, DetachIdentity) and change.reason is Reason.IDENTITY_RECREATED:
        return "reattach"
    return _VERBS[type(change)]


def headline(change: Change) -> str:
    """Return what a plan does; a healed identity comes back in the same run."""
    if isinstance(change, DetachIdentity) and verb(change) == "reattach":
        return f"detach and attach again identity {change.identity.name}"
    return _done(change)


def _done(change: Change) -> str:
    match change:
        case CreateIdentity(new):
            return f"create identity {new.id.name}"
        case AttachIdentity(_, None):
            return "switch on the system-assigned identity"
        case AttachIdentity(_, identity) | DetachIdentity(_, identity):
            doing = "attach" if isinstance(change, AttachIdentity) else "detach"
            return f"{doing} identity {identity.name if identity else ''}"
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            return f"{verb(change)} {role_name(grant.role)}"
        case DeleteAssignment(assignment):
            return f"remove {role_name(assignment.role)}"
        case _:
            assert_never(change)


def outcome_line(outcome: Outcome, subject: ResourceId) -> str:
    """Return what became of one change, in one line; the plan above it has the whole ids."""
    parts = [outcome.detail] if outcome.detail else []
    if outcome.change:
        parts.insert(0, f"{_done(outcome.change)} {_where(outcome.change, subject)}")
    line = ": ".join([str(outcome.status), *parts])
    step = next_step(outcome) if outcome.status is Status.BLOCKED else ""
    return f"{line}; next: {step}" if step else line


def step_of(held: Withheld, plan: Plan) -> str:
    """Return what a person does about a hold; nothing where the same plan does it."""
    attached = held.change.identity if isinstance(held.change, AttachIdentity) else None
    created = {change.new.id for change in plan.changes if isinstance(change, CreateIdentity)}
    if held.hold is Hold.IDENTITY_ABSENT and attached in created:
        return "wait; this plan creates it, and the look after that attaches it"
    return held.hold.next_step


def next_step(outcome: Outcome) -> str:
    """Return what a person does about an outcome, or "" where nobody need act."""
    if outcome.next_step or outcome.status is not Status.BLOCKED:
        return outcome.next_step
    return _NEXT.get(outcome.code, _MEND)


def _where(change: Change, subject: ResourceId) -> str:
    match change:
        case CreateIdentity(new):
            return f"in {new.location}"
        case AttachIdentity(resource, None):
            return f"of {resource.name}"
        case AttachIdentity(resource):
            return f"to {resource.name}"
        case DetachIdentity(resource):
            return f"from {resource.name}"
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            return f"at {_short(grant.scope)} to {subject.name}"
        case DeleteAssignment(assignment):
            return f"at {_short(assignment.scope)} from {assignment.principal}"
        case _:
            assert_never(change)


def _short(scope: ResourceId | Unresolved) -> str:
    if isinstance(scope, Unresolved):
        return scope.template
    return scope.name or str(scope)


def details(change: Change) -> Details:
    """Return the whole ids and names of a change, each with the word before it."""
    match change:
        case CreateIdentity(new):
            tags = ", ".join(f"{name}={value}" for name, value in new.tags)
            tagged = [("tags", tags)] if tags else []
            return [("id", str(new.id)), ("in", new.location), *tagged]
        case AttachIdentity(resource, None):
            return [("of", str(resource))]
        case AttachIdentity(resource, identity) | DetachIdentity(resource, identity):
            preposition = "to" if isinstance(change, AttachIdentity) else "from"
            return [("id", str(identity)), (preposition, str(resource))]
        case CreateAssignment(grant, principal):
            return _grant(grant, principal or "its identity, once that is there")
        case UpdateAssignment(assignment, grant):
            return [*_grant(grant, assignment.principal), ("id", str(assignment.id))]
        case DeleteAssignment(assignment):
            return [
                ("at", str(assignment.scope)),
                ("from", assignment.principal),
                ("id", str(assignment.id)),
            ]
        case _:
            assert_never(change)


def _grant(grant: Grant, principal: str) -> Details:
    condition = [("if", grant.condition)] if grant.condition else []
    if isinstance(grant.scope, Unresolved):
        return [("template", grant.scope.template), ("to", principal), *condition]
    return [("at", str(grant.scope)), ("to", principal), *condition]


def when(held: Withheld, plan: Plan) -> str:
    """Return how long after the look a passing hold may lift."""
    if held.until is None:
        return "later"
    return f"in {max(0, math.ceil((held.until - plan.at).total_seconds()))} s"


def once(held: Withheld) -> str:
    """Return what has to be so before a passing hold lifts."""
    match held.hold:
        case Hold.SETTLING:
            awaited = "the resource is built"
        case Hold.BUSY:
            awaited = "the change to the resource that is under way has ended"
        case Hold.REPLACING:
            awaited = "what replaces it is there"
        case _:
            awaited = _proof(held.change)
            if held.detail:
                return held.detail
    return f"{awaited} ({held.detail})" if held.detail else awaited


def _proof(change: Change) -> str:
    """Return what is not yet proved where a change waits as UNCONFIRMED."""
    match change:
        case AttachIdentity():
            return "a dead entry beside it is proved dead, and gone"
        case DetachIdentity(_, identity):
            return f"it is proved that {identity.name} is gone"
        case DeleteAssignment(_, Reason.RESOURCE_GONE):
            return "it is proved that its resource is gone"
        case _:
            return "it is proved that its principal is gone"
