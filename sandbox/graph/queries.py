"""Azure Resource Graph: resources and role assignments as tables.

See facts: Errors and Throttling and Resource Graph.

A page's token says how many rows come before it, and each page runs the query anew: while the world
changes, rows come twice or not at all (recorded, facts: Resource Graph).
"""

import base64
import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import Any

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import access
from sandbox.graph import kql, rows
from sandbox.graph.kqlexpressions import Row
from sandbox.graph.kqltokens import QueryError
from sandbox.world import throttling

routes = Routes()

_PAGE = 1000
# Partial scopes matter beyond a number of subscriptions that no sandbox has.
_TABLES = ("authorizationresources", "resourcecontainers", "resources")
_OPTIONS = {
    "$top",
    "$skip",
    "$skipToken",
    "resultFormat",
    "authorizationScopeFilter",
    "allowPartialScopes",
}


@dataclasses.dataclass
class _Index:
    """What the index shows to the caller of a query within the scopes that it names."""

    call: Call
    everywhere: bool
    """Whether the query names no scope."""
    groups: set[str]
    """Names of the management groups that it names, and of those beneath them."""
    subscriptions: set[str]

    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table, but for those that it lacks today."""
        tables = {
            "resources": self._resources,
            "resourcecontainers": self._containers,
            "authorizationresources": self._assignments,
        }
        world = self.call.world
        chance = world.faults.graph_missing
        found = tables[table]()
        return (row for row in found if not world.injector.happens(chance)) if chance else found

    def _readable(self, action: str, scopes: list[str]) -> Iterator[bool]:
        """Yield for each scope whether the caller may read there; one right above settles most."""
        world = self.call.world
        oid = self.call.caller.oid if self.call.caller else ""

        @functools.cache
        def may(scope: str) -> bool:
            return access.right(world, oid, action, scope) is not None

        for scope in scopes:
            subscription = ids.parse(scope).subscription
            whole = bool(subscription) and may(f"/subscriptions/{subscription}")
            yield whole or may(scope)

    def _resources(self) -> Iterator[Row]:
        world = self.call.world
        past = world.faults.graph_delay > 0
        known = world.resource_history.at(rows.seen(world)) if past else world.resources.values()
        found = [each for each in known if each.location and self._holds(each.id)]
        readable = self._readable("*/read", [each.id.text for each in found])
        for resource, visible in zip(found, readable, strict=True):
            if visible:
                yield rows.resource(world, resource)

    def _containers(self) -> Iterator[Row]:
        """Yield subscriptions and groups, which are never late here (assumed)."""
        world = self.call.world
        held = [each for each in world.subscriptions if each in self.subscriptions]
        action = "Microsoft.Resources/subscriptions/read"
        readable = self._readable(action, [f"/subscriptions/{each}" for each in held])
        for subscription, visible in zip(held, readable, strict=True):
            if visible:
                yield rows.subscription(world, subscription)
        groups = [each for each in world.groups.values() if self._holds(each.id)]
        readable = self._readable(f"{ids.GROUP_TYPE}/read", [each.id.text for each in groups])
        for group, visible in zip(groups, readable, strict=True):
            if visible:
                yield rows.group(world, group)

    def _assignments(self) -> Iterator[Row]:
        """Yield role assignments; those above subscriptions only to whom names none.

        See facts: Resource Graph.
        """
        world = self.call.world
        past = world.faults.graph_delay > 0
        known = world.assignment_history.at(rows.seen(world)) if past else world.assignments
        found = [each for each in known if self._holds(ids.parse(each.scope))]
        action = "Microsoft.Authorization/roleAssignments/read"
        readable = self._readable(action, [each.scope for each in found])
        for assignment, visible in zip(found, readable, strict=True):
            if visible:
                yield rows.assignment(world, assignment)

    def _holds(self, scope: ids.ArmId) -> bool:
        if scope.subscription:
            return scope.subscription.lower() in self.subscriptions
        return self.everywhere or scope.name.lower() in self.groups


def _index(call: Call, body: Json) -> _Index:
    """Return what a query is asked of; raises ``AzureError`` 400 for scopes that are no lists."""
    world = call.world
    lists = [body.get(name) or [] for name in ("subscriptions", "managementGroups")]
    if not all(isinstance(each, list) for each in lists):
        raise errors.bad_content("a list is required. Path 'subscriptions'")
    wanted = {str(each).lower() for each in lists[0]}
    named = {str(each).lower() for each in lists[1]}
    for name in named:
        wanted |= world.hierarchy.beneath(name, world.subscriptions)
    everywhere = not (lists[0] or lists[1])
    groups = {
        name
        for name, group in world.hierarchy.groups.items()
        if named & {name, *(each.name.lower() for each in world.hierarchy.path(group))}
    }
    known = set(world.subscriptions)
    return _Index(call, everywhere, groups, known if everywhere else known & wanted)


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


def _token(rows: int, size: int) -> str:
    """Return the token of the page that comes after so many rows.

    See facts: Resource Graph, recorded.
    """
    told = {"$id": "1", "MaxRows": size, "RowsToSkip": rows}
    return base64.b64encode(json.dumps(told).encode()).decode()


def _page(options: Json) -> tuple[int, int]:
    """Return how many rows come before a page, and how many it has at most; raises 400."""
    if token := options.get("$skipToken"):
        try:
            told = json.loads(base64.b64decode(str(token)))
            return int(told["RowsToSkip"]), int(told["MaxRows"])
        except (ValueError, KeyError, TypeError):
            raise errors.AzureError(
                400, "BadRequest", "The skip token is invalid or has expired."
            ) from None
    skip, top = (int(options.get(name) or 0) for name in ("$skip", "$top"))
    return skip, min(top or _PAGE, _PAGE)


def _run(index: _Index, compiled: kql.Query, key: tuple[object, ...], *, again: bool) -> list[Row]:
    """Return all rows of a query; a further page remembers them if nothing has changed since."""
    world = index.call.world
    kept, rows = world.last_query
    late = world.faults.graph_delay or world.faults.graph_missing
    if kept != key or late or not again:
        rows = list(compiled.run(index.rows))
        if not compiled.ordered and rows and "id" in rows[0]:
            # Pages need a stable order, which Resource Graph makes from the id (documented).
            rows.sort(key=lambda row: str(row["id"]).lower())
        world.last_query = key, rows
    return rows


def _table(rows: list[Row]) -> Json:
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
    "facts: Errors, misc_vm_vmss_arg_paging #9",
    action="",
)
def query(call: Call) -> Reply:
    """Run a query over what the caller may read; 1000 rows a page, more behind ``$skipToken``."""
    quota = throttling.graph(call)
    body = call.object_body()
    options = call.member("options") or {}
    unknown = set(options) - _OPTIONS
    # The oldest version answers with a table unless told otherwise (facts: Errors, recorded).
    usual = "table" if call.query["api-version"] < "2020" else "objectArray"
    form = options.get("resultFormat", usual)
    numbers = [options.get(name) or 0 for name in ("$top", "$skip")]
    if (
        unknown
        or not all(isinstance(each, int) for each in numbers)
        or form not in ("objectArray", "table")
    ):
        raise errors.unsupported(f"the query options {options}")
    text = str(body.get("query", ""))
    try:
        compiled = kql.compile_query(text, _TABLES, rows.COLUMNS)
    except QueryError as error:
        raise _invalid(error) from None
    start, size = _page(options)
    index = _index(call, body)
    oid = call.caller.oid if call.caller else ""
    scopes = (index.everywhere, frozenset(index.groups), frozenset(index.subscriptions))
    found = _run(index, compiled, (text, oid, scopes), again="$skipToken" in options)
    shown = found[start : start + size]
    more = start + size < len(found)
    paged = more and "id" in found[0]
    reply: Json = {
        "totalRecords": len(found),
        "count": len(shown),
        "data": _table(shown) if form == "table" else shown,
        "facets": [],
        "resultTruncated": "true" if more and not paged else "false",
    }
    if paged:
        reply["$skipToken"] = _token(start + size, size)
    if found and call.world.injector.happens(call.world.faults.graph_truncated):
        # It says so and gives no token to go on with (documented).
        shown = shown[: len(shown) // 2]
        reply |= {"count": len(shown), "resultTruncated": "true"}
        reply["data"] = _table(shown) if form == "table" else shown
        reply.pop("$skipToken", None)
    return Reply(200, reply, quota)
