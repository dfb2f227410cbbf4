"""The activity log of a subscription: who wrote what, as the recorded log of assignments shows it.

A write has two entries, one for its request and one for its end; refused requests are not kept.
"""

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable

from sandbox.arm import errors, ids, listing
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.events import Change, Entry, claims, stamp
from sandbox.world.world import World

routes = Routes()

_PAGE = 200
_KEPT = dt.timedelta(days=90)
_TERM = re.compile(r"(\w+)\s+(eq|ge|le)\s+'?([^']*?)'?", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)
"""Names of groups may hold blanks, and so the word."""
_TITLES = {
    "Microsoft.Authorization/roleAssignments/write": "Create role assignment",
    "Microsoft.Authorization/roleAssignments/delete": "Delete role assignment",
}
_TICKS_AT_1970 = 621_355_968_000_000_000

type _Matches = Callable[[Entry], bool]


def _ticks(moment: dt.datetime) -> int:
    return _TICKS_AT_1970 + int(moment.timestamp() * 10_000_000)


def _pair(value: str, localized: str | None = None) -> Json:
    return {"value": value, "localizedValue": value if localized is None else localized}


def _submitted(world: World, entry: Entry) -> dt.datetime:
    """Return when an entry is there to be read."""
    key = f"{entry.change.id} {entry.begins}"
    return entry.at + world.injector.delay(world.faults.log_delay, key)


def _show(world: World, entry: Entry) -> Json:
    change = entry.change
    resource, context = change.resource, change.context
    cascades = change.action != change.operation
    kind = change.operation.rpartition("/")[0].removesuffix("/action")
    group = "/".join(resource.text.split("/")[:5])
    name = str(uuid.uuid5(uuid.UUID(change.id), "begins")) if entry.begins else change.id
    status = "Started" if entry.begins else change.status
    shown = {
        "authorization": {
            "action": change.action,
            "scope": ids.respell(group, "resourcegroups") if cascades else resource.text,
        },
        "caller": context.caller.oid,
        "channels": "Operation",
        "claims": claims(context.caller, world.tenant, entry.at),
        "correlationId": context.correlation_id,
        "description": "",
        "eventDataId": name,
        "eventName": (
            _pair("BeginRequest", "Begin request")
            if entry.begins
            else _pair("EndRequest", "End request")
        ),
        "category": _pair("Administrative"),
        "httpRequest": {
            "clientRequestId": context.correlation_id,
            "clientIpAddress": "127.0.0.1",
            "method": context.method,
            # Events call it url (facts: Resource events, recorded).
            "uri": context.url,
        },
        "id": f"{resource.text}/events/{name}/ticks/{_ticks(entry.at)}",
        "level": "Error" if status == "Failed" else "Informational",
        "resourceGroupName": resource.group,
        "resourceProviderName": _pair(change.operation.partition("/")[0]),
        "resourceId": resource.text,
        "resourceType": _pair(change.action.rpartition("/")[0] if cascades else kind),
        "operationId": context.correlation_id,
        "operationName": _pair(change.operation, _TITLES.get(change.operation)),
        "properties": _properties(world, entry),
        "status": _pair(status),
        "subStatus": _pair("") if entry.begins else _sub_status(change),
        "eventTimestamp": stamp(entry.at),
        "submissionTimestamp": f"{_submitted(world, entry):%Y-%m-%dT%H:%M:%SZ}",
        "subscriptionId": resource.subscription,
        "tenantId": world.tenant,
    }
    if cascades or change.silent or not context.method:
        # What follows from another's deletion has no request of its own (recorded).
        del shown["httpRequest"]
    return shown


def _properties(world: World, entry: Entry) -> Json:
    """Return what an entry says beyond its frame (recorded): what was sent, what became of it.

    A cascade names what went.
    """
    change = entry.change
    gone, sent = change.gone, change.context.body
    own: Json
    if entry.begins:
        own = {"requestbody": json.dumps(sent, separators=(",", ":"))} if sent else {}
    elif gone is None:
        status = "Created" if _creates(change) else "OK"
        own = {"statusCode": status, "serviceRequestId": None}
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


def _beginning(call: Call, text: str) -> dt.datetime:
    """Return the time from which on a filter asks for the log; raises 400 where there is none.

    That one of more than 90 days ago is refused without an envelope is recorded (facts:
    Visibility), its code and text are assumed.
    """
    for part in _AND.split(text):
        found = _TERM.fullmatch(part.strip())
        if found and (found[1].lower(), found[2].lower()) == ("eventtimestamp", "ge"):
            since = _moment(found[3].upper())
            if since < call.world.now() - _KEPT:
                raise errors.FlatError(
                    400, "BadRequest", "The start time cannot be more than 90 days in the past."
                )
            return since
    raise errors.AzureError(
        400, "BadRequest", "The $filter must name the beginning: eventTimestamp ge '<time>'."
    )


def _term(text: str) -> _Matches:
    """Return the test that one term of a filter makes; raises ``AzureError`` 400.

    The id of a group finds what was done to the group itself, such as a move (assumed).
    """
    found = _TERM.fullmatch(text.strip())
    name, operator, value = (each.lower() for each in found.groups()) if found else ("", "", "")
    if name == "eventtimestamp" and operator in ("ge", "le"):
        moment = _moment(value.upper())
        return lambda entry: entry.at >= moment if operator == "ge" else entry.at <= moment
    tests: dict[str, _Matches] = {
        "resourceuri": lambda entry: entry.change.resource.key == value.rstrip("/"),
        "resourcegroupname": lambda entry: entry.change.resource.group.lower() == value,
        "resourceprovider": lambda entry: entry.change.operation.lower().startswith(value + "/"),
        "correlationid": lambda entry: entry.change.context.correlation_id == value,
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
    world, text = call.world, call.query.get("$filter", "")
    _beginning(call, text)
    # Its beginning is the first term of most filters, and leaves out the least.
    tests = [_term(part) for part in reversed(_AND.split(text))]
    subscription, now = call.args["subscription"], world.now()
    found = [
        entry
        for entry in reversed(world.feed.activity)
        if all(test(entry) for test in tests)
        and entry.change.resource.subscription.lower() == subscription
        and _submitted(world, entry) <= now
    ]
    found.sort(key=lambda entry: entry.at, reverse=True)
    wanted = {each for each in call.query.get("$select", "").split(",") if each}

    def show(entry: Entry) -> Json:
        shown = _show(world, entry)
        return {name: shown[name] for name in shown if not wanted or name in wanted}

    return listing.page(call, found, show, size=_PAGE)
