"""The marker in an assignment's description, and what makes an assignment ours.

State lives in Azure itself: an assignment says which deployment made it and for which resource.
Anybody who may write assignments can forge that text, so it is one of four marks: marker, principal
type, who created the assignment and who updated it last. The two makers cannot be forged. The name
is no mark: it can be computed, and taken, by anybody.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Final

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import ROLE_ASSIGNMENT, RoleAssignment

NAMESPACE: Final = uuid.UUID("ae4fd897-d481-50aa-8b07-a3d143e52e06")
MAX_LENGTH: Final = 512
SERVICE_PRINCIPAL: Final = "ServicePrincipal"

# "=" is kept for the keys, so that a fourth one is not taken for the end of the resource's name.
_MARKER = re.compile(
    r"heritage=identity-reconciler,owner=([a-z0-9-]{1,40}),resource=(/[^=]*)", re.DOTALL
)


def _lower(text: str) -> str:
    """Return the spelling that markers and names are made from, whatever ids are compared by.

    It is a format: texts and names that were made from it stand in Azure.
    """
    return text.lower()


@dataclass(frozen=True, slots=True)
class Marker:
    """Which deployment of ours made an assignment, and for which resource or identity."""

    owner: str
    resource: ResourceId

    def __str__(self) -> str:
        """Render the text that goes into the description; keys in a fixed order."""
        resource = _lower(str(self.resource))
        return f"heritage=identity-reconciler,owner={self.owner},resource={resource}"

    def names(self, resource: ResourceId) -> bool:
        """Return whether the marker was written for a resource.

        It holds lower case, which is more than the comparison of ids forgives (KELVIN SIGN).
        """
        return _lower(str(self.resource)) == _lower(str(resource))


def parse(description: str | None) -> Marker | None:
    """Read a marker; anything but the exact form is no marker, so the assignment is not ours."""
    if not description or len(description) > MAX_LENGTH:
        return None
    found = _MARKER.fullmatch(description)
    if not found:
        return None
    owner, resource = found.groups()
    if resource != _lower(resource):
        return None
    try:
        return Marker(owner, ResourceId.parse(resource))
    except ResourceIdError:
        return None


def assignment_name(scope: ResourceId, role: str, principal: str) -> str:
    """Return the name that our assignment of this triple bears, for ever."""
    return str(uuid.uuid5(NAMESPACE, _lower(f"{scope}|{role}|{principal}")))


def assignment_id(scope: ResourceId, role: str, principal: str) -> ResourceId:
    """Return the id that our assignment of this triple has."""
    name = assignment_name(scope, role, principal)
    return ResourceId.parse(f"{str(scope).rstrip('/')}/providers/{ROLE_ASSIGNMENT}/{name}")


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which assignments are ours: our owner, its former names, and the principals that we were."""

    owner: str
    makers: frozenset[str]
    former_owners: frozenset[str] = frozenset()

    def marker_for(self, resource: ResourceId) -> str:
        """Return the marker text that we write for a resource or identity."""
        return str(Marker(self.owner, resource))

    def marker_of(self, assignment: RoleAssignment) -> Marker | None:
        """Return the marker of an assignment that is ours by all four marks, else none."""
        ours = self.made(assignment) and self.updated(assignment)
        return self.claimed(assignment) if ours else None

    def claimed(self, assignment: RoleAssignment) -> Marker | None:
        """Return the marker by which an assignment claims to be ours, whoever wrote it."""
        found = parse(assignment.description)
        owned = found and found.owner in {self.owner, *self.former_owners}
        return found if owned and assignment.principal_type == SERVICE_PRINCIPAL else None

    def lost(self, assignment: RoleAssignment) -> bool:
        """Return whether we made it, but its marker is lost or another updated it last.

        Whoever wrote it last may have rewritten the marker. What our own maker last wrote for
        another owner belongs to that deployment of ours.
        """
        if not self.made(assignment) or self.marker_of(assignment):
            return False
        return parse(assignment.description) is None or not self.updated(assignment)

    def may_write(self, assignment: RoleAssignment) -> bool:
        """Return whether it is ours, or was made by us and lost its marker."""
        return self.marker_of(assignment) is not None or self.lost(assignment)

    def made(self, assignment: RoleAssignment) -> bool:
        """Return whether one of our principals created it, for a service principal.

        `createdBy` is null in a PUT's answer (facts: Role assignments): not yet ours.
        """
        return (
            assignment.principal_type == SERVICE_PRINCIPAL and assignment.created_by in self.makers
        )

    def updated(self, assignment: RoleAssignment) -> bool:
        """Return whether one of our principals wrote it last."""
        return assignment.updated_by in self.makers
