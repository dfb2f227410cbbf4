"""Puts into the world what a recording presupposes: what existed before its client began.

One rule: whatever an exchange shows or needs, and no earlier one mentioned, was there before. Its
state is read from the recorded answer.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from sandbox.azure import identities, ids, machineview
from sandbox.azure.roles import Role
from sandbox.azure.state import Assignment, Attached, Principal, Resource
from tests.conformance.recordings import TRIMMED, Exchange, Json
from tests.sandbox.arm import Arm

_GROUP = re.compile(r"/subscriptions/[^/?]+/resourcegroups/[^/?]+", re.IGNORECASE)
_ASSIGNMENT = "microsoft.authorization/roleassignments"
_LOCK = "microsoft.authorization/locks"
_ROLE = "microsoft.authorization/roledefinitions"
_OWN = {"id", "name", "type", "location", "tags", "properties", "identity", "etag"}
_ELSEWHERE = "westus"
FULL_PAGE = 1000


class Preconditions:
    """What was there, by world and by what was mentioned so far."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._world = arm.world
        self._mentioned: set[str] = set()

    def before(self, exchange: Exchange) -> None:
        """Make the world such that an exchange can have happened."""
        world = self._world
        with world.transaction():
            if exchange.code != "ResourceGroupNotFound":
                for found in _GROUP.findall(exchange.url):
                    self._group(found)
            self._principals(exchange)
            for body in _shown(exchange):
                if self._new(body["id"], exchange):
                    self._put(body)
            self._target(exchange)
            self._hide_roles(exchange)
            if exchange.code == "RoleAssignmentExists":
                self._taken(exchange)
            if TRIMMED in (exchange.body or {}) and "nextLink" in exchange.body:
                self._fill(exchange.body["value"][0])

    def after(self, exchange: Exchange) -> None:
        """Remember what an exchange mentioned."""
        self._mentioned |= {each["id"].lower() for each in _shown(exchange)}
        self._mentioned.add(ids.parse(exchange.path).key)

    def _new(self, text: str, exchange: Exchange) -> bool:
        """Tell whether something was there before; or was made by what the recording leaves out."""
        key = text.lower()
        known = key in self._world.resources or key in self._world.groups
        cut = exchange.method != "GET" and not exchange.follows
        return not known and (key not in self._mentioned or cut)

    def _group(self, text: str) -> None:
        group = ids.parse(text)
        if group.key not in self._world.groups:
            now = self._world.now()
            self._world.put_group(Resource(group, group.type, _ELSEWHERE, now, now))

    def _target(self, exchange: Exchange) -> None:
        """Put what is acted upon: a scope, the parent of an action or of a child, the deleted."""
        found = ids.parse(exchange.path)
        if exchange.status >= 400 and exchange.code not in (
            "RoleAssignmentExists",
            "PrincipalNotFound",
        ):
            return
        if found.type.lower().startswith("microsoft.authorization/"):
            text = found.scope
        elif exchange.method == "POST":
            text = found.parent
        elif exchange.method == "DELETE" or (exchange.method, exchange.status) == ("PUT", 200):
            text = found.text if exchange.status != 204 else ""
        elif exchange.method == "GET" and not found.name and found.type.count("/") > 1:
            text = found.parent
        else:
            return
        target = ids.parse(text)
        if target.name and "/providers/" in target.key and self._new(text, exchange):
            answer = exchange.body if isinstance(exchange.body, dict) else {}
            body = {"id": text, "type": target.type, "location": _region(exchange)}
            self._put(
                body
                | {
                    name: answer[name]
                    for name in ("properties",)
                    if answer.get("id") and name in answer
                }
            )

    def _put(self, body: Json) -> None:
        found = ids.parse(body["id"])
        kind = str(body.get("type", found.type)).lower()
        if kind == _ASSIGNMENT:
            self._assignment(body)
        elif kind == _ROLE:
            self._role(body)
        elif kind == _LOCK:
            self._lock(found, body)
        elif kind == identities.TYPE.lower():
            self._identity(body)
        elif found.group:
            self._resource(found, body)

    def _lock(self, found: ids.ArmId, body: Json) -> None:
        scope = ids.parse(found.scope)
        if "/providers/" in scope.key and scope.key not in self._world.resources:
            self._put({"id": found.scope, "type": scope.type})
        elif scope.group:
            self._group(found.scope)
        answer = self._arm.call("PUT", found.text, {"properties": body["properties"]})
        assert answer.status_code < 300, answer.text

    def _identity(self, body: Json) -> Resource:
        world = self._world
        for group in _GROUP.findall(body["id"]):
            self._group(group)
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
        self._group("/".join(found.text.split("/")[:5]))
        parent = ids.parse(found.parent.rpartition("/")[0])
        if parent.name and found.type.count("/") > 1 and parent.key not in world.resources:
            self._put({"id": parent.text, "type": parent.type})
        properties = dict(body.get("properties") or {})
        properties.pop("provisioningState", None)
        view = properties.pop("instanceView", {})
        created = _time(properties.pop("timeCreated", None)) or world.now()
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
        children = made.extra.pop("resources", ()) if made.type == machineview.TYPE else ()
        self._attach(made, body.get("identity") or {})
        made.guest = {name: value for name, value in view.items() if name != "statuses"}
        for status in view.get("statuses", ()):
            if status["code"].startswith("PowerState/"):
                made.power = status["code"].removeprefix("PowerState/")
        world.put(made)
        tag = str(body.get("etag", "")).strip('"')
        made.version = int(tag) if tag.isdecimal() else 1
        for child in children:
            self._resource(ids.parse(child["id"]), child)

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

    def _assignment(self, body: Json) -> None:
        shown = body["properties"]
        if body["name"].lower() in self._world.assignments.by_name:
            return
        self._person(shown["principalId"], shown["principalType"])
        if "/managementGroups/" in shown["scope"]:
            name = shown["scope"].rpartition("/")[2].lower()
            self._world.management_groups[name] = frozenset(self._world.subscriptions)
        self._world.put_assignment(
            Assignment(
                name=body["name"],
                scope=shown["scope"],
                role=shown["roleDefinitionId"].rpartition("/")[2],
                principal=shown["principalId"],
                principal_type=shown["principalType"],
                created=_time(shown["createdOn"]) or self._world.now(),
                updated=_time(shown["updatedOn"]) or self._world.now(),
                created_by=shown["createdBy"],
                updated_by=shown["updatedBy"],
                description=shown["description"],
                condition=shown["condition"],
                condition_version=shown["conditionVersion"],
            )
        )

    def _taken(self, exchange: Exchange) -> None:
        wanted = exchange.request["properties"]
        now = self._world.now()
        self._world.put_assignment(
            Assignment(
                name=self._world.guid(),
                scope=ids.parse(exchange.path).scope,
                role=wanted["roleDefinitionId"].rpartition("/")[2],
                principal=wanted["principalId"],
                principal_type=wanted.get("principalType", "ServicePrincipal"),
                created=now,
                updated=now,
                created_by="",
                updated_by="",
            )
        )

    def _role(self, body: Json) -> None:
        """Put a role as it was shown; built-in ones change over the years."""
        shown = body["properties"]
        (allowed,) = shown["permissions"]
        self._world.roles[body["name"]] = Role(
            body["name"],
            shown["roleName"],
            tuple(allowed["actions"]),
            tuple(allowed["notActions"]),
            tuple(allowed["dataActions"]),
            tuple(allowed["notDataActions"]),
            custom=shown["type"] == "CustomRole",
            description=shown["description"],
            assignable=tuple(shown["assignableScopes"]),
            created=_time(shown["createdOn"]) or self._world.now(),
            updated=_time(shown["updatedOn"]) or self._world.now(),
            created_by=shown["createdBy"],
            updated_by=shown["updatedBy"],
        )

    def _hide_roles(self, exchange: Exchange) -> None:
        """Let filters lag behind a change of a role that was cut out (facts A2.5, recorded)."""
        world = self._world
        listed = exchange.path.lower().endswith(_ROLE) and exchange.status == 200
        if not listed or exchange.follows or exchange.body["value"]:
            return
        world.role_filter_delay = dt.timedelta(days=1)
        for role in [each for each in world.roles.values() if each.custom]:
            world.roles[role.guid] = dataclasses.replace(role, updated=world.now())

    def _principals(self, exchange: Exchange) -> None:
        """Put the principal that an assignment names, unless the answer says it is not there."""
        if exchange.method != "PUT" or not isinstance(exchange.request, dict):
            return
        wanted: Any = exchange.request.get("properties")
        if not isinstance(wanted, dict) or "roleDefinitionId" not in wanted:
            return
        if exchange.code == "PrincipalNotFound":
            if "replication" in exchange.body["error"]["message"]:
                made = self._person(wanted["principalId"], "ServicePrincipal")
                made.visible_at = self._world.now() + dt.timedelta(microseconds=1)
            return
        answer = (exchange.body or {}).get("properties") or {}
        kind = answer.get("principalType") or wanted.get("principalType") or "ServicePrincipal"
        if wanted["principalId"].lower() not in self._mentioned:
            self._person(wanted["principalId"], kind)

    def _person(self, oid: str, kind: str) -> Principal:
        known = self._world.principals.get(oid)
        return known or self._world.new_principal(oid, kind=kind, oid=oid)

    def _fill(self, like: Json) -> None:
        """Fill a page, so that a further one follows."""
        found = ids.parse(like["id"])
        for number in range(FULL_PAGE):
            self._put({**like, "id": f"{found.parent}/another{number}"})


def _shown(exchange: Exchange) -> Iterator[Json]:
    """Yield the resources that a successful read shows."""
    if exchange.method != "GET" or exchange.status != 200 or not isinstance(exchange.body, dict):
        return
    for body in (exchange.body, *(exchange.body.get("value") or ())):
        if isinstance(body, dict) and "/providers/" in str(body.get("id")) and "type" in body:
            yield body


def _region(exchange: Exchange) -> str:
    found = re.search(r"/locations/([^/]+)/", exchange.headers.get("azure-asyncoperation", ""))
    return found[1] if found else _ELSEWHERE


def _time(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    # ARM writes seven digits of a second, Python reads six.
    return dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d", r"\1", text))
