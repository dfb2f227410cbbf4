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
from sandbox.world.events import Entry, claims, stamp
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
_BEGINNING = ("eventtimestamp", "ge")

type _Matches = Callable[[Entry], bool]


def _pair(value: str, localized: str | None = None) -> Json:
    return {"value": value, "localizedValue": value if localized is None else localized}


def _submitted(world: World, entry: Entry) -> dt.datetime:
    """Return when an entry is there to be read."""
    key = f"{entry.change.id} {entry.begins}"
    return entry.at + world.injector.delay(world.faults.log_delay, key)


def _show(world: World, entry: Entry) -> Json:
    """Return an entry as the log shows it (recorded)."""
    change, begins = entry.change, entry.begins
    resource, context, gone = change.resource, change.context, change.gone
    cascades = change.action != change.operation
    kind = change.operation.rpartition("/")[0].removesuffix("/action")
    group = "/".join(resource.text.split("/")[:5])
    name = str(uuid.uuid5(uuid.UUID(change.id), "begins")) if begins else change.id
    status = "Started" if begins else change.status
    # The answer was 201; every write of a role assignment gets that.
    assigns = change.operation == "Microsoft.Authorization/roleAssignments/write"
    created = change.verb == "Write" and (assigns or not change.update)
    result: Json = {}
    sub_status = _pair("")
    if begins:
        if context.body:
            result = {"requestbody": json.dumps(context.body, separators=(",", ":"))}
    elif gone is None:
        code, phrase = (201, "Created") if created else (200, "OK")
        result = {"statusCode": phrase, "serviceRequestId": None}
        sub_status = _pair(phrase, f"{phrase} (HTTP Status Code: {code})")
    else:
        # A cascade names what went.
        result = {
            "id": gone.name.replace("-", ""),
            "principalId": gone.principal.replace("-", ""),
            "roleDefinitionId": gone.role.replace("-", ""),
            "scope": gone.scope,
        }
    ticks = _TICKS_AT_1970 + int(entry.at.timestamp() * 10_000_000)
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
            _pair("BeginRequest", "Begin request") if begins else _pair("EndRequest", "End request")
        ),
        "category": _pair("Administrative"),
        "httpRequest": {
            "clientRequestId": context.correlation_id,
            "clientIpAddress": "127.0.0.1",
            "method": context.method,
            # Events call it url (facts: Resource events, recorded).
            "uri": context.url,
        },
        "id": f"{resource.text}/events/{name}/ticks/{ticks}",
        "level": "Error" if status == "Failed" else "Informational",
        "resourceGroupName": resource.group,
        "resourceProviderName": _pair(change.operation.partition("/")[0]),
        "resourceId": resource.text,
        "resourceType": _pair(change.action.rpartition("/")[0] if cascades else kind),
        "operationId": context.correlation_id,
        "operationName": _pair(change.operation, _TITLES.get(change.operation)),
        "properties": {
            **result,
            "eventCategory": "Administrative",
            "entity": resource.text,
            "message": change.operation,
            "hierarchy": f"{world.tenant}/{resource.subscription}",
        },
        "status": _pair(status),
        "subStatus": sub_status,
        "eventTimestamp": stamp(entry.at),
        "submissionTimestamp": f"{_submitted(world, entry):%Y-%m-%dT%H:%M:%SZ}",
        "subscriptionId": resource.subscription,
        "tenantId": world.tenant,
    }
    if cascades or change.silent or not context.method:
        # What follows from another's deletion has no request of its own.
        del shown["httpRequest"]
    return shown


def _terms(text: str) -> list[tuple[str, str, str]]:
    """Return the terms of a filter: name, operator and value, all in lower case."""
    terms: list[tuple[str, str, str]] = []
    for part in _AND.split(text):
        match = _TERM.fullmatch(part.strip())
        if match is None:
            raise errors.unsupported(f'the filter "{part}"')
        terms.append((match[1].lower(), match[2].lower(), match[3].lower()))
    return terms


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text.upper())
    except ValueError:
        raise errors.unsupported(f"the time '{text}' in a filter") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _test(name: str, operator: str, value: str) -> _Matches:
    """Return the test that one term of a filter makes; raises ``AzureError`` 400.

    The id of a group finds what was done to the group itself, such as a move (assumed).
    """
    if name == "eventtimestamp" and operator in ("ge", "le"):
        moment = _moment(value)
        return lambda entry: entry.at >= moment if operator == "ge" else entry.at <= moment
    tests: dict[str, _Matches] = {
        "resourceuri": lambda entry: entry.change.resource.key == value.rstrip("/"),
        "resourcegroupname": lambda entry: entry.change.resource.group.lower() == value,
        "resourceprovider": lambda entry: entry.change.operation.lower().startswith(value + "/"),
        "correlationid": lambda entry: entry.change.context.correlation_id == value,
        "eventchannels": lambda _: "operation" in value,
    }
    if operator != "eq" or name not in tests:
        raise errors.unsupported(f"the filter '{name} {operator}'")
    return tests[name]


@routes.route(
    "GET",
    "/subscriptions/<subscription>/providers/microsoft.insights/eventtypes/management/values",
    Evidence.RECORDED,
    "data/events/activitylog_role_assignments_recorded",
    action="Microsoft.Insights/eventtypes/values/read",
)
def list_values(call: Call) -> Reply:
    """List the log, newest first; a filter must name its beginning (documented).

    That a beginning of more than 90 days ago is refused without an envelope is recorded (facts:
    Activity log), its code and text are assumed.
    """
    world, now = call.world, call.world.now()
    terms = _terms(call.query.get("$filter", ""))
    begins = [value for name, operator, value in terms if (name, operator) == _BEGINNING]
    if not begins:
        raise errors.AzureError(
            400, "BadRequest", "The $filter must name the beginning: eventTimestamp ge '<time>'."
        )
    if _moment(begins[0]) < now - _KEPT:
        raise errors.FlatError(
            400, "BadRequest", "The start time cannot be more than 90 days in the past."
        )
    # The beginning is the first term of most filters, and leaves out the least.
    tests = [_test(*term) for term in reversed(terms)]
    entries = [
        entry
        for entry in reversed(world.feed.activity)
        if all(test(entry) for test in tests)
        and entry.change.resource.subscription.lower() == call.args["subscription"]
        and _submitted(world, entry) <= now
    ]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    wanted = {name for name in call.query.get("$select", "").split(",") if name}

    def show(entry: Entry) -> Json:
        shown = _show(world, entry)
        return {name: shown[name] for name in shown if not wanted or name in wanted}

    return listing.page(call, entries, show, size=_PAGE)
