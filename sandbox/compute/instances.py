"""The instances of uniform scale sets, one by one; those of flexible ones are only listed."""

from sandbox.arm import ids, listing, operations
from sandbox.arm.documents import existing, expanded
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.compute import computemodel, fleet
from sandbox.compute.scalesetview import instance_tag, instance_view, show_instance, show_member
from sandbox.world import throttling

routes = Routes()

_INSTANCES = (
    "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.compute"
    "/virtualmachinescalesets/<name>/virtualmachines"
)
_INSTANCE = f"{_INSTANCES}/<instance>"
_READ_ONLY = (
    "latestModelApplied",
    "modelDefinitionApplied",
    "vmId",
    "provisioningState",
    "timeCreated",
    "instanceView",
)


@routes.route(
    "GET", _INSTANCES, Evidence.RECORDED, "facts: Scale sets, misc_vm_vmss_arg_paging #10"
)
def list_all(call: Call) -> Reply:
    """List a set's instances; of a flexible one's machines less is shown."""
    budget = throttling.compute(call, throttling.INSTANCES)
    scale_set = existing(call, call.id.outer)
    asked = expanded(call, "instanceview")
    listing.refuse_options(call, "$expand")
    found = fleet.machines(call.world, scale_set)
    if fleet.flexible(scale_set.properties):
        return listing.page(call, found, lambda each: show_member(scale_set, each), budget)
    return listing.page(call, found, lambda each: show_instance(call, each, asked), budget)


@routes.route("GET", _INSTANCE, Evidence.RECORDED, "azure-cli test_vmss_create_options")
def get(call: Call) -> Reply:
    """Return an instance."""
    budget = throttling.compute(call, throttling.SET_READ)
    asked = expanded(call, "instanceview", "userdata")
    found = fleet.named(call)
    return Reply(200, show_instance(call, found, asked), {**budget, **instance_tag(call, found)})


@routes.route("GET", f"{_INSTANCE}/instanceview", Evidence.RECORDED, "azure-cli test_vmss_vms")
def get_view(call: Call) -> Reply:
    """Return what an instance is doing."""
    budget = throttling.compute(call, throttling.SET_READ)
    return Reply(200, instance_view(call, fleet.named(call)), budget)


@routes.route("PUT", _INSTANCE, Evidence.RECORDED, "azure-cli test_vmss_update")
def put(call: Call) -> Reply:
    """Write an instance that is there anew: 200, while the operation runs."""
    budget = throttling.compute(call, throttling.SET_WRITE)
    found = fleet.named(call)
    body = call.object_body()
    if "tags" in body:
        found.tags = dict(call.member("tags") or {})
    found.properties = computemodel.replaced(
        found.properties, call.member("properties"), _READ_ONLY
    )
    headers = operations.begin(call, found, "Updating", final=False)
    found.version += 1
    call.world.tell("Write", found)
    return Reply(200, show_instance(call, found), {**budget, **headers})


@routes.route("DELETE", _INSTANCE, Evidence.DOCUMENTED, "REST: VMSS VMs - Delete")
def delete(call: Call) -> Reply:
    """Delete an instance: 202, or 204 when there is none; the set is smaller from now on."""
    budget = throttling.compute(call, throttling.SET_DELETE)
    scale_set = existing(call, call.id.outer)
    found = fleet.find(call.world, scale_set, call.id.name)
    if found is None:
        return Reply(204)
    headers = operations.begin(call, scale_set, "Updating", final=True)
    if not call.late:
        fleet.remove(scale_set, [found], scale_set.ready_at)
    call.world.tell("Delete", found)
    return Reply(202, None, {**budget, **headers})


@routes.route(
    "POST",
    f"{_INSTANCE}/<any({','.join(fleet.ACTIONS)}):verb>",
    Evidence.RECORDED,
    "azure-cli test_vmss_vms",
)
def act(call: Call) -> Reply:
    """Act on an instance, or on all of them where ``*`` stands for it: 202, an operation."""
    verb, power_state, cost = fleet.ACTIONS[call.args["verb"]]
    budget = throttling.compute(call, cost)
    instance = ids.parse(call.id.parent)
    scale_set = existing(call, instance.outer)
    everyone = instance.name == "*"
    chosen = fleet.instances(call.world, scale_set) if everyone else [fleet.named(call)]
    headers = operations.begin(call, scale_set, "Updating", final=True)
    for each in chosen:
        each.power = power_state or each.power
        call.world.act(each, verb)
    return Reply(202, None, {**budget, **headers})
