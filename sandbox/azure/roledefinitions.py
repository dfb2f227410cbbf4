"""Role definitions: the built-in ones and those of the seed (facts A2.5)."""

import re

from sandbox.azure import errors
from sandbox.azure.roles import Role
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()

_LIST = "/~/providers/microsoft.authorization/roledefinitions"
_NAME = re.compile(r"roleName\s+eq\s+'([^']*)'", re.IGNORECASE)
_TYPE = re.compile(r"type\s+eq\s+'(BuiltInRole|CustomRole)'", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)


def _show(role: Role, subscription: str) -> Json:
    prefix = f"/subscriptions/{subscription}" if subscription else ""
    return {
        "properties": {
            "roleName": role.name,
            "type": "CustomRole" if role.custom else "BuiltInRole",
            "description": "",
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": list(role.actions),
                    "notActions": list(role.not_actions),
                    "dataActions": list(role.data_actions),
                    "notDataActions": list(role.not_data_actions),
                }
            ],
            "createdOn": "2015-01-01T00:00:00.0000000Z",
            "updatedOn": "2015-01-01T00:00:00.0000000Z",
            "createdBy": None,
            "updatedBy": None,
        },
        "id": f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{role.guid}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.guid,
    }


@routes.route("GET", _LIST, Evidence.RECORDED, "facts A2.5, test_built_in_role_definition")
def list_for_scope(call: Call) -> Reply:
    """List at any scope, by name (case-insensitive) or type."""
    found = list(call.world.roles.values())
    text = call.query.get("$filter", "").strip()
    for part in _AND.split(text) if text else ():
        if part.strip().lower() in ("atscope()", "atscopeandbelow()"):
            continue
        if named := _NAME.fullmatch(part.strip()):
            found = [role for role in found if role.name.lower() == named[1].lower()]
        elif typed := _TYPE.fullmatch(part.strip()):
            custom = typed[1].lower() == "customrole"
            found = [role for role in found if role.custom is custom]
        else:
            raise errors.unsupported(f'the filter "{text}"')
    return Reply(200, {"value": [_show(role, call.id.subscription) for role in found]})


@routes.route("GET", f"{_LIST}/<guid>", Evidence.DOCUMENTED, "REST: Role Definitions - Get")
def get(call: Call) -> Reply:
    """Return one by GUID."""
    role = call.world.roles.get(call.args["guid"])
    if role is None:
        bare = call.args["guid"].replace("-", "")
        raise errors.AzureError(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{bare}' does not exist.",
        )
    return Reply(200, _show(role, call.id.subscription))
