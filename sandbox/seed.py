"""The world at the start, from YAML; the command line, the demo and tests load it.

    tenant: <guid>                      # optional, as are all lists but subscriptions
    subscriptions: [{id: <guid>, name: lab, assignmentLimit: 4000}]
    managementGroups: [{name: corp, subscriptions: [<guid>]}]
    groups: [{id: /subscriptions/.../resourceGroups/rg, location: westeurope, tags: {}}]
    principals: [{name: alice, kind: User, id: <guid>}]
    roles: [{name: Disk Reader, id: <guid>, actions: [], notActions: [], dataActions: []}]
    identities: [{id: ..., location: ..., tags: {}}]
    virtualMachines: [{id: ..., location: ..., tags: {}, system: true, identities: [<id>]}]
    resources: [{id: ..., location: ..., tags: {}, kind: ..., properties: {}, system: false}]
    assignments: [{scope: ..., role: Reader, principal: alice}]

Groups that a record lies in are made with it. A principal is named by its name, its GUID, or the
id of the resource whose identity it is. Every subscription gets the operator and the application's
identity as Owners, and the first one the application's own group ``rg-reconciler``.
"""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sandbox.azure import identities, ids
from sandbox.azure.roles import Role
from sandbox.azure.state import Assignment, Attached, Principal, Resource
from sandbox.azure.world import World, utc_now

_OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
_LOCATION = "westeurope"
_MACHINE = "Microsoft.Compute/virtualMachines"
_KEYS = {
    "subscriptions": {"id", "name", "assignmentLimit"},
    "managementGroups": {"name", "subscriptions"},
    "groups": {"id", "location", "tags"},
    "principals": {"id", "name", "kind"},
    "roles": {"id", "name", "actions", "notActions", "dataActions", "notDataActions"},
    "identities": {"id", "location", "tags"},
    "virtualMachines": {"id", "location", "tags", "system", "identities", "properties"},
    "resources": {"id", "location", "tags", "kind", "sku", "system", "identities", "properties"},
    "assignments": {"scope", "role", "principal", "name", "description", "condition"},
}

type Record = dict[str, Any]


class SeedError(Exception):
    """A seed that cannot be loaded; the message names the place."""


def read(path: Path) -> Record:
    """Return a seed file's content; raises ``SeedError`` when it is not YAML or not readable."""
    try:
        return _mapping(yaml.safe_load(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SeedError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def load(
    source: str | Record,
    *,
    clock: Callable[[], dt.datetime] = utc_now,
    seed: int = 0,
    operation_delay: float = 0.2,
    replication_delay: float = 0.0,
) -> World:
    """Return a world that holds what a seed says; raises ``SeedError``.

    Args:
        source: the seed, as YAML text or already parsed.
        clock: the time that the world goes by.
        seed: for the world's random GUIDs.
        operation_delay: seconds that an operation takes.
        replication_delay: seconds until role assignments know a new principal.
    """
    try:
        record = yaml.safe_load(source) if isinstance(source, str) else source
    except yaml.YAMLError as error:
        raise SeedError(f"not YAML: {' '.join(str(error).split())}") from error
    world = World(
        clock=clock,
        seed=seed,
        operation_delay=operation_delay,
        replication_delay=replication_delay,
    )
    with world.transaction():
        _Loader(world, _mapping(record, "seed")).run()
    return world


def _mapping(value: object, where: str) -> Record:
    if not isinstance(value, dict):
        raise SeedError(f"{where}: must be a mapping")
    return value


def _guid(value: object, where: str) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise SeedError(f"{where}: '{value}' is not a GUID") from None


@dataclasses.dataclass
class _Loader:
    world: World
    record: Record

    def run(self) -> None:
        unknown = set(self.record) - set(_KEYS) - {"tenant"}
        if unknown:
            raise SeedError(f"seed: unknown key '{min(unknown)}'")
        if not self.record.get("subscriptions"):
            raise SeedError("seed: at least one subscription is needed")
        if "tenant" in self.record:
            self.world.tenant = _guid(self.record["tenant"], "tenant")
        self._each("subscriptions", self._subscription, "id")
        self._application()
        self._each("managementGroups", self._management_group, "name")
        self._each("groups", self._group, "id")
        self._each("principals", self._principal, "name")
        self._each("roles", self._role, "id", "name")
        self._each("identities", self._identity, "id")
        self._each("virtualMachines", self._machine, "id")
        self._each("resources", self._resource, "id")
        self._each("assignments", self._assignment, "scope", "role", "principal")

    def _each(self, name: str, load_one: Callable[[Record, str], None], *needed: str) -> None:
        records = self.record.get(name, [])
        if not isinstance(records, list):
            raise SeedError(f"{name}: must be a list")
        for index, value in enumerate(records):
            where = f"{name}[{index}]"
            record = _mapping(value, where)
            for key in set(record) - _KEYS[name]:
                raise SeedError(f"{where}: unknown key '{key}'")
            for key in needed:
                if not record.get(key):
                    raise SeedError(f"{where}: '{key}' is missing")
            load_one(record, where)

    def _subscription(self, record: Record, where: str) -> None:
        guid = _guid(record["id"], where)
        self.world.subscriptions[guid] = record.get("name") or guid
        if limit := record.get("assignmentLimit"):
            if not isinstance(limit, int):
                raise SeedError(f"{where}: 'assignmentLimit' must be a number")
            self.world.assignment_limits[guid] = limit
        self._own(self.world.operator, guid)

    def _own(self, principal: Principal, subscription: str) -> None:
        self._grant(f"/subscriptions/{subscription}", _OWNER, principal, {})

    def _application(self) -> None:
        first = next(iter(self.world.subscriptions))
        text = (
            f"/subscriptions/{first}/resourceGroups/rg-reconciler/providers/{identities.TYPE}"
            "/reconciler"
        )
        self._home(ids.parse(text), _LOCATION)
        identity = identities.create(self.world, ids.parse(text), _LOCATION, {})
        if identity.principal is not None:
            self.world.app = identity.principal
            for subscription in self.world.subscriptions:
                self._own(identity.principal, subscription)

    def _management_group(self, record: Record, where: str) -> None:
        members = frozenset(_guid(each, where) for each in record.get("subscriptions") or ())
        self.world.management_groups[record["name"].lower()] = members

    def _id(self, record: Record, where: str) -> ids.ArmId:
        found = ids.parse(str(record["id"]))
        if found.subscription.lower() not in self.world.subscriptions or not found.group:
            raise SeedError(f"{where}: '{record['id']}' is in no subscription of the seed")
        if not found.name:
            raise SeedError(f"{where}: '{record['id']}' is not the id of a resource")
        return found

    def _group(self, record: Record, where: str) -> None:
        now = self.world.now()
        group = self._id(record, where)
        location = record.get("location", _LOCATION)
        tags = record.get("tags") or {}
        self.world.put_group(Resource(group, group.type, location, now, now, tags=tags))

    def _home(self, resource: ids.ArmId, location: str) -> None:
        if self.world.group_key(resource) not in self.world.groups:
            text = "/".join(resource.text.split("/")[:5])
            self._group({"id": text, "location": location}, text)

    def _principal(self, record: Record, where: str) -> None:
        oid = _guid(record["id"], where) if "id" in record else None
        kind = record.get("kind", "ServicePrincipal")
        self.world.new_principal(record["name"], kind=kind, oid=oid, secret=self.world.guid())

    def _role(self, record: Record, where: str) -> None:
        lists = ("actions", "notActions", "dataActions", "notDataActions")
        allowed, refused, data, no_data = (tuple(record.get(each) or ()) for each in lists)
        guid = _guid(record["id"], where)
        role = Role(guid, record["name"], allowed, refused, data, no_data, custom=True)
        self.world.roles[role.guid] = role

    def _identity(self, record: Record, where: str) -> None:
        found = self._id(record, where)
        location = record.get("location", _LOCATION)
        self._home(found, location)
        identities.create(self.world, found, location, record.get("tags") or {})

    def _machine(self, record: Record, where: str) -> None:
        resource = self._make(record, where, _MACHINE)
        resource.properties = {**resource.properties, "vmId": self.world.guid()}
        self.world.put(resource)

    def _resource(self, record: Record, where: str) -> None:
        self.world.put(self._make(record, where, self._id(record, where).type))

    def _make(self, record: Record, where: str, kind: str) -> Resource:
        found = self._id(record, where)
        if found.type.lower() != kind.lower():
            raise SeedError(f"{where}: '{found.text}' is not of the type {kind}")
        location = record.get("location", _LOCATION)
        self._home(found, location)
        now = self.world.now()
        resource = Resource(found, kind, location, now, now, tags=record.get("tags") or {})
        resource.properties = record.get("properties") or {}
        resource.extra = {name: record[name] for name in ("kind", "sku") if name in record}
        if record.get("system"):
            resource.system = self.world.new_principal(found.name, resource_id=found.text)
        for text in record.get("identities") or ():
            identity = self.world.resources.get(text.lower())
            if identity is None or identity.principal is None:
                raise SeedError(f"{where}: there is no identity '{text}'")
            resource.users[text.lower()] = Attached(text, identity.principal)
        return resource

    def _assignment(self, record: Record, where: str) -> None:
        wanted = str(record["role"]).lower()
        roles = self.world.roles.values()
        role = next((each.guid for each in roles if wanted in (each.name.lower(), each.guid)), None)
        if role is None:
            raise SeedError(f"{where}: unknown role '{record['role']}'")
        self._grant(record["scope"], role, self._holder(str(record["principal"]), where), record)

    def _holder(self, text: str, where: str) -> Principal:
        resource = self.world.resources.get(text.lower())
        found = (resource.principal or resource.system) if resource else None
        for principal in self.world.principals.values():
            if found is None and text.lower() in (principal.oid, principal.name.lower()):
                found = principal
        if found is None:
            raise SeedError(f"{where}: unknown principal '{text}'")
        return found

    def _grant(self, scope: str, role: str, principal: Principal, record: Record) -> None:
        now = self.world.now()
        maker = self.world.operator.oid
        self.world.put_assignment(
            Assignment(
                name=record.get("name") or self.world.guid(),
                scope=scope,
                role=role,
                principal=principal.oid,
                principal_type=principal.kind,
                created=now,
                updated=now,
                created_by=maker,
                updated_by=maker,
                description=record.get("description"),
                condition=record.get("condition"),
                condition_version="2.0" if record.get("condition") else None,
            )
        )
