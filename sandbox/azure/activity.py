"""The activity log of a subscription: who wrote what, as the recorded log of assignments shows it.

Refused requests are not kept, and each write has one entry, at its end.
"""

import datetime as dt
import re
from collections.abc import Callable

from sandbox.azure import errors, ids, listing
from sandbox.azure.eventgrid import Change, claims, stamp
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.world import World

routes = Routes()

_PAGE = 200
_TERM = re.compile(r"(\w+)\s+(eq|ge|le)\s+'?([^']*?)'?", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_TITLES = {
    "Microsoft.Authorization/roleAssignments/write": "Create role assignment",
    "Microsoft.Authorization/roleAssignments/delete": "Delete role assignment",
}
_TICKS_AT_1970 = 621_355_968_000_000_000

type _Matches = Callable[[Change], bool]


def _ticks(moment: dt.datetime) -> int:
    return _TICKS_AT_1970 + int(moment.timestamp() * 10_000_000)


def _pair(value: str, localized: str | None = None) -> Json:
    return {"value": value, "localizedValue": value if localized is None else localized}


def _show(world: World, change: Change) -> Json:
    resource, context = change.resource, change.context
    cascades = change.action != change.operation
    kind = change.operation.rpartition("/")[0].removesuffix("/action")
    group = "/".join(resource.text.split("/")[:5])
    entry = {
        "authorization": {
            "action": change.action,
            "scope": ids.respell(group, "resourcegroups") if cascades else resource.text,
        },
        "caller": context.caller.oid,
        "channels": "Operation",
        "claims": claims(context.caller, world.tenant, change.at),
        "correlationId": context.correlation_id,
        "description": "",
        "eventDataId": change.id,
        "eventName": _pair("EndRequest", "End request"),
        "category": _pair("Administrative"),
        "httpRequest": {
            "clientRequestId": context.correlation_id,
            "clientIpAddress": "127.0.0.1",
            "method": context.method,
            # Events call it url (facts A1, recorded).
            "uri": context.url,
        },
        "id": f"{resource.text}/events/{change.id}/ticks/{_ticks(change.at)}",
        "level": "Informational",
        "resourceGroupName": resource.group,
        "resourceProviderName": _pair(change.operation.partition("/")[0]),
        "resourceId": resource.text,
        "resourceType": _pair(change.action.rpartition("/")[0] if cascades else kind),
        "operationId": context.correlation_id,
        "operationName": _pair(change.operation, _TITLES.get(change.operation)),
        "properties": _properties(world, change),
        "status": _pair(change.status),
        "subStatus": _sub_status(change),
        "eventTimestamp": stamp(change.at),
        "submissionTimestamp": f"{change.at:%Y-%m-%dT%H:%M:%SZ}",
        "subscriptionId": resource.subscription,
        "tenantId": world.tenant,
    }
    if cascades or not context.method:
        # What follows from another's deletion has no request of its own (recorded).
        del entry["httpRequest"]
    return entry


def _properties(world: World, change: Change) -> Json:
    """Return what an entry says beyond its frame; a cascade names what went (recorded)."""
    gone = change.gone
    if gone is None:
        status = "Created" if _creates(change) else "OK"
        own: Json = {"statusCode": status, "serviceRequestId": None}
    else:
        own = {
            "id": gone.name.replace("-", ""),
            "principalId": gone.principal.replace("-", ""),
            "roleDefinitionId": gone.role.replace("-", ""),
            "scope": gone.scope,
        }
    return {
        **own,
        "eventCategory": "Administrative",
        "entity": change.resource.text,
        "message": change.operation,
        "hierarchy": f"{world.tenant}/{change.resource.subscription}",
    }


def _sub_status(change: Change) -> Json:
    if change.gone is not None:
        return _pair("")
    if _creates(change):
        return _pair("Created", "Created (HTTP Status Code: 201)")
    return _pair("OK", "OK (HTTP Status Code: 200)")


def _creates(change: Change) -> bool:
    """Tell whether the answer was 201, which every write of a role assignment gets (recorded)."""
    assigns = change.operation == "Microsoft.Authorization/roleAssignments/write"
    return change.verb == "Write" and (assigns or not change.update)


def _moment(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise errors.unsupported(f"the time '{text}' in a filter") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _term(text: str) -> _Matches:
    """Return the test that one term of a filter makes; raises ``AzureError`` 400."""
    found = _TERM.fullmatch(text.strip())
    name, operator, value = (each.lower() for each in found.groups()) if found else ("", "", "")
    if name == "eventtimestamp" and operator in ("ge", "le"):
        moment = _moment(value.upper())
        return lambda change: change.at >= moment if operator == "ge" else change.at <= moment
    tests: dict[str, _Matches] = {
        "resourceuri": lambda change: change.resource.key == value,
        "resourcegroupname": lambda change: change.resource.group.lower() == value,
        "resourceprovider": lambda change: change.operation.lower().startswith(value + "/"),
        "correlationid": lambda change: change.context.correlation_id == value,
        "eventchannels": lambda _: "operation" in value,
    }
    if operator != "eq" or name not in tests:
        raise errors.unsupported(f'the filter "{text}"')
    return tests[name]


@routes.route(
    "GET",
    "/subscriptions/<subscription>/providers/microsoft.insights/eventtypes/management/values",
    Evidence.RECORDED,
    "data/events/activitylog_role_assignments_recorded",
    action="Microsoft.Insights/eventtypes/values/read",
)
def list_values(call: Call) -> Reply:
    """List the log, newest first; a filter must name its beginning (documented)."""
    text = call.query.get("$filter", "")
    if "eventtimestamp ge" not in text.lower():
        raise errors.AzureError(
            400, "BadRequest", "The $filter must name the beginning: eventTimestamp ge '<time>'."
        )
    tests = [_term(part) for part in _AND.split(text)]
    subscription = call.args["subscription"]
    found = [
        change
        for change in reversed(call.world.activity)
        if change.resource.subscription.lower() == subscription
        and all(test(change) for test in tests)
    ]
    wanted = {each for each in call.query.get("$select", "").split(",") if each}

    def show(change: Change) -> Json:
        entry = _show(call.world, change)
        return {name: entry[name] for name in entry if not wanted or name in wanted}

    return listing.page(call, found, show, size=_PAGE)
