"""What a filter lets pass, and what a filter may be; by facts: Delivery."""

from typing import Any

import pytest

from sandbox.arm.errors import AzureError
from sandbox.eventgrid import filters
from tests.sandbox.grid import Grid
from tests.world.arm import GROUP

VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/VM-1"
CLAIM = "http://schemas.microsoft.com/identity/claims/objectidentifier"
EVENT: dict[str, Any] = {
    "id": "1",
    "topic": "/subscriptions/s",
    "subject": VM,
    "eventType": "Microsoft.Resources.ResourceWriteSuccess",
    "eventTime": "2026-03-01T12:00:00Z",
    "dataVersion": "2",
    "data": {
        "operationName": "Microsoft.Compute/virtualMachines/write",
        "claims": {"appid": "a", CLAIM: "oid"},
        "httpRequest": None,
        "count": 5,
        "zones": ["one", "two"],
    },
}
OPERATION = "data.operationName"


def advanced(operator: str, key: str = OPERATION, *values: Any, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a filter with one advanced filter."""
    listed = {"values": list(values)} if values else {}
    return {"advancedFilters": [{"operatorType": operator, "key": key, **listed, **more}]}


def passes(wanted: dict[str, Any]) -> bool:
    """Tell whether the event passes a filter."""
    return filters.matches(filters.check(wanted), EVENT)


@pytest.mark.parametrize(
    ("wanted", "passed"),
    [
        ({}, True),
        ({"includedEventTypes": None}, True),
        ({"includedEventTypes": ["All"]}, True),
        ({"includedEventTypes": ["microsoft.resources.resourcewritesuccess"]}, True),
        ({"includedEventTypes": ["Microsoft.Resources.ResourceDeleteSuccess"]}, False),
        ({"subjectBeginsWith": GROUP.upper()}, True),
        ({"subjectBeginsWith": GROUP.upper(), "isSubjectCaseSensitive": True}, False),
        ({"subjectBeginsWith": "/providers"}, False),
        ({"subjectEndsWith": "vm-1"}, True),
        ({"subjectEndsWith": "vm-1", "isSubjectCaseSensitive": True}, False),
        ({"subjectBeginsWith": GROUP, "subjectEndsWith": "vm-2"}, False),
    ],
)
def test_types_and_subjects(wanted: dict[str, Any], passed: bool) -> None:  # noqa: FBT001 - a table's column
    """All conditions hold together; without being told, case does not count."""
    assert passes(wanted) is passed


@pytest.mark.parametrize(
    ("wanted", "passed"),
    [
        (advanced("StringIn", OPERATION, "x", "MICROSOFT.compute/virtualMachines/write"), True),
        (advanced("StringIn", OPERATION, "Microsoft.Compute"), False),
        (advanced("StringNotIn", OPERATION, "Microsoft.Compute"), True),
        (advanced("StringNotIn", OPERATION, "microsoft.compute/virtualmachines/write"), False),
        (advanced("StringContains", OPERATION, "VIRTUAL"), True),
        (advanced("StringNotContains", OPERATION, "VIRTUAL"), False),
        (advanced("StringBeginsWith", OPERATION, "microsoft.compute/"), True),
        (advanced("StringNotBeginsWith", OPERATION, "microsoft.compute/"), False),
        (advanced("StringEndsWith", OPERATION, "/delete", "/write"), True),
        (advanced("StringNotEndsWith", OPERATION, "/delete"), True),
        (advanced("stringin", "Subject", VM.lower()), True),
        (advanced("StringIn", "type", EVENT["eventType"]), True),
        (advanced("StringIn", "data.count", "5"), False),
    ],
)
def test_operators(wanted: dict[str, Any], passed: bool) -> None:  # noqa: FBT001 - a table's column
    """Any value of a filter is enough, compared without regard to case."""
    assert passes(wanted) is passed


@pytest.mark.parametrize(
    ("operator", "passed"),
    [
        ("StringIn", False),
        ("StringContains", False),
        ("StringNotIn", True),
        ("StringNotContains", True),
    ],
)
def test_a_missing_key_passes_negations_only(operator: str, passed: bool) -> None:  # noqa: FBT001 - a table's column
    """What is not there is none of the values."""
    assert passes(advanced(operator, "data.missing", "x")) is passed


def test_a_key_with_dots_is_out_of_reach() -> None:
    """A claim's name is a URI; its dots lead into objects that are not there."""
    assert passes(advanced("StringIn", "data.claims.appid", "a"))
    assert not passes(advanced("StringIn", f"data.claims.{CLAIM}", "oid"))


def test_arrays_match_where_that_is_switched_on() -> None:
    """Otherwise an array is no text."""
    wanted = advanced("StringIn", "data.zones", "two")

    assert not passes(wanted)
    assert passes({**wanted, "enableAdvancedFilteringOnArrays": True})


def test_all_advanced_filters_must_hold() -> None:
    """They are joined by and."""
    first = advanced("StringContains", OPERATION, "virtual")["advancedFilters"]
    second = advanced("StringContains", OPERATION, "delete")["advancedFilters"]

    assert not passes({"advancedFilters": first + second})


def test_the_limits_themselves_are_allowed() -> None:
    """25 filters, 25 values in sum, 512 characters."""
    one = advanced("StringIn", OPERATION, "x" * 512)["advancedFilters"]

    assert not passes({"advancedFilters": one * 25})


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"advancedFilters": [{}] * 26}, "26 advanced filters"),
        (advanced("StringIn", OPERATION, *"abcdefghijklmnopqrstuvwxyz"), "26 values"),
        (advanced("StringIn", OPERATION, "x" * 513), "512"),
        (advanced("StringMatches", OPERATION, "x"), "StringMatches"),
        (advanced("StringIn", "", "x"), "empty key"),
        (advanced("StringIn"), "needs values"),
        (advanced("StringIn", OPERATION, 1), "texts"),
        (advanced("NumberIn", OPERATION, 1), "NumberIn"),
        (advanced("IsNotNull", OPERATION), "IsNotNull"),
        (advanced("StringIn", OPERATION, value="x"), "'value'"),
        ({"advancedFilters": [{"operatorType": "StringIn"}]}, "key"),
        ({"advancedFilters": {"key": OPERATION}}, "list"),
        ({"includedEventTypes": "All"}, "includedEventTypes"),
        ({"subjectBeginsWith": ["/a", "/b"]}, "subjectBeginsWith"),
        ({"subjectBeginWith": "/a"}, "'subjectBeginWith'"),
        ({"isSubjectCaseSensitive": "no"}, "isSubjectCaseSensitive"),
        ({"advancedFilters": [{"key": "id", "operator": "IsNotNull"}]}, "'operator'"),
    ],
)
def test_wrong_filters_are_refused(wanted: dict[str, Any], named: str) -> None:
    """400 says what is wrong."""
    with pytest.raises(AzureError) as refusal:
        filters.check(wanted)

    assert refusal.value.status == 400
    assert named in refusal.value.message


def test_a_filter_decides_over_real_events(grid: Grid) -> None:
    """Only what was asked for is delivered."""
    name = "Microsoft.ManagedIdentity/userAssignedIdentities/write"
    grid.subscribe(filter=advanced("StringIn", OPERATION, name))
    grid.write()
    grid.arm.assign(GROUP, grid.arm.principal("stranger").oid)
    grid.turn(1)

    assert [body[0]["data"]["operationName"] for body in grid.delivered()] == [name]
    refused = grid.put("other", filter=advanced("StringMatches", OPERATION, "x"))
    assert refused.status_code == 400
