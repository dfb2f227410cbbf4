"""The comparison that the replay rests on: what it lets pass and what it finds."""

import json
from typing import Any

import pytest
import requests

from tests.conformance.agreement import Agreement
from tests.conformance.recordings import TRIMMED, exchange

ONE = "0b5f3f5e-7c1d-4a52-9a55-1b6c5f1f0001"
TWO = "0b5f3f5e-7c1d-4a52-9a55-1b6c5f1f0002"
OTHER = "6b1c1c1e-1111-4a52-9a55-1b6c5f1f0003"
ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"


def compare(
    recorded: object,
    ours: object,
    *,
    headers: dict[str, str] | None = None,
    sent: dict[str, str] | None = None,
) -> list[str]:
    """Return the places where two answers differ."""
    record: dict[str, Any] = {
        "method": "GET",
        "url": f"https://management.azure.com{ID}?api-version=2024-07-01",
        "request_body": None,
        "status": 200,
        "headers": headers or {},
        "body": recorded,
    }
    response = requests.Response()
    response.status_code = 200
    response.headers.update(sent or {})
    response._content = json.dumps(ours).encode()  # noqa: SLF001 - requests has no other way
    agreement = Agreement()
    agreement.answer(exchange(record), response)
    return [place for place, _ in agreement.differences]


@pytest.mark.parametrize(
    ("recorded", "ours"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": "2024-08-26T09:05:45Z"}, {"a": "2026-03-01T12:00:00.5Z"}),
        ({"a": ONE, "b": ONE}, {"a": OTHER, "b": OTHER}),
        ({"value": [{"id": "/A"}], TRIMMED: 9}, {"value": [{"id": "/b"}, {"id": "/A"}]}),
        ({"error": {"message": "No."}}, {"error": {"message": "No. See there."}}),
    ],
)
def test_what_no_client_can_tell_apart_agrees(recorded: object, ours: object) -> None:
    """Times, GUIDs that the server chooses, the order of lists, sentences that were added."""
    assert compare(recorded, ours) == []


@pytest.mark.parametrize(
    ("recorded", "ours", "place"),
    [
        ({"a": 1}, {}, "body.a"),
        ({}, {"a": 1}, "body.a"),
        ({"a": None}, {"a": ""}, "body.a"),
        ({"a": 1}, {"a": True}, "body.a"),
        ({"a": "SystemAssigned, UserAssigned"}, {"a": "SystemAssigned,UserAssigned"}, "body.a"),
        ({"id": ID}, {"id": ID.replace("resourceGroups", "resourcegroups")}, "body.id"),
        ({"a": "2024-08-26T09:05:45Z"}, {"a": "2026-03-01T12:00:00+00:00"}, "body.a"),
        ({"a": ONE, "b": ONE}, {"a": OTHER, "b": TWO}, "body.b"),
        ({"value": [{"id": "/A"}]}, {"value": [{"id": "/A"}, {"id": "/b"}]}, "body.value.length"),
        ({"userAssignedIdentities": {"/A": {}}}, {"userAssignedIdentities": {"/a": {}}}, "body.u"),
    ],
)
def test_what_a_client_can_tell_apart_differs(recorded: object, ours: object, place: str) -> None:
    """Members, types, spelling, the form of times, which GUIDs are the same, how many there are."""
    found = compare(recorded, ours)

    assert found
    assert found[0].startswith(place)


@pytest.mark.parametrize(
    ("name", "recorded", "sent"),
    [
        ("etag", '"2"', '"3"'),
        ("etag", '"2"', None),
        ("azure-asyncnotification", None, "Enabled"),
        ("x-ms-failure-cause", "gateway", None),
        ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/A;9", "Microsoft.Compute/B;9"),
        ("location", "https://a/x/operations/1?t=2", "https://a/x/operations/1?monitor=true&t=2"),
        ("location", "https://a/x/operations/1?t=2", "https://a/y/operations/1?t=2"),
    ],
)
def test_headers_that_clients_act_on_differ(
    name: str, recorded: str | None, sent: str | None
) -> None:
    """Tags, kinds of buckets, where to poll; present where they were absent, or the reverse."""
    theirs = {name: recorded} if recorded else {}
    ours = {name: sent} if sent else {}

    assert compare({}, {}, headers=theirs, sent=ours) == [name]


def test_names_of_operations_and_what_is_left_are_no_difference() -> None:
    """Nobody reads them: the server chooses the one and counts the other."""
    theirs = {
        "location": "https://a/x/operations/1?t=2",
        "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/A;9",
    }
    ours = {
        "location": "https://b/x/operations/7?t=3",
        "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/A;11",
    }

    assert compare({}, {}, headers=theirs, sent=ours) == []
