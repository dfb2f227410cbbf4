"""Tokens: the application's identity, machine metadata, client credentials."""

from typing import Any

import requests

from sandbox.world.faults import Faults
from tests.world.arm import MACHINE, Arm, identity

STORAGE = "https://storage.azure.com"


def ask(arm: Arm, path: str, **headers: str) -> requests.Response:
    """GET a sign-in endpoint."""
    return arm.session.get(f"https://127.0.0.1{path}", headers=headers)


def metadata(arm: Arm, extra: str = "") -> requests.Response:
    """Ask the machine's metadata service for a token."""
    path = f"/imds{MACHINE}/metadata/identity/oauth2/token?api-version=2018-02-01"
    return ask(arm, f"{path}&resource={STORAGE}{extra}", Metadata="true")


def client_id(arm: Arm, name: str) -> str:
    """Return the client id of one of the seed's identities."""
    properties: dict[str, Any] = arm.get(identity(name))["properties"]
    return str(properties["clientId"])


def test_the_application_gets_its_identitys_token(arm: Arm) -> None:
    """The header's secret and the identity's own client id are required."""
    app = arm.world.app
    path = f"/msi/token?api-version=2019-08-01&resource={STORAGE}&client_id={app.app_id}"

    assert ask(arm, path).status_code == 401
    answer = ask(arm, path, **{"X-IDENTITY-HEADER": arm.world.identity_secret})
    assert answer.json()["client_id"] == app.app_id
    other = path.replace(app.app_id, "other")
    wrong = ask(arm, other, **{"X-IDENTITY-HEADER": arm.world.identity_secret})
    assert wrong.status_code == 400


def test_a_user_assigned_identity_has_to_be_named(arm: Arm) -> None:
    """With the switch on; without it the application's only identity is meant."""
    app, headers = arm.world.app, {"X-IDENTITY-HEADER": arm.world.identity_secret}
    path = f"/msi/token?api-version=2019-08-01&resource={STORAGE}"

    assert ask(arm, path, **headers).json()["client_id"] == app.app_id
    arm.world.faults = Faults(client_id_required=True)
    for nameless in ("", "&client_id="):
        answer = ask(arm, path + nameless, **headers)
        assert (answer.status_code, answer.json()["statusCode"]) == (400, 400)
    for named in (
        f"client_id={app.app_id}",
        f"principal_id={app.oid}",
        f"mi_res_id={app.resource_id}",
    ):
        assert ask(arm, f"{path}&{named}", **headers).json()["client_id"] == app.app_id


def test_metadata_gives_only_what_the_machine_carries(arm: Arm) -> None:
    """None: not found. One: that one. Several: which? The system's own comes first."""
    assert metadata(arm).json()["error_description"] == "Identity not found"
    arm.attach("id1")
    assert metadata(arm).json()["client_id"] == client_id(arm, "id1")
    arm.attach("id2")
    assert metadata(arm).status_code == 400
    second = client_id(arm, "id2")
    assert metadata(arm, f"&client_id={second}").json()["client_id"] == second
    both = "SystemAssigned, UserAssigned"
    block = {"type": both, "userAssignedIdentities": {identity("id1"): {}}}
    own = arm.patch(MACHINE, block).json()["identity"]["principalId"]
    assert metadata(arm).json()["client_id"] == arm.world.principals[own].app_id


def test_metadata_does_not_know_a_dead_identity(arm: Arm) -> None:
    """An identity deleted and made anew is not the one that the machine carries."""
    arm.attach("id1")
    arm.call("DELETE", identity("id1"))
    arm.call("PUT", identity("id1"), {"location": "westus"})

    assert metadata(arm).json()["error_description"] == "Identity not found"


def test_metadata_requires_its_header(arm: Arm) -> None:
    """Without it a forwarded request could steal a token."""
    path = f"/imds{MACHINE}/metadata/identity/oauth2/token?resource={STORAGE}"

    assert ask(arm, path).status_code == 400


def test_client_credentials_are_checked(arm: Arm) -> None:
    """A wrong secret or an unknown client gets no token."""
    url = f"https://127.0.0.1/{arm.world.tenant}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": arm.world.operator.app_id,
        "client_secret": arm.world.operator.secret or "",
        "scope": f"{STORAGE}/.default",
    }

    assert arm.session.post(url, data=form).json()["token_type"] == "Bearer"
    assert arm.session.post(url, data={**form, "client_secret": "x"}).status_code == 401
    assert arm.session.post(url, data={**form, "client_id": "x"}).status_code == 400
    assert arm.session.post(url, data={**form, "grant_type": "password"}).status_code == 400
    for broken in ("Basic ?", "Basic a", "Basic //8="):
        answer = arm.session.post(
            url,
            data={"grant_type": "client_credentials"},
            headers={"Authorization": broken},
        )
        assert answer.status_code == 400
