"""Resources of every type without a service of its own; types differ in the traits of their row.

See facts: Identity by type.
"""

import datetime as dt
from http import HTTPStatus

from sandbox.arm import attachment, errors, ids, listing, operations
from sandbox.arm.attachment import IdentityTraits
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes, merge
from sandbox.resources.types import TypeTraits, traits_of
from sandbox.world.state import Resource
from sandbox.world.world import World

routes = Routes()

_SUBSCRIPTION = "/subscriptions/<subscription>"
_GROUP = f"{_SUBSCRIPTION}/resourcegroups/<group>"
_RESOURCE = f"{_GROUP}/providers/<namespace>/<path:rest>"
_EXTRA = ("sku", "kind", "zones", "managedBy", "plan", "extendedLocation")
_LIST = "Microsoft.Resources/subscriptions/resources/read"
# What is served of these has routes of its own.
_OTHERS = (
    "microsoft.compute/virtualmachines/",
    "microsoft.compute/virtualmachinescalesets/",
    "microsoft.managedidentity/",
    "microsoft.resources/",
)
# ARM spells identity blocks in its own lists alike for all types (azure-cli test_acr_identity).
_ARM = IdentityTraits(none="absent")


def _show(world: World, resource: Resource) -> Json:
    """Return a resource as its provider does, whatever spelling of the type the client used."""
    traits = traits_of(resource.type)
    scope = ids.respell(resource.id.scope, "resourceGroups")
    path = f"/providers/{traits.type}/{resource.id.name}"
    if traits.evidence is Evidence.ASSUMED:
        path = resource.id.text[len(resource.id.scope) :]
    tags: Json = {"tags": resource.tags or (None if traits.untagged == "null" else {})}
    if not resource.tags and traits.untagged == "absent":
        tags = {}
    state = {"provisioningState": resource.provisioning_state(world.now())} if traits.state else {}
    return {
        "id": scope + path,
        "name": resource.id.name,
        "type": resource.type,
        "location": resource.location,
        **tags,
        **resource.extra,
        **attachment.show(world, resource, traits),
        "properties": {**resource.properties, **state},
    }


def _etag(resource: Resource, traits: TypeTraits) -> dict[str, str]:
    """Return the header, if the type has it; its value counts writes."""
    value = f'"{resource.version:08x}-0000-0100-0000-000000000000"'
    return {"etag": value} if traits.etag else {}


def _list_all(call: Call) -> Reply:
    """List the resources of all types as ARM's own index shows them, in a spelling of its own."""
    world = call.world
    expand = [each for each in call.query.get("$expand", "").split(",") if each]
    if set(expand) - {"createdTime", "changedTime", "provisioningState"}:
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    # Without a location it is a part of another, which only its own list shows (documented).
    located = (each for each in listing.within(call) if each.location and world.indexed(each))

    def show(resource: Resource) -> Json:
        more = {
            "createdTime": _time(resource.created),
            "changedTime": _time(resource.ready_at),
            "provisioningState": resource.provisioning_state(world.now()),
        }
        tagged = resource.tags or traits_of(resource.type).untagged == "object"
        return {
            "id": ids.respell(resource.id.text, "resourceGroups"),
            # All names, the outermost first (azure-cli test_resource_scenario).
            "name": resource.id.names,
            "type": resource.type,
            "location": ids.region(resource.location),
            **({"tags": resource.tags} if tagged else {}),
            **resource.extra,
            **attachment.show(world, resource, _ARM),
            **{name: more[name] for name in expand},
        }

    return listing.page(call, listing.matching(call, located), show)


def _time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


routes.route(
    "GET",
    f"{_SUBSCRIPTION}/resources",
    Evidence.RECORDED,
    "facts: Lists, misc_vm #0",
    action=_LIST,
)(_list_all)
routes.route(
    "GET", f"{_GROUP}/resources", Evidence.DOCUMENTED, "REST: Resources - List", action=_LIST
)(_list_all)


def _require_served(call: Call) -> None:
    """Raise ``AzureError``: 404 without the group, 400 for what only its own service knows."""
    call.world.group(call.id)
    if f"{call.id.type.lower()}/".startswith(_OTHERS):
        raise errors.unsupported(f"{call.method} {call.id.text}")


def _require_parent(call: Call) -> None:
    """Raise ``AzureError`` 404 for a nested resource whose parent is not there."""
    parent = ids.parse(call.id.outer)
    if parent.name and parent.type.count("/") and parent.key not in call.world.resources:
        raise errors.parent_not_found(parent.names)


def _find(call: Call) -> Resource:
    _require_served(call)
    resource = call.world.resources.get(call.id.key)
    if resource is None:
        _require_parent(call)
    if resource is None or (call.method == "GET" and not call.world.indexed(resource)):
        raise errors.resource_not_found(call.id)
    return resource


@routes.route(
    "GET", _RESOURCE, Evidence.RECORDED, "facts: Identity by type, test_azconfig_identity"
)
def get(call: Call) -> Reply:
    """Return a resource, or list a type in a group."""
    if call.id.name:
        resource = _find(call)
        return Reply(200, _show(call.world, resource), _etag(resource, traits_of(resource.type)))
    _require_served(call)
    return list_type(call)


@routes.route(
    "GET",
    f"{_SUBSCRIPTION}/providers/<namespace>/<type>",
    Evidence.RECORDED,
    "azure-cli test_list_storage_accounts, test_sb_namespace",
)
def list_type(call: Call) -> Reply:
    """List the resources of a type in a subscription."""
    found = listing.select(call, call.id.type)
    return listing.page(call, found, lambda resource: _show(call.world, resource))


def _store(call: Call, resource: Resource, status: int, state: str) -> Reply:
    """Take over tags and extra members of the body, store the resource, and answer.

    Args:
        call: the request.
        resource: the resource with its identity and its properties.
        status: the answer's.
        state: the provisioning state while the operation runs that the write starts, if it does.
    """
    body, traits = call.object_body(), traits_of(resource.type)
    if call.method == "PUT" or "tags" in body:
        resource.tags = dict(call.member("tags") or {})
    kept = {} if call.method == "PUT" else resource.extra
    resource.extra = kept | {name: body[name] for name in _EXTRA if name in body}
    accepted = status == HTTPStatus.ACCEPTED
    headers: dict[str, str] = {}
    if state:
        announced = operations.begin(call, resource, state, final=accepted)
        headers = {name: value for name, value in announced.items() if name in traits.links}
    call.world.put(resource)
    answer = None if accepted and not traits.accepted_body else _show(call.world, resource)
    return Reply(status, answer, headers | _etag(resource, traits))


@routes.route(
    "PUT", _RESOURCE, Evidence.RECORDED, "facts: Identity by type, test_azconfig_identity"
)
def put(call: Call) -> Reply:
    """Create a resource or replace its definition."""
    _require_served(call)
    body = call.object_body()
    if not call.id.name:
        raise errors.unsupported(f"PUT {call.id.text}")
    _require_parent(call)
    known = call.world.resources.get(call.id.key)
    traits, now = traits_of(call.id.type), call.world.now()
    parent = call.world.resources.get(call.id.outer.lower())
    location = body.get("location") or (parent.location if parent else "")
    resource = known or Resource(call.id, traits.type, location, now, now)
    attachment.write(call, resource, call.member("identity"), traits, merge=False)
    resource.properties = dict(call.member("properties") or {})
    runs = traits.put_runs == "always" or (traits.put_runs == "create" and not known)
    state = "Updating" if known else traits.creating
    return _store(
        call, resource, traits.replaced if known else traits.created, state if runs else ""
    )


@routes.route(
    "PATCH", _RESOURCE, Evidence.RECORDED, "facts: Identity by type, test_azconfig_identity"
)
def patch(call: Call) -> Reply:
    """Merge tags, identity and properties."""
    resource = _find(call)
    block, traits = call.member("identity"), traits_of(resource.type)
    attachment.write(call, resource, block, traits, merge=True)
    resource.properties = merge(resource.properties, call.member("properties") or {})
    users = "userassigned" in str((block or {}).get("type")).lower()
    runs = {"always": True, "identity": block is not None, "users": users, "never": False}
    state = traits.patching if runs[traits.patch_runs] else ""
    return _store(call, resource, traits.patched if state else 200, state)


@routes.route("DELETE", _RESOURCE, Evidence.RECORDED, "test_backup_identity #33, azure-cli")
def delete(call: Call) -> Reply:
    """Delete a resource: 200 or, as an operation, 202; 204 when there was none."""
    _require_served(call)
    resource = call.world.resources.get(call.id.key)
    if resource is None:
        return Reply(204)
    if traits_of(resource.type).delete_runs:
        return Reply(202, None, operations.delete(call, resource))
    call.world.remove(resource)
    return Reply(200)
