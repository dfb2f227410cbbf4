"""Resource groups, and resources of every type without a service of its own."""

import datetime as dt
from http import HTTPStatus

from sandbox.arm import errors, ids, listing, operations
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes, merge
from sandbox.identity import attachment
from sandbox.resources.kinds import kind
from sandbox.resources.resourceview import etag, listed, show
from sandbox.world.state import Resource

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


def _show_group(group: Resource, now: dt.datetime) -> Json:
    return {
        "id": ids.respell(group.id.text, "resourceGroups"),
        "name": group.id.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        **({"tags": group.tags} if group.tags or group.tagged else {}),
        **group.extra,
        "properties": {"provisioningState": group.provisioning_state(now)},
    }


def _tag(call: Call, resource: Resource) -> None:
    """Take over the tags of a body."""
    resource.tags = dict(call.member("tags") or {})
    resource.tagged = call.member("tags") is not None


@routes.route(
    "GET",
    f"{_SUBSCRIPTION}/resourcegroups",
    Evidence.RECORDED,
    "azure-cli test_resource_group",
    action=f"{ids.GROUP_TYPE}/read",
)
def list_groups(call: Call) -> Reply:
    """List the groups of a subscription."""
    prefix = f"/subscriptions/{call.id.subscription}/".lower()
    groups = [group for key, group in call.world.groups.items() if key.startswith(prefix)]
    return listing.page(
        call, listing.matching(call, groups, ()), lambda each: _show_group(each, call.world.now())
    )


@routes.route("GET", _GROUP, Evidence.RECORDED, "azure-cli test_resource_group")
def get_group(call: Call) -> Reply:
    """Return one group."""
    return Reply(200, _show_group(call.world.group(call.id), call.world.now()))


@routes.route("HEAD", _GROUP, Evidence.RECORDED, "azure-cli test_resource_group")
def head_group(call: Call) -> Reply:
    """Answer 204 when the group exists."""
    call.world.group(call.id)
    return Reply(204)


@routes.route("PUT", _GROUP, Evidence.RECORDED, "azure-cli test_resource_group")
def put_group(call: Call) -> Reply:
    """Create or update a group."""
    body = call.object_body()
    if not body.get("location"):
        raise errors.location_required(gateway=True)
    now = call.world.now()
    known = call.world.groups.get(call.id.key)
    group = known or Resource(call.id, call.id.type, body["location"], now, now)
    _tag(call, group)
    group.extra = {"managedBy": body["managedBy"]} if body.get("managedBy") else {}
    call.world.put_group(group)
    return Reply(200 if known else 201, _show_group(group, now))


@routes.route("PATCH", _GROUP, Evidence.RECORDED, "azure-cli test_tag_update_by_patch")
def patch_group(call: Call) -> Reply:
    """Replace the tags, if there are any in the body."""
    group = call.world.group(call.id)
    if "tags" in call.object_body():
        _tag(call, group)
    call.world.put_group(group)
    return Reply(200, _show_group(group, call.world.now()))


@routes.route("DELETE", _GROUP, Evidence.RECORDED, "facts: Machines, misc_vm_vmss_arg_paging #4")
def delete_group(call: Call) -> Reply:
    """Delete a group with all in it; until the operation has ended it is ``Deleting``."""
    group = call.world.group(call.id)
    return Reply(202, None, operations.delete_group(call, group))


def _list_resources(call: Call) -> Reply:
    world = call.world
    expand = [each for each in call.query.get("$expand", "").split(",") if each]
    if set(expand) - {"createdTime", "changedTime", "provisioningState"}:
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    # Without a location it is a part of another, which only its own list shows (documented).
    located = (each for each in listing.within(call) if each.location and world.indexed(each))
    found = listing.matching(call, located)

    def row(resource: Resource) -> Json:
        times = {
            "createdTime": _time(resource.created),
            "changedTime": _time(resource.ready_at),
            "provisioningState": resource.provisioning_state(world.now()),
        }
        return listed(world, resource) | {name: times[name] for name in expand}

    return listing.page(call, found, row)


def _time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


routes.route(
    "GET",
    f"{_SUBSCRIPTION}/resources",
    Evidence.RECORDED,
    "facts: Role assignments, misc_vm #0",
    action=_LIST,
)(_list_resources)
routes.route(
    "GET", f"{_GROUP}/resources", Evidence.DOCUMENTED, "REST: Resources - List", action=_LIST
)(_list_resources)


def _enter(call: Call) -> None:
    """Raise ``AzureError``: 404 without the group, 400 for what only its own service knows."""
    call.world.group(call.id)
    if f"{call.id.type.lower()}/".startswith(_OTHERS):
        raise errors.unsupported(f"{call.method} {call.id.text}")


def _find(call: Call) -> Resource:
    _enter(call)
    resource = call.world.resources.get(call.id.key)
    if resource is None:
        _require_parent(call)
        raise errors.resource_not_found(call.id)
    if call.method == "GET" and not call.world.indexed(resource):
        raise errors.resource_not_found(call.id)
    return resource


def _require_parent(call: Call) -> None:
    """Raise ``AzureError`` 404 for a nested resource whose parent is not there."""
    parent = ids.parse(call.id.outer)
    if parent.name and parent.type.count("/") and parent.key not in call.world.resources:
        raise errors.parent_not_found(parent.names)


@routes.route(
    "GET", _RESOURCE, Evidence.RECORDED, "facts: Identity by type, test_azconfig_identity"
)
def get(call: Call) -> Reply:
    """Return a resource, or list a type in a group."""
    if call.id.name:
        resource = _find(call)
        return Reply(200, show(call.world, resource), etag(resource, kind(resource.type)))
    _enter(call)
    return list_by_subscription(call)


@routes.route(
    "GET",
    f"{_SUBSCRIPTION}/providers/<namespace>/<type>",
    Evidence.RECORDED,
    "azure-cli test_list_storage_accounts, test_sb_namespace",
)
def list_by_subscription(call: Call) -> Reply:
    """List a type in a subscription."""
    found = listing.select(call, call.id.type)
    page = listing.page(call, found, lambda each: show(call.world, each))
    return Reply(200, dict.fromkeys(kind(call.id.type).list_nulls) | page.body)


def _written(call: Call, resource: Resource) -> Json:
    return show(call.world, resource, read=False)


def _store(call: Call, resource: Resource, status: int, *, state: str) -> Reply:
    """Store a resource, as an operation when it has a state meanwhile."""
    row = kind(resource.type)
    found: dict[str, str] = {}
    accepted = status == HTTPStatus.ACCEPTED
    if state:
        found = operations.begin(call, resource, state, final=accepted)
    call.world.put(resource)
    body = (operations.receipt if accepted else _written)(call, resource)
    headers = (found if row.announced else {}) | etag(resource, row, put=call.method == "PUT")
    return Reply(status, body, headers)


@routes.route(
    "PUT", _RESOURCE, Evidence.RECORDED, "facts: Identity by type, test_azconfig_identity"
)
def put(call: Call) -> Reply:
    """Create a resource or replace its definition."""
    _enter(call)
    body = call.object_body()
    if not call.id.name:
        raise errors.unsupported(f"PUT {call.id.text}")
    _require_parent(call)
    known = call.world.resources.get(call.id.key)
    now = call.world.now()
    parent = call.world.resources.get(call.id.outer.lower())
    location = body.get("location") or (parent.location if parent else "")
    resource = known or Resource(call.id, kind(call.id.type).type, location, now, now)
    added = attachment.write(call, resource, call.member("identity"), merge=False)
    _tag(call, resource)
    resource.properties = dict(call.member("properties") or {})
    resource.extra = {name: body[name] for name in _EXTRA if name in body}
    row = kind(resource.type)
    runs = row.put_runs == "always" or (row.put_runs == "create" and not known)
    state = (added and row.activating) or ("Updating" if known else row.creating)
    status = row.replaced if known else row.created
    return _store(call, resource, status, state=state if runs else "")


@routes.route(
    "PATCH", _RESOURCE, Evidence.RECORDED, "facts: Identity by type, test_azconfig_identity"
)
def patch(call: Call) -> Reply:
    """Merge tags, identity and properties."""
    resource = _find(call)
    body = call.object_body()
    attachment.write(call, resource, call.member("identity"), merge=True)
    if "tags" in body:
        _tag(call, resource)
    resource.properties = merge(resource.properties, call.member("properties") or {})
    resource.extra |= {name: body[name] for name in _EXTRA if name in body}
    row = kind(resource.type)
    block = call.member("identity")
    users = "userassigned" in str((block or {}).get("type")).lower()
    runs = {"always": True, "identity": block is not None, "users": users, "never": False}
    state = row.patching if runs[row.patch_runs] else ""
    return _store(call, resource, row.patched if state else 200, state=state)


@routes.route("DELETE", _RESOURCE, Evidence.RECORDED, "test_backup_identity #33, azure-cli")
def delete(call: Call) -> Reply:
    """Delete a resource: 200 or, as an operation, 202; 204 when there was none."""
    _enter(call)
    resource = call.world.resources.get(call.id.key)
    if resource is None:
        return Reply(204)
    row = kind(resource.type)
    if row.delete_runs:
        found = operations.delete(call, resource)
        return Reply(202, operations.receipt(call, resource), found)
    call.world.remove(resource)
    body = show(call.world, resource) if row.deleted == "resource" else None
    return Reply(200, body, etag(resource, row) if row.etag == "always" else {})
