"""How many role assignments there may be, and the last that must stay."""

from tests.world.arm import GROUP, SEED, STORE, Arm, error
from tests.world.ids import SUB, SUBSCRIPTION


def test_a_subscription_is_full_at_its_limit() -> None:
    """All scopes below count, updates do not; deletion makes room."""
    limited = [{"id": SUBSCRIPTION, "assignmentLimit": 3}]
    arm = Arm({**SEED, "subscriptions": limited})
    stranger = arm.principal("stranger").oid
    made = arm.assign(STORE, stranger).json()

    assert error(arm.assign(GROUP, stranger)) == (400, "RoleAssignmentLimitExceeded")
    assert arm.assign(STORE, stranger, name=made["name"], description="x").status_code == 201
    assert arm.call("DELETE", made["id"]).status_code == 200
    assert arm.assign(GROUP, stranger).status_code == 201


def test_a_management_group_holds_500() -> None:
    """It counts for itself, and its subscriptions do not."""
    corp = "/providers/Microsoft.Management/managementGroups/corp"
    right = {"scope": "/", "role": "Owner", "principal": "operator"}
    arm = Arm({**SEED, "managementGroups": [{"name": "corp"}], "assignments": [right]})
    stranger = arm.principal("stranger").oid
    *roles, last = list(arm.world.roles)[:501]
    statuses = {arm.assign(corp, stranger, role).status_code for role in roles}

    assert statuses == {201}
    assert error(arm.assign(corp, stranger, last)) == (400, "RoleAssignmentLimitExceeded")
    assert arm.assign(GROUP, stranger, last).status_code == 201


def test_the_last_administrator_of_a_subscription_stays(arm: Arm) -> None:
    """One right to assign roles must remain at the subscription itself."""
    administrators = [each for each in arm.world.assignments if each.scope == SUB]
    mine = next(each for each in administrators if each.principal == arm.world.operator.oid)
    for each in administrators:
        if each is not mine:
            assert arm.call("DELETE", each.id).status_code == 200

    assert error(arm.call("DELETE", mine.id)) == (412, "CannotDeleteLastRbacAdminAssignment")
