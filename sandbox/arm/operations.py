"""Asynchronous operations: the headers that announce one, and the routes that poll it."""

import datetime as dt
from urllib.parse import quote

from sandbox.arm import errors, ids, leaving, regions
from sandbox.arm.operationstyles import SEGMENTS, Style, style
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.resources import resourceview
from sandbox.resources.kinds import kind
from sandbox.world import throttling
from sandbox.world.state import Operation, Resource

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
    operation.error = call.failure
    resource.outcome = "Failed" if operation.error else "Succeeded"
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
    row, deleting = style(resource.type), resource.busy == leaving.STATE
    if row.calls[deleting]:
        return {
            "operation": row.calls[deleting],
            "startTime": _time(call.world.now(), zulu=True),
        }
    if row.queued and deleting:
        return {"status": row.queued}
    shown = row.shows and not deleting
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
        call.world.tell("Delete", resource)
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
    """Return the headers of an accepted operation (facts: Machines, recorded).

    Retry-After is stripped from the recordings; its value is assumed: when polling pays.
    """
    row = _style(operation)
    found = operation.retry(call.world.now())
    alone = row.deletion and operation.state == leaving.STATE
    if row.polled and not alone:
        found["azure-asyncoperation"] = _url(call, operation, row, row.status)
    if row.notified:
        found["azure-asyncnotification"] = "Enabled"
    if final:
        found["location"] = _location(call, operation, row)
    return found


def _location(call: Call, operation: Operation, row: Style) -> str:
    """Return where the result of an operation is found."""
    deleting = operation.state == leaving.STATE
    segment = (row.deletion if deleting else "") or row.result
    option = f"&{row.result_option}=Location" if row.result_option else ""
    return _url(call, operation, row, segment) + option


def _style(operation: Operation) -> Style:
    return style(ids.parse(operation.resource).type)


def _path(operation: Operation, row: Style, segment: str) -> str:
    deleting = operation.state == leaving.STATE
    writes_beside = segment == row.result and not deleting and row.result_beside
    own_id = resourceview.spelled(ids.parse(operation.resource))
    resource = ids.respell(own_id, row.group_literal)
    hangs_on = "location" if segment == row.deletion else writes_beside or row.beside
    if hangs_on == "resource":
        return f"{resource}/{segment}/{operation.name}"
    scope, _, rest = resource.rpartition("/providers/")
    if hangs_on == "location":
        scope = "/".join(scope.split("/")[:3])
    named = row.names_region == "always" or (row.names_region == "deleting" and deleting)
    region = operation.location
    if named or " " in region:
        region = (regions.shown if named else regions.plain)(region)
    namespace = rest.partition("/")[0]
    return f"{scope}/providers/{namespace}/locations/{region}/{segment}/{operation.name}"


def _url(call: Call, operation: Operation, row: Style, segment: str) -> str:
    values = _signed(call, operation) | {"resourceType": "Namespace"}
    options = [f"{name}={values[name]}" for name in row.options]
    if not segment:
        options.insert(row.options.index("api-version"), "monitor=true")
    path = quote(_path(operation, row, segment or row.status))
    return f"{call.origin}{path}?{'&'.join(options)}"


def _signed(call: Call, operation: Operation) -> dict[str, str]:
    """Return the options that such URLs carry; nothing checks the signature."""
    return {
        "p": call.world.tenant,
        "api-version": call.query["api-version"],
        "t": str(int(operation.started.timestamp() * 10_000_000)),
        "c": "certificate",
        "s": "signature",
        "h": "hash",
    }


def find(call: Call) -> Operation:
    """Return the operation of the call; raises ``AzureError`` 404."""
    operation = call.world.operations.get(call.args["operation"])
    if operation is None:
        raise errors.AzureError(404, "NotFound", "The entity was not found.")
    return operation


def poll(call: Call) -> Reply:
    """Tell the state of an operation, or give its result."""
    operation = find(call)
    row = _style(operation)
    now = call.world.now()
    running = now < operation.ends
    extra = operation.retry(now) if running else {}
    if row.namespace == "Microsoft.Compute":
        extra |= throttling.compute(call, throttling.POLL)
    wanted = call.args["kind"]
    asks_result = {"monitor", row.result_option.lower()} & call.query.keys()
    if asks_result or wanted != row.status.lower() or not row.polled:
        return _result(call, operation, row, extra)
    if row.again == "always":
        extra["azure-asyncoperation"] = _url(call, operation, row, row.status)
    if row.again == "running" and running:
        extra |= headers(call, operation, final=True)
    shown = _members(operation, row, now)
    # Who shows no error while all is well shows one all the same (documented).
    names = (*row.members, *(["error"] if shown["error"] else []))
    found = {name: shown[name] for name in names if name in shown}
    operation.polled = True
    return Reply(200, dict.fromkeys(row.nulls) | found, extra)


def _result(call: Call, operation: Operation, row: Style, extra: dict[str, str]) -> Reply:
    """Answer 202 with the same location while it runs, then 200, after a write with its result.

    That the location is repeated is documented; clients may go on without it, too.
    """
    if call.world.now() < operation.ends:
        location = _location(call, operation, row)
        return Reply(202, None, {"location": location, **extra})
    if operation.error:
        # The status is assumed.
        raise errors.AzureError(409, operation.error["code"], operation.error["message"])
    resource = call.world.resources.get(operation.resource.lower())
    if resource is None or not row.yields or operation.state == leaving.STATE:
        return Reply(row.done, None, extra)
    tag = resourceview.etag(resource, kind(resource.type))
    return Reply(200, resourceview.show(call.world, resource), extra | tag)


def _members(operation: Operation, row: Style, now: dt.datetime) -> Json:
    compute = row.namespace == "Microsoft.Compute"
    action = _ACTIONS.get(operation.state, "UPDATE")
    running = now < operation.ends
    begun = row.running or operation.state
    if row.queued and not operation.polled:
        begun = row.queued
    found: Json = {
        "id": _path(operation, row, row.status),
        "name": operation.name,
        "status": operation.status(now, begun),
        "startTime": _time(operation.started, zulu=not compute),
        "error": None if running else operation.error,
        "properties": {"resourceName": operation.resource, "action": action},
        "percentComplete": 0.0 if running else 100.0,
    }
    if row.about == "resource":
        found |= {"id": operation.resource, "properties": {"events": []}}
    if not running:
        found["endTime"] = _time(operation.ends, zulu=not compute)
    return found


def _time(moment: dt.datetime, *, zulu: bool) -> str:
    text = moment.isoformat()
    return text.replace("+00:00", "Z") if zulu else text


for _rule in (f"{_LOCATION}/{_KINDS}", f"{_RESOURCE}/{_KINDS}"):
    routes.route(
        "GET", _rule, Evidence.RECORDED, "facts: Machines, test_vm_msi, test_azconfig", action=""
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
        return Reply(202, None, group_headers(call, operation))
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
    """Return the headers of an accepted operation on a group (facts: Machines, recorded)."""
    options = "&".join(
        f"{name}={value}" for name, value in _signed(call, operation).items() if name != "p"
    )
    path = f"/subscriptions/{call.id.subscription}/operationresults/{operation.name}"
    location = f"{call.origin}{path}?{options}"
    return {"location": location, **operation.retry(call.world.now())}
