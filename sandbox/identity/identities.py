"""User-assigned identities (facts: Identities)."""

from sandbox.arm import errors, ids, listing
from sandbox.arm.documents import existing
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world import throttling
from sandbox.world.state import Principal, Resource
from sandbox.world.world import World

routes = Routes()

TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"
_SUFFIX = "/providers/microsoft.managedidentity/userassignedidentities"
_LIST = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_IDENTITY = f"{_LIST}/<name>"
# With this api-version identities show how they are isolated (facts: Identities; examples of the
# REST specification), ``None`` unless they were told.
_FIRST_ISOLATED = "2024-11-30"
_SCOPES = ("None", "Regional")


def _show(call: Call, identity: Resource) -> Json:
    principal = _principal(identity)
    isolated = call.query["api-version"] >= _FIRST_ISOLATED
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
            **(_isolation(identity) if isolated else {}),
        },
    }


def _isolation(identity: Resource) -> Json:
    return {"isolationScope": identity.properties.get("isolationScope", "None")}


def _isolate(call: Call, identity: Resource) -> None:
    """Take the isolation scope of a body over, if it names one; raises ``AzureError`` 400."""
    wanted = (call.member("properties") or {}).get("isolationScope")
    if wanted is None:
        return
    if wanted not in _SCOPES:
        raise errors.bad_content(f"Error converting value '{wanted}' to isolationScope")
    identity.properties = {"isolationScope": wanted}


def _principal(identity: Resource) -> Principal:
    if identity.principal is None:
        raise AssertionError(identity.id.text)
    return identity.principal


def create(world: World, identity: ids.ArmId, location: str, tags: dict[str, str]) -> Resource:
    """Create an identity with a new principal; routes and seed call it."""
    now = world.now()
    resource = Resource(identity, TYPE, location, now, now, tags=tags, tagged=True)
    resource.principal = world.new_principal(identity.name, resource_id=identity.text)
    world.put(resource)
    return resource


@routes.route("GET", _IDENTITY, Evidence.RECORDED, "facts: Identities, misc_vm_vmss_arg_paging #2")
def get(call: Call) -> Reply:
    """Return an identity."""
    return Reply(200, _show(call, existing(call)))


@routes.route("GET", _LIST, Evidence.RECORDED, "facts: Identities, test_identity_management #3")
def list_group(call: Call) -> Reply:
    """List the identities of a group."""
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda each: _show(call, each))


routes.route(
    "GET",
    f"/subscriptions/<subscription>{_SUFFIX}",
    Evidence.RECORDED,
    "azure-cli test_redis_cache_export_import",
)(list_group)


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
        _isolate(call, known)
        call.world.put(known)
        return Reply(200, _show(call, known))
    throttling.identity(call, body["location"], "create")
    made = create(call.world, call.id, body["location"], tags)
    _isolate(call, made)
    shown = _show(call, made)
    return Reply(201, shown, {"location": shown["id"]})


@routes.route("PATCH", _IDENTITY, Evidence.DOCUMENTED, "REST: User Assigned Identities - Update")
def patch(call: Call) -> Reply:
    """Replace the tags, if there are any in the body, and the isolation scope."""
    identity = existing(call)
    body = call.object_body()
    if "tags" in body:
        identity.tags = dict(call.member("tags") or {})
    _isolate(call, identity)
    call.world.put(identity)
    return Reply(200, _show(call, identity))


@routes.route(
    "DELETE", _IDENTITY, Evidence.RECORDED, "facts: Identities, test_identity_management #4"
)
def delete(call: Call) -> Reply:
    """Delete an identity: 200 without a body, or 204 (documented) when there was none.

    Machines keep their reference and role assignments stay (facts: Rights, documented).
    """
    identity = call.world.resources.get(call.id.key)
    if identity is None:
        return Reply(204)
    call.world.remove(identity)
    return Reply(200)


@routes.route(
    "POST",
    f"{_IDENTITY}/listassociatedresources",
    Evidence.RECORDED,
    "test_identity_management #2; the members of an item are documented",
)
def list_associated(call: Call) -> Reply:
    """List the resources that carry an identity (api-version 2022-01-31-preview only)."""
    world = call.world
    listing.refuse_options(call, "$skip")
    key = call.id.parent.lower()
    if key not in world.resources:
        found = ids.parse(call.id.parent)
        raise errors.resource_not_found(found)
    carrying = [each for each in world.resources.values() if key in each.users]
    shown = [
        {
            "id": each.id.text,
            "name": each.id.name,
            "type": each.type.lower(),
            "resourceGroup": each.id.group.lower(),
            "subscriptionId": each.id.subscription,
            "subscriptionDisplayName": world.subscriptions[each.id.subscription.lower()],
        }
        for each in carrying
    ]
    skipped = call.query.get("$skip", "0")
    if not skipped.isdecimal():
        raise errors.unsupported(f"the option $skip={skipped}")
    found = listing.page(call, shown[int(skipped) :], lambda each: each).body
    return Reply(200, {"totalCount": len(shown), **found})
