"""User-assigned identities (facts: Identities)."""

from sandbox.arm import errors, ids, listing
from sandbox.arm.listing import existing
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world import throttling
from sandbox.world.state import Resource
from sandbox.world.world import World

routes = Routes()

TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"
_SUFFIX = "/providers/microsoft.managedidentity/userassignedidentities"
_LIST = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_IDENTITY = f"{_LIST}/<name>"


def _show(call: Call, identity: Resource) -> Json:
    principal = identity.principal
    if principal is None:
        raise AssertionError(identity.id.text)
    return {
        "location": identity.location,
        "tags": identity.tags,
        # The group segment is in lower case (facts: Identities, recorded).
        "id": ids.respell(identity.id.text, "resourcegroups"),
        "name": identity.id.name,
        "type": TYPE,
        "properties": {
            "tenantId": call.world.tenant,
            "principalId": principal.oid,
            "clientId": principal.app_id,
        },
    }


def create(world: World, identity: ids.ArmId, location: str, tags: dict[str, str]) -> Resource:
    """Create an identity with a new principal; routes and seed call it."""
    now = world.now()
    resource = Resource(identity, TYPE, location, now, now, tags=tags)
    resource.principal = world.new_principal(identity.name, resource_id=identity.text)
    world.put(resource)
    return resource


@routes.route("GET", _IDENTITY, Evidence.RECORDED, "facts: Identities, misc_vm_vmss_arg_paging #2")
def get(call: Call) -> Reply:
    """Return an identity."""
    return Reply(200, _show(call, existing(call)))


@routes.route("GET", _LIST, Evidence.RECORDED, "facts: Identities, test_identity_management #3")
def list_all(call: Call) -> Reply:
    """List the identities of a group or, by another route, of a subscription."""
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda identity: _show(call, identity))


routes.route(
    "GET",
    f"/subscriptions/<subscription>{_SUFFIX}",
    Evidence.RECORDED,
    "azure-cli test_redis_cache_export_import",
)(list_all)


@routes.route(
    "PUT", _IDENTITY, Evidence.RECORDED, "facts: Identities, test_botservice_registration #0 #1"
)
def put(call: Call) -> Reply:
    """Create an identity (201, a relative location) or update it (200, the same principal)."""
    call.world.group(call.id)
    body = call.object_body()
    if not body.get("location"):
        raise errors.location_required()
    tags = dict(call.member("tags") or {})
    known = call.world.resources.get(call.id.key)
    if known is not None:
        known.tags = tags
        call.world.put(known)
        return Reply(200, _show(call, known))
    throttling.identity(call, body["location"], "create")
    shown = _show(call, create(call.world, call.id, body["location"], tags))
    return Reply(201, shown, {"location": shown["id"]})


@routes.route("PATCH", _IDENTITY, Evidence.DOCUMENTED, "REST: User Assigned Identities - Update")
def patch(call: Call) -> Reply:
    """Replace the tags, if there are any in the body."""
    identity = existing(call)
    if "tags" in call.object_body():
        identity.tags = dict(call.member("tags") or {})
    call.world.put(identity)
    return Reply(200, _show(call, identity))


@routes.route(
    "DELETE", _IDENTITY, Evidence.RECORDED, "facts: Identities, test_identity_management #4"
)
def delete(call: Call) -> Reply:
    """Delete an identity: 200 without a body, or 204 (documented) when there was none.

    Machines keep their reference and role assignments stay (facts: Identities, documented).
    """
    identity = call.world.resources.get(call.id.key)
    if identity is None:
        return Reply(204)
    call.world.remove(identity)
    return Reply(200)
