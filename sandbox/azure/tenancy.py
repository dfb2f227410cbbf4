"""Tenants, subscriptions and management groups, as far as the caller may see them."""

from collections.abc import Iterable

from sandbox.azure import access, errors
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()

_SUBSCRIPTION = "/subscriptions/<subscription>"
_GROUPS = "/providers/microsoft.management/managementgroups"
_GROUP_TYPE = "Microsoft.Management/managementGroups"


@routes.route("GET", "/tenants", Evidence.DOCUMENTED, "REST: Tenants - List", action="")
def list_tenants(call: Call) -> Reply:
    """List the one tenant."""
    tenant = call.world.tenant
    shown = {
        "id": f"/tenants/{tenant}",
        "tenantId": tenant,
        "countryCode": "NL",
        "displayName": "Sandbox",
        "domains": ["sandbox.onmicrosoft.com"],
        "tenantCategory": "Home",
        "defaultDomain": "sandbox.onmicrosoft.com",
        "tenantType": "AAD",
    }
    return Reply(200, {"value": [shown]})


def _may(call: Call, action: str, scope: str) -> bool:
    oid = call.caller.oid if call.caller else ""
    return access.right(call.world, oid, action, scope) is not None


def _subscription(call: Call, subscription: str) -> Json:
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": call.world.tenant,
        "displayName": call.world.subscriptions[subscription],
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


@routes.route("GET", "/subscriptions", Evidence.DOCUMENTED, "REST: Subscriptions - List", action="")
def list_subscriptions(call: Call) -> Reply:
    """List the subscriptions that the caller may read."""
    action = "Microsoft.Resources/subscriptions/read"
    visible = [
        _subscription(call, each)
        for each in call.world.subscriptions
        if _may(call, action, f"/subscriptions/{each}")
    ]
    return Reply(200, {"value": visible, "count": {"type": "Total", "value": len(visible)}})


@routes.route("GET", _SUBSCRIPTION, Evidence.DOCUMENTED, "REST: Subscriptions - Get")
def get_subscription(call: Call) -> Reply:
    """Return one subscription."""
    return Reply(200, _subscription(call, call.args["subscription"]))


def _group_id(name: str) -> str:
    return f"/providers/{_GROUP_TYPE}/{name}"


def _group(call: Call, name: str) -> Json:
    properties = {"tenantId": call.world.tenant, "displayName": name}
    return {"id": _group_id(name), "type": _GROUP_TYPE, "name": name, "properties": properties}


@routes.route("GET", _GROUPS, Evidence.DOCUMENTED, "REST: Management Groups - List", action="")
def list_groups(call: Call) -> Reply:
    """List the management groups that the caller may read."""
    action = f"{_GROUP_TYPE}/read"
    names = [each for each in call.world.management_groups if _may(call, action, _group_id(each))]
    return Reply(200, {"value": [_group(call, each) for each in names]})


def _members(call: Call) -> Iterable[str]:
    members = call.world.management_groups.get(call.args["name"])
    if members is None:
        raise errors.AzureError(
            404, "NotFound", f"'{_group_id(call.id.name or call.args['name'])}' not found"
        )
    return sorted(members & set(call.world.subscriptions))


@routes.route("GET", f"{_GROUPS}/<name>", Evidence.DOCUMENTED, "REST: Management Groups - Get")
def get_group(call: Call) -> Reply:
    """Return one, on demand with its subscriptions; all lie directly below the tenant's root."""
    expand = call.query.get("$expand", "")
    if expand.lower() not in ("", "children"):
        raise errors.unsupported(f"the option $expand={expand}")
    shown = _group(call, call.args["name"])
    tenant = call.world.tenant
    parent = {"id": _group_id(tenant), "name": tenant, "displayName": "Tenant Root Group"}
    shown["properties"]["details"] = {"version": 1, "parent": parent}
    children = [
        {
            "id": f"/subscriptions/{each}",
            "type": "/subscriptions",
            "name": each,
            "displayName": call.world.subscriptions[each],
        }
        for each in _members(call)
    ]
    if expand:
        shown["properties"]["children"] = children or None
    return Reply(200, shown)


@routes.route(
    "GET",
    f"{_GROUPS}/<name>/descendants",
    Evidence.DOCUMENTED,
    "REST: Management Groups - Get Descendants",
)
def list_descendants(call: Call) -> Reply:
    """List the subscriptions below a management group."""
    parent = {"id": _group_id(call.args["name"])}
    found = [
        {
            "id": f"/subscriptions/{each}",
            "type": "/subscriptions",
            "name": each,
            "properties": {"displayName": call.world.subscriptions[each], "parent": parent},
        }
        for each in _members(call)
    ]
    return Reply(200, {"value": found})
