"""Virtual machines and their identities."""

import pytest

from tests.world.arm import GROUP, MACHINE, Arm, error, identity
from tests.world.ids import SUB

BOTH = "SystemAssigned, UserAssigned"
SPOT = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/spot"


def power(arm: Arm, machine: str) -> str:
    """Return the power state that a machine's instance view shows."""
    view = arm.get(f"{machine}?$expand=instanceView")["properties"]["instanceView"]
    return str(view["statuses"][1]["code"])


def test_a_new_machine_is_creating_until_its_operation_succeeds(arm: Arm) -> None:
    """A PUT gives 201, and time alone completes it."""
    path = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/new"
    answer = arm.call("PUT", path, {"location": "westus", "properties": {}})
    poll = answer.headers["azure-asyncoperation"].removeprefix("https://management.azure.com")

    assert answer.status_code == 201
    assert answer.json()["properties"]["provisioningState"] == "Creating"
    assert arm.get(poll)["status"] == "InProgress"
    arm.clock.forward(1)
    assert arm.get(poll)["status"] == "Succeeded"
    assert arm.get(path)["properties"]["provisioningState"] == "Succeeded"


def test_a_recreated_machine_is_another_with_another_principal(arm: Arm) -> None:
    """Deleting and rebuilding under one name changes vmId and principal."""
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    before = arm.get(MACHINE)

    assert arm.call("DELETE", MACHINE).status_code == 202
    arm.clock.forward(1)
    assert arm.call("DELETE", MACHINE).status_code == 204
    assert error(arm.call("GET", MACHINE)) == (404, "ResourceNotFound")
    body = {"location": "westus", "identity": {"type": "SystemAssigned"}}
    assert arm.call("PUT", MACHINE, body).status_code == 201
    after = arm.get(MACHINE)
    assert after["properties"]["vmId"] != before["properties"]["vmId"]
    assert after["identity"]["principalId"] != before["identity"]["principalId"]


def test_system_identity_off_and_on_again_is_a_new_principal(arm: Arm) -> None:
    """The old principal is gone for good."""
    first = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]
    off = arm.patch(MACHINE, {"type": "None"}).json()
    second = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]

    assert "identity" not in off
    assert first != second
    assert not arm.world.principals[first].alive


def test_an_old_entity_tag_is_refused(arm: Arm) -> None:
    """If-Match with another tag than the machine's gives 412 and changes nothing."""
    tag = arm.call("GET", MACHINE).headers["etag"]
    body = {"identity": {"type": "SystemAssigned"}}

    first = arm.call("PATCH", MACHINE, body, headers={"If-Match": tag})
    second = arm.call("PATCH", MACHINE, {"tags": {"a": "b"}}, headers={"If-Match": tag})

    assert first.status_code == 200
    assert first.headers["etag"] != tag
    assert error(second) == (412, "PreconditionFailed")
    assert arm.get(MACHINE)["tags"] == {}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "SystemAssigned", "userAssignedIdentities": {identity("id1"): {}}},
            (400, "InvalidParameter"),
        ),
        ({"type": "UserAssigned"}, (400, "MissingIdentityIds")),
        (
            {"type": "UserAssigned", "userAssignedIdentities": {identity("gone"): {}}},
            (400, "FailedIdentityOperation"),
        ),
        (
            {
                "type": "UserAssigned",
                "userAssignedIdentities": {identity("id1"): {}, identity("ID1"): {}},
            },
            (400, "InvalidParameter"),
        ),
        (
            {"type": "UserAssigned", "userAssignedIdentities": {identity("id1"): {"a": 1}}},
            (400, "InvalidIdentityValues"),
        ),
        ({"type": "Whatever"}, (400, "InvalidParameter")),
        ({"userAssignedIdentities": {}}, (400, "InvalidRequestContent")),
    ],
)
def test_a_wrong_identity_block_is_refused(
    arm: Arm, block: dict[str, object], expected: tuple[int, str]
) -> None:
    """Each mistake has its code, and nothing changes."""
    assert error(arm.patch(MACHINE, block)) == expected
    assert "identity" not in arm.get(MACHINE)


def test_the_last_identity_is_not_removed_by_null(arm: Arm) -> None:
    """Taking the last one away needs a change of the type."""
    arm.attach("id1")
    block = {"type": "UserAssigned", "userAssignedIdentities": {identity("id1").lower(): None}}

    assert error(arm.patch(MACHINE, block)) == (400, "MissingIdentityIds")


def test_a_recreated_identity_leaves_a_dead_entry_until_detached(arm: Arm) -> None:
    """The entry has no ids, and attaching again does not heal it; detaching first does."""
    arm.attach("id1", "id2")
    arm.call("DELETE", identity("id1"))
    arm.call("PUT", identity("id1"), {"location": "westus"})
    arm.clock.forward(1)

    def entry() -> object:
        return arm.get(MACHINE)["identity"]["userAssignedIdentities"].get(identity("id1"))

    assert entry() == {"principalId": None, "clientId": None}
    arm.attach("id1")
    assert entry() == {"principalId": None, "clientId": None}
    removal = {"type": "UserAssigned", "userAssignedIdentities": {identity("id1"): None}}
    assert arm.patch(MACHINE, removal).status_code == 200
    assert entry() is None
    arm.attach("id1")
    arm.clock.forward(1)
    fresh = arm.get(identity("id1"))["properties"]
    expected = {"principalId": fresh["principalId"], "clientId": fresh["clientId"]}
    assert entry() == expected


def test_a_missing_identity_makes_every_further_attach_fail(arm: Arm) -> None:
    """One dead entry of an identity that is gone poisons the machine's attaches."""
    arm.attach("id1")
    arm.call("DELETE", identity("id1"))

    assert error(arm.attach("id2")) == (400, "FailedIdentityOperation")


def test_attaching_asks_for_the_right_on_the_identity(arm: Arm) -> None:
    """Without assign/action on the identity the link is refused."""
    stranger = arm.principal("stranger")
    arm.assign(GROUP, stranger.oid, "9980e02c-c2be-4d73-94e8-173b1dc7cf3c")
    arm.called_by(stranger)

    assert error(arm.attach("id1")) == (403, "LinkedAuthorizationFailed")
    assert arm.patch(MACHINE, {"type": "SystemAssigned"}).status_code == 200


def test_power_actions_run_as_operations(arm: Arm) -> None:
    """The answer is 202 with both headers, and the final location answers 200 without a body."""
    answer = arm.call("POST", f"{MACHINE}/deallocate")
    final = answer.headers["location"].removeprefix("https://management.azure.com")

    assert answer.status_code == 202
    assert arm.call("GET", final).status_code == 202
    arm.clock.forward(1)
    done = arm.call("GET", final)
    assert (done.status_code, done.content) == (200, b"")
    assert power(arm, MACHINE) == "PowerState/deallocated"


def test_ids_are_found_in_any_case_and_keep_their_spelling(arm: Arm) -> None:
    """Casing never decides; the subscription's list spells the group in upper case."""
    assert arm.get(MACHINE.lower())["id"] == MACHINE
    (listed,) = arm.get(f"{SUB}/providers/Microsoft.Compute/virtualMachines")["value"]
    assert listed["id"] == MACHINE.replace("/rg/", "/RG/")


def test_a_machine_written_anew_stays_itself(arm: Arm) -> None:
    """A PUT keeps vmId, creation and principal; identities it does not list go."""
    both = {"type": BOTH, "userAssignedIdentities": {identity("id1"): {}, identity("id2"): {}}}
    arm.patch(MACHINE, both)
    before = arm.get(MACHINE)
    block = {"type": BOTH, "userAssignedIdentities": {identity("id2"): {}}}
    again = arm.call("PUT", MACHINE, {"location": "westus", "identity": block})
    after = arm.get(MACHINE)

    assert again.status_code == 200
    assert after["identity"]["principalId"] == before["identity"]["principalId"]
    assert list(after["identity"]["userAssignedIdentities"]) == [identity("id2")]
    for name in ("vmId", "timeCreated"):
        assert after["properties"][name] == before["properties"][name]


def test_a_machine_needs_its_group_and_a_location(arm: Arm) -> None:
    """404 without the group, 400 without the location."""
    elsewhere = MACHINE.replace("/rg/", "/gone/")

    assert error(arm.call("PUT", elsewhere, {"location": "x"})) == (404, "ResourceGroupNotFound")
    assert error(arm.call("PUT", f"{MACHINE}2", {})) == (400, "LocationRequired")


def test_extensions_are_children_of_their_machine(arm: Arm) -> None:
    """They show in the machine, and go with it."""
    path = f"{MACHINE}/extensions/agent"

    assert arm.call("PUT", path, {"location": "westus"}).status_code == 201
    assert arm.get(MACHINE)["resources"][0]["properties"]["provisioningState"] == "Creating"
    arm.clock.forward(1)
    assert arm.get(path)["properties"]["provisioningState"] == "Succeeded"
    assert [each["name"] for each in arm.get(f"{MACHINE}/extensions")["value"]] == ["agent"]
    assert arm.call("DELETE", path).status_code == 202
    arm.clock.forward(1)
    assert arm.call("DELETE", path).status_code == 204
    assert error(arm.call("GET", path)) == (404, "ResourceNotFound")
    arm.call("PUT", path, {"location": "westus"})
    arm.call("DELETE", MACHINE)
    arm.clock.forward(1)
    arm.world.announce()
    assert path.lower() not in arm.world.resources


def test_an_extension_may_be_named_like_its_segment(arm: Arm) -> None:
    """Its machine is told by where the segments stand, not by how they read."""
    path = f"{MACHINE}/extensions/extensions-of-mine"

    assert arm.call("PUT", path, {"properties": {}}).status_code == 201
    assert arm.get(path)["name"] == "extensions-of-mine"


def test_older_api_versions_know_no_entity_tag(arm: Arm) -> None:
    """It came with 2024-03-01, in body and header."""
    old = arm.call("GET", MACHINE, version="2023-09-01")
    new = arm.call("GET", MACHINE, version="2024-03-01")

    assert ("etag" in old.headers, "etag" in old.json()) == (False, False)
    assert new.headers["etag"] == new.json()["etag"]


def test_a_patch_merges_objects_and_null_removes(arm: Arm) -> None:
    """What a PATCH does not name stays, at every depth."""
    profile = {"vmSize": "Standard_D2s_v5", "vmSizeProperties": {"vCPUsAvailable": 2}}
    arm.call("PATCH", MACHINE, {"properties": {"hardwareProfile": profile, "priority": "Spot"}})
    change = {"hardwareProfile": {"vmSize": "Standard_D4s_v5"}, "priority": None}
    arm.call("PATCH", MACHINE, {"properties": change})

    properties = arm.get(MACHINE)["properties"]
    assert properties["hardwareProfile"] == profile | {"vmSize": "Standard_D4s_v5"}
    assert "priority" not in properties
    assert "vmId" in properties


def test_a_write_replaces_properties_but_keeps_them_where_none_are_sent(arm: Arm) -> None:
    """What a PUT leaves out goes; one without properties leaves all as it was."""
    body = {"location": "westus"}
    arm.call("PUT", MACHINE, body | {"properties": {"host": {"id": "h"}}})
    again = arm.call("PUT", MACHINE, body | {"properties": {"priority": "Low"}})

    assert again.status_code == 200
    assert "host" not in again.json()["properties"]
    arm.call("PUT", MACHINE, body)
    assert arm.get(MACHINE)["properties"]["priority"] == "Low"


def test_a_machine_is_updating_while_an_extension_is(arm: Arm) -> None:
    """The operation is the machine's as well."""
    arm.call("PUT", f"{MACHINE}/extensions/agent", {"location": "westus"})

    machine = arm.get(MACHINE)
    assert machine["properties"]["provisioningState"] == "Updating"
    assert machine["resources"][0]["properties"]["provisioningState"] == "Creating"
    arm.clock.forward(1)
    assert arm.get(MACHINE)["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize("verb", ["redeploy", "reapply", "reimage", "restart"])
def test_a_repaired_machine_runs_as_before(arm: Arm, verb: str) -> None:
    """202 with both links."""
    answer = arm.call("POST", f"{MACHINE}/{verb}")

    assert (answer.status_code, answer.content) == (202, b"")
    assert {"azure-asyncoperation", "location"} <= {each.lower() for each in answer.headers}
    assert power(arm, MACHINE) == "PowerState/running"


def test_a_spot_machine_that_is_evicted_goes_without_an_event(arm: Arm) -> None:
    """Its provider does not know it any more, its principal is gone, and only the POST is told."""
    body = {"location": "westus", "identity": {"type": "SystemAssigned"}}
    spot = {"properties": {"priority": "Spot", "evictionPolicy": "Delete"}}
    made = arm.call("PUT", SPOT, body | spot).json()
    arm.settle()
    events: list[str] = []
    arm.world.feed.subscribe(lambda event: events.append(event["eventType"]))

    assert arm.call("POST", f"{SPOT}/simulateEviction").status_code == 204
    arm.settle()
    assert error(arm.call("GET", SPOT)) == (404, "NotFound")
    assert events == ["Microsoft.Resources.ResourceActionSuccess"]
    assert not arm.world.principals[made["identity"]["principalId"]].alive
    again = arm.call("PUT", SPOT, body)
    assert again.status_code == 201
    assert again.json()["identity"]["principalId"] != made["identity"]["principalId"]


def test_an_evicted_machine_is_deallocated_by_another_policy(arm: Arm) -> None:
    """One that is no Spot machine is not evicted at all."""
    spot = {"priority": "Spot", "evictionPolicy": "Deallocate"}
    arm.call("PUT", SPOT, {"location": "westus", "properties": spot})
    arm.clock.forward(1)

    assert arm.call("POST", f"{SPOT}/simulateEviction").status_code == 204
    assert power(arm, SPOT) == "PowerState/deallocated"
    refused = arm.call("POST", f"{MACHINE}/simulateEviction")
    assert error(refused) == (409, "OperationNotAllowed")


def test_an_identity_of_a_foreign_subscription_is_refused(arm: Arm) -> None:
    """The tenant is not authorized to reach it."""
    elsewhere = identity("id1").replace("11111111-1111", "22222222-2222")
    block = {"type": "UserAssigned", "userAssignedIdentities": {elsewhere: {}}}

    assert error(arm.patch(MACHINE, block)) == (403, "LinkedAuthorizationFailed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{MACHINE}/convertToManagedDisks"),
        ("GET", f"{MACHINE}?$expand=userData"),
        ("GET", f"{GROUP}/providers/Microsoft.Compute/virtualMachines?$filter=x"),
        ("GET", f"{SUB}/providers/Microsoft.Compute/virtualMachines?statusOnly=true"),
    ],
)
def test_actions_and_options_that_are_not_served_are_named(
    arm: Arm, method: str, path: str
) -> None:
    """They are never guessed or ignored."""
    assert error(arm.call(method, path)) == (400, "UnsupportedBySandbox")
