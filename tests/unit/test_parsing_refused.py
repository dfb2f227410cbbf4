"""Of Azure's JSON, what cannot be read is refused whole."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconciler.azure import parsing
from reconciler.errors import Unreadable
from reconciler.model import ROLE_ASSIGNMENT
from tests.world.builders import APP, DATA, NEW, OLD, VM
from tests.world.ids import READER


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"id": None},
        {"id": "vm"},
        {"id": f"{VM}/../x"},
        {"id": str(VM), "properties": {"timeCreated": "yesterday"}},
        {"id": str(VM), "identity": {"type": 7}},
        {"id": str(VM), "identity": {"type": "UserAssigned", "userAssignedIdentities": {"x": 7}}},
        {"id": str(VM), "identity": {"type": "UserAssigned", "userAssignedIdentities": ["x"]}},
        {"id": str(VM), "identity": ["SystemAssigned"]},
        {"id": str(VM), "tags": ["a"]},
    ],
)
def test_half_a_resource_is_none(bad: dict[str, Any]) -> None:
    """A plan is never made from half a read; the id is named where there is one."""
    with pytest.raises(Unreadable, match=r"is not a resource"):
        parsing.resource(bad)


IMPOSSIBLE = [
    *("0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:00", "1/1/2026 6:38:04 PM", "yesterday", "٣"),
    *("-1", "2026-01-01T00:00:00Z\n2026", "9" * 10_000),
]


@pytest.mark.parametrize("time", IMPOSSIBLE, ids=lambda time: time[:30])
def test_an_impossible_time_makes_an_answer_unreadable(time: str) -> None:
    """Nothing is decided by it, and nobody who adds an hour to it fails later."""
    properties = {"principalId": NEW, "roleDefinitionId": f"/r/{READER}", "scope": str(DATA)}
    right = {
        "id": f"{DATA}/providers/{ROLE_ASSIGNMENT}/x",
        "properties": {**properties, "createdOn": time},
    }
    entry = {
        "status": {"value": "Succeeded"},
        "operationName": {"value": "x/write"},
        "eventTimestamp": time,
    }

    with pytest.raises(Unreadable):
        parsing.role_assignment(right)
    with pytest.raises(Unreadable):
        parsing.resource({"id": str(VM), "properties": {"timeCreated": time}})
    with pytest.raises(Unreadable):
        parsing.written(entry)


def test_a_refusal_quotes_little_of_an_answer_and_nothing_that_forges_a_line() -> None:
    """Answers hold names that others chose, and may be megabytes."""
    for odd in ("x\n\u202e" * 10_000, ["x" * 1_000_000], "y" * 1_000_000):
        with pytest.raises(Unreadable) as caught:
            parsing.resource({"id": odd})
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("missing", ["principalId", "roleDefinitionId", "scope"])
def test_half_a_role_assignment_is_none(missing: str) -> None:
    """A right whose holder, role or place is unknown cannot be compared."""
    properties = {"principalId": NEW, "roleDefinitionId": f"/r/{READER}", "scope": str(DATA)}
    whole = {"id": f"{DATA}/providers/{ROLE_ASSIGNMENT}/x", "properties": properties}
    assert parsing.role_assignment(whole).role == READER

    with pytest.raises(Unreadable, match="is not a role assignment"):
        parsing.role_assignment({**whole, "properties": {**properties, missing: None}})


def test_an_identity_without_principal_is_not_there_yet() -> None:
    """It cannot be granted anything, so it is read again later."""
    with pytest.raises(Unreadable, match="is not a user-assigned identity"):
        parsing.user_identity({"id": str(APP), "properties": {"principalId": None}})


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
        parsing.resource,
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
            },
            "resources": [],
        },
    ),
    (
        parsing.user_identity,
        {
            "id": str(APP),
            "location": "westeurope",
            "properties": {"principalId": OLD, "clientId": OLD},
        },
    ),
    (
        parsing.role_assignment,
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
                "createdOn": "2026-01-01T00:00:00.1234567Z",
                "updatedBy": OLD,
            },
        },
    ),
    (parsing.id_of, {"id": str(VM)}),
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


@pytest.mark.parametrize(
    "properties",
    [{}, {"permissions": None}, {"permissions": ["*"]}, {"permissions": [{"actions": "*"}]}],
)
def test_half_a_role_definition_is_not_read(properties: dict[str, object]) -> None:
    """A role that seems to allow nothing would pass every guardrail."""
    with pytest.raises(Unreadable, match="a role definition"):
        parsing.permissions({"properties": properties})
