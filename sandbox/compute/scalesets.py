"""Virtual machine scale sets and the instances of uniform ones (facts: Scale sets and Machines).

A uniform set's instances carry the set's identity, of one principal; with the policy ``Manual``
they get a change of the model only by a manual upgrade. They are no resources of their own, and no
request writes one of them. A flexible set's machines are such resources, and are not made here.
"""

from typing import Any

from sandbox.arm import attachment, errors, ids, listing, operations
from sandbox.arm.listing import existing
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes, merge
from sandbox.compute import models
from sandbox.resources.types import traits_of
from sandbox.world import throttling
from sandbox.world.state import Resource
from sandbox.world.world import World

routes = Routes()

TYPE = "Microsoft.Compute/virtualMachineScaleSets"
INSTANCE = f"{TYPE}/virtualMachines"
_TRAITS = traits_of(TYPE)
_SUFFIX = "/providers/microsoft.compute/virtualmachinescalesets"
_LIST = f"/subscriptions/<subscription>{_SUFFIX}"
_SETS = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_SET = f"{_SETS}/<name>"
_INSTANCES = f"{_SET}/virtualmachines"
_EXTRA = ("sku", "zones", "plan", "extendedLocation")
_OWN = ("uniqueId", "provisioningState", "timeCreated")
_UPGRADE = "manualUpgrade"
_ACTIONS = {
    "start": ("start", throttling.SET_WRITE),
    "restart": ("restart", throttling.SET_WRITE),
    "redeploy": ("redeploy", throttling.SET_WRITE),
    "poweroff": ("powerOff", throttling.SET_DELETE),
    "deallocate": ("deallocate", throttling.SET_DELETE),
    "reimage": ("reimage", throttling.SET_WRITE),
}
"""What may be done to all instances or to one: how events spell it, and what it costs."""
_SET_ACTIONS = _ACTIONS | {"manualupgrade": (_UPGRADE, throttling.SET_WRITE)}


def _show(call: Call, scale_set: Resource) -> Json:
    world = call.world
    return {
        "name": scale_set.id.name,
        "id": ids.respell(scale_set.id.text, "resourceGroups"),
        "type": TYPE,
        "location": scale_set.location,
        "tags": scale_set.tags,
        **scale_set.extra,
        **attachment.show(world, scale_set, _TRAITS),
        "properties": {
            **scale_set.properties,
            "provisioningState": scale_set.provisioning_state(world.now()),
            "timeCreated": scale_set.created.isoformat(),
        },
        **models.tag(call, scale_set),
    }


@routes.route("GET", _SET, Evidence.RECORDED, "facts: Scale sets, test_vmss_msi #1")
def get(call: Call) -> Reply:
    """Return a scale set."""
    budget = throttling.compute(call, throttling.SET_READ)
    listing.expanded(call)
    scale_set = existing(call)
    return Reply(200, _show(call, scale_set), budget | models.tag(call, scale_set))


@routes.route("GET", _SETS, Evidence.RECORDED, "azure-cli test_vmss_create_and_modify")
def list_group(call: Call) -> Reply:
    """List the scale sets of a group."""
    budget = throttling.compute(call, throttling.SET_LIST)
    return listing.page(call, listing.select(call, TYPE), lambda each: _show(call, each), budget)


@routes.route("GET", _LIST, Evidence.RECORDED, "azure-cli test_vmss_create_and_modify")
def list_subscription(call: Call) -> Reply:
    """List the scale sets of a subscription; their ids have the group in upper case."""
    budget = throttling.compute(call, throttling.SET_LIST)
    found = listing.select(call, TYPE)
    return listing.page(
        call, found, lambda each: models.group_in_upper_case(_show(call, each)), budget
    )


@routes.route("PUT", _SET, Evidence.RECORDED, "azure-cli test_vmss_create_and_modify")
def put(call: Call) -> Reply:
    """Create a scale set with its instances (201, documented) or write it anew (200)."""
    budget = throttling.compute(call, throttling.SET_WRITE)
    known, scale_set = models.put_target(call, TYPE)
    if known is None:
        scale_set.properties = {"orchestrationMode": "Uniform", "uniqueId": call.world.guid()}
    headers = _write(call, scale_set, dict(call.member("tags") or {}), merges=False)
    return Reply(200 if known else 201, _show(call, scale_set), budget | headers)


@routes.route("PATCH", _SET, Evidence.RECORDED, "facts: Scale sets, test_vmss_msi #6")
def patch(call: Call) -> Reply:
    """Merge identity, tags, size and properties: 200, while the operation runs."""
    budget = throttling.compute(call, throttling.SET_WRITE)
    scale_set = existing(call)
    sends_tags = "tags" in call.object_body()
    tags = dict(call.member("tags") or {}) if sends_tags else scale_set.tags
    models.check_etag(call, scale_set)
    headers = _write(call, scale_set, tags, merges=True)
    return Reply(200, _show(call, scale_set), budget | headers)


def _write(
    call: Call, scale_set: Resource, tags: dict[str, str], *, merges: bool
) -> dict[str, str]:
    """Write a body, bring it to the instances, and return the operation's headers."""
    world, body, old = call.world, call.object_body(), scale_set.properties
    extra = {name: body[name] for name in _EXTRA if name in body}
    if merges:
        extra = merge(scale_set.extra, extra)
    properties = models.written(old, call.member("properties"), _OWN, merges=merges)
    # That a write without the orchestration mode keeps it is assumed.
    properties = {"orchestrationMode": old["orchestrationMode"]} | properties
    _capacity(extra)
    policy = properties.get("upgradePolicy") or {}
    if not isinstance(policy, dict):
        raise errors.bad_content("an object is required. Path 'properties.upgradePolicy'")
    if _flexible(properties):
        _check_identity(call.member("identity") or {})
    before = _model(scale_set)
    attachment.write(call, scale_set, call.member("identity"), _TRAITS, merge=merges)
    scale_set.tags, scale_set.properties, scale_set.extra = tags, properties, extra
    created = scale_set.id.key not in world.resources
    headers = operations.begin(call, scale_set, "Creating" if created else "Updating", final=False)
    world.put(scale_set)
    if _model(scale_set) != before:
        manual = str(policy.get("mode") or "Manual").lower() == "manual"
        for instance in scale_set.instances.values():
            instance.properties = {**instance.properties, "latestModelApplied": False}
            if not manual:
                _upgrade(instance, scale_set)
    scale(world, scale_set)
    return headers | models.tag(call, scale_set)


def _flexible(properties: Json) -> bool:
    return str(properties.get("orchestrationMode")).lower() == "flexible"


def _capacity(extra: Json) -> int:
    """Return the size; raises ``AzureError`` 400 when it is none."""
    sku = extra.get("sku") or {}
    size = sku.get("capacity") or 0 if isinstance(sku, dict) else None
    if not isinstance(size, int) or size < 0:
        raise errors.bad_content("a size is required. Path 'sku.capacity'")
    return size


def _model(scale_set: Resource) -> tuple[object, ...]:
    """Return what makes an instance outdated: all but the size (test_vmss_create_and_modify)."""
    sku = {**(scale_set.extra.get("sku") or {}), "capacity": 0}
    return scale_set.properties, scale_set.extra | {"sku": sku}, scale_set.tags, *scale_set.holders


def _check_identity(block: Json) -> None:
    """Raise ``AzureError`` 400 for an identity block that a flexible set cannot have."""
    types = str(block.get("type", ""))
    if "systemassigned" in types.lower():
        # Azure-Landing-Zones #3994 and bicep-registry-modules #2671 quote code and text.
        raise errors.AzureError(
            400,
            "InvalidParameter",
            f"The value '{types}' of parameter 'identity' is not allowed. "
            "Allowed values are: UserAssigned, None.",
            target="identity",
        )
    entries = block.get("userAssignedIdentities")
    if isinstance(entries, dict) and len({entry is None for entry in entries.values()}) > 1:
        # That it is refused is known from azurerm #25058; code and text are assumed.
        raise errors.AzureError(
            400,
            "InvalidParameter",
            "Identities cannot be added and removed by one request.",
            target="identity",
        )


def scale(world: World, scale_set: Resource) -> None:
    """Create or remove instances until there are as many as the size; the seed calls it too.

    Raises ``AzureError`` 400 when the size is none.
    """
    if _flexible(scale_set.properties):
        return
    wanted = _capacity(scale_set.extra)
    for number in list(scale_set.instances)[wanted:]:
        del scale_set.instances[number]
    first = max(map(int, scale_set.instances), default=-1) + 1
    for at in range(first, first + wanted - len(scale_set.instances)):
        instance_id = ids.parse(f"{scale_set.id.text}/virtualMachines/{at}")
        made = Resource(instance_id, INSTANCE, scale_set.location, world.now(), scale_set.ready_at)
        made.properties = {"modelDefinitionApplied": "VirtualMachineScaleSet", "vmId": world.guid()}
        _upgrade(made, scale_set)
        scale_set.instances[instance_id.name] = made


def _upgrade(instance: Resource, scale_set: Resource) -> None:
    """Give an instance the set's model, its identities among it (facts: Scale sets, recorded)."""
    instance.system, instance.users = scale_set.system, dict(scale_set.users)
    instance.tags = dict(scale_set.tags)
    sku = scale_set.extra.get("sku") or {}
    instance.extra = {"sku": {name: sku[name] for name in ("name", "tier") if name in sku}}
    instance.properties = {**instance.properties, "latestModelApplied": True}
    instance.version += 1


@routes.route("DELETE", _SET, Evidence.RECORDED, "misc_vm_vmss_arg_paging #13")
def delete(call: Call) -> Reply:
    """Delete a scale set with its instances: 202, or 204 (documented) when there was none."""
    budget = throttling.compute(call, throttling.SET_DELETE)
    scale_set = call.world.resources.get(call.id.key)
    if scale_set is None:
        return Reply(204)
    models.check_etag(call, scale_set)
    return Reply(202, None, budget | operations.delete(call, scale_set))


@routes.route(
    "POST",
    f"{_SET}/<any({','.join(_SET_ACTIONS)}):verb>",
    Evidence.RECORDED,
    "facts: Scale sets; azure-cli test_vmss_create_and_modify, test_vmss_vms, test_vmss_reimage",
)
def act(call: Call) -> Reply:
    """Act on all instances or on those that ``instanceIds`` names: 202, an operation."""
    verb, cost = _SET_ACTIONS[call.args["verb"]]
    budget = throttling.compute(call, cost)
    scale_set = existing(call, call.id.parent)
    wanted: Any = call.body.get("instanceIds") if isinstance(call.body, dict) else None
    if wanted and not (isinstance(wanted, list) and all(isinstance(each, str) for each in wanted)):
        raise errors.bad_content("a list of text is required. Path 'instanceIds'")
    if verb == _UPGRADE and not wanted:
        raise errors.AzureError(
            400, "InvalidParameter", "Required parameter 'instanceIds' is missing (null)."
        )
    if not wanted or "*" in wanted:
        wanted = list(scale_set.instances)
    for number in wanted:
        if number not in scale_set.instances:
            raise errors.AzureError(
                400,
                "InvalidParameter",
                f"The provided instanceId {number} is not an active instance.",
            )
    headers = operations.begin(call, scale_set, "Updating", final=True)
    if verb == _UPGRADE:
        for number in wanted:
            _upgrade(scale_set.instances[number], scale_set)
    call.world.act(scale_set, verb)
    return Reply(202, None, budget | headers)


def _show_instance(call: Call, instance: Resource) -> Json:
    number, world = instance.id.name, call.world
    return {
        "name": f"{instance.id.text.split('/')[8]}_{number}",
        "id": ids.respell(instance.id.text, "resourceGroups"),
        "type": INSTANCE,
        "location": instance.location,
        "tags": instance.tags,
        "instanceId": number,
        **instance.extra,
        **attachment.show(world, instance, _TRAITS),
        "properties": {
            **instance.properties,
            "provisioningState": instance.provisioning_state(world.now()),
            "timeCreated": instance.created.isoformat(),
        },
        # It has one since an earlier version than the set (misc_vm_vmss_arg_paging #10).
        **models.tag(call, instance, "2023-09-01"),
    }


@routes.route(
    "GET", _INSTANCES, Evidence.RECORDED, "facts: Scale sets, misc_vm_vmss_arg_paging #10"
)
def list_instances(call: Call) -> Reply:
    """List a uniform set's instances."""
    budget = throttling.compute(call, throttling.INSTANCES)
    scale_set = existing(call, call.id.outer)
    listing.refuse_options(call)
    if _flexible(scale_set.properties):
        raise errors.unsupported("the list of a flexible scale set's machines")
    found = list(scale_set.instances.values())
    return listing.page(call, found, lambda instance: _show_instance(call, instance), budget)


@routes.route(
    "POST",
    f"{_INSTANCES}/<instance>/<any({','.join(_ACTIONS)}):verb>",
    Evidence.RECORDED,
    "azure-cli test_vmss_vms",
)
def act_on_instance(call: Call) -> Reply:
    """Act on one instance: 202, an operation of the set; the event is of the instance."""
    verb, cost = _ACTIONS[call.args["verb"]]
    budget = throttling.compute(call, cost)
    instance_id = ids.parse(call.id.parent)
    scale_set = existing(call, instance_id.outer)
    instance = scale_set.instances.get(instance_id.name)
    if instance is None:
        raise errors.gone()
    headers = operations.begin(call, scale_set, "Updating", final=True)
    call.world.act(instance, verb)
    return Reply(202, None, budget | headers)
