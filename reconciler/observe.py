"""One complete look at one id, in the order that makes it safe to act on.

`reconciler.reconcile` and the command line look through an `Observer`, which the app makes once;
the sweep uses the same functions on Resource Graph's rows. A look is complete or raises: nothing is
decided on half of it.
"""

import contextlib
from collections.abc import Collection, Container, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler import resource_types, roles
from reconciler.azure.client import Arm
from reconciler.azure.graph import Inventory
from reconciler.azure.memory import Remembered
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
    UserIdentity,
)
from reconciler.plan import PlanContext
from reconciler.plan.evidence import unsettled
from reconciler.plan.identities import has_to_attach
from reconciler.policy import Policy
from reconciler.policy import desired as wanted

type Subject = Resource | UserIdentity
type Moves = tuple[tuple[datetime, ...], bool]
"""When resources were moved out of a group, and whether the log could be read completely."""

# Pages of 200 entries (facts: Activity log). An id with more pages is not read completely, so its
# log proves no end.
_LOG_PAGES: Final = 50
# The log refuses a period that begins more than 90 days ago, by minutes even (facts: Activity log).
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
        """Read a resource or user-assigned identity with all that its plan needs; `at` is now.

        Raises `Conflict` where the subject changed while it was being read, and another `ArmError`
        where an answer that the decision needs is missing.
        """
        # 1. Rights, before the subject that explains them. A replaced principal never comes back,
        # so a right whose principal is not the one read afterwards may be of an earlier principal.
        # In the other order, a right granted between the two reads would look the same.
        early = wanted.scopes_from(self.policy, request.id)
        rights: dict[ResourceId, RoleAssignment] = {}
        for scope in early:
            rights |= {right.id: right for right in self.arm.assignments_at(scope)}
        # 2. The subject, and with it what policy wants.
        subject = self.subject(request.id)
        desired = desired_of(self.policy, subject)
        # 3. Rights at scopes that only the subject's tags or location name. They are read after the
        # subject, so `_with_evidence` reads the subject once more before any of them may go.
        late = {grant.what.place for grant in desired.grants} - set(early)
        for scope in sorted(late, key=lambda scope: scope.key):
            rights |= {right.id: right for right in self.arm.assignments_at(scope)}
        # 4. Lists lag: of a right that an event says was written or deleted, its own GET decides.
        changed = (Sight.WRITTEN, Sight.DELETED)
        named = {seen.about for seen in request.sightings if seen.what in changed}
        for assignment in [right for right in rights if right.key in named]:
            try:
                rights[assignment] = self.arm.assignment(assignment)
            except NotFound:
                del rights[assignment]
        observed = Observed(
            id=request.id,
            at=at,
            subject=subject,
            assignments=tuple(rights.values()),
            # 5. Identities by their own GET: a resource's block may show a stale principal.
            identities=self._identities(desired),
            roles=privileged_roles(
                self.arm, self.policy, {grant.what.role for grant in desired.grants}
            ),
        )
        # 6. Evidence of what is dead, read only where something may go: all looks share the few
        # queries that Resource Graph and the activity log allow.
        gone = self._gone_entries(request, observed, desired)
        if gone or self._may_retire(request, observed):
            observed = self._with_evidence(request, observed, gone)
        # 7. Whether the scopes of missing rights exist. Last, since it may cost a query as well.
        return replace(observed, absent=self._absent(observed, desired))

    def subject(self, subject: ResourceId) -> Subject | None:
        """Read a resource or identity; none where its GET is 404, which does not prove it gone."""
        try:
            if subject.is_type(USER_ASSIGNED_IDENTITY):
                return self.arm.user_identity(subject)
            return self.arm.resource(subject)
        except NotFound:
            return None

    def _identities(self, desired: Desired) -> dict[ResourceId, UserIdentity | None]:
        """Read each identity that policy wants attached, and those that may be exclusive."""
        identities: dict[ResourceId, UserIdentity | None] = {}
        for identity in desired.attach:
            read = self.subject(identity.what)
            identities[identity.what] = read if isinstance(read, UserIdentity) else None
        for identity in desired.unwelcome:
            # Anybody may have attached an identity that we may not read. The look goes on without.
            with contextlib.suppress(Blocked, NotFound):
                carried = self.arm.user_identity(identity.what)
                if wanted.is_exclusive(self.policy, carried):
                    identities[identity.what] = carried
        return identities

    def _gone_entries(
        self, request: Request, observed: Observed, desired: Desired
    ) -> tuple[ResourceId, ...]:
        """Return the missing identities whose end must be proved: their entries block an attach.

        Each has been missing for RECONCILER_GONE_AFTER, and the resource still has its entry while
        another identity is to be attached.
        """
        subject, identities = observed.subject, observed.identities
        if not isinstance(subject, Resource) or not has_to_attach(subject, desired, identities):
            return ()
        return tuple(
            identity.what
            for identity in desired.attach
            if identities.get(identity.what) is None
            and subject.identities.entry(identity.what)
            and (since := request.sighted(Sight.GONE, identity.what.key) or observed.at)
            and self.context.asked_at(since, observed.at)
        )

    def _may_retire(self, request: Request, observed: Observed) -> bool:
        """Return whether the plan may take a right away, so that Resource Graph must be asked."""
        subject, at = observed.subject, observed.at
        if request.removals:
            return True
        if subject is None:
            return self.context.asked_at(request.sighted(Sight.GONE) or at, at)
        retired = self._retired(observed)
        if not retired or subject.principal is None:
            return False
        if isinstance(subject, UserIdentity):
            return True
        # A resource that is still being built, or whose identity type is not understood, keeps its
        # rights whatever Resource Graph shows.
        building = unsettled(subject, at, self.context.settle)
        if building or subject.identities.raw_type is not None:
            return False
        # A right that is younger than the resource stays as well, since it may belong to a
        # principal that no read has shown yet. So one right at least must be older.
        built = subject.created
        return built is None or any(right.created and right.created < built for right in retired)

    def _retired(self, observed: Observed) -> list[RoleAssignment]:
        """Return our assignments whose marker names the id, but not those of today's principal."""
        return [
            right
            for right in observed.assignments
            if (marker := self.context.ownership.marker_of(right))
            and marker.names(observed.id)
            and right.principal != observed.principal
        ]

    def _with_evidence(
        self, request: Request, observed: Observed, gone: Collection[ResourceId]
    ) -> Observed:
        """Return a look with the evidence of what is dead, and rights that only Resource Graph had.

        Raises `Conflict` where a second read of the subject shows something else.
        """
        place, at, subject = observed.id, observed.at, observed.subject
        # One query for all ids and principals. Its rows are late, so each right that they name is
        # read by its own GET.
        principals = {right.principal for right in self._retired(observed)}
        if observed.principal:
            principals.add(observed.principal)
        traces, nominated = self.inventory.traces(
            [place, *gone], principals, self.context.ownership
        )
        rights = {right.id: right for right in observed.assignments}
        for assignment in nominated:
            if assignment not in rights:
                with contextlib.suppress(NotFound):
                    rights[assignment] = self.arm.assignment(assignment)
        observed = replace(observed, assignments=tuple(rights.values()), traces=traces)
        retired = self._retired(observed)
        # A single answer may be torn or early, and show another principal or none. So two reads
        # must agree before a right goes.
        confirmed = subject is not None and bool(retired)
        if subject and confirmed:
            again = self.subject(place)
            if again is None or _identified(again) != _identified(subject):
                raise Conflict(f"{place} changed while it was being read", code=CHANGED)
        # The activity log is asked for an end only where Resource Graph shows no trace of the id.
        # It is late, so even a request with removals does not ask it before its time.
        lost = list(gone)
        if (
            subject is None
            and self.context.asked_at(request.sighted(Sight.GONE) or at, at)
            and any(traces.holder(right.principal, place) is None for right in retired)
        ):
            lost.append(place)
        endings = {end: self._ending(end, at) for end in lost if end not in traces.shown}
        if confirmed and isinstance(subject, Resource):
            # The machine that had this id before may have been moved to where Resource Graph shows
            # us nothing. Where the log does not answer, the old right stays, and the rest of the
            # look is good without it.
            try:
                endings[place] = Ending(None, *self._moves_from(place, at))
            except (Again, Blocked):
                endings[place] = Ending(complete=False)
        return replace(observed, confirmed=confirmed, endings=endings)

    def _ending(self, place: ResourceId, at: datetime) -> Ending:
        """Ask the activity log for the end of an id: its last deletion or Spot eviction."""
        delete, evict, write = (
            fold(f"{place.type}/{action}") for action in ("delete", "evictSpotVM/action", "write")
        )
        entries, complete = self.arm.written(place, at - _LOG_ASKED, at, pages=_LOG_PAGES)
        log = [(entry.at, fold(entry.operation)) for entry in entries if entry.succeeded]
        ends = [entry for entry in log if entry[1] in {delete, evict}]
        if not ends:
            return Ending(complete=complete)
        ended, operation = max(ends, key=lambda entry: entry[0])
        evicted = operation == evict
        # A write after a deletion shows that the id is there again. After an eviction any operation
        # shows that the eviction only stopped the machine.
        if any(time > ended and (evicted or later == write) for time, later in log):
            return Ending(complete=complete)
        moves, whole = self._moves_from(place, at)
        return Ending(ended, moves, complete and whole, evicted)

    def _moves_from(self, place: ResourceId, at: datetime) -> Moves:
        """Return when resources were moved out of an id's group, and whether the log was complete.

        A move that has only begun counts, too. One answer serves the whole group for a minute.
        """
        group = place.group_id
        if group is None:
            return (), True
        known = self.moves.get(group, at)
        if known is None:
            entries, whole = self.arm.written(group, at - _LOG_ASKED, at, pages=_LOG_PAGES)
            moves = (entry for entry in entries if "/moveresources/" in fold(entry.operation))
            known = tuple(entry.at for entry in moves), whole
            self.moves.put(group, known, at)
        return known

    def _absent(self, observed: Observed, desired: Desired) -> Mapping[ResourceId, tuple[str, ...]]:
        """Return the scopes of missing rights that do not exist, each with ids spelled alike.

        A scope that contains the subject exists. Subscriptions, management groups and types that
        Resource Graph does not show are not judged.
        """
        if observed.subject is None:
            return {}
        at, principal = observed.at, observed.principal
        held = {(right.principal, right.role, right.scope) for right in observed.assignments}
        asked = {
            scope
            for grant in desired.grants
            if (scope := grant.what.place).group
            and grant.mode is Mode.REPAIR
            and (principal, grant.what.role, scope) not in held
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
            if scope in groups or resource_types.find(scope.type).indexed:
                self.scopes.put(scope, None, at)
        return absent


def _identified(subject: Subject) -> tuple[object, ...]:
    """Return what two reads of one subject must agree on before any right goes because of it."""
    if isinstance(subject, Resource):
        return subject.incarnation, subject.identities
    return (subject.principal,)


def privileged_roles(arm: Arm, policy: Policy, wanted: Container[str]) -> Mapping[str, bool | None]:
    """Return which of policy's custom roles (GUIDs) are privileged; none where one is not readable.

    The observer and the sweep read them each time, because a custom role can become privileged
    after it was granted.
    """
    privileged: dict[str, bool | None] = {}
    for guid, definition in policy.custom_roles.items():
        if guid in wanted:
            try:
                permissions = arm.permissions(definition)
            except (NotFound, Blocked):
                privileged[guid] = None
            else:
                privileged[guid] = any(
                    roles.is_privileged(*astuple(permission)) for permission in permissions
                )
    return privileged


def desired_of(policy: Policy, subject: Subject | None) -> Desired:
    """Return what policy wants of a subject; nothing of one that is gone."""
    match subject:
        case Resource():
            return wanted.for_resource(policy, subject)
        case UserIdentity():
            return wanted.for_identity(policy, subject)
        case None:
            return Desired()
