"""Azure's JSON: every recorded body is read, and what cannot be read is refused whole."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler import answers
from reconciler.errors import Unreadable
from reconciler.ids import ResourceId, fold, is_guid
from reconciler.model import (
    ROLE_ASSIGNMENT,
    USER_ASSIGNED_IDENTITY,
    VIRTUAL_MACHINE,
    AttachedIdentity,
    IdentityBlock,
    Permission,
)
from tests.unit.builders import APP, DATA, NEW, OF_APP, OLD, OTHER_VM, READER, SECOND, VM

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
        read = answers.resource(body)
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
        answers.resource(body)
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
        for entry in answers.resource(body).identities.attached
    ]

    assert {entry.principal is None for entry in entries} == {True, False}


def test_every_recorded_user_assigned_identity_is_read(shared: Path) -> None:
    """Its own id says `resourcegroups`, a machine's entry of it `resourceGroups`: one identity."""
    read = [answers.user_identity(body) for body in recorded(shared, USER_ASSIGNED_IDENTITY)]
    machines = [answers.resource(body) for body in recorded(shared, VIRTUAL_MACHINE)]
    carried = {entry.id for machine in machines for entry in machine.identities.attached}

    assert read
    assert all(is_guid(one.principal) and is_guid(one.client) for one in read)
    assert all(one.id.is_type(USER_ASSIGNED_IDENTITY) for one in read)
    assert {one.id for one in read} & carried


def test_every_recorded_role_assignment_is_read(shared: Path) -> None:
    """The role is a GUID whatever scope its definition id is spelled at (facts A2.5)."""
    bodies = list(recorded(shared, ROLE_ASSIGNMENT))
    assert bodies

    for body in bodies:
        read = answers.role_assignment(body)
        properties = body["properties"]
        assert is_guid(read.role)
        assert is_guid(read.principal)
        assert read.id.is_type(ROLE_ASSIGNMENT)
        assert read.scope == ResourceId.parse(properties["scope"].upper())
        assert read.condition == properties.get("condition")
        assert read.created_by == properties.get("createdBy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, IdentityBlock()),
        ("None", IdentityBlock()),
        ("SystemAssigned", IdentityBlock(system=True)),
        ("UserAssigned", IdentityBlock()),
        ("userassigned", IdentityBlock()),
        ("SystemAssigned,UserAssigned", IdentityBlock(system=True)),
        ("systemAssigned, userAssigned", IdentityBlock(system=True)),
        ("Delegated", IdentityBlock(raw_type="Delegated")),
        ("SystemAssigned, New", IdentityBlock(system=True, raw_type="SystemAssigned, New")),
    ],
)
def test_identity_types_are_read_in_every_provider_s_spelling(
    text: str | None, expected: IdentityBlock
) -> None:
    """Facts A2.3, recorded; a type that nobody knows is kept, so that nothing is written."""
    empty = {"principalId": None, "tenantId": None, "userAssignedIdentities": None}

    assert answers.identity_block({"type": text}) == expected
    assert answers.identity_block({"type": text, **empty}) == expected


def test_entries_are_sorted_and_guids_are_lower_case() -> None:
    """The order of a map in JSON means nothing, and GUIDs are compared as texts."""
    block = {
        "type": "SystemAssigned, UserAssigned",
        "principalId": NEW.upper(),
        "userAssignedIdentities": {
            str(SECOND): None,
            APP.text.upper(): {"principalId": OF_APP.upper()},
        },
    }

    assert answers.identity_block(block) == IdentityBlock(
        system=True,
        principal=NEW,
        attached=(AttachedIdentity(APP, OF_APP), AttachedIdentity(SECOND)),
    )


def body(**properties: object) -> dict[str, Any]:
    """Return a machine's body with some properties."""
    return {"id": str(VM), "properties": properties}


def test_a_principal_is_read_only_of_a_system_assigned_identity() -> None:
    """A MySQL server with user-assigned ones alone shows zeros, which are nobody."""
    nobody = "00000000-0000-0000-0000-000000000000"
    block = {"type": "UserAssigned", "principalId": nobody, "tenantId": nobody}

    assert answers.identity_block(block).principal is None
    assert answers.identity_block(block | {"type": "SystemAssigned"}).principal == nobody


@pytest.mark.parametrize(
    "shown", [{"principalId": NEW}, {"userAssignedIdentities": {str(APP): {"principalId": OF_APP}}}]
)
@pytest.mark.parametrize("untyped", [{}, {"type": None}, {"type": ""}])
def test_identities_without_a_type_are_of_none_that_we_know(
    shown: dict[str, Any], untyped: dict[str, Any]
) -> None:
    """Half an answer must not say that a machine has lost its principal, whose rights would go."""
    assert answers.identity_block(shown | untyped).raw_type == "missing"


def test_a_machine_says_what_stands_in_the_way_of_a_write() -> None:
    """An extension under way, its state, and whose it is."""
    child = {"properties": {"provisioningState": "Updating"}}
    set_ = {"virtualMachineScaleSet": {"id": str(OTHER_VM)}}

    assert answers.resource({"id": str(VM), "resources": [child]}).deploying
    assert not answers.resource({"id": str(VM), "resources": [{"id": str(VM)}]}).deploying
    assert answers.resource(body(provisioningState="Deleting")).state == "Deleting"
    assert answers.resource({"id": str(VM), "managedBy": "/x/y"}).managed_by == "/x/y"
    assert answers.resource(body(**set_)).managed_by == str(OTHER_VM)
    assert answers.resource({"id": str(VM), "managedBy": ""}).managed_by is None


def test_the_header_s_etag_counts_where_there_are_two() -> None:
    """It is there in answers whose body has none (facts A2.1)."""
    assert answers.resource({"id": str(VM), "etag": '"1"'}, '"2"').etag == '"2"'
    assert answers.resource({"id": str(VM), "etag": '"1"'}).etag == '"1"'


def test_tags_without_a_value_are_empty() -> None:
    """Resource Graph shows null for them."""
    assert answers.resource({"id": str(VM), "tags": {"a": None}}).tags == {"a": ""}


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"id": None},
        {"id": "vm"},
        {"id": f"{VM}/../x"},
        {"id": str(VM), "properties": {"timeCreated": "yesterday"}},
        {"id": str(VM), "identity": {"type": 7}},
        {"id": str(VM), "identity": {"type": "UserAssigned", "userAssignedIdentities": {"x": {}}}},
        {"id": str(VM), "identity": ["SystemAssigned"]},
        {"id": str(VM), "tags": ["a"]},
    ],
)
def test_half_a_resource_is_none(bad: dict[str, Any]) -> None:
    """A plan is never made from half a read; the id is named where there is one."""
    with pytest.raises(Unreadable, match=r"is not a resource"):
        answers.resource(bad)


@pytest.mark.parametrize("missing", ["principalId", "roleDefinitionId", "scope"])
def test_half_a_role_assignment_is_none(missing: str) -> None:
    """A right whose holder, role or place is unknown cannot be compared."""
    properties = {"principalId": NEW, "roleDefinitionId": f"/r/{READER}", "scope": str(DATA)}
    whole = {"id": f"{DATA}/providers/{ROLE_ASSIGNMENT}/x", "properties": properties}
    assert answers.role_assignment(whole).role == READER

    with pytest.raises(Unreadable, match="is not a role assignment"):
        answers.role_assignment({**whole, "properties": {**properties, missing: None}})


def test_an_identity_without_principal_is_not_there_yet() -> None:
    """It cannot be granted anything, so it is read again later."""
    with pytest.raises(Unreadable, match="is not a user-assigned identity"):
        answers.user_identity({"id": str(APP), "properties": {"principalId": None}})


def leaves(value: object, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where a body says something, as the keys that lead there."""
    if not isinstance(value, dict):
        yield place
        return
    for key, part in value.items():
        yield from leaves(part, (*place, key))


def with_part(body: dict[str, Any], place: tuple[str, ...], part: object) -> dict[str, Any]:
    """Return a body with something else at one place."""
    key, *rest = place
    return {**body, key: with_part(body[key], tuple(rest), part) if rest else part}


WHOLE: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
    (
        answers.resource,
        {
            "id": str(VM),
            "location": "westeurope",
            "tags": {"env": "dev"},
            "etag": "1",
            "managedBy": None,
            "identity": {
                "type": "UserAssigned",
                "principalId": OLD,
                "userAssignedIdentities": {str(APP): {"principalId": OLD}},
            },
            "properties": {
                "vmId": "v",
                "timeCreated": "2026-01-01T00:00:00+00:00",
                "provisioningState": "Succeeded",
                "virtualMachineScaleSet": {"id": "set"},
            },
            "resources": [],
        },
    ),
    (
        answers.user_identity,
        {
            "id": str(APP),
            "location": "westeurope",
            "properties": {"principalId": OLD, "clientId": OLD},
        },
    ),
    (
        answers.role_assignment,
        {
            "id": f"{VM}/providers/Microsoft.Authorization/roleAssignments/{OLD}",
            "properties": {
                "principalId": OLD,
                "principalType": "ServicePrincipal",
                "roleDefinitionId": f"/roleDefinitions/{OLD}",
                "scope": str(VM),
                "condition": None,
                "description": "text",
                "createdBy": OLD,
            },
        },
    ),
    (answers.id_of, {"id": str(VM)}),
]


@pytest.mark.parametrize(("read", "body"), WHOLE, ids=lambda part: getattr(part, "__name__", ""))
@pytest.mark.parametrize("odd", [7, True, 1.5, ["x"], [None], {"x": 1}], ids=repr)
def test_no_part_of_another_kind_is_taken_for_what_was_asked(
    read: Callable[[Any], object], body: dict[str, Any], odd: object
) -> None:
    """A number, list or object in place of a text must not surface later, as a bug of ours."""
    assert read(body)
    for place in leaves(body):
        with pytest.raises(Unreadable):
            read(with_part(body, place, odd))


@pytest.mark.parametrize("told", ["2026-01-01T00:00:00", "2026-01-01T02:00:00+02:00"])
def test_times_are_utc(told: str) -> None:
    """Compared with ours they must neither fail nor be off, and people read them as such."""
    body = {"id": str(VM), "properties": {"timeCreated": told}}

    created = answers.resource(body).created
    assert (created, created and created.tzinfo) == (datetime(2026, 1, 1, tzinfo=UTC), UTC)


def test_a_role_definition_is_read_for_what_it_allows() -> None:
    """Lists that are left out or null are empty."""
    told = {"actions": ["*/read"], "notActions": None, "dataActions": ["a/b"]}
    found = answers.permissions({"properties": {"permissions": [told, {}]}})

    assert found == (Permission(("*/read",), (), ("a/b",), ()), Permission())


@pytest.mark.parametrize(
    "properties",
    [{}, {"permissions": None}, {"permissions": ["*"]}, {"permissions": [{"actions": "*"}]}],
)
def test_half_a_role_definition_is_not_read(properties: dict[str, object]) -> None:
    """A role that seems to allow nothing would pass every guardrail."""
    with pytest.raises(Unreadable, match="a role definition"):
        answers.permissions({"properties": properties})
