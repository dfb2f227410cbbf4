"""The checks that can withhold a change that policy leads to: one ordered table.

`reconciler.plan.plan` asks for each change in the plan's order; the first row that applies gives
the hold. A new hold needs a row in `HOLDS` below (when it applies) and a row in
`reconciler.changes.Hold` (its reason and a person's next step). `docs/holds.md` is made from both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Grant,
    Mode,
    Resource,
    Unresolved,
)
from reconciler.plan import evidence
from reconciler.plan.context import Case, Why


@dataclass(frozen=True, slots=True)
class Row[C]:
    """A hold, the changes that it may stop, and when it does.

    Where the hold applies, `when` returns true, or a `Why` with a detail, a time or another hold.
    `also` are the other holds that a `Why` of this row can name.
    """

    hold: Hold
    stops: type[C] | tuple[type[C], ...]
    when: Callable[[C, Case], Why | bool | None]
    also: tuple[Hold, ...] = ()


def first_hold(change: Change, case: Case) -> Withheld | None:
    """Return a change as withheld by the first hold that applies; none where it may be made."""
    for row in HOLDS:
        if isinstance(change, row.stops) and (answer := row.when(change, case)):
            why = answer if isinstance(answer, Why) else Why()
            return Withheld(change, why.hold or row.hold, why.detail, why.until)
    return None


def _reaches_home(change: Change, case: Case) -> bool:
    """Return whether a change would give a right to this app's own home, or write in it."""
    home = case.context.home
    if case.identity and home.contains(case.identity):
        return True
    match change:
        case AttachIdentity(resource) | DetachIdentity(resource):
            return home.contains(resource)
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            return isinstance(grant.scope, ResourceId) and home.reached_from(grant.scope)
        case DeleteAssignment(assignment, Reason.FORBIDDEN):
            return home.reached_from(assignment.scope)
        case DeleteAssignment(assignment):
            return home.contains(assignment.scope)
        case CreateIdentity():
            return False


def _hold_on_grant(change: Change, case: Case) -> Hold | None:
    """Return the hold on a grant, or on the deletion of a right that guardrails forbid by now."""
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


def _beside_dead_entry(attach: AttachIdentity, case: Case) -> Why | None:
    """Return the hold of an attach while the detach of a dead entry is withheld.

    Azure attaches nothing while a dead entry is there (facts: Dead entries). So where that detach
    waits for time, the attach has the same hold, and else DEAD_ENTRY.
    """
    for held in case.withheld:
        dead = held.change
        if not isinstance(dead, DetachIdentity) or dead.reason is not Reason.IDENTITY_GONE:
            continue
        if held.hold.passing:
            return Why(held.detail, held.until, held.hold)
        if held.hold is Hold.DEFAULT_IDENTITY:
            return Why(
                f"{dead.identity} is gone; detach its entry from {attach.resource.name} by hand, "
                "or set allowDefaultChange: true in the rule"
            )
        return Why(f"the entry of {dead.identity}")
    return None


def _default_after(resource: Resource, changes: Sequence[Change]) -> ResourceId | str | None:
    """Return the identity that the metadata service picks by default, after some changes.

    It is the system-assigned one, else the only one, else none (facts: Metadata service).
    """
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
    if system:
        return "system-assigned"
    return users.pop() if len(users) == 1 else None


def _attach_changes_default(attach: AttachIdentity, case: Case) -> bool:
    """Return whether an attach changes the identity that the metadata service picks by default.

    Workloads that name no identity would then sign in as another one. Where nothing is picked now,
    none can rely on it.
    """
    # An identity that was detached only because its entry was dead is attached again: the default
    # becomes what it was.
    if (case.wanted and case.wanted.default_change) or evidence.was_healed(attach.identity, case):
        return False
    before = _default_after(case.resource, ())
    return before is not None and before != _default_after(case.resource, (*case.passed, attach))


def _return_changes_default(detach: DetachIdentity, case: Case) -> Why | None:
    """Return the gone identity where attaching it again later would change the default.

    Once somebody has created it again, policy wants it back on the resource. So its entry is
    detached only where the default is the same with it and without it.
    """
    if detach.reason is not Reason.IDENTITY_GONE or (case.wanted and case.wanted.default_change):
        return None
    attached = [
        AttachIdentity(detach.resource, wanted.what)
        for wanted in case.desired.attach
        if case.observed.identities.get(wanted.what)
    ]
    default_without = _default_after(case.resource, (*case.passed, detach, *attached))
    default_with = _default_after(case.resource, (*case.passed, *attached))
    return Why(str(detach.identity)) if default_without != default_with else None


_ENTRIES: Final[tuple[type[AttachIdentity | DetachIdentity], ...]] = (
    AttachIdentity,
    DetachIdentity,
)
_GRANTS: Final[tuple[type[CreateAssignment | UpdateAssignment], ...]] = (
    CreateAssignment,
    UpdateAssignment,
)
_RIGHTS: Final[tuple[type[CreateAssignment | UpdateAssignment | DeleteAssignment], ...]] = (
    *_GRANTS,
    DeleteAssignment,
)
_TAKEN: Final[tuple[type[DetachIdentity | DeleteAssignment], ...]] = (
    DetachIdentity,
    DeleteAssignment,
)
_GIVEN: Final[tuple[type[Change], ...]] = (CreateIdentity, *_ENTRIES, *_GRANTS)
_ANY: Final[tuple[type[Change], ...]] = (*_GIVEN, DeleteAssignment)

# The first hold that fits is the one that is named. What policy itself wants comes first, then
# where we may not write, guardrails, what is there, what must be proved, and last what passes by
# itself; a check that counts what passed before it (`case.passed`) stands late.
# Left to inference, so that mypy holds each check to the changes that its own row stops.
_ROWS = (
    # The subject may be exempt, or the identity that it would carry.
    Row(
        Hold.EXEMPT,
        _ANY,
        lambda _, case: next(
            (
                Why(f"{exemption.reason} (until {exemption.expires})")
                for place in (case.observed.id, case.identity)
                if place and (exemption := case.context.exemption(place, case.observed.at))
            ),
            None,
        ),
    ),
    Row(
        Hold.UNKNOWN_IDENTITY_TYPE,
        _ENTRIES,
        lambda _, case: (
            case.resource.identities.raw_type is not None and Why(case.resource.identities.raw_type)
        ),
    ),
    # Whether such a resource has a principal is unknown, so nothing shows that one was replaced.
    Row(
        Hold.UNKNOWN_IDENTITY_TYPE,
        DeleteAssignment,
        lambda delete, case: (
            delete.reason is Reason.PRINCIPAL_REPLACED
            and case.resource.identities.raw_type is not None
            and Why(case.resource.identities.raw_type)
        ),
    ),
    Row(Hold.CONFLICTING, _GRANTS, lambda _, case: case.conflicting),
    Row(
        Hold.FOREIGN_CONDITION,
        UpdateAssignment,
        lambda update, case: not case.context.ownership.may_write(update.assignment),
    ),
    Row(
        Hold.ROLLOUT,
        _ANY,
        lambda _, case: case.mode is Mode.AUDIT and case.wanted is not None and case.wanted.rollout,
    ),
    Row(Hold.AUDIT, _ANY, lambda _, case: case.mode is Mode.AUDIT),
    Row(
        Hold.NO_MARKER,
        DeleteAssignment,
        lambda delete, case: (
            delete.reason is Reason.UNWANTED
            and case.context.ownership.marker_of(delete.assignment) is None
        ),
    ),
    Row(
        Hold.UNRESOLVED,
        CreateAssignment,
        lambda create, _: (
            isinstance(create.grant.scope, Unresolved)
            and Why(f"{create.grant.scope.template}: {create.grant.scope.why}")
        ),
    ),
    Row(Hold.IDENTITY_ABSENT, _GRANTS, lambda _, case: case.observed.subject is None),
    # An exclusive identity that no rule attaches here is detached from a managed resource, too.
    Row(
        Hold.MANAGED,
        _GIVEN,
        lambda change, case: (
            Why(case.resource.managed_by)
            if case.resource.managed_by and change.reason is not Reason.NOT_ALLOWED
            else None
        ),
    ),
    Row(Hold.NOT_WATCHED, _ANY, lambda _, case: not case.context.watches(case.observed.id)),
    Row(
        Hold.NOT_WATCHED,
        CreateIdentity,
        lambda create, case: not case.context.watches(create.new.id),
    ),
    Row(
        Hold.RESTART,
        _ENTRIES,
        lambda _, case: (
            resource_types.find(case.observed.id.type).restarts
            and (case.wanted is None or not case.wanted.restart)
        ),
    ),
    # A person who signed in to the command line has a token that names no identity of the app, so
    # `own_identity` is none. The makers' principals show the app's identity all the same.
    Row(
        Hold.OWN_IDENTITY,
        _ANY,
        lambda _, case: (
            case.principal in case.context.ownership.makers
            or (case.identity is not None and case.identity == case.context.own_identity)
        ),
    ),
    Row(Hold.HOME, _ANY, _reaches_home),
    Row(Hold.PROTECTED, _ANY, lambda _, case: case.identity in case.context.guardrails.protected),
    # Guardrails do not judge an entry that policy did not put there; the hold DEAD_ENTRY does.
    Row(
        Hold.IDENTITY_PLACE,
        _GIVEN,
        lambda change, case: (
            case.identity is not None
            and case.identity.is_type(USER_ASSIGNED_IDENTITY)
            and not (isinstance(change, DetachIdentity) and case.wanted is None)
            and not any(
                place.contains(case.identity) for place in case.context.guardrails.identities
            )
        ),
    ),
    Row(Hold.NO_ROOM_FOR_MARKER, _GRANTS, lambda grant, _: parse(grant.marker) is None),
    Row(
        Hold.IDENTITY_ABSENT,
        AttachIdentity,
        lambda attach, case: (
            attach.identity is not None and case.observed.identities.get(attach.identity) is None
        ),
    ),
    Row(
        Hold.ROLE_UNREAD,
        _RIGHTS,
        lambda change, case: _hold_on_grant(change, case) is Hold.ROLE_UNREAD,
    ),
    Row(
        Hold.GUARDRAILS,
        _RIGHTS,
        lambda change, case: _hold_on_grant(change, case) is Hold.GUARDRAILS,
    ),
    Row(
        Hold.SCOPE_ABSENT,
        CreateAssignment,
        lambda create, case: next(
            (
                Why(f"{scope}; there is {', '.join(alike)}" if alike else "")
                for scope, alike in case.observed.absent.items()
                if scope == create.grant.scope
            ),
            None,
        ),
    ),
    # The dead entry of an identity that no policy names is for its owner to detach.
    Row(Hold.DEAD_ENTRY, DetachIdentity, lambda _, case: case.wanted is None),
    Row(Hold.DEAD_ENTRY, AttachIdentity, _beside_dead_entry),
    Row(Hold.DEFAULT_IDENTITY, AttachIdentity, _attach_changes_default),
    # A grant to the system-assigned identity has the hold that keeps the identity from being
    # switched on.
    Row(
        Hold.IDENTITY_ABSENT,
        CreateAssignment,
        lambda create, case: next(
            (
                Why(held.detail, held.until, held.hold)
                for held in case.withheld
                if create.principal is None
                and isinstance(held.change, AttachIdentity)
                and held.change.identity is None
            ),
            None,
        ),
    ),
    # Dead entries and rights go only where `reconciler.plan.evidence` finds the proof.
    Row(
        Hold.UNCONFIRMED,
        DetachIdentity,
        lambda detach, case: (
            detach.reason is Reason.IDENTITY_RECREATED and evidence.recreated_unproved(detach, case)
        ),
    ),
    Row(
        Hold.UNCONFIRMED,
        DetachIdentity,
        lambda detach, case: (
            detach.reason is Reason.IDENTITY_GONE and evidence.gone_unproved(detach, case)
        ),
        also=(Hold.GONE_UNPROVED,),
    ),
    Row(
        Hold.UNCONFIRMED,
        DeleteAssignment,
        lambda delete, case: (
            delete.reason is Reason.RESOURCE_GONE and evidence.gone_unproved(delete, case)
        ),
        also=(Hold.CARRIED, Hold.GONE_UNPROVED),
    ),
    Row(
        Hold.UNCONFIRMED,
        DeleteAssignment,
        lambda delete, case: (
            delete.reason is Reason.PRINCIPAL_REPLACED and evidence.replaced_unproved(delete, case)
        ),
        also=(Hold.CARRIED, Hold.BUSY, Hold.REPLACED_UNPROVED),
    ),
    Row(Hold.DEFAULT_IDENTITY, DetachIdentity, _return_changes_default),
    # A right in use goes only once its replacement is there (REPLACEMENT, REPLACING), and only
    # where the request names it under the policy that it was counted with (REMOVALS).
    Row(
        Hold.REPLACEMENT,
        DeleteAssignment,
        lambda delete, case: (
            delete.reason is Reason.UNWANTED and evidence.not_replaced(delete, case)
        ),
        also=(Hold.REPLACING,),
    ),
    Row(
        Hold.REMOVALS,
        _TAKEN,
        lambda change, case: (
            change.reason.unwanted
            and not (
                case.request.removals is not None
                and case.request.removals.digest == case.context.digest
                and case.request.removals.allow(unwanted_id(change))
            )
        ),
    ),
    # A PATCH would collide with the write under way, or preempt the deployment that is building it.
    Row(
        Hold.SETTLING,
        _ENTRIES,
        lambda _, case: evidence.unsettled(case.resource, case.observed.at, case.context.settle),
        also=(Hold.BUSY,),
    ),
    # The last user-assigned identity goes by a PATCH of the type alone (facts: Machines). That
    # takes away all of them, even one that was attached a moment ago, so it is sent only with an
    # etag. Identities that the plan attaches are not counted, since Azure may refuse them.
    Row(
        Hold.NO_ETAG,
        DetachIdentity,
        lambda detach, case: (
            not case.resource.etag
            and not case.resource.identities.unknown
            and {entry.id for entry in case.resource.identities.attached}
            <= {
                detach.identity,
                *(gone.identity for gone in case.passed if isinstance(gone, DetachIdentity)),
            }
        ),
    ),
)
HOLDS: Final[tuple[Row[Any], ...]] = _ROWS
"""Every check. Of several that apply, the first gives the hold."""
