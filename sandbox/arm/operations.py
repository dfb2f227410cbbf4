"""Asynchronous operations: what announces one, the routes that poll it, and what it stands against.

All providers announce theirs as Compute does; each has a style of its own in Azure, which only
pollers see. The application asks ``refuse_conflict`` before every write.
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world import throttling
from sandbox.world.state import DELETING, MOVING, Operation, Resource
from sandbox.world.world import World

routes = Routes()


def begin(call: Call, resource: Resource, state: str, *, final: bool) -> dict[str, str]:
    """Start an operation on a resource and return the headers that announce it.

    One that fails late leaves the resource as it was written, in the state ``Failed`` (assumed).

    Args:
        call: the request that starts it.
        resource: the resource, which is in the state until the operation has ended.
        state: its provisioning state meanwhile.
        final: whether a ``Location`` is given too, as for POST, DELETE and 202.
    """
    operation = call.world.start_operation()
    resource.busy, resource.ready_at = state, operation.ends
    operation.error = call.failure
    resource.outcome = "Failed" if operation.error else "Succeeded"
    operation.resource, operation.state = resource.id.text, state
    operation.location = resource.location
    return headers(call, operation, final=final)


def delete(call: Call, resource: Resource) -> dict[str, str]:
    """Delete a resource as an operation and return the headers that announce it.

    Until that has ended the resource is visible as ``Deleting`` (documented for providers that
    delete so); to delete it again joins the operation that runs (assumed).
    """
    running = _deletion(call, resource)
    if running is not None:
        return headers(call, running, final=True)
    announced = begin(call, resource, DELETING, final=True)
    if call.late:
        call.world.emit("Delete", resource)
    else:
        call.world.remove(resource)
    return announced


def delete_group(call: Call, group: Resource) -> dict[str, str]:
    """Delete a group as an operation, or join the one that does, and return its headers."""
    operation = _deletion(call, group)
    if operation is None:
        operation = call.world.start_operation()
        operation.resource, operation.state = group.id.text, DELETING
        call.world.remove_group(group)
    return group_headers(call, operation)


def _deletion(call: Call, resource: Resource) -> Operation | None:
    """Return the operation that is deleting a resource, if one does."""
    now = call.world.now()
    if resource.provisioning_state(now) != DELETING:
        return None
    running = (
        operation
        for operation in call.world.operations.values()
        if operation.resource == resource.id.text
        and operation.state == DELETING
        and operation.ends > now
    )
    return next(running, None)


def headers(call: Call, operation: Operation, *, final: bool) -> dict[str, str]:
    """Return the headers of an accepted operation (facts: Machines, recorded).

    Retry-After is stripped from the recordings; its value is assumed: when polling pays.
    """
    links = {"azure-asyncoperation": _url(call, operation), "azure-asyncnotification": "Enabled"}
    if final:
        links["location"] = _url(call, operation, "monitor=true&")
    return operation.retry(call.world.now()) | links


def _url(call: Call, operation: Operation, monitor: str = "") -> str:
    target = ids.parse(operation.resource)
    namespace, region = target.type.partition("/")[0], operation.location.replace(" ", "")
    path = f"/subscriptions/{target.subscription}/providers/{namespace}/locations/{region}"
    options = f"p={call.world.tenant}&{monitor}{_signed(call, operation)}"
    return f"{call.origin}{path}/operations/{operation.name}?{options}"


def _signed(call: Call, operation: Operation) -> str:
    """Return the options that such URLs carry; nothing checks the signature."""
    ticks = int(operation.started.timestamp() * 10_000_000)
    version = call.query["api-version"]
    return f"api-version={version}&t={ticks}&c=certificate&s=signature&h=hash"


def group_headers(call: Call, operation: Operation) -> dict[str, str]:
    """Return the headers of an accepted operation on a group (facts: Machines, recorded)."""
    path = f"/subscriptions/{call.id.subscription}/operationresults/{operation.name}"
    location = f"{call.origin}{path}?{_signed(call, operation)}"
    return {"location": location, **operation.retry(call.world.now())}


def _find(call: Call) -> Operation:
    operation = call.world.operations.get(call.args["operation"])
    if operation is None:
        raise errors.AzureError(404, "NotFound", "The entity was not found.")
    return operation


@routes.route(
    "GET",
    "/subscriptions/<subscription>/providers/<namespace>/locations/<location>"
    "/operations/<operation>",
    Evidence.RECORDED,
    "facts: Machines, test_vm_msi, test_invoke_action",
    action="",
)
def poll(call: Call) -> Reply:
    """Return the state of an operation or, with ``monitor``, whether it has ended.

    The latter is 202 with the same location while it runs (that this is repeated is documented),
    then 200 without a body.
    """
    operation, now = _find(call), call.world.now()
    running = now < operation.ends
    extra = operation.retry(now) if running else {}
    if call.args["namespace"] == "microsoft.compute":
        extra |= throttling.compute(call, throttling.POLL)
    if "monitor" in call.query:
        if running:
            extra["location"] = _url(call, operation, "monitor=true&")
        elif operation.error:
            # The status is assumed.
            raise errors.AzureError(409, operation.error["code"], operation.error["message"])
        return Reply(202 if running else 200, None, extra)
    state: Json = {
        "startTime": operation.started.isoformat(),
        "status": operation.status(now, "InProgress"),
        "name": operation.name,
    }
    if not running:
        state["endTime"] = operation.ends.isoformat()
        state |= {"error": operation.error} if operation.error else {}
    return Reply(200, state, extra)


@routes.route(
    "GET",
    "/subscriptions/<subscription>/operationresults/<operation>",
    Evidence.RECORDED,
    "azure-cli test_resource_move, test_resource_group",
    action="",
)
def result(call: Call) -> Reply:
    """Return whether a group's operation has ended: 202 with the same location until then.

    Then it is 200 for a deletion and 204 for a move (azure-cli test_resource_move).
    """
    operation = _find(call)
    if call.world.now() < operation.ends:
        return Reply(202, None, group_headers(call, operation))
    if operation.error:
        raise errors.AzureError(409, **operation.error)
    return Reply(200 if operation.state == DELETING else 204)


def refuse_conflict(world: World, method: str, target: ids.ArmId) -> None:
    """Raise 409 for a write to what is being deleted or moved, or to a part of it.

    The code of a group is known from issues, the other is Compute's for all concurrent writes
    (azure-cli 15765); that it is given here is assumed. What only hangs on a resource, such as a
    role assignment, may be written. That actions on resources of a group go on while others move
    is assumed; writes and deletions do not (documented).
    """
    if method in ("GET", "HEAD"):
        return
    now = world.now()
    group = world.groups.get(world.group_key(target)) if target.group else None
    state = group.provisioning_state(now) if group else ""
    extension = target.type.lower().startswith("microsoft.authorization/")
    acts = method == "POST" and group is not None and target.key != group.id.key
    code, doing = "", ""
    if state == MOVING and not (extension or acts):
        code, doing = "ResourcesBeingMoved", "being updated"
    elif state == DELETING and method != "DELETE":
        code, doing = "ResourceGroupBeingDeleted", "in deprovisioning state"
    if code:
        raise errors.AzureError(
            409,
            code,
            f"The resource group '{target.group}' is {doing} and cannot perform this operation.",
            gateway=True,
        )
    if method == "DELETE" or extension:
        return
    for key in ids.ancestors(target.key):
        resource = world.resources.get(key)
        if resource is not None and resource.provisioning_state(now) == DELETING:
            raise errors.AzureError(
                409,
                "Conflict",
                "The request failed due to conflict with a concurrent request. To resolve it, "
                "please refer to https://aka.ms/activitylog to get more details on the conflicting "
                "requests.",
            )
