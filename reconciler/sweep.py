"""Looking at everything: what events missed, and what policy no longer asks for.

The same desired and plan that serve one resource run in memory over Resource Graph's rows. The
index is stale by up to minutes, so a plan made from it is never applied: it only nominates ids,
and each is then reconciled from fresh reads.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.arm import API_VERSIONS
from reconciler.changes import DeleteAssignment, DetachIdentity, Plan, Reason, Result
from reconciler.ids import ResourceId, fold
from reconciler.inventory import Inventory
from reconciler.model import (
    Desired,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    UserIdentity,
)
from reconciler.observe import desired_of, is_reconciled, privileged_roles
from reconciler.plan import Terms, plan
from reconciler.policy import desired as wanted
from reconciler.policy.language import Policy

_log = logging.getLogger(__name__)

_UNWANTED: Final = frozenset({Reason.UNWANTED, Reason.NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Sweep:
    """Nominates what should be looked at; raises `ArmError` where the index cannot be read."""

    inventory: Inventory
    policy: Policy
    terms: Terms
    now: Callable[[], datetime]

    def nominate(self, scope: ResourceId) -> Result:
        """Return a request for all about a scope, or the whole tenant, that is not as it should be.

        Unwanted rights may go, unless the sweep would take more than `maxRemovals` allows. Counted
        are also those of what policy no longer speaks of at all.
        """
        began = self.now()
        index = _Index(
            self.terms,
            self.inventory.assignments(),
            {identity.id: identity for identity in self.inventory.identities()},
            privileged_roles(self.inventory.arm, self.policy, self.policy.custom_roles),
        )
        wanted_ids = list(self._wanted(index))
        named = {*wanted_ids, *index.ours}
        subjects: dict[ResourceId, Resource | UserIdentity] = {
            **{one.id: one for one in self.inventory.resources(self._types(index))},
            **{one: found for one, found in index.identities.items() if one in named},
        }
        plans = {one: self._plan(found, index, began) for one, found in subjects.items()}
        removals = self._removals(plans.values(), sum(map(len, index.ours.values())))
        wrong = [one.id for one in plans.values() if _needs_a_look(one)]
        missed = self._missed(index, plans)
        chosen = [
            Request(one, began, removals if one in plans else None)
            for one in dict.fromkeys([*wrong, *wanted_ids, *missed])
            if scope.contains(one) or self._reaches(one, subjects.get(one), scope, index)
        ]
        _log.info("sweep of %s: %d of %d nominated", scope, len(chosen), len(plans))
        return Result(requests=tuple(chosen))

    def _wanted(self, index: "_Index") -> Iterator[ResourceId]:
        """Yield the identities in policy; of those with placeholders the ones that are there."""
        for entry in self.policy.identities.values():
            if entry.id.exact:
                yield entry.id.exact
            else:
                yield from filter(entry.id.may_be, index.identities)

    def _types(self, index: "_Index") -> set[str]:
        """Return the types of what policy speaks of, and of what still holds a right of ours."""
        if any(entry.exclusive for entry in self.policy.identities.values()):
            # Any resource may carry what only some may.
            return set(API_VERSIONS)
        marked = {one.type for one in index.ours if fold(one.type) in API_VERSIONS}
        return marked | {name for rule in self.policy.rules for name in rule.match.type}

    def _plan(self, subject: Resource | UserIdentity, index: "_Index", at: datetime) -> Plan:
        desired = desired_of(self.policy, subject)
        observed = Observed(
            subject.id,
            at,
            subject,
            tuple(index.about(subject)),
            self._identities(desired, index),
            roles=index.roles,
        )
        request = Request(subject.id, removals=self.terms.digest)
        return plan(desired, observed, request, self.terms)

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

    def _removals(self, plans: Iterable[Plan], ours: int) -> str | None:
        """Return the digest under which unwanted rights may go, none where they are too many."""
        limits = self.policy.guardrails.max_removals
        allowed = max(limits.count, ours * limits.percent // 100)
        unwanted = sum(_unwanted(one) for one in plans)
        if unwanted <= allowed:
            return self.terms.digest
        _log.warning(
            "sweep: %d unwanted rights and identities are kept, since at most %d may go at once; "
            "raise maxRemovals in guardrails.yaml, or remove them one by one with `apply`",
            unwanted,
            allowed,
        )
        return None

    def _missed(self, index: "_Index", known: Container[ResourceId]) -> Iterator[ResourceId]:
        """Yield what markers of ours name and the index does not show: gone, or very young.

        It is asked for without leave to remove: what is gone needs none, and what is not gone was
        not counted against the limit.
        """
        for named in index.ours:
            if named not in known and is_reconciled(named) and self.terms.watches(named):
                yield named

    def _reaches(
        self,
        one: ResourceId,
        subject: Resource | UserIdentity | None,
        scope: ResourceId,
        index: "_Index",
    ) -> bool:
        """Tell whether an id is granted something in a scope, or was moved out of it."""
        # Which entry of a map a subject picks is not told by its id.
        own = {grant.what.scope for grant in desired_of(self.policy, subject).grants}
        places = own.union(wanted.scopes_from(self.policy, one), index.former(subject))
        return any(map(scope.contains, places))


class _Index:
    """Resource Graph's rows, ready to be asked about one subject at a time."""

    def __init__(
        self,
        terms: Terms,
        assignments: Sequence[RoleAssignment],
        identities: dict[ResourceId, UserIdentity],
        roles: Mapping[str, bool | None],
    ) -> None:
        self.identities = identities
        self.roles = roles
        self.ours: dict[ResourceId, list[RoleAssignment]] = defaultdict(list)
        self._former: dict[str, set[ResourceId]] = defaultdict(set)
        self._by_principal: dict[str, list[RoleAssignment]] = defaultdict(list)
        for assignment in assignments:
            self._by_principal[assignment.principal].append(assignment)
            marker = terms.ownership.marker_of(assignment)
            if marker:
                self.ours[marker.resource].append(assignment)
                self._former[assignment.principal].add(marker.resource)

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


def _needs_a_look(one: Plan) -> bool:
    """Tell whether a look could change something: a lasting hold alone stays as it is."""
    return bool(one.changes) or any(held.hold.passing for held in one.withheld)


def _unwanted(one: Plan) -> int:
    return sum(
        isinstance(change, DeleteAssignment | DetachIdentity) and change.reason in _UNWANTED
        for change in one.changes
    )
