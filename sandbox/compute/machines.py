"""Virtual machines and their extensions (facts: Machines)."""

from collections.abc import Collection

from sandbox.arm import attachment, errors, ids, listing, operations
from sandbox.arm.listing import existing
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.compute import models
from sandbox.resources.types import traits_of
from sandbox.world import throttling
from sandbox.world.state import DEALLOCATED, Resource
from sandbox.world.world import World

routes = Routes()

TYPE = "Microsoft.Compute/virtualMachines"
_TRAITS = traits_of(TYPE)
_SUFFIX = "/providers/microsoft.compute/virtualmachines"
_LIST = f"/subscriptions/<subscription>{_SUFFIX}"
_MACHINES = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_MACHINE = f"{_MACHINES}/<name>"
_EXTENSIONS = f"{_MACHINE}/extensions"
_EXTENSION = f"{_EXTENSIONS}/<extension>"
_EXTRA = ("zones", "plan", "extendedLocation", "managedBy")
_OWN = ("vmId", "provisioningState", "timeCreated", "instanceView")
_ACTIONS = {
    "start": ("start", "running", throttling.UPDATE),
    "restart": ("restart", "running", throttling.UPDATE),
    "redeploy": ("redeploy", "running", throttling.UPDATE),
    "poweroff": ("powerOff", "stopped", throttling.UPDATE),
    "deallocate": ("deallocate", DEALLOCATED, throttling.DELETE),
    "reapply": ("reapply", "", throttling.UPDATE),
    "reimage": ("reimage", "", throttling.UPDATE),
}
"""How events spell an action, the power state after it, if it has one, and what it costs."""


def _show(call: Call, machine: Resource, asked: Collection[str] = ()) -> Json:
    world = call.world
    state = machine.provisioning_state(world.now())
    view = {"instanceView": _instance_view(machine, state)} if "instanceview" in asked else {}
    extensions = _extensions_of(world, machine)
    return {
        "name": machine.id.name,
        "id": ids.respell(machine.id.text, "resourceGroups"),
        "type": TYPE,
        "location": machine.location,
        "tags": machine.tags,
        **machine.extra,
        **attachment.show(world, machine, _TRAITS),
        "properties": {
            **machine.properties,
            "provisioningState": state,
            "timeCreated": machine.created.isoformat(),
            **view,
        },
        **models.tag(call, machine),
        **({"resources": extensions} if extensions else {}),
    }


def _instance_view(machine: Resource, state: str) -> Json:
    """Return how the last operation on a machine ended, and its power state.

    What the agent reports beyond is left out.
    """
    last = {
        "code": f"ProvisioningState/{state.lower()}",
        "level": "Info",
        "displayStatus": f"Provisioning {state.lower()}",
        "time": machine.ready_at.isoformat(),
    }
    power = {
        "code": f"PowerState/{machine.power}",
        "level": "Info",
        "displayStatus": f"VM {machine.power}",
    }
    return {"statuses": [last, power]}


@routes.route("GET", _MACHINE, Evidence.RECORDED, "facts: Machines, test_vm_msi #6")
def get(call: Call) -> Reply:
    """Return a machine; the entity tag is a header too, except with an instance view."""
    budget = throttling.compute(call, throttling.READ)
    asked = listing.expanded(call, "instanceview")
    machine = existing(call)
    tag = {} if asked else models.tag(call, machine)
    return Reply(200, _show(call, machine, asked), budget | tag)


@routes.route("GET", _MACHINES, Evidence.RECORDED, "facts: Machines, misc_vm_vmss_arg_paging #11")
def list_group(call: Call) -> Reply:
    """List the machines of a group."""
    budget = throttling.compute(call, throttling.LIST)
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda machine: _show(call, machine), budget)


@routes.route("GET", _LIST, Evidence.RECORDED, "facts: Lists: group in upper case (c7n)")
def list_subscription(call: Call) -> Reply:
    """List the machines of a subscription; their ids have the group in upper case."""
    budget = throttling.compute(call, throttling.LIST)
    found = listing.select(call, TYPE)
    return listing.page(
        call, found, lambda each: models.group_in_upper_case(_show(call, each)), budget
    )


@routes.route("PUT", _MACHINE, Evidence.RECORDED, "azure-cli test_vm_update_size; 201 documented")
def put(call: Call) -> Reply:
    """Create a machine (201) or write it anew (200), as an operation."""
    budget = throttling.compute(call, throttling.UPDATE)
    body = call.object_body()
    known, machine = models.put_target(call, TYPE)
    attachment.write(call, machine, call.member("identity"), _TRAITS, merge=False)
    machine.tags = dict(call.member("tags") or {})
    machine.extra = {name: body[name] for name in _EXTRA if name in body}
    machine.properties = models.written(
        machine.properties or {"vmId": call.world.guid()},
        call.member("properties"),
        _OWN,
        merges=False,
    )
    headers = operations.begin(call, machine, "Updating" if known else "Creating", final=False)
    call.world.put(machine)
    headers |= models.tag(call, machine) | budget
    return Reply(200 if known else 201, _show(call, machine), headers)


@routes.route("PATCH", _MACHINE, Evidence.RECORDED, "facts: Machines, test_vm_explicit_msi #7")
def patch(call: Call) -> Reply:
    """Merge identity, tags and properties: 200 with the new body, while the operation runs."""
    budget = throttling.compute(call, throttling.UPDATE)
    machine = existing(call)
    body = call.object_body()
    models.check_etag(call, machine)
    attachment.write(call, machine, call.member("identity"), _TRAITS, merge=True)
    if "tags" in body:
        machine.tags = dict(call.member("tags") or {})
    sent = call.member("properties")
    machine.properties = models.written(machine.properties, sent, _OWN, merges=True)
    headers = operations.begin(call, machine, "Updating", final=False)
    call.world.put(machine)
    return Reply(200, _show(call, machine), headers | models.tag(call, machine) | budget)


@routes.route(
    "DELETE", _MACHINE, Evidence.RECORDED, "facts: Machines, misc_vm_vmss_arg_paging #5 #6"
)
def delete(call: Call) -> Reply:
    """Delete a machine: 202, or 204 when there was none; it is visible until the end."""
    budget = throttling.compute(call, throttling.DELETE)
    machine = call.world.resources.get(call.id.key)
    if machine is None:
        return Reply(204)
    models.check_etag(call, machine)
    return Reply(202, None, budget | operations.delete(call, machine))


@routes.route(
    "POST",
    f"{_MACHINE}/<any({','.join(_ACTIONS)}):verb>",
    Evidence.RECORDED,
    "facts: Machines, test_invoke_action; azure-cli test_vm_redeploy, test_vm_reimage",
)
def act(call: Call) -> Reply:
    """Start, stop, repair or build a machine anew: 202, an operation with a final location."""
    verb, power, cost = _ACTIONS[call.args["verb"]]
    budget = throttling.compute(call, cost)
    machine = existing(call, call.id.parent)
    machine.power = power or machine.power
    machine.version += 1
    headers = operations.begin(call, machine, "Updating", final=True)
    call.world.act(machine, verb)
    return Reply(202, None, budget | headers)


@routes.route(
    "POST", f"{_MACHINE}/simulateeviction", Evidence.RECORDED, "azure-cli test_vm_simulate_eviction"
)
def evict(call: Call) -> Reply:
    """Take a Spot machine's place away: 204; it is deallocated or gone, as its policy says.

    What goes so goes by no request: it is in the activity log (issues), and has no event (assumed).
    """
    budget = throttling.compute(call, throttling.DELETE)
    machine = existing(call, call.id.parent)
    if str(machine.properties.get("priority")).lower() != "spot":
        raise errors.AzureError(
            409,
            "OperationNotAllowed",
            "Operation 'simulateEviction' is allowed only for Spot Virtual Machines",
            headers=budget,
        )
    deletes = str(machine.properties.get("evictionPolicy")).lower() == "delete"
    call.world.act(machine, "simulateEviction")
    call.world.evict(machine, deletes=deletes)
    return Reply(204, None, budget)


def _show_extension(world: World, extension: Resource) -> Json:
    return {
        "name": extension.id.name,
        "id": ids.respell(extension.id.text, "resourceGroups"),
        "type": extension.type,
        "location": extension.location,
        **({"tags": extension.tags} if extension.tags else {}),
        "properties": {
            "autoUpgradeMinorVersion": False,
            **extension.properties,
            "provisioningState": extension.provisioning_state(world.now()),
        },
    }


def _extensions_of(world: World, machine: Resource) -> list[Json]:
    children = world.children.get(machine.id.key, {}).values()
    return [_show_extension(world, child) for child in children]


def _machine_of(call: Call) -> Resource:
    """Return the machine that an extension, or a list of them, lies in; raises 404."""
    call.world.group(call.id)
    wanted = ids.parse(call.id.outer)
    machine = call.world.resources.get(wanted.key)
    if machine is None:
        raise errors.parent_not_found(wanted.name)
    return machine


@routes.route("GET", _EXTENSIONS, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - List")
def list_extensions(call: Call) -> Reply:
    """List a machine's extensions."""
    budget = throttling.compute(call, throttling.READ)
    return Reply(200, {"value": _extensions_of(call.world, _machine_of(call))}, budget)


@routes.route("GET", _EXTENSION, Evidence.RECORDED, "azure-cli test_vm_extension")
def get_extension(call: Call) -> Reply:
    """Return an extension."""
    budget = throttling.compute(call, throttling.READ)
    listing.expanded(call)
    _machine_of(call)
    return Reply(200, _show_extension(call.world, existing(call)), budget)


@routes.route("PUT", _EXTENSION, Evidence.RECORDED, "azure-cli test_vm_extension")
def put_extension(call: Call) -> Reply:
    """Create or update an extension as an operation, of the machine as well.

    The machine is ``Updating`` meanwhile (azure-cli test_vm_extension_list).
    """
    budget = throttling.compute(call, throttling.UPDATE)
    machine = _machine_of(call)
    known = call.world.resources.get(call.id.key)
    now = call.world.now()
    extension = known or Resource(call.id, call.id.type, machine.location, now, now)
    extension.properties = call.member("properties") or {}
    extension.tags = dict(call.member("tags") or {})
    headers = operations.begin(call, extension, "Updating" if known else "Creating", final=False)
    machine.busy, machine.ready_at = "Updating", extension.ready_at
    call.world.put(extension)
    body = _show_extension(call.world, extension)
    return Reply(200 if known else 201, body, budget | headers)


@routes.route("DELETE", _EXTENSION, Evidence.RECORDED, "azure-cli test_vm_extension")
def delete_extension(call: Call) -> Reply:
    """Delete an extension: 202, or 204 (documented) when there was none."""
    budget = throttling.compute(call, throttling.UPDATE)
    extension = call.world.resources.get(call.id.key)
    if extension is None:
        return Reply(204)
    return Reply(202, None, budget | operations.delete(call, extension))
