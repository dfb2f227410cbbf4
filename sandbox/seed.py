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
    faults: {replicationDelay: 30}     # docs/faults.md

Groups that a record lies in are made with it. A principal is named by its name, its GUID, or the
id of the resource whose identity it is. Every subscription gets the operator and the application's
identity as Owners, and the first one the application's own group ``rg-reconciler``.
"""

import dataclasses
from collections.abc import Callable

from sandbox.arm import errors, ids
from sandbox.authorization import conditions
from sandbox.authorization.roles import OWNER, Permissions, Role
from sandbox.compute import scalesets
from sandbox.identity import identities
from sandbox.seedfile import Record, SeedError, check, guid, mapping, parse, read, records
from sandbox.world.clock import Clock
from sandbox.world.faults import Faults, FaultsError
from sandbox.world.faults import read as read_faults
from sandbox.world.hierarchy import ManagementGroup
from sandbox.world.state import LONG_AGO, Assignment, Attached, Principal, Resource
from sandbox.world.world import World

__all__ = ["SeedError", "load", "read"]

_LOCATION = "westeurope"
_MACHINE = "Microsoft.Compute/virtualMachines"
_KINDS = ("ServicePrincipal", "User", "Group")
# Types whose records are more than a resource's, and where those stand.
_SECTIONS = {_MACHINE.lower(): "virtualMachines", identities.TYPE.lower(): "identities"}


def load(
    source: str | Record,
    *,
    clock: Clock | None = None,
    seed: int = 0,
    **faults: float,
) -> World:
    """Return a world that holds what a seed says; raises ``SeedError``.

    Args:
        source: the seed, as YAML text or already parsed.
        clock: the time that the world goes by; the wall's if none is given.
        seed: for the world's random GUIDs and its faults' chances.
        faults: switches that the seed's own go before, by the names of ``Faults``'s fields.
    """
    record = parse(source) if isinstance(source, str) else source
    check(record)
    tenant = guid(record["tenant"], "tenant") if "tenant" in record else None
    world = World(clock=clock, seed=seed, tenant=tenant)
    with world.transaction():
        _Loader(world, record).run()
        for resource in world.resources.values():
            resource.entered = LONG_AGO
    try:
        switches = mapping({} if (found := record.get("faults")) is None else found, "faults")
        world.faults = read_faults(Faults().changed(faults).to_json() | switches)
    except FaultsError as error:
        raise SeedError(f"faults: {error}") from error
    return world


@dataclasses.dataclass
class _Loader:
    world: World
    record: Record

    def run(self) -> None:
        self._each("subscriptions", self._subscription)
        self._application()
        self._each("managementGroups", self._management_group)
        self._each("groups", self._group)
        self._each("principals", self._principal)
        self._each("roles", self._role)
        self._each("identities", self._identity)
        self._each("virtualMachines", self._machine)
        self._each("resources", self._resource)
        self._each("assignments", self._assignment)

    def _each(self, section: str, load_one: Callable[[Record, str], None]) -> None:
        for record, where in records(self.record, section):
            load_one(record, where)

    def _subscription(self, record: Record, where: str) -> None:
        subscription = guid(record["id"], where)
        self.world.subscriptions[subscription] = record.get("name") or subscription
        if (limit := record.get("assignmentLimit")) is not None:
            self.world.assignment_limits[subscription] = limit
        for namespace in record.get("unregistered") or ():
            self.world.unregistered.add((subscription, namespace.lower()))
        self._own(self.world.operator, subscription)

    def _own(self, principal: Principal, subscription: str) -> None:
        self._grant(f"/subscriptions/{subscription}", OWNER, principal, {})

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
        hierarchy, name = self.world.hierarchy, record["name"]
        above = record.get("parent") or hierarchy.root.name
        if above.lower() not in hierarchy.groups:
            raise SeedError(f"{where}: there is no management group '{above}' before it")
        shown = record.get("displayName") or name
        group = ManagementGroup(name, shown, above.lower())
        hierarchy.put(group)
        for each in (guid(each, where) for each in record.get("subscriptions") or ()):
            if each not in self.world.subscriptions:
                raise SeedError(f"{where}: '{each}' is no subscription of the seed")
            if each in hierarchy.placed:
                raise SeedError(f"{where}: '{each}' lies in another management group")
            hierarchy.place(each, group)

    def _id(self, record: Record, where: str, kind: str = "") -> ids.ArmId:
        text = record["id"]
        found = ids.parse(text)
        if found.subscription.lower() not in self.world.subscriptions or not found.group:
            raise SeedError(f"{where}: '{text}' is in no subscription of the seed")
        if not found.name:
            raise SeedError(f"{where}: '{text}' is not the id of a resource")
        if kind and found.type.lower() != kind.lower():
            raise SeedError(f"{where}: '{text}' is not of the type {kind}")
        if found.key in self.world.resources:
            raise SeedError(f"{where}: '{text}' is there already")
        return found

    def _group(self, record: Record, where: str) -> None:
        now = self.world.now()
        group = self._id(record, where, ids.GROUP_TYPE)
        location = record.get("location") or _LOCATION
        tags = record.get("tags") or {}
        self.world.put_group(Resource(group, group.type, location, now, now, tags=tags))

    def _home(self, resource: ids.ArmId, location: str) -> None:
        if self.world.group_key(resource) not in self.world.groups:
            text = "/".join(resource.text.split("/")[:5])
            self._group({"id": text, "location": location}, text)

    def _principal(self, record: Record, where: str) -> None:
        oid = guid(record["id"], where) if record.get("id") else None
        if oid in self.world.principals:
            raise SeedError(f"{where}: '{oid}' is there already")
        kind = record.get("kind") or _KINDS[0]
        if kind not in _KINDS:
            raise SeedError(f"{where}: unknown kind '{kind}'; known are {', '.join(_KINDS)}")
        self.world.new_principal(record["name"], kind=kind, oid=oid, secret=self.world.guid())

    def _role(self, record: Record, where: str) -> None:
        lists = ("actions", "notActions", "dataActions", "notDataActions")
        allowed, refused, data, no_data = (tuple(record.get(each) or ()) for each in lists)
        blocks = (Permissions(allowed, refused, data, no_data),)
        role = Role(guid(record["id"], where), record["name"], blocks, custom=True)
        self.world.roles[role.guid] = role

    def _identity(self, record: Record, where: str) -> None:
        found = self._id(record, where, identities.TYPE)
        location = record.get("location") or _LOCATION
        self._home(found, location)
        identities.create(self.world, found, location, record.get("tags") or {})

    def _machine(self, record: Record, where: str) -> None:
        resource = self._make(record, where, _MACHINE)
        resource.properties = {**resource.properties, "vmId": self.world.guid()}
        self.world.put(resource)

    def _resource(self, record: Record, where: str) -> None:
        made = self._make(record, where)
        if section := _SECTIONS.get(made.type.lower()):
            raise SeedError(f"{where}: '{made.id.text}' belongs under {section}")
        if made.type.lower() == scalesets.TYPE.lower():
            made.properties = {**made.properties, "uniqueId": self.world.guid()}
            try:
                scalesets.scale(self.world, made)
            except errors.AzureError as error:
                raise SeedError(f"{where}: {error.message}") from error
        self.world.put(made)

    def _make(self, record: Record, where: str, kind: str = "") -> Resource:
        found = self._id(record, where, kind)
        location = record.get("location") or _LOCATION
        self._home(found, location)
        now = self.world.now()
        resource = Resource(
            found, kind or found.type, location, now, now, tags=record.get("tags") or {}
        )
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
        wanted = record["role"].lower()
        roles = self.world.roles.values()
        role = next((each.guid for each in roles if wanted in (each.name.lower(), each.guid)), None)
        if role is None:
            raise SeedError(f"{where}: unknown role '{record['role']}'")
        scope = record["scope"]
        if not self._known(ids.parse(scope)):
            raise SeedError(f"{where}: '{scope}' is in no subscription of the seed")
        if record.get("condition"):
            try:
                conditions.check(record["condition"])
            except errors.AzureError as error:
                raise SeedError(f"{where}: {error.message}") from error
        name = guid(record["name"], where) if record.get("name") else self.world.guid()
        holder = self._holder(record["principal"], where)
        table = self.world.assignments
        if name in table.by_name or (scope.lower(), role, holder.oid) in table.by_triple:
            raise SeedError(f"{where}: there is such a role assignment already")
        self._grant(scope, role, holder, {**record, "name": name})

    def _known(self, scope: ids.ArmId) -> bool:
        if scope.subscription:
            return scope.subscription.lower() in self.world.subscriptions
        return not scope.text or any(self.world.hierarchy.above(scope.key))

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
