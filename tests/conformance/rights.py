"""Puts principals, roles and role assignments into the world; ``restore`` and others call it."""

from sandbox.arm import ids
from sandbox.authorization.roles import Permissions, Role
from sandbox.world.state import Assignment, Principal
from sandbox.world.world import World
from tests.conformance.recordings import Json, moment


class Rights:
    """Who there is in one world, and what they may do."""

    def __init__(self, world: World) -> None:
        self._world = world

    def assignment(self, body: Json) -> None:
        """Put a role assignment as it was shown, unless it is there."""
        shown = body["properties"]
        if body["name"].lower() in self._world.assignments.by_name:
            return
        self.principal(shown["principalId"], shown["principalType"])
        self._world.put_assignment(
            Assignment(
                name=body["name"],
                scope=shown["scope"],
                role=shown["roleDefinitionId"].rpartition("/")[2],
                principal=shown["principalId"],
                principal_type=shown["principalType"],
                created=moment(shown["createdOn"]) or self._world.now(),
                updated=moment(shown["updatedOn"]) or self._world.now(),
                created_by=shown["createdBy"],
                updated_by=shown["updatedBy"],
                # Older api-versions do not show these.
                description=shown.get("description"),
                condition=shown.get("condition"),
                condition_version=shown.get("conditionVersion"),
            )
        )

    def same_assignment(self, path: str, wanted: Json) -> None:
        """Put what a request wants at a path, under another name."""
        name, now = self._world.guid(), self._world.now()
        self._world.put_assignment(
            Assignment(
                name=name,
                scope=ids.parse(path).scope,
                role=wanted["roleDefinitionId"].rpartition("/")[2],
                principal=wanted["principalId"],
                principal_type=wanted.get("principalType", "ServicePrincipal"),
                created=now,
                updated=now,
                created_by="",
                updated_by="",
            )
        )

    def role(self, body: Json) -> None:
        """Put a role as it was shown; built-in ones change over the years."""
        shown = body["properties"]
        self._world.roles[body["name"]] = Role(
            body["name"],
            shown["roleName"],
            tuple(
                Permissions(
                    tuple(each["actions"]),
                    tuple(each["notActions"]),
                    tuple(each["dataActions"]),
                    tuple(each["notDataActions"]),
                )
                for each in shown["permissions"]
            ),
            custom=shown["type"] == "CustomRole",
            description=shown["description"],
            assignable=tuple(shown["assignableScopes"]),
            created=moment(shown["createdOn"]) or self._world.now(),
            updated=moment(shown["updatedOn"]) or self._world.now(),
            created_by=shown["createdBy"],
            updated_by=shown["updatedBy"],
        )

    def principal(self, oid: str, kind: str) -> Principal:
        """Put a principal, unless it is there; one that has no resource becomes of the kind."""
        known = self._world.principals.get(oid)
        if known is None:
            return self._world.new_principal(oid, kind=kind, oid=oid)
        if known.resource_id is None:
            known.kind = kind
        return known
