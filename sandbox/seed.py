"""The world at the start, from YAML; the command line, the demo and tests load it.

    tenant: <guid>                      # optional, as are all lists but subscriptions
    subscriptions: [{id: <guid>, name: lab, assignmentLimit: 4000, unregistered: [<namespace>]}]
    managementGroups: [{name: corp, parent: <name>, displayName: Corp, subscriptions: [<guid>]}]
    groups: [{id: /subscriptions/.../resourceGroups/rg, location: westeurope, tags: {}}]
    principals: [{name: alice, kind: User, id: <guid>}]
    roles: [{name: Disk Reader, id: <guid>, actions: [], notActions: [], dataActions: []}]
    identities: [{id: ..., location: ..., tags: {}}]
    virtualMachines: [{id: ..., location: ..., tags: {}, system: true, identities: [<id>]}]
    resources: [{id: ..., location: ..., tags: {}, kind: ..., properties: {}, system: false}]
    assignments: [{scope: ..., role: Reader, principal: alice}]
    faults: {replicationDelay: 30}      # docs/faults.md

Groups that a record lies in are made with it. A principal is named by its name, its GUID, or the
id of the resource whose identity it is. Every subscription gets the operator and the application's
identity as Owners, and the first one the application's own group ``rg-reconciler``.
"""

import dataclasses
import uuid
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from sandbox.arm import errors, ids
from sandbox.authorization import conditions
from sandbox.authorization.roles import OWNER, Permissions, Role
from sandbox.compute import scalesets
from sandbox.identity import identities
from sandbox.world.clock import Clock
from sandbox.world.faults import Faults, FaultsError
from sandbox.world.faults import read as read_faults
from sandbox.world.hierarchy import ManagementGroup
from sandbox.world.state import LONG_AGO, Assignment, Attached, Principal, Resource
from sandbox.world.world import World

type Record = dict[str, Any]

_LOCATION = "westeurope"
_MACHINE = "Microsoft.Compute/virtualMachines"
_KINDS = ("ServicePrincipal", "User", "Group")
_KEYS = {
    "subscriptions": ["id", "name", "assignmentLimit", "unregistered"],
    "managementGroups": ["name", "displayName", "parent", "subscriptions"],
    "groups": ["id", "location", "tags"],
    "principals": ["name", "id", "kind"],
    "roles": ["id", "name", "actions", "notActions", "dataActions", "notDataActions"],
    "identities": ["id", "location", "tags"],
    "virtualMachines": ["id", "location", "tags", "system", "identities", "properties"],
    "resources": ["id", "location", "tags", "kind", "sku", "system", "identities", "properties"],
    "assignments": ["scope", "role", "principal", "name", "description", "condition"],
}
"""The keys of a record of each section; the first names it and must be there."""
_NEEDED = {"roles": ["id", "name"], "assignments": ["scope", "role", "principal"]}
"""Where more must be there than the first."""
_TEXTS = (list, "a list of text")
_SHAPES: dict[str, tuple[type, str]] = {
    "assignmentLimit": (int, "a number"),
    "system": (bool, "true or false"),
    "tags": (dict, "a mapping of text to text"),
    "properties": (dict, "a mapping"),
    "sku": (dict, "a mapping"),
    **dict.fromkeys(("subscriptions", "unregistered", "identities"), _TEXTS),
    **dict.fromkeys(_KEYS["roles"][2:], _TEXTS),
}
"""What a value must be where it is not text."""


class SeedError(Exception):
    """A seed that cannot be loaded; the message names the place."""


class _YamlLoader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the base's
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise SeedError(f"line {key.start_mark.line + 1}: '{name}' is there twice")
            seen.add(name)
        return super().construct_mapping(node, deep)


def read(path: Path) -> Record:
    """Return a seed file's content; raises ``SeedError`` when it is not YAML or not readable."""
    try:
        return _parsed(path.read_text("utf-8"))
    except OSError as error:
        raise SeedError(error.strerror) from error
    except UnicodeDecodeError as error:
        raise SeedError(f"not UTF-8: {error}") from error


def _parsed(text: str) -> Record:
    try:
        # As safe as `safe_load`, whose loader it is.
        return _mapping(yaml.load(text, _YamlLoader), "seed")  # noqa: S506 - see above
    except yaml.YAMLError as error:
        raise SeedError(f"not YAML: {' '.join(str(error).split())}") from error


def _mapping(value: object, where: str) -> Record:
    if not isinstance(value, dict):
        raise SeedError(f"{where}: must be a mapping")
    return value


def _guid(value: object, where: str) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise SeedError(f"{where}: '{value}' is not a GUID") from None


def load(
    source: str | Record, *, clock: Clock | None = None, seed: int = 0, **faults: float
) -> World:
    """Return a world that holds what a seed says; raises ``SeedError``.

    The source is YAML text, or its content. The clock is the wall's by default, the number is for
    random GUIDs and chances, and the seed's own switches go before those given.
    """
    content = _parsed(source) if isinstance(source, str) else source
    if unknown := set(map(str, content)) - set(_KEYS) - {"tenant", "faults"}:
        raise SeedError(f"seed: unknown key '{min(unknown)}'")
    if not content.get("subscriptions"):
        raise SeedError("seed: at least one subscription is needed")
    tenant = _guid(content["tenant"], "tenant") if "tenant" in content else None
    world = World(clock=clock, seed=seed, tenant=tenant)
    with world.transaction():
        _Loader(world, content).load()
        for resource in world.resources.values():
            resource.entered = LONG_AGO
    switches = content.get("faults")
    try:
        own = _mapping({} if switches is None else switches, "faults")
        world.faults = read_faults(Faults().changed(faults).to_json() | own)
    except FaultsError as error:
        raise SeedError(f"faults: {error}") from error
    return world


@dataclasses.dataclass
class _Loader:
    """Writes the records of a seed into an empty world, section by section."""

    world: World
    content: Record

    def load(self) -> None:
        for record, where in self._records("subscriptions"):
            self._subscription(record, where)
        self._application()
        for section, load_record in (
            ("managementGroups", self._management_group),
            ("groups", self._group),
            ("principals", self._principal),
            ("roles", self._role),
            ("identities", self._identity),
            ("virtualMachines", self._machine),
            ("resources", self._resource),
            ("assignments", self._assignment),
        ):
            for record, where in self._records(section):
                load_record(record, where)

    def _records(self, section: str) -> Iterator[tuple[Record, str]]:
        """Yield each record of a section with its place; raises ``SeedError`` for a wrong one."""
        values = self.content.get(section)
        if values is None:
            return
        if not isinstance(values, list):
            raise SeedError(f"{section}: must be a list")
        keys = _KEYS[section]
        seen: set[str] = set()
        for index, value in enumerate(values):
            where = f"{section}[{index}]"
            record = _mapping(value, where)
            for key in record:
                if key not in keys:
                    raise SeedError(f"{where}: unknown key '{key}'")
                _check_shape(record[key], key, f"{where}.{key}")
            for key in _NEEDED.get(section, keys[:1]):
                if not record.get(key):
                    raise SeedError(f"{where}: '{key}' is missing")
            name = str(record[keys[0]])
            # A scope has many role assignments.
            if name.lower() in seen and section != "assignments":
                raise SeedError(f"{where}: '{name}' is there already")
            seen.add(name.lower())
            yield record, where

    # Subscriptions, groups and principals.

    def _subscription(self, record: Record, where: str) -> None:
        subscription = _guid(record["id"], where)
        self.world.subscriptions[subscription] = record.get("name") or subscription
        if (limit := record.get("assignmentLimit")) is not None:
            self.world.assignment_limits[subscription] = limit
        for namespace in record.get("unregistered") or ():
            self.world.unregistered.add((subscription, namespace.lower()))
        self._grant(f"/subscriptions/{subscription}", OWNER, self.world.operator, {})

    def _application(self) -> None:
        first = next(iter(self.world.subscriptions))
        group = f"/subscriptions/{first}/resourceGroups/rg-reconciler"
        identity = ids.parse(f"{group}/providers/{identities.TYPE}/reconciler")
        self._home(identity, _LOCATION)
        principal = identities.create(self.world, identity, _LOCATION, {}).principal
        if principal is not None:
            self.world.app = principal
            for subscription in self.world.subscriptions:
                self._grant(f"/subscriptions/{subscription}", OWNER, principal, {})

    def _management_group(self, record: Record, where: str) -> None:
        hierarchy, name = self.world.hierarchy, record["name"]
        above = record.get("parent") or hierarchy.root.name
        if above.lower() not in hierarchy.groups:
            raise SeedError(f"{where}: there is no management group '{above}' before it")
        group = ManagementGroup(name, record.get("displayName") or name, above.lower())
        hierarchy.put(group)
        for text in record.get("subscriptions") or ():
            subscription = _guid(text, where)
            if subscription not in self.world.subscriptions:
                raise SeedError(f"{where}: '{subscription}' is no subscription of the seed")
            if subscription in hierarchy.placed:
                raise SeedError(f"{where}: '{subscription}' lies in another management group")
            hierarchy.place(subscription, group)

    def _group(self, record: Record, where: str) -> None:
        now = self.world.now()
        group = self._id(record, where, ids.GROUP_TYPE)
        location = record.get("location") or _LOCATION
        tags = record.get("tags") or {}
        self.world.put_group(Resource(group, group.type, location, now, now, tags=tags))

    def _principal(self, record: Record, where: str) -> None:
        oid = _guid(record["id"], where) if record.get("id") else None
        if oid in self.world.principals:
            raise SeedError(f"{where}: '{oid}' is there already")
        kind = record.get("kind") or _KINDS[0]
        if kind not in _KINDS:
            raise SeedError(f"{where}: unknown kind '{kind}'; known are {', '.join(_KINDS)}")
        self.world.new_principal(record["name"], kind=kind, oid=oid, secret=self.world.guid())

    # Resources.

    def _id(self, record: Record, where: str, kind: str = "") -> ids.ArmId:
        """Return the id of a record, which must be new and in a group of the seed."""
        text = record["id"]
        parsed = ids.parse(text)
        if parsed.subscription.lower() not in self.world.subscriptions or not parsed.group:
            raise SeedError(f"{where}: '{text}' is in no subscription of the seed")
        if not parsed.name:
            raise SeedError(f"{where}: '{text}' is not the id of a resource")
        if kind and parsed.type.lower() != kind.lower():
            raise SeedError(f"{where}: '{text}' is not of the type {kind}")
        if parsed.key in self.world.resources:
            raise SeedError(f"{where}: '{text}' is there already")
        return parsed

    def _home(self, resource: ids.ArmId, location: str) -> None:
        """Make the group of a resource where it is not there."""
        if self.world.group_key(resource) not in self.world.groups:
            text = "/".join(resource.text.split("/")[:5])
            self._group({"id": text, "location": location}, text)

    def _identity(self, record: Record, where: str) -> None:
        identity = self._id(record, where, identities.TYPE)
        location = record.get("location") or _LOCATION
        self._home(identity, location)
        identities.create(self.world, identity, location, record.get("tags") or {})

    def _machine(self, record: Record, where: str) -> None:
        machine = self._make(record, where, _MACHINE)
        machine.properties = {**machine.properties, "vmId": self.world.guid()}
        self.world.put(machine)

    def _resource(self, record: Record, where: str) -> None:
        resource = self._make(record, where)
        kind = resource.type.lower()
        # The records of these types are more than a resource's.
        if kind == _MACHINE.lower():
            raise SeedError(f"{where}: '{resource.id.text}' belongs under virtualMachines")
        if kind == identities.TYPE.lower():
            raise SeedError(f"{where}: '{resource.id.text}' belongs under identities")
        if kind == scalesets.TYPE.lower():
            own = {"orchestrationMode": "Uniform"} | resource.properties
            resource.properties = own | {"uniqueId": self.world.guid()}
            try:
                scalesets.scale(self.world, resource)
            except errors.AzureError as error:
                raise SeedError(f"{where}: {error.message}") from error
        self.world.put(resource)

    def _make(self, record: Record, where: str, kind: str = "") -> Resource:
        parsed = self._id(record, where, kind)
        location, now = record.get("location") or _LOCATION, self.world.now()
        self._home(parsed, location)
        tags = record.get("tags") or {}
        resource = Resource(parsed, kind or parsed.type, location, now, now, tags=tags)
        resource.properties = record.get("properties") or {}
        resource.extra = {name: record[name] for name in ("kind", "sku") if name in record}
        if record.get("system"):
            resource.system = self.world.new_principal(parsed.name, resource_id=parsed.text)
        for text in record.get("identities") or ():
            identity = self.world.resources.get(text.lower())
            if identity is None or identity.principal is None:
                raise SeedError(f"{where}: there is no identity '{text}'")
            resource.users[text.lower()] = Attached(text, identity.principal)
        return resource

    # Rights.

    def _role(self, record: Record, where: str) -> None:
        lists = (tuple(record.get(name) or ()) for name in _KEYS["roles"][2:])
        blocks = (Permissions(*lists),)
        role = Role(_guid(record["id"], where), record["name"], blocks, custom=True)
        self.world.roles[role.guid] = role

    def _assignment(self, record: Record, where: str) -> None:
        world, wanted, scope = self.world, record["role"].lower(), record["scope"]
        named = [role for role in world.roles.values() if wanted in (role.name.lower(), role.guid)]
        if not named:
            raise SeedError(f"{where}: unknown role '{record['role']}'")
        role, place = named[0].guid, ids.parse(scope)
        there = place.subscription.lower() in world.subscriptions
        if not place.subscription:
            there = not place.text or any(world.hierarchy.above(place.key))
        if not there:
            raise SeedError(f"{where}: '{scope}' is in no subscription of the seed")
        if record.get("condition"):
            try:
                conditions.check(record["condition"])
            except errors.AzureError as error:
                raise SeedError(f"{where}: {error.message}") from error
        name = _guid(record["name"], where) if record.get("name") else world.guid()
        holder = self._holder(record["principal"], where)
        table = world.assignments
        if name in table.by_name or (scope.lower(), role, holder.oid) in table.by_triple:
            raise SeedError(f"{where}: there is such a role assignment already")
        self._grant(scope, role, holder, {**record, "name": name})

    def _holder(self, text: str, where: str) -> Principal:
        resource = self.world.resources.get(text.lower())
        if resource and (own := resource.principal or resource.system):
            return own
        for principal in self.world.principals.values():
            if text.lower() in (principal.oid, principal.name.lower()):
                return principal
        raise SeedError(f"{where}: unknown principal '{text}'")

    def _grant(self, scope: str, role: str, principal: Principal, record: Record) -> None:
        now, maker = self.world.now(), self.world.operator.oid
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


def _check_shape(value: object, key: str, where: str) -> None:
    kind, called = _SHAPES.get(key, (str, "text"))
    # A key without a value is as good as absent; to Python true is a number as well.
    fits = value is None or (
        isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    )
    if isinstance(value, list):
        fits = fits and all(isinstance(item, str) for item in value)
    if key == "tags" and isinstance(value, dict):
        fits = all(isinstance(text, str) for pair in value.items() for text in pair)
    if not fits:
        raise SeedError(f"{where}: must be {called}")
