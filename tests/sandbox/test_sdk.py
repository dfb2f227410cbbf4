"""Published Azure clients work unmodified against the local Azure in process."""

from collections.abc import Iterator

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.authorization.v2022_04_01 import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters
from azure.mgmt.msi.v2024_11_30 import ManagedServiceIdentityClient
from azure.mgmt.msi.v2024_11_30.models import Identity

from sandbox.azure import tokens
from tests.sandbox.arm import GROUP, READER, SUBSCRIPTION, Arm, identity


@pytest.fixture
def transport(arm: Arm) -> Iterator[RequestsTransport]:
    """azure-core's own transport over the in-process session."""
    with RequestsTransport(session=arm.session, session_owner=False) as made:
        yield made


def test_identities_by_their_sdk(arm: Arm, transport: RequestsTransport) -> None:
    """Create, read, list and delete user-assigned identities."""
    credential = tokens.credential(arm.world)
    client = ManagedServiceIdentityClient(credential, SUBSCRIPTION, transport=transport)
    identities = client.user_assigned_identities
    made = identities.create_or_update("rg", "sdk", Identity(location="westeurope"))

    assert made.principal_id == identities.get("RG", "SDK").principal_id
    assert [each.name for each in identities.list_by_resource_group("rg")] == ["id1", "id2", "sdk"]
    assert len(list(identities.list_by_subscription())) == 4
    identities.delete("rg", "sdk")
    with pytest.raises(ResourceNotFoundError):
        identities.get("rg", "sdk")


def test_role_assignments_by_their_sdk(arm: Arm, transport: RequestsTransport) -> None:
    """Create, read, list for a scope with a filter, and delete."""
    credential = tokens.credential(arm.world)
    client = AuthorizationManagementClient(credential, SUBSCRIPTION, transport=transport)
    principal = arm.get(identity("id1"))["properties"]["principalId"]
    (role,) = client.role_definitions.list(GROUP, filter="roleName eq 'reader'")
    assert role.id is not None
    wanted = RoleAssignmentCreateParameters(
        role_definition_id=role.id, principal_id=principal, principal_type="ServicePrincipal"
    )
    made = client.role_assignments.create(GROUP, arm.world.guid(), wanted)

    assert made.role_definition_id == role.id
    assert role.name == READER
    listed = client.role_assignments.list_for_scope(GROUP, filter=f"principalId eq '{principal}'")
    assert [each.id for each in listed] == [made.id]
    assert client.role_assignments.get_by_id(made.id).created_by == arm.world.operator.oid
    gone = client.role_assignments.delete_by_id(made.id)
    assert gone is not None
    assert gone.id == made.id
    assert client.role_assignments.delete_by_id(made.id) is None
