"""Azure Resource Graph: resources and role assignments as tables (facts A2.6, B3)."""

import base64
import functools
from collections.abc import Iterator
from typing import Any

from sandbox.azure import access, errors, graphrows, ids, kql
from sandbox.azure.buckets import Bucket
from sandbox.azure.kqltokens import QueryError
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes
from sandbox.azure.world import World

routes = Routes()

_PAGE = 1000
_SNAPSHOTS = 32
_SCHEMA = (("authorizationresources", graphrows.COLUMNS), ("resources", graphrows.COLUMNS))
# Partial scopes matter beyond a number of subscriptions that no sandbox has.
# Fifteen queries in five seconds (facts B3, documented).
_QUOTA, _SECONDS = 15, 5
_OPTIONS = {
    "$top",
    "$skip",
    "$skipToken",
    "resultFormat",
    "authorizationScopeFilter",
    "allowPartialScopes",
}


def _quota(call: Call) -> dict[str, str]:
    """Charge a query and return the headers that say so; raises ``AzureError`` 429.

    Names are recorded, code and text of the refusal documented (facts A2.6, B3; guidance for
    throttled requests).
    """
    world = call.world
    left, lacking, wait = _QUOTA - 1, None, 0
    if world.weather.throttling:
        oid = call.caller.oid if call.caller else ""
        quota = Bucket(("graph", oid), _QUOTA, _QUOTA / _SECONDS)
        (left,), lacking, wait = world.buckets.take([quota])
    headers = {
        "x-ms-ratelimit-remaining-tenant-resource-requests": str(left),
        "x-ms-resource-graph-request-duration": "0:00:00:00.0010000",
        "x-ms-user-quota-remaining": str(left),
        "x-ms-user-quota-resets-after": f"00:00:{_SECONDS:02}",
    }
    if lacking is None:
        return headers
    headers |= world.retry(wait)
    message = "Client application has been throttled and should not attempt to repeat the request."
    detail = {"code": "RateLimiting", "message": message}
    raise errors.AzureError(
        429, "RateLimiting", "Too many queries.", details=[detail], headers=headers
    )


def _readable(call: Call, action: str, scopes: list[str]) -> Iterator[bool]:
    """Yield for each scope whether the caller may read there; one right above settles most."""
    oid = call.caller.oid if call.caller else ""

    @functools.cache
    def whole(subscription: str) -> bool:
        scope = f"/subscriptions/{subscription}"
        return access.right(call.world, oid, action, scope) is not None

    for scope in scopes:
        subscription = ids.parse(scope).subscription
        yield whole(subscription) or access.right(call.world, oid, action, scope) is not None


def _subscriptions(call: Call, body: Json) -> set[str]:
    world = call.world
    lists = [body.get(name) or [] for name in ("subscriptions", "managementGroups")]
    if not all(isinstance(each, list) for each in lists):
        raise errors.bad_content("a list is required. Path 'subscriptions'")
    wanted = {str(each).lower() for each in lists[0]}
    for group in lists[1]:
        wanted |= world.hierarchy.beneath(str(group), world.subscriptions)
    return wanted & set(world.subscriptions) if wanted else set(world.subscriptions)


def _resources(call: Call, wanted: set[str]) -> Iterator[kql.Row]:
    world = call.world
    stale = world.weather.graph_delay > 0
    known = world.past_resources.at(graphrows.seen(world)) if stale else world.resources.values()
    found = [each for each in known if each.location and each.id.subscription.lower() in wanted]
    readable = _readable(call, "*/read", [each.id.text for each in found])
    for resource, visible in zip(found, readable, strict=True):
        if visible:
            yield graphrows.resource(world, resource)


def _assignments(call: Call, wanted: set[str]) -> Iterator[kql.Row]:
    world = call.world
    stale = world.weather.graph_delay > 0
    known = world.past_assignments.at(graphrows.seen(world)) if stale else world.assignments
    found = [each for each in known if ids.parse(each.scope).subscription.lower() in wanted]
    action = "Microsoft.Authorization/roleAssignments/read"
    readable = _readable(call, action, [each.scope for each in found])
    for assignment, visible in zip(found, readable, strict=True):
        if visible:
            yield graphrows.assignment(world, assignment)


_TABLES = {"resources": _resources, "authorizationresources": _assignments}


def _shown(world: World, rows: Iterator[kql.Row]) -> Iterator[kql.Row]:
    """Leave out what the index lacks today."""
    chance = world.weather.graph_missing
    return (row for row in rows if not world.happens(chance)) if chance else rows


def _invalid(error: QueryError) -> errors.AzureError:
    details: list[dict[str, Any]] = [
        {
            "code": "InvalidQuery",
            "message": "Query is invalid. Please refer to the documentation for the Azure Resource "
            "Graph service and fix the error before retrying.",
        },
        {
            "code": "ParserFailure",
            "message": "ParserFailure",
            "line": error.line,
            "characterPositionInLine": error.column,
            "token": error.token,
            "expectedToken": error.expected,
        },
    ]
    return errors.AzureError(400, "BadRequest", str(error), details=details)


def _token(world: World, rows: list[kql.Row], start: int) -> str:
    """Keep a result for its next pages, and return the token that asks for them."""
    name = str(id(rows))
    world.snapshots.pop(name, None)
    world.snapshots[name] = rows
    while len(world.snapshots) > _SNAPSHOTS:
        del world.snapshots[next(iter(world.snapshots))]
    return base64.b64encode(f"{name} {start}".encode()).decode()


def _resumed(world: World, token: object) -> tuple[list[kql.Row] | None, int]:
    """Return the result that a token goes on with, and where; raises ``AzureError`` 400."""
    if not token:
        return None, 0
    try:
        name, start = base64.b64decode(str(token)).decode().split(" ")
        return world.snapshots[name], int(start)
    except (ValueError, KeyError):
        raise errors.AzureError(
            400, "BadRequest", "The skip token is invalid or has expired."
        ) from None


def _table(rows: list[kql.Row]) -> Json:
    """Return rows in the table format; types are judged by the first row (assumed)."""
    first = rows[0] if rows else {}
    columns = [{"name": name, "type": _column_type(value)} for name, value in first.items()]
    return {"columns": columns, "rows": [list(row.values()) for row in rows]}


def _column_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "string" if isinstance(value, str) else "object"


@routes.route(
    "POST",
    "/providers/microsoft.resourcegraph/resources",
    Evidence.RECORDED,
    "facts A2.6, misc_vm_vmss_arg_paging #9",
    action="",
)
def query(call: Call) -> Reply:
    """Run a query over what the caller may read; 1000 rows a page, more behind ``$skipToken``."""
    quota = _quota(call)
    body = call.object_body()
    options = call.member("options") or {}
    unknown = set(options) - _OPTIONS
    # The oldest version answers with a table unless told otherwise (facts A2.6, recorded).
    usual = "table" if call.query["api-version"] < "2020" else "objectArray"
    form = options.get("resultFormat", usual)
    numbers = [options.get(name) or 0 for name in ("$top", "$skip")]
    if (
        unknown
        or not all(isinstance(each, int) for each in numbers)
        or form not in ("objectArray", "table")
    ):
        raise errors.unsupported(f"the query options {options}")
    try:
        compiled = kql.compile_query(str(body.get("query", "")), _SCHEMA)
    except QueryError as error:
        raise _invalid(error) from None
    rows, start = _resumed(call.world, options.get("$skipToken"))
    if rows is None:
        found = _TABLES[compiled.table](call, _subscriptions(call, body))
        rows = compiled.run(_shown(call.world, found))
        start = int(options.get("$skip") or 0)
    shown = rows[start : start + min(int(options.get("$top") or _PAGE), _PAGE)]
    end = start + len(shown)
    more = end < len(rows)
    # Pages need a stable order, which Resource Graph makes from the id (documented).
    paged = more and "id" in rows[0]
    reply: Json = {
        "totalRecords": len(rows),
        "count": len(shown),
        "data": _table(shown) if form == "table" else shown,
        "facets": [],
        "resultTruncated": "true" if more and not paged else "false",
    }
    if paged:
        reply["$skipToken"] = _token(call.world, rows, end)
    if rows and call.world.happens(call.world.weather.graph_truncated):
        # It says so and gives no token to go on with (documented).
        shown = shown[: len(shown) // 2]
        reply |= {"count": len(shown), "resultTruncated": "true"}
        reply["data"] = _table(shown) if form == "table" else shown
        reply.pop("$skipToken", None)
    return Reply(200, reply, quota)
