"""Tags as a resource of their own, on each kind of scope."""

from typing import Any

import pytest

from tests.world.arm import GROUP, MACHINE, STORE, Arm, error
from tests.world.ids import SUB

DEFAULT = "providers/Microsoft.Resources/tags/default"


def tags(**wanted: str) -> dict[str, Any]:
    """Return the body that sends tags."""
    return {"properties": {"tags": wanted}}


@pytest.mark.parametrize("scope", [SUB, GROUP, MACHINE, STORE])
def test_tags_are_replaced_merged_deleted_and_shown(arm: Arm, scope: str) -> None:
    """azure-cli test_tag_update_*: each answer is 200 with all tags, that of a DELETE is empty."""
    path = f"{scope}/{DEFAULT}"
    seen: list[dict[str, str]] = []
    for method, body in (
        ("PUT", tags(a="1", b="2")),
        ("PATCH", {"operation": "Merge", **tags(A="3", c="4")}),
        ("PATCH", {"operation": "Delete", **tags(c="4")}),
        ("PATCH", {"operation": "Replace", **tags(d="5")}),
        ("GET", None),
    ):
        answer = arm.call(method, path, body)
        assert answer.status_code == 200
        seen.append(answer.json()["properties"]["tags"])
        expected = {"id": path, "name": "default", "type": "Microsoft.Resources/tags"}
        assert answer.json() == expected | {"properties": {"tags": seen[-1]}}

    assert seen == [
        {"a": "1", "b": "2"},
        {"b": "2", "A": "3", "c": "4"},
        {"b": "2", "A": "3"},
        {"d": "5"},
        {"d": "5"},
    ]
    deleted = arm.call("DELETE", path)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert arm.get(path)["properties"]["tags"] == {}


def test_tags_are_those_of_the_resource(arm: Arm) -> None:
    """Whichever way they were written, each shows them; the index and the entity tag, too."""
    before = arm.get(MACHINE)["etag"]
    arm.call("PUT", f"{MACHINE}/{DEFAULT}", tags(team="desktop"))
    arm.call("PATCH", STORE, {"tags": {"team": "data"}})

    shown = arm.get(MACHINE)
    assert shown["tags"] == {"team": "desktop"}
    assert shown["etag"] != before
    assert arm.get(f"{STORE}/{DEFAULT}")["properties"]["tags"] == {"team": "data"}
    found = arm.query("resources | where tags.team == 'desktop' | project id")
    assert [row["id"] for row in found.json()["data"]] == [MACHINE]


def test_the_news_of_tags_is_of_the_resource(arm: Arm) -> None:
    """The subject is the machine, the operation is that of tags (facts: Resource events)."""
    events: list[dict[str, Any]] = []
    arm.world.feed.subscribe(events.append)
    arm.call("PUT", f"{MACHINE}/{DEFAULT}", tags(a="1"))
    arm.call("DELETE", f"{MACHINE}/{DEFAULT}")

    written, deleted = events
    assert written["subject"].lower() == deleted["subject"].lower() == MACHINE.lower()
    assert written["eventType"] == "Microsoft.Resources.ResourceWriteSuccess"
    assert written["data"]["operationName"] == "Microsoft.Resources/tags/write"
    assert written["data"]["authorization"]["action"] == "Microsoft.Resources/tags/write"
    assert written["data"]["resourceProvider"] == "Microsoft.Resources"
    assert deleted["eventType"] == "Microsoft.Resources.ResourceDeleteSuccess"
    assert deleted["data"]["operationName"] == "Microsoft.Resources/tags/delete"


def test_tags_need_their_scope_a_right_and_a_body(arm: Arm) -> None:
    """404 as for the scope itself, 403 for a stranger, 400 for what are no tags."""
    missing = MACHINE.replace("/vm", "/none")
    assert error(arm.call("GET", f"{missing}/{DEFAULT}")) == (404, "ResourceNotFound")
    wrong = {"operation": "Mix", **tags(a="1")}
    assert error(arm.call("PATCH", f"{GROUP}/{DEFAULT}", wrong)) == (400, "InvalidRequestContent")
    assert error(arm.call("PUT", f"{GROUP}/{DEFAULT}", {})) == (400, "InvalidRequestContent")
    stranger = arm.called_by(arm.principal("stranger"))
    refused = stranger.call("PUT", f"{MACHINE}/{DEFAULT}", tags(a="1"))
    assert error(refused) == (403, "AuthorizationFailed")
    assert "Microsoft.Resources/tags/write" in refused.json()["error"]["message"]
