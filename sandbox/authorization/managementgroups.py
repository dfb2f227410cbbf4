"""Management groups: reading, creating, changing, moving and deleting them.

What lies in them is ``managementmembers``', the tree as one list ``managemententities``'.
"""

import dataclasses
import re
from collections.abc import Callable

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import managementview
from sandbox.authorization.roles import OWNER
from sandbox.world.hierarchy import TYPE, ManagementGroup
from sandbox.world.state import Assignment, Operation

routes = Routes()

_PROVIDER = "/providers/Microsoft.Management"
_LIST = f"{_PROVIDER}/managementGroups".lower()
_ONE = f"{_LIST}/<name>"
_VERBS = f"{_PROVIDER}/operationResults/<any(create,delete):verb>".lower()
_INVALID = re.compile(r"[^\w().-]", re.ASCII)
_LONGEST = 90
# Operations are polled with this version, whatever they were started with (recorded).
_VERSION = "2022-09-01"


@routes.route("GET", _LIST, Evidence.RECORDED, "azure-cli test_list_managementgroups", action="")
def list_groups(call: Call) -> Reply:
    """List the management groups that the caller may read."""
    groups = call.world.hierarchy.groups.values()
    found = [each for each in groups if managementview.may(call, "read", each)]
    shown = [managementview.brief(call, each) for each in found]
    return Reply(200, {"value": shown, "@nextLink": None})


@routes.route("GET", _ONE, Evidence.RECORDED, "azure-cli test_show_managementgroup_with_expand")
def get(call: Call) -> Reply:
    """Return one, on demand with what is below: directly, or at any depth with ``$recurse``."""
    expand = call.query.get("$expand", "").lower()
    if expand not in ("", "children"):
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    group = managementview.find(call, call.id.name)
    shown = managementview.whole(call, group)
    deep = call.query.get("$recurse", "").lower() == "true"
    if expand:
        shown["properties"]["children"] = managementview.tree(call, group, deep=deep) or None
    if expand and deep:
        # Whole trees come without it (test_show_managementgroup_with_expand_and_recurse).
        unknown = {"version": 0, "updatedTime": "0001-01-01T00:00:00", "updatedBy": None}
        shown["properties"]["details"] |= unknown
    return Reply(200, shown)


@routes.route("PUT", _ONE, Evidence.RECORDED, "azure-cli test_create_managementgroup", action="")
def put(call: Call) -> Reply:
    """Create or change one: 202 with an operation, or 200 when that has ended already."""
    if _INVALID.search(call.id.name) or len(call.id.name) > _LONGEST:
        raise errors.unsupported(f"the management group name '{call.id.name}'")
    hierarchy = call.world.hierarchy
    properties = call.member("properties") or {}
    known = hierarchy.groups.get(call.id.name.lower())
    if known is not None:
        managementview.require(call, "write", known)
    wanted = ((properties.get("details") or {}).get("parent") or {}).get("id")
    parent = _parent(call, wanted, known)
    written = _written(call, known, properties.get("displayName"), parent)

    def appear() -> None:
        hierarchy.put(written)
        if known is None:
            _own(call, written)

    return _begin(call, "create", written, appear)


def _parent(call: Call, text: object, known: ManagementGroup | None) -> str:
    """Return the lower-case name of the group that a request wants above.

    To put one under another takes the right to write that. All may put theirs under the root
    (documented), but for new ones where the hierarchy's settings say otherwise.
    """
    hierarchy = call.world.hierarchy
    if not text and known is not None:
        return known.parent
    above = managementview.find(call, str(text).rpartition("/")[2]) if text else hierarchy.root
    if known is not None and known in (above, *hierarchy.path(above)):
        raise errors.bad_content("a management group cannot lie below itself")
    moved = known is None or known.parent != above.name.lower()
    if moved and (above is not hierarchy.root or (known is None and hierarchy.guarded)):
        managementview.require(call, "write", above)
    return above.name.lower()


def _written(
    call: Call, known: ManagementGroup | None, display: str | None, parent: str
) -> ManagementGroup:
    before = known or ManagementGroup(call.id.name, call.id.name, parent, call.world.now())
    return dataclasses.replace(
        before,
        display_name=display or before.display_name,
        parent=parent,
        updated=call.world.now(),
        updated_by=call.caller.oid if call.caller else None,
        version=call.world.hierarchy.next_version(call.id.name),
    )


def _own(call: Call, group: ManagementGroup) -> None:
    """Make the creator of a group its owner (documented)."""
    world, now = call.world, call.world.now()
    if call.caller is None:
        return
    oid, kind = call.caller.oid, call.caller.kind
    made = Assignment(world.guid(), group.id, OWNER, oid, kind, now, now, oid, oid)
    if made.triple not in world.assignments.by_triple:
        world.put_assignment(made)


@routes.route(
    "POST",
    f"{_PROVIDER}/checknameavailability".lower(),
    Evidence.RECORDED,
    "azure-cli test_managementgroup_name_availability",
    action="",
)
def check_name(call: Call) -> Reply:
    """Tell whether a group may be created under a name."""
    name = str(call.object_body().get("name") or "")
    if marks := _INVALID.findall(name):
        message = (
            f"The provided management group name '{name}' has these invalid characters: "
            f"'{''.join(dict.fromkeys(marks))}'. The name can only be an ASCII letter, digit, -, "
            "_, (, ), ."
        )
        return Reply(200, {"nameAvailable": False, "reason": "Invalid", "message": message})
    if name.lower() in call.world.hierarchy.groups:
        message = "The group with the specified name already exists"
        return Reply(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": message})
    return Reply(200, {"nameAvailable": True})


@routes.route(
    "PATCH", _ONE, Evidence.RECORDED, "azure-cli test_update_managementgroup_with_parentid"
)
def patch(call: Call) -> Reply:
    """Rename or move one."""
    known = managementview.find(call, call.id.name)
    body = call.object_body()
    parent = _parent(call, body.get("parentGroupId"), known)
    written = _written(call, known, body.get("displayName"), parent)
    call.world.hierarchy.put(written)
    return Reply(200, managementview.whole(call, written))


@routes.route(
    "DELETE", _ONE, Evidence.RECORDED, "azure-cli test_create_delete_group_managementgroup"
)
def delete(call: Call) -> Reply:
    """Delete one as an operation; 204 (documented) when there was none.

    One with something in it stays (documented; status and code are assumed). That the role
    assignments at it go too is assumed.
    """
    world = call.world
    group = world.hierarchy.groups.get(call.id.name.lower())
    if group is None:
        return Reply(204)
    if managementview.tree(call, group, deep=False) or not group.parent:
        raise errors.AzureError(
            400, "BadRequest", f"The management group '{group.name}' is not empty."
        )

    def vanish() -> None:
        world.hierarchy.remove(group)
        for each in [*world.assignments.by_scope.get(group.id.lower(), {}).values()]:
            world.remove_assignment(each)

    return _begin(call, "delete", group, vanish)


def _begin(call: Call, verb: str, group: ManagementGroup, end: Callable[[], None]) -> Reply:
    """Start an operation at whose end something is done, and announce it."""
    world = call.world
    operation = world.start_operation()
    operation.resource = group.id
    world.hierarchy.operations[verb, group.name.lower()] = operation
    operation.error = call.failure
    if operation.error is None and operation.ends <= world.now():
        end()
        return Reply(200, managementview.whole(call, group) if verb == "create" else None)
    if operation.error is None:
        world.leaving.add(operation, end)
    links = _links(call, verb, group.name) | operation.retry(world.now())
    return Reply(202, _receipt(group.name, "NotStarted"), links)


def _receipt(name: str, state: str) -> Json:
    return {"id": f"/providers/{TYPE}/{name}", "type": TYPE, "name": name, "status": state}


def _links(call: Call, verb: str, name: str) -> dict[str, str]:
    start = f"{call.origin}{_PROVIDER}/operationResults/{verb}"
    end = f"managementGroups/{name}?api-version={_VERSION}"
    return {
        "azure-asyncoperation": f"{start}/asyncOperation/status/{end}",
        "location": f"{start}/{end}",
    }


def _operation(call: Call) -> tuple[Operation, str]:
    """Return the operation of the call, and its state."""
    operation = call.world.hierarchy.operations.get((call.args["verb"], call.args["name"]))
    if operation is None:
        raise errors.management_not_found(call.id.text)
    return operation, operation.status(call.world.now(), "Running")


def _made(call: Call, operation: Operation) -> ManagementGroup | None:
    """Return the group that an operation has created."""
    name = operation.resource.rpartition("/")[2].lower()
    return call.world.hierarchy.groups.get(name) if call.args["verb"] == "create" else None


@routes.route(
    "GET",
    f"{_VERBS}/asyncoperation/status/managementgroups/<name>",
    Evidence.RECORDED,
    "azure-cli test_create_delete_group_managementgroup",
    action="",
)
def state_of(call: Call) -> Reply:
    """Tell the state of an operation; one that has created shows the group."""
    operation, state = _operation(call)
    name, verb = operation.resource.rpartition("/")[2], call.args["verb"]
    path = f"{_PROVIDER}/operationResults/{verb}/asyncOperation/status/managementGroups/{name}"
    shown: Json = {"id": path, "name": name, "status": state}
    if state == "Running":
        return Reply(200, shown, _links(call, verb, name) | operation.retry(call.world.now()))
    if operation.error:
        return Reply(200, shown | {"error": operation.error})
    group = _made(call, operation)
    if group is not None:
        shown["properties"] = managementview.written(call, group)["properties"]
    return Reply(200, shown)


@routes.route(
    "GET",
    f"{_VERBS}/managementgroups/<name>",
    Evidence.RECORDED,
    "azure-cli test_management_group_level_what_if",
    action="",
)
def result_of(call: Call) -> Reply:
    """Give the result of an operation: 202 while it runs."""
    operation, state = _operation(call)
    name, verb = operation.resource.rpartition("/")[2], call.args["verb"]
    shown = _receipt(name, state)
    if state == "Running":
        location = {"location": _links(call, verb, name)["location"]}
        return Reply(202, shown, location | operation.retry(call.world.now()))
    group = _made(call, operation)
    if group is not None:
        shown["properties"] = managementview.whole(call, group)["properties"]
    return Reply(200, shown)
