"""Virtual machine scale sets and the instances of uniform ones (facts A2.2, B5).

A uniform set's instances carry the set's identity, of one principal; with the policy ``Manual``
they get a change of the model only by a manual upgrade.
"""

from typing import Any

from sandbox.azure import attachment, errors, ids, listing, operations, rates
from sandbox.azure.documents import check_etag, etag, merge, tag, written
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.scalesetview import INSTANCE, TYPE, show, show_instance
from sandbox.azure.state import Resource
from sandbox.azure.world import World

routes = Routes()

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


def _find(call: Call, text: str | None = None) -> Resource:
    """Return the set of the call, or of another id; raises ``AzureError`` 404."""
    wanted = ids.parse(text) if text else call.id
    if call.world.group_key(call.id) not in call.world.groups:
        raise errors.group_not_found(call.id.group)
    found = call.world.resources.get(wanted.key)
    if found is None:
        raise errors.resource_not_found(wanted.type, wanted.name, wanted.group)
    return found


def _flexible(properties: Json) -> bool:
    return str(properties.get("orchestrationMode")).lower() == "flexible"


@routes.route("GET", _SET, Evidence.RECORDED, "facts A2.2, test_vmss_msi #1")
def get(call: Call) -> Reply:
    """Return a scale set."""
    budget = rates.take(call, rates.SET_READ)
    found = _find(call)
    return Reply(200, show(call, found), {**budget, **tag(call, found)})


def _list(call: Call) -> Reply:
    """List scale sets."""
    budget = rates.take(call, rates.SET_LIST)
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda each: show(call, each), budget)


for _rule in (_SETS, _LIST):
    routes.route("GET", _rule, Evidence.DOCUMENTED, "REST: Virtual Machine Scale Sets - List")(
        _list
    )


@routes.route("PUT", _SET, Evidence.DOCUMENTED, "REST: Virtual Machine Scale Sets - Create")
def put(call: Call) -> Reply:
    """Create a scale set with its instances (201) or write it anew (200), as an operation."""
    budget = rates.take(call, rates.SET_WRITE)
    world, body = call.world, call.object_body()
    known, found = written(call, TYPE)
    wanted = call.member("properties") or {}
    properties = {name: value for name, value in wanted.items() if name not in _READ_ONLY}
    extra = {name: body[name] for name in _EXTRA if name in body}
    _check(call, properties, extra)
    attachment.write(call, found, call.member("identity"), merge=False)
    properties.setdefault("orchestrationMode", "Uniform")
    properties["uniqueId"] = known.properties["uniqueId"] if known else world.guid()
    found.properties = properties
    found.tags = dict(call.member("tags") or {})
    found.extra = extra
    return _store(call, found, 200 if known else 201, budget)


@routes.route("PATCH", _SET, Evidence.RECORDED, "facts A2.2, test_vmss_msi #6")
def patch(call: Call) -> Reply:
    """Merge identity, tags, size and properties: 200, while the operation runs."""
    budget = rates.take(call, rates.SET_WRITE)
    found = _find(call)
    body = call.object_body()
    check_etag(call, found)
    properties = merge(found.properties, call.member("properties") or {})
    extra = merge(found.extra, {name: body[name] for name in _EXTRA if name in body})
    _check(call, properties, extra)
    attachment.write(call, found, call.member("identity"), merge=True)
    if "tags" in body:
        found.tags = dict(call.member("tags") or {})
    found.properties = properties
    found.extra = extra
    return _store(call, found, 200, budget)


def _capacity(extra: Json) -> int:
    """Return the size; raises ``AzureError`` 400 when it is none."""
    sku = extra.get("sku") or {}
    size = sku.get("capacity") or 0 if isinstance(sku, dict) else None
    if not isinstance(size, int) or size < 0:
        raise errors.bad_content("a size is required. Path 'sku.capacity'")
    return size


def _check(call: Call, properties: Json, extra: Json) -> None:
    """Raise ``AzureError`` 400 for a wrong size or an identity that the set cannot have."""
    _capacity(extra)
    if not isinstance(properties.get("upgradePolicy") or {}, dict):
        raise errors.bad_content("an object is required. Path 'properties.upgradePolicy'")
    block = call.member("identity") or {}
    kinds = str(block.get("type", ""))
    if not _flexible(properties):
        return
    if "systemassigned" in kinds.lower():
        # Azure-Landing-Zones #3994 and bicep-registry-modules #2671 quote code and text.
        raise errors.AzureError(
            400,
            "InvalidParameter",
            f"The value '{kinds}' of parameter 'identity' is not allowed. "
            "Allowed values are: UserAssigned, None.",
            target="identity",
        )
    entries = block.get("userAssignedIdentities")
    if isinstance(entries, dict) and len({entry is None for entry in entries.values()}) > 1:
        # Facts A2.3 name the refusal (azurerm #25058); code and text are assumed.
        raise errors.AzureError(
            400,
            "InvalidParameter",
            "Identities cannot be added and removed by one request.",
            target="identity",
        )


def _store(call: Call, scale_set: Resource, status: int, budget: dict[str, str]) -> Reply:
    created = scale_set.id.key not in call.world.resources
    found = operations.begin(call, scale_set, "Creating" if created else "Updating", final=False)
    call.world.put(scale_set)
    policy = str((scale_set.properties.get("upgradePolicy") or {}).get("mode") or "Manual")
    for instance in scale_set.instances.values():
        instance.properties["latestModelApplied"] = False
        if policy.lower() != "manual":
            _upgrade(instance, scale_set)
    scale(call.world, scale_set)
    found |= {**tag(call, scale_set), **budget}
    return Reply(status, show(call, scale_set), found)


def scale(world: World, scale_set: Resource) -> None:
    """Create or remove instances until there are as many as the size says; the seed calls it too.

    A flexible set's machines would be resources of their own, which are not made here.
    """
    if _flexible(scale_set.properties):
        return
    wanted = _capacity(scale_set.extra)
    for number in list(scale_set.instances)[wanted:]:
        del scale_set.instances[number]
    first = max(map(int, scale_set.instances), default=-1) + 1
    for each in range(first, first + wanted - len(scale_set.instances)):
        found = ids.parse(f"{scale_set.id.text}/virtualMachines/{each}")
        made = Resource(found, INSTANCE, scale_set.location, world.now(), scale_set.ready_at)
        made.properties = {"modelDefinitionApplied": "VirtualMachineScaleSet", "vmId": world.guid()}
        _upgrade(made, scale_set)
        scale_set.instances[found.name] = made


def _upgrade(instance: Resource, scale_set: Resource) -> None:
    """Give an instance the set's model, its identities among it (facts A2.2, recorded)."""
    instance.system, instance.users = scale_set.system, dict(scale_set.users)
    instance.tags = dict(scale_set.tags)
    sku = scale_set.extra.get("sku") or {}
    instance.extra = {"sku": {name: sku[name] for name in ("name", "tier") if name in sku}}
    instance.properties["latestModelApplied"] = True
    instance.version += 1


@routes.route("DELETE", _SET, Evidence.RECORDED, "misc_vm_vmss_arg_paging #13")
def delete(call: Call) -> Reply:
    """Delete a scale set with its instances: 202, or 204 (documented) when there was none."""
    budget = rates.take(call, rates.SET_DELETE)
    scale_set = call.world.resources.get(call.id.key)
    if scale_set is None:
        return Reply(204)
    check_etag(call, scale_set)
    return Reply(202, None, {**budget, **operations.delete(call, scale_set)})


@routes.route("GET", _INSTANCES, Evidence.RECORDED, "facts A2.2, misc_vm_vmss_arg_paging #10")
def list_instances(call: Call) -> Reply:
    """List the instances of a uniform set; of a flexible one they are machines of their own."""
    budget = rates.take(call, rates.INSTANCES)
    scale_set = _find(call, call.id.parent)
    listing.refuse_options(call, "$expand")
    found = list(scale_set.instances.values())
    return listing.page(call, found, lambda each: show_instance(call, each), budget)


@routes.route("GET", f"{_INSTANCES}/<instance>", Evidence.DOCUMENTED, "REST: VMSS VMs - Get")
def get_instance(call: Call) -> Reply:
    """Return an instance."""
    budget = rates.take(call, rates.SET_READ)
    scale_set = _find(call, call.id.parent.rpartition("/")[0])
    found = scale_set.instances.get(call.id.name)
    if found is None:
        # The code is documented, the text assumed.
        raise errors.AzureError(
            404, "InvalidInstanceId", f"The instance '{call.id.name}' is not found."
        )
    return Reply(200, show_instance(call, found), {**budget, "etag": etag(found)})


@routes.route(
    "POST",
    f"{_SET}/<any(manualupgrade,{','.join(_POWER)}):verb>",
    Evidence.RECORDED,
    "facts A2.2; power actions documented",
)
def act(call: Call) -> Reply:
    """Upgrade instances to the model, or start and stop them: 202, an operation."""
    budget = rates.take(call, rates.SET_WRITE)
    scale_set = _find(call, call.id.parent)
    verb = call.args["verb"]
    chosen = _chosen(call, scale_set, required=verb == "manualupgrade")
    for instance in chosen:
        if verb == "manualupgrade":
            _upgrade(instance, scale_set)
        else:
            instance.power = _POWER[verb]
    found = operations.begin(call, scale_set, "Updating", final=True)
    call.world.act(scale_set, "powerOff" if verb == "poweroff" else verb)
    return Reply(202, None, {**budget, **found})


def _chosen(call: Call, scale_set: Resource, *, required: bool) -> list[Resource]:
    """Return the instances that ``instanceIds`` names; ``*`` and, unless required, none are all."""
    wanted: Any = (call.body or {}).get("instanceIds") if isinstance(call.body, dict) else None
    if required and not wanted:
        raise errors.AzureError(
            400, "InvalidParameter", "Required parameter 'instanceIds' is missing (null)."
        )
    if wanted and not (isinstance(wanted, list) and all(isinstance(each, str) for each in wanted)):
        raise errors.bad_content("a list of text is required. Path 'instanceIds'")
    if not wanted or "*" in wanted:
        return list(scale_set.instances.values())
    for each in wanted:
        if each not in scale_set.instances:
            raise errors.AzureError(
                400,
                "InvalidParameter",
                f"The provided instanceId {each} is not an active instance.",
            )
    return [scale_set.instances[each] for each in wanted]
