"""Role definitions: built-in ones by name, custom ones written, listed and deleted."""

from typing import Any

from sandbox.world.faults import Faults
from tests.world.arm import GROUP, STORE, Arm, error
from tests.world.ids import READER, SUB

GUID = "0a0a0a0a-1111-2222-3333-444444444444"
ROLES = "/providers/Microsoft.Authorization/roleDefinitions"


def put(arm: Arm, name: str = "Restarter", scope: str = SUB, guid: str = GUID) -> Any:  # noqa: ANN401 - a response
    """Write a custom role that may restart machines."""
    properties = {
        "roleName": name,
        "description": "May restart.",
        "type": "CustomRole",
        "permissions": [{"actions": ["Microsoft.Compute/virtualMachines/restart/action"]}],
        "assignableScopes": [scope],
    }
    return arm.call("PUT", f"{scope}{ROLES}/{guid}", {"properties": properties})


def names(arm: Arm, scope: str, text: str) -> list[str]:
    """Return the names that a filtered list shows."""
    found = arm.get(f"{scope}{ROLES}?$filter={text}")
    return [each["properties"]["roleName"] for each in found["value"]]


def test_every_built_in_role_exists(arm: Arm) -> None:
    """All are found by name in any case; those that were not reviewed allow nothing."""
    assert len(names(arm, SUB, "type eq 'BuiltInRole'")) > 600
    assert names(arm, STORE, "roleName eq 'acrpush'") == ["AcrPush"]
    assert names(arm, STORE, "roleName eq 'READER'") == ["Reader"]
    unknown = arm.get(f"{SUB}{ROLES}?$filter=roleName eq 'AcrPush'")["value"][0]
    assert unknown["properties"]["permissions"][0]["actions"] == []
    assert arm.get(f"{SUB}{ROLES}/{READER}")["properties"]["assignableScopes"] == ["/"]


def test_a_custom_role_lives_as_written(arm: Arm) -> None:
    """201 for creation and change, who made it stays; then it can be assigned and deleted."""
    created = put(arm)
    assert created.status_code == 201
    assert created.json()["id"] == f"{SUB}{ROLES}/{GUID}"
    arm.clock.forward(60)
    changed = put(arm, "Renamed").json()["properties"]
    stored = arm.get(f"{SUB}{ROLES}/{GUID}")["properties"]
    assert changed["createdOn"] == stored["updatedOn"] > stored["createdOn"]
    assert (changed["createdBy"], stored["createdBy"]) == (None, arm.world.operator.oid)

    stranger = arm.principal("stranger")
    made = arm.assign(GROUP, stranger.oid, GUID)
    assert made.status_code == 201
    machine = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
    assert arm.called_by(stranger).call("POST", f"{machine}/restart").status_code == 202
    arm.called_by(arm.world.operator)
    refused = arm.call("DELETE", f"{SUB}{ROLES}/{GUID}")
    assert error(refused) == (400, "RoleDefinitionHasAssignments")
    arm.call("DELETE", made.json()["id"])
    assert arm.call("DELETE", f"{SUB}{ROLES}/{GUID}").status_code == 200
    assert arm.call("DELETE", f"{SUB}{ROLES}/{GUID}").status_code == 204
    assert error(arm.call("GET", f"{SUB}{ROLES}/{GUID}")) == (404, "RoleDefinitionDoesNotExist")


def test_a_custom_role_is_listed_where_it_may_be_assigned(arm: Arm) -> None:
    """At its scope and below; above it with atScopeAndBelow(), or without any filter."""
    put(arm, scope=GROUP)
    shown = arm.get(f"{SUB}{ROLES}")["value"]
    assert [each["name"] for each in shown if each["properties"]["type"] == "CustomRole"] == [GUID]

    assert names(arm, STORE, "type eq 'CustomRole'") == ["Restarter"]
    assert names(arm, SUB, "type eq 'CustomRole'") == []
    assert names(arm, SUB, "type eq 'CustomRole' and atScopeAndBelow()") == ["Restarter"]


def test_a_block_of_permissions_takes_nothing_from_another(arm: Arm) -> None:
    """What one block's notActions name is allowed where another block has it."""
    blocks = [
        {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]},
        {"actions": ["Microsoft.Authorization/roleAssignments/write"]},
    ]
    properties = {"roleName": "Keeper", "permissions": blocks, "assignableScopes": [SUB]}
    made = arm.call("PUT", f"{SUB}{ROLES}/{GUID}", {"properties": properties})
    assert len(made.json()["properties"]["permissions"]) == 2

    stranger = arm.principal("stranger")
    arm.assign(SUB, stranger.oid, GUID)
    arm.called_by(stranger)
    assert arm.assign(GROUP, stranger.oid).status_code == 201
    lock = f"{GROUP}/providers/Microsoft.Authorization/locks/keep"
    refused = arm.call("PUT", lock, {"properties": {"level": "ReadOnly"}})
    assert error(refused) == (403, "AuthorizationFailed")


def test_filtered_lists_lag_behind_with_the_switch(arm: Arm) -> None:
    """A role just changed is missing from them for a while, but not under its id."""
    arm.world.faults = Faults(role_filter_delay=10)
    put(arm)

    assert names(arm, SUB, "roleName eq 'Restarter'") == []
    assert arm.get(f"{SUB}{ROLES}/{GUID}")["name"] == GUID
    arm.clock.forward(10)
    assert names(arm, SUB, "roleName eq 'Restarter'") == ["Restarter"]


def test_role_definitions_are_not_guessed(arm: Arm) -> None:
    """Names are unique, built-in roles stay, and malformed bodies are refused."""
    assert error(put(arm, "Reader")) == (409, "RoleDefinitionWithSameNameExists")
    assert error(put(arm, "Mine", guid=READER)) == (400, "UnsupportedBySandbox")
    assert error(put(arm, guid="mine")) == (400, "InvalidRoleDefinitionId")
    assert error(arm.call("DELETE", f"{SUB}{ROLES}/{READER}")) == (400, "UnsupportedBySandbox")
    broken = arm.call("PUT", f"{SUB}{ROLES}/{GUID}", {"properties": {"roleName": "x"}})
    assert error(broken) == (400, "InvalidRequestContent")
    assert error(arm.call("GET", f"{SUB}{ROLES}?$filter=color eq 'red'"))[0] == 400


def test_everybody_reads_the_roles_of_the_tenant(arm: Arm) -> None:
    """At a scope, only those who may read there."""
    arm.called_by(arm.principal("stranger"))

    assert names(arm, "", "roleName eq 'Reader'") == ["Reader"]
    assert arm.get(f"{ROLES}/{READER}")["properties"]["roleName"] == "Reader"
    assert error(arm.call("GET", f"{SUB}{ROLES}/{READER}")) == (403, "AuthorizationFailed")
    assert error(arm.call("GET", f"{GROUP}{ROLES}")) == (403, "AuthorizationFailed")
