"""Management groups, as they are read; a seed sets them up.

The reconciler resolves the groups that it watches by their descendants.
"""

from collections.abc import Iterator

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.hierarchy import TYPE, ManagementGroup

routes = Routes()

_LIST = "/providers/microsoft.management/managementgroups"
_ONE = f"{_LIST}/<name>"


def _find(call: Call) -> ManagementGroup:
    group = call.world.hierarchy.groups.get(call.args["name"])
    if group is None:
        raise errors.management_not_found(call.id.text)
    return group


def _show(call: Call, group: ManagementGroup) -> Json:
    properties = {"tenantId": call.world.tenant, "displayName": group.display_name}
    return {"id": group.id, "type": TYPE, "name": group.name, "properties": properties}


@routes.route("GET", _LIST, Evidence.RECORDED, "azure-cli test_list_managementgroups", action="")
def list_groups(call: Call) -> Reply:
    """List the management groups that the caller may read."""
    groups = call.world.hierarchy.groups.values()
    readable = [group for group in groups if call.may(f"{TYPE}/read", group.id)]
    return Reply(200, {"value": [_show(call, group) for group in readable], "@nextLink": None})


@routes.route("GET", _ONE, Evidence.RECORDED, "azure-cli test_show_managementgroup")
def get(call: Call) -> Reply:
    """Return a management group, with the one above it but not with what lies below."""
    if "$expand" in call.query:
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    group = _find(call)
    shown = _show(call, group)
    if group.parent:
        above = call.world.hierarchy.groups[group.parent]
        parent = {"id": above.id, "name": above.name, "displayName": above.display_name}
        shown["properties"]["details"] = {"parent": parent}
    return Reply(200, shown)


@routes.route(
    "GET", f"{_ONE}/descendants", Evidence.DOCUMENTED, "REST: Management Groups - Get Descendants"
)
def list_descendants(call: Call) -> Reply:
    """List the management groups and the subscriptions below one, at any depth."""
    return Reply(200, {"value": list(_descendants(call, _find(call)))})


def _descendants(call: Call, group: ManagementGroup) -> Iterator[Json]:
    world = call.world
    parent = {"id": group.id}
    for child in world.hierarchy.children(group):
        properties = {"displayName": child.display_name, "parent": parent}
        yield {"id": child.id, "type": TYPE, "name": child.name, "properties": properties}
        yield from _descendants(call, child)
    for name in world.hierarchy.members(group, world.subscriptions):
        yield {
            "id": f"/subscriptions/{name}",
            "type": "/subscriptions",
            "name": name,
            "properties": {"displayName": world.subscriptions[name], "parent": parent},
        }
