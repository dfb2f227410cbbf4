"""Azure Resource Graph: resources, their containers and role assignments as tables.

See facts: Throttling and Resource Graph.

A page's token says how many rows come before it, and each page runs the query anew: while the world
changes, rows come twice or not at all (recorded, facts: Resource Graph).
"""

import base64
import datetime as dt
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.arm import attachment, errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.graph import kql
from sandbox.graph.kql import QueryError, Row
from sandbox.resources.types import traits_of
from sandbox.world import throttling
from sandbox.world.events import stamp
from sandbox.world.hierarchy import ManagementGroup
from sandbox.world.state import Assignment, Resource
from sandbox.world.world import World

routes = Routes()

_PAGE = 1000
_OPTIONS = {"$top", "$skip", "$skipToken", "resultFormat", "allowPartialScopes"}
_TABLES = ("authorizationresources", "resourcecontainers", "resources")
_IDS = ("id", "name", "type", "tenantId", "resourceGroup", "subscriptionId")
_TEXTS = (*_IDS, "kind", "location", "managedBy")
_DYNAMIC = ("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")
_COLUMNS = tuple((name, name in _TEXTS) for name in (*_TEXTS, *_DYNAMIC))
"""The columns of every table, and whether each holds text."""
_BLANK = kql.blank(dict(_COLUMNS))


@routes.route(
    "POST",
    "/providers/microsoft.resourcegraph/resources",
    Evidence.RECORDED,
    "facts: Resource Graph, misc_vm_vmss_arg_paging #9",
    action="",
)
def query(call: Call) -> Reply:
    """Run a query over what the caller may read; 1000 rows a page, more behind ``$skipToken``."""
    world, quota = call.world, throttling.graph(call)
    body, options = call.object_body(), call.member("options") or {}
    # The oldest version answers with a table unless asked otherwise (facts: Resource Graph).
    form = options.get("resultFormat") or (
        "table" if call.query["api-version"] < "2020" else "objectArray"
    )
    numbers = [options.get(name) or 0 for name in ("$skip", "$top")]
    supported = form == "objectArray" and set(options) <= _OPTIONS
    if not supported or not all(isinstance(number, int) for number in numbers):
        raise errors.unsupported(f"the query options {options} in the format {form}")
    text = str(body.get("query", ""))
    try:
        compiled = kql.compile_query(text, _TABLES, _COLUMNS)
    except QueryError as error:
        raise _invalid(error) from None
    start, size = numbers[0], min(numbers[1] or _PAGE, _PAGE)
    if token := options.get("$skipToken"):
        try:
            page = json.loads(base64.b64decode(str(token)))
            start, size = int(page["RowsToSkip"]), int(page["MaxRows"])
        except (ValueError, KeyError, TypeError):
            message = "The skip token is invalid or has expired."
            raise errors.AzureError(400, "BadRequest", message) from None
    index = _Index(call, body)
    asked = (text, call.caller and call.caller.oid, *index.scopes)
    rows = world.last_query[1]
    late = world.faults.graph_delay or world.faults.graph_missing
    # A further page reads the rows of the one before if nothing has changed since.
    if world.last_query[0] != asked or late or not token:
        rows = list(compiled.run(index.rows))
        if rows and "id" in rows[0]:
            # Pages need a stable order, which Resource Graph makes from the id (documented).
            rows.sort(key=lambda row: str(row["id"]).lower())
        world.last_query = asked, rows
    shown = rows[start : start + size]
    more = start + size < len(rows)
    paged = more and "id" in rows[0]
    truncated = bool(rows) and world.injector.happens(world.faults.graph_truncated)
    if truncated:
        # It says so and gives no token to go on with (documented).
        shown = shown[: len(shown) // 2]
    reply: Json = {
        "totalRecords": len(rows),
        "count": len(shown),
        "data": shown,
        "facets": [],
        "resultTruncated": "true" if truncated or (more and not paged) else "false",
    }
    if paged and not truncated:
        # Recorded, facts: Resource Graph.
        page = {"$id": "1", "MaxRows": size, "RowsToSkip": start + size}
        reply["$skipToken"] = base64.b64encode(json.dumps(page).encode()).decode()
    return Reply(200, reply, quota)


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


class _Index:
    """What the index shows to the caller of a query within the scopes that it names."""

    def __init__(self, call: Call, body: Json) -> None:
        """Read the scopes; raises ``AzureError`` 400 where they are no lists."""
        self._call, self._world = call, call.world
        hierarchy = call.world.hierarchy
        lists = [body.get(name) or [] for name in ("subscriptions", "managementGroups")]
        if not all(isinstance(scopes, list) for scopes in lists):
            raise errors.bad_content("a list is required. Path 'subscriptions'")
        subscriptions, named = ({str(name).lower() for name in names} for names in lists)
        for name in named:
            subscriptions |= hierarchy.beneath(name, call.world.subscriptions)
        self._everywhere = not (lists[0] or lists[1])
        self._groups = {
            name
            for name, group in hierarchy.groups.items()
            if named & {name, *(above.name.lower() for above in hierarchy.path(group))}
        }
        """Names of the management groups that are named, and of those beneath them."""
        all_subscriptions = set(call.world.subscriptions)
        self._subscriptions = (
            all_subscriptions if self._everywhere else all_subscriptions & subscriptions
        )
        self.scopes = self._everywhere, frozenset(self._groups), frozenset(self._subscriptions)

    def rows(self, table: str) -> Iterable[Row]:
        """Return the rows of a table that the caller may read, but for those it lacks today."""
        world, delay = self._world, self._world.faults.graph_delay
        seen = world.now() - dt.timedelta(seconds=delay)
        rows: Iterator[Row]
        if table == "resources":
            resources = world.resource_history.at(seen) if delay else world.resources.values()
            there = [it for it in resources if it.location and self._holds(it.id)]
            rows = self._readable(
                there,
                "*/read",
                lambda each: each.id.text,
                functools.partial(_resource, world, seen),
            )
        elif table == "resourcecontainers":
            rows = self._containers()
        else:
            assignments = world.assignment_history.at(seen) if delay else world.assignments
            rows = self._readable(
                [right for right in assignments if self._holds(ids.parse(right.scope))],
                "Microsoft.Authorization/roleAssignments/read",
                lambda right: right.scope,
                functools.partial(_assignment, world),
            )
        chance = world.faults.graph_missing
        return (row for row in rows if not world.injector.happens(chance)) if chance else rows

    def _containers(self) -> Iterator[Row]:
        """Yield subscriptions and groups, which are never late here (assumed)."""
        world = self._world
        yield from self._readable(
            [name for name in world.subscriptions if name in self._subscriptions],
            "Microsoft.Resources/subscriptions/read",
            lambda name: f"/subscriptions/{name}",
            functools.partial(_subscription, world),
        )
        yield from self._readable(
            [group for group in world.groups.values() if self._holds(group.id)],
            f"{ids.GROUP_TYPE}/read",
            _id_of,
            functools.partial(_group, world),
        )

    def _holds(self, scope: ids.ArmId) -> bool:
        """Return whether a scope is asked for; above subscriptions only where none is named."""
        if scope.subscription:
            return scope.subscription.lower() in self._subscriptions
        return self._everywhere or scope.name.lower() in self._groups

    def _readable[T](
        self, things: list[T], action: str, scope_of: Callable[[T], str], show: Callable[[T], Row]
    ) -> Iterator[Row]:
        """Yield the rows of what the caller may read; one right above settles most."""
        may = functools.cache(functools.partial(self._call.may, action))
        for thing in things:
            scope = scope_of(thing)
            subscription = ids.parse(scope).subscription
            if (subscription and may(f"/subscriptions/{subscription}")) or may(scope):
                yield show(thing)


def _id_of(resource: Resource) -> str:
    return resource.id.text


# Rows. Types and groups are in lower case (facts: Errors, recorded).


def _resource(world: World, seen: dt.datetime, resource: Resource) -> Row:
    extra, principal = resource.extra, resource.principal
    own: Json = {"provisioningState": resource.provisioning_state(seen)}
    if principal:
        own = {"principalId": principal.oid, "clientId": principal.app_id, "tenantId": world.tenant}
    return {
        **_BLANK,
        **{name: extra[name] for name in (*_TEXTS, *_DYNAMIC) if name in extra},
        "id": resource.id.text,
        "name": resource.id.name,
        "type": resource.type.lower(),
        "tenantId": world.tenant,
        "location": ids.region(resource.location),
        "resourceGroup": resource.id.group.lower(),
        "subscriptionId": resource.id.subscription,
        "properties": {**resource.properties, **own},
        "tags": resource.tags,
        "identity": attachment.show(world, resource, traits_of(resource.type)).get("identity"),
    }


def _assignment(world: World, assignment: Assignment) -> Row:
    return {
        **_BLANK,
        "id": assignment.id,
        "name": assignment.name,
        "type": "microsoft.authorization/roleassignments",
        "tenantId": world.tenant,
        "location": "global",
        "subscriptionId": ids.parse(assignment.scope).subscription,
        "properties": {
            "principalId": assignment.principal,
            "principalType": assignment.principal_type,
            # Without a subscription, unlike ARM (assumed from the published sample queries).
            "roleDefinitionId": (
                f"/providers/Microsoft.Authorization/RoleDefinitions/{assignment.role}"
            ),
            "scope": assignment.scope,
            "description": assignment.description,
            "condition": assignment.condition,
            "conditionVersion": assignment.condition_version,
            "createdOn": stamp(assignment.created),
            "createdBy": assignment.created_by,
            "updatedOn": stamp(assignment.updated),
            "updatedBy": assignment.updated_by,
        },
    }


def _subscription(world: World, subscription: str) -> Row:
    """Return a subscription, with the management groups above it, nearest first."""
    over = world.hierarchy.over(subscription)
    chain: list[ManagementGroup] = [over, *reversed(world.hierarchy.path(over))]
    return {
        **_BLANK,
        "id": f"/subscriptions/{subscription}",
        "name": world.subscriptions[subscription],
        "type": "microsoft.resources/subscriptions",
        "tenantId": world.tenant,
        "subscriptionId": subscription,
        "tags": world.subscription_tags.get(subscription, {}),
        "properties": {
            "state": "Enabled",
            "managedByTenants": [],
            "managementGroupAncestorsChain": [
                {"name": group.name, "displayName": group.display_name} for group in chain
            ],
        },
    }


def _group(world: World, group: Resource) -> Row:
    return {
        **_BLANK,
        "id": ids.respell(group.id.text, "resourceGroups"),
        "name": group.id.name,
        "type": "microsoft.resources/subscriptions/resourcegroups",
        "tenantId": world.tenant,
        "location": ids.region(group.location),
        "resourceGroup": group.id.group.lower(),
        "subscriptionId": group.id.subscription,
        "managedBy": group.extra.get("managedBy", ""),
        "tags": group.tags,
        "properties": {"provisioningState": group.provisioning_state(world.now())},
    }
