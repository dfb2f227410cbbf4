"""How many role assignments there may be: asked by their service, shown by a route."""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.world.world import World

routes = Routes()

_IN_SUBSCRIPTION = 4000
_IN_MANAGEMENT_GROUP = 500


def _limit(world: World, subscription: str) -> int:
    return world.assignment_limits.get(subscription, _IN_SUBSCRIPTION)


def require_room(world: World, scope: str) -> None:
    """Raise ``RoleAssignmentLimitExceeded`` when no assignment may be added at a scope.

    All scopes of a subscription count together, a management group for itself (documented). The
    status is assumed, the message is that of the troubleshooting page.
    """
    subscription = ids.parse(scope).subscription.lower()
    if subscription:
        full = world.assignments.in_subscription[subscription] >= _limit(world, subscription)
    else:
        full = len(world.assignments.by_scope.get(scope.lower(), ())) >= _IN_MANAGEMENT_GROUP
    if full:
        raise errors.AzureError(
            400, "RoleAssignmentLimitExceeded", "No more role assignments can be created."
        )


@routes.route(
    "GET",
    "/~/providers/microsoft.authorization/roleassignmentsusagemetrics",
    Evidence.DOCUMENTED,
    "Troubleshoot Azure RBAC limits: az rest of the usage metrics",
)
def usage(call: Call) -> Reply:
    """Tell limit, count and remaining role assignments of a subscription."""
    subscription = ids.parse(call.id.scope).subscription.lower()
    if call.id.scope.lower() != f"/subscriptions/{subscription}":
        raise errors.unsupported(f"usage metrics at the scope '{call.id.scope or '/'}'")
    limit = _limit(call.world, subscription)
    count = call.world.assignments.in_subscription[subscription]
    body = {
        "roleAssignmentsLimit": limit,
        "roleAssignmentsCurrentCount": count,
        "roleAssignmentsRemainingCount": max(0, limit - count),
    }
    return Reply(200, body)
