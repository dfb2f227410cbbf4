"""Asynchronous operations: the headers that announce one, and the routes that poll it."""

import datetime as dt
import math
from urllib.parse import quote

from sandbox.azure import errors, ids, leaving, rates, regions, resourceview
from sandbox.azure.kinds import kind
from sandbox.azure.operationstyles import SEGMENTS, Style, style
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.state import Operation, Resource

routes = Routes()

_ACTIONS = {"Creating": "CREATE", "Deleting": "DELETE"}

_KINDS = f"<any({','.join(SEGMENTS)}):kind>/<operation>"
_LOCATION = "/subscriptions/<subscription>/providers/<namespace>/locations/<location>"
_RESOURCE = "/subscriptions/<subscription>/resourcegroups/<group>/providers/<namespace>/<path:rest>"


def begin(call: Call, resource: Resource, state: str, *, final: bool) -> dict[str, str]:
    """Start an operation on a resource and return the headers that announce it.

    One that fails late leaves the resource as it was written, in the state ``Failed`` (assumed).

    Args:
        call: the request that starts it.
        resource: the resource, which is in the state until the operation has ended.
        state: its provisioning state meanwhile.
        final: whether a ``Location`` is given too, as for POST, DELETE and answers without a body.
    """
    created = resource.id.key not in call.world.resources
    operation = call.world.start_operation()
    resource.busy, resource.ready_at = state, operation.ends
    resource.outcome = "Failed" if call.late else "Succeeded"
    if call.late:
        operation.error = {"code": call.late.code, "message": call.late.message}
    operation.resource, operation.state = resource.id.text, state
    operation.location = resource.location
    located = style(resource.type).located
    found = headers(call, operation, final=final or located == "always")
    if located == "created" and created:
        version = call.query["api-version"]
        found["location"] = f"{call.origin}{resource.id.text}?api-version={version}"
    return found


def receipt(call: Call, resource: Resource) -> Json | None:
    """Return the body of a 202, which few providers give one."""
    manners, deleting = style(resource.type), resource.busy == leaving.STATE
    if manners.calls[deleting]:
        return {
            "operation": manners.calls[deleting],
            "startTime": _time(call.world.now(), zulu=True),
        }
    if manners.queued and deleting:
        return {"status": manners.queued}
    shown = manners.shows and not deleting
    return resourceview.show(call.world, resource, read=False) if shown else None


def delete(call: Call, resource: Resource) -> dict[str, str]:
    """Delete a resource as an operation and return the headers that announce it.

    Until that has ended the resource is visible as ``Deleting`` (documented for providers that
    delete so); to delete it again joins the operation that runs (assumed).
    """
    running = _deletion(call, resource)
    if running is not None:
        return headers(call, running, final=True)
    found = begin(call, resource, leaving.STATE, final=True)
    if call.late:
        call.world.keep(resource)
    else:
        call.world.remove(resource)
    return found


def _deletion(call: Call, resource: Resource) -> Operation | None:
    now = call.world.now()
    if resource.provisioning_state(now) != leaving.STATE:
        return None
    found = (
        each
        for each in call.world.operations.values()
        if each.resource == resource.id.text and each.state == leaving.STATE and each.ends > now
    )
    return next(found, None)


def headers(call: Call, operation: Operation, *, final: bool) -> dict[str, str]:
    """Return the headers of an accepted operation (facts A2.1, recorded).

    Retry-After is stripped from the recordings; its value is assumed: when polling pays.
    """
    manners = _style(operation)
    found = {"Retry-After": str(_seconds_left(call, operation))}
    alone = manners.deletion and operation.state == leaving.STATE
    if manners.polled and not alone:
        found["azure-asyncoperation"] = _url(call, operation, manners, manners.status)
    if manners.notified:
        found["azure-asyncnotification"] = "Enabled"
    if final:
        found["location"] = _location(call, operation, manners)
    return found


def _location(call: Call, operation: Operation, manners: Style) -> str:
    """Return where the result of an operation is found."""
    deleting = operation.state == leaving.STATE
    segment = (manners.deletion if deleting else "") or manners.result
    option = f"&{manners.result_option}=Location" if manners.result_option else ""
    return _url(call, operation, manners, segment) + option


def _style(operation: Operation) -> Style:
    return style(ids.parse(operation.resource).type)


def _path(operation: Operation, manners: Style, segment: str) -> str:
    deleting = operation.state == leaving.STATE
    writes_beside = segment == manners.result and not deleting and manners.result_beside
    own_id = resourceview.spelled(ids.parse(operation.resource))
    resource = ids.respell(own_id, manners.group_literal)
    hangs_on = "location" if segment == manners.deletion else writes_beside or manners.beside
    if hangs_on == "resource":
        return f"{resource}/{segment}/{operation.name}"
    scope, _, rest = resource.rpartition("/providers/")
    if hangs_on == "location":
        scope = "/".join(scope.split("/")[:3])
    named = manners.names_region == "always" or (manners.names_region == "deleting" and deleting)
    region = operation.location
    if named or " " in region:
        region = (regions.shown if named else regions.plain)(region)
    namespace = rest.partition("/")[0]
    return f"{scope}/providers/{namespace}/locations/{region}/{segment}/{operation.name}"


def _url(call: Call, operation: Operation, manners: Style, segment: str) -> str:
    values = signed(call, operation) | {"resourceType": "Namespace"}
    options = [f"{name}={values[name]}" for name in manners.options]
    if not segment:
        options.insert(manners.options.index("api-version"), "monitor=true")
    path = quote(_path(operation, manners, segment or manners.status))
    return f"{call.origin}{path}?{'&'.join(options)}"


def signed(call: Call, operation: Operation) -> dict[str, str]:
    """Return the options that such URLs carry; nothing checks the signature."""
    return {
        "p": call.world.tenant,
        "api-version": call.query["api-version"],
        "t": str(int(operation.started.timestamp() * 10_000_000)),
        "c": "certificate",
        "s": "signature",
        "h": "hash",
    }


def _seconds_left(call: Call, operation: Operation) -> int:
    return max(1, math.ceil((operation.ends - call.world.now()).total_seconds()))


def find(call: Call) -> Operation:
    """Return the operation of the call; raises ``AzureError`` 404."""
    operation = call.world.operations.get(call.args["operation"])
    if operation is None:
        raise errors.AzureError(404, "NotFound", "The entity was not found.")
    return operation


def poll(call: Call) -> Reply:
    """Tell the state of an operation, or give its result."""
    operation = find(call)
    manners = _style(operation)
    running = call.world.now() < operation.ends
    extra = {"Retry-After": str(_seconds_left(call, operation))} if running else {}
    if manners.namespace == "Microsoft.Compute":
        extra |= rates.take(call, rates.POLL)
    wanted = call.args["kind"]
    asks_result = {"monitor", manners.result_option.lower()} & call.query.keys()
    if asks_result or wanted != manners.status.lower() or not manners.polled:
        return _result(call, operation, manners, extra)
    if manners.again == "always":
        extra["azure-asyncoperation"] = _url(call, operation, manners, manners.status)
    if manners.again == "running" and running:
        extra |= headers(call, operation, final=True)
    shown = _members(operation, manners, running=running)
    # Who shows no error while all is well shows one all the same (documented).
    names = (*manners.members, *(["error"] if shown["error"] else []))
    found = {name: shown[name] for name in names if name in shown}
    operation.polled = True
    return Reply(200, dict.fromkeys(manners.nulls) | found, extra)


def _result(call: Call, operation: Operation, manners: Style, extra: dict[str, str]) -> Reply:
    """Answer 202 with the same location while it runs, then 200, after a write with its result.

    That the location is repeated is documented; clients may go on without it, too.
    """
    if call.world.now() < operation.ends:
        location = _location(call, operation, manners)
        return Reply(202, None, {"location": location, **extra})
    if operation.error:
        # The status is assumed.
        raise errors.AzureError(409, operation.error["code"], operation.error["message"])
    resource = call.world.resources.get(operation.resource.lower())
    if resource is None or not manners.yields or operation.state == leaving.STATE:
        return Reply(manners.done, None, extra)
    tag = resourceview.etag(resource, kind(resource.type))
    return Reply(200, resourceview.show(call.world, resource), extra | tag)


def _members(operation: Operation, manners: Style, *, running: bool) -> Json:
    compute = manners.namespace == "Microsoft.Compute"
    action = _ACTIONS.get(operation.state, "UPDATE")
    ended = "Failed" if operation.error else "Succeeded"
    begun = manners.running or operation.state
    if manners.queued and not operation.polled:
        begun = manners.queued
    found: Json = {
        "id": _path(operation, manners, manners.status),
        "name": operation.name,
        "status": begun if running else ended,
        "startTime": _time(operation.started, zulu=not compute),
        "error": None if running else operation.error,
        "properties": {"resourceName": operation.resource, "action": action},
        "percentComplete": 0.0 if running else 100.0,
    }
    if manners.about == "resource":
        found |= {"id": operation.resource, "properties": {"events": []}}
    if not running:
        found["endTime"] = _time(operation.ends, zulu=not compute)
    return found


def _time(moment: dt.datetime, *, zulu: bool) -> str:
    text = moment.isoformat()
    return text.replace("+00:00", "Z") if zulu else text


for _rule in (f"{_LOCATION}/{_KINDS}", f"{_RESOURCE}/{_KINDS}"):
    routes.route(
        "GET", _rule, Evidence.RECORDED, "facts A2.1, test_vm_msi, test_azconfig", action=""
    )(poll)


@routes.route(
    "GET",
    "/subscriptions/<subscription>/operationresults/<operation>",
    Evidence.RECORDED,
    "azure-cli test_resource_move, test_resource_group",
    action="",
)
def result(call: Call) -> Reply:
    """Tell whether a group's operation has ended: 202 with the same location, then the result.

    That of a deletion is 200, that of a move 204 (azure-cli test_resource_move).
    """
    operation = find(call)
    if call.world.now() < operation.ends:
        retry = str(_seconds_left(call, operation))
        return Reply(202, None, {"location": group_url(call, operation), "Retry-After": retry})
    if operation.error:
        raise errors.AzureError(409, **operation.error)
    return Reply(200 if operation.state == leaving.STATE else 204)


def delete_group(call: Call, group: Resource) -> dict[str, str]:
    """Delete a group as an operation, or join the one that does, and return its headers."""
    operation = _deletion(call, group)
    if operation is None:
        operation = call.world.start_operation()
        operation.resource, operation.state = group.id.text, leaving.STATE
        call.world.remove_group(group)
    return group_headers(call, operation)


def group_headers(call: Call, operation: Operation) -> dict[str, str]:
    """Return the headers of an accepted operation on a group (facts A2.1, recorded)."""
    retry = str(_seconds_left(call, operation))
    return {"location": group_url(call, operation), "Retry-After": retry}


def group_url(call: Call, operation: Operation) -> str:
    """Return where the result of an operation on a group is found (facts A2.1, recorded)."""
    options = "&".join(
        f"{name}={value}" for name, value in signed(call, operation).items() if name != "p"
    )
    path = f"/subscriptions/{call.id.subscription}/operationresults/{operation.name}"
    return f"{call.origin}{path}?{options}"
