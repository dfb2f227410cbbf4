"""Management groups: the tree that a seed makes, as it is read, and what follows for rights."""

from typing import Any

import pytest

from sandbox import seed
from tests.world.arm import SEED, Arm, error
from tests.world.ids import READER, SUB, SUBSCRIPTION

GROUPS = "/providers/Microsoft.Management/managementGroups"
CORP, LAB = f"{GROUPS}/corp", f"{GROUPS}/lab"
TREE = [
    {"name": "corp", "displayName": "Corporation"},
    {"name": "lab", "parent": "corp", "subscriptions": [SUBSCRIPTION]},
]


def tenant(scope: str = CORP, role: str = "Owner") -> Arm:
    """Return a client of a world with two management groups and one right of the caller's."""
    right = {"scope": scope, "role": role, "principal": "operator"}
    return Arm({**SEED, "managementGroups": TREE, "assignments": [right]})


def names(items: list[dict[str, Any]]) -> list[str]:
    """Return the names of what is listed."""
    return [each["name"] for each in items]


def test_a_reader_sees_its_management_groups_and_all_below_one() -> None:
    """The list has what may be read; descendants are listed at any depth, with their parents."""
    arm = tenant(role="Reader")

    assert names(arm.get(GROUPS)["value"]) == ["corp", "lab"]
    assert arm.get(LAB)["properties"]["details"]["parent"]["displayName"] == "Corporation"
    below = arm.get(f"{CORP}/descendants")["value"]
    assert [(each["id"], each["properties"]["parent"]["id"]) for each in below] == [
        (LAB, CORP),
        (SUB, LAB),
    ]
    assert below[0]["type"] == "Microsoft.Management/managementGroups"
    arm.called_by(arm.principal("stranger"))
    assert arm.get(GROUPS)["value"] == []
    assert error(arm.call("GET", f"{CORP}/descendants")) == (403, "AuthorizationFailed")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{CORP}?$expand=children"), ("POST", "/providers/Microsoft.Management/getEntities")],
)
def test_other_reads_of_management_groups_are_refused_by_name(method: str, path: str) -> None:
    """They are never guessed or ignored."""
    assert error(tenant().call(method, path)) == (400, "UnsupportedBySandbox")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_management_groups_are_not_written(method: str) -> None:
    """Only a seed makes them."""
    assert error(tenant().call(method, LAB, {})) == (405, "MethodNotAllowed")


def test_roles_at_a_management_group_have_ids_without_a_subscription() -> None:
    """Ids then begin with the provider."""
    found = tenant().get(f"{CORP}/providers/Microsoft.Authorization/roleDefinitions/{READER}")

    assert found["id"] == f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"


@pytest.mark.parametrize("missing", [f"{GROUPS}/other", f"{GROUPS}/other".lower()])
def test_a_missing_management_group_is_404_also_as_a_scope(missing: str) -> None:
    """Ids are compared without regard to case, and so is the type of one."""
    arm = tenant("/")

    assert error(arm.call("GET", missing)) == (404, "NotFound")
    assert error(arm.assign(missing, arm.principal("stranger").oid)) == (404, "NotFound")


def test_a_right_is_inherited_by_the_management_groups_of_today() -> None:
    """A right at a group counts in a subscription as long as that lies below it."""
    arm = tenant("/")
    stranger = arm.principal("stranger")
    arm.assign(CORP, stranger.oid)
    assert arm.called_by(stranger).get(SUB)

    arm.world.hierarchy.place(SUBSCRIPTION, arm.world.hierarchy.root)
    assert error(arm.call("GET", SUB)) == (403, "AuthorizationFailed")


def test_a_seed_is_a_tree() -> None:
    """A parent comes before what lies in it, and a subscription lies in one group."""
    with pytest.raises(seed.SeedError, match="there is no management group 'corp' before it"):
        Arm({**SEED, "managementGroups": TREE[1:]})
    twice = [*TREE, {"name": "other", "subscriptions": [SUBSCRIPTION]}]
    with pytest.raises(seed.SeedError, match="lies in another management group"):
        Arm({**SEED, "managementGroups": twice})
