"""Conditions of role assignments: constrained delegation, and what is refused."""

import pytest

from sandbox.arm import errors
from sandbox.authorization import conditions
from tests.world.arm import GROUP, STORE, Arm, error
from tests.world.ids import BLOB_READER, READER, SUB

WRITE = "Microsoft.Authorization/roleAssignments/write"
DELETE = "Microsoft.Authorization/roleAssignments/delete"
ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
PRINCIPAL = "@Request[Microsoft.Authorization/roleAssignments:PrincipalId]"
DELEGATION = f"""
(
 ( !(ActionMatches{{'{WRITE}'}}) )
 OR
 ( @Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId]
     ForAnyOfAnyValues:GuidEquals {{{READER}}}
   AND
   @Request[Microsoft.Authorization/roleAssignments:PrincipalType]
     ForAnyOfAnyValues:StringEqualsIgnoreCase {{'ServicePrincipal'}} )
)
AND
(
 ( !(ActionMatches{{'{DELETE}'}}) )
 OR
 ( @Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId]
     ForAnyOfAnyValues:GuidEquals {{{READER}}} )
)
"""


def delegate(arm: Arm, condition: str) -> None:
    """Go on as a stranger who may assign roles under a condition."""
    stranger = arm.principal("stranger")
    more = {"condition": condition, "conditionVersion": "2.0"}
    assert arm.assign(SUB, stranger.oid, ADMINISTRATOR, **more).status_code == 201
    arm.called_by(stranger)


def test_delegation_is_held_to_its_roles_and_principals(arm: Arm) -> None:
    """Only the role and the kind of principal of the condition may be assigned or removed."""
    other = arm.assign(STORE, arm.principal("person").oid, BLOB_READER, principalType="User")
    delegate(arm, DELEGATION)
    target = arm.world.app.oid

    made = arm.assign(GROUP, target)
    assert made.status_code == 201
    wrong_role = arm.assign(GROUP, target, BLOB_READER)
    assert error(wrong_role) == (403, "AuthorizationFailed")
    assert "ABAC condition" in wrong_role.json()["error"]["message"]
    person = arm.principal("person").oid
    assert error(arm.assign(GROUP, person, principalType="User"))[0] == 403
    assert error(arm.call("DELETE", other.json()["id"])) == (403, "AuthorizationFailed")
    assert arm.call("DELETE", made.json()["id"]).status_code == 200


def test_another_right_without_a_condition_suffices(arm: Arm) -> None:
    """A condition limits its own assignment only."""
    delegate(arm, DELEGATION)
    stranger = arm.principal("stranger").oid
    arm.called_by(arm.world.operator).assign(GROUP, stranger, ADMINISTRATOR)
    arm.called_by(arm.principal("stranger"))

    assert arm.assign(GROUP, arm.world.app.oid, BLOB_READER).status_code == 201


@pytest.mark.parametrize(
    ("condition", "fulfilled"),
    [
        (f"ActionMatches{{'{WRITE}'}}", True),
        ("ActionMatches{'Microsoft.Authorization/*'}", True),
        (f"NOT ActionMatches{{'{WRITE}', 'x'}}", False),
        (f"{PRINCIPAL} GuidEquals ABC", True),
        (f"{PRINCIPAL.lower()} GuidEquals 'x'", False),
        (f"{PRINCIPAL} ForAnyOfAllValues:GuidNotEquals {{x, y}}", True),
        ("@Resource[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals abc", False),
        ("ActionMatches{'x'} && @Nothing[known] Is 'decided' || ActionMatches{'*'}", True),
    ],
)
def test_conditions_mean_what_they_say(condition: str, *, fulfilled: bool) -> None:
    """Operators, sets, wildcards and precedence; an absent attribute equals nothing."""
    attributes = {"@request[microsoft.authorization/roleassignments:principalid]": "abc"}

    assert conditions.holds(condition, WRITE, attributes) is fulfilled


@pytest.mark.parametrize(
    "condition",
    [
        "@Resource[Microsoft.Storage/storageAccounts/blobServices:Name] StringEquals 'a'",
        f"{PRINCIPAL} StringLike 'a*'",
        "Exists @Resource[Microsoft.Storage/storageAccounts:Name]",
        "SubOperationMatches{'Blob.List'}",
    ],
)
def test_what_cannot_be_decided_is_refused_when_it_decides(arm: Arm, condition: str) -> None:
    """Such a condition is stored as Azure would, but not guessed at."""
    conditions.check(condition)
    delegate(arm, condition)

    assert error(arm.assign(GROUP, arm.world.app.oid)) == (400, "UnsupportedBySandbox")


@pytest.mark.parametrize("condition", ["(", "@Request[a:b]", "ActionMatches{'a'", "a b c;", "'x'"])
def test_malformed_conditions_are_refused_when_written(arm: Arm, condition: str) -> None:
    """The grammar is checked before anything is stored."""
    with pytest.raises(errors.AzureError, match="the condition at"):
        conditions.check(condition)
    response = arm.assign(GROUP, arm.principal("stranger").oid, condition=condition)
    assert error(response) == (400, "UnsupportedBySandbox")


def test_a_condition_needs_its_version(arm: Arm) -> None:
    """Only version 2.0 is accepted."""
    for version in ("1.0", None):
        response = arm.assign(
            GROUP,
            arm.principal("stranger").oid,
            condition=f"ActionMatches{{'{WRITE}'}}",
            conditionVersion=version,
        )
        assert error(response) == (400, "InvalidRoleAssignmentCondition")
