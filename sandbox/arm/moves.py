"""Moving resources to another group or subscription, and asking whether that would go well.

That a move is accepted, polled and ends in 204 is recorded (azure-cli test_resource_move); what
stands against one is documented (Move resources to a new resource group or subscription), the
bodies of its refusals are known from issues. Azure tells of the action only, as of every POST.
"""

from collections.abc import Iterator

from sandbox.arm import errors, ids, leaving, locks, operations
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.state import Resource
from sandbox.world.world import World

routes = Routes()

_GROUP = "/subscriptions/<subscription>/resourcegroups/<group>"
# Cannot be moved (facts: Moves).
_FIXED = "microsoft.managedidentity/userassignedidentities"


def _group(world: World, group: ids.ArmId) -> Resource:
    """Return a group of any subscription; raises ``AzureError`` 404."""
    if group.subscription.lower() not in world.subscriptions:
        raise errors.subscription_not_found(group.subscription)
    return world.group(group)


def _target(call: Call) -> Resource:
    """Return the group to move to; raises ``AzureError`` when it may not be written."""
    text = call.object_body().get("targetResourceGroup")
    parsed = ids.parse(text) if isinstance(text, str) else ids.parse("")
    if parsed.type != ids.GROUP_TYPE or not parsed.name:
        raise errors.bad_content("the id of a group is required. Path 'targetResourceGroup'")
    target = _group(call.world, parsed)
    call.require(f"{ids.GROUP_TYPE}/write", target.id.text)
    locks.refuse(call.world, "POST", target.id)
    leaving.refuse(call.world, "POST", target.id)
    return target


def _resources(call: Call, source: Resource, target: Resource) -> list[Resource]:
    """Return what is to be moved; raises ``AzureError``, whose codes are assumed."""
    texts = call.object_body().get("resources")
    if not (isinstance(texts, list) and texts and all(isinstance(each, str) for each in texts)):
        raise errors.bad_content("a list of ids is required. Path 'resources'")
    if source is target:
        raise errors.bad_content("the source group is the target. Path 'targetResourceGroup'")
    found: dict[str, Resource] = {}
    for resource in map(ids.parse, texts):
        if call.world.group_key(resource) != source.id.key:
            raise errors.bad_content(f"'{resource.text}' is not in '{source.id.text}'")
        if resource.type.lower().startswith("microsoft.eventgrid/"):
            raise errors.unsupported(f"the move of {resource.text}")
        if resource.key not in call.world.resources:
            raise errors.resource_not_found(resource)
        found[resource.key] = call.world.resources[resource.key]
    return list(found.values())


def _obstacles(world: World, resources: list[Resource], target: ids.ArmId) -> Iterator[Json]:
    """Yield what stands against moving each resource."""
    for resource in resources:
        kind = resource.type
        found = {"target": resource.id.text}
        if kind.lower() == _FIXED or kind.count("/") > 1:
            # A child goes with its parent, not alone.
            message = f"Resource move is not supported for resource types '{kind}'."
            yield {"code": "ResourceMoveNotSupported", "message": message, **found}
        if resource.provisioning_state(world.now()) != "Succeeded":
            message = (
                "One of the resources being migrated or its dependency is not in Succeeded state."
            )
            code = "MoveCannotProceedWithResourcesNotInSucceededState"
            yield {"code": code, "message": message, **found}
        if ids.moved(resource.id, target).key in world.resources:
            message = (
                f"Cannot move resource because resource with the same name '{resource.id.name}' "
                "already exists in the destination resource group or subscription."
            )
            yield {"code": "ResourceConflict", "message": message, **found}


def _error(call: Call, resources: list[Resource], target: Resource) -> Json | None:
    """Return what the operation ends with; it is found out on the way (issues: docs 71455)."""
    details = list(_obstacles(call.world, resources, target.id))
    if details:
        message = "Resource move validation failed. Please see details."
        return {"code": "ResourceMoveValidationFailed", "message": message, "details": details}
    return call.failure


def _begin(call: Call, *, moves: bool) -> Reply:
    source = _group(call.world, call.id)
    target = _target(call)
    resources = _resources(call, source, target)
    operation = call.world.start_operation()
    operation.resource = source.id.text
    operation.error = _error(call, resources, target)
    if moves and operation.error is None:
        call.world.move(resources, operation, source, target)
    call.world.act(source, "moveResources" if moves else "validateMoveResources")
    return Reply(202, None, operations.group_headers(call, operation))


@routes.route(
    "POST",
    f"{_GROUP}/moveresources",
    Evidence.RECORDED,
    "azure-cli test_resource_move",
    action=f"{ids.GROUP_TYPE}/moveResources/action",
)
def move(call: Call) -> Reply:
    """Move resources with their children: 202; both groups take no writes until it has ended.

    A resource keeps its identities, principals and properties; role assignments at its old id stay
    there (facts: Moves, documented), and so, it is assumed, do locks.
    """
    return _begin(call, moves=True)


@routes.route(
    "POST",
    f"{_GROUP}/validatemoveresources",
    Evidence.DOCUMENTED,
    "REST: Resources - Validate Move Resources",
    action=f"{ids.GROUP_TYPE}/validateMoveResources/action",
)
def validate(call: Call) -> Reply:
    """Tell whether a move would go well: 202, whose location answers 204, or 409 with reasons."""
    return _begin(call, moves=False)
