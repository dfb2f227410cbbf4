"""azure-identity: client secrets, App Service identity and the machine metadata service."""

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

from sandbox.server import Server
from sandbox.world.faults import Faults
from sandbox.world.state import Attached
from tests.conformance.clients.azure import Azure
from tests.world.arm import MACHINE, identity

SCOPE = "https://management.azure.com/.default"


def owner(token: str) -> object:
    """Return the principal that a token names."""
    return jwt.decode(token, options={"verify_signature": False})["oid"]


def test_a_client_secret_signs_in(azure: Azure) -> None:
    """The right secret gives the operator's token, a wrong one none."""
    assert owner(azure.operator.get_token(SCOPE).token) == azure.world.operator.oid
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        azure.sign_in("wrong").get_token(SCOPE)


@pytest.mark.parametrize("named", ["client", "principal", "resource"])
def test_an_app_gets_its_identity(server: Server, named: str) -> None:
    """Named in any way that App Service knows."""
    app = server.world.app
    ways = {"principal": {"object_id": app.oid}, "resource": {"resource_id": app.resource_id or ""}}
    client_id = app.app_id if named == "client" else None
    with ManagedIdentityCredential(
        client_id=client_id, identity_config=ways.get(named)
    ) as credential:
        token = credential.get_token(SCOPE).token

    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["oid"], claims["xms_mirid"]) == (app.oid, app.resource_id)
    assert claims["tid"] == server.world.tenant


def test_an_app_that_names_no_identity_gets_none_where_a_client_id_is_required(
    server: Server,
) -> None:
    """App Service wants a user-assigned identity named (facts: Functions, issues)."""
    server.world.faults = Faults(client_id_required=True)
    with (
        ManagedIdentityCredential() as credential,
        pytest.raises(CredentialUnavailableError, match="400"),
    ):
        credential.get_token(SCOPE)


def test_an_app_gets_no_other_identity(server: Server) -> None:
    """One that it does not carry is refused."""
    other = server.world.operator.app_id
    with (
        ManagedIdentityCredential(client_id=other) as credential,
        pytest.raises(ClientAuthenticationError),
    ):
        credential.get_token(SCOPE)


@pytest.fixture
def machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The environment of the seed's machine, on which two identities may be found."""
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    monkeypatch.delenv("IDENTITY_HEADER")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"{server.url}/imds{MACHINE}")
    return server


def carry(server: Server, *names: str) -> None:
    """Attach identities to the machine."""
    resources = server.world.resources
    for name in names:
        principal = resources[identity(name).lower()].principal
        assert principal is not None
        resources[MACHINE.lower()].users[identity(name).lower()] = Attached(
            identity(name), principal
        )


def test_a_machine_gets_its_only_identity(machine: Server) -> None:
    """With one there is no question which."""
    carry(machine, "id1")
    with ManagedIdentityCredential() as credential:
        token = credential.get_token(SCOPE).token

    principal = machine.world.resources[identity("id1").lower()].principal
    assert principal is not None
    assert owner(token) == principal.oid


def test_a_machine_with_two_identities_must_choose(machine: Server) -> None:
    """Unnamed it fails, named it succeeds."""
    carry(machine, "id1", "id2")
    second = machine.world.resources[identity("id2").lower()].principal
    assert second is not None
    with (
        ManagedIdentityCredential() as credential,
        pytest.raises((ClientAuthenticationError, CredentialUnavailableError), match="Multiple"),
    ):
        credential.get_token(SCOPE)
    with ManagedIdentityCredential(client_id=second.app_id) as credential:
        assert owner(credential.get_token(SCOPE).token) == second.oid


def test_a_machine_without_an_identity_gets_nothing(machine: Server) -> None:
    """The metadata service says so."""
    assert machine.url
    with (
        ManagedIdentityCredential() as credential,
        pytest.raises((ClientAuthenticationError, CredentialUnavailableError), match="Identity"),
    ):
        credential.get_token(SCOPE)
