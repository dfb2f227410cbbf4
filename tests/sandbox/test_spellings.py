"""How providers spell what they are sent, and what they leave out (azure-cli's recordings)."""

from typing import Any

import pytest

from tests.sandbox.arm import GROUP, SUB, Arm, identity

ONE = {"type": "UserAssigned", "userAssignedIdentities": {identity("id1"): {}}}


def put(arm: Arm, resource_type: str, body: dict[str, Any] | None = None) -> str:
    """Create a resource of a type and return its path."""
    path = f"{GROUP}/providers/{resource_type}/One"
    answer = arm.call("PUT", path, {"location": "westus2"} | (body or {}))
    assert answer.status_code < 300, answer.text
    return path


@pytest.mark.parametrize(
    ("resource_type", "location"),
    [
        ("Microsoft.ServiceBus/namespaces", "West US 2"),
        ("Microsoft.DocumentDB/databaseAccounts", "West US 2"),
        ("Microsoft.Web/sites", "West US 2"),
        ("Microsoft.ContainerRegistry/registries", "westus2"),
        ("Microsoft.Sql/servers", "westus2"),
    ],
)
def test_some_providers_name_the_region_for_people(
    arm: Arm, resource_type: str, location: str
) -> None:
    """azure-cli test_sb_namespace and others: whichever was sent; ARM's own lists do not."""
    path = put(arm, resource_type)
    arm.settle()

    assert arm.get(path)["location"] == location
    filtered = (
        f"{SUB}/resources?$filter=resourceType eq '{resource_type}' and location eq 'westus2'"
    )
    assert [each["location"] for each in arm.get(filtered)["value"]] == ["westus2"]


def test_a_site_shows_the_region_as_sent_only_in_the_answer_to_the_write(arm: Arm) -> None:
    """azure-cli test_functionapp_*: the read that follows names it for people."""
    path = f"{GROUP}/providers/Microsoft.Web/sites/site"

    assert arm.call("PUT", path, {"location": "westus2"}).json()["location"] == "westus2"
    assert arm.get(path)["location"] == "West US 2"


@pytest.mark.parametrize(
    ("resource_type", "none", "empty"),
    [
        ("Microsoft.Storage/storageAccounts", {}, {}),
        ("Microsoft.Network/virtualNetworks", "absent", {}),
        ("Microsoft.ContainerService/managedClusters", "absent", "absent"),
        ("Microsoft.EventGrid/topics", None, None),
    ],
)
def test_what_is_shown_without_tags(
    arm: Arm, resource_type: str, none: object, empty: object
) -> None:
    """Recorded for a PUT without tags, and for one with an empty object."""
    path = put(arm, resource_type)
    arm.settle()
    assert arm.get(path).get("tags", "absent") == none
    put(arm, resource_type, {"tags": {}})
    arm.settle()
    assert arm.get(path).get("tags", "absent") == empty


def test_a_cluster_has_a_type_and_an_id_of_its_own_spelling(arm: Arm) -> None:
    """azure-cli test_aks_*: ARM's lists have the usual one."""
    path = put(arm, "Microsoft.ContainerService/managedClusters")
    shown = arm.get(path)

    assert shown["type"] == "Microsoft.ContainerService/ManagedClusters"
    assert shown["id"] == path.replace("resourceGroups", "resourcegroups")
    (listed,) = arm.get(f"{SUB}/resources?$filter=name eq 'one' and {_EITHER}")["value"]
    assert (listed["type"], listed["id"]) == ("Microsoft.ContainerService/managedClusters", path)


_EITHER = (
    "(resourceType eq 'Microsoft.ContainerService/managedClusters'"
    " or resourceType eq 'Microsoft.ClassicStorage/storageAccounts')"
)


def test_identity_keys_are_spelled_as_they_were_sent(arm: Arm) -> None:
    """Subscription-wide lists show both spellings (azure-cli test_storage_account_*)."""
    lower = identity("id1").replace("resourceGroups", "resourcegroups")
    for name, spelled in (("one", identity("id1")), ("two", lower)):
        path = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}"
        block = {"type": "UserAssigned", "userAssignedIdentities": {spelled: {}}}
        arm.call("PUT", path, {"location": "westus", "identity": block})
        arm.settle()

        assert list(arm.get(path)["identity"]["userAssignedIdentities"]) == [spelled]


def test_a_server_shows_ids_that_are_no_principals(arm: Arm) -> None:
    """azure-cli test_*_flexible_server_byok_mgmt: zeros for MySQL, the tenant for PostgreSQL.

    Whoever reads them as principals of the server or of its identity is misled.
    """
    principal = arm.get(identity("id1"))["properties"]["principalId"]
    tenant, nobody = arm.world.tenant, "00000000-0000-0000-0000-000000000000"
    mysql = arm.get(put(arm, "Microsoft.DBforMySQL/flexibleServers", {"identity": ONE}))
    postgres = arm.get(put(arm, "Microsoft.DBforPostgreSQL/flexibleServers", {"identity": ONE}))

    assert (mysql["identity"]["principalId"], mysql["identity"]["tenantId"]) == (nobody, nobody)
    (entry,) = mysql["identity"]["userAssignedIdentities"].values()
    assert entry == {"principalId": principal, "tenantId": tenant}
    assert "principalId" not in postgres["identity"]
    (entry,) = postgres["identity"]["userAssignedIdentities"].values()
    assert entry == {"principalId": principal, "clientId": tenant}


def test_a_namespace_activates_the_identities_that_are_added(arm: Arm) -> None:
    """azure-cli test_sb_namespace_msi: no operation is announced, entries are empty until then."""
    path = put(arm, "Microsoft.ServiceBus/namespaces")
    arm.settle()
    changed = arm.call("PUT", path, {"location": "westus2", "identity": ONE})

    assert changed.status_code == 200
    assert "azure-asyncoperation" not in changed.headers
    assert changed.json()["properties"]["provisioningState"] == "ActivatingIdentity"
    assert list(changed.json()["identity"]["userAssignedIdentities"].values()) == [{}]
    arm.settle()
    assert arm.get(path)["properties"]["provisioningState"] == "Succeeded"
    removed = arm.call("PUT", path, {"location": "westus2", "identity": {"type": "None"}})
    assert removed.json()["properties"]["provisioningState"] == "Updating"
    assert "identity" not in removed.json()


def test_receipts_of_servers_name_the_operation(arm: Arm) -> None:
    """azure-cli test_sql_server_mgmt: a 202 with a body, and both links below the group."""
    path = f"{GROUP}/providers/Microsoft.Sql/servers/one"
    created = arm.call("PUT", path, {"location": "westus2"})

    assert (created.status_code, created.json()["operation"]) == (202, "UpsertLogicalServer")
    for name in ("azure-asyncoperation", "location"):
        assert f"{GROUP}/providers/Microsoft.Sql/locations/westus2/server" in created.headers[name]
    arm.settle()
    assert arm.call("DELETE", path).json()["operation"] == "DropLogicalServer"


def test_a_container_group_is_shown_once_more_when_it_is_deleted(arm: Arm) -> None:
    """azure-cli test_container_create: 200 with what was deleted."""
    path = put(arm, "Microsoft.ContainerInstance/containerGroups")
    arm.settle()
    shown = arm.get(path)

    deleted = arm.call("DELETE", path)

    assert (deleted.status_code, deleted.json()) == (200, shown)
    assert arm.call("GET", path).status_code == 404


def test_a_deleted_namespace_is_gone_when_its_location_says_204(arm: Arm) -> None:
    """azure-cli test_sb_namespace: 202 with a location only, which ends in 204."""
    path = put(arm, "Microsoft.EventHub/namespaces")
    arm.settle()
    deleted = arm.call("DELETE", path)
    link = deleted.headers["location"].removeprefix("https://management.azure.com")

    assert (deleted.status_code, "azure-asyncoperation" in deleted.headers) == (202, False)
    assert arm.call("GET", link).status_code == 202
    arm.settle()
    assert arm.call("GET", link).status_code == 204


def test_a_cache_announces_where_its_resource_will_be(arm: Arm) -> None:
    """azure-cli test_redis_cache: the location of a creation is the cache itself."""
    path = f"{GROUP}/providers/Microsoft.Cache/redis/one"
    created = arm.call("PUT", path, {"location": "westus2"})

    assert f"{path}?api-version=" in created.headers["location"]
    assert created.json()["id"] == path.replace("/redis/", "/Redis/")
    arm.settle()
    patched = arm.patch(path, ONE)
    assert patched.status_code == 202
    assert list(patched.json()["identity"]) == ["type", "userAssignedIdentities"]
    arm.settle()
    deleted = arm.call("DELETE", path)
    assert "azure-asyncoperation" not in deleted.headers
    assert "/locations/West%20US%202/operationresults/" in deleted.headers["location"]


def test_a_group_shows_tags_only_if_some_were_sent(arm: Arm) -> None:
    """azure-cli test_resource_group: an empty object is shown if it was sent; and what manages."""
    path = f"{SUB}/resourcegroups/new"

    made = arm.call("PUT", path, {"location": "westus"})
    assert "tags" not in made.json()
    assert made.json()["id"] == f"{SUB}/resourceGroups/new"
    changed = arm.call("PUT", path, {"location": "westus", "tags": {}, "managedBy": path})
    assert (changed.status_code, changed.json()["tags"]) == (200, {})
    assert arm.get(path)["managedBy"] == path


def test_lists_of_all_types_are_spelled_alike(arm: Arm) -> None:
    """azure-cli test_resource_scenario: identity types and the names of nested resources."""
    registry = put(arm, "Microsoft.ContainerRegistry/registries", {"identity": ONE})
    nested = f"{registry}/webhooks/hook"
    arm.call("PUT", nested, {"location": "westus2"})
    arm.settle()

    assert arm.get(registry)["identity"]["type"] == "userAssigned"
    listed = {each["name"]: each for each in arm.get(f"{GROUP}/resources")["value"]}
    assert listed["One"]["identity"]["type"] == "UserAssigned"
    assert listed["One/hook"]["type"] == "Microsoft.ContainerRegistry/registries/webhooks"
    assert listed["id1"]["tags"] == {}


def test_one_address_tells_the_state_and_with_an_option_gives_the_result(arm: Arm) -> None:
    """azure-cli test_cognitiveservices_*: the location differs from the other link in an option."""
    path = put(arm, "Microsoft.CognitiveServices/accounts")
    arm.settle()
    patched = arm.patch(path, {"type": "SystemAssigned"})
    links = [patched.headers[name] for name in ("azure-asyncoperation", "location")]
    state, result = (link.removeprefix("https://management.azure.com") for link in links)

    assert (patched.status_code, patched.json()["properties"]["provisioningState"]) == (
        202,
        "Accepted",
    )
    assert "etag" in patched.headers
    assert result == f"{state}&operationResultResponseType=Location"
    arm.settle()
    assert arm.get(state)["status"] == "Succeeded"
    assert arm.get(result) == arm.get(path)


def test_links_are_spelled_as_the_provider_does(arm: Arm) -> None:
    """azure-cli test_signalr_*: whichever way the client spelled the type."""
    path = f"{GROUP}/providers/Microsoft.SignalRService/signalR/one"
    created = arm.call("PUT", path, {"location": "westus"})

    for name in ("azure-asyncoperation", "location"):
        assert "/Microsoft.SignalRService/SignalR/one/operation" in created.headers[name]
