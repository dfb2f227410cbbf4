"""azure-mgmt-authorization: role definitions and role assignments."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.mgmt.authorization.v2022_04_01 import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import (
    Permission,
    RoleAssignmentCreateParameters,
    RoleDefinition,
)

from tests.conformance.clients.azure import Azure
from tests.world.arm import GROUP, STORE, identity
from tests.world.ids import BLOB_READER, READER, SUB, SUBSCRIPTION

NAME = "99999999-9999-4999-8999-999999999999"
OTHER = "88888888-8888-4888-8888-888888888888"


@pytest.fixture
def authorization(azure: Azure) -> AuthorizationManagementClient:
    """The client under test."""
    return azure.subscription_client(AuthorizationManagementClient)


@pytest.fixture
def wanted(azure: Azure) -> RoleAssignmentCreateParameters:
    """Reader for an identity of the seed."""
    principal = azure.world.resources[identity("id1").lower()].principal
    assert principal is not None
    return RoleAssignmentCreateParameters(
        role_definition_id=f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{READER}",
        principal_id=principal.oid,
        principal_type="ServicePrincipal",
        description="one",
    )


def code(error: HttpResponseError) -> str | None:
    """Return ARM's code, as clients read it."""
    return error.error.code if error.error else None


def test_an_assignment_lives_and_dies(
    authorization: AuthorizationManagementClient, wanted: RoleAssignmentCreateParameters
) -> None:
    """Create, update, read and delete, by scope and by id; a second deletion says nothing."""
    assignments = authorization.role_assignments
    made = assignments.create(GROUP, NAME, wanted)
    wanted.description = "two"
    assert made.id is not None
    assignments.create_by_id(made.id, wanted)

    assert assignments.get(GROUP, NAME).description == "two"
    assert assignments.get_by_id(made.id).created_by is not None
    gone = assignments.delete(GROUP, NAME)
    assert gone is not None
    assert gone.name == NAME
    assert assignments.delete_by_id(made.id) is None
    with pytest.raises(HttpResponseError) as caught:
        assignments.get(GROUP, NAME)
    assert caught.value.status_code == 404


def test_assignments_are_listed_everywhere(
    authorization: AuthorizationManagementClient, wanted: RoleAssignmentCreateParameters
) -> None:
    """At a subscription, a group, a resource and any scope, with the filters of the service."""
    assignments = authorization.role_assignments
    assignments.create(GROUP, NAME, wanted)
    text = f"principalId eq '{wanted.principal_id}'"
    lists = [
        assignments.list_for_subscription(filter=text),
        assignments.list_for_resource_group("rg", filter=text),
        assignments.list_for_resource(
            "rg", "Microsoft.Storage", "storageAccounts", "store", filter=text
        ),
        assignments.list_for_scope(STORE, filter=f"atScope() and {text}"),
        assignments.list_for_scope(SUB, filter=f"assignedTo('{wanted.principal_id}')"),
    ]

    assert [[each.name for each in found] for found in lists] == [[NAME]] * 5
    assert list(assignments.list_for_subscription(filter=f"atScope() and {text}")) == []


def test_refusals_carry_their_codes(
    authorization: AuthorizationManagementClient, wanted: RoleAssignmentCreateParameters
) -> None:
    """The same triple twice, another triple under a name, an unknown principal or role."""
    assignments = authorization.role_assignments
    assignments.create(GROUP, NAME, wanted)
    with pytest.raises(ResourceExistsError) as exists:
        assignments.create(GROUP, OTHER, wanted)
    wanted.role_definition_id = (
        f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{BLOB_READER}"
    )
    with pytest.raises(HttpResponseError) as other:
        assignments.create(GROUP, NAME, wanted)
    wanted.principal_id = OTHER
    with pytest.raises(HttpResponseError) as nobody:
        assignments.create(GROUP, OTHER, wanted)

    assert code(exists.value) == "RoleAssignmentExists"
    assert code(other.value) == "RoleAssignmentUpdateNotPermitted"
    assert code(nobody.value) == "PrincipalNotFound"


def test_a_built_in_role_is_found_in_three_ways(
    authorization: AuthorizationManagementClient,
) -> None:
    """By name, by scope and GUID, and by id."""
    definitions = authorization.role_definitions
    (found,) = definitions.list(GROUP, filter="roleName eq 'reader'")

    assert found.name == READER
    assert definitions.get(SUB, READER).role_name == "Reader"
    assert found.id is not None
    assert definitions.get_by_id(found.id).role_type == "BuiltInRole"


def test_a_custom_role_lives_and_dies(authorization: AuthorizationManagementClient) -> None:
    """Create, find and delete one."""
    definitions = authorization.role_definitions
    role = RoleDefinition(
        role_name="Disk Peek",
        role_type="CustomRole",
        permissions=[Permission(actions=["Microsoft.Compute/disks/read"], not_actions=[])],
        assignable_scopes=[f"/subscriptions/{SUBSCRIPTION}"],
    )
    made = definitions.create_or_update(SUB, NAME, role)

    assert made.role_name == "Disk Peek"
    assert [each.name for each in definitions.list(SUB, filter="type eq 'CustomRole'")] == [NAME]
    definitions.delete(SUB, NAME)
    assert list(definitions.list(SUB, filter="roleName eq 'Disk Peek'")) == []
