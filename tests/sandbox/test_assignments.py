"""Role assignments, and what they allow."""

import dataclasses

import pytest

from sandbox.identity import tokens
from sandbox.world.state import Assignment
from tests.world.arm import BLOB_READ, GROUP, MACHINE, SEED, STORE, Arm, error, identity
from tests.world.ids import BLOB_READER, READER, SUB, SUBSCRIPTION

NAME = "99999999-0000-0000-0000-000000000001"


def principal_of(arm: Arm, name: str) -> str:
    """Return the principal of one of the seed's identities."""
    found: str = arm.get(identity(name))["properties"]["principalId"]
    return found


def test_the_same_triple_under_another_name_exists_already(arm: Arm) -> None:
    """409 names the existing assignment without dashes."""
    principal = principal_of(arm, "id1")
    arm.assign(GROUP, principal, name=NAME)
    again = arm.assign(GROUP.lower(), principal)

    assert error(again) == (409, "RoleAssignmentExists")
    assert NAME.replace("-", "") in again.json()["error"]["message"]


def test_a_name_stays_with_its_principal_role_and_scope(arm: Arm) -> None:
    """Another triple under the same name is no update, in no scope of the tenant."""
    arm.assign(GROUP, principal_of(arm, "id1"), name=NAME)
    expected = (400, "RoleAssignmentUpdateNotPermitted")

    assert error(arm.assign(GROUP, principal_of(arm, "id2"), name=NAME)) == expected
    assert error(arm.assign(SUB, principal_of(arm, "id1"), name=NAME)) == expected
    assert arm.assign(GROUP, principal_of(arm, "id1"), name=NAME).status_code == 201


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"principal": "22222222-2222-2222-2222-222222222222"}, "PrincipalNotFound"),
        ({"role": "22222222-2222-2222-2222-222222222222"}, "RoleDefinitionDoesNotExist"),
        ({"name": "not-a-guid"}, "InvalidRoleAssignmentId"),
        ({"principalType": "User"}, "UnmatchedPrincipalType"),
        ({"principalType": "Robot"}, "InvalidRequestContent"),
    ],
)
def test_a_wrong_assignment_is_refused(arm: Arm, change: dict[str, str], expected: str) -> None:
    """Each mistake has its code."""
    sent = {"principal": principal_of(arm, "id1"), **change}
    assert error(arm.assign(GROUP, **sent)) == (400, expected)


def test_a_new_principal_is_known_at_once_only_to_those_who_name_its_type() -> None:
    """Without principalType a replication delay shows as PrincipalNotFound."""
    arm = Arm(replication_delay=30)
    principal = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]

    early = arm.assign(GROUP, principal, principalType=None)
    assert error(early) == (400, "PrincipalNotFound")
    assert arm.assign(GROUP, principal).status_code == 201
    arm.clock.forward(31)
    late = arm.assign(STORE, principal, principalType=None)
    assert late.json()["properties"]["principalType"] == "ServicePrincipal"


def test_filters_choose_scopes_and_principals(arm: Arm) -> None:
    """Without filter above and below, atScope only above, a principal's everywhere on the line."""
    principal = principal_of(arm, "id1")
    above = arm.assign(SUB, principal).json()["name"]
    here = arm.assign(GROUP, principal).json()["name"]
    below = arm.assign(STORE, principal).json()["name"]
    aside = arm.assign(MACHINE, principal).json()["name"]
    owners = set(arm.listed(SUB)) - {above, here, below, aside}

    assert set(arm.listed(GROUP)) == {above, here, below, aside} | owners
    assert set(arm.listed(GROUP, "atScope()")) == {above, here} | owners
    assert set(arm.listed(STORE, f"principalId eq '{principal}'")) == {above, here, below}
    text = f"atScope() and assignedTo('{principal.upper()}')"
    assert set(arm.listed(STORE, text)) == {above, here, below}
    assert set(arm.listed(GROUP, f"atScope() and principalId eq '{principal}'")) == {above, here}


def test_an_unknown_filter_is_named_and_not_guessed(arm: Arm) -> None:
    """The sandbox answers 400 to what it does not implement."""
    path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments?$filter=type eq 'x'"
    answer = arm.call("GET", path)

    assert answer.status_code == 400
    assert "type eq 'x'" in answer.json()["error"]["message"]


def test_management_groups_and_the_tenant_are_scopes_above() -> None:
    """An assignment at a management group or at the root shows in its subscriptions."""
    group = "/providers/Microsoft.Management/managementGroups/corp"
    arm = Arm({**SEED, "managementGroups": [{"name": "corp", "subscriptions": [SUBSCRIPTION]}]})
    arm.world.assignments.put(_root_owner(arm))
    stranger = arm.principal("stranger").oid
    high = arm.assign(group, stranger).json()
    root = arm.assign("", stranger).json()

    assert high["properties"]["scope"] == group
    assert root["properties"]["scope"] == "/"
    assert {high["name"], root["name"]} <= set(arm.listed(STORE, "atScope()"))
    assert root["name"] in arm.listed(group)
    assert set(arm.listed("")) == set(arm.world.assignments.by_name)


def _root_owner(arm: Arm) -> Assignment:
    owner = next(iter(arm.world.assignments))
    return dataclasses.replace(owner, scope="/", name=arm.world.guid())


def test_old_versions_show_no_conditions(arm: Arm) -> None:
    """What came with them is missing there, not null."""
    path = arm.assign(GROUP, principal_of(arm, "id1"), description="mine").json()["id"]

    old = arm.call("GET", path, version="2018-09-01-preview").json()["properties"]
    assert not {"condition", "conditionVersion", "description"} & set(old)
    assert old["principalType"] == "ServicePrincipal"
    assert arm.get(path)["properties"]["description"] == "mine"


def test_deletion_answers_with_the_object_and_then_with_nothing(arm: Arm) -> None:
    """200 with a body, then 204; and 404 for a GET."""
    path = arm.assign(GROUP, principal_of(arm, "id1")).json()["id"]

    assert arm.call("DELETE", path).json()["id"] == path
    assert arm.call("DELETE", path).status_code == 204
    assert arm.call("GET", path).status_code == 404


def test_orphans_stay_and_assignments_at_a_deleted_scope_go(arm: Arm) -> None:
    """A dead machine's right on a store remains; rights on the dead machine do not."""
    own = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]
    orphan = arm.assign(STORE, own).json()["name"]
    gone = arm.assign(MACHINE, principal_of(arm, "id1")).json()["name"]
    arm.call("DELETE", MACHINE)
    arm.clock.forward(1)
    arm.world.announce()

    names = set(arm.world.assignments.by_name)
    assert orphan in names
    assert gone not in names
    assert error(arm.assign(MACHINE, principal_of(arm, "id1"))) == (404, "ResourceNotFound")
    assert error(arm.assign(SUB, own)) == (400, "PrincipalNotFound")


def test_rights_decide_who_may_call(arm: Arm) -> None:
    """A reader reads, at the scope and below, and does nothing else."""
    stranger = arm.principal("stranger")
    arm.assign(GROUP, stranger.oid, READER)
    arm.called_by(stranger)
    refused = arm.patch(MACHINE, {"type": "None"})

    assert arm.call("GET", MACHINE).status_code == 200
    assert error(refused) == (403, "AuthorizationFailed")
    assert "'Microsoft.Compute/virtualMachines/write'" in refused.json()["error"]["message"]
    assert error(arm.call("GET", SUB)) == (403, "AuthorizationFailed")


def test_not_actions_take_away(arm: Arm) -> None:
    """A contributor writes machines, but no role assignments."""
    stranger = arm.principal("stranger")
    arm.assign(SUB, stranger.oid, "b24988ac-6180-42a0-ab88-20f7382dd24c")
    arm.called_by(stranger)

    assert arm.patch(MACHINE, {"type": "SystemAssigned"}).status_code == 200
    assert error(arm.assign(GROUP, stranger.oid)) == (403, "AuthorizationFailed")


def test_the_access_probe_follows_live_assignments(arm: Arm) -> None:
    """A data action is allowed while an assignment allows it; owners have no data rights."""
    arm.caller = arm.principal("stranger")
    probe = f"/dataplane{STORE}?action={BLOB_READ}"
    storage = "https://storage.azure.com"

    assert arm.call("GET", probe).status_code == 401
    refused = arm.call("GET", probe, audience=storage)
    assert error(refused) == (403, "AuthorizationPermissionMismatch")
    arm.caller = arm.world.operator
    made = arm.assign(GROUP, arm.principal("stranger").oid, BLOB_READER).json()["id"]
    assert arm.call("GET", probe, audience=storage).status_code == 403
    arm.caller = arm.principal("stranger")
    assert arm.call("GET", probe, audience=storage).status_code == 200
    arm.caller = arm.world.operator
    arm.call("DELETE", made)
    arm.caller = arm.principal("stranger")
    assert arm.call("GET", probe, audience=storage).status_code == 403
    assert arm.call("GET", probe.replace("store?", "gone?"), audience=storage).status_code == 404


def test_a_token_outlives_its_principal_but_not_its_expiry(arm: Arm) -> None:
    """A deleted principal's token is valid to its end, without the rights that went with it."""
    own = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]
    arm.assign(GROUP, own)
    old = arm.world.principals[own]
    arm.call("DELETE", MACHINE)
    arm.called_by(old)
    assert arm.call("GET", GROUP).status_code == 200

    token = tokens.mint(arm.world, old, "https://management.azure.com")
    arm.clock.forward(tokens.LIFETIME)
    headers = {"Authorization": f"Bearer {token}"}
    late = arm.call("GET", GROUP, headers=headers)
    assert error(late) == (401, "ExpiredAuthenticationToken")


def test_who_rewrites_an_assignment_is_told_apart_from_who_made_it(arm: Arm) -> None:
    """Another's PUT keeps createdBy and createdOn (assumed), and names the other as updatedBy.

    GET, list and Resource Graph agree; the PUT's own answer shows no maker (recorded).
    """
    maker, other = arm.world.operator, arm.world.app
    oid = arm.principal("stranger").oid
    first = arm.assign(GROUP, oid, description="old").json()
    before = arm.get(first["id"])["properties"]
    arm.clock.forward(60)
    arm.called_by(other)
    again = arm.assign(GROUP, oid, name=first["name"], description="new").json()["properties"]

    assert (again["createdBy"], again["updatedBy"]) == (None, other.oid)
    one = arm.get(first["id"])["properties"]
    (listed,) = (
        each["properties"]
        for each in arm.get(f"{GROUP}/providers/Microsoft.Authorization/roleAssignments")["value"]
        if each["name"] == first["name"]
    )
    text = f"authorizationresources | where id =~ '{first['id']}' | project properties"
    (row,) = arm.query(text).json()["data"]
    for shown in (one, listed, row["properties"]):
        assert (shown["createdBy"], shown["updatedBy"]) == (maker.oid, other.oid)
        assert shown["createdOn"] == before["createdOn"] < shown["updatedOn"]
        assert shown["description"] == "new"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_assignments_and_roles_are_named_by_guids(arm: Arm, method: str) -> None:
    """Another name is refused by every method."""
    for kind in ("Assignment", "Definition"):
        path = f"{GROUP}/providers/Microsoft.Authorization/role{kind}s/reader"
        permissions = [{"actions": ["*/read"]}]
        wanted = {"roleName": "x", "assignableScopes": [GROUP], "permissions": permissions}
        body = {"properties": wanted} if method == "PUT" else None
        assert error(arm.call(method, path, body)) == (400, f"InvalidRole{kind}Id")
