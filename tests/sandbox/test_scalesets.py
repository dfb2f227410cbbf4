"""Virtual machine scale sets, their instances and identities."""

from typing import Any

import pytest

from tests.world.arm import GROUP, Arm, error, identity
from tests.world.ids import SUB

SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss"
SYSTEM = {"type": "SystemAssigned"}


def create(arm: Arm, *, mode: str = "Manual", orchestration: str = "Uniform") -> dict[str, Any]:
    """Create a scale set of two instances and let its operation end."""
    answer = arm.call(
        "PUT",
        SET,
        {
            "location": "westus",
            "sku": {"name": "Standard_D2s_v5", "tier": "Standard", "capacity": 2},
            "properties": {
                "orchestrationMode": orchestration,
                "upgradePolicy": {"mode": mode},
            },
        },
    )
    assert answer.status_code == 201, answer.text
    arm.clock.forward(1)
    found: dict[str, Any] = arm.get(SET)
    return found


def instances(arm: Arm) -> list[dict[str, Any]]:
    """Return the instances that a list shows."""
    found: list[dict[str, Any]] = arm.get(f"{SET}/virtualMachines")["value"]
    return found


def test_a_uniform_set_has_as_many_instances_as_its_size_says(arm: Arm) -> None:
    """They are numbered, come and go with the capacity and carry the latest model."""
    create(arm)

    assert [each["name"] for each in instances(arm)] == ["vmss_0", "vmss_1"]
    assert all(each["properties"]["latestModelApplied"] for each in instances(arm))
    arm.call("PATCH", SET, {"sku": {"capacity": 3}})
    assert [each["instanceId"] for each in instances(arm)] == ["0", "1", "2"]
    arm.call("PATCH", SET, {"sku": {"capacity": 1}})
    assert [each["instanceId"] for each in instances(arm)] == ["0"]
    assert arm.get(SET)["sku"]["name"] == "Standard_D2s_v5"


def test_with_a_manual_policy_instances_wait_for_an_upgrade(arm: Arm) -> None:
    """A new identity is the model's at once, and the instances' after a manual upgrade."""
    create(arm)
    principal = arm.patch(SET, SYSTEM).json()["identity"]["principalId"]

    assert all("identity" not in each for each in instances(arm))
    assert not any(each["properties"]["latestModelApplied"] for each in instances(arm))
    answer = arm.call("POST", f"{SET}/manualupgrade", {"instanceIds": ["0"]})
    first, second = instances(arm)
    assert (answer.status_code, answer.content) == (202, b"")
    assert first["identity"]["principalId"] == principal
    assert "identity" not in second
    arm.call("POST", f"{SET}/manualupgrade", {"instanceIds": ["*"]})
    assert {each["identity"]["principalId"] for each in instances(arm)} == {principal}


def test_with_an_automatic_policy_instances_follow_the_model(arm: Arm) -> None:
    """A change of the model reaches the instances by itself."""
    create(arm, mode="Automatic")
    block = {"type": "UserAssigned", "userAssignedIdentities": {identity("id1"): {}}}
    arm.patch(SET, block)
    arm.clock.forward(1)

    for each in instances(arm):
        assert list(each["identity"]["userAssignedIdentities"]) == [identity("id1")]


def test_removing_an_instance_leaves_the_sets_principal(arm: Arm) -> None:
    """The principal is the set's; it dies with the set."""
    create(arm, mode="Automatic")
    oid = arm.patch(SET, SYSTEM).json()["identity"]["principalId"]
    arm.call("PATCH", SET, {"sku": {"capacity": 0}})

    assert instances(arm) == []
    assert arm.world.principals[oid].alive
    assert arm.call("DELETE", SET).status_code == 202
    arm.clock.forward(1)
    assert arm.call("DELETE", SET).status_code == 204
    assert not arm.world.principals[oid].alive
    assert error(arm.call("GET", f"{SET}/virtualMachines")) == (404, "ResourceNotFound")


def test_a_flexible_set_takes_no_system_identity(arm: Arm) -> None:
    """It has only user-assigned identities; its machines are not listed here."""
    create(arm, orchestration="Flexible")

    listed = arm.call("GET", f"{SET}/virtualMachines")
    assert error(listed) == (400, "UnsupportedBySandbox")
    assert error(arm.patch(SET, SYSTEM)) == (400, "InvalidParameter")
    assert "identity" not in arm.get(SET)
    entries: dict[str, Any] = {identity("id1"): {}}
    block = {"type": "UserAssigned", "userAssignedIdentities": entries}
    assert arm.patch(SET, block).status_code == 200
    entries |= {identity("id1"): None, identity("id2"): {}}
    assert error(arm.patch(SET, block)) == (400, "InvalidParameter")


def test_sets_are_listed_and_carry_an_entity_tag(arm: Arm) -> None:
    """Group and, in upper case, subscription list them; an old tag is refused."""
    made = create(arm)

    for scope, spelled in ((GROUP, SET), (SUB, SET.replace("/rg/", "/RG/"))):
        (listed,) = arm.get(f"{scope}/providers/Microsoft.Compute/virtualMachineScaleSets")["value"]
        assert listed == made | {"id": spelled}
    fresh = arm.call("PATCH", SET, {"tags": {"a": "b"}}, headers={"If-Match": made["etag"]})
    stale = arm.call("PATCH", SET, {"tags": {}}, headers={"If-Match": made["etag"]})
    assert fresh.headers["etag"] == fresh.json()["etag"] != made["etag"]
    assert error(stale) == (412, "PreconditionFailed")


def test_a_set_written_anew_stays_itself(arm: Arm) -> None:
    """What was read can be written back: 200, the same unique id, principal and instances."""
    create(arm)
    arm.patch(SET, SYSTEM)
    arm.clock.forward(1)
    before = arm.get(SET)
    again = arm.call("PUT", SET, before)
    after = arm.get(SET)

    assert again.status_code == 200
    assert after["identity"] == before["identity"]
    for name in ("uniqueId", "timeCreated"):
        assert after["properties"][name] == before["properties"][name]
    assert len(instances(arm)) == 2


def test_a_write_of_the_size_alone_leaves_the_model(arm: Arm) -> None:
    """Properties that are not sent stay; instances that do have the latest model all the same."""
    create(arm)
    sku = {"name": "Standard_D2s_v5", "tier": "Standard", "capacity": 1}
    body = {"location": "westus", "sku": sku}

    assert arm.call("PUT", SET, body).status_code == 200
    assert arm.get(SET)["properties"]["upgradePolicy"] == {"mode": "Manual"}
    (left,) = instances(arm)
    assert left["properties"]["latestModelApplied"]
    arm.call("PUT", SET, body | {"tags": {"a": "b"}})
    (left,) = instances(arm)
    assert not left["properties"]["latestModelApplied"]


def test_unknown_instances_and_options_are_named(arm: Arm) -> None:
    """Instances that are not there, none at all for an upgrade, and options."""
    create(arm)

    upgrade = f"{SET}/manualupgrade"
    assert error(arm.call("POST", upgrade, {"instanceIds": ["7"]})) == (400, "InvalidParameter")
    assert error(arm.call("POST", upgrade)) == (400, "InvalidParameter")
    unknown = arm.call("GET", f"{SET}/virtualMachines?$expand=everything")
    assert error(unknown) == (400, "UnsupportedBySandbox")


@pytest.mark.parametrize("wanted", [5, [0], [[]], {"0": {}}])
def test_instances_are_named_in_a_list_of_text(arm: Arm, wanted: object) -> None:
    """Anything else is refused."""
    create(arm)

    answer = arm.call("POST", f"{SET}/manualupgrade", {"instanceIds": wanted})
    assert error(answer) == (400, "InvalidRequestContent")


def test_a_policy_of_upgrades_is_an_object(arm: Arm) -> None:
    """Anything else is refused."""
    create(arm)

    answer = arm.call("PATCH", SET, {"properties": {"upgradePolicy": 5}})
    assert error(answer) == (400, "InvalidRequestContent")


@pytest.mark.parametrize("capacity", [-1, "two", 1.5])
def test_a_size_is_a_number(arm: Arm, capacity: object) -> None:
    """Anything else is refused, and nothing changes."""
    create(arm)

    answer = arm.call("PATCH", SET, {"sku": {"capacity": capacity}, "identity": SYSTEM})
    assert error(answer) == (400, "InvalidRequestContent")
    assert "identity" not in arm.get(SET)


def test_older_versions_show_no_entity_tag(arm: Arm) -> None:
    """An instance has had one for longer than its set."""
    create(arm)
    path = f"{SET}/virtualMachines"

    for version, shown in (("2022-11-01", False), ("2023-09-01", True)):
        (first, _) = arm.call("GET", path, version=version).json()["value"]
        assert ("etag" in first) is shown
    assert "etag" not in arm.call("GET", SET, version="2023-09-01").json()


def test_an_action_on_an_instance_has_an_event_with_its_id(arm: Arm) -> None:
    """One on all of them, or on a list of numbers, is the set's."""
    create(arm)
    subjects: list[str] = []
    arm.world.feed.subscribe(lambda event: subjects.append(event["subject"].partition("/vmss")[2]))

    for action in ("deallocate", "virtualMachines/0/restart", "virtualMachines/1/powerOff"):
        assert arm.call("POST", f"{SET}/{action}").status_code == 202
        arm.settle()
    assert subjects == [
        "/deallocate",
        "/virtualMachines/0/restart",
        "/virtualMachines/1/powerOff",
    ]
    missing = arm.call("POST", f"{SET}/virtualMachines/7/start")
    assert error(missing) == (404, "NotFound")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_no_request_writes_one_instance(arm: Arm, method: str) -> None:
    """Refused by name, and never taken for a resource without a service of its own."""
    create(arm)

    answer = arm.call(method, f"{SET}/virtualMachines/0", {})
    assert error(answer) == (400, "UnsupportedBySandbox")
    assert len(instances(arm)) == 2


def test_instances_are_no_resources_of_their_own(arm: Arm) -> None:
    """Neither a list of resources nor events tell of them."""
    events: list[dict[str, Any]] = []
    arm.world.feed.subscribe(events.append)
    create(arm)
    listed = arm.get(f"{GROUP}/resources?$filter=name eq 'vmss'")["value"]

    assert [each["data"]["resourceUri"].rpartition("/")[2] for each in events] == ["vmss"]
    assert [each["name"] for each in listed] == ["vmss"]
    types = {each["type"] for each in arm.get(f"{GROUP}/resources")["value"]}
    assert "Microsoft.Compute/virtualMachineScaleSets/virtualMachines" not in types


def test_a_seed_fills_a_set() -> None:
    """A scale set of the seed has its instances, with its identity."""
    record = {
        "id": SET,
        "system": True,
        "sku": {"name": "Standard_D2s_v5", "capacity": 2},
        "properties": {"upgradePolicy": {"mode": "Manual"}},
    }
    arm = Arm({"subscriptions": [{"id": SUB.rpartition("/")[2]}], "resources": [record]})

    principal = arm.get(SET)["identity"]["principalId"]
    assert [each["identity"]["principalId"] for each in instances(arm)] == [principal] * 2
