"""Every recorded body of Azure's is read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.azure import parsing
from reconciler.ids import ResourceId, fold, is_guid
from reconciler.model import ROLE_ASSIGNMENT, USER_ASSIGNED_IDENTITY

VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets"


def recorded(shared: Path, kind: str) -> Iterator[dict[str, Any]]:
    """Yield each recorded body of a type, from single answers and from lists."""
    for file in sorted((shared / "arm" / "interactions").iterdir()):
        for exchange in json.loads(file.read_text("utf-8"))["interactions"]:
            body = exchange["body"]
            rows = body.get("value", [body]) if isinstance(body, dict) else []
            for row in rows if isinstance(rows, list) else []:
                if isinstance(row, dict) and fold(str(row.get("type"))) == fold(kind):
                    yield row


@pytest.mark.parametrize("kind", [VIRTUAL_MACHINE, SCALE_SET])
def test_every_recorded_machine_is_read(shared: Path, kind: str) -> None:
    """With all that is in its identity block, and the same id whatever its casing."""
    bodies = [body for body in recorded(shared, kind) if "id" in body]
    assert bodies

    for body in bodies:
        read = parsing.resource(body)
        block = body.get("identity") or {}
        assert read.id == ResourceId.parse(body["id"].upper())
        assert read.id.is_type(kind)
        assert read.location
        assert read.identities.raw_type is None
        assert read.principal == block.get("principalId")
        assert len(read.identities.attached) == len(block.get("userAssignedIdentities") or {})
        assert read.identities.system == ("SystemAssigned" in block.get("type", ""))


def test_recorded_machines_tell_their_incarnations(shared: Path) -> None:
    """A PATCH changes the etag, never `vmId`."""
    machines = [
        parsing.resource(body)
        for body in recorded(shared, VIRTUAL_MACHINE)
        if "vmId" in body.get("properties", {})
    ]
    incarnations = {(machine.id, machine.incarnation) for machine in machines}

    assert len({id_ for id_, _ in incarnations}) == len(incarnations)
    assert {machine.state for machine in machines} >= {"Succeeded", "Updating"}
    assert any(machine.etag for machine in machines)
    assert all(machine.created and machine.created.tzinfo for machine in machines)


def test_an_entry_that_is_being_attached_has_no_principal_yet(shared: Path) -> None:
    """Recorded: a PATCH's answer shows `{}`, which must read as such and not fail."""
    entries = [
        entry
        for body in recorded(shared, VIRTUAL_MACHINE)
        for entry in parsing.resource(body).identities.attached
    ]

    assert {entry.principal is None for entry in entries} == {True, False}


def test_every_recorded_user_assigned_identity_is_read(shared: Path) -> None:
    """Its own id says `resourcegroups`, a machine's entry of it `resourceGroups`: one identity."""
    read = [parsing.user_identity(body) for body in recorded(shared, USER_ASSIGNED_IDENTITY)]
    machines = [parsing.resource(body) for body in recorded(shared, VIRTUAL_MACHINE)]
    carried = {entry.id for machine in machines for entry in machine.identities.attached}

    assert read
    assert all(is_guid(one.principal) and is_guid(one.client) for one in read)
    assert all(one.id.is_type(USER_ASSIGNED_IDENTITY) for one in read)
    assert {one.id for one in read} & carried


def test_every_recorded_role_assignment_is_read(shared: Path) -> None:
    """The role is a GUID whatever scope its definition id is spelled at.

    See facts: Role assignments.
    """
    bodies = list(recorded(shared, ROLE_ASSIGNMENT))
    assert bodies

    for body in bodies:
        read = parsing.role_assignment(body)
        properties = body["properties"]
        assert is_guid(read.role)
        assert is_guid(read.principal)
        assert read.id.is_type(ROLE_ASSIGNMENT)
        assert read.scope == ResourceId.parse(properties["scope"].upper())
        assert read.condition == properties.get("condition")
        assert read.created_by == properties.get("createdBy")
