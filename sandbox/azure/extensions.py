"""Extensions of virtual machines, their children."""

from sandbox.azure import errors, ids, operations
from sandbox.azure.machineview import extensions_of, show_extension
from sandbox.azure.routing import Call, Evidence, Reply, Routes
from sandbox.azure.state import Resource

routes = Routes()

_EXTENSIONS = (
    "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.compute"
    "/virtualmachines/<name>/extensions"
)
_EXTENSION = f"{_EXTENSIONS}/<extension>"


def _machine(call: Call) -> Resource:
    if call.world.group_key(call.id) not in call.world.groups:
        raise errors.group_not_found(call.id.group)
    found = ids.parse(call.id.text[: call.id.key.rindex("/extensions")])
    machine = call.world.resources.get(found.key)
    if machine is None:
        raise errors.parent_not_found(found.name)
    return machine


@routes.route("GET", _EXTENSIONS, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - List")
def list_all(call: Call) -> Reply:
    """List a machine's extensions."""
    return Reply(200, {"value": extensions_of(call.world, _machine(call))})


@routes.route("GET", _EXTENSION, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - Get")
def get(call: Call) -> Reply:
    """Return an extension."""
    _machine(call)
    extension = call.world.resources.get(call.id.key)
    if extension is None:
        raise errors.resource_not_found(call.id.type, call.id.name, call.id.group)
    return Reply(200, show_extension(call.world, extension))


@routes.route("PUT", _EXTENSION, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - Create")
def put(call: Call) -> Reply:
    """Create or update an extension as an operation."""
    machine = _machine(call)
    known = call.world.resources.get(call.id.key)
    now = call.world.now()
    extension = known or Resource(call.id, call.id.type, machine.location, now, now)
    extension.properties = dict(call.member("properties") or {})
    extension.tags = dict(call.member("tags") or {})
    found = operations.begin(call, extension, "Updating" if known else "Creating", final=False)
    call.world.put(extension)
    return Reply(200 if known else 201, show_extension(call.world, extension), found)


@routes.route(
    "DELETE", _EXTENSION, Evidence.DOCUMENTED, "REST: Virtual Machine Extensions - Delete"
)
def delete(call: Call) -> Reply:
    """Delete an extension: 202, or 204 when there was none."""
    extension = call.world.resources.get(call.id.key)
    if extension is None:
        return Reply(204)
    return Reply(202, None, operations.delete(call, extension))
