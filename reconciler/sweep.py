"""Looking at everything: what events missed, and what policy no longer asks for.

The same desired and plan that serve one resource run in memory over Resource Graph's rows. The
index is stale by up to minutes, so a plan made from it is never applied: it only nominates ids,
and each is then reconciled from fresh reads.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Final

from reconciler.azure.client import API_VERSIONS
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
    is_unwanted,
    unwanted_id,
)
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Desired,
    Observed,
    Removals,
    Request,
    Resource,
    RoleAssignment,
    Sight,
    Sighting,
    UserIdentity,
    is_reconciled,
)
from reconciler.observe import desired_of, privileged_roles
from reconciler.plan import PlanContext, plan
from reconciler.policy import Policy
from reconciler.policy import desired as wanted
from reconciler.policy.model import Grant
from reconciler.policy.templates import beginning, with_entries
from reconciler.remembered import Remembered

_log = logging.getLogger(__name__)

_NAMED: Final = 5
"""So many ids does a line of the log name."""

_MOST_NAMES: Final = 50
"""Ids in one message: as many of the longest that are usual stay below its 48 KiB of JSON."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Nominates what should be looked at; raises `ArmError` where the index cannot be read.

    `unproved` are ids whose end nothing proved within the day.
    """

    inventory: Inventory
    policy: Policy
    context: PlanContext
    now: Callable[[], datetime]
    unproved: Remembered[ResourceId, None]

    def nominate(
        self, scope: ResourceId, *, removing: bool = False, everywhere: bool = False
    ) -> Result:
        """Return a request for all about a scope, or the whole tenant, that is not as it should be.

        With `removing`, as only the schedule asks, each request names the unwanted rights that may
        go, within `maxRemovals`. Counted are also those that policy no longer speaks of at all.
        Of a scope only its own resources and rights are asked for, unless `everywhere`: what was
        moved out of it may be anywhere.
        """
        began = self.now()
        part = None if everywhere or scope.parent is None else scope
        makers = self.context.ownership.makers
        index = _Index(
            self.context,
            [*self.inventory.assignments(part), *self.inventory.made_by(makers, part)],
            {identity.id: identity for identity in self.inventory.identities()},
            privileged_roles(self.inventory.arm, self.policy, self.policy.custom_roles),
        )
        wanted_ids = list(self._wanted(index))
        named = {*wanted_ids, *index.ours}
        subjects: dict[ResourceId, Resource | UserIdentity] = {
            **{one.id: one for one in self._resources(part, index)},
            **{one: found for one, found in index.identities.items() if one in named},
        }
        plans = {one: self._plan(found, index, began) for one, found in subjects.items()}
        # What a replaced principal held may lie where no look lists it; with removals, be it of
        # nothing, the look asks the index for all that bears the id's marker.
        removals = {
            one.id: Removals(self.context.digest) for one in plans.values() if _retires(one)
        }
        removals |= self._removals(plans.values(), index) if removing else {}
        wrong = [one.id for one in plans.values() if _needs_a_look(one, part)]
        missed = list(self._missed(index, plans))
        chosen = [
            one
            for one in dict.fromkeys([*wrong, *wanted_ids, *missed])
            if scope.contains(one) or self._reaches(one, subjects.get(one), scope, index)
        ]
        if part is None:
            _tell_of_lost(index, plans.values())
        _log.info("sweep of %s: %d of %d nominated", scope, len(chosen), len(plans))
        # Whoever should carry an identity is in the same rows: its look need not ask for them.
        own = (Sighting(began, Sight.ATTACHED),)
        return Result(
            requests=tuple(
                Request(
                    one,
                    began,
                    expected=one in plans,
                    removals=named,
                    sightings=own if one.is_type(USER_ASSIGNED_IDENTITY) else (),
                )
                for one in chosen
                for named in _messages(removals.get(one))
            )
        )

    def _wanted(self, index: "_Index") -> Iterator[ResourceId]:
        """Yield the identities in policy; of those with placeholders the ones that are there."""
        for entry in self.policy.identities.values():
            if entry.id.exact:
                yield entry.id.exact
            else:
                yield from filter(entry.id.may_be, index.identities)

    def _resources(self, scope: ResourceId | None, index: "_Index") -> tuple[Resource, ...]:
        """Return the resources that lie in a scope or are granted something there; without, all.

        Asked for are the types that policy speaks of, and those that still hold a right of ours.
        """
        marked = {one.type for one in index.ours if fold(one.type) in API_VERSIONS}
        types = marked | {name for rule in self.policy.rules for name in rule.match.type}
        if any(entry.exclusive for entry in self.policy.identities.values()):
            # Any resource may carry what only some may.
            types = set(API_VERSIONS)
        if scope is None:
            return self.inventory.resources(types)
        granting = {
            place
            for rule in self.policy.rules
            if rule.system and any(self._may_grant_in(one, scope) for one in rule.system.grants)
            for place in rule.within
        }
        return self.inventory.resources(types, dict.fromkeys([scope, *granting]))

    def _may_grant_in(self, grant: Grant, scope: ResourceId) -> bool:
        """Return whether a grant may lie in a scope; what has no name yet may lie anywhere."""
        for text in with_entries(grant.scope, self.policy.maps):
            known = beginning(text)
            if known is None or (not known[1] and known[0].contains(scope)):
                return True
            if scope.contains(known[0]):
                return True
        return False

    def _plan(self, subject: Resource | UserIdentity, index: "_Index", at: datetime) -> Plan:
        desired = desired_of(self.policy, subject)
        if isinstance(subject, Resource):
            # Rows have no etag; whether the last identity may be taken away, a look decides.
            subject = replace(subject, etag="of a row")
        observed = Observed(
            subject.id,
            at,
            subject,
            tuple(index.about(subject)),
            self._identities(desired, index),
            roles=index.roles,
        )
        request = Request(subject.id, removals=Removals(self.context.digest, ids=None))
        return plan(desired, observed, request, self.context)

    def _identities(
        self, desired: Desired, index: "_Index"
    ) -> Mapping[ResourceId, UserIdentity | None]:
        """Return what a look would read: what to attach, and exclusive ones to detach."""
        known = {one.what: index.identities.get(one.what) for one in desired.attach}
        for one in desired.unwelcome:
            found = index.identities.get(one.what)
            if found and wanted.is_exclusive(self.policy, found):
                known[one.what] = found
        return known

    def _removals(self, plans: Iterable[Plan], index: "_Index") -> Mapping[ResourceId, Removals]:
        """Return for each id what may be removed there, within the limit of one sweep.

        Counted by the resource group of what the markers name: a group that alone would lose too
        much is set aside, and where the rest together would, nothing at all is removed.
        """
        limits = self.policy.guardrails.max_removals
        allowed = max(limits.count, sum(map(len, index.ours.values())) * limits.percent // 100)
        marked = {one.id: place for place, found in index.ours.items() for one in found}
        # By where it is to be removed: what, and the group that it counts for.
        unwanted: dict[ResourceId, dict[ResourceId, ResourceId]] = {}
        for one in plans:
            for name in _unwanted(one):
                named = marked.get(name, one.id)
                unwanted.setdefault(one.id, {})[name] = named.group_id or named
        groups = Counter(group for names in unwanted.values() for group in names.values())
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
        for place, names in unwanted.items():
            if may_go := frozenset(name for name, group in names.items() if group not in kept):
                removals[place] = Removals(self.context.digest, may_go)
        return removals

    def _missed(self, index: "_Index", known: Container[ResourceId]) -> Iterator[ResourceId]:
        """Yield what markers of ours name and the index does not show: gone, or very young.

        It is asked for without leave to remove: what is gone needs none, and what is not gone was
        not counted against the limit. Where nothing proved its end, a day passes.
        """
        for named in index.ours:
            if named in known or not is_reconciled(named):
                continue
            if not self.context.watches(named):
                _log.warning("rights of %s, which is not watched, stay as they are", named)
            elif self.unproved.age(named, self.now()) is None:
                yield named

    def _reaches(
        self,
        one: ResourceId,
        subject: Resource | UserIdentity | None,
        scope: ResourceId,
        index: "_Index",
    ) -> bool:
        """Return whether an id is granted something in a scope, or was moved out of it."""
        # Which entry of a map a subject picks is not told by its id.
        own = {grant.what.place for grant in desired_of(self.policy, subject).grants}
        places = own.union(wanted.scopes_from(self.policy, one), index.former(subject))
        return any(map(scope.contains, places))


class _Index:
    """Resource Graph's rows, ready to be asked about one subject at a time."""

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
        for assignment in {one.id: one for one in assignments}.values():
            self._by_principal[assignment.principal].append(assignment)
            marker = context.ownership.marker_of(assignment)
            if marker:
                self.ours[marker.resource].append(assignment)
                self._former[assignment.principal].add(marker.resource)
            elif context.ownership.lost(assignment):
                self.lost.add(assignment.id)

    def about(self, subject: Resource | UserIdentity) -> Iterator[RoleAssignment]:
        """Yield the assignments of its principal, then those whose marker names it."""
        principal = subject.principal
        if principal:
            yield from self._by_principal.get(principal, ())
        for assignment in self.ours.get(subject.id, ()):
            if assignment.principal != principal:
                yield assignment

    def former(self, subject: Resource | UserIdentity | None) -> set[ResourceId]:
        """Return the ids under which we knew its principal: a moved machine keeps its own."""
        principal = subject.principal if subject else None
        return self._former.get(principal or "", set())


def _messages(removals: Removals | None) -> Iterator[Removals | None]:
    """Yield removals in parts that each fit into a queue message of 64 KiB."""
    names = sorted((removals.ids or ()) if removals else (), key=str)
    if removals is None or len(names) <= _MOST_NAMES:
        yield removals
        return
    for some in batched(names, _MOST_NAMES, strict=False):
        yield replace(removals, ids=frozenset(some))


def _tell_of_lost(index: _Index, plans: Iterable[Plan]) -> None:
    """Tell how many rights stay that we made, that are not ours any more, and that nobody wants.

    Whose principal is gone, and whose marker is, nothing else can show.
    """
    written = {
        change.assignment.id
        for one in plans
        for change in (*one.changes, *(held.change for held in one.withheld))
        if isinstance(change, UpdateAssignment)
    }
    if lost := sorted(index.lost - written, key=lambda one: one.key):
        _log.warning(
            "sweep: %d rights that we made lost their marker, or another wrote them last, and no "
            "policy asks for them; they stay until a person deletes them: %s%s",
            len(lost),
            ", ".join(map(str, lost[:_NAMED])),
            " and others" if lost[_NAMED:] else "",
        )


def _needs_a_look(one: Plan, part: ResourceId | None) -> bool:
    """Return whether a look could change something: a lasting hold alone stays as it is.

    Of a part of the tenant only rights there were asked for, so only those are judged.
    """
    return any(part is None or _concerns(change, part) for change in one.todo)


def _retires(one: Plan) -> bool:
    return any(
        isinstance(change, DeleteAssignment) and change.reason is Reason.PRINCIPAL_REPLACED
        for change in one.todo
    )


def _concerns(change: Change, part: ResourceId) -> bool:
    match change:
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            return part.contains(grant.place)
        case DeleteAssignment(assignment):
            return part.contains(assignment.scope)
        case CreateIdentity(new):
            return part.contains(new.id)
        case AttachIdentity(resource) | DetachIdentity(resource):
            return part.contains(resource)


def _unwanted(one: Plan) -> frozenset[ResourceId]:
    """Return what a plan removes as unwanted, now or as soon as its replacement is there."""
    return frozenset(unwanted_id(change) for change in one.todo if is_unwanted(change))
