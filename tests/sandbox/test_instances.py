"""The instances of scale sets, one by one."""

from typing import Any

import pytest

from tests.sandbox.arm import GROUP, Arm, error
from tests.sandbox.test_scalesets import SET, create, instances

INSTANCES = f"{SET}/virtualMachines"
MACHINES = f"{GROUP}/providers/Microsoft.Compute/virtualMachines"


def numbers(arm: Arm) -> list[str]:
    """Return which instances a list shows."""
    return [each["instanceId"] for each in instances(arm)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{SET}/delete", {"instanceIds": ["0"]}),
        ("DELETE", f"{INSTANCES}/0", None),
    ],
)
def test_a_deleted_instance_goes_with_its_operation_and_makes_the_set_smaller(
    arm: Arm, method: str, path: str, body: object
) -> None:
    """202; it is ``Deleting`` until the end, and no other takes its place or its number."""
    create(arm)

    answer = arm.call(method, path, body)
    assert (answer.status_code, answer.content) == (202, b"")
    assert "location" in answer.headers
    assert [each["properties"]["provisioningState"] for each in instances(arm)] == [
        "Deleting",
        "Succeeded",
    ]
    assert arm.get(SET)["sku"]["capacity"] == 1
    arm.clock.forward(1)
    assert numbers(arm) == ["1"]
    assert error(arm.call("GET", f"{INSTANCES}/0")) == (404, "NotFound")
    arm.call("PATCH", SET, {"sku": {"capacity": 2}})
    assert numbers(arm) == ["1", "2"]


def test_all_instances_are_deleted_at_once_only_when_that_is_said(arm: Arm) -> None:
    """A star stands for all of them; a body that names none is refused."""
    create(arm)

    assert error(arm.call("POST", f"{SET}/delete", {})) == (400, "InvalidParameter")
    assert arm.call("POST", f"{SET}/delete", {"instanceIds": ["*"]}).status_code == 202
    arm.clock.forward(1)
    assert numbers(arm) == []
    assert arm.get(SET)["sku"]["capacity"] == 0
    assert arm.call("DELETE", f"{INSTANCES}/0").status_code == 204


def test_a_view_counts_the_instances_and_one_shows_each(arm: Arm) -> None:
    """The set's tells how many are in which state, an instance's where and how it is."""
    create(arm)
    arm.call("POST", f"{INSTANCES}/1/deallocate")
    arm.clock.forward(1)

    view = arm.get(f"{SET}/instanceView")
    assert view["virtualMachine"] == {
        "statusesSummary": [{"code": "ProvisioningState/succeeded", "count": 2}]
    }
    assert view["statuses"][0]["code"] == "ProvisioningState/succeeded"
    first, second = (arm.get(f"{INSTANCES}/{each}/instanceView") for each in "01")
    assert first["statuses"][1]["code"] == "PowerState/running"
    assert second["statuses"][1]["code"] == "PowerState/deallocated"
    assert first["placementGroupId"] == second["placementGroupId"]
    assert (first["platformFaultDomain"], second["platformFaultDomain"]) == (0, 1)
    assert "vmAgent" in first
    assert "vmAgent" not in second


def test_a_star_stands_for_every_instance(arm: Arm) -> None:
    """It does in the path of an action, too."""
    create(arm)

    assert arm.call("POST", f"{INSTANCES}/*/powerOff").status_code == 202
    for number in numbers(arm):
        view = arm.get(f"{INSTANCES}/{number}/instanceView")
        assert view["statuses"][1]["code"] == "PowerState/stopped"
    assert error(arm.call("POST", f"{INSTANCES}/7/start")) == (404, "NotFound")


def test_an_instance_is_written_anew(arm: Arm) -> None:
    """200 while the operation runs; what is the server's own stays, and so does the model."""
    create(arm)
    before = arm.get(f"{INSTANCES}/0")
    body = {"properties": {"vmId": "other", "protectionPolicy": {"protectFromScaleIn": True}}}

    answer = arm.call("PUT", f"{INSTANCES}/0", body)
    assert answer.status_code == 200
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    assert "azure-asyncoperation" in answer.headers
    arm.clock.forward(1)
    after = arm.get(f"{INSTANCES}/0")
    assert after["properties"].pop("protectionPolicy") == {"protectFromScaleIn": True}
    assert after["properties"] == before["properties"]
    assert after["etag"] != before["etag"]
    assert error(arm.call("PUT", f"{INSTANCES}/7", body)) == (404, "NotFound")


def test_events_tell_of_what_is_asked_of_an_instance(arm: Arm) -> None:
    """Each request on one is told with its id; a list of numbers is the set's action."""
    create(arm)
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["subject"].partition("/vmss")[2]))

    arm.call("PUT", f"{INSTANCES}/0", {"properties": {}})
    arm.call("POST", f"{INSTANCES}/0/restart")
    arm.call("POST", f"{SET}/delete", {"instanceIds": ["0"]})
    arm.call("DELETE", f"{INSTANCES}/1")
    arm.settle()
    assert told == [
        "/virtualMachines/0",
        "/virtualMachines/0/restart",
        "/delete",
        "/virtualMachines/1",
    ]


def test_older_versions_show_no_entity_tag(arm: Arm) -> None:
    """An instance has had one for longer than its set."""
    create(arm)
    path = f"{INSTANCES}/0"

    assert "etag" not in arm.call("GET", path, version="2022-11-01").json()
    assert "etag" in arm.call("GET", path, version="2023-09-01").json()
    assert "etag" not in arm.call("GET", SET, version="2023-09-01").json()


def test_a_flexible_set_lists_the_machines_that_say_they_are_in_it(arm: Arm) -> None:
    """They are machines of their own; a list of machines finds them by their set."""
    create(arm, orchestration="Flexible")
    body: dict[str, Any] = {
        "location": "westus",
        "properties": {"virtualMachineScaleSet": {"id": SET}},
    }
    arm.call("PUT", f"{MACHINES}/vmss_1a2b3c4d", body)
    arm.clock.forward(1)

    (listed,) = instances(arm)
    assert listed == {
        "name": "vmss_1a2b3c4d",
        "id": f"{INSTANCES}/vmss_1a2b3c4d",
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "location": "westus",
        "instanceId": "vmss_1a2b3c4d",
        "zones": [None],
    }
    assert arm.get(f"{SET}/instanceView")["virtualMachine"]["statusesSummary"][0]["count"] == 1
    found = arm.get(f"{MACHINES}?$filter='virtualMachineScaleSet/id' eq '{SET}'")["value"]
    assert [each["name"] for each in found] == ["vmss_1a2b3c4d"]
    assert "/resourceGroups/RG/" in found[0]["id"]
    other = f"{MACHINES}?$filter='virtualMachineScaleSet/id' eq '{SET}2'"
    assert arm.get(other)["value"] == []
