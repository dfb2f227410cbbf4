"""How resource types show identities and answer when they are changed (facts A2.3)."""

import pytest

from tests.sandbox.arm import GROUP, Arm, identity

BOTH = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity("id1"): {}}}
NULLS = dict.fromkeys(("principalId", "tenantId", "userAssignedIdentities"))


@pytest.mark.parametrize(
    ("resource_type", "status", "joint", "none"),
    [
        ("Microsoft.Storage/storageAccounts", 200, "SystemAssigned,UserAssigned", {}),
        ("Microsoft.Synapse/workspaces", 201, "SystemAssigned,UserAssigned", {}),
        ("Microsoft.ContainerRegistry/registries", 201, "systemAssigned, userAssigned", {}),
        ("Microsoft.Batch/batchAccounts", 200, "SystemAssigned, UserAssigned", {}),
        ("Microsoft.RecoveryServices/vaults", 202, "SystemAssigned, UserAssigned", {}),
        ("Microsoft.EventGrid/topics", 201, "SystemAssigned, UserAssigned", NULLS),
        ("Microsoft.DBforMySQL/flexibleServers", 202, "SystemAssigned, UserAssigned", {}),
        ("Microsoft.DBforPostgreSQL/flexibleServers", 202, "SystemAssigned, UserAssigned", {}),
    ],
)
def test_each_type_has_its_manners(
    arm: Arm, resource_type: str, status: int, joint: str, none: dict[str, None]
) -> None:
    """Status of the PATCH, spelling of both identities together, and what none looks like."""
    path = f"{GROUP}/providers/{resource_type}/one"
    arm.call("PUT", path, {"location": "westeurope"})
    arm.clock.forward(1)

    patched = arm.patch(path, BOTH)
    assert patched.status_code == status
    assert bool(patched.content) == (status != 202)
    assert ("azure-asyncoperation" in patched.headers) == (status != 200)
    arm.clock.forward(1)
    block = arm.get(path)["identity"]
    assert block["type"] == joint
    (entry,) = block["userAssignedIdentities"].items()
    assert entry[0] == identity("id1").replace("resourceGroups", "resourcegroups")
    assert entry[1]["principalId"]
    arm.patch(path, {"type": "None"})
    arm.clock.forward(1)
    assert arm.get(path)["identity"] == {"type": "None", **none}


@pytest.mark.parametrize(
    ("resource_type", "segment"),
    [
        ("Microsoft.DBforMySQL/flexibleServers", "azureAsyncOperation"),
        ("Microsoft.EventGrid/topics", "operationsStatus"),
        ("Microsoft.ContainerRegistry/registries", "operationStatuses"),
    ],
)
def test_operations_are_followed_where_they_are_announced(
    arm: Arm, resource_type: str, segment: str
) -> None:
    """Each provider has its own address; its state ends in success."""
    created = arm.call("PUT", f"{GROUP}/providers/{resource_type}/one", {"location": "westeurope"})
    url = created.headers["azure-asyncoperation"].removeprefix("https://management.azure.com")
    path = url.partition("?")[0]

    assert f"/locations/westeurope/{segment}/" in path
    assert arm.get(path)["status"] == "InProgress"
    arm.clock.forward(1)
    assert arm.get(path)["status"] == "Succeeded"
