"""The tree of management groups and subscriptions as one list, as far as the caller sees it."""

from collections.abc import Iterator

from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import managementview
from sandbox.world.hierarchy import TYPE, ManagementGroup

routes = Routes()

_SUBSCRIPTION = "Microsoft.Resources/subscriptions"
_LEVELS = {"delete": "delete", "write": "edit", "read": "view"}
"""Rights, the highest first, and how they are shown."""


@routes.route(
    "POST",
    "/providers/microsoft.management/getentities",
    Evidence.RECORDED,
    "azure-cli test_managementgroup_get_entities",
    action="",
)
def list_entities(call: Call) -> Reply:
    """List the groups and subscriptions that the caller may read, with how they lie."""
    unread = {"inheritedPermissions": "noaccess", "permissions": "noaccess"}
    found = [each for each in _entities(call) if not unread.items() <= each["properties"].items()]
    return Reply(200, {"count": len(found), "value": found})


def _entities(call: Call) -> Iterator[Json]:
    world = call.world
    for group in world.hierarchy.groups.values():
        above = world.hierarchy.path(group)
        below = managementview.tree(call, group, deep=False)
        groups = [each for each in below if each["type"] == TYPE]
        numbers = len(below), len(groups), _count(managementview.tree(call, group, deep=True))
        yield _entity(call, managementview.part(group), above, numbers, TYPE)
    for each in world.subscriptions:
        over = world.hierarchy.over(each)
        above = [*world.hierarchy.path(over), over]
        part = managementview.subscription(call, each)
        yield _entity(call, part, above, (0, 0, 0), _SUBSCRIPTION)


def _count(tree: list[Json]) -> int:
    return sum(1 + _count(each.get("children", [])) for each in tree)


def _level(call: Call, kind: str, scope: str) -> str:
    allowed = (each for each in _LEVELS if call.may(f"{kind}/{each}", scope))
    return _LEVELS.get(next(allowed, ""), "noaccess")


def _entity(
    call: Call,
    part: Json,
    above: list[ManagementGroup],
    numbers: tuple[int, int, int],
    kind: str,
) -> Json:
    parent = above[-1].id if above else None
    permissions = _level(call, kind, part["id"])
    return {
        "name": part["name"],
        "id": part["id"],
        "type": part["type"],
        "properties": {
            "tenantId": call.world.tenant,
            "numberOfChildren": numbers[0],
            "numberOfChildGroups": numbers[1],
            "numberOfDescendants": numbers[2],
            "displayName": part["displayName"],
            "parentDisplayNameChain": [each.display_name for each in above],
            "parent": {"id": parent},
            "parentNameChain": [each.name for each in above],
            "inheritedPermissions": _level(call, TYPE, parent) if parent else permissions,
            "permissions": permissions,
        },
    }
