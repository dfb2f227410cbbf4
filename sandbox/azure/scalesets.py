"""Virtual machine scale sets and the instances of uniform ones (facts A2.2, B5).

A uniform set's instances carry the set's identity, of one principal; with the policy ``Manual``
they get a change of the model only by a manual upgrade.
"""

from typing import Any

from sandbox.azure import attachment, errors, ids, listing, rates
from sandbox.azure.documents import check_etag, etag, merge
from sandbox.azure.kinds import kind
from sandbox.azure.machineview import instance_view
from sandbox.azure.operations import begin
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.state import Resource

routes = Routes()

TYPE = "Microsoft.Compute/virtualMachineScaleSets"
INSTANCE = f"{TYPE}/virtualMachines"
_KIND = kind(TYPE)
_SUFFIX = "/providers/microsoft.compute/virtualmachinescalesets"
_LIST = f"/subscriptions/<subscription>{_SUFFIX}"
_SETS = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_SET = f"{_SETS}/<name>"
_INSTANCES = f"{_SET}/virtualmachines"
_EXTRA = ("sku", "zones", "plan", "extendedLocation")
# A set's own; a client that writes back what it read does not change them.
_READ_ONLY = ("uniqueId", "provisioningState", "timeCreated")
_POWER = {
    "start": "running",
    "restart": "running",
    "poweroff": "stopped",
    "deallocate": "deallocated",
}


def _show(call: Call, scale_set: Resource) -> Json:
    world = call.world
    return {
        "name": scale_set.id.name,
        "id": ids.respell(scale_set.id.text, "resourceGroups"),
        "type": TYPE,
        "location": scale_set.location,
        "tags": scale_set.tags,
        **scale_set.extra,
        **attachment.show(world, scale_set, _KIND),
        "properties": {
            **scale_set.properties,
            "provisioningState": scale_set.provisioning_state(world.now()),
            "timeCreated": scale_set.created.isoformat(),
        },
        "etag": etag(scale_set),
    }


def _show_instance(call: Call, instance: Resource) -> Json:
    expand = call.query.get("$expand", "").lower()
    if expand not in ("", "instanceview"):
        raise errors.unsupported(f"the option $expand={expand}")
    number, state = instance.id.name, instance.provisioning_state(call.world.now())
    view = {"instanceView": instance_view(instance, state)} if expand else {}
    return {
        "name": f"{instance.id.text.split('/')[8]}_{number}",
        "id": ids.respell(instance.id.text, "resourceGroups"),
        "type": INSTANCE,
        "location": instance.location,
        "tags": instance.tags,
        "instanceId": number,
        **instance.extra,
        **attachment.show(call.world, instance, _KIND),
        "properties": {
            **instance.properties,
            **view,
            "provisioningState": state,
            "timeCreated": instance.created.isoformat(),
        },
        "etag": etag(instance),
    }


def _find(call: Call, text: str | None = None) -> Resource:
    """Return the set of the call, or another resource; raises ``AzureError`` 404."""
    wanted = ids.parse(text) if text else call.id
    if call.world.group_key(call.id) not in call.world.groups:
        raise errors.group_not_found(call.id.group)
    found = call.world.resources.get(wanted.key)
    if found is None:
        raise errors.resource_not_found(wanted.type, wanted.name, wanted.group)
    return found


def _instances(call: Call, scale_set: Resource) -> list[Resource]:
    children = call.world.children.get(scale_set.id.key, {})
    return [each for each in children.values() if each.type == INSTANCE]


def _mode(properties: Json, name: str, default: str) -> str:
    return str(properties.get(name) or default)


def _flexible(properties: Json) -> bool:
    return _mode(properties, "orchestrationMode", "Uniform").lower() == "flexible"


@routes.route("GET", _SET, Evidence.RECORDED, "facts A2.2, test_vmss_msi #1")
def get(call: Call) -> Reply:
    """Return a scale set."""
    found = _find(call)
    return Reply(200, _show(call, found), {**rates.SET_READ, "etag": etag(found)})


def _list(call: Call) -> Reply:
    """List scale sets."""
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda each: _show(call, each), rates.SET_LIST)


for _rule in (_SETS, _LIST):
    routes.route("GET", _rule, Evidence.DOCUMENTED, "REST: Virtual Machine Scale Sets - List")(
        _list
    )


@routes.route("PUT", _SET, Evidence.DOCUMENTED, "REST: Virtual Machine Scale Sets - Create")
def put(call: Call) -> Reply:
    """Create a scale set with its instances (201) or write it anew (200), as an operation."""
    world = call.world
    if world.group_key(call.id) not in world.groups:
        raise errors.group_not_found(call.id.group)
    body = call.object_body()
    if not body.get("location"):
        raise errors.AzureError(
            400, "LocationRequired", "The location property is required for this definition."
        )
    known = world.resources.get(call.id.key)
    check_etag(call, known)
    now = world.now()
    found = known or Resource(call.id, TYPE, body["location"], now, now)
    wanted = call.member("properties") or {}
    properties = {name: value for name, value in wanted.items() if name not in _READ_ONLY}
    _check_identity(call, properties)
    attachment.write(call, found, call.member("identity"), merge=False)
    properties.setdefault("orchestrationMode", "Uniform")
    properties["uniqueId"] = known.properties["uniqueId"] if known else world.guid()
    found.properties = properties
    found.tags = dict(call.member("tags") or {})
    found.extra = {name: body[name] for name in _EXTRA if name in body}
    return _store(call, found, 200 if known else 201)


@routes.route("PATCH", _SET, Evidence.RECORDED, "facts A2.2, test_vmss_msi #6")
def patch(call: Call) -> Reply:
    """Merge identity, tags, size and properties: 200, while the operation runs."""
    found = _find(call)
    body = call.object_body()
    check_etag(call, found)
    properties = merge(found.properties, call.member("properties") or {})
    _check_identity(call, properties)
    attachment.write(call, found, call.member("identity"), merge=True)
    if "tags" in body:
        found.tags = dict(call.member("tags") or {})
    found.properties = properties
    found.extra = merge(found.extra, {name: body[name] for name in _EXTRA if name in body})
    return _store(call, found, 200)


def _check_identity(call: Call, properties: Json) -> None:
    """Raise ``AzureError`` 400 for a system-assigned identity on a flexible set (facts B5)."""
    kinds = str((call.member("identity") or {}).get("type", "")).lower()
    if "systemassigned" in kinds and _flexible(properties):
        raise errors.AzureError(
            400,
            "OperationNotAllowed",
            "System assigned identity is not supported on Virtual Machine Scale Sets with "
            "flexible orchestration mode.",
        )


def _store(call: Call, scale_set: Resource, status: int) -> Reply:
    created = scale_set.id.key not in call.world.resources
    found = begin(call, scale_set, "Creating" if created else "Updating", final=False)
    call.world.put(scale_set)
    if not _flexible(scale_set.properties):
        _scale(call, scale_set)
        policy = (scale_set.properties.get("upgradePolicy") or {}).get("mode", "Manual")
        for instance in _instances(call, scale_set):
            instance.properties["latestModelApplied"] = created
            if created or str(policy).lower() != "manual":
                _upgrade(instance, scale_set)
    found |= {"etag": etag(scale_set), **rates.SET_WRITE}
    return Reply(status, _show(call, scale_set), found)


def _scale(call: Call, scale_set: Resource) -> None:
    """Create or remove instances until there are as many as the size says."""
    world = call.world
    wanted = int((scale_set.extra.get("sku") or {}).get("capacity") or 0)
    present = sorted(_instances(call, scale_set), key=lambda each: int(each.id.name))
    for instance in present[wanted:]:
        # The principal is the set's and lives on.
        instance.system = None
        world.remove(instance)
    number = int(present[-1].id.name) + 1 if present else 0
    for each in range(number, number + wanted - len(present)):
        found = ids.parse(f"{scale_set.id.text}/virtualMachines/{each}")
        made = Resource(found, INSTANCE, scale_set.location, world.now(), scale_set.ready_at)
        made.properties = {"modelDefinitionApplied": "VirtualMachineScaleSet", "vmId": world.guid()}
        _upgrade(made, scale_set)
        world.put(made)


def _upgrade(instance: Resource, scale_set: Resource) -> None:
    """Give an instance the set's model, its identities among it (facts A2.2, recorded)."""
    instance.system, instance.users = scale_set.system, dict(scale_set.users)
    instance.tags = dict(scale_set.tags)
    sku = scale_set.extra.get("sku") or {}
    instance.extra = {"sku": {name: sku[name] for name in ("name", "tier") if name in sku}}
    instance.properties["latestModelApplied"] = True


@routes.route("DELETE", _SET, Evidence.RECORDED, "misc_vm_vmss_arg_paging #13")
def delete(call: Call) -> Reply:
    """Delete a scale set with its instances: 202, or 204 (documented) when there was none."""
    scale_set = call.world.resources.get(call.id.key)
    if scale_set is None:
        return Reply(204)
    check_etag(call, scale_set)
    found = begin(call, scale_set, "Deleting", final=True)
    call.world.remove(scale_set)
    return Reply(202, None, {**rates.SET_DELETE, **found})


@routes.route("GET", _INSTANCES, Evidence.RECORDED, "facts A2.2, misc_vm_vmss_arg_paging #10")
def list_instances(call: Call) -> Reply:
    """List the instances of a uniform set; of a flexible one they are machines of their own."""
    scale_set = _find(call, call.id.parent)
    found = _instances(call, scale_set)
    return listing.page(call, found, lambda each: _show_instance(call, each), rates.INSTANCES)


@routes.route("GET", f"{_INSTANCES}/<instance>", Evidence.DOCUMENTED, "REST: VMSS VMs - Get")
def get_instance(call: Call) -> Reply:
    """Return an instance."""
    _find(call, call.id.parent.rpartition("/")[0])
    found = _find(call)
    return Reply(200, _show_instance(call, found), {**rates.SET_READ, "etag": etag(found)})


@routes.route(
    "POST",
    f"{_SET}/<any(manualupgrade,{','.join(_POWER)}):verb>",
    Evidence.RECORDED,
    "facts A2.2; power actions documented",
)
def act(call: Call) -> Reply:
    """Upgrade instances to the model, or start and stop them: 202, an operation."""
    scale_set = _find(call, call.id.parent)
    verb = call.args["verb"]
    chosen = _chosen(call, scale_set, required=verb == "manualupgrade")
    for instance in chosen:
        if verb == "manualupgrade":
            _upgrade(instance, scale_set)
            call.world.put(instance)
        else:
            instance.power = _POWER[verb]
    found = begin(call, scale_set, "Updating", final=True)
    call.world.act(scale_set, "powerOff" if verb == "poweroff" else verb)
    return Reply(202, None, {**rates.SET_WRITE, **found})


def _chosen(call: Call, scale_set: Resource, *, required: bool) -> list[Resource]:
    """Return the instances that ``instanceIds`` names; ``*`` and, unless required, none are all."""
    wanted: Any = (call.body or {}).get("instanceIds") if isinstance(call.body, dict) else None
    if required and not wanted:
        raise errors.AzureError(
            400, "InvalidParameter", "Required parameter 'instanceIds' is missing (null)."
        )
    instances = _instances(call, scale_set)
    if not wanted or "*" in wanted:
        return instances
    named = {each.id.name: each for each in instances}
    for each in wanted:
        if each not in named:
            raise errors.AzureError(
                400,
                "InvalidParameter",
                f"The provided instanceId {each} is not an active instance.",
            )
    return [named[each] for each in wanted]
