"""azure-mgmt-msi: user-assigned identities."""

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.msi.models import Identity, IdentityUpdate

from tests.conformance.clients.azure import Azure


@pytest.fixture
def msi(azure: Azure) -> ManagedServiceIdentityClient:
    """The client under test."""
    return azure.subscription_client(ManagedServiceIdentityClient)


def test_an_identity_lives_and_dies(msi: ManagedServiceIdentityClient) -> None:
    """Create, write again, update, read and delete, twice."""
    identities = msi.user_assigned_identities
    made = identities.create_or_update("rg", "new", Identity(location="westeurope"))
    again = identities.create_or_update("rg", "new", Identity(location="westeurope"))
    updated = identities.update("rg", "new", IdentityUpdate(tags={"team": "web"}))

    assert made.principal_id == again.principal_id == updated.principal_id
    assert identities.get("RG", "NEW").tags == {"team": "web"}
    identities.delete("rg", "new")
    identities.delete("rg", "new")
    with pytest.raises(ResourceNotFoundError) as caught:
        identities.get("rg", "new")
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceNotFound"


def test_identities_are_listed(msi: ManagedServiceIdentityClient) -> None:
    """By group, and by subscription with the application's own."""
    identities = msi.user_assigned_identities

    assert [each.name for each in identities.list_by_resource_group("rg")] == ["id1", "id2"]
    assert len(list(identities.list_by_subscription())) == 3


def test_an_identity_needs_a_group(msi: ManagedServiceIdentityClient) -> None:
    """A missing group has its own code."""
    with pytest.raises(ResourceNotFoundError) as caught:
        msi.user_assigned_identities.create_or_update("gone", "new", Identity(location="x"))

    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceGroupNotFound"
