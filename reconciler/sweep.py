"""The sweep: finds what events missed, and what policy no longer asks for.

The functions that decide and plan for one resource run here in memory over Resource Graph's rows.
The index is stale by up to minutes, so a plan made from it is never applied: it only nominates ids,
and each is then reconciled from fresh reads. `reconciler.app` sweeps everything by the clock, and
one scope where an event changed it.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Final

from reconciler.azure.graph import Inventory
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Plan,
    Reason,
    Result,
    UpdateAssignment,
    unwanted_id,
)
from reconciler.errors import Again
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Observed,
    Removals,
    Request,
    Resource,
    RoleAssignment,
    Sight,
    Sighting,
    UserIdentity,
)
from reconciler.observe import desired_of, privileged_roles
from reconciler.plan import PlanContext, plan
from reconciler.plan.context import FIRST_DELAY
from reconciler.policy import Policy
from reconciler.policy import desired as wanted
from reconciler.policy.templates import beginning, with_entries
from reconciler.reconcile.recent import RecentRuns
from reconciler.reconcile.retry import EARLY, REPEAT_AFTER, schedule_repeat
from reconciler.resource_types import CARRIERS, is_reconciled

_log = logging.getLogger(__name__)

EVERYTHING: Final = ResourceId.parse("/")
"""The id in a request for a sweep of everything that is watched."""

_SWEPT_EVERY: Final = timedelta(minutes=1)
"""A scope is swept once in this time at most: all sweeps and looks share one quota of queries."""

_LEFT_TO_LOOKS: Final = 5
"""How many of the 15 queries of each window (facts: Throttling) sweeps leave to looks."""

_LONGEST_TURN: Final = timedelta(seconds=20)
"""How long a sweep of everything waits for its turn at a page; the bucket fills in five seconds."""

_MOST_LOGGED: Final = 5
"""A line of the log names at most this many ids."""

_MOST_NAMED: Final = 50
"""A message names at most this many ids to remove: the longest usual ones fit into 48 KiB of JSON.

A queue message holds 64 KiB, in base64.
"""

type Subject = Resource | UserIdentity


@dataclass(frozen=True, slots=True)
class Sweep:
    """Nominates what should be looked at; raises `ArmError` where the index cannot be read."""

    inventory: Inventory
    policy: Policy
    context: PlanContext
    now: Callable[[], datetime]
    recent: RecentRuns

    def answer(self, request: Request) -> Result:
        """Return the requests for a scope that changed, or a copy where it was just swept."""
        now = self.now()
        if self.recent.cover(request, now):
            # The covering sweep saw as much of a move as one would see now, so the sweep that is
            # due after the move still is.
            return self._after_move(Result(), request, now)
        began = self.recent.last_began(request.id)
        if began and now - began < _SWEPT_EVERY:
            copy = replace(request, since=began + _SWEPT_EVERY)
            self.recent.copy_due(copy, request)
            return Result(again_after=began + _SWEPT_EVERY - now, again=copy)
        return self.run(request)

    def run(self, request: Request, *, removing: bool = False) -> Result:
        """Return a request for each id in a scope, or the tenant, that differs from policy.

        With `removing`, which only the schedule sets, each request names the unwanted rights that
        may go, within `maxRemovals`. That includes rights of ids that policy no longer names.
        """
        now = self.now()
        # A sweep of everything reads many pages. It waits for its turn at each: if every refused
        # page made it begin anew, it would never reach the last one.
        patience = _LONGEST_TURN if request.id == EVERYTHING else timedelta()
        inventory = replace(self.inventory, leave=_LEFT_TO_LOOKS, patience=patience)
        moved = request.sighted(Sight.MOVED) is not None
        try:
            result = self._nominate(request.id, inventory, removing=removing, everywhere=moved)
        except Again as error:
            if error.retry_after:
                # The sweep begins anew with all its queries, not only with the refused one, so it
                # waits a while at least.
                error.retry_after = max(error.retry_after, FIRST_DELAY)
            raise
        self.recent.finished(request, now, leads_on=bool(result.requests))
        return self._after_move(result, request, now)

    def _after_move(self, result: Result, request: Request, now: datetime) -> Result:
        """Return the result, with one more sweep where a move began less than five minutes ago.

        A move is announced when it begins, so this sweep may have come too early for its end.
        """
        moved = request.sighted(Sight.MOVED)
        if moved is None or now - moved >= REPEAT_AFTER - EARLY:
            return result
        return schedule_repeat(result, request, now, Sight.MOVED)

    def _nominate(
        self, scope: ResourceId, inventory: Inventory, *, removing: bool, everywhere: bool
    ) -> Result:
        # A sweep of one scope asks only for the resources and rights in it, unless `everywhere`:
        # resources that were moved out of it may be anywhere.
        part = None if everywhere or scope.parent is None else scope

        # 1. Read the index: rights where policy may grant and whatever makers of ours created, all
        #    identities, and the resources that policy names or that hold a right of ours.
        began, makers = self.now(), self.context.ownership.makers
        index = _Index(
            self.context,
            [*inventory.assignments(part), *inventory.made_by(makers, part)],
            {identity.id: identity for identity in inventory.identities()},
            privileged_roles(inventory.arm, self.policy, self.policy.custom_roles),
        )
        of_policy: list[ResourceId] = []
        for entry in self.policy.identities.values():
            # An entry with placeholders stands for each identity that is there and fits it.
            exact = entry.id.exact
            of_policy += [exact] if exact else filter(entry.id.may_be, index.identities)
        looked_at = {*of_policy, *index.ours}
        subjects: dict[ResourceId, Subject] = {
            resource.id: resource for resource in self._resources(part, inventory, index)
        }
        for identity in index.identities.values():
            if identity.id in looked_at:
                subjects[identity.id] = identity

        # 2. Plan each in memory, and count what may be removed.
        plans = {key: self._plan(subject, index, began) for key, subject in subjects.items()}
        # Rights of a replaced principal may lie at scopes that no look lists. A request with
        # removals, even with no ids, makes the look ask the index for all rights whose marker names
        # the id.
        removals = {
            key: Removals(self.context.digest)
            for key, from_rows in plans.items()
            if any(change.reason is Reason.PRINCIPAL_REPLACED for change in from_rows.todo)
        }
        if removing:
            removals |= self._removals(plans.values(), index)

        # 3. Nominate each id that has something to do. A lasting hold alone is nothing to do, since
        #    a look would not change it. A sweep of one scope read only the rights there, so only
        #    changes there count.
        wrong = [
            key
            for key, from_rows in plans.items()
            if any(part is None or _is_about(change, part) for change in from_rows.todo)
        ]
        nominated = [
            key
            for key in dict.fromkeys([*wrong, *of_policy, *self._missed(index, plans)])
            if scope.contains(key) or self._reaches(key, subjects.get(key), scope, index)
        ]
        if part is None:
            _log_lost(index, plans.values())
        _log.info("sweep of %s: %d of %d nominated", scope, len(nominated), len(plans))
        return Result(requests=tuple(_requests(nominated, plans, removals, began)))

    def _resources(
        self, scope: ResourceId | None, inventory: Inventory, index: "_Index"
    ) -> tuple[Resource, ...]:
        """Return the resources that lie in a scope or may be granted something there; or all.

        Only types are read that policy names, or that a marker of ours names.
        """
        marked = {named.type for named in index.ours if fold(named.type) in CARRIERS}
        types = marked | {name for rule in self.policy.rules for name in rule.match.type}
        if any(entry.exclusive for entry in self.policy.identities.values()):
            # Any resource may carry an exclusive identity, so every type that can carry is read.
            types = set(CARRIERS)
        if scope is None:
            return inventory.resources(types)
        asked = {scope: None}
        for rule in self.policy.rules:
            for grant in rule.system.grants if rule.system else ():
                for template in with_entries(grant.scope, self.policy.maps):
                    known = beginning(template)
                    # A template may come to any scope below the id that it begins with.
                    above = known and not known[1] and known[0].contains(scope)
                    if known is None or above or scope.contains(known[0]):
                        asked |= dict.fromkeys(rule.within)
        return inventory.resources(types, asked)

    def _plan(self, subject: Subject, index: "_Index", at: datetime) -> Plan:
        """Return the plan for a row, as a look would make it with leave to remove everything."""
        desired = desired_of(self.policy, subject)
        identities = {want.what: index.identities.get(want.what) for want in desired.attach}
        for want in desired.unwelcome:
            carried = index.identities.get(want.what)
            if carried and wanted.is_exclusive(self.policy, carried):
                identities[want.what] = carried
        if isinstance(subject, Resource):
            # Rows have no etag. This one avoids NO_ETAG, which a look decides from the real one.
            subject = replace(subject, etag="of a row")
        observed = Observed(
            subject.id,
            at,
            subject,
            tuple(index.assignments_of(subject)),
            identities,
            roles=index.roles,
        )
        request = Request(subject.id, removals=Removals(self.context.digest, ids=None))
        return plan(desired, observed, request, self.context)

    def _removals(self, plans: Iterable[Plan], index: "_Index") -> Mapping[ResourceId, Removals]:
        """Return for each id what may be removed there, within the limit of one sweep.

        Removals are counted by resource group: that of the id that a right's marker names. A group
        over the limit keeps everything. Where the other groups together are over it, so do they.
        """
        limits = self.policy.guardrails.max_removals
        allowed = max(limits.count, sum(map(len, index.ours.values())) * limits.percent // 100)
        marked = {right.id: named for named, rights in index.ours.items() for right in rights}
        # For each subject: every id to be removed there, with the group that it counts for.
        unwanted: dict[ResourceId, dict[ResourceId, ResourceId]] = {}
        for from_rows in plans:
            for change in from_rows.todo:
                if change.reason.unwanted:
                    removed = unwanted_id(change)
                    named = marked.get(removed, from_rows.id)
                    unwanted.setdefault(from_rows.id, {})[removed] = named.group_id or named
        groups = Counter(group for counted in unwanted.values() for group in counted.values())
        kept = {group: number for group, number in groups.items() if number > allowed}
        for group, number in sorted(kept.items(), key=lambda item: item[0].key):
            _log.warning(
                "sweep: %d unwanted rights and identities in %s are kept, since at most %d may go "
                "at once; raise maxRemovals in guardrails.yaml, or remove them with `apply`",
                number,
                group,
                allowed,
            )
        left = sum(number for group, number in groups.items() if group not in kept)
        if left > allowed:
            _log.warning(
                "sweep: all %d unwanted rights and identities in %d groups are kept, since at most "
                "%d may go at once; raise maxRemovals in guardrails.yaml, or remove them with "
                "`apply`",
                left,
                len(groups) - len(kept),
                allowed,
            )
            return {}
        removals: dict[ResourceId, Removals] = {}
        for subject_id, counted in unwanted.items():
            if may_go := frozenset(name for name, group in counted.items() if group not in kept):
                removals[subject_id] = Removals(self.context.digest, may_go)
        return removals

    def _missed(self, index: "_Index", planned: Container[ResourceId]) -> Iterator[ResourceId]:
        """Yield the ids that markers of ours name and the index does not show: gone, or very young.

        They are requested without removals: rights of what is gone need none, and an id that is not
        gone was not counted against the limit. One whose end nothing proves is yielded once a day.
        """
        for named in index.ours:
            if named in planned or not is_reconciled(named):
                continue
            if not self.context.watches(named):
                _log.warning("rights of %s, which is not watched, stay as they are", named)
            elif self.recent.unproved.age(named, self.now()) is None:
                yield named

    def _reaches(
        self, subject_id: ResourceId, subject: Subject | None, scope: ResourceId, index: "_Index"
    ) -> bool:
        """Return whether an id is granted something in a scope, or was moved out of it."""
        # The id alone does not show which entry of a map its subject picks, so the row serves, too.
        granted_at = {grant.what.place for grant in desired_of(self.policy, subject).grants}
        named_by_id = wanted.scopes_from(self.policy, subject_id)
        return any(map(scope.contains, granted_at.union(named_by_id, index.former_ids(subject))))


class _Index:
    """Resource Graph's rows, ready to be asked about one subject at a time.

    `ours` holds our assignments by the id that their marker names; `lost` are those that we made
    and whose marker is lost, or that another wrote last.
    """

    def __init__(
        self,
        context: PlanContext,
        assignments: Sequence[RoleAssignment],
        identities: dict[ResourceId, UserIdentity],
        roles: Mapping[str, bool | None],
    ) -> None:
        self.identities = identities
        self.roles = roles
        self.ours: dict[ResourceId, list[RoleAssignment]] = defaultdict(list)
        self.lost: set[ResourceId] = set()
        self._former: dict[str, set[ResourceId]] = defaultdict(set)
        self._by_principal: dict[str, list[RoleAssignment]] = defaultdict(list)
        # A row may come twice: at the edge of two pages, or from both queries.
        for assignment in {row.id: row for row in assignments}.values():
            self._by_principal[assignment.principal].append(assignment)
            marker = context.ownership.marker_of(assignment)
            if marker:
                self.ours[marker.resource].append(assignment)
                self._former[assignment.principal].add(marker.resource)
            elif context.ownership.lost(assignment):
                self.lost.add(assignment.id)

    def assignments_of(self, subject: Subject) -> Iterator[RoleAssignment]:
        """Yield the assignments of its principal, then those whose marker names it."""
        principal = subject.principal
        if principal:
            yield from self._by_principal.get(principal, ())
        for assignment in self.ours.get(subject.id, ()):
            if assignment.principal != principal:
                yield assignment

    def former_ids(self, subject: Subject | None) -> set[ResourceId]:
        """Return the ids by which markers of ours name its principal: a moved machine keeps it."""
        principal = subject.principal if subject else None
        return self._former.get(principal or "", set())


def _requests(
    nominated: Iterable[ResourceId],
    planned: Container[ResourceId],
    removals: Mapping[ResourceId, Removals],
    began: datetime,
) -> Iterator[Request]:
    """Yield a request for each id, or several that each fit into a queue message of 64 KiB."""
    # The resources that should carry an identity are in the same rows and were compared here, so
    # the look at the identity need not lead to them.
    rights_only = (Sighting(began, Sight.ATTACHED),)
    for subject in nominated:
        allowed = removals.get(subject)
        parts: list[Removals | None] = [allowed]
        if allowed and allowed.ids and len(allowed.ids) > _MOST_NAMED:
            ids = sorted(allowed.ids, key=str)
            batches = batched(ids, _MOST_NAMED, strict=False)
            parts = [replace(allowed, ids=frozenset(batch)) for batch in batches]
        for part in parts:
            yield Request(
                subject,
                began,
                expected=subject in planned,
                removals=part,
                sightings=rights_only if subject.is_type(USER_ASSIGNED_IDENTITY) else (),
            )


def _log_lost(index: _Index, plans: Iterable[Plan]) -> None:
    """Log the rights that we made, whose marker is lost or rewritten, and that no policy asks for.

    Where the principal is gone as well, no plan finds the right, so only this line shows it.
    """
    rewritten = {
        change.assignment.id
        for from_rows in plans
        for change in (*from_rows.changes, *(held.change for held in from_rows.withheld))
        if isinstance(change, UpdateAssignment)
    }
    if lost := sorted(index.lost - rewritten, key=lambda right: right.key):
        _log.warning(
            "sweep: %d rights that we made lost their marker, or another wrote them last, and no "
            "policy asks for them; they stay until a person deletes them: %s%s",
            len(lost),
            ", ".join(map(str, lost[:_MOST_LOGGED])),
            " and others" if lost[_MOST_LOGGED:] else "",
        )


def _is_about(change: Change, part: ResourceId) -> bool:
    match change:
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            return part.contains(grant.place)
        case DeleteAssignment(assignment):
            return part.contains(assignment.scope)
        case CreateIdentity(new):
            return part.contains(new.id)
        case AttachIdentity(resource) | DetachIdentity(resource):
            return part.contains(resource)
