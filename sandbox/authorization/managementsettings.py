"""The settings of the tenant's management groups, which its root has."""

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import managementview
from sandbox.world.hierarchy import TYPE, ManagementGroup

routes = Routes()

_LIST = "/providers/microsoft.management/managementgroups/<name>/settings"
_ONE = f"{_LIST}/default"
_SETTINGS = "azure-cli test_managementgroup_hierarchysetting_create_auth"


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
