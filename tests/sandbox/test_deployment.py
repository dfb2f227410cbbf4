"""Template deployments: several writes of one machine under one correlation id."""

from typing import Any

from sandbox import deployment
from sandbox.world.faults import Faults
from tests.world.arm import GROUP, MACHINE, STORE, Arm, identity

LOG = "/providers/Microsoft.Insights/eventtypes/management/values"
SYSTEM = {"type": "SystemAssigned"}


def listen(arm: Arm) -> list[dict[str, Any]]:
    """Return what events tell from now on."""
    told: list[dict[str, Any]] = []
    arm.world.feed.subscribe(lambda event: told.append(event["data"]))
    return told


def finish(arm: Arm) -> None:
    """Let time pass until there is nothing more to tell."""
    while due := arm.world.announce():
        arm.clock.moment = due


def test_a_rebuild_tells_of_the_deployment_first(arm: Arm) -> None:
    """Then of the machine, its extensions and the machine again, all as one work."""
    arm.world.faults = Faults(operation_delay=20)
    told, began = listen(arm), arm.clock()
    old = arm.patch(MACHINE, SYSTEM).json()["identity"]["principalId"]
    arm.call("DELETE", MACHINE)
    finish(arm)
    told.clear()
    made = deployment.rebuild(arm.world, MACHINE, identity=SYSTEM)

    assert not made.done
    assert [each["operationName"] for each in told] == ["Microsoft.Resources/deployments/write"]
    assert arm.get(MACHINE)["properties"]["provisioningState"] == "Creating"
    finish(arm)
    assert made.done
    assert [status for _, status in made.answers] == [201, 201, 201, 200]
    extensions = "Microsoft.Compute/virtualMachines/extensions/write"
    assert [each["operationName"] for each in told] == [
        "Microsoft.Resources/deployments/write",
        "Microsoft.Compute/virtualMachines/write",
        extensions,
        extensions,
        "Microsoft.Compute/virtualMachines/write",
    ]
    assert {each["correlationId"] for each in told} == {made.correlation_id}
    assert (arm.clock() - began).total_seconds() == 5 * 20
    shown = arm.get(MACHINE)
    assert shown["identity"]["principalId"] != old
    assert shown["tags"] == {"deployed": "true"}
    assert [each["name"] for each in shown["resources"]] == ["agent", "join"]


def test_a_deployment_over_a_machine_that_is_there_keeps_its_principal(arm: Arm) -> None:
    """It is written, not made anew; a body without its user-assigned identities drops these."""
    arm.attach("id1")
    arm.settle()
    own = arm.patch(MACHINE, SYSTEM).json()["identity"]["principalId"]
    arm.settle()
    made = deployment.rebuild(arm.world, MACHINE, identity=SYSTEM, extensions=())
    finish(arm)

    assert [status for _, status in made.answers] == [200, 200]
    assert arm.get(MACHINE)["identity"]["principalId"] == own


def test_a_refusal_ends_a_deployment(arm: Arm) -> None:
    """What comes after it is not written."""
    stranger = arm.principal("stranger")
    steps = [(f"{STORE}1", {"location": "westus"}), (f"{STORE}2", {"location": "westus"})]
    made = deployment.deploy(arm.world, steps, caller=stranger)
    finish(arm)

    assert made.done
    assert made.answers == [(f"{STORE}1", 403)]
    assert f"{STORE}2".lower() not in arm.world.resources


def test_a_deployment_writes_whatever_it_holds(arm: Arm) -> None:
    """Identities and rights too; the log joins them by their correlation id."""
    new = identity("id9")
    right = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{arm.world.guid()}"
    properties = {
        "principalId": arm.principal("stranger").oid,
        "roleDefinitionId": "/x/acdd72a7-3385-48ef-bd42-f606fba81ae7",
    }
    made = deployment.deploy(
        arm.world, [(new, {"location": "westus"}), (right, {"properties": properties})]
    )
    finish(arm)

    assert [status for _, status in made.answers] == [201, 201]
    since = "eventTimestamp ge '2026-03-01T12:00:00Z'"
    subscription = "/".join(GROUP.split("/")[:3])
    text = f"{since} and correlationId eq '{made.correlation_id}'"
    found = arm.get(f"{subscription}{LOG}?$filter={text}")["value"]
    assert {each["operationName"]["value"] for each in found} == {
        "Microsoft.Resources/deployments/write",
        "Microsoft.ManagedIdentity/userAssignedIdentities/write",
        "Microsoft.Authorization/roleAssignments/write",
    }
