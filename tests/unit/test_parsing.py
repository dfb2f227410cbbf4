"""Azure's JSON, part by part: what each says, in whatever spelling."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.azure import parsing
from reconciler.model import ROLE_ASSIGNMENT, AttachedIdentity, IdentityBlock, Permission
from tests.world.builders import APP, NEW, OF_APP, OTHER_VM, SECOND, VM


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
    """A type that nobody knows is kept, so that nothing is written (facts: Identity by type)."""
    empty = {"principalId": None, "tenantId": None, "userAssignedIdentities": None}

    assert parsing.identity_block({"type": text}) == expected
    assert parsing.identity_block({"type": text, **empty}) == expected


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

    assert parsing.identity_block(block) == IdentityBlock(
        system=True,
        principal=NEW,
        attached=(AttachedIdentity(APP, OF_APP), AttachedIdentity(SECOND)),
    )


@pytest.mark.parametrize(
    "odd", ["x", f"{APP}?x", f"{APP}/..", "", f"{APP}\u202e", "/subscriptions"]
)
def test_an_entry_that_is_no_id_is_kept_as_unknown(odd: str) -> None:
    """Who attaches such a thing must not thereby make the rest of the machine unreadable."""
    block = {
        "type": "SystemAssigned, UserAssigned",
        "principalId": NEW,
        "userAssignedIdentities": {odd: {}, str(APP): {"principalId": OF_APP}},
    }

    assert parsing.identity_block(block) == IdentityBlock(
        system=True,
        principal=NEW,
        attached=(AttachedIdentity(APP, OF_APP),),
        unknown=(odd,),
    )


def test_a_right_says_who_wrote_it_and_when_it_was_made() -> None:
    """Azure's times have seven digits behind the second; a PUT's answer names nobody."""
    properties = {"principalId": NEW, "roleDefinitionId": f"/r/{OF_APP}", "scope": str(VM)}
    told = {
        "createdOn": "2026-01-01T00:00:00.1234567Z",
        "createdBy": None,
        "updatedBy": NEW.upper(),
    }
    row = {"id": f"{VM}/providers/{ROLE_ASSIGNMENT}/x", "properties": properties}

    right = parsing.role_assignment({**row, "properties": {**properties, **told}})
    silent = parsing.role_assignment(row)

    assert right.created == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert (right.created_by, right.updated_by) == (None, NEW)
    assert (silent.created, silent.updated_by) == (None, None)


def body(**properties: object) -> dict[str, Any]:
    """Return a machine's body with some properties."""
    return {"id": str(VM), "properties": properties}


def test_a_principal_is_read_only_of_a_system_assigned_identity() -> None:
    """A MySQL server with user-assigned ones alone shows zeros, which are nobody."""
    nobody = "00000000-0000-0000-0000-000000000000"
    block = {"type": "UserAssigned", "principalId": nobody, "tenantId": nobody}

    assert parsing.identity_block(block).principal is None
    assert parsing.identity_block(block | {"type": "SystemAssigned"}).principal == nobody


@pytest.mark.parametrize(
    "shown", [{"principalId": NEW}, {"userAssignedIdentities": {str(APP): {"principalId": OF_APP}}}]
)
@pytest.mark.parametrize("untyped", [{}, {"type": None}, {"type": ""}])
def test_identities_without_a_type_are_of_none_that_we_know(
    shown: dict[str, Any], untyped: dict[str, Any]
) -> None:
    """Half an answer must not say that a machine has lost its principal, whose rights would go."""
    assert parsing.identity_block(shown | untyped).raw_type == "missing"


def test_a_machine_says_what_stands_in_the_way_of_a_write() -> None:
    """An extension under way, its state, and whose it is."""
    child = {"properties": {"provisioningState": "Updating"}}
    member = {"virtualMachineScaleSet": {"id": str(OTHER_VM)}}

    assert parsing.resource({"id": str(VM), "resources": [child]}).deploying
    assert not parsing.resource({"id": str(VM), "resources": [{"id": str(VM)}]}).deploying
    assert parsing.resource(body(provisioningState="Deleting")).state == "Deleting"
    assert parsing.resource({"id": str(VM), "managedBy": "/x/y"}).managed_by == "/x/y"
    assert parsing.resource(body(**member)).managed_by is None
    assert parsing.resource({"id": str(VM), "managedBy": ""}).managed_by is None


def test_the_header_s_etag_counts_where_there_are_two() -> None:
    """It is there in answers whose body has none (facts: Machines)."""
    assert parsing.resource({"id": str(VM), "etag": '"1"'}, '"2"').etag == '"2"'
    assert parsing.resource({"id": str(VM), "etag": '"1"'}).etag == '"1"'


def test_tags_without_a_value_are_empty() -> None:
    """Resource Graph shows null for them."""
    assert parsing.resource({"id": str(VM), "tags": {"a": None}}).tags == {"a": ""}


@pytest.mark.parametrize("told", ["2026-01-01T00:00:00", "2026-01-01T02:00:00+02:00"])
def test_times_are_utc(told: str) -> None:
    """Compared with ours they must neither fail nor be off, and people read them as such."""
    body = {"id": str(VM), "properties": {"timeCreated": told}}

    created = parsing.resource(body).created
    assert (created, created and created.tzinfo) == (datetime(2026, 1, 1, tzinfo=UTC), UTC)


def test_a_role_definition_is_read_for_what_it_allows() -> None:
    """Lists that are left out or null are empty."""
    told = {"actions": ["*/read"], "notActions": None, "dataActions": ["a/b"]}
    found = parsing.permissions({"properties": {"permissions": [told, {}]}})

    assert found == (Permission(("*/read",), (), ("a/b",), ()), Permission())
