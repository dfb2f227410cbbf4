"""Asynchronous operations: the headers that announce one, and the routes that poll it."""

import math

from sandbox.azure import errors
from sandbox.azure.routing import Call, Evidence, Reply, Routes
from sandbox.azure.state import Operation

routes = Routes()

_LOCATION = "/subscriptions/<subscription>/providers/<namespace>/locations/<location>"
_RULE = f"{_LOCATION}/<any(operations,operationstatuses):kind>/<operation>"


def headers(call: Call, operation: Operation, location: str, *, final: bool) -> dict[str, str]:
    """Return the headers of an accepted operation (facts A2.1, recorded).

    Retry-After is stripped from the recordings; its value is assumed: when polling pays.

    Args:
        call: the request that started it.
        operation: the operation.
        location: the resource's region.
        final: whether a ``Location`` is given too, as for POST and DELETE.
    """
    namespace = call.id.type.partition("/")[0]
    compute = namespace.lower() == "microsoft.compute"
    url = (
        f"{call.origin}/subscriptions/{call.id.subscription}/providers/{namespace}"
        f"/locations/{location}/{'operations' if compute else 'operationStatuses'}/{operation.name}"
        f"?p={call.world.tenant}&{{}}api-version={call.query['api-version']}"
        f"&t={int(operation.started.timestamp() * 10_000_000)}"
    )
    found = {
        "azure-asyncnotification": "Enabled",
        "azure-asyncoperation": url.format(""),
        "Retry-After": str(_seconds_left(call, operation)),
    }
    if final:
        found["location"] = url.format("monitor=true&")
    return found


def _seconds_left(call: Call, operation: Operation) -> int:
    return max(1, math.ceil((operation.ends - call.world.now()).total_seconds()))


def _find(call: Call) -> Operation:
    operation = call.world.operations.get(call.args["operation"])
    if operation is None:
        raise errors.AzureError(404, "NotFound", "The entity was not found.")
    return operation


@routes.route("GET", _RULE, Evidence.RECORDED, "facts A2.1, test_vm_msi", action="")
def poll(call: Call) -> Reply:
    """Tell the state of an operation; with ``monitor`` the final answer is 200 without a body."""
    operation = _find(call)
    running = call.world.now() < operation.ends
    retry = {"Retry-After": str(_seconds_left(call, operation))} if running else {}
    if "monitor" in call.query:
        return Reply(202 if running else 200, None, retry)
    body = {"startTime": operation.started.isoformat()}
    if not running:
        body["endTime"] = operation.ends.isoformat()
    body["status"] = "InProgress" if running else "Succeeded"
    body["name"] = operation.name
    return Reply(200, body, retry)


@routes.route(
    "GET",
    "/subscriptions/<subscription>/operationresults/<operation>",
    Evidence.ASSUMED,
    "facts A2.1: the location is recorded, its answer is not",
    action="",
)
def result(call: Call) -> Reply:
    """Tell whether a group's deletion has ended: 202 with the same location, then 200."""
    operation = _find(call)
    if call.world.now() < operation.ends:
        retry = str(_seconds_left(call, operation))
        url = f"{call.origin}{call.id.text}?api-version={call.query['api-version']}"
        return Reply(202, None, {"location": url, "Retry-After": retry})
    return Reply(200)
