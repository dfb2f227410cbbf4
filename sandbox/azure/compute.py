"""Virtual machines and their extensions (facts A2.1, B5)."""

from typing import Any

from sandbox.azure import attachment, errors, ids, listing
from sandbox.azure.kinds import kind
from sandbox.azure.operations import headers
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.state import Resource

routes = Routes()

_TYPE = "Microsoft.Compute/virtualMachines"
_KIND = kind(_TYPE)
_LIST = "/subscriptions/<subscription>/providers/microsoft.compute/virtualmachines"
_MACHINES = (
    "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.compute"
    "/virtualmachines"
)
_MACHINE = f"{_MACHINES}/<name>"
_EXTENSION = f"{_MACHINE}/extensions/<extension>"
_EXTRA = ("zones", "plan", "extendedLocation", "managedBy")
_RATES = "x-ms-ratelimit-remaining-resource"
# What full buckets show (facts A2.1, recorded).
_READ = {
    _RATES: "Microsoft.Compute/LowCostGetSubscriptionMaximum;23999,"
    "Microsoft.Compute/LowCostGetResource;35"
}
_UPDATE = {
    _RATES: "Microsoft.Compute/UpdateVMSubscriptionMaximum;1499,"
    "Microsoft.Compute/UpdateVMResource;11"
}
_DELETE = {
    _RATES: "Microsoft.Compute/DeleteVMSubscriptionMaximum;1499,"
    "Microsoft.Compute/DeleteVMResource;11"
}
_POWER = {
    "start": "running",
    "restart": "running",
    "poweroff": "stopped",
    "deallocate": "deallocated",
}
_SPELLING = {"poweroff": "powerOff"}


def _etag(machine: Resource) -> str:
    return f'"{machine.version}"'


def _show(call: Call, machine: Resource) -> Json:
    world = call.world
    properties: dict[str, Any] = {
        **machine.properties,
        "provisioningState": machine.provisioning_state(world.now()),
        "timeCreated": machine.created.isoformat(),
    }
    if call.query.get("$expand", "").lower() == "instanceview":
        properties["instanceView"] = _instance_view(machine, properties["provisioningState"])
    body = {
        "name": machine.id.name,
        "id": ids.respell(machine.id.text, "resourceGroups"),
        "type": _TYPE,
        "location": machine.location,
        "tags": machine.tags,
        **machine.extra,
        **attachment.show(world, machine, _KIND),
        "properties": properties,
        "etag": _etag(machine),
    }
    extensions = _extensions(call, machine)
    return body | ({"resources": extensions} if extensions else {})


def _instance_view(machine: Resource, state: str) -> Json:
    return {
        "statuses": [
            {
                "code": f"ProvisioningState/{state.lower()}",
                "level": "Info",
                "displayStatus": f"Provisioning {state.lower()}",
                "time": machine.ready_at.isoformat(),
            },
            {
                "code": f"PowerState/{machine.power}",
                "level": "Info",
                "displayStatus": f"VM {machine.power}",
            },
        ]
    }


def _find(call: Call, text: str | None = None) -> Resource:
    """Return the machine of the call, or of another id; raises ``AzureError`` 404."""
    wanted = ids.parse(text) if text else call.id
    if call.world.group_key(call.id) not in call.world.groups:
        raise errors.group_not_found(call.id.group)
    machine = call.world.resources.get(wanted.key)
    if machine is None:
        raise errors.resource_not_found(_TYPE, wanted.name, wanted.group)
    return machine


def _check_etag(call: Call, machine: Resource | None) -> None:
    wanted = call.headers.get("if-match")
    if wanted is None or (wanted == "*" and machine):
        return
    if machine is None or wanted != _etag(machine):
        # Facts A2.6: no recording shows the body of a machine's 412.
        raise errors.AzureError(
            412, "PreconditionFailed", "The condition specified in If-Match was not met."
        )


def _run(call: Call, machine: Resource, state: str, *, final: bool) -> dict[str, str]:
    operation = call.world.start_operation()
    machine.busy, machine.ready_at = state, operation.ends
    return headers(call, operation, machine.location, final=final)


@routes.route("GET", _MACHINE, Evidence.RECORDED, "facts A2.1, test_vm_msi #6")
def get(call: Call) -> Reply:
    """Return a machine; the entity tag is a header too, except with an instance view."""
    machine = _find(call)
    expanded = bool(call.query.get("$expand"))
    tag = {} if expanded else {"etag": _etag(machine)}
    return Reply(200, _show(call, machine), {**_READ, **tag})


@routes.route("GET", _MACHINES, Evidence.RECORDED, "facts A2.1, misc_vm_vmss_arg_paging #11")
def list_group(call: Call) -> Reply:
    """List the machines of a group."""
    return listing.page(call, listing.select(call, _TYPE), lambda each: _show(call, each))


@routes.route("GET", _LIST, Evidence.RECORDED, "facts A2.1: group in upper case (c7n)")
def list_subscription(call: Call) -> Reply:
    """List the machines of a subscription; their ids have the group in upper case."""

    def show(machine: Resource) -> Json:
        body = _show(call, machine)
        segments = body["id"].split("/")
        segments[4] = segments[4].upper()
        return body | {"id": "/".join(segments)}

    return listing.page(call, listing.select(call, _TYPE), show)


@routes.route("PUT", _MACHINE, Evidence.DOCUMENTED, "REST: Virtual Machines - Create Or Update")
def put(call: Call) -> Reply:
    """Create a machine (201) or write it anew (200); both run as an operation."""
    world = call.world
    if world.group_key(call.id) not in world.groups:
        raise errors.group_not_found(call.id.group)
    body = call.object_body()
    if not body.get("location"):
        raise errors.AzureError(
            400, "LocationRequired", "The location property is required for this definition."
        )
    known = world.resources.get(call.id.key)
    _check_etag(call, known)
    now = world.now()
    machine = known or Resource(call.id, _TYPE, body["location"], now, now)
    attachment.write(call, machine, call.member("identity"), merge=False)
    machine.tags = dict(call.member("tags") or {})
    machine.extra = {name: body[name] for name in _EXTRA if name in body}
    machine_id = known.properties["vmId"] if known else world.guid()
    machine.properties = {**(call.member("properties") or {}), "vmId": machine_id}
    found = _run(call, machine, "Updating" if known else "Creating", final=False)
    world.put(machine)
    tag = {"etag": _etag(machine)}
    return Reply(200 if known else 201, _show(call, machine), {**_UPDATE, **found, **tag})


@routes.route("PATCH", _MACHINE, Evidence.RECORDED, "facts A2.1, test_vm_explicit_msi #7")
def patch(call: Call) -> Reply:
    """Merge identity, tags and properties: 200 with the new body, while the operation runs."""
    machine = _find(call)
    body = call.object_body()
    _check_etag(call, machine)
    attachment.write(call, machine, call.member("identity"), merge=True)
    if "tags" in body:
        machine.tags = dict(call.member("tags") or {})
    machine.properties |= call.member("properties") or {}
    found = _run(call, machine, "Updating", final=False)
    call.world.put(machine)
    return Reply(200, _show(call, machine), {**_UPDATE, **found, "etag": _etag(machine)})


@routes.route("DELETE", _MACHINE, Evidence.RECORDED, "facts A2.1, misc_vm_vmss_arg_paging #5 #6")
def delete(call: Call) -> Reply:
    """Delete a machine: 202, or 204 when there was none. It is gone at once (assumed)."""
    machine = call.world.resources.get(call.id.key)
    if machine is None:
        return Reply(204)
    _check_etag(call, machine)
    found = _run(call, machine, "Deleting", final=True)
    call.world.remove(machine)
    return Reply(202, None, {**_DELETE, **found})


@routes.route(
    "POST",
    f"{_MACHINE}/<any(start,restart,poweroff,deallocate):verb>",
    Evidence.RECORDED,
    "facts A2.1, test_invoke_action",
)
def power(call: Call) -> Reply:
    """Start, restart, power off or deallocate: 202, an operation with a final location."""
    machine = _find(call, call.id.parent)
    verb = call.args["verb"]
    machine.power = _POWER[verb]
    found = _run(call, machine, "Updating", final=True)
    call.world.act(machine, _SPELLING.get(verb, verb))
    return Reply(202, None, {**_UPDATE, **found})


def _show_extension(call: Call, extension: Resource) -> Json:
    state = extension.provisioning_state(call.world.now())
    return {
        "name": extension.id.name,
        "id": ids.respell(extension.id.text, "resourceGroups"),
        "type": extension.type,
        "location": extension.location,
        "tags": extension.tags,
        "properties": {**extension.properties, "provisioningState": state},
    }


def _extensions(call: Call, machine: Resource) -> list[Json]:
    children = call.world.children.get(machine.id.key, {})
    return [_show_extension(call, each) for each in children.values()]


def _machine_of_extension(call: Call) -> Resource:
    return _find(call, call.id.text.lower().rpartition("/extensions")[0])


@routes.route(
    "GET", f"{_MACHINE}/extensions", Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - List"
)
def list_extensions(call: Call) -> Reply:
    """List a machine's extensions."""
    return Reply(200, {"value": _extensions(call, _machine_of_extension(call))})


@routes.route("GET", _EXTENSION, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - Get")
def get_extension(call: Call) -> Reply:
    """Return an extension."""
    _machine_of_extension(call)
    extension = call.world.resources.get(call.id.key)
    if extension is None:
        raise errors.resource_not_found(call.id.type, call.id.name, call.id.group)
    return Reply(200, _show_extension(call, extension))


@routes.route("PUT", _EXTENSION, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - Create")
def put_extension(call: Call) -> Reply:
    """Create or update an extension as an operation."""
    machine = _machine_of_extension(call)
    known = call.world.resources.get(call.id.key)
    now = call.world.now()
    extension = known or Resource(call.id, call.id.type, machine.location, now, now)
    extension.properties = dict(call.member("properties") or {})
    extension.tags = dict(call.member("tags") or {})
    found = _run(call, extension, "Updating" if known else "Creating", final=False)
    call.world.put(extension)
    return Reply(200 if known else 201, _show_extension(call, extension), found)


@routes.route(
    "DELETE", _EXTENSION, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - Delete"
)
def delete_extension(call: Call) -> Reply:
    """Delete an extension: 202, or 204 when there was none."""
    extension = call.world.resources.get(call.id.key)
    if extension is None:
        return Reply(204)
    found = _run(call, extension, "Deleting", final=True)
    call.world.remove(extension)
    return Reply(202, None, found)
