"""What writes make of a machine's model, and what is shown of it."""

from typing import Any

import pytest

from tests.sandbox.arm import GROUP, MACHINE, Arm


def test_a_write_replaces_all_but_what_a_machine_was_built_from(arm: Arm) -> None:
    """What a PUT leaves out goes, but for the image and the system's disk."""
    image = {"publisher": "Canonical", "offer": "ubuntu"}
    disk = {"name": "os", "diskSizeGB": 30}
    storage = {"imageReference": image, "osDisk": disk}
    body = {"location": "westus"}
    arm.call(
        "PUT", MACHINE, body | {"properties": {"storageProfile": storage, "host": {"id": "h"}}}
    )
    arm.clock.forward(1)
    changed = {"storageProfile": {"osDisk": {"caching": "None"}}, "priority": "Low"}

    answer = arm.call("PUT", MACHINE, body | {"properties": changed})
    assert answer.status_code == 200
    properties = answer.json()["properties"]
    assert properties["storageProfile"] == {
        "imageReference": image,
        "osDisk": disk | {"caching": "None"},
    }
    assert properties["priority"] == "Low"
    assert "host" not in properties
    arm.call("PUT", MACHINE, body)
    assert arm.get(MACHINE)["properties"]["priority"] == "Low"


def test_where_a_machine_is_to_run_is_named_with_the_group_in_upper_case(arm: Arm) -> None:
    """So are hosts, their groups and proximity placement groups; networks are as they were sent."""
    host = f"{GROUP}/providers/Microsoft.Compute/hostGroups/g/hosts/h"
    nic = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/nic"
    sent = {"host": {"id": host}, "networkProfile": {"networkInterfaces": [{"id": nic}]}}

    shown = arm.call("PATCH", MACHINE, {"properties": sent}).json()["properties"]
    assert shown["host"] == {"id": host.replace("/rg/", "/RG/")}
    assert shown["networkProfile"] == sent["networkProfile"]


def test_a_write_that_changes_nothing_but_tags_is_not_announced(arm: Arm) -> None:
    """The answer says ``Updating`` and names no operation; there is one to see for a change."""
    read = arm.get(MACHINE)

    for tags in ({}, {"a": "b"}):
        answer = arm.call("PUT", MACHINE, read | {"tags": tags})
        assert (answer.status_code, answer.json()["tags"]) == (200, tags)
        assert answer.json()["properties"]["provisioningState"] == "Updating"
        assert "azure-asyncoperation" not in answer.headers
        arm.clock.forward(1)
        assert arm.get(MACHINE)["properties"]["provisioningState"] == "Succeeded"
    arm.call("PUT", f"{MACHINE}/extensions/agent", {"properties": {}})
    assert "azure-asyncoperation" in arm.call("PUT", MACHINE, read).headers
    arm.clock.forward(1)
    for change in ({"properties": {"priority": "Low"}}, {"identity": {"type": "SystemAssigned"}}):
        answer = arm.call("PUT", MACHINE, read | change)
        assert "azure-asyncoperation" in answer.headers


def test_secrets_are_never_shown_and_user_data_only_on_demand(arm: Arm) -> None:
    """Neither the answer to the write nor a read tells them."""
    profile = {"adminUsername": "a", "adminPassword": "b", "customData": "eA=="}
    sent = {"osProfile": profile, "userData": "eA=="}
    made = arm.call("PATCH", MACHINE, {"properties": sent}).json()
    read = arm.get(MACHINE)
    asked = arm.get(f"{MACHINE}?$expand=instanceView,userData")["properties"]

    for each in (made, read):
        assert each["properties"]["osProfile"] == {"adminUsername": "a"}
        assert "userData" not in each["properties"]
    assert asked["userData"] == "eA=="
    assert "instanceView" in asked
    arm.call("PATCH", MACHINE, {"properties": {"userData": ""}})
    assert "userData" not in arm.get(f"{MACHINE}?$expand=userData")["properties"]
    path = f"{MACHINE}/extensions/agent"
    sent = {"publisher": "P", "type": "T", "protectedSettings": {"key": 1}, "settings": {"a": None}}
    made = arm.call("PUT", path, {"location": "westus", "properties": sent}).json()
    assert "protectedSettings" not in made["properties"]
    assert made["properties"]["settings"] == {"a": None}
    again = arm.call("PUT", path, {"location": "westus", "properties": {"publisher": "P"}}).json()
    del again["properties"]["provisioningState"]
    known = {"publisher": "P", "type": "T", "autoUpgradeMinorVersion": False}
    assert again["properties"] == known


def test_less_is_told_of_disks_at_rest(arm: Arm) -> None:
    """While a machine is deallocated, sizes and kinds of its disks are not shown."""
    disk = {"name": "d", "diskSizeGB": 30, "managedDisk": {"storageAccountType": "Premium_LRS"}}
    storage = {"osDisk": disk, "dataDisks": [disk]}
    arm.call("PATCH", MACHINE, {"properties": {"storageProfile": storage}})
    arm.call("POST", f"{MACHINE}/deallocate")

    fate = {"caching": "None", "toBeDetached": False, "deleteOption": "Detach"}
    bare: dict[str, Any] = {"name": "d", "managedDisk": {}}
    shown = arm.get(MACHINE)["properties"]["storageProfile"]
    assert shown == {"osDisk": bare, "dataDisks": [bare | fate]}
    arm.call("POST", f"{MACHINE}/start")
    shown = arm.get(MACHINE)["properties"]["storageProfile"]
    assert shown == {"osDisk": disk, "dataDisks": [disk | fate]}


def test_a_machine_is_updating_while_an_extension_is(arm: Arm) -> None:
    """The operation is the machine's as well; the extension tells how it ended."""
    path = f"{MACHINE}/extensions/agent"
    sent = {"publisher": "Pub", "type": "Agent", "typeHandlerVersion": "1.2"}
    arm.call("PUT", path, {"location": "westus", "properties": sent})

    machine = arm.get(MACHINE)
    assert machine["properties"]["provisioningState"] == "Updating"
    assert machine["resources"][0]["properties"]["provisioningState"] == "Creating"
    arm.clock.forward(1)
    assert arm.get(MACHINE)["properties"]["provisioningState"] == "Succeeded"
    view = arm.get(f"{path}?$expand=instanceView")["properties"]["instanceView"]
    assert (view["name"], view["type"]) == ("agent", "Pub.Agent")
    assert view["statuses"][0]["code"] == "ProvisioningState/succeeded"


@pytest.mark.parametrize("verb", ["redeploy", "reapply", "reimage", "restart"])
def test_a_machine_is_repaired(arm: Arm, verb: str) -> None:
    """202 with both links; it runs afterwards as before."""
    answer = arm.call("POST", f"{MACHINE}/{verb}")

    assert (answer.status_code, answer.content) == (202, b"")
    assert {"azure-asyncoperation", "location"} <= {each.lower() for each in answer.headers}
    assert arm.get(f"{MACHINE}/instanceView")["statuses"][1]["code"] == "PowerState/running"
