"""What is being deleted: visible until its operation has ended, and closed to writes."""

import pytest

from tests.world.arm import GROUP, MACHINE, STORE, Arm, error
from tests.world.ids import SUB

SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss"
VAULT = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/one"


def state(arm: Arm, path: str) -> str:
    """Return the provisioning state."""
    found: str = arm.get(path)["properties"]["provisioningState"]
    return found


def link(found: str) -> str:
    """Return a link without its host."""
    return found.removeprefix("https://management.azure.com")


@pytest.mark.parametrize("path", [MACHINE, SET, VAULT])
def test_a_resource_is_there_until_its_deletion_has_ended(arm: Arm, path: str) -> None:
    """Deleting while the operation runs, gone and 204 afterwards."""
    if path != MACHINE:
        arm.call("PUT", path, {"location": "westeurope"})
        arm.clock.forward(1)
    arm.patch(path, {"type": "SystemAssigned"})
    arm.clock.forward(1)
    principal = arm.world.principals[arm.get(path)["identity"]["principalId"]]

    answer = arm.call("DELETE", path)
    assert (answer.status_code, answer.content) == (202, b"")
    assert state(arm, path) == "Deleting"
    assert principal.alive
    assert arm.call("GET", link(answer.headers["location"])).status_code == 202
    assert arm.get(link(answer.headers["azure-asyncoperation"]))["status"] == "InProgress"

    arm.clock.forward(1)
    assert arm.get(link(answer.headers["azure-asyncoperation"]))["status"] == "Succeeded"
    done = arm.call("GET", link(answer.headers["location"]))
    assert (done.status_code, done.content) == (200, b"")
    assert error(arm.call("GET", path)) == (404, "ResourceNotFound")
    assert arm.call("DELETE", path).status_code == 204
    assert not principal.alive


def test_nothing_is_written_to_what_is_being_deleted(arm: Arm) -> None:
    """Writes and actions conflict; a second deletion joins the first, reads go on."""
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["eventType"]))
    first = arm.call("DELETE", MACHINE)

    assert error(arm.attach("id1")) == (409, "Conflict")
    assert error(arm.call("PUT", MACHINE, {"location": "westus"})) == (409, "Conflict")
    assert error(arm.call("POST", f"{MACHINE}/start")) == (409, "Conflict")
    assert error(arm.call("PUT", f"{MACHINE}/extensions/x", {})) == (409, "Conflict")
    assert arm.assign(MACHINE, arm.principal("stranger").oid).status_code == 201
    again = arm.call("DELETE", MACHINE)
    assert again.headers["azure-asyncoperation"] == first.headers["azure-asyncoperation"]
    arm.clock.forward(1)
    assert arm.call("PUT", MACHINE, {"location": "westus"}).status_code == 201
    assert told.count("Microsoft.Resources.ResourceDeleteSuccess") == 1


def test_a_group_is_there_until_all_in_it_is_gone(arm: Arm) -> None:
    """202 with a location that answers 202 and at last 200; HEAD 204, then 404."""
    answer = arm.call("DELETE", GROUP)
    assert answer.status_code == 202
    assert "azure-asyncoperation" not in answer.headers
    result = link(answer.headers["location"])

    assert state(arm, GROUP) == state(arm, MACHINE) == "Deleting"
    listed = arm.get(f"{SUB}/resourcegroups")["value"]
    assert "Deleting" in {each["properties"]["provisioningState"] for each in listed}
    assert arm.call("HEAD", GROUP).status_code == 204
    for path in (GROUP, STORE):
        refused = arm.call("PUT", path, {"location": "westeurope"})
        assert error(refused) == (409, "ResourceGroupBeingDeleted")
    assert arm.call("DELETE", GROUP).headers["location"] == answer.headers["location"]
    waiting = arm.call("GET", result)
    assert (waiting.status_code, link(waiting.headers["location"])) == (202, result)

    arm.clock.forward(1)
    done = arm.call("GET", result)
    assert (done.status_code, done.content) == (200, b"")
    assert arm.call("HEAD", GROUP).status_code == 404
    assert error(arm.call("GET", MACHINE)) == (404, "ResourceGroupNotFound")
    assert arm.call("PUT", GROUP, {"location": "westeurope"}).status_code == 201
    assert arm.call("PUT", GROUP, {"location": "westeurope"}).status_code == 200
    assert arm.world.members[GROUP.lower()] == {}
