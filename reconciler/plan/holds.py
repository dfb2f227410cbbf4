"""What may not be done although policy leads to it, and why: one ordered table.

`reconciler.plan.plan` asks, step by step in the plan's order; the first row that applies names the
hold. A row sees the step, what was observed, and which steps before it passed or were withheld.
"""

from collections.abc import Callable, Sequence
from typing import Final

from reconciler import resource_types
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Reason,
    UpdateAssignment,
    Withheld,
    unwanted_id,
)
from reconciler.ids import ResourceId
from reconciler.marker import parse
from reconciler.model import Grant, Mode, Resource, Sight, Unresolved, UserIdentity
from reconciler.plan import evidence
from reconciler.plan.context import GIVE_UP
from reconciler.plan.identities import is_busy
from reconciler.plan.steps import Case, Step, Why

type Check = Callable[[Step, Case], Why | None]


def decide(step: Step, case: Case) -> None:
    """Let a step pass, or withhold it by the first hold that applies."""
    for hold, kinds, check in HOLDS:
        if isinstance(step.change, kinds) and (why := check(step, case)) is not None:
            held = Withheld(step.change, why.hold or hold, why.detail, why.until)
            case.withheld.append(held)
            return
    case.passed.append(step.change)


def _when(condition: object, detail: str = "") -> Why | None:
    return Why(detail) if condition else None


# What policy and settings ask to leave alone.


def _exempt(step: Step, case: Case) -> Why | None:
    """Keep hands off what policy exempts: a machine, or the identity that it would carry."""
    places, change = [case.observed.id], step.change
    if isinstance(change, CreateIdentity):
        places.append(change.new.id)
    elif isinstance(change, AttachIdentity | DetachIdentity) and change.identity:
        places.append(change.identity)
    for place in places:
        if exemption := case.context.exemption(place, case.observed.at):
            return Why(f"{exemption.reason} (until {exemption.expires})")
    return None


def _rollout(step: Step, _: Case) -> Why | None:
    wanted = step.wanted
    return _when(wanted and wanted.mode is Mode.AUDIT and wanted.rollout)


def _audit(step: Step, _: Case) -> Why | None:
    return _when(step.wanted and step.wanted.mode is Mode.AUDIT)


def _lost_marker(step: Step, case: Case) -> Why | None:
    change = step.change
    if not isinstance(change, DeleteAssignment) or change.reason is not Reason.UNWANTED:
        return None
    return _when(case.context.ownership.marker_of(change.assignment) is None)


# Where we may not write at all.


def _not_watched(step: Step, case: Case) -> Why | None:
    outside = not case.context.watches(case.observed.id)
    if isinstance(step.change, CreateIdentity):
        outside = outside or not case.context.watches(step.change.new.id)
    return _when(outside)


def _managed(step: Step, case: Case) -> Why | None:
    """What another resource manages is given nothing; what it should not have still goes."""
    change, resource = step.change, case.resource
    unwanted = isinstance(change, DetachIdentity) and change.reason is Reason.NOT_ALLOWED
    if unwanted or resource is None or not resource.managed_by:
        return None
    return Why(resource.managed_by)


def _own_identity(step: Step, case: Case) -> Why | None:
    return _when(_hold_on_identity(step.change, case) is Hold.OWN_IDENTITY)


def _home(step: Step, case: Case) -> Why | None:
    """Nothing may reach this app, and nothing in its home is written."""
    change, home = step.change, case.context.home
    if isinstance(change, CreateAssignment | UpdateAssignment):
        scope = change.grant.scope
        reaches = isinstance(scope, ResourceId) and home.reached_from(scope)
    elif isinstance(change, DeleteAssignment):
        forbidden = change.reason is Reason.FORBIDDEN and home.reached_from(change.assignment.scope)
        reaches = forbidden or home.contains(change.assignment.scope)
    elif isinstance(change, CreateIdentity):
        reaches = home.contains(change.new.id)
    else:
        reaches = home.contains(change.resource)
    return _when(reaches or _hold_on_identity(change, case) is Hold.HOME)


def _protected(step: Step, case: Case) -> Why | None:
    return _when(_hold_on_identity(step.change, case) is Hold.PROTECTED)


def _hold_on_identity(change: Change, case: Case) -> Hold | None:
    """Return why the identity that a change is about may not be changed or granted to."""
    context, observed = case.context, case.observed
    match change:
        case CreateIdentity(new):
            return context.hold_on_identity(new.id)
        case AttachIdentity(_, None):
            return None
        case AttachIdentity(_, ResourceId() as identity) | DetachIdentity(_, identity):
            own = observed.identities.get(identity)
            return context.hold_on_identity(identity, own.principal if own else None)
        case DeleteAssignment(assignment):
            return context.hold_on_identity(observed.id, assignment.principal)
        case _:
            return context.hold_on_identity(observed.id, observed.principal)


def _identity_place(step: Step, case: Case) -> Why | None:
    change = step.change
    match change:
        case CreateIdentity(new):
            identity = new.id
        case AttachIdentity(_, ResourceId() as place) | DetachIdentity(_, place):
            identity = place
        case CreateAssignment() | UpdateAssignment():
            if not isinstance(case.observed.subject, UserIdentity):
                return None
            identity = case.observed.id
        case _:
            return None
    # What is exclusive, or another's, was not put there by us.
    others = isinstance(change, DetachIdentity) and step.wanted is None
    return _when(not others and case.context.hold_on_place(identity))


# What guardrails and roles forbid.


def _role_unread(step: Step, case: Case) -> Why | None:
    return _when(_hold_on_grant(step.change, case) is Hold.ROLE_UNREAD)


def _guardrails(step: Step, case: Case) -> Why | None:
    return _when(_hold_on_grant(step.change, case) is Hold.GUARDRAILS)


def _hold_on_grant(change: Change, case: Case) -> Hold | None:
    match change:
        case CreateAssignment(Grant(role, ResourceId() as scope)):
            pass
        case UpdateAssignment(_, Grant(role, ResourceId() as scope)):
            pass
        case DeleteAssignment(assignment, Reason.FORBIDDEN):
            role, scope = assignment.role, assignment.scope
        case _:
            return None
    return case.context.hold_on_grant(role, scope, case.observed.roles)


# What is there forbids it.


def _unknown_type(step: Step, case: Case) -> Why | None:
    resource = case.resource
    if resource is None or resource.identities.raw_type is None:
        return None
    about_identity = isinstance(step.change, AttachIdentity | DetachIdentity)
    if about_identity or _is_delete(step.change, Reason.PRINCIPAL_REPLACED):
        return Why(resource.identities.raw_type)
    return None


def _restart(step: Step, case: Case) -> Why | None:
    restarts = resource_types.find(case.observed.id.type).restarts
    return _when(restarts and not (step.wanted and step.wanted.restart))


def _foreign_condition(step: Step, case: Case) -> Why | None:
    change = step.change
    assert isinstance(change, UpdateAssignment)  # noqa: S101 (the table's promise)
    return _when(not case.context.ownership.may_write(change.assignment))


def _conflicting(step: Step, _: Case) -> Why | None:
    return _when(step.conflicting)


def _identity_absent(step: Step, case: Case) -> Why | None:
    change = step.change
    if isinstance(change, AttachIdentity):
        wanted = change.identity
        return _when(wanted and case.observed.identities.get(wanted) is None)
    return _when(case.observed.subject is None)


def _unresolved(step: Step, _: Case) -> Why | None:
    change = step.change
    scope = change.grant.scope if isinstance(change, CreateAssignment) else None
    return Why(f"{scope.template}: {scope.why}") if isinstance(scope, Unresolved) else None


def _no_room(step: Step, _: Case) -> Why | None:
    change = step.change
    assert isinstance(change, CreateAssignment | UpdateAssignment)  # noqa: S101 (the table's promise)
    return _when(parse(change.marker) is None)


def _scope_absent(step: Step, case: Case) -> Why | None:
    change = step.change
    if not isinstance(change, CreateAssignment) or isinstance(change.grant.scope, Unresolved):
        return None
    near = case.observed.absent.get(change.grant.scope)
    if near is None:
        return None
    return Why(f"{change.grant.scope}; there is {', '.join(near)}" if near else "")


def _system_off(step: Step, case: Case) -> Why | None:
    """A right waits as long as the identity whose principal will receive it."""
    if not isinstance(step.change, CreateAssignment) or step.change.principal is not None:
        return None
    for held in case.withheld:
        if isinstance(held.change, AttachIdentity) and held.change.identity is None:
            return Why(held.detail, held.until, held.hold)
    return None


def _default_identity(step: Step, case: Case) -> Why | None:
    """Keep what the metadata service picks when it is asked for no identity by name."""
    change, resource = step.change, case.resource
    if not isinstance(change, AttachIdentity) or resource is None:
        return None
    if (step.wanted and step.wanted.default_change) or _restores(change, case):
        return None
    before = _default(*_carried(resource, ()))
    after = _default(*_carried(resource, (*case.passed, change)))
    return _when(before is not None and before != after)


def _restores(change: AttachIdentity, case: Case) -> bool:
    """Return whether we took a dead entry of just this identity away within the hour."""
    own = case.observed.identities.get(change.identity) if change.identity else None
    if own is None:
        return False
    return any(
        seen.what is Sight.DEAD_ENTRY
        and seen.about.startswith(f"{own.id.key}=")
        and seen.about.endswith(f">{own.principal}")
        and case.observed.at - seen.at <= GIVE_UP
        for seen in case.request.sightings
    )


def _carried(resource: Resource, changes: Sequence[Change]) -> tuple[bool, frozenset[ResourceId]]:
    """Return what a resource carries after some changes: system-assigned or not, and the others."""
    system = resource.identities.system
    users = {entry.id for entry in resource.identities.attached}
    for change in changes:
        match change:
            case AttachIdentity(_, None):
                system = True
            case AttachIdentity(_, ResourceId() as identity):
                users.add(identity)
            case DetachIdentity(_, identity):
                users.discard(identity)
    return system, frozenset(users)


def _default(system: bool, users: frozenset[ResourceId]) -> ResourceId | str | None:  # noqa: FBT001 (the two parts of what is carried)
    """Return what the metadata service picks when asked by no name (facts: Metadata service)."""
    if system:
        return "system-assigned"
    return next(iter(users)) if len(users) == 1 else None


def _dead_entry(step: Step, case: Case) -> Why | None:
    """Leave another's dead entry alone, and attach nothing beside one: Azure would refuse it."""
    change = step.change
    if isinstance(change, DetachIdentity):
        return _when(step.wanted is None)
    for held in case.withheld:
        dead = held.change
        if not isinstance(dead, DetachIdentity) or dead.reason is not Reason.IDENTITY_GONE:
            continue
        if held.hold.passing:
            return Why(held.detail, held.until, held.hold)
        if held.hold is Hold.DEFAULT_IDENTITY:
            return Why(
                f"{dead.identity} is gone; detach its entry from {dead.resource.name} by hand, or "
                "set allowDefaultChange: true in the rule"
            )
        return Why(f"the entry of {dead.identity}")
    return None


def _default_after_heal(step: Step, case: Case) -> Why | None:
    """A gone identity's entry goes only where putting it back would not change the default."""
    change, resource = step.change, case.resource
    if not isinstance(change, DetachIdentity) or change.reason is not Reason.IDENTITY_GONE:
        return None
    if resource is None or (step.wanted and step.wanted.default_change):
        return None
    attached = [
        AttachIdentity(resource.id, wanted.what)
        for wanted in case.desired.attach
        if case.observed.identities.get(wanted.what)
    ]
    without = _carried(resource, (*case.passed, change, *attached))
    again = _carried(resource, (*case.passed, *attached))
    return _when(_default(*without) != _default(*again), str(change.identity))


# What time may lift, and what nothing proves.


def _busy(_: Step, case: Case) -> Why | None:
    resource = case.resource
    if resource is None or not is_busy(resource):
        return None
    # A young one has to settle anyway.
    building = evidence.unsettled(resource, case.observed.at, case.context.settle)
    return Why(resource.state, building.until if building else None)


def _settling(_: Step, case: Case) -> Why | None:
    """Leave a machine alone that is being built: a PATCH can preempt its deployment."""
    resource = case.resource
    if resource is None:
        return None
    return evidence.unsettled(resource, case.observed.at, case.context.settle)


def _removals(step: Step, case: Case) -> Why | None:
    change, removals = step.change, case.request.removals
    exclusive = isinstance(change, DetachIdentity) and change.reason is Reason.NOT_ALLOWED
    if not exclusive and not _is_delete(change, Reason.UNWANTED):
        return None
    named = removals and removals.digest == case.context.digest
    return _when(not (named and removals and removals.allow(unwanted_id(change))))


def _no_etag(step: Step, case: Case) -> Why | None:
    """The last one goes only under an etag: its PATCH would take away all there are.

    What is attached beside it may be refused, and then it is the last one.
    """
    change, resource = step.change, case.resource
    if not isinstance(change, DetachIdentity) or resource is None or resource.etag:
        return None
    gone = [one for one in case.passed if isinstance(one, DetachIdentity)]
    _, left = _carried(resource, (*gone, change))
    return _when(not left and not resource.identities.unknown)


def _is_delete(change: Change, reason: Reason) -> bool:
    return isinstance(change, DeleteAssignment) and change.reason is reason


_ANY: Final = (
    CreateIdentity,
    AttachIdentity,
    DetachIdentity,
    CreateAssignment,
    UpdateAssignment,
    DeleteAssignment,
)
_IDENTITIES: Final = (AttachIdentity, DetachIdentity)
_GRANTS: Final = (CreateAssignment, UpdateAssignment)
_GIVEN: Final = (CreateIdentity, *_IDENTITIES, *_GRANTS)

HOLDS: Final[tuple[tuple[Hold, tuple[type, ...], Check], ...]] = (
    (Hold.EXEMPT, _ANY, _exempt),
    (Hold.UNKNOWN_IDENTITY_TYPE, _ANY, _unknown_type),
    (Hold.CONFLICTING, _GRANTS, _conflicting),
    (Hold.FOREIGN_CONDITION, (UpdateAssignment,), _foreign_condition),
    (Hold.ROLLOUT, _ANY, _rollout),
    (Hold.AUDIT, _ANY, _audit),
    (Hold.NO_MARKER, (DeleteAssignment,), _lost_marker),
    (Hold.UNRESOLVED, (CreateAssignment,), _unresolved),
    (Hold.IDENTITY_ABSENT, _GRANTS, _identity_absent),
    (Hold.MANAGED, _GIVEN, _managed),
    (Hold.NOT_WATCHED, _ANY, _not_watched),
    (Hold.RESTART, _IDENTITIES, _restart),
    (Hold.OWN_IDENTITY, _ANY, _own_identity),
    (Hold.HOME, _ANY, _home),
    (Hold.PROTECTED, _ANY, _protected),
    (Hold.IDENTITY_PLACE, _ANY, _identity_place),
    (Hold.NO_ROOM_FOR_MARKER, _GRANTS, _no_room),
    (Hold.IDENTITY_ABSENT, (AttachIdentity,), _identity_absent),
    (Hold.ROLE_UNREAD, _ANY, _role_unread),
    (Hold.GUARDRAILS, _ANY, _guardrails),
    (Hold.SCOPE_ABSENT, (CreateAssignment,), _scope_absent),
    (Hold.DEAD_ENTRY, _IDENTITIES, _dead_entry),
    (Hold.DEFAULT_IDENTITY, (AttachIdentity,), _default_identity),
    # Whatever keeps the system-assigned identity off keeps its rights waiting.
    (Hold.IDENTITY_ABSENT, (CreateAssignment,), _system_off),
    # One check for all that proves a principal or identity dead: CARRIED, BUSY, UNCONFIRMED,
    # REPLACED_UNPROVED, GONE_UNPROVED.
    (Hold.UNCONFIRMED, (DetachIdentity, DeleteAssignment), evidence.unproved),
    (Hold.DEFAULT_IDENTITY, (DetachIdentity,), _default_after_heal),
    # REPLACING while it is being made.
    (Hold.REPLACEMENT, (DeleteAssignment,), evidence.not_replaced),
    (Hold.REMOVALS, (DeleteAssignment, DetachIdentity), _removals),
    (Hold.BUSY, _IDENTITIES, _busy),
    (Hold.SETTLING, _IDENTITIES, _settling),
    (Hold.NO_ETAG, (DetachIdentity,), _no_etag),
)
"""Every hold in the order in which it is named: code, which changes it may stop, and when."""
