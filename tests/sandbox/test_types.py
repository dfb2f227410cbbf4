"""How resource types show identities and answer when they are changed (facts: Identity by type)."""

from typing import Any

import pytest

from sandbox.resources.types import TYPES, TypeTraits
from tests.world.arm import GROUP, MACHINE, Arm, error, identity
from tests.world.ids import SUB

BOTH = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity("id1"): {}}}
ONE = {"type": "UserAssigned", "userAssignedIdentities": {identity("id1"): {}}}
NULLS = dict.fromkeys(("principalId", "tenantId", "userAssignedIdentities"))
NOBODY = "00000000-0000-0000-0000-000000000000"
# Compute has a service of its own, and a system topic needs a source of its own.
GENERIC = [
    traits
    for traits in TYPES
    if not traits.type.startswith("Microsoft.Compute/") and "systemTopics" not in traits.type
]


@pytest.fixture(params=GENERIC, ids=lambda traits: traits.type)
def traits(request: pytest.FixtureRequest) -> TypeTraits:
    """Each row of the table in turn."""
    row: TypeTraits = request.param
    return row


def put(arm: Arm, resource_type: str, body: dict[str, Any] | None = None) -> str:
    """Create a resource of a type, let the operation end and return its path."""
    path = f"{GROUP}/providers/{resource_type}/One"
    answer = arm.call("PUT", path, {"location": "westus2"} | (body or {}))
    assert answer.status_code < 300, answer.text
    arm.settle()
    return path


def link(answer: Any, name: str) -> str:  # noqa: ANN401 - a response
    """Return a link of an answer without its host."""
    found: str = answer.headers[name]
    return found.removeprefix("https://management.azure.com")


def test_a_put_answers_as_its_row_says(arm: Arm, traits: TypeTraits) -> None:
    """Status, body, provisioning state and links, first of a creation and then of a change."""
    path = f"{GROUP}/providers/{traits.type}/One"
    for known, status, state in (
        (False, traits.created, traits.creating),
        (True, traits.replaced, "Updating"),
    ):
        answer = arm.call("PUT", path, {"location": "westus2"})
        runs = traits.put_runs == "always" or (traits.put_runs == "create" and not known)
        accepted = status == 202
        assert answer.status_code == status
        assert (answer.content == b"") is accepted
        assert ("azure-asyncoperation" in answer.headers) is (
            runs and "azure-asyncoperation" in traits.links
        )
        assert ("location" in answer.headers) is (runs and accepted)
        if traits.state and not accepted:
            shown = answer.json()["properties"]["provisioningState"]
            assert shown == (state if runs else "Succeeded")
        arm.settle()


def test_a_patch_answers_as_its_row_says(arm: Arm, traits: TypeTraits) -> None:
    """Status of an identity's write, and the links that announce its operation."""
    path = put(arm, traits.type)
    runs = traits.patch_runs != "never"

    answer = arm.patch(path, BOTH)
    assert answer.status_code == (traits.patched if runs else 200)
    assert ("azure-asyncoperation" in answer.headers) is runs
    assert (answer.content == b"") is (answer.status_code == 202 and not traits.accepted_body)
    if runs:
        assert arm.get(link(answer, "azure-asyncoperation"))["status"] == "InProgress"
        arm.clock.forward(1)
        assert arm.get(link(answer, "azure-asyncoperation"))["status"] == "Succeeded"


def test_the_identity_block_is_shown_as_its_row_says(arm: Arm, traits: TypeTraits) -> None:
    """Spelling of both identities together, the entries' members, and what none looks like."""
    path = put(arm, traits.type)
    none = {"type": "None"} | (NULLS if traits.nulls else {})
    assert arm.get(path).get("identity") == (none if traits.none == "always" else None)

    arm.patch(path, BOTH)
    arm.settle()
    block = arm.get(path)["identity"]
    assert block["type"] == traits.joint
    (entry,) = block["userAssignedIdentities"].items()
    assert entry[0].lower() == identity("id1").lower()
    assert set(entry[1]) == {name for name, _ in traits.entry}
    assert entry[1]["principalId"]
    arm.patch(path, {"type": "None"})
    arm.settle()
    assert arm.get(path).get("identity") == (None if traits.none == "absent" else none)


def test_identities_are_added_and_removed_one_by_one(arm: Arm, traits: TypeTraits) -> None:
    """All types merge the map, take null for one, and give a new principal each time."""
    path = put(arm, traits.type)
    both = "SystemAssigned,UserAssigned"
    seen: list[tuple[str | None, set[str]]] = []
    for block in (
        {"type": "SystemAssigned"},
        {"type": both, "userAssignedIdentities": {identity("id1"): {}}},
        {"type": both, "userAssignedIdentities": {identity("id2"): {}}},
        {"type": "UserAssigned", "userAssignedIdentities": {identity("id1").lower(): None}},
        {"type": "SystemAssigned"},
        {"type": "None"},
    ):
        assert arm.patch(path, block).status_code < 300
        arm.settle()
        shown = arm.get(path).get("identity") or {}
        names = {key.rpartition("/")[2] for key in shown.get("userAssignedIdentities") or {}}
        seen.append((shown.get("principalId"), names))
    (first, none), (second, one), (third, two), (off, left), (anew, empty), gone = seen
    assert (none, one, two, left, empty) == (set(), {"id1"}, {"id1", "id2"}, {"id2"}, set())
    assert first == second == third
    assert off in {None, NOBODY}
    assert anew not in {None, first}
    assert gone == (None, set())


def test_a_deletion_and_missing_tags_are_as_the_row_says(arm: Arm, traits: TypeTraits) -> None:
    """A deletion is done at once or an operation; no tags are an object, nothing or null."""
    path = put(arm, traits.type)
    shown = arm.get(path).get("tags", "absent")
    assert shown == {"object": {}, "absent": "absent", "null": None}[traits.untagged]
    assert ("etag" in arm.call("GET", path).headers) is traits.etag

    assert arm.call("DELETE", path).status_code == (202 if traits.delete_runs else 200)
    arm.settle()
    assert arm.call("DELETE", path).status_code == 204


def test_a_creation_that_is_only_accepted_has_its_result_at_the_location(arm: Arm) -> None:
    """202 until the end, then 200; the resource is there from the beginning."""
    path = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/one"
    created = arm.call("PUT", path, {"location": "westeurope"})

    assert (created.status_code, created.content) == (202, b"")
    waiting = arm.call("GET", link(created, "location"))
    assert waiting.status_code == 202
    arm.clock.forward(1)
    assert arm.call("GET", link(waiting, "location")).status_code == 200
    assert arm.get(path)["properties"]["provisioningState"] == "Succeeded"


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
    tenant = arm.world.tenant
    mysql = arm.get(put(arm, "Microsoft.DBforMySQL/flexibleServers", {"identity": ONE}))
    postgres = arm.get(put(arm, "Microsoft.DBforPostgreSQL/flexibleServers", {"identity": ONE}))

    assert (mysql["identity"]["principalId"], mysql["identity"]["tenantId"]) == (NOBODY, NOBODY)
    (entry,) = mysql["identity"]["userAssignedIdentities"].values()
    assert entry == {"principalId": principal, "tenantId": tenant}
    assert "principalId" not in postgres["identity"]
    (entry,) = postgres["identity"]["userAssignedIdentities"].values()
    assert entry == {"principalId": principal, "clientId": tenant}


def test_lists_of_all_types_are_spelled_alike(arm: Arm) -> None:
    """azure-cli test_resource_scenario: regions, identity types and names of nested resources."""
    body = {"identity": ONE, "location": "West US 2"}
    registry = put(arm, "Microsoft.ContainerRegistry/registries", body)
    arm.call("PUT", f"{registry}/webhooks/hook", {"location": "westus2"})
    arm.settle()

    assert arm.get(registry)["identity"]["type"] == "userAssigned"
    text = "location eq 'westus2' and resourceGroup eq 'RG'"
    listed = {each["name"]: each for each in arm.get(f"{SUB}/resources?$filter={text}")["value"]}
    assert (listed["One"]["identity"]["type"], listed["One"]["location"]) == (
        "UserAssigned",
        "westus2",
    )
    assert listed["One/hook"]["type"] == "Microsoft.ContainerRegistry/registries/webhooks"


def test_a_type_without_a_row_behaves_in_the_commonest_way(arm: Arm) -> None:
    """It is spelled as the client spells it, and written at once."""
    path = f"{GROUP}/providers/contoso.things/boxes/one"
    made = arm.call("PUT", path, {"location": "westus"})

    assert (made.status_code, made.json()["id"]) == (201, path)
    assert made.json()["properties"] == {"provisioningState": "Succeeded"}
    assert arm.patch(path, BOTH).json()["identity"]["type"] == BOTH["type"]


@pytest.mark.parametrize(
    "path", [f"{MACHINE}/runCommands/run", f"{GROUP}/providers/Microsoft.Resources/deployments/all"]
)
def test_what_only_another_service_knows_is_refused_by_name(arm: Arm, path: str) -> None:
    """Such requests are no resources without a service of their own."""
    answer = arm.call("PUT", path, {"location": "westus"})

    assert error(answer) == (400, "UnsupportedBySandbox")


def test_a_nested_resource_needs_its_parent(arm: Arm) -> None:
    """As a GET of one does, a PUT says that the parent is not there."""
    nested = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/none/blobServices/default"

    assert error(arm.call("PUT", nested, {})) == (404, "ParentResourceNotFound")


def test_a_missing_nested_resource_is_named_with_its_parent(arm: Arm) -> None:
    """azure-cli test_acr_agentpool: types and names in turn, as in the id."""
    registry = put(arm, "Microsoft.ContainerRegistry/registries")
    refused = arm.call("GET", f"{registry}/agentPools/agents")

    assert error(refused) == (404, "ResourceNotFound")
    named = "'Microsoft.ContainerRegistry/registries/One/agentPools/agents' under resource group"
    assert named in refused.json()["error"]["message"]
