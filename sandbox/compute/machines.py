"""Virtual machines (facts: Machines)."""

import re

from sandbox.arm import errors, listing, operations
from sandbox.arm.documents import check_etag, existing, expanded, loud, tag, written
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.compute import computemodel
from sandbox.compute.machineview import TYPE, instance_view, set_of, show
from sandbox.identity import attachment
from sandbox.world import throttling
from sandbox.world.state import DEALLOCATED, Resource

routes = Routes()

_SUFFIX = "/providers/microsoft.compute/virtualmachines"
_LIST = f"/subscriptions/<subscription>{_SUFFIX}"
_MACHINES = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_MACHINE = f"{_MACHINES}/<name>"
_EXTRA = ("zones", "plan", "extendedLocation", "managedBy")
# A machine's own; a client that writes back what it read does not change them.
_READ_ONLY = ("vmId", "provisioningState", "timeCreated", "instanceView")
_ACTIONS = {
    "start": ("start", "running", throttling.UPDATE),
    "restart": ("restart", "running", throttling.UPDATE),
    "redeploy": ("redeploy", "running", throttling.UPDATE),
    "poweroff": ("powerOff", "stopped", throttling.UPDATE),
    "deallocate": ("deallocate", DEALLOCATED, throttling.DELETE),
    "reapply": ("reapply", "", throttling.UPDATE),
    "reimage": ("reimage", "", throttling.UPDATE),
}
_OF_SET = re.compile(r"'virtualmachinescaleset/id' eq '([^']+)'", re.IGNORECASE)


@routes.route("GET", _MACHINE, Evidence.RECORDED, "facts: Machines, test_vm_msi #6")
def get(call: Call) -> Reply:
    """Return a machine; the entity tag is a header too, except with an instance view."""
    budget = throttling.compute(call, throttling.READ)
    asked = expanded(call, "instanceview", "userdata")
    machine = existing(call)
    body = show(call, machine, asked)
    return Reply(200, body, budget if "instanceview" in asked else {**budget, **tag(call, machine)})


@routes.route("GET", f"{_MACHINE}/instanceview", Evidence.DOCUMENTED, "REST: VM - Instance View")
def get_view(call: Call) -> Reply:
    """Return what a machine is doing."""
    budget = throttling.compute(call, throttling.READ)
    machine = existing(call, call.id.parent)
    return Reply(200, instance_view(machine, machine.provisioning_state(call.world.now())), budget)


@routes.route("GET", _MACHINES, Evidence.RECORDED, "facts: Machines, misc_vm_vmss_arg_paging #11")
def list_group(call: Call) -> Reply:
    """List the machines of a group, or those of one flexible scale set.

    Who asks for those gets the group in upper case (azure-cli test_vm_list_filter).
    """
    budget = throttling.compute(call, throttling.LIST)
    wanted = call.query.get("$filter")
    if wanted is None:
        found = listing.select(call, TYPE)
        return listing.page(call, found, lambda each: show(call, each), budget)
    listing.refuse_options(call, "$filter")
    term = _OF_SET.fullmatch(wanted)
    if term is None:
        raise errors.unsupported(f'the filter "{wanted}"')
    members = [each for each in listing.within(call) if set_of(each) == term[1].lower()]
    return listing.page(call, members, lambda each: loud(show(call, each)), budget)


@routes.route("GET", _LIST, Evidence.RECORDED, "facts: Machines: group in upper case (c7n)")
def list_subscription(call: Call) -> Reply:
    """List the machines of a subscription; their ids have the group in upper case."""
    budget = throttling.compute(call, throttling.LIST)
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda each: loud(show(call, each)), budget)


@routes.route("PUT", _MACHINE, Evidence.RECORDED, "azure-cli test_vm_update_size; 201 documented")
def put(call: Call) -> Reply:
    """Create a machine (201) or write it anew (200), as an operation.

    One that changes nothing but tags is not announced, though the machine is ``Updating`` in the
    answer (azure-cli test_vm_create_no_wait, test_disk_controller_type), unless another operation
    runs (test_vm_update_with_workspace_linux).
    """
    budget = throttling.compute(call, throttling.UPDATE)
    world, body = call.world, call.object_body()
    known, machine = written(call, TYPE)
    before = _essence(machine) if known and world.now() >= known.ready_at else None
    attachment.write(call, machine, call.member("identity"), merge=False)
    machine.tags = dict(call.member("tags") or {})
    machine.extra = {name: body[name] for name in _EXTRA if name in body}
    own = machine.properties or {"vmId": world.guid()}
    machine.properties = computemodel.replaced(own, call.member("properties"), _READ_ONLY)
    found = operations.begin(call, machine, "Updating" if known else "Creating", final=False)
    if _essence(machine) == before:
        found = {}
    world.put(machine)
    found |= {**tag(call, machine), **budget}
    return Reply(200 if known else 201, show(call, machine), found)


def _essence(machine: Resource) -> tuple[object, ...]:
    """Return what a write has to change to be work for Compute: anything but tags."""
    return machine.properties, machine.extra, *machine.holders


@routes.route("PATCH", _MACHINE, Evidence.RECORDED, "facts: Machines, test_vm_explicit_msi #7")
def patch(call: Call) -> Reply:
    """Merge identity, tags and properties: 200 with the new body, while the operation runs."""
    budget = throttling.compute(call, throttling.UPDATE)
    machine = existing(call)
    body = call.object_body()
    check_etag(call, machine)
    attachment.write(call, machine, call.member("identity"), merge=True)
    if "tags" in body:
        machine.tags = dict(call.member("tags") or {})
    wanted = call.member("properties") or {}
    machine.properties = computemodel.merged(machine.properties, wanted, _READ_ONLY)
    found = operations.begin(call, machine, "Updating", final=False)
    call.world.put(machine)
    found |= {**tag(call, machine), **budget}
    return Reply(200, show(call, machine), found)


@routes.route(
    "DELETE", _MACHINE, Evidence.RECORDED, "facts: Machines, misc_vm_vmss_arg_paging #5 #6"
)
def delete(call: Call) -> Reply:
    """Delete a machine: 202, or 204 when there was none; it is visible until the end."""
    budget = throttling.compute(call, throttling.DELETE)
    machine = call.world.resources.get(call.id.key)
    if machine is None:
        return Reply(204)
    check_etag(call, machine)
    return Reply(202, None, {**budget, **operations.delete(call, machine)})


@routes.route(
    "POST",
    f"{_MACHINE}/<any({','.join(_ACTIONS)}):verb>",
    Evidence.RECORDED,
    "facts: Machines, test_invoke_action; azure-cli test_vm_redeploy, test_vm_reimage",
)
def act(call: Call) -> Reply:
    """Start, stop, repair or build a machine anew: 202, an operation with a final location."""
    verb, power_state, cost = _ACTIONS[call.args["verb"]]
    budget = throttling.compute(call, cost)
    machine = existing(call, call.id.parent)
    machine.power = power_state or machine.power
    machine.version += 1
    found = operations.begin(call, machine, "Updating", final=True)
    call.world.act(machine, verb)
    return Reply(202, None, {**budget, **found})


@routes.route("POST", f"{_MACHINE}/generalize", Evidence.RECORDED, "test_invoke_action #4")
def generalize(call: Call) -> Reply:
    """Mark a machine as an image's source: 200 without a body."""
    budget = throttling.compute(call, throttling.UPDATE)
    call.world.act(existing(call, call.id.parent), "generalize")
    return Reply(200, None, budget)
