"""What concerns all management groups of the tenant: settings, names, and the tree as a list."""

import re
from collections.abc import Iterator

from sandbox.azure import errors, managementview
from sandbox.azure.hierarchy import TYPE, ManagementGroup
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()

_PROVIDER = "/providers/microsoft.management"
_LIST = f"{_PROVIDER}/managementgroups/<name>/settings"
_ONE = f"{_LIST}/default"
_SETTINGS = "azure-cli test_managementgroup_hierarchysetting_create_auth"
_INVALID = re.compile(r"[^\w().-]", re.ASCII)
_LEVELS = ("delete", "write", "read")
_SHOWN = {"delete": "delete", "write": "edit", "read": "view"}


def _root(call: Call) -> ManagementGroup:
    """Return the root, which alone has settings; raises ``AzureError``."""
    group = managementview.find(call, call.args["name"])
    if group.parent:
        raise errors.unsupported(f"settings of '{group.name}', which is not the root")
    return group


def _show(call: Call) -> Json:
    hierarchy = call.world.hierarchy
    return {
        "id": f"{hierarchy.root.id}/settings/default",
        "type": f"{TYPE}/settings",
        "name": "default",
        "properties": {"tenantId": call.world.tenant, **(hierarchy.settings or {})},
    }


@routes.route("GET", _LIST, Evidence.RECORDED, _SETTINGS)
def list_settings(call: Call) -> Reply:
    """List the settings, if there are any."""
    _root(call)
    found = [_show(call)] if call.world.hierarchy.settings else []
    return Reply(200, {"value": found, "@nextLink": None})


def _missing(call: Call) -> errors.AzureError:
    group = call.world.hierarchy.root
    return errors.management_not_found(f"{group.id}/settings/{group.name}")


@routes.route("GET", _ONE, Evidence.DOCUMENTED, "REST: Hierarchy Settings - Get")
def get_settings(call: Call) -> Reply:
    """Return the settings."""
    _root(call)
    if not call.world.hierarchy.settings:
        raise _missing(call)
    return Reply(200, _show(call))


@routes.route("PUT", _ONE, Evidence.RECORDED, _SETTINGS)
def put_settings(call: Call) -> Reply:
    """Write all settings, or with PATCH those that are named.

    They take effect at once; the default group is kept for who reads it, as no subscription is
    made here.
    """
    _root(call)
    hierarchy = call.world.hierarchy
    settings: Json = {"requireAuthorizationForGroupCreation": False, "defaultManagementGroup": None}
    if call.method == "PATCH":
        settings |= hierarchy.settings or {}
    sent = call.member("properties") or {}
    settings |= {name: value for name, value in sent.items() if name in settings}
    if settings["defaultManagementGroup"]:
        # It is sent as an id and shown by its name (recorded).
        name = str(settings["defaultManagementGroup"]).rpartition("/")[2]
        settings["defaultManagementGroup"] = managementview.find(call, name).name
    hierarchy.settings = settings
    return Reply(200, _show(call))


routes.route("PATCH", _ONE, Evidence.RECORDED, _SETTINGS)(put_settings)


@routes.route("DELETE", _ONE, Evidence.RECORDED, _SETTINGS)
def delete_settings(call: Call) -> Reply:
    """Delete the settings: 200, or 404 when there are none."""
    _root(call)
    if not call.world.hierarchy.settings:
        raise _missing(call)
    call.world.hierarchy.settings = None
    return Reply(200)


@routes.route(
    "POST",
    f"{_PROVIDER}/checknameavailability",
    Evidence.RECORDED,
    "azure-cli test_managementgroup_name_availability",
    action="",
)
def check_name(call: Call) -> Reply:
    """Tell whether a group may be created under a name."""
    name = str(call.object_body().get("name") or "")
    if marks := _INVALID.findall(name):
        message = (
            f"The provided management group name '{name}' has these invalid characters: "
            f"'{''.join(dict.fromkeys(marks))}'. The name can only be an ASCII letter, digit, -, "
            "_, (, ), ."
        )
        return Reply(200, {"nameAvailable": False, "reason": "Invalid", "message": message})
    if name.lower() in call.world.hierarchy.groups:
        message = "The group with the specified name already exists"
        return Reply(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": message})
    return Reply(200, {"nameAvailable": True})


@routes.route(
    "POST",
    f"{_PROVIDER}/<any(tenantbackfillstatus,starttenantbackfill):_>",
    Evidence.RECORDED,
    "azure-cli test_managementgroup_start_tenant_backfill",
    action="",
)
def backfill(call: Call) -> Reply:
    """Tell that all subscriptions of the tenant lie below its root."""
    return Reply(200, {"tenantId": call.world.tenant, "status": "Completed"})


@routes.route(
    "POST",
    f"{_PROVIDER}/getentities",
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
        permissions = _level(call, TYPE, group.id)
        yield _entity(call, group.id, TYPE, group.display_name, above, numbers, permissions)
    for each, name in world.subscriptions.items():
        over = world.hierarchy.over(each)
        above = [*world.hierarchy.path(over), over]
        permissions = _level(call, "Microsoft.Resources/subscriptions", f"/subscriptions/{each}")
        shown = f"/subscriptions/{each}"
        yield _entity(call, shown, "/subscriptions", name, above, (0, 0, 0), permissions)


def _count(tree: list[Json]) -> int:
    return sum(1 + _count(each.get("children", [])) for each in tree)


def _level(call: Call, kind: str, scope: str) -> str:
    allowed = (each for each in _LEVELS if call.may(f"{kind}/{each}", scope))
    return _SHOWN.get(next(allowed, ""), "noaccess")


def _entity(  # noqa: PLR0913, PLR0917 - the parts of an entity
    call: Call,
    entity: str,
    kind: str,
    display: str,
    above: list[ManagementGroup],
    numbers: tuple[int, int, int],
    permissions: str,
) -> Json:
    parent = above[-1].id if above else None
    return {
        "name": entity.rpartition("/")[2],
        "id": entity,
        "type": kind,
        "properties": {
            "tenantId": call.world.tenant,
            "numberOfChildren": numbers[0],
            "numberOfChildGroups": numbers[1],
            "numberOfDescendants": numbers[2],
            "displayName": display,
            "parentDisplayNameChain": [each.display_name for each in above],
            "parent": {"id": parent},
            "parentNameChain": [each.name for each in above],
            "inheritedPermissions": _level(call, TYPE, parent) if parent else permissions,
            "permissions": permissions,
        },
    }
