"""Virtual machines (facts A2.1, B5)."""

from sandbox.azure import attachment, errors, ids, listing, operations, rates
from sandbox.azure.documents import check_etag, merge, tag, written
from sandbox.azure.machineview import TYPE, show
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.state import Resource

routes = Routes()

_SUFFIX = "/providers/microsoft.compute/virtualmachines"
_LIST = f"/subscriptions/<subscription>{_SUFFIX}"
_MACHINES = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_MACHINE = f"{_MACHINES}/<name>"
_EXTRA = ("zones", "plan", "extendedLocation", "managedBy")
# A machine's own; a client that writes back what it read does not change them.
_READ_ONLY = ("vmId", "provisioningState", "timeCreated", "instanceView")
_POWER = {
    "start": ("start", "running", rates.UPDATE),
    "restart": ("restart", "running", rates.UPDATE),
    "poweroff": ("powerOff", "stopped", rates.UPDATE),
    "deallocate": ("deallocate", "deallocated", rates.DELETE),
}


def _find(call: Call, text: str | None = None) -> Resource:
    """Return the machine of the call, or of another id; raises ``AzureError`` 404."""
    wanted = ids.parse(text) if text else call.id
    if call.world.group_key(call.id) not in call.world.groups:
        raise errors.group_not_found(call.id.group)
    machine = call.world.resources.get(wanted.key)
    if machine is None:
        raise errors.resource_not_found(TYPE, wanted.name, wanted.group)
    return machine


@routes.route("GET", _MACHINE, Evidence.RECORDED, "facts A2.1, test_vm_msi #6")
def get(call: Call) -> Reply:
    """Return a machine; the entity tag is a header too, except with an instance view."""
    budget = rates.take(call, rates.READ)
    machine = _find(call)
    expand = call.query.get("$expand", "")
    if expand.lower() not in ("", "instanceview"):
        raise errors.unsupported(f"the option $expand={expand}")
    body = show(call, machine, view=bool(expand))
    return Reply(200, body, budget if expand else {**budget, **tag(call, machine)})


@routes.route("GET", _MACHINES, Evidence.RECORDED, "facts A2.1, misc_vm_vmss_arg_paging #11")
def list_group(call: Call) -> Reply:
    """List the machines of a group."""
    budget = rates.take(call, rates.LIST)
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda each: show(call, each), budget)


@routes.route("GET", _LIST, Evidence.RECORDED, "facts A2.1: group in upper case (c7n)")
def list_subscription(call: Call) -> Reply:
    """List the machines of a subscription; their ids have the group in upper case."""
    budget = rates.take(call, rates.LIST)

    def upper(machine: Resource) -> Json:
        body = show(call, machine)
        segments = body["id"].split("/")
        segments[4] = segments[4].upper()
        return body | {"id": "/".join(segments)}

    return listing.page(call, listing.select(call, TYPE), upper, budget)


@routes.route("PUT", _MACHINE, Evidence.DOCUMENTED, "REST: Virtual Machines - Create Or Update")
def put(call: Call) -> Reply:
    """Create a machine (201) or write it anew (200); both run as an operation."""
    budget = rates.take(call, rates.UPDATE)
    world, body = call.world, call.object_body()
    known, machine = written(call, TYPE)
    attachment.write(call, machine, call.member("identity"), merge=False)
    machine.tags = dict(call.member("tags") or {})
    machine.extra = {name: body[name] for name in _EXTRA if name in body}
    machine_id = known.properties["vmId"] if known else world.guid()
    wanted = call.member("properties") or {}
    kept = {name: value for name, value in wanted.items() if name not in _READ_ONLY}
    machine.properties = {**kept, "vmId": machine_id}
    found = operations.begin(call, machine, "Updating" if known else "Creating", final=False)
    world.put(machine)
    found |= {**tag(call, machine), **budget}
    return Reply(200 if known else 201, show(call, machine), found)


@routes.route("PATCH", _MACHINE, Evidence.RECORDED, "facts A2.1, test_vm_explicit_msi #7")
def patch(call: Call) -> Reply:
    """Merge identity, tags and properties: 200 with the new body, while the operation runs."""
    budget = rates.take(call, rates.UPDATE)
    machine = _find(call)
    body = call.object_body()
    check_etag(call, machine)
    attachment.write(call, machine, call.member("identity"), merge=True)
    if "tags" in body:
        machine.tags = dict(call.member("tags") or {})
    machine.properties = merge(machine.properties, call.member("properties") or {})
    found = operations.begin(call, machine, "Updating", final=False)
    call.world.put(machine)
    found |= {**tag(call, machine), **budget}
    return Reply(200, show(call, machine), found)


@routes.route("DELETE", _MACHINE, Evidence.RECORDED, "facts A2.1, misc_vm_vmss_arg_paging #5 #6")
def delete(call: Call) -> Reply:
    """Delete a machine: 202, or 204 when there was none; it is visible until the end."""
    budget = rates.take(call, rates.DELETE)
    machine = call.world.resources.get(call.id.key)
    if machine is None:
        return Reply(204)
    check_etag(call, machine)
    return Reply(202, None, {**budget, **operations.delete(call, machine)})


@routes.route(
    "POST",
    f"{_MACHINE}/<any({','.join(_POWER)}):verb>",
    Evidence.RECORDED,
    "facts A2.1, test_invoke_action",
)
def power(call: Call) -> Reply:
    """Start, restart, power off or deallocate: 202, an operation with a final location."""
    verb, power_state, cost = _POWER[call.args["verb"]]
    budget = rates.take(call, cost)
    machine = _find(call, call.id.parent)
    machine.power = power_state
    machine.version += 1
    found = operations.begin(call, machine, "Updating", final=True)
    call.world.act(machine, verb)
    return Reply(202, None, {**budget, **found})


@routes.route("POST", f"{_MACHINE}/generalize", Evidence.RECORDED, "test_invoke_action #4")
def generalize(call: Call) -> Reply:
    """Mark a machine as an image's source: 200 without a body."""
    budget = rates.take(call, rates.UPDATE)
    call.world.act(_find(call, call.id.parent), "generalize")
    return Reply(200, None, budget)
