"""azure-mgmt-resource: resource groups and resources of any type."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.resources.models import (
    GenericResource,
    Identity,
    IdentityUserAssignedIdentitiesValue,
    ResourceGroup,
    ResourceGroupPatchable,
    ResourcesMoveInfo,
)

from tests.conformance.clients.azure import Azure
from tests.world.arm import GROUP, MACHINE, STORE, identity

VERSION = "2023-01-01"


@pytest.fixture
def resource(azure: Azure) -> ResourceManagementClient:
    """The client under test."""
    return azure.subscription_client(ResourceManagementClient)


def carrying(name: str) -> Identity:
    """Return the block of a resource that carries an identity."""
    entries = {identity(name): IdentityUserAssignedIdentitiesValue()}
    return Identity(type="UserAssigned", user_assigned_identities=entries)


def test_a_group_lives_and_dies(resource: ResourceManagementClient) -> None:
    """Create, read, ask for and delete one, polled to its end."""
    groups = resource.resource_groups
    groups.create_or_update("x", ResourceGroup(location="westus", tags={"a": "b"}))

    assert groups.get("X").tags == {"a": "b"}
    assert groups.update("x", ResourceGroupPatchable(tags={"c": "d"})).tags == {"c": "d"}
    assert groups.update("x", ResourceGroupPatchable()).tags == {"c": "d"}
    assert groups.check_existence("x")
    assert {each.name for each in groups.list()} == {"rg", "rg-reconciler", "x"}
    groups.begin_delete("x").result()
    assert not groups.check_existence("x")
    with pytest.raises(ResourceNotFoundError) as caught:
        groups.get("x")
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceGroupNotFound"


def test_a_resource_lives_and_dies(resource: ResourceManagementClient) -> None:
    """Create, read, update and delete by id."""
    resources = resource.resources
    text = STORE.replace("/store", "/other")
    block = GenericResource(
        location="westus",
        identity=carrying("id1"),
    )
    resources.begin_create_or_update_by_id(text, parameters=block, api_version=VERSION).result()
    made = resources.get_by_id(text, api_version=VERSION)
    resources.begin_update_by_id(
        text, parameters=GenericResource(tags={"a": "b"}), api_version=VERSION
    ).result()

    assert made.identity is not None
    assert made.identity.user_assigned_identities is not None
    (entry,) = made.identity.user_assigned_identities.values()
    assert entry.principal_id is not None
    assert resources.get_by_id(text, api_version=VERSION).tags == {"a": "b"}
    resources.begin_delete_by_id(text, api_version=VERSION).result()
    with pytest.raises(ResourceNotFoundError):
        resources.get_by_id(text, api_version=VERSION)


def test_lists_are_filtered_and_paged(resource: ResourceManagementClient) -> None:
    """The next link is followed to the end."""
    text = "resourceType eq 'Microsoft.Compute/virtualMachines'"
    pages = resource.resources.list_by_resource_group("rg", top=3).by_page()

    assert [each.id for each in resource.resources.list(filter=text)] == [MACHINE]
    inside = "resourceGroup eq 'rg' and name eq 'store'"
    assert [each.id for each in resource.resources.list(filter=inside)] == [STORE]
    assert [len(list(page)) for page in pages] == [3, 1]


def test_a_missing_identity_is_refused(resource: ResourceManagementClient) -> None:
    """A resource cannot carry what is not there."""
    block = GenericResource(identity=carrying("gone"))
    with pytest.raises(HttpResponseError) as caught:
        resource.resources.begin_update_by_id(STORE, parameters=block, api_version=VERSION)

    assert caught.value.status_code == 400
    assert caught.value.error is not None
    assert caught.value.error.code == "FailedIdentityOperation"
    assert resource.resources.get_by_id(STORE, api_version=VERSION).id == STORE
    assert resource.resource_groups.get("rg").id == GROUP


def test_a_resource_is_moved(resource: ResourceManagementClient) -> None:
    """Asked first whether it would go well; then polled to its end."""
    target = resource.resource_groups.create_or_update("x", ResourceGroup(location="westus"))
    wanted = ResourcesMoveInfo(resources=[STORE], target_resource_group=target.id)
    resource.resources.begin_validate_move_resources("rg", wanted).result()
    assert resource.resources.get_by_id(STORE, api_version=VERSION).id == STORE

    resource.resources.begin_move_resources("rg", wanted).result()
    moved = STORE.replace(GROUP, str(target.id))
    assert resource.resources.get_by_id(moved, api_version=VERSION).id == moved


def test_a_move_that_is_not_possible_says_why(resource: ResourceManagementClient) -> None:
    """User-assigned identities stay where they are; the operation tells so in the end."""
    target = resource.resource_groups.create_or_update("x", ResourceGroup(location="westus"))
    wanted = ResourcesMoveInfo(resources=[identity("id1")], target_resource_group=target.id)
    for begin in (
        resource.resources.begin_validate_move_resources,
        resource.resources.begin_move_resources,
    ):
        with pytest.raises(HttpResponseError, match="ResourceMoveNotSupported"):
            begin("rg", wanted).result()
