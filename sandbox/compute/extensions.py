"""Extensions of virtual machines, their children."""

from sandbox.arm import errors, ids, operations
from sandbox.arm.documents import expanded
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.compute import computemodel
from sandbox.compute.machineview import extensions_of, show_extension
from sandbox.world import throttling
from sandbox.world.state import Resource

routes = Routes()

_EXTENSIONS = (
    "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.compute"
    "/virtualmachines/<name>/extensions"
)
_EXTENSION = f"{_EXTENSIONS}/<extension>"


def _machine(call: Call) -> Resource:
    call.world.group(call.id)
    found = ids.parse(call.id.outer)
    machine = call.world.resources.get(found.key)
    if machine is None:
        raise errors.parent_not_found(found.name)
    return machine


@routes.route("GET", _EXTENSIONS, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - List")
def list_all(call: Call) -> Reply:
    """List a machine's extensions."""
    budget = throttling.compute(call, throttling.READ)
    return Reply(200, {"value": extensions_of(call.world, _machine(call))}, budget)


@routes.route("GET", _EXTENSION, Evidence.RECORDED, "azure-cli test_vm_extension")
def get(call: Call) -> Reply:
    """Return an extension."""
    budget = throttling.compute(call, throttling.READ)
    asked = expanded(call, "instanceview")
    _machine(call)
    extension = call.world.resources.get(call.id.key)
    if extension is None or not call.world.indexed(extension):
        raise errors.resource_not_found(call.id)
    return Reply(200, show_extension(call.world, extension, asked), budget)


@routes.route("PUT", _EXTENSION, Evidence.RECORDED, "azure-cli test_vm_extension")
def put(call: Call) -> Reply:
    """Create or update an extension as an operation, of the machine as well.

    The machine is ``Updating`` meanwhile (azure-cli test_vm_extension_list).
    """
    budget = throttling.compute(call, throttling.UPDATE)
    machine = _machine(call)
    known = call.world.resources.get(call.id.key)
    now = call.world.now()
    extension = known or Resource(call.id, call.id.type, machine.location, now, now)
    # Its type is what it is, said again or not (azure-cli test_vm_disk_encryption_e2e).
    own = {name: extension.properties[name] for name in ("type",) if name in extension.properties}
    extension.properties = own | computemodel.public(call.member("properties") or {})
    extension.tags = dict(call.member("tags") or {})
    found = operations.begin(call, extension, "Updating" if known else "Creating", final=False)
    machine.busy, machine.ready_at = "Updating", extension.ready_at
    call.world.put(extension)
    return Reply(200 if known else 201, show_extension(call.world, extension), {**budget, **found})


@routes.route("DELETE", _EXTENSION, Evidence.RECORDED, "azure-cli test_vm_extension")
def delete(call: Call) -> Reply:
    """Delete an extension: 202, or 204 (documented) when there was none."""
    budget = throttling.compute(call, throttling.UPDATE)
    extension = call.world.resources.get(call.id.key)
    if extension is None:
        return Reply(204)
    return Reply(202, None, {**budget, **operations.delete(call, extension)})
