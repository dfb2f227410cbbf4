"""What must be proved, or be there, before a right or an identity's entry may go.

`reconciler.plan.holds` calls the checks, and `reconciler.observe` reads only what they use. A right
goes only on positive evidence: a dead right that stays for an hour harms nobody, but the removal of
a live one does. Each check returns what is missing, and none where the change may be made.
"""

from datetime import datetime, timedelta
from typing import Final

from reconciler.changes import (
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    describe,
)
from reconciler.ids import ResourceId
from reconciler.model import Resource, Sight, Unresolved, UserIdentity
from reconciler.plan.context import GIVE_UP, Case, Why
from reconciler.resource_types import is_passing

# A resource's creation and the activity log's entries are timed by clocks that may differ.
_SKEW: Final = timedelta(minutes=5)
# A withheld grant with one of these holds is no replacement to wait for: policy itself asks not to
# make it, or it has no scope.
_REPLACES_NOTHING: Final = frozenset({Hold.AUDIT, Hold.ROLLOUT, Hold.EXEMPT, Hold.UNRESOLVED})


def unsettled(resource: Resource, at: datetime, settle: timedelta) -> Why | None:
    """Return why a resource is to be left alone for now: BUSY or SETTLING; none where it is built.

    Until then it is not patched, and what its GET shows may still change.
    """
    ready = resource.created + settle if resource.created else None
    until = ready if ready and at < ready else None
    if is_passing(resource.state):
        # A young one has to settle as well, so it is not looked at before `until`.
        return Why(resource.state, until, Hold.BUSY)
    if resource.deploying:
        return Why("an extension is being provisioned", until, Hold.SETTLING)
    return Why("", until, Hold.SETTLING) if until else None


def dead_entry(own: UserIdentity, stale: str | None) -> str:
    """Return a dead entry as a sighting's `about`: identity, the entry's principal, its own."""
    return f"{own.id.key}={stale or '-'}>{own.principal}"


def was_healed(identity: ResourceId | None, case: Case) -> bool:
    """Return whether a dead entry of this identity, as it is now, was sighted within the hour.

    Then the attach is the second half of a repair: the identity was on the resource until its dead
    entry was detached.
    """
    own = case.observed.identities.get(identity) if identity else None
    return own is not None and any(
        sighting.what is Sight.DEAD_ENTRY
        and sighting.about.startswith(f"{own.id.key}=")
        and sighting.about.endswith(f">{own.principal}")
        and case.observed.at - sighting.at <= GIVE_UP
        for sighting in case.request.sightings
    )


def recreated_unproved(detach: DetachIdentity, case: Case) -> Why | None:
    """Return what is missing to prove an entry dead whose identity now has another principal.

    An attach under way shows an entry without principal, too (facts: Machines). So a look that is
    RECONCILER_SETTLE later must see the same entry again.
    """
    own = case.observed.identities.get(detach.identity)
    entry = case.resource.identities.entry(detach.identity)
    if own is None or entry is None:
        return None
    since = case.request.sighted(Sight.DEAD_ENTRY, dead_entry(own, entry.principal))
    due = (since or case.observed.at) + case.context.settle
    if since is None or case.observed.at < due:
        return Why("a second look finds the entry as dead", due)
    return None


def gone_unproved(change: DeleteAssignment | DetachIdentity, case: Case) -> Why | None:
    """Return what is missing to prove that a subject or identity that was not found is gone.

    The proof has three parts: no resource carries the principal, Resource Graph has no row of the
    id, and the activity log shows its end. Resource Graph alone proves nothing: it shows only what
    this app may read (facts: Resource Graph), so a machine that was moved away looks gone, too.
    """
    observed, traces = case.observed, case.observed.traces
    if isinstance(change, DetachIdentity):
        gone, about, made = change.identity, change.identity.key, None
    else:
        gone, about, made = observed.id, "", change.assignment.created
        if traces and (holder := traces.holder(change.assignment.principal, gone)):
            return Why(str(holder), hold=Hold.CARRIED)
    ending = observed.endings.get(gone)
    if isinstance(change, DetachIdentity) and ending and ending.ended:
        # An entry has no creation time. Identities cannot move (facts: Moves), so it need not be
        # compared with moves, and any time before the end serves.
        made = ending.ended - timedelta(microseconds=1)
    # Where Resource Graph was not asked, the id counts as shown: that proves nothing.
    shown = traces is None or gone in traces.shown
    if not shown and ending and ending.proves(made, observed.at):
        return None
    # The index and the log are late: both are asked again for an hour, then a person has to look.
    since = case.request.sighted(Sight.GONE, about) or observed.at
    if again := case.context.next_ask(since, observed.at):
        return Why("", again)
    missing = "Resource Graph still shows it" if shown else "the activity log tells of no end"
    return Why(missing, hold=Hold.GONE_UNPROVED)


def replaced_unproved(delete: DeleteAssignment, case: Case) -> Why | None:
    """Return what is missing to prove an earlier principal of the subject dead.

    Two reads and Resource Graph must agree on the new principal, and nothing may have been moved
    out of the group since the grant: a machine that was moved away keeps its principal (facts:
    Moves), and another machine may have been made here under its name.
    """
    observed, old, resource = case.observed, delete.assignment, case.resource
    traces = observed.traces
    if traces and (holder := traces.holder(old.principal, observed.id)):
        return Why(str(holder), hold=Hold.CARRIED)
    building = unsettled(resource, observed.at, case.context.settle)
    if building and building.hold is Hold.BUSY:
        return building
    if resource.identities.system and resource.principal is None:
        until = building.until if building else None
        return Why("its new principal is not shown yet", until, Hold.BUSY)
    # A subject without a principal does not show that the earlier one was replaced. And a right
    # granted since the rebuild may belong to a principal that no read has shown yet.
    if observed.principal is None:
        return Why("the resource shows no principal", hold=Hold.REPLACED_UNPROVED)
    if resource.created and not (old.created and old.created < resource.created):
        return Why("the right is younger than the resource", hold=Hold.REPLACED_UNPROVED)
    if building:
        return Why(building.detail, building.until)
    # A row with the new principal shows that Resource Graph has already taken in the rebuild.
    agreed = traces is not None and traces.agree(observed.id, observed.principal)
    if not observed.confirmed or not agreed:
        return Why()
    if isinstance(observed.subject, UserIdentity):
        # Identities cannot move (facts: Moves).
        return None
    log = observed.endings.get(observed.id)
    if log is None or not log.complete:
        return Why("the activity log has not told whether it was moved")
    # Only a move between grant and rebuild can have taken the old principal elsewhere.
    rebuilt = (resource.created or observed.at) + _SKEW
    moved = any(old.created is None or old.created <= move <= rebuilt for move in log.moves)
    text = "resources were moved out of its group since it was granted"
    return Why(text, hold=Hold.REPLACED_UNPROVED) if moved else None


def not_replaced(delete: DeleteAssignment, case: Case) -> Why | None:
    """Return the replacement of an unwanted right that is not there yet: REPLACEMENT or REPLACING.

    A replacement is a grant that the same plan proposes for the same principal, at the same scope
    or of the same role, unless policy itself asks to hold it back.
    """
    old, removals = delete.assignment, case.request.removals
    chosen = {grant.what: grant.choices for grant in case.desired.grants}

    def replaces(change: object) -> bool:
        if not isinstance(change, CreateAssignment) or isinstance(change.grant.scope, Unresolved):
            return False
        if change.grant.scope == old.scope:
            return True
        # Where the grant picks its scope from a map that still holds the old scope, the resource's
        # own tag or location now picks another entry. That is a choice and no replacement, so the
        # old right waits for nothing.
        return change.grant.role == old.role and old.scope not in chosen.get(change.grant, ())

    # In a full subscription the old right must go first, to make room for its replacement.
    if not case.observed.limit_reached and any(replaces(change) for change in case.passed):
        return Why(hold=Hold.REPLACING)
    for held in case.withheld:
        if held.hold in _REPLACES_NOTHING or not replaces(held.change):
            continue
        if held.hold.passing:
            return Why(hold=Hold.REPLACING)
        # A person agreed with `apply` that the right goes without its replacement.
        if removals and removals.at_once and removals.allow(old.id):
            continue
        shown = ", ".join(f"{key} {text}" for key, text in describe(held.change).items() if text)
        return Why(f"{held.hold} ({shown})")
    return None
