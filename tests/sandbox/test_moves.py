"""Moving resources between groups and subscriptions."""

from typing import Any

import pytest

from tests.world.arm import GROUP, MACHINE, SEED, STORE, Arm, error, identity
from tests.world.ids import SUB

OTHER_SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
TARGET = f"{SUB}/resourceGroups/rg2"
FAR = f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/rg2"
MOVED = MACHINE.replace(GROUP, TARGET)
SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss"


@pytest.fixture
def arm() -> Arm:
    """A world with a group to move to in each of two subscriptions."""
    return Arm(
        {
            **SEED,
            "subscriptions": [*SEED["subscriptions"], {"id": OTHER_SUBSCRIPTION}],
            "groups": [*SEED["groups"], {"id": TARGET}, {"id": FAR}],
        }
    )


def ask(arm: Arm, *resources: str, to: str = TARGET, verb: str = "moveResources") -> Any:  # noqa: ANN401 - a response
    """Ask for a move."""
    body = {"resources": list(resources), "targetResourceGroup": to}
    return arm.call("POST", f"{GROUP}/{verb}", body, version="2022-09-01")


def result(arm: Arm, answer: Any) -> Any:  # noqa: ANN401 - a response
    """Return what the location answers."""
    link = answer.headers["location"].removeprefix("https://management.azure.com")
    return arm.call("GET", link)


@pytest.mark.parametrize("to", [TARGET, FAR], ids=["group", "subscription"])
def test_a_moved_machine_is_the_same_one_elsewhere(arm: Arm, to: str) -> None:
    """202 and polled to 204; principal, identities, incarnation and children go along."""
    block = {
        "type": "SystemAssigned, UserAssigned",
        "userAssignedIdentities": {identity("id1"): {}},
    }
    arm.patch(MACHINE, block)
    arm.settle()
    arm.call("PUT", f"{MACHINE}/extensions/agent", {"properties": {}})
    arm.settle()
    before = arm.get(MACHINE)
    moved = MACHINE.replace(GROUP, to)

    answer = ask(arm, MACHINE, to=to)
    assert (answer.status_code, answer.content) == (202, b"")
    assert result(arm, answer).status_code == 202
    assert arm.get(MACHINE)["id"] == MACHINE
    arm.settle()

    done = result(arm, answer)
    assert (done.status_code, done.content) == (204, b"")
    assert error(arm.call("GET", MACHINE)) == (404, "ResourceNotFound")
    after = arm.get(moved)
    assert after["id"] == moved
    assert after["identity"] == before["identity"]
    assert after["properties"]["vmId"] == before["properties"]["vmId"]
    assert arm.get(f"{moved}/extensions/agent")["id"] == f"{moved}/extensions/agent"
    assert arm.world.principals[after["identity"]["principalId"]].alive


def test_a_moved_scale_set_keeps_its_instances(arm: Arm) -> None:
    """Their ids follow, too."""
    arm.call("PUT", SET, {"location": "westus", "sku": {"name": "B1s", "capacity": 2}})
    arm.settle()
    ask(arm, SET)
    arm.settle()

    moved = SET.replace(GROUP, TARGET)
    listed = arm.get(f"{moved}/virtualMachines")["value"]
    assert [each["id"] for each in listed] == [f"{moved}/virtualMachines/{n}" for n in (0, 1)]


def test_role_assignments_do_not_move(arm: Arm) -> None:
    """What was granted on the resource is an orphan at its old id, which can be deleted."""
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    arm.settle()
    own = arm.get(MACHINE)["identity"]["principalId"]
    arm.assign(STORE, own)
    on_it = arm.assign(MACHINE, arm.principal("stranger").oid).json()["id"]
    ask(arm, MACHINE)
    arm.settle()

    below = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments"
    assert on_it in [each["id"] for each in arm.get(below)["value"]]
    assert arm.listed(STORE, f"principalId eq '{own}'")
    assert on_it.rpartition("/")[2] not in arm.listed(MOVED)
    assert arm.call("DELETE", on_it).status_code == 200


def test_the_principal_names_the_old_id_until_the_next_write(arm: Arm) -> None:
    """Documented for machines: adding a tag mends it."""
    arm.patch(MACHINE, {"type": "SystemAssigned"})
    arm.settle()
    principal = arm.world.principals[arm.get(MACHINE)["identity"]["principalId"]]
    ask(arm, MACHINE)
    arm.settle()
    assert principal.resource_id == MACHINE

    arm.call("PATCH", MOVED, {"tags": {"moved": "yes"}})
    assert principal.resource_id == MOVED


def test_both_groups_take_no_writes_meanwhile(arm: Arm) -> None:
    """Reads, actions and grants go on; a second move is refused as well."""
    ask(arm, MACHINE)
    being_moved = (409, "ResourcesBeingMoved")

    assert arm.get(GROUP)["properties"]["provisioningState"] == "MovingResources"
    assert error(arm.patch(MACHINE, {"type": "SystemAssigned"})) == being_moved
    assert error(arm.call("DELETE", STORE)) == being_moved
    assert error(arm.call("PUT", STORE.replace(GROUP, TARGET), {"location": "x"})) == being_moved
    assert error(ask(arm, STORE)) == being_moved
    assert error(arm.call("DELETE", TARGET)) == being_moved
    assert arm.call("POST", f"{MACHINE}/restart").status_code == 202
    assert arm.assign(MACHINE, arm.principal("stranger").oid).status_code == 201
    arm.settle()
    assert arm.get(TARGET)["properties"]["provisioningState"] == "Succeeded"
    assert arm.patch(MOVED, {"type": "SystemAssigned"}).status_code == 200


def test_azure_tells_of_the_action_and_of_nothing_else(arm: Arm) -> None:
    """Its source's group is named, at the end; who listens for the target hears nothing."""
    events: list[dict[str, Any]] = []
    arm.world.feed.subscribe(events.append)
    ask(arm, MACHINE)
    assert not events
    arm.settle()

    (event,) = events
    assert event["eventType"] == "Microsoft.Resources.ResourceActionSuccess"
    assert event["subject"] == f"{GROUP}/moveResources"
    assert event["data"]["resourceUri"] == GROUP
    operation = "Microsoft.Resources/subscriptions/resourceGroups/moveResources/action"
    assert event["data"]["operationName"] == operation


@pytest.mark.parametrize("verb", ["moveResources", "validateMoveResources"])
@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (identity("id1"), "ResourceMoveNotSupported"),
        (STORE, "ResourceConflict"),
        (f"{GROUP}/providers/Microsoft.Batch/batchAccounts/b", None),
        (f"{MACHINE}/extensions/agent", "ResourceMoveNotSupported"),
        (MACHINE, "MoveCannotProceedWithResourcesNotInSucceededState"),
    ],
    ids=["fixed type", "name is taken", "well", "child", "being written"],
)
def test_what_stands_against_a_move_is_found_out_on_the_way(
    arm: Arm, verb: str, resource: str, code: str | None
) -> None:
    """The location answers 409 with the reasons; nothing has moved then, nor by asking."""
    arm.call("PUT", STORE.replace(GROUP, TARGET), {"location": "westus"})
    arm.call("PUT", f"{MACHINE}/extensions/agent", {"properties": {}})
    arm.call("PUT", f"{GROUP}/providers/Microsoft.Batch/batchAccounts/b", {"location": "westus"})
    arm.settle()
    if resource == MACHINE:
        arm.patch(MACHINE, {"type": "SystemAssigned"})

    answer = ask(arm, resource, verb=verb)
    assert answer.status_code == 202
    arm.settle()
    done = result(arm, answer)
    if code is None:
        assert done.status_code == 204
        status = 404 if verb == "moveResources" else 200
        assert arm.call("GET", resource).status_code == status
    else:
        assert error(done) == (409, "ResourceMoveValidationFailed")
        (detail,) = done.json()["error"]["details"]
        assert (detail["code"], detail["target"]) == (code, resource)
        assert arm.call("GET", resource).status_code == 200


@pytest.mark.parametrize(
    ("resources", "to", "wanted"),
    [
        ([], TARGET, (400, "InvalidRequestContent")),
        ([MACHINE], GROUP, (400, "InvalidRequestContent")),
        ([MACHINE], SUB, (400, "InvalidRequestContent")),
        ([MOVED], TARGET, (400, "InvalidRequestContent")),
        ([MACHINE], f"{SUB}/resourceGroups/none", (404, "ResourceGroupNotFound")),
        ([f"{MACHINE}2"], TARGET, (404, "ResourceNotFound")),
    ],
)
def test_a_wrong_request_is_refused_at_once(
    arm: Arm, resources: list[str], to: str, wanted: tuple[int, str]
) -> None:
    """What cannot be a move at all starts no operation."""
    assert error(ask(arm, *resources, to=to)) == wanted


def test_moving_asks_for_rights_on_both_groups(arm: Arm) -> None:
    """The action at the source, and writing the target."""
    person = arm.principal("person")
    owner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    arm.assign(GROUP, person.oid, owner, principalType="User")
    operator, _ = arm.caller, arm.called_by(person)
    assert error(ask(arm, MACHINE)) == (403, "AuthorizationFailed")

    arm.called_by(operator).assign(TARGET, person.oid, owner, principalType="User")
    assert ask(arm.called_by(person), MACHINE).status_code == 202


def test_a_read_only_lock_of_either_group_forbids_it(arm: Arm) -> None:
    """Documented; one that only forbids deletion does not."""
    for group, level, status in (
        (TARGET, "ReadOnly", 409),
        (GROUP, "ReadOnly", 409),
        (GROUP, "CanNotDelete", 202),
    ):
        lock = f"{group}/providers/Microsoft.Authorization/locks/one"
        arm.call("PUT", lock, {"properties": {"level": level}})
        assert ask(arm, MACHINE).status_code == status
        arm.call("DELETE", lock)


def test_a_move_that_fails_late_moves_nothing(arm: Arm) -> None:
    """A fault may end it as failed; its event says so."""
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["eventType"]))
    arm.world.faults = arm.world.faults.changed(
        {"requests": [{"method": "POST", "path": "/moveResources", "late": True, "times": 1}]}
    )
    answer = ask(arm, MACHINE)
    arm.settle()

    assert error(result(arm, answer)) == (409, "InternalExecutionError")
    assert arm.get(MACHINE)["id"] == MACHINE
    assert told == ["Microsoft.Resources.ResourceActionFailure"]
