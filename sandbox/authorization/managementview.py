"""How management groups are shown, and who may see or change one."""

from sandbox.arm import errors
from sandbox.arm.routing import Call, Json
from sandbox.world.events import stamp
from sandbox.world.hierarchy import TYPE, ManagementGroup


def may(call: Call, action: str, group: ManagementGroup) -> bool:
    """Tell whether the caller may ``read`` or ``write`` a group."""
    return call.may(f"{TYPE}/{action}", group.id)


def require(call: Call, action: str, group: ManagementGroup) -> None:
    """Raise ``AzureError`` 403 unless the caller may do so."""
    call.require(f"{TYPE}/{action}", group.id)


def find(call: Call, name: str) -> ManagementGroup:
    """Return a group by its name in any case; raises ``AzureError`` 404."""
    group = call.world.hierarchy.groups.get(name.lower())
    if group is None:
        raise errors.management_not_found(f"/providers/{TYPE}/{name}")
    return group


def brief(call: Call, group: ManagementGroup) -> Json:
    """Return a group as lists show it."""
    properties = {"tenantId": call.world.tenant, "displayName": group.display_name}
    return {"id": group.id, "type": TYPE, "name": group.name, "properties": properties}


def written(call: Call, group: ManagementGroup) -> Json:
    """Return a group with its version, as the operation that writes it shows it."""
    shown = brief(call, group)
    shown["properties"]["details"] = {
        "version": group.version,
        "updatedTime": stamp(group.updated),
        "updatedBy": group.updated_by,
    }
    return shown


def whole(call: Call, group: ManagementGroup) -> Json:
    """Return a group with its version and what it lies in."""
    shown = written(call, group)
    if group.parent:
        above = call.world.hierarchy.groups[group.parent]
        parent = {"id": above.id, "name": above.name, "displayName": above.display_name}
        shown["properties"]["details"]["parent"] = parent
    return shown


def part(group: ManagementGroup) -> Json:
    """Return a group as a part of the tree."""
    return {"id": group.id, "type": TYPE, "name": group.name, "displayName": group.display_name}


def subscription(call: Call, name: str) -> Json:
    """Return a subscription as a part of the tree."""
    return {
        "id": f"/subscriptions/{name}",
        "type": "/subscriptions",
        "name": name,
        "displayName": call.world.subscriptions[name],
    }


def tree(call: Call, group: ManagementGroup, *, deep: bool) -> list[Json]:
    """Return what lies directly in a group, or with ``deep`` at any depth."""
    world = call.world
    found: list[Json] = []
    for each in world.hierarchy.children(group):
        own = tree(call, each, deep=True) if deep else []
        found.append(part(each) | ({"children": own} if own else {}))
    members = world.hierarchy.members(group, world.subscriptions)
    return [*found, *(subscription(call, each) for each in members)]
