"""Role definitions: the built-in ones, those of the seed, and custom ones.

See facts: Role assignments.
"""

import dataclasses
import datetime as dt
import re
import uuid

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization.roles import Permissions, Role
from sandbox.world.events import stamp

routes = Routes()

_LIST = "/~/providers/microsoft.authorization/roledefinitions"
_ONE = f"{_LIST}/<guid>"
_READ = "Microsoft.Authorization/roleDefinitions/read"
_NAME = re.compile(r"roleName\s+eq\s+'((?:[^']|'')*)'", re.IGNORECASE)
_TYPE = re.compile(r"type\s+eq\s+'(BuiltInRole|CustomRole)'", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)
_LISTS = ("actions", "notActions", "dataActions", "notDataActions")


def _show(role: Role, subscription: str) -> Json:
    prefix = f"/subscriptions/{subscription}" if subscription else ""
    return {
        "properties": {
            "roleName": role.name,
            "type": "CustomRole" if role.custom else "BuiltInRole",
            "description": role.description,
            "assignableScopes": list(role.assignable),
            "permissions": [
                dict(zip(_LISTS, map(list, dataclasses.astuple(block)), strict=True))
                for block in role.permissions
            ],
            "createdOn": stamp(role.created),
            "updatedOn": stamp(role.updated),
            "createdBy": role.created_by,
            "updatedBy": role.updated_by,
        },
        "id": f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{role.guid}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.guid,
    }


def _require_read(call: Call) -> None:
    """Raise ``AzureError`` 403 for who may not read at the scope.

    At the tenant everybody may (issues: azurerm).
    """
    if call.id.scope:
        call.require(_READ, call.id.scope)


@routes.route(
    "GET",
    _LIST,
    Evidence.RECORDED,
    "facts: Role assignments, test_built_in_role_definition",
    action="",
)
def list_for_scope(call: Call) -> Reply:
    """List what may be assigned at a scope, by name (in any case) or type.

    Without a filter what may only be assigned below is shown too (azure-cli
    test_role_definition_scenario), else with ``atScopeAndBelow()`` (documented).
    A custom role just written is missing from filtered lists for a while
    (test_custom_role_definition_scenario #1 #2); a switch says for how long.
    """
    _require_read(call)
    world, key = call.world, (call.id.scope or "/").lower()
    text = call.query.get("$filter", "").strip()
    parts = [part.strip() for part in _AND.split(text)] if text else []
    below = not text or any(part.lower() == "atscopeandbelow()" for part in parts)
    found = [
        role
        for role in world.roles.values()
        if any(
            world.within(scope.lower(), key) or (below and world.within(key, scope.lower()))
            for scope in role.assignable
        )
    ]
    for part in parts:
        if part.lower() in ("atscope()", "atscopeandbelow()"):
            continue
        if named := _NAME.fullmatch(part):
            wanted = named[1].replace("''", "'").lower()
            found = [role for role in found if role.name.lower() == wanted]
        elif typed := _TYPE.fullmatch(part):
            custom = typed[1].lower() == "customrole"
            found = [role for role in found if role.custom is custom]
        else:
            raise errors.unsupported(f'the filter "{text}"')
    if text:
        settled = world.now() - dt.timedelta(seconds=world.faults.role_filter_delay)
        found = [role for role in found if not role.custom or role.updated <= settled]
    return Reply(200, {"value": [_show(role, call.id.subscription) for role in found]})


@routes.route("GET", _ONE, Evidence.DOCUMENTED, "REST: Role Definitions - Get", action="")
def get(call: Call) -> Reply:
    """Return one by GUID."""
    _require_read(call)
    role = call.world.roles.get(_guid(call))
    if role is None:
        bare = _guid(call).replace("-", "")
        raise errors.AzureError(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{bare}' does not exist.",
        )
    return Reply(200, _show(role, call.id.subscription))


@routes.route("PUT", _ONE, Evidence.RECORDED, "azure-cli test_role_definition_scenario #0 #2")
def put(call: Call) -> Reply:
    """Create or change a custom role: 201 either way."""
    wanted = _wanted(call)
    for other in call.world.roles.values():
        if other.name.lower() == wanted.name.lower() and other.guid != wanted.guid:
            # The status is assumed; the code is the troubleshooting page's.
            raise errors.AzureError(
                409,
                "RoleDefinitionWithSameNameExists",
                f"A custom role with the same name already exists in this directory: "
                f"'{wanted.name}'. Use a different name.",
            )
    known = call.world.roles.get(wanted.guid)
    if known is not None:
        if not known.custom:
            raise errors.unsupported(f"a change of the built-in role '{known.name}'")
        wanted = dataclasses.replace(wanted, created=known.created, created_by=known.created_by)
    call.world.put_role(wanted, call.id)
    shown = _show(wanted, call.id.subscription)
    # As for role assignments, the answer is not what is stored: it does not know who created the
    # role, and not when, if that was before (recorded).
    shown["properties"] |= {"createdBy": None, "createdOn": stamp(wanted.updated)}
    return Reply(201, shown)


def _guid(call: Call) -> str:
    """Return the GUID that a role is named by; raises ``AzureError`` 400."""
    try:
        return str(uuid.UUID(call.id.name))
    except ValueError:
        raise errors.AzureError(
            400,
            "InvalidRoleDefinitionId",
            f"The role definition ID '{call.id.name}' is not valid. The role definition ID must be "
            "a GUID.",
        ) from None


def _wanted(call: Call) -> Role:
    """Return the role that a PUT asks for; raises ``AzureError`` 400."""
    properties = call.member("properties") or {}
    name, scopes = properties.get("roleName"), properties.get("assignableScopes")
    blocks = properties.get("permissions")
    if not isinstance(name, str) or not name:
        raise errors.bad_content("a value is required. Path 'properties.roleName'")
    if not isinstance(scopes, list) or not scopes:
        raise errors.bad_content("a list is required. Path 'properties.assignableScopes'")
    whole = isinstance(blocks, list) and all(isinstance(each, dict) for each in blocks)
    if not blocks or not whole:
        raise errors.bad_content("a list is required. Path 'properties.permissions'")
    guid = _guid(call)
    now = call.world.now()
    author = call.caller.oid if call.caller else None
    return Role(
        guid,
        name,
        tuple(_permissions(each, number) for number, each in enumerate(blocks)),
        custom=True,
        description=str(properties.get("description") or ""),
        assignable=tuple(str(scope) for scope in scopes),
        created=now,
        updated=now,
        created_by=author,
        updated_by=author,
    )


def _permissions(block: Json, number: int) -> Permissions:
    named = {name for name, value in block.items() if value is not None}
    if unknown := named - set(_LISTS):
        raise errors.unsupported(f"'{min(unknown)}' in the permissions of a role")
    lists = []
    for name in _LISTS:
        value = block.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise errors.bad_content(
                f"a list is required. Path 'properties.permissions[{number}].{name}'"
            )
        lists.append(tuple(value))
    return Permissions(*lists)


@routes.route("DELETE", _ONE, Evidence.RECORDED, "azure-cli test_role_definition_scenario #4")
def delete(call: Call) -> Reply:
    """Delete a custom role: 200 with the object, or 204 when there was none."""
    role = call.world.roles.get(_guid(call))
    if role is None:
        return Reply(204)
    if not role.custom:
        raise errors.unsupported(f"the deletion of the built-in role '{role.name}'")
    if any(each.role == role.guid for each in call.world.assignments):
        # The status is assumed; code and text are the troubleshooting page's.
        raise errors.AzureError(
            400,
            "RoleDefinitionHasAssignments",
            "There are existing role assignments referencing role (code: "
            "RoleDefinitionHasAssignments).",
        )
    call.world.remove_role(role, call.id)
    return Reply(200, _show(role, call.id.subscription))
