"""Puts into the world what a recorded body shows; ``preconditions`` says what and when."""

import datetime as dt
from collections.abc import Callable

from sandbox.arm import ids
from sandbox.compute import machines, scalesets
from sandbox.identity import identities
from sandbox.world import hierarchy
from sandbox.world.hierarchy import ManagementGroup
from sandbox.world.state import Attached, Principal, Resource
from tests.conformance.recordings import Json, moment
from tests.conformance.rights import Rights
from tests.world.arm import Arm

_ASSIGNMENT = "microsoft.authorization/roleassignments"
_LOCK = "microsoft.authorization/locks"
_ROLE = "microsoft.authorization/roledefinitions"
_OWN = {"id", "name", "type", "location", "tags", "properties", "identity", "etag"}
_ELSEWHERE = "westus"
_ENDED = ("Failed", "Canceled")


class Restorer:
    """One world, and the ways to put things into it."""

    def __init__(self, arm: Arm, known: dict[str, Json] | None = None) -> None:
        """``known``: how things are shown before they are written, by lower-case id."""
        self._arm = arm
        self._world = arm.world
        self._known = known or {}
        self.rights = Rights(arm.world)
        self._own = frozenset(self._world.assignments.by_name)

    def group(self, text: str) -> None:
        """Put a resource group, unless it is there."""
        key = ids.parse(text).key
        if key in self._world.groups:
            return
        body = self._known.get(key) or {"id": text}
        group, now = ids.parse(body["id"]), self._world.now()
        made = Resource(group, group.type, body.get("location", _ELSEWHERE), now, now)
        made.tags = body.get("tags") or {}
        made.extra = {name: body[name] for name in body if name not in _OWN}
        self._world.put_group(made)

    def put(self, body: Json) -> None:
        """Put what a body shows; its type decides."""
        found = ids.parse(body["id"])
        kind = str(body.get("type", found.type)).lower()
        if kind == _ASSIGNMENT:
            self._above(body["properties"]["scope"])
            self.rights.assignment(body)
        elif kind == _ROLE:
            for scope in body["properties"]["assignableScopes"]:
                self._above(scope)
            self.rights.role(body)
        elif kind == _LOCK:
            self._lock(found, body)
        elif kind == identities.TYPE.lower():
            self._identity(body)
        elif "/providers/" not in found.key:
            self.group(found.text)
        elif found.group:
            self._resource(found, body)

    def _above(self, scope: str) -> None:
        """Let a management group that rights come from, if the scope is one, be above all."""
        name, tree = ids.parse(scope).name, self._world.hierarchy
        if ids.parse(scope).type.lower() == hierarchy.TYPE.lower() and name not in tree.groups:
            for each in self._world.subscriptions:
                made = ManagementGroup(name, name, tree.over(each).name.lower())
                tree.put(made)
                tree.place(each, made)

    def forget(self, listed: ids.ArmId, keep: Callable[[str], bool]) -> None:
        """Take away the locks, roles or role assignments that belong to a list, but for some.

        Args:
            listed: the path of the list; other types stay as they are.
            keep: whether to keep what has a lower-case id.
        """
        world, scope = self._world, listed.scope.lower()
        kind = listed.type.lower()
        if kind == _LOCK:
            for lock in [*world.locks.values()]:
                if ids.contains(scope, lock.scope.lower()) and not keep(lock.id.lower()):
                    world.remove_lock(lock)
        elif kind == _ASSIGNMENT:
            for each in [*world.assignments]:
                inside = each.name not in self._own and ids.contains(scope, each.scope.lower())
                if inside and not keep(each.id.lower()):
                    world.remove_assignment(each)
        elif kind == _ROLE:
            prefix = f"/subscriptions/{listed.subscription}/providers/{_ROLE}"
            gone = [each for each in world.roles if not keep(f"{prefix}/{each}")]
            world.roles = {name: each for name, each in world.roles.items() if name not in gone}

    def _lock(self, found: ids.ArmId, body: Json) -> None:
        scope = ids.parse(found.scope)
        if "/providers/" in scope.key and scope.key not in self._world.resources:
            self.put({"id": found.scope, "type": scope.type})
        elif scope.group:
            self.group(found.scope)
        answer = self._arm.call("PUT", found.text, {"properties": body["properties"]})
        assert answer.status_code < 300, answer.text

    def _identity(self, body: Json) -> Resource:
        world = self._world
        self.group("/".join(body["id"].split("/")[:5]))
        location = body.get("location", _ELSEWHERE)
        made = identities.create(world, ids.parse(body["id"]), location, body.get("tags") or {})
        if made.principal is not None:
            self._become(made.principal, body.get("properties") or {})
        return made

    def _become(self, principal: Principal, shown: Json) -> None:
        """Give a principal the ids that the recording shows."""
        if not shown.get("principalId"):
            return
        del self._world.principals[principal.oid]
        principal.oid = shown["principalId"]
        principal.app_id = shown.get("clientId") or principal.app_id
        self._world.principals[principal.oid] = principal

    def _resource(self, found: ids.ArmId, body: Json) -> None:
        world = self._world
        self.group("/".join(found.text.split("/")[:5]))
        if str(body.get("name")).lower() == found.name.lower():
            # A few ids have the name in lower case; the name itself is as it was chosen.
            found = ids.parse(f"{found.parent}/{body['name']}")
        parent = ids.parse(found.parent.rpartition("/")[0])
        if parent.name and found.type.count("/") > 1 and parent.key not in world.resources:
            self.put(self._known.get(parent.key) or {"id": parent.text, "type": parent.type})
        properties = dict(body.get("properties") or {})
        state = str(properties.pop("provisioningState", "Succeeded"))
        view = properties.pop("instanceView", {})
        created = moment(properties.pop("timeCreated", None)) or world.now()
        made = Resource(
            found,
            body.get("type", found.type),
            body.get("location") or _ELSEWHERE,
            created,
            world.now(),
            tags=body.get("tags") or {},
            properties=properties,
            extra={name: value for name, value in body.items() if name not in _OWN},
        )
        children = made.extra.pop("resources", ()) if made.type == machines.TYPE else ()
        self._attach(made, body.get("identity") or {})
        self._state(made, state, view)
        tag = str(body.get("etag", "")).strip('"')
        version = int(tag) if tag.isdecimal() else 1
        if made.type == scalesets.INSTANCE:
            world.resources[parent.key].instances[found.name] = made
        else:
            world.put(made)
        made.version = version
        for child in children:
            self._resource(ids.parse(child["id"]), child)

    def identity(self, text: str) -> None:
        """Put a user-assigned identity, unless it is there."""
        key = ids.parse(text).key
        if key not in self._world.resources:
            self._identity(self._known.get(key) or {"id": text})

    def _state(self, made: Resource, state: str, view: Json) -> None:
        for status in view.get("statuses", ()):
            if status["code"].startswith("PowerState/"):
                made.power = status["code"].removeprefix("PowerState/")
        if state in _ENDED:
            made.outcome = state
        elif state != "Succeeded":
            # It is over before the next exchange.
            made.busy, made.ready_at = state, self._world.now() + dt.timedelta(seconds=0.5)

    def _attach(self, resource: Resource, block: Json) -> None:
        world = self._world
        resource.identity_written = bool(block)
        if block.get("principalId"):
            known = world.principals.get(block["principalId"])
            resource.system = known or world.new_principal(
                resource.id.name, resource_id=resource.id.text, oid=block["principalId"]
            )
        for text, entry in (block.get("userAssignedIdentities") or {}).items():
            identity = world.resources.get(text.lower())
            if identity is None:
                # Compute writes the group of the id as the identity itself does not.
                identity = self._identity({"id": text, "properties": entry})
            if identity.principal is not None:
                resource.users[text.lower()] = Attached(text, identity.principal)
