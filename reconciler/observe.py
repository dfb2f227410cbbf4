"""One complete look at one id, in the order that makes it safe to act on.

Role assignments are read before the resource or identity that explains them. A principal never
returns, so one that was seen earlier and differs from the one read later may be retired; whether
it is dead needs more than that, and `Observer` asks for it only where something may go: a second
read of the subject, one question to Resource Graph, and the activity log for what is not found.
"""

import contextlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler import roles
from reconciler.azure.client import Arm
from reconciler.azure.graph import SHOWN, Inventory
from reconciler.changes import CHANGED
from reconciler.errors import Again, Blocked, Conflict, NotFound
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    LOG_KEPT,
    USER_ASSIGNED_IDENTITY,
    Desired,
    Ending,
    Mode,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    Sight,
    Traces,
    UserIdentity,
    Written,
)
from reconciler.plan import PlanContext
from reconciler.plan.evidence import unsettled
from reconciler.plan.identities import is_busy, missing_identities
from reconciler.policy import Policy
from reconciler.policy import desired as wanted
from reconciler.remembered import Remembered

type Subject = Resource | UserIdentity
type Moves = tuple[tuple[datetime, ...], bool]
"""When resources were moved out of a group, and whether that is all of it."""

# Pages of 200 entries; who needs more of them than this cannot be told the end of anything.
_LOG_PAGES: Final = 50
# The log refuses a question about more than 90 days by the minute.
_LOG_ASKED: Final = LOG_KEPT - timedelta(minutes=5)
MOVES_SERVE: Final = timedelta(minutes=1)
"""How long one answer about moves from a group serves all that lay in it."""
SCOPES_SERVE: Final = timedelta(hours=1)
"""How long a scope that was there counts as there."""


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads everything that a decision about one id needs, or raises `ArmError`.

    `moves` and `scopes` are what the process remembers: when resources were moved out of a group,
    and which scopes were there.
    """

    arm: Arm
    inventory: Inventory
    policy: Policy
    context: PlanContext
    moves: Remembered[ResourceId, Moves]
    scopes: Remembered[ResourceId, None]

    def look(self, request: Request, at: datetime) -> Observed:
        """Observe a resource or user-assigned identity completely; `at` is the time of the look.

        Raises `Conflict` where the subject changed while it was being read.
        """
        early = wanted.scopes_from(self.policy, request.id)
        found: dict[ResourceId, RoleAssignment] = {}
        for scope in early:
            found |= {one.id: one for one in self.arm.assignments_at(scope)}
        subject = self.subject(request.id)
        desired = desired_of(self.policy, subject)
        late = {grant.what.place for grant in desired.grants} - set(early)
        for scope in sorted(late, key=lambda scope: scope.key):
            found |= {one.id: one for one in self.arm.assignments_at(scope)}
        self._drop_deleted(request, found)
        identities = self._identities(desired)
        gone = self._gone_entries(request, at, subject, desired, identities)
        confirmed, traces = False, None
        if gone or self._asks(request, at, subject, found.values()):
            traces = self._traces(request.id, subject, gone, found)
            confirmed = self._confirm(request.id, subject, found.values())
        observed = Observed(
            id=request.id,
            at=at,
            subject=subject,
            assignments=tuple(found.values()),
            identities=identities,
            roles=self._privileged_roles(desired),
            confirmed=confirmed,
            traces=traces,
        )
        return replace(
            observed,
            endings={
                **{one: self._ending(one, at) for one in self._lost(request, observed, gone)},
                **self._replaced(observed),
            },
            absent=self._absent(observed, desired),
        )

    def subject(self, subject: ResourceId) -> Subject | None:
        """Read a resource or identity; none where its GET is 404, which alone proves no end."""
        try:
            if subject.is_type(USER_ASSIGNED_IDENTITY):
                return self.arm.user_identity(subject)
            return self.arm.resource(subject)
        except NotFound:
            return None

    def _drop_deleted(self, request: Request, found: dict[ResourceId, RoleAssignment]) -> None:
        """Drop what an event says was deleted, where its own GET agrees: lists lag."""
        told = {one.about for one in request.sightings if one.what is Sight.DELETED}
        for assignment in [one for one in found if one.key in told]:
            try:
                self.arm.assignment(assignment)
            except NotFound:
                del found[assignment]

    def _identities(self, desired: Desired) -> dict[ResourceId, UserIdentity | None]:
        """Read each identity that policy wants attached, or off, by its own GET, not the map."""
        found: dict[ResourceId, UserIdentity | None] = {}
        for identity in desired.attach:
            read = self.subject(identity.what)
            found[identity.what] = read if isinstance(read, UserIdentity) else None
        for identity in desired.unwelcome:
            # Anybody may have attached one that we may not read; it must not stop the look.
            with contextlib.suppress(Blocked, NotFound):
                carried = self.arm.user_identity(identity.what)
                if wanted.is_exclusive(self.policy, carried):
                    found[identity.what] = carried
        return found

    def _gone_entries(
        self,
        request: Request,
        at: datetime,
        subject: Subject | None,
        desired: Desired,
        identities: Mapping[ResourceId, UserIdentity | None],
    ) -> tuple[ResourceId, ...]:
        """Return identities not found, for long enough, whose entry keeps others from attaching."""
        if not isinstance(subject, Resource):
            return ()
        missing = missing_identities(subject, desired)
        if not any(one is None or identities.get(one) for one in missing):
            return ()
        return tuple(
            identity.what
            for identity in desired.attach
            if identities.get(identity.what) is None
            and subject.identities.entry(identity.what)
            and (since := request.sighted(Sight.GONE, identity.what.key) or at)
            and self.context.asked_at(since, at)
        )

    def _asks(
        self,
        request: Request,
        at: datetime,
        subject: Subject | None,
        found: Iterable[RoleAssignment],
    ) -> bool:
        """Return whether something may go, so that Resource Graph must be asked."""
        if request.removals:
            return True
        if subject is None:
            return self.context.asked_at(request.sighted(Sight.GONE) or at, at)
        old = self._retired(request.id, subject, found)
        if not old or subject.principal is None:
            return False
        if isinstance(subject, UserIdentity):
            return True
        building = is_busy(subject) or unsettled(subject, at, self.context.settle)
        if building or subject.identities.raw_type is not None:
            return False
        made = subject.created
        return made is None or any(one.created and one.created < made for one in old)

    def _retired(
        self, place: ResourceId, subject: Subject | None, found: Iterable[RoleAssignment]
    ) -> list[RoleAssignment]:
        """Return what is ours and marked with the id, but belongs to another principal."""
        principal = subject.principal if subject else None
        return [
            one
            for one in found
            if (marker := self.context.ownership.marker_of(one))
            and marker.names(place)
            and one.principal != principal
        ]

    def _traces(
        self,
        place: ResourceId,
        subject: Subject | None,
        gone: Collection[ResourceId],
        found: dict[ResourceId, RoleAssignment],
    ) -> Traces:
        """Ask Resource Graph once; each assignment that it names is read before it is believed."""
        principals = {one.principal for one in self._retired(place, subject, found.values())}
        if subject and subject.principal:
            principals.add(subject.principal)
        traces, nominated = self.inventory.traces(
            [place, *gone], principals, self.context.ownership
        )
        for assignment in nominated:
            if assignment not in found:
                with contextlib.suppress(NotFound):
                    found[assignment] = self.arm.assignment(assignment)
        return traces

    def _confirm(
        self, place: ResourceId, subject: Subject | None, found: Iterable[RoleAssignment]
    ) -> bool:
        """Read the subject once more where it may retire something; raise where it changed."""
        if subject is None or not self._retired(place, subject, found):
            return False
        again = self.subject(place)
        if again is None or _shown(again) != _shown(subject):
            raise Conflict(f"{place} changed while it was being read", code=CHANGED)
        return True

    def _lost(
        self, request: Request, observed: Observed, gone: Iterable[ResourceId]
    ) -> Iterator[ResourceId]:
        """Yield what is not found and leaves no trace, where its end would let something go.

        The log is late: it is not asked before its time, be it for a person or a sweep.
        """
        traces = observed.traces
        if traces is None:
            return
        lost = list(gone)
        since = request.sighted(Sight.GONE) or observed.at
        if observed.subject is None and self.context.asked_at(since, observed.at):
            ours = self._retired(observed.id, None, observed.assignments)
            if any(traces.holder(one.principal, observed.id) is None for one in ours):
                lost.append(observed.id)
        yield from (one for one in lost if one not in traces.shown)

    def _ending(self, place: ResourceId, at: datetime) -> Ending:
        entries, complete = self.arm.written(place, at - _LOG_ASKED, at, pages=_LOG_PAGES)
        log = [one for one in entries if one.succeeded]
        end = max((one for one in log if _ends(one, place)), key=lambda one: one.at, default=None)
        evicted = end is not None and _evicts(end, place)
        if end is None or any(one.at > end.at and (evicted or _writes(one, place)) for one in log):
            # Whatever was done to a machine after its eviction shows that this only stopped it.
            return Ending(complete=complete)
        moves, whole = self._moves_from(place, at)
        return Ending(end.at, moves, complete and whole, evicted)

    def _moves_from(self, place: ResourceId, at: datetime) -> Moves:
        """Return when resources were moved out of an id's group, and whether that is all of it.

        One answer of the activity log serves the whole group for a minute.
        """
        group = place.group_id
        if group is None:
            return (), True
        known = self.moves.get(group, at)
        if known is None:
            entries, whole = self.arm.written(group, at - _LOG_ASKED, at, pages=_LOG_PAGES)
            known = tuple(one.at for one in entries if _moves(one)), whole
            self.moves.put(group, known, at)
        return known

    def _replaced(self, observed: Observed) -> Mapping[ResourceId, Ending]:
        """Ask the activity log whether what a machine replaces may have been moved elsewhere.

        Into a subscription that we cannot read, say, where Resource Graph shows nothing of it. What
        the log does not tell keeps only the old right: the rest of the look stands without it.
        """
        if not observed.confirmed or not isinstance(observed.subject, Resource):
            return {}
        try:
            moves, complete = self._moves_from(observed.id, observed.at)
        except (Again, Blocked):
            moves, complete = (), False
        return {observed.id: Ending(None, moves, complete)}

    def _absent(self, observed: Observed, desired: Desired) -> Mapping[ResourceId, tuple[str, ...]]:
        """Return the scopes of rights to be granted that are not there; others are not asked for.

        What the subject lies in is there; a subscription, a management group, and what lies below a
        resource is not judged.
        """
        if observed.subject is None:
            return {}
        at, held = (
            observed.at,
            {(one.principal, one.role, one.scope) for one in observed.assignments},
        )
        asked = {
            scope
            for grant in desired.grants
            if (scope := grant.what.place).group
            and grant.mode is Mode.REPAIR
            and (observed.principal, grant.what.role, scope) not in held
            and not scope.contains(observed.id)
            and self.scopes.age(scope, at) is None
            and self.context.hold_on_grant(grant.what.role, scope, observed.roles) is None
        }
        groups = {scope for scope in asked if not scope.blocks}
        absent: dict[ResourceId, tuple[str, ...]] = {
            group: () for group in groups if not self.arm.group_exists(group)
        }
        absent |= self.inventory.absent(asked - groups)
        for scope in asked - set(absent):
            if scope in groups or fold(scope.type) in SHOWN:
                self.scopes.put(scope, None, at)
        return absent

    def _privileged_roles(self, desired: Desired) -> Mapping[str, bool | None]:
        return privileged_roles(self.arm, self.policy, {one.what.role for one in desired.grants})


def _shown(subject: Subject) -> tuple[object, ...]:
    """Return what two reads of one subject must agree on."""
    if isinstance(subject, Resource):
        return subject.incarnation, subject.identities
    return (subject.principal,)


def _ends(entry: Written, place: ResourceId) -> bool:
    """Return whether an entry of an id's own log tells of its end; a Spot eviction is one, too."""
    return fold(entry.operation) == fold(f"{place.type}/delete") or _evicts(entry, place)


def _evicts(entry: Written, place: ResourceId) -> bool:
    return fold(entry.operation) == fold(f"{place.type}/evictSpotVM/action")


def _writes(entry: Written, place: ResourceId) -> bool:
    return fold(entry.operation) == fold(f"{place.type}/write")


def _moves(entry: Written) -> bool:
    """Return whether an entry tells of a move, be it one that has only begun."""
    return "/moveresources/" in fold(entry.operation)


def privileged_roles(arm: Arm, policy: Policy, wanted: Container[str]) -> Mapping[str, bool | None]:
    """Read the custom ones of some roles (GUIDs), and say which are privileged.

    Whoever may change a custom role changes what was granted with it, so it is read every time.
    """
    found: dict[str, bool | None] = {}
    for guid, definition in policy.custom_roles.items():
        if guid in wanted:
            try:
                permissions = arm.permissions(definition)
            except (NotFound, Blocked):
                found[guid] = None
            else:
                found[guid] = any(roles.is_privileged(*astuple(one)) for one in permissions)
    return found


def desired_of(policy: Policy, subject: Subject | None) -> Desired:
    """Return what policy wants of a subject; nothing of one that is gone."""
    match subject:
        case Resource():
            return wanted.for_resource(policy, subject)
        case UserIdentity():
            return wanted.for_identity(policy, subject)
        case None:
            return Desired()
