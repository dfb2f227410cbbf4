"""Role assignments at every scope (facts: Role assignments and Rights and Errors)."""

import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Iterable

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import access, conditions
from sandbox.world.events import stamp
from sandbox.world.state import Assignment
from sandbox.world.world import World

routes = Routes()

_LIST = "/~/providers/microsoft.authorization/roleassignments"
_ONE = f"{_LIST}/<name>"
_WRITE = "Microsoft.Authorization/roleAssignments/write"
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_PRINCIPAL = re.compile(r"principalId\s+eq\s+'([^']+)'|assignedTo\('([^']+)'\)", re.IGNORECASE)
_TYPES = ("ServicePrincipal", "User", "Group", "ForeignGroup", "Device")
# Members that came with conditions, and the first version that has them (documented).
_LATER = ("condition", "conditionVersion", "delegatedManagedIdentityResourceId", "description")
_FIRST_CONDITIONAL = "2020-03-01-preview"
# A PUT's answer shows a creation a little before the update (facts: Role assignments, recorded).
_SKEW = dt.timedelta(milliseconds=700)
# How many there may be; a seed sets others for its subscriptions.
_IN_SUBSCRIPTION = 4000
_IN_MANAGEMENT_GROUP = 500


def _show(call: Call, assignment: Assignment) -> Json:
    """Return an assignment as ARM does, its role under the subscription that was asked.

    Old api-versions know less of it (cloud-custodian AccessControlTest).
    """
    subscription = call.id.subscription
    prefix = f"/subscriptions/{subscription}" if subscription else ""
    shown: Json = {
        "properties": {
            "roleDefinitionId": (
                f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{assignment.role}"
            ),
            "principalId": assignment.principal,
            "principalType": assignment.principal_type,
            "scope": assignment.scope,
            "condition": assignment.condition,
            "conditionVersion": assignment.condition_version,
            "createdOn": stamp(assignment.created),
            "updatedOn": stamp(assignment.updated),
            "createdBy": assignment.created_by,
            "updatedBy": assignment.updated_by,
            "delegatedManagedIdentityResourceId": assignment.delegated,
            "description": assignment.description,
        },
        "id": assignment.id,
        "type": "Microsoft.Authorization/roleAssignments",
        "name": assignment.name,
    }
    if call.query["api-version"] < _FIRST_CONDITIONAL:
        for name in _LATER:
            del shown["properties"][name]
    return shown


def _scope(call: Call) -> str:
    """Return the scope of the call as the client spelled it; raises 404 when it is not there."""
    scope = call.id.scope or "/"
    call.world.require_scope(ids.parse(scope))
    return scope


@routes.route(
    "GET",
    _LIST,
    Evidence.RECORDED,
    "facts: Role assignments, test_role_assignment_create_update #2",
)
def list_for_scope(call: Call) -> Reply:
    """List at a scope: above and below it too, only above with ``atScope()``; never paged."""
    world, key = call.world, _scope(call).lower()
    text = call.query.get("$filter", "").strip()
    at_scope = False
    principal: str | None = None
    for part in _AND.split(text) if text else ():
        named = _PRINCIPAL.fullmatch(part.strip())
        if part.strip().lower() == "atscope()":
            at_scope = True
        elif named and principal is None:
            principal = (named[1] or named[2]).lower()
        else:
            raise errors.unsupported(f'the filter "{text}"')
    above = set(world.scopes(key))
    # Where an index narrows the search down, it does: worlds hold many thousands.
    lag = world.faults.assignment_lag
    candidates: Iterable[Assignment] = world.assignments
    if lag:
        seen = world.assignment_history.at(world.now() - dt.timedelta(seconds=lag))
        candidates = [each for each in seen if principal in {None, each.principal}]
    elif principal is not None:
        candidates = world.assignments_of([principal])
    elif at_scope:
        table = world.assignments.by_scope
        candidates = [each for scope in above for each in table.get(scope, {}).values()]
    found = [
        assignment
        for assignment in candidates
        if (scope := assignment.scope.lower()) in above
        or (not at_scope and world.within(key, scope))
    ]
    return Reply(200, {"value": [_show(call, assignment) for assignment in found]})


def _name(call: Call) -> str:
    """Return the GUID that an assignment is named by; raises ``AzureError`` 400."""
    try:
        return str(uuid.UUID(call.id.name))
    except ValueError:
        raise errors.AzureError(
            400,
            "InvalidRoleAssignmentId",
            f"The role assignment ID '{call.id.name}' is not valid. "
            "The role assignment ID must be a GUID.",
        ) from None


def _existing(call: Call) -> Assignment | None:
    """Return the assignment of the call, if it is at just that scope; raises 404 without that."""
    found = call.world.assignments.by_name.get(_name(call))
    if found is not None and found.scope.lower() == (call.id.scope or "/").lower():
        return found
    _scope(call)
    return None


@routes.route(
    "GET",
    _ONE,
    Evidence.RECORDED,
    "facts: Role assignments, test_role_assignment_create_update #10",
)
def get(call: Call) -> Reply:
    """Return one; the 404 of a missing one is assumed."""
    found = _existing(call)
    if found is None:
        raise errors.AzureError(
            404, "RoleAssignmentNotFound", f"The role assignment '{call.id.name}' is not found."
        )
    return Reply(200, _show(call, found))


@routes.route(
    "DELETE",
    _ONE,
    Evidence.RECORDED,
    "facts: Role assignments, test_role_assignment_create_update #3",
)
def delete(call: Call) -> Reply:
    """Delete one: 200 with the object, its update refreshed; 204 (documented) when absent."""
    found = _existing(call)
    if found is None:
        return Reply(204)
    _keep_an_administrator(call.world, found)
    call.world.remove_assignment(found)
    return Reply(200, _show(call, dataclasses.replace(found, updated=call.world.now())))


def _keep_an_administrator(world: World, assignment: Assignment) -> None:
    """Refuse to delete the last right to assign roles at a subscription (issues: azurerm 26122).

    Inherited rights do not count, those of deleted principals do.
    """
    if ids.parse(assignment.scope).type != "Microsoft.Resources/subscriptions":
        return
    at_subscription = world.assignments.by_scope[assignment.scope.lower()].values()
    administering = [
        each
        for each in at_subscription
        if (role := world.roles.get(each.role)) and access.permits(role, _WRITE)
    ]
    if administering == [assignment]:
        raise errors.AzureError(
            412,
            "CannotDeleteLastRbacAdminAssignment",
            "Cannot delete the last RBAC admin assignment",
        )


@routes.route(
    "PUT", _ONE, Evidence.RECORDED, "facts: Role assignments, test_role_assignment_create_update #1"
)
def put(call: Call) -> Reply:
    """Create or update one: 201 either way."""
    wanted = _wanted(call)
    table = call.world.assignments
    named = table.by_name.get(wanted.name.lower())
    if named is not None and named.triple != wanted.triple:
        # Names are unique in the tenant (facts: Rights, documented).
        raise errors.AzureError(
            400,
            "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        )
    same = table.by_triple.get(wanted.triple)
    if same is not None and same is not named:
        raise errors.AzureError(
            409,
            "RoleAssignmentExists",
            "The role assignment already exists. The ID of the existing role assignment is "
            f"{same.name.replace('-', '')}.",
        )
    if named is None:
        _require_room(call.world, wanted.scope)
    else:
        wanted = dataclasses.replace(
            wanted,
            scope=named.scope,
            name=named.name,
            created=named.created,
            created_by=named.created_by,
            granted=named.granted,
        )
    call.world.put_assignment(wanted)
    shown = _show(call, wanted)
    # The answer is not the stored object (facts: Role assignments, recorded).
    shown["properties"] |= {"createdBy": None, "createdOn": stamp(wanted.updated - _SKEW)}
    return Reply(201, shown)


def _wanted(call: Call) -> Assignment:
    """Return the assignment that a PUT asks for; raises ``AzureError`` (facts: Errors)."""
    name = _name(call)
    scope = _scope(call)
    properties = call.member("properties") or {}
    for required in ("roleDefinitionId", "principalId"):
        if not properties.get(required) or not isinstance(properties[required], str):
            raise errors.AzureError(
                400, "BadRequestFormat", f"The request was incorrectly formatted: {required}."
            )
    role = properties["roleDefinitionId"].rpartition("/")[2].lower()
    if role not in call.world.roles:
        raise errors.AzureError(
            400,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{role.replace('-', '')}' does not exist.",
        )
    principal = properties["principalId"].lower()
    principal_type = _principal_type(call.world, principal, properties.get("principalType"))
    if properties.get("condition"):
        conditions.check(str(properties["condition"]))
        if properties.get("conditionVersion") != "2.0":
            # Status and text are known from issues (azure-docs 119449), the code is assumed.
            raise errors.AzureError(
                400,
                "InvalidRoleAssignmentCondition",
                "The given role assignment condition is invalid.",
            )
    now = call.world.now()
    caller = call.caller.oid if call.caller else ""
    return Assignment(
        name=name,
        scope=scope,
        role=role,
        principal=principal,
        principal_type=principal_type,
        created=now,
        updated=now,
        created_by=caller,
        updated_by=caller,
        description=properties.get("description"),
        condition=properties.get("condition"),
        condition_version=properties.get("conditionVersion"),
        delegated=properties.get("delegatedManagedIdentityResourceId"),
        granted=now,
    )


def _principal_type(world: World, oid: str, asked: str | None) -> str:
    """Return the type to store; raises ``AzureError`` 400.

    A principal that is not replicated yet is usually known to those who name its type.
    """
    principal = world.principals.get(oid)
    bare = oid.replace("-", "")
    message = f"Principal {bare} does not exist in the directory {world.tenant}."
    if principal is None or not principal.alive:
        raise errors.AzureError(400, "PrincipalNotFound", message)
    faults = world.faults
    delay = faults.replication_delay if asked is None else faults.typed_replication_delay
    if world.now() < principal.created + dt.timedelta(seconds=delay):
        hint = (
            " Check that you have the correct principal ID. If you are creating this principal and "
            "then immediately assigning a role, this error might be related to a replication "
            "delay. In this case, set the role assignment principalType property to a value, such "
            "as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype"
        )
        raise errors.AzureError(400, "PrincipalNotFound", message + hint)
    if asked is not None and asked not in _TYPES:
        raise errors.bad_content(f"Error converting value '{asked}' to principalType")
    if asked is not None and asked != principal.kind:
        raise errors.AzureError(
            400,
            "UnmatchedPrincipalType",
            f"The PrincipalId '{bare}' has type '{principal.kind}', which is different from "
            f"specified PrincipalType '{asked}'.",
        )
    return principal.kind


def _require_room(world: World, scope: str) -> None:
    """Raise ``RoleAssignmentLimitExceeded`` when no assignment may be added at a scope.

    All scopes of a subscription count together, a management group for itself (documented). The
    status is assumed, the message is that of the troubleshooting page.
    """
    subscription = ids.parse(scope).subscription.lower()
    if subscription:
        limit = world.assignment_limits.get(subscription, _IN_SUBSCRIPTION)
        full = world.assignments.in_subscription[subscription] >= limit
    else:
        full = len(world.assignments.by_scope.get(scope.lower(), ())) >= _IN_MANAGEMENT_GROUP
    if full:
        raise errors.AzureError(
            400, "RoleAssignmentLimitExceeded", "No more role assignments can be created."
        )
