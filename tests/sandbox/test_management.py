"""Management groups: the tree, who may change it, and what follows for rights."""

from typing import Any

import pytest
import requests

from sandbox import seed
from tests.sandbox.arm import READER, SEED, SUB, SUBSCRIPTION, Arm, error

GROUPS = "/providers/Microsoft.Management/managementGroups"
CORP, LAB = f"{GROUPS}/corp", f"{GROUPS}/lab"
TREE = [
    {"name": "corp", "displayName": "Corporation"},
    {"name": "lab", "parent": "corp", "subscriptions": [SUBSCRIPTION]},
]


def tenant(scope: str = CORP, role: str = "Owner", operation_delay: float = 0.2) -> Arm:
    """Return a client of a world with two management groups and one right of the caller's."""
    right = {"scope": scope, "role": role, "principal": "operator"}
    content = {**SEED, "managementGroups": TREE, "assignments": [right]}
    return Arm(content, operation_delay=operation_delay)


def put(arm: Arm, path: str, parent: str = "", **properties: str) -> requests.Response:
    """Write a management group."""
    above = {"details": {"parent": {"id": parent} if parent else {}}}
    return arm.call("PUT", path, {"properties": {**above, **properties}})


def names(items: list[dict[str, Any]]) -> list[str]:
    """Return the names of what is listed."""
    return [each["name"] for each in items]


def test_the_tree_is_read_in_three_ways() -> None:
    """A list of what may be read, one with all below it, and all below one in a row."""
    arm = tenant(role="Reader")
    assert names(arm.get(GROUPS)["value"]) == ["corp", "lab"]
    (child,) = arm.get(f"{CORP}?$expand=children")["properties"]["children"]
    assert child == {
        "id": LAB,
        "type": "Microsoft.Management/managementGroups",
        "name": "lab",
        "displayName": "lab",
    }
    whole = arm.get(f"{CORP}?$expand=children&$recurse=true")["properties"]
    assert names(whole["children"][0]["children"]) == [SUBSCRIPTION]
    assert whole["details"]["version"] == 0
    below = arm.get(f"{CORP}/descendants")["value"]
    assert [(each["id"], each["properties"]["parent"]["id"]) for each in below] == [
        (LAB, CORP),
        (SUB, LAB),
    ]
    assert arm.get(LAB)["properties"]["details"]["parent"]["displayName"] == "Corporation"

    assert error(arm.call("GET", f"{CORP}?$expand=path")) == (400, "UnsupportedBySandbox")
    arm.called_by(arm.principal("stranger"))
    assert arm.get(GROUPS)["value"] == []
    assert error(arm.call("GET", f"{CORP}/descendants")) == (403, "AuthorizationFailed")


def test_roles_are_found_at_a_management_group() -> None:
    """Ids then have no subscription in front."""
    found = tenant().get(f"{CORP}/providers/Microsoft.Authorization/roleDefinitions/{READER}")

    assert found["id"] == f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"


def test_a_management_group_that_is_not_there() -> None:
    """It is missing for who may read it, also as a scope; there is nothing to delete."""
    arm = tenant("/")
    missing = f"{GROUPS}/other"

    assert arm.call("GET", missing).json()["error"]["details"] is None
    assert error(arm.call("GET", missing)) == (404, "NotFound")
    assert error(arm.assign(missing, arm.principal("stranger").oid)) == (404, "NotFound")
    assert arm.call("DELETE", missing).status_code == 204


def test_a_scope_that_is_not_there_is_missing_in_any_case() -> None:
    """Ids are compared without regard to case, and so is the type of one."""
    arm = tenant("/")
    missing = f"{GROUPS}/other".lower()

    assert error(arm.assign(missing, arm.principal("stranger").oid)) == (404, "NotFound")


def test_one_is_created_as_an_operation(arm: Arm) -> None:
    """Anybody may below the root, and then owns it."""
    arm.called_by(arm.principal("stranger"))
    path = f"{GROUPS}/mine"
    accepted = put(arm, path, displayName="Mine")

    assert (accepted.status_code, accepted.json()["status"]) == (202, "NotStarted")
    polled = [accepted.headers["azure-asyncoperation"], accepted.headers["location"]]
    state, result = (each.removeprefix("https://management.azure.com") for each in polled)
    assert arm.get(state)["status"] == "Running"
    assert arm.call("GET", result).status_code == 202
    assert error(arm.call("GET", path)) == (403, "AuthorizationFailed")
    arm.clock.forward(1)
    done = arm.get(state)
    assert (done["status"], done["properties"]["displayName"]) == ("Succeeded", "Mine")
    assert arm.get(result)["properties"] == arm.get(path)["properties"]
    assert arm.assign(path, arm.principal("person").oid, principalType="User").status_code == 201


def test_an_operation_may_fail() -> None:
    """Then nothing is there, and the poll says why."""
    arm = tenant("/")
    fault = {"status": 500, "code": "InternalServerError", "late": True, "times": 1}
    arm.world.faults = arm.world.faults.changed({"requests": [fault]})
    link = put(arm, f"{GROUPS}/mine").headers["azure-asyncoperation"]
    arm.clock.forward(1)

    state = arm.get(link.removeprefix("https://management.azure.com"))
    assert (state["status"], state["error"]["code"]) == ("Failed", "InternalServerError")
    assert error(arm.call("GET", f"{GROUPS}/mine")) == (404, "NotFound")


def test_without_a_delay_the_answer_is_the_group() -> None:
    """200 at once; its version goes on over a deletion."""
    arm = tenant("/", operation_delay=0)
    made = put(arm, f"{GROUPS}/mine", CORP)
    assert (made.status_code, made.json()["properties"]["details"]["version"]) == (200, 1)
    assert made.json()["properties"]["details"]["parent"]["name"] == "corp"

    assert arm.call("DELETE", f"{GROUPS}/mine").status_code == 200
    again = put(arm, f"{GROUPS}/mine").json()["properties"]["details"]
    assert (again["version"], again["parent"]["name"]) == (2, arm.world.tenant)


def test_moving_a_group_moves_what_is_inherited() -> None:
    """A right comes with the new place and goes with the old one."""
    arm = tenant("/")
    stranger = arm.principal("stranger")
    arm.assign(CORP, stranger.oid)
    assert arm.called_by(stranger).get(SUB)

    arm.called_by(arm.world.operator)
    root = f"{GROUPS}/{arm.world.tenant}"
    moved = arm.call("PATCH", LAB, {"parentGroupId": root, "displayName": "Laboratory"})
    assert moved.json()["properties"]["displayName"] == "Laboratory"
    assert error(arm.called_by(stranger).call("GET", SUB)) == (403, "AuthorizationFailed")
    inside = arm.called_by(arm.world.operator).call("PATCH", root, {"parentGroupId": LAB})
    assert error(inside) == (400, "InvalidRequestContent")


def test_a_group_goes_under_one_that_may_be_written() -> None:
    """The right to write the parent is needed; the root takes all unless it is guarded."""
    arm = tenant(LAB)
    assert error(put(arm, f"{GROUPS}/mine", CORP)) == (403, "AuthorizationFailed")
    assert put(arm, f"{GROUPS}/mine", LAB).status_code == 202
    assert error(put(arm, CORP)) == (403, "AuthorizationFailed")

    arm.world.hierarchy.settings = {"requireAuthorizationForGroupCreation": True}
    assert error(put(arm, f"{GROUPS}/other")) == (403, "AuthorizationFailed")


def test_only_an_empty_group_is_deleted() -> None:
    """What lies in it must go first; role assignments at it go with it."""
    arm = tenant("/")
    assert error(arm.call("DELETE", CORP)) == (400, "BadRequest")
    assert error(arm.call("DELETE", LAB)) == (400, "BadRequest")
    made = arm.assign(LAB, arm.principal("stranger").oid).json()["name"]
    member = f"{LAB}/subscriptions/{SUBSCRIPTION}"
    assert arm.call("DELETE", member).status_code == 200
    assert arm.call("DELETE", member).status_code == 204

    accepted = arm.call("DELETE", LAB)
    assert accepted.status_code == 202
    assert arm.get(LAB)
    arm.clock.forward(1)
    link = accepted.headers["azure-asyncoperation"]
    assert arm.get(link.removeprefix("https://management.azure.com"))["status"] == "Succeeded"
    assert error(arm.call("GET", LAB)) == (404, "NotFound")
    assert made not in arm.world.assignments.by_name


def test_subscriptions_are_moved_between_groups() -> None:
    """A PUT takes one from where it was."""
    arm = tenant("/")
    assert names(arm.get(f"{LAB}/subscriptions")["value"]) == [SUBSCRIPTION]
    moved = arm.call("PUT", f"{CORP}/subscriptions/{SUBSCRIPTION}").json()

    assert moved["properties"]["parent"]["id"] == CORP
    assert moved == arm.get(f"{CORP}/subscriptions/{SUBSCRIPTION}")
    assert arm.get(f"{LAB}/subscriptions")["value"] == []
    assert error(arm.call("GET", f"{LAB}/subscriptions/{SUBSCRIPTION}")) == (404, "NotFound")
    unknown = f"{CORP}/subscriptions/{READER}"
    assert error(arm.call("PUT", unknown)) == (404, "SubscriptionNotFound")


def test_moving_a_subscription_takes_the_right_to_assign_roles_on_it() -> None:
    """To own the management group is not enough."""
    arm = tenant("/")
    stranger = arm.principal("stranger")
    arm.assign(CORP, stranger.oid, "8e3af657-a8ff-443c-a75c-2fe8c4bcb635")
    arm.call("DELETE", f"{LAB}/subscriptions/{SUBSCRIPTION}")
    member = f"{CORP}/subscriptions/{SUBSCRIPTION}"

    assert error(arm.called_by(stranger).call("PUT", member)) == (403, "AuthorizationFailed")


def test_settings_of_the_hierarchy() -> None:
    """The root has them; a default group is sent as an id and shown by its name."""
    arm = tenant("/")
    path = f"{GROUPS}/{arm.world.tenant}/settings/default"
    assert error(arm.call("GET", path)) == (404, "NotFound")
    assert error(arm.call("DELETE", path)) == (404, "NotFound")
    arm.call("PUT", path, {"properties": {"requireAuthorizationForGroupCreation": True}})
    arm.call("PATCH", path, {"properties": {"defaultManagementGroup": LAB}})

    (shown,) = arm.get(path.removesuffix("/default"))["value"]
    assert shown["properties"] == {
        "tenantId": arm.world.tenant,
        "requireAuthorizationForGroupCreation": True,
        "defaultManagementGroup": "lab",
    }
    assert shown == arm.get(path)
    assert arm.call("DELETE", path).status_code == 200
    elsewhere = arm.call("GET", f"{LAB}/settings/default")
    assert error(elsewhere) == (400, "UnsupportedBySandbox")


@pytest.mark.parametrize(
    ("name", "reason"), [("corp", "AlreadyExists"), ("!bad", "Invalid"), ("free", None)]
)
def test_names_are_checked(name: str, reason: str | None) -> None:
    """One that is taken or holds other characters is not available."""
    path = "/providers/Microsoft.Management/checkNameAvailability"
    found = tenant().call("POST", path, {"name": name}).json()

    assert (found["nameAvailable"], found.get("reason")) == (reason is None, reason)


def test_entities_are_groups_and_subscriptions_with_their_place() -> None:
    """Those that the caller may see, with the right there and the one from above."""
    arm = tenant(LAB)
    listed = arm.call("POST", "/providers/Microsoft.Management/getEntities").json()

    assert listed["count"] == 2
    group, subscription = (each["properties"] for each in listed["value"])
    assert (group["permissions"], group["inheritedPermissions"]) == ("delete", "noaccess")
    assert group["parentNameChain"] == [arm.world.tenant, "corp"]
    assert (group["numberOfChildren"], group["numberOfChildGroups"]) == (1, 0)
    assert subscription["parentNameChain"] == [arm.world.tenant, "corp", "lab"]


def test_namespaces_are_registered_below_a_group() -> None:
    """All subscriptions in it are, at any depth."""
    arm = tenant("/")
    path = "providers/Microsoft.Compute"
    arm.call("POST", f"{SUB}/{path}/unregister")
    arm.clock.forward(1)

    assert arm.call("POST", f"{CORP}/{path}/register").status_code == 200
    assert arm.get(f"{SUB}/{path}")["registrationState"] == "Registering"


def test_a_seed_is_a_tree() -> None:
    """A parent comes before what lies in it, and a subscription lies in one group."""
    with pytest.raises(seed.SeedError, match="there is no management group 'corp' before it"):
        Arm({**SEED, "managementGroups": TREE[1:]})
    twice = [*TREE, {"name": "other", "subscriptions": [SUBSCRIPTION]}]
    with pytest.raises(seed.SeedError, match="lies in another management group"):
        Arm({**SEED, "managementGroups": twice})
