"""Management locks: what they stop, where, and how they are listed."""

import pytest

from tests.world.arm import GROUP, MACHINE, STORE, Arm, error
from tests.world.ids import SUB


def lock(arm: Arm, scope: str, level: str = "CanNotDelete", name: str = "keep") -> int:
    """Put a lock; returns the status."""
    path = f"{scope}/providers/Microsoft.Authorization/locks/{name}"
    return arm.call("PUT", path, {"properties": {"level": level}}).status_code


def locks(arm: Arm, scope: str, text: str = "") -> list[str]:
    """Return the names of the locks that a list shows."""
    found = arm.get(f"{scope}/providers/Microsoft.Authorization/locks{text}")
    return [each["name"] for each in found["value"]]


@pytest.mark.parametrize("scope", [SUB, GROUP, STORE])
def test_a_delete_lock_keeps_assignments_but_lets_new_ones_in(arm: Arm, scope: str) -> None:
    """CanNotDelete at or above stops a role assignment's deletion, not its creation."""
    stranger = arm.principal("stranger").oid
    made = arm.assign(STORE, stranger).json()["id"]
    assert lock(arm, scope) == 201

    refused = arm.call("DELETE", made)
    assert error(refused) == (409, "ScopeLocked")
    assert f"locked: '{scope}'. Please remove" in refused.json()["error"]["message"]
    assert arm.assign(GROUP, stranger).status_code == 201
    arm.call("DELETE", f"{scope}/providers/Microsoft.Authorization/locks/keep")
    assert arm.call("DELETE", made).status_code == 200


def test_a_lock_on_a_part_keeps_the_whole(arm: Arm) -> None:
    """A group or resource cannot be deleted while something in it is locked."""
    assert lock(arm, STORE) == 201

    assert error(arm.call("DELETE", GROUP)) == (409, "ScopeLocked")
    assert error(arm.call("DELETE", STORE)) == (409, "ScopeLocked")
    assert arm.call("DELETE", MACHINE).status_code == 202


def test_a_read_only_lock_stops_writes_and_actions(arm: Arm) -> None:
    """ReadOnly lets only reads and its own change through."""
    assert lock(arm, GROUP, "ReadOnly") == 201

    assert error(arm.attach("id1")) == (409, "ScopeLocked")
    assert error(arm.call("POST", f"{MACHINE}/restart")) == (409, "ScopeLocked")
    assert error(arm.assign(GROUP, arm.principal("stranger").oid)) == (409, "ScopeLocked")
    assert arm.get(MACHINE)
    assert lock(arm, GROUP, "CanNotDelete") == 200
    assert arm.attach("id1").status_code == 200


def test_locks_are_listed_around_a_scope(arm: Arm) -> None:
    """A list shows locks at, above and below; with atScope() none below."""
    for scope, name in ((SUB, "top"), (GROUP, "middle"), (STORE, "bottom"), (MACHINE, "beside")):
        assert lock(arm, scope, name=name) == 201

    assert locks(arm, GROUP) == ["top", "middle", "bottom", "beside"]
    assert locks(arm, GROUP, "?$filter=atScope()") == ["top", "middle"]
    assert locks(arm, STORE) == ["top", "middle", "bottom"]


def test_other_locks_are_refused_by_name(arm: Arm) -> None:
    """Levels and properties that the sandbox does not know are not guessed."""
    path = f"{GROUP}/providers/Microsoft.Authorization/locks/keep"
    for properties in ({"level": "NotSpecified"}, {"level": "ReadOnly", "color": "red"}):
        assert error(arm.call("PUT", path, {"properties": properties})) == (
            400,
            "UnsupportedBySandbox",
        )
    assert error(arm.call("GET", path)) == (404, "LockNotFound")
    assert arm.call("DELETE", path).status_code == 204
