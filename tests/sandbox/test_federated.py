"""Federated credentials of user-assigned identities."""

from typing import Any

from sandbox.world.faults import Faults
from tests.sandbox.arm import GROUP, SUB, Arm, error, identity

PATH = f"{identity('id1')}/federatedIdentityCredentials"


def put(arm: Arm, name: str, subject: str = "s") -> Any:  # noqa: ANN401 - a response
    """Write a credential."""
    members = {"issuer": "https://issuer", "subject": subject, "audiences": ["api://x"]}
    return arm.call("PUT", f"{PATH}/{name}", {"properties": members})


def test_credentials_are_created_changed_and_deleted(arm: Arm) -> None:
    """201 with a relative location, then 200; neither location nor tags are in the body."""
    created = put(arm, "one")
    assert created.status_code == 201
    assert created.headers["location"] == created.json()["id"]
    assert set(created.json()) == {"id", "name", "type", "properties"}
    assert put(arm, "one", "other").status_code == 200
    put(arm, "two")

    assert [each["name"] for each in arm.get(PATH)["value"]] == ["one", "two"]
    assert arm.get(f"{PATH}/one")["properties"]["subject"] == "other"
    assert arm.call("DELETE", f"{PATH}/one").status_code == 200
    assert arm.call("DELETE", f"{PATH}/one").status_code == 204
    assert error(arm.call("GET", f"{PATH}/one")) == (404, "ResourceNotFound")


def test_they_go_with_their_identity(arm: Arm) -> None:
    """A recreated identity has none of the old one's credentials."""
    put(arm, "one")
    arm.call("DELETE", identity("id1"))
    assert error(arm.call("GET", PATH)) == (404, "ParentResourceNotFound")
    arm.call("PUT", identity("id1"), {"location": "westeurope"})

    assert arm.get(PATH) == {"value": []}


def test_they_are_in_no_other_list(arm: Arm) -> None:
    """Neither the resources of a group nor Resource Graph show them."""
    put(arm, "one")

    names = [each["name"] for each in arm.get(f"{GROUP}/resources")["value"]]
    assert "one" not in names
    rows = arm.query("resources | project name").json()["data"]
    assert "one" not in [each["name"] for each in rows]
    assert SUB in arm.get(f"{PATH}/one")["id"]


def test_one_writer_at_a_time(arm: Arm) -> None:
    """With the switch on, a write while another runs under the same identity is a conflict."""
    arm.world.faults = Faults(credential_write_time=2)
    assert put(arm, "one").status_code == 201
    code = "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"

    assert error(put(arm, "two")) == (409, code)
    assert error(arm.call("DELETE", f"{PATH}/one")) == (409, code)
    arm.clock.forward(2)
    assert put(arm, "two").status_code == 201


def test_a_credential_needs_all_its_members(arm: Arm) -> None:
    """Issuer, subject and audiences are required."""
    response = arm.call("PUT", f"{PATH}/one", {"properties": {"issuer": "https://issuer"}})

    assert error(response) == (400, "InvalidRequestContent")
