"""What must be proved, or be there, before a right or an identity's entry may go.

`reconciler.plan.holds` asks here. A right is removed only on positive evidence: a dead one that is
left for an hour harms nobody.
"""

from datetime import datetime, timedelta
from typing import Final

from reconciler.changes import (
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Reason,
    describe,
)
from reconciler.model import Resource, RoleAssignment, Sight, Unresolved
from reconciler.plan.identities import about_entry, is_busy
from reconciler.plan.steps import Case, Step, Why


def unproved(step: Step, case: Case) -> Why | None:
    """Return what is missing to prove that a right's principal, or an entry's identity, is dead."""
    match step.change:
        case DetachIdentity(_, _, Reason.IDENTITY_RECREATED) as change:
            return _seen_once(change, case)
        case DetachIdentity(_, _, Reason.IDENTITY_GONE) as change:
            return _gone_unproved(change, case)
        case DeleteAssignment(_, Reason.RESOURCE_GONE) as change:
            return _gone_unproved(change, case)
        case DeleteAssignment(_, Reason.PRINCIPAL_REPLACED) as change:
            return _replaced_unproved(change, case)
        case _:
            return None


def _seen_once(change: DetachIdentity, case: Case) -> Why | None:
    """An attach under way shows an entry without principal, too: one sight proves nothing."""
    own, resource = case.observed.identities.get(change.identity), case.resource
    entry = resource.identities.entry(change.identity) if resource else None
    if own is None or entry is None:
        return None
    since = case.request.sighted(Sight.DEAD_ENTRY, about_entry(own, entry.principal))
    due = (since or case.observed.at) + case.context.settle
    if since is None or case.observed.at < due:
        return Why("a second look finds the entry as dead", due)
    return None


def _gone_unproved(change: DeleteAssignment | DetachIdentity, case: Case) -> Why | None:
    """Return what keeps a 404 from being an end: no time, a trace of it, or no word of its end."""
    observed, traces = case.observed, case.observed.traces
    if isinstance(change, DetachIdentity):
        gone, about, made = change.identity, change.identity.key, None
    else:
        gone, about, made = observed.id, "", change.assignment.created
        if traces and (holder := traces.holder(change.assignment.principal, gone)):
            return Why(str(holder), hold=Hold.CARRIED)
    ending = observed.endings.get(gone)
    if isinstance(change, DetachIdentity) and ending and ending.ended:
        # An entry has no date of its own; identities cannot move (facts: Moves).
        made = ending.ended - timedelta(microseconds=1)
    shown = traces is None or gone in traces.shown
    if not shown and ending and ending.proves(made, observed.at):
        return None
    since = case.request.sighted(Sight.GONE, about) or observed.at
    if again := case.context.next_ask(since, observed.at):
        return Why("", again)
    said = "Resource Graph still shows it" if shown else "the activity log tells of no end"
    return Why(said, hold=Hold.GONE_UNPROVED)


def _replaced_unproved(change: DeleteAssignment, case: Case) -> Why | None:
    """Return what keeps another principal from proving that the old one is dead."""
    observed, old = case.observed, change.assignment
    traces, resource = observed.traces, case.resource
    if traces and (holder := traces.holder(old.principal, observed.id)):
        return Why(str(holder), hold=Hold.CARRIED)
    building = unsettled(resource, observed.at, case.context.settle) if resource else None
    if resource and (is_busy(resource) or _principal_is_coming(resource)):
        state = resource.state if is_busy(resource) else "its new principal is not shown yet"
        # A young one has to settle anyway.
        return Why(state, building.until if building else None, Hold.BUSY)
    if observed.principal is None:
        return Why("the resource shows no principal", hold=Hold.REPLACED_UNPROVED)
    if resource and resource.created and not (old.created and old.created < resource.created):
        return Why("the right is younger than the resource", hold=Hold.REPLACED_UNPROVED)
    if building:
        return building
    agreed = traces is not None and traces.agree(observed.id, observed.principal)
    if not observed.confirmed or not agreed:
        return Why()
    if resource is None:
        # Identities cannot move (facts: Moves).
        return None
    log = observed.endings.get(observed.id)
    if log is None or not log.complete:
        return Why("the activity log has not told whether it was moved")
    # What was moved after the rebuild had another id; the log's clock is another one.
    rebuilt = (resource.created or observed.at) + _SKEW
    moved = any(old.created is None or old.created <= move <= rebuilt for move in log.moves)
    text = "resources were moved out of its group since it was granted"
    return Why(text, hold=Hold.REPLACED_UNPROVED) if moved else None


def _principal_is_coming(resource: Resource) -> bool:
    return resource.identities.system and resource.principal is None


def unsettled(resource: Resource, at: datetime, settle: timedelta) -> Why | None:
    """Return what a resource that is still being built waits for, and until when; none if built."""
    ready = resource.created + settle if resource.created else None
    until = ready if ready and at < ready else None
    if resource.deploying:
        return Why("an extension is being provisioned", until)
    return Why(until=until) if until else None


def not_replaced(step: Step, case: Case) -> Why | None:
    """Keep an unwanted right until what the same plan gives the same principal is there."""
    change, removals = step.change, case.request.removals
    if not isinstance(change, DeleteAssignment) or change.reason is not Reason.UNWANTED:
        return None
    unwanted = change.assignment
    # Where the subscription is full, only what goes makes room for what may come.
    full = case.observed.limit_reached
    if not full and any(_replaces(one, unwanted, case) for one in case.passed):
        return Why(hold=Hold.REPLACING)
    for held in case.withheld:
        if held.hold in _REPLACES_NOTHING or not _replaces(held.change, unwanted, case):
            continue
        if held.hold.passing:
            return Why(hold=Hold.REPLACING)
        if removals and removals.at_once and removals.allow(unwanted.id):
            continue
        shown = ", ".join(f"{key} {text}" for key, text in describe(held.change).items() if text)
        return Why(f"{held.hold} ({shown})")
    return None


_SKEW: Final = timedelta(minutes=5)
_REPLACES_NOTHING: Final = frozenset({Hold.AUDIT, Hold.ROLLOUT, Hold.EXEMPT, Hold.UNRESOLVED})


def _replaces(change: Change, unwanted: RoleAssignment, case: Case) -> bool:
    """Return whether a grant of the plan gives the principal what the unwanted right gave.

    Where the old scope is still an entry of the map that the grant picks from, the resource itself
    chose another one, and nothing is waited for. At the same scope it chose nothing.
    """
    if not isinstance(change, CreateAssignment) or isinstance(change.grant.scope, Unresolved):
        return False
    if change.grant.scope == unwanted.scope:
        return True
    if change.grant.role != unwanted.role:
        return False
    wanted = (one for one in case.desired.grants if one.what == change.grant)
    return not any(unwanted.scope in one.choices for one in wanted)
