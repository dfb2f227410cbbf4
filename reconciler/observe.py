"""One complete look at one id, in the order that makes it safe to act on.

Role assignments are read before the resource or identity that explains them. A principal never
returns, so one that was seen earlier and differs from the one read later is truly retired. What
has to be read after the subject is only trusted when a second read of the subject agrees.
"""

import contextlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime

from reconciler import roles
from reconciler.arm import API_VERSIONS, Arm
from reconciler.errors import Blocked, Conflict, NotFound
from reconciler.ids import ResourceId, fold
from reconciler.inventory import Inventory
from reconciler.marker import Marker, Ownership
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    Desired,
    Observed,
    Request,
    Resource,
    RoleAssignment,
    UserIdentity,
)
from reconciler.policy import desired as wanted
from reconciler.policy.language import Policy

type Subject = Resource | UserIdentity


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads everything that a decision about one id needs, or raises `ArmError`."""

    arm: Arm
    inventory: Inventory
    policy: Policy
    ownership: Ownership

    def look(self, request: Request, at: datetime) -> Observed:
        """Observe a resource or user-assigned identity completely; `at` is the time of the look.

        Raises `Conflict` where the subject changed while it was being read.
        """
        early = wanted.scopes_from(self.policy, request.id)
        found = _Found()
        for scope in early:
            found.add(self.arm.assignments_at(scope))
        subject = self.subject(request.id)
        desired = desired_of(self.policy, subject)
        late = {grant.what.scope for grant in desired.grants} - set(early)
        before = found.ids
        for scope in sorted(late, key=lambda scope: scope.key):
            found.add(self.arm.assignments_at(scope))
        if subject is None or request.removals:
            found.add(self._marked(request.id, known=before))
        self._confirm(request.id, subject, (found.by_id[key] for key in found.ids - before))
        return Observed(
            id=request.id,
            at=at,
            subject=subject,
            assignments=tuple(found.by_id.values()),
            identities=self._identities(desired),
            roles=privileged_roles(
                self.arm, self.policy, {grant.what.role for grant in desired.grants}
            ),
            carriers={} if subject else self._carriers(request.id, found.by_id.values()),
        )

    def subject(self, subject: ResourceId) -> Subject | None:
        """Read a resource or identity; none where it is gone by two sources."""
        try:
            return self._read(subject)
        except NotFound:
            if self.arm.is_listed(subject):
                raise Conflict(
                    f"{subject} was not found, but its group still lists it", code="StillListed"
                ) from None
            return None

    def _read(self, subject: ResourceId) -> Subject:
        if subject.is_type(USER_ASSIGNED_IDENTITY):
            return self.arm.user_identity(subject)
        return self.arm.resource(subject)

    def _identities(self, desired: Desired) -> Mapping[ResourceId, UserIdentity | None]:
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

    def _marked(self, subject: ResourceId, known: set[ResourceId]) -> tuple[RoleAssignment, ...]:
        """Read assignments anywhere whose marker names the id; the index only nominates them."""
        owners = {self.ownership.owner, *self.ownership.former_owners}
        named = self.inventory.marked(str(Marker(owner, subject)) for owner in owners)
        read: list[RoleAssignment] = []
        for assignment in named:
            if assignment not in known:
                try:
                    read.append(self.arm.assignment(assignment))
                except NotFound:
                    continue
        return tuple(read)

    def _confirm(
        self, place: ResourceId, subject: Subject | None, late: Iterable[RoleAssignment]
    ) -> None:
        """Read the subject once more where an assignment read after it would be retired by it."""
        principal = subject.principal if subject else None
        for assignment in late:
            marker = self.ownership.marker_of(assignment)
            retired = marker and marker.resource == place
            if retired and assignment.principal != principal:
                if self._principal(place) != principal:
                    raise Conflict(f"{place} changed while it was being read", code="Changed")
                return

    def _principal(self, place: ResourceId) -> str | None:
        try:
            return self._read(place).principal
        except NotFound:
            return None

    def _carriers(
        self, gone: ResourceId, assignments: Iterable[RoleAssignment]
    ) -> Mapping[str, ResourceId]:
        """Find who still carries a gone resource's principals: a moved machine keeps its own."""
        if gone.is_type(USER_ASSIGNED_IDENTITY):
            return {}
        principals = {
            assignment.principal
            for assignment in assignments
            if (marker := self.ownership.marker_of(assignment)) and marker.resource == gone
        }
        if not principals:
            return {}
        carriers: dict[str, ResourceId] = {}
        for named in self.inventory.carriers(principals):
            if fold(named.type) not in API_VERSIONS:
                # It cannot be read by us, so the index is believed when it says "still there".
                carriers |= dict.fromkeys(principals, named)
                continue
            carrier = self.subject(named)
            if carrier and carrier.principal in principals:
                carriers[carrier.principal] = named
        return carriers


def is_reconciled(place: ResourceId) -> bool:
    """Tell whether an id is a resource or identity that can be brought to what policy asks.

    Both lie in a resource group; what a message names below another resource is neither.
    """
    alone = place.group is not None and len(place.blocks) == 1
    return alone and (fold(place.type) in API_VERSIONS or place.is_type(USER_ASSIGNED_IDENTITY))


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


class _Found:
    """The assignments that were read, each once."""

    def __init__(self) -> None:
        self.by_id: dict[ResourceId, RoleAssignment] = {}

    @property
    def ids(self) -> set[ResourceId]:
        return set(self.by_id)

    def add(self, assignments: Iterable[RoleAssignment]) -> None:
        for assignment in assignments:
            self.by_id.setdefault(assignment.id, assignment)
