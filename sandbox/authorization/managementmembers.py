"""What lies in management groups: subscriptions, moved or listed, and all below one.

All subscriptions lie below the root from the start.
"""

from collections.abc import Iterator

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import managementview
from sandbox.world.hierarchy import TYPE, ManagementGroup

routes = Routes()

_PROVIDER = "/providers/microsoft.management"
_GROUP = f"{_PROVIDER}/managementgroups/<name>"
_MEMBERS = f"{_GROUP}/subscriptions"
_MEMBER = f"{_MEMBERS}/<subscription>"
_MOVE = "Microsoft.Authorization/roleAssignments/write"


@routes.route(
    "GET", f"{_GROUP}/descendants", Evidence.DOCUMENTED, "REST: Management Groups - Get Descendants"
)
def list_descendants(call: Call) -> Reply:
    """List the management groups and the subscriptions below one, at any depth."""
    top = managementview.find(call, call.args["name"])
    return Reply(200, {"value": list(_descendants(call, top))})


def _descendants(call: Call, group: ManagementGroup) -> Iterator[Json]:
    for each in managementview.tree(call, group, deep=False):
        properties = {"displayName": each.pop("displayName"), "parent": {"id": group.id}}
        yield each | {"properties": properties}
        if each["type"] == TYPE:
            yield from _descendants(call, managementview.find(call, each["name"]))


def _show(call: Call, group: ManagementGroup, subscription: str) -> Json:
    return {
        "name": subscription,
        "id": f"{group.id}/subscriptions/{subscription}",
        "type": f"{TYPE}/subscriptions",
        "properties": {
            "displayName": call.world.subscriptions[subscription],
            "parent": {"id": group.id, "name": None, "displayName": None},
            "state": "Active",
            "tenant": call.world.tenant,
        },
    }


@routes.route(
    "GET", _MEMBERS, Evidence.RECORDED, "azure-cli test_managementgroup_show_subscription_under_mg"
)
def list_members(call: Call) -> Reply:
    """List the subscriptions directly in a group."""
    world = call.world
    group = managementview.find(call, call.args["name"])
    found = world.hierarchy.members(group, world.subscriptions)
    return Reply(200, {"value": [_show(call, group, each) for each in found]})


def _member(call: Call) -> tuple[ManagementGroup, str]:
    """Return the group and the subscription of the call; raises ``AzureError`` 404."""
    group = managementview.find(call, call.args["name"])
    subscription = call.args["subscription"]
    if subscription not in call.world.subscriptions:
        raise errors.subscription_not_found(subscription)
    return group, subscription


@routes.route("GET", _MEMBER, Evidence.RECORDED, "azure-cli test_managementgroup_show_subscription")
def get_member(call: Call) -> Reply:
    """Return a subscription as a part of a group."""
    group, subscription = _member(call)
    if call.world.hierarchy.over(subscription) is not group:
        raise errors.management_not_found(call.id.text)
    return Reply(200, _show(call, group, subscription))


@routes.route("PUT", _MEMBER, Evidence.RECORDED, "azure-cli test_add_remove_subscription_under_mg")
def put_member(call: Call) -> Reply:
    """Move a subscription into a group; takes the right to assign roles on it too (documented)."""
    group, subscription = _member(call)
    call.require(_MOVE, f"/subscriptions/{subscription}")
    call.world.hierarchy.place(subscription, group)
    return Reply(200, _show(call, group, subscription))


@routes.route(
    "DELETE", _MEMBER, Evidence.RECORDED, "azure-cli test_add_remove_subscription_under_mg"
)
def delete_member(call: Call) -> Reply:
    """Move a subscription back below the root; 204 (documented) when it is elsewhere."""
    group, subscription = _member(call)
    hierarchy = call.world.hierarchy
    if hierarchy.over(subscription) is not group:
        return Reply(204)
    hierarchy.place(subscription, hierarchy.root)
    return Reply(200)


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
