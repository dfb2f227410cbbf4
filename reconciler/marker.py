"""The marker in an assignment's description, and what makes an assignment ours.

State lives in Azure itself: an assignment's description names the deployment that made it and the
resource that it is for. Anybody who may write assignments can forge that text, so it is one of four
marks: marker, principal type, who created the assignment and who updated it last. The last two
cannot be forged. The assignment's name is no mark: anybody can compute it, and take it.

Markers and names hold their texts in lower case by `str.lower`, while ids are compared by
`reconciler.ids.fold`. That must stay: assignments in Azure already bear texts and names made so.
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

# The resource may hold no "=", so that a fourth key could not be read as the end of its id.
_MARKER = re.compile(
    r"heritage=identity-reconciler,owner=([a-z0-9-]{1,40}),resource=(/[^=]*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Marker:
    """Which deployment of ours made an assignment, and for which resource or identity."""

    owner: str
    resource: ResourceId

    def __str__(self) -> str:
        """Return the text that goes into the description; keys in a fixed order."""
        resource = str(self.resource).lower()
        return f"heritage=identity-reconciler,owner={self.owner},resource={resource}"

    def names(self, resource: ResourceId) -> bool:
        """Return whether the marker was written for a resource.

        Both are compared in lower case, as the marker was written. The comparison of ids would not
        do: it keeps letters apart that `str.lower` makes the same (KELVIN SIGN and "k").
        """
        return str(self.resource).lower() == str(resource).lower()


def parse(description: str | None) -> Marker | None:
    """Return the marker in a description, or none unless that is exactly a marker's text."""
    if not description or len(description) > MAX_LENGTH:
        return None
    parts = _MARKER.fullmatch(description)
    if not parts or parts[2] != parts[2].lower():
        return None
    owner, resource = parts.groups()
    try:
        return Marker(owner, ResourceId.parse(resource))
    except ResourceIdError:
        return None


def assignment_name(scope: ResourceId, role: str, principal: str) -> str:
    """Return the name, computed from the triple, that our assignment of it bears for ever."""
    return str(uuid.uuid5(NAMESPACE, f"{scope}|{role}|{principal}".lower()))


def assignment_id(scope: ResourceId, role: str, principal: str) -> ResourceId:
    """Return the id that our assignment of this triple has."""
    name = assignment_name(scope, role, principal)
    return ResourceId.parse(f"{str(scope).rstrip('/')}/providers/{ROLE_ASSIGNMENT}/{name}")


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which assignments are ours.

    `owner` and `former_owners` are the names of this deployment in markers, today and before.
    `makers` are the object ids of the principals that we sign in with, or did before.
    """

    owner: str
    makers: frozenset[str]
    former_owners: frozenset[str] = frozenset()

    def marker_for(self, resource: ResourceId) -> str:
        """Return the marker text that we write for a resource or identity."""
        return str(Marker(self.owner, resource))

    def claimed(self, assignment: RoleAssignment) -> Marker | None:
        """Return the marker by which an assignment claims to be ours, whoever wrote it."""
        marker = parse(assignment.description)
        owned = marker and marker.owner in {self.owner, *self.former_owners}
        return marker if owned and assignment.principal_type == SERVICE_PRINCIPAL else None

    def marker_of(self, assignment: RoleAssignment) -> Marker | None:
        """Return the marker of an assignment that is ours by all four marks, else none.

        The answer to our own PUT is not ours yet: its `createdBy` is null (facts: Role
        assignments).
        """
        ours = {assignment.created_by, assignment.updated_by} <= self.makers
        return self.claimed(assignment) if ours else None

    def lost(self, assignment: RoleAssignment) -> bool:
        """Return whether we made it, but its marker is lost or another updated it last.

        Another who wrote it last may have rewritten the marker, so the marker does not count then.
        Where our own principal wrote it last, any marker shows that it is not lost: with another
        owner, it belongs to another deployment that signs in with the same principal.
        """
        if assignment.principal_type != SERVICE_PRINCIPAL:
            return False
        if assignment.created_by not in self.makers:
            return False
        rewritten = assignment.updated_by not in self.makers
        return rewritten or parse(assignment.description) is None

    def may_write(self, assignment: RoleAssignment) -> bool:
        """Return whether it is ours, or was made by us and lost its marker."""
        return self.marker_of(assignment) is not None or self.lost(assignment)
