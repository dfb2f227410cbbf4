"""Resource groups, and moving resources from one to another.

That a move is accepted, polled and ends in 204 is recorded (azure-cli test_resource_move); what
stands against one is documented (Move resources to a new resource group or subscription), the
bodies of its refusals are known from issues. Only the action has an event, as every POST has.
"""

from collections.abc import Iterator

from sandbox.arm import errors, ids, listing, locks, operations
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.state import Resource
from sandbox.world.world import World

routes = Routes()

_GROUPS = "/subscriptions/<subscription>/resourcegroups"
_GROUP = f"{_GROUPS}/<group>"
_READ = f"{ids.GROUP_TYPE}/read"
# Facts: Rights, documented.
_FIXED = "microsoft.managedidentity/userassignedidentities"


def _show(call: Call, group: Resource) -> Json:
    return {
        "id": ids.respell(group.id.text, "resourceGroups"),
        "name": group.id.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        **({"tags": group.tags} if group.tags else {}),
        **group.extra,
        "properties": {"provisioningState": group.provisioning_state(call.world.now())},
    }


@routes.route("GET", _GROUPS, Evidence.RECORDED, "azure-cli test_resource_group", action=_READ)
def list_groups(call: Call) -> Reply:
    """List the groups of a subscription."""
    prefix = f"/subscriptions/{call.id.subscription}/".lower()
    groups = [group for key, group in call.world.groups.items() if key.startswith(prefix)]
    listing.refuse_options(call)
    return listing.page(call, groups, lambda group: _show(call, group))


@routes.route("GET", _GROUP, Evidence.RECORDED, "azure-cli test_resource_group")
def get(call: Call) -> Reply:
    """Return one group."""
    return Reply(200, _show(call, call.world.group(call.id)))


@routes.route("HEAD", _GROUP, Evidence.RECORDED, "azure-cli test_resource_group")
def head(call: Call) -> Reply:
    """Answer 204 when the group exists."""
    call.world.group(call.id)
    return Reply(204)


@routes.route("PUT", _GROUP, Evidence.RECORDED, "azure-cli test_resource_group")
def put(call: Call) -> Reply:
    """Create or update a group."""
    body = call.object_body()
    if not body.get("location"):
        raise errors.location_required(gateway=True)
    now = call.world.now()
    known = call.world.groups.get(call.id.key)
    group = known or Resource(call.id, call.id.type, body["location"], now, now)
    group.tags = dict(call.member("tags") or {})
    group.extra = {"managedBy": body["managedBy"]} if body.get("managedBy") else {}
    call.world.put_group(group)
    return Reply(200 if known else 201, _show(call, group))


@routes.route("PATCH", _GROUP, Evidence.RECORDED, "azure-cli test_tag_update_by_patch")
def patch(call: Call) -> Reply:
    """Replace the tags, if there are any in the body."""
    group = call.world.group(call.id)
    if "tags" in call.object_body():
        group.tags = dict(call.member("tags") or {})
    call.world.put_group(group)
    return Reply(200, _show(call, group))


@routes.route("DELETE", _GROUP, Evidence.RECORDED, "facts: Machines, misc_vm_vmss_arg_paging #4")
def delete(call: Call) -> Reply:
    """Delete a group with all in it; until the operation has ended it is ``Deleting``."""
    return Reply(202, None, operations.delete_group(call, call.world.group(call.id)))


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
    """Ask whether a move would go well: 202, whose location answers 204, or 409 with reasons."""
    return _begin(call, moves=False)


def _begin(call: Call, *, moves: bool) -> Reply:
    world = call.world
    source = _group(world, call.id)
    target = _target(call)
    resources = _resources(call, source, target)
    operation = world.start_operation()
    operation.resource = source.id.text
    # What stands against it is found out on the way (issues: docs 71455).
    details = list(_obstacles(world, resources, target.id))
    operation.error = call.failure
    if details:
        message = "Resource move validation failed. Please see details."
        code = "ResourceMoveValidationFailed"
        operation.error = {"code": code, "message": message, "details": details}
    if moves and operation.error is None:
        world.move(resources, operation, source, target)
    world.act(source, "moveResources" if moves else "validateMoveResources")
    return Reply(202, None, operations.group_headers(call, operation))


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
    operations.refuse_conflict(call.world, "POST", target.id)
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
        refusals: dict[str, str] = {}
        if resource.type.lower() == _FIXED or resource.type.count("/") > 1:
            # A child goes with its parent, not alone.
            refusals["ResourceMoveNotSupported"] = (
                f"Resource move is not supported for resource types '{resource.type}'."
            )
        if resource.provisioning_state(world.now()) != "Succeeded":
            refusals["MoveCannotProceedWithResourcesNotInSucceededState"] = (
                "One of the resources being migrated or its dependency is not in Succeeded state."
            )
        if ids.moved(resource.id, target).key in world.resources:
            refusals["ResourceConflict"] = (
                f"Cannot move resource because resource with the same name '{resource.id.name}' "
                "already exists in the destination resource group or subscription."
            )
        for code, message in refusals.items():
            yield {"code": code, "message": message, "target": resource.id.text}
