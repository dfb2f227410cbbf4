"""User-assigned identities: isolation, the resources that carry them, flexible credentials."""

import pytest

from tests.sandbox.arm import GROUP, MACHINE, Arm, error, identity

ONE = identity("id1")
NEWEST = "2024-11-30"


def test_isolation_is_shown_by_api_versions_that_know_it(arm: Arm) -> None:
    """None unless a PUT or PATCH said Regional; older versions do not show it."""
    shown = arm.call("GET", ONE, version=NEWEST).json()["properties"]
    assert shown["isolationScope"] == "None"
    body = {"tags": {"a": "b"}, "properties": {"isolationScope": "Regional"}}
    patched = arm.call("PATCH", ONE, body, version=NEWEST).json()
    assert (patched["tags"], patched["properties"]["isolationScope"]) == ({"a": "b"}, "Regional")

    old = arm.call("GET", ONE, version="2023-01-31").json()["properties"]
    assert set(old) == {"tenantId", "principalId", "clientId"}
    body = {"properties": {"isolationScope": "Galactic"}}
    assert error(arm.call("PATCH", ONE, body, version=NEWEST))[0] == 400


def test_the_resources_of_an_identity_are_listed_page_by_page(arm: Arm) -> None:
    """All are counted; $skip and $top choose some, other options are refused."""
    arm.attach("id1")
    arm.clock.forward(1)
    path = f"{ONE}/listAssociatedResources"

    found = arm.call("POST", path).json()
    assert (found["totalCount"], found["value"][0]["id"]) == (1, MACHINE)
    skipped = arm.call("POST", f"{path}?$skip=1").json()
    assert (skipped["totalCount"], skipped["value"]) == (1, [])
    refused = arm.call("POST", f"{path}?$filter=name eq 'x'")
    assert error(refused) == (400, "UnsupportedBySandbox")


def test_a_credential_trusts_a_subject_or_an_expression(arm: Arm) -> None:
    """One of both is needed, and shown as it was sent."""
    path = f"{ONE}/federatedIdentityCredentials/one"
    base = {"issuer": "https://issuer", "audiences": ["api://x"]}
    expression = {"value": "claims['sub'] matches 'a:*'", "languageVersion": 1}

    assert error(arm.call("PUT", path, {"properties": base}))[0] == 400
    wanted = base | {"claimsMatchingExpression": expression}
    made = arm.call("PUT", path, {"properties": wanted})
    assert (made.status_code, made.json()["properties"]) == (201, wanted)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_assignments_and_roles_are_named_by_guids(arm: Arm, method: str) -> None:
    """Another name is refused by every method."""
    for kind in ("Assignment", "Definition"):
        path = f"{GROUP}/providers/Microsoft.Authorization/role{kind}s/reader"
        permissions = [{"actions": ["*/read"]}]
        wanted = {"roleName": "x", "assignableScopes": [GROUP], "permissions": permissions}
        body = {"properties": wanted} if method == "PUT" else None
        assert error(arm.call(method, path, body)) == (400, f"InvalidRole{kind}Id")
