"""User-assigned identities."""

import pytest

from tests.world.arm import Arm, error, identity


def test_tags_are_patched_and_the_principal_stays(arm: Arm) -> None:
    """PATCH replaces tags and keeps the principal; a second DELETE finds nothing."""
    before = arm.get(identity("id1"))
    patched = arm.call("PATCH", identity("id1"), {"tags": {"team": "desk"}}).json()

    assert patched == {**before, "tags": {"team": "desk"}}
    assert arm.call("DELETE", identity("id1")).status_code == 200
    assert arm.call("DELETE", identity("id1")).status_code == 204


def test_an_identity_needs_its_group_and_a_location(arm: Arm) -> None:
    """404 without the group, 400 without the location."""
    elsewhere = identity("id1").replace("/rg/", "/gone/")

    assert error(arm.call("PUT", elsewhere, {"location": "x"})) == (404, "ResourceGroupNotFound")
    assert error(arm.call("PUT", identity("new"), {})) == (400, "LocationRequired")


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("PUT", "federatedIdentityCredentials/ci"), ("POST", "listAssociatedResources")],
)
def test_children_and_actions_of_an_identity_are_refused_by_name(
    arm: Arm, method: str, suffix: str
) -> None:
    """They are no resources without a service of their own."""
    answer = arm.call(method, f"{identity('id1')}/{suffix}", {})

    assert error(answer) == (400, "UnsupportedBySandbox")
