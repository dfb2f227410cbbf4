"""Spot machines that Azure takes away."""

from typing import Any

import pytest

from tests.sandbox.arm import GROUP, MACHINE, Arm, error
from tests.sandbox.test_scalesets import SET, instances

SPOT = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/spot"


def model(policy: str) -> dict[str, Any]:
    """Return properties of what may be evicted."""
    return {"priority": "Spot", "evictionPolicy": policy}


def test_a_machine_that_goes_by_eviction_goes_untold(arm: Arm) -> None:
    """Its provider does not know it any more, its principal is gone, and no event says so."""
    body = {"location": "westus", "identity": {"type": "SystemAssigned"}}
    made = arm.call("PUT", SPOT, body | {"properties": model("Delete")}).json()
    arm.settle()
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["eventType"]))

    assert arm.call("POST", f"{SPOT}/simulateEviction").status_code == 204
    arm.settle()
    assert error(arm.call("GET", SPOT)) == (404, "NotFound")
    assert told == ["Microsoft.Resources.ResourceActionSuccess"]
    assert not arm.world.principals[made["identity"]["principalId"]].alive
    again = arm.call("PUT", SPOT, body)
    assert again.status_code == 201
    assert again.json()["identity"]["principalId"] != made["identity"]["principalId"]


def test_by_another_policy_it_stays_deallocated(arm: Arm) -> None:
    """It keeps its identity and can be started again."""
    arm.call("PUT", SPOT, {"location": "westus", "properties": model("Deallocate")})
    arm.clock.forward(1)

    assert arm.call("POST", f"{SPOT}/simulateEviction").status_code == 204
    view = arm.get(f"{SPOT}/instanceView")
    assert view["statuses"][1]["code"] == "PowerState/deallocated"


@pytest.mark.parametrize(("policy", "left"), [("Delete", ["1"]), ("Deallocate", ["0", "1"])])
def test_instances_are_evicted_by_their_sets_policy(arm: Arm, policy: str, left: list[str]) -> None:
    """One that goes makes its set smaller."""
    properties = {"virtualMachineProfile": model(policy)}
    arm.call("PUT", SET, {"location": "x", "sku": {"capacity": 2}, "properties": properties})
    arm.clock.forward(1)
    evict = f"{SET}/virtualMachines/0/simulateEviction"

    assert arm.call("POST", evict).status_code == 204
    assert [each["instanceId"] for each in instances(arm)] == left
    assert arm.get(SET)["sku"]["capacity"] == len(left)
    view = arm.call("GET", f"{SET}/virtualMachines/0/instanceView")
    if policy == "Delete":
        assert error(view) == error(arm.call("POST", evict)) == (404, "NotFound")
    else:
        assert view.json()["statuses"][1]["code"] == "PowerState/deallocated"


def test_an_instance_that_says_itself_what_it_is_goes_by_that(arm: Arm) -> None:
    """Its own model counts before its set's."""
    arm.call("PUT", SET, {"location": "westus", "sku": {"capacity": 1}})
    arm.clock.forward(1)
    arm.call("PUT", f"{SET}/virtualMachines/0", {"properties": model("Delete")})
    arm.clock.forward(1)

    assert arm.call("POST", f"{SET}/virtualMachines/0/simulateEviction").status_code == 204
    assert instances(arm) == []


def test_what_has_its_place_for_sure_is_not_evicted(arm: Arm) -> None:
    """Only Spot machines are."""
    arm.call("PUT", SET, {"location": "westus", "sku": {"capacity": 1}})
    refused = (409, "OperationNotAllowed")

    assert error(arm.call("POST", f"{MACHINE}/simulateEviction")) == refused
    assert error(arm.call("POST", f"{SET}/virtualMachines/0/simulateEviction")) == refused
