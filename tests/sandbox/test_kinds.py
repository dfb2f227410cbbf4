"""How resource types show identities and answer when they are changed (facts: Identity by type)."""

import pytest

from tests.sandbox.arm import GROUP, MACHINE, Arm, error, identity

BOTH = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity("id1"): {}}}
NULLS = dict.fromkeys(("principalId", "tenantId", "userAssignedIdentities"))
NONE = {"type": "None"}
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("resource_type", "status", "joint", "none"),
    [
        ("Microsoft.Storage/storageAccounts", 200, "SystemAssigned,UserAssigned", NONE),
        ("Microsoft.Synapse/workspaces", 201, "SystemAssigned,UserAssigned", NONE),
        ("Microsoft.ContainerRegistry/registries", 201, "systemAssigned, userAssigned", None),
        ("Microsoft.Batch/batchAccounts", 200, "SystemAssigned, UserAssigned", NONE),
        ("Microsoft.RecoveryServices/vaults", 202, "SystemAssigned, UserAssigned", NONE),
        ("Microsoft.EventGrid/topics", 201, "SystemAssigned, UserAssigned", NONE | NULLS),
        ("Microsoft.DBforMySQL/flexibleServers", 202, "SystemAssigned, UserAssigned", None),
        ("Microsoft.DBforPostgreSQL/flexibleServers", 202, "SystemAssigned, UserAssigned", None),
        ("Microsoft.Cache/Redis", 202, "SystemAssigned, UserAssigned", None),
        ("Microsoft.DocumentDB/databaseAccounts", 200, "SystemAssigned, UserAssigned", NONE),
        ("Microsoft.Web/sites", 200, "SystemAssigned, UserAssigned", None),
    ],
)
def test_each_type_has_its_manners(
    arm: Arm, resource_type: str, status: int, joint: str, none: dict[str, str | None] | None
) -> None:
    """Status of the PATCH, spelling of both identities together, and what none looks like."""
    path = f"{GROUP}/providers/{resource_type}/one"
    arm.call("PUT", path, {"location": "westeurope"})
    arm.clock.forward(1)

    patched = arm.patch(path, BOTH)
    assert patched.status_code == status
    assert ("azure-asyncoperation" in patched.headers) == (
        status != 200 or "DocumentDB" in resource_type
    )
    arm.clock.forward(1)
    block = arm.get(path)["identity"]
    assert block["type"] == joint
    (entry,) = block["userAssignedIdentities"].items()
    assert entry[0].lower() == identity("id1").lower()
    assert entry[1]["principalId"]
    arm.patch(path, {"type": "None"})
    arm.clock.forward(1)
    assert arm.get(path).get("identity") == none


@pytest.mark.parametrize(
    ("resource_type", "segment", "first"),
    [
        ("Microsoft.DBforMySQL/flexibleServers", "azureAsyncOperation", "InProgress"),
        ("Microsoft.EventGrid/topics", "operationsStatus", "InProgress"),
        ("Microsoft.ContainerRegistry/registries", "one/operationStatuses", "Creating"),
        ("Microsoft.Sql/servers", "serverAzureAsyncOperation", "InProgress"),
        ("Microsoft.ContainerInstance/containerGroups", "operations", "Pending"),
        ("Microsoft.DocumentDB/databaseAccounts", "operationsStatus", "Enqueued"),
        ("Microsoft.Cache/Redis", "asyncOperations", "InProgress"),
    ],
)
def test_operations_are_followed_where_they_are_announced(
    arm: Arm, resource_type: str, segment: str, first: str
) -> None:
    """Each provider has its own address; its state ends in success."""
    created = arm.call("PUT", f"{GROUP}/providers/{resource_type}/one", {"location": "westeurope"})
    url = created.headers["azure-asyncoperation"].removeprefix("https://management.azure.com")
    path = url.partition("?")[0]

    assert f"/{segment}/" in path
    assert arm.get(path)["status"] == first
    arm.clock.forward(1)
    assert arm.get(path)["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("resource_type", "segment"),
    [
        ("Microsoft.Storage/storageAccounts", "locations/westeurope/asyncoperations"),
        ("Microsoft.Batch/batchAccounts", "batchAccounts/one/operationResults"),
    ],
)
def test_some_creations_answer_nothing_until_they_are_done(
    arm: Arm, resource_type: str, segment: str
) -> None:
    """202 with a location only, which answers 202 and at last 200 with what was created."""
    path = f"{GROUP}/providers/{resource_type}/one"
    body = {"location": "westeurope", "identity": {"type": "SystemAssigned"}}

    created = arm.call("PUT", path, body)
    assert (created.status_code, created.content) == (202, b"")
    assert "azure-asyncoperation" not in created.headers
    link = created.headers["location"].removeprefix("https://management.azure.com")
    assert f"/{segment}/" in link
    assert ("monitor=true" in link) == ("Storage" in resource_type)
    waiting = arm.call("GET", link)
    assert (waiting.status_code, waiting.content) == (202, b"")
    assert f"/{segment}/" in waiting.headers["location"]

    arm.clock.forward(1)
    done = arm.call("GET", link)
    assert done.status_code == 200
    assert done.json() == arm.get(path)
    assert done.json()["identity"]["principalId"]
    again = arm.call("PUT", path, body)
    assert again.status_code == 200
    assert "location" not in again.headers


def test_some_types_always_show_an_identity(arm: Arm) -> None:
    """A topic that never had one says None, a registry says nothing."""
    for resource_type, shown in (
        ("Microsoft.EventGrid/topics", NONE | NULLS),
        ("Microsoft.ContainerRegistry/registries", None),
    ):
        path = f"{GROUP}/providers/{resource_type}/one"
        arm.call("PUT", path, {"location": "westeurope"})
        assert arm.get(path).get("identity") == shown


def test_the_result_of_a_patch_is_the_resource(arm: Arm) -> None:
    """A vault's PATCH with user-assigned identities answers only where its location leads."""
    path = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/one"
    arm.call("PUT", path, {"location": "westeurope"})
    arm.clock.forward(1)
    link = arm.patch(path, BOTH).headers["location"]
    link = link.removeprefix("https://management.azure.com")

    arm.clock.forward(1)
    assert arm.call("GET", link).json() == arm.get(path)


def test_identities_are_added_and_removed_one_by_one(arm: Arm) -> None:
    """All types merge the map, take null for one, and give a new principal each time."""
    for resource_type in (
        "Microsoft.Storage/storageAccounts",
        "Microsoft.Synapse/workspaces",
        "Microsoft.ContainerRegistry/registries",
        "Microsoft.AppConfiguration/configurationStores",
        "Microsoft.Batch/batchAccounts",
        "Microsoft.RecoveryServices/vaults",
        "Microsoft.EventGrid/topics",
        "Microsoft.DBforMySQL/flexibleServers",
        "Microsoft.DBforPostgreSQL/flexibleServers",
    ):
        path = f"{GROUP}/providers/{resource_type}/one"
        arm.call("PUT", path, {"location": "westeurope"})
        seen: list[tuple[str | None, set[str]]] = []
        for block in (
            {"type": "SystemAssigned"},
            {
                "type": "SystemAssigned,UserAssigned",
                "userAssignedIdentities": {identity("id1"): {}},
            },
            {
                "type": "SystemAssigned,UserAssigned",
                "userAssignedIdentities": {identity("id2"): {}},
            },
            {"type": "UserAssigned", "userAssignedIdentities": {identity("id1").lower(): None}},
            {"type": "SystemAssigned"},
            {"type": "None"},
        ):
            arm.clock.forward(1)
            assert arm.patch(path, block).status_code < 300
            arm.clock.forward(1)
            shown = arm.get(path).get("identity") or {}
            names = {key.rpartition("/")[2] for key in shown.get("userAssignedIdentities") or {}}
            seen.append((shown.get("principalId"), names))
        (first, none), (second, one), (third, both), (off, left), (anew, empty), gone = seen
        assert (none, one, both, left, empty) == (set(), {"id1"}, {"id1", "id2"}, {"id2"}, set())
        assert first == second == third
        assert off in {None, NOBODY}
        assert anew not in {None, first}
        assert gone == (None, set())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"{MACHINE}/runCommands/run"),
        ("PUT", f"{GROUP}/providers/Microsoft.Resources/deployments/all"),
    ],
)
def test_what_only_another_service_knows_is_not_guessed(arm: Arm, method: str, path: str) -> None:
    """Such requests are refused by name; they are no resources without a service of their own."""
    answer = arm.call(method, path, None if method == "GET" else {"location": "westus"})

    assert error(answer) == (400, "UnsupportedBySandbox")


def test_a_nested_resource_needs_its_parent(arm: Arm) -> None:
    """As a GET of one does, a PUT tells that the parent is not there."""
    nested = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/none/blobServices/default"

    assert error(arm.call("PUT", nested, {})) == (404, "ParentResourceNotFound")


def test_a_missing_nested_resource_is_named_with_its_parent(arm: Arm) -> None:
    """azure-cli test_acr_agentpool: types and names in turn, as in the id."""
    registry = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/one"
    arm.call("PUT", registry, {"location": "westus"})
    arm.settle()

    refused = arm.call("GET", f"{registry}/agentPools/agents")

    assert error(refused) == (404, "ResourceNotFound")
    named = "'Microsoft.ContainerRegistry/registries/one/agentPools/agents' under resource group"
    assert named in refused.json()["error"]["message"]
