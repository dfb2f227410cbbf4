"""What the demo stands on: the names of `seed.yaml` and `policies/` as ids, and who acts in it.

Beside the function app a person acts, and a program on a machine. Both are plain REST over HTTPS,
as `az` and such a program would call.
"""

import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import requests

from sandbox.world.world import World

type Json = dict[str, Any]

SUBSCRIPTION: Final = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP: Final = f"{SUBSCRIPTION}/resourceGroups/rg-app"
STORE: Final = (
    f"{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Storage/storageAccounts/appstore"
)
SHARED: Final = (
    f"{SUBSCRIPTION}/resourceGroups/rg-identities/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/app-shared"
)
MACHINES: Final = ("app-1", "app-2", "app-3")
READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
QUEUE_READER: Final = "19e7f393-937e-4f77-808e-94535e297925"
"""A role that no policy of the demo names."""

_VERSION: Final = "2024-07-01"  # Every provider of the local Azure takes any.
_ASSIGNMENTS: Final = "/providers/Microsoft.Authorization/roleAssignments"
_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_PAUSE: Final = 0.05
_TIMEOUT: Final = 60.0  # Seconds that a busy machine may take for an answer.


def machine(name: str) -> str:
    """Return the id of a machine."""
    return f"{GROUP}/providers/Microsoft.Compute/virtualMachines/{name}"


class _Client:
    """A session that trusts the local Azure and nothing else."""

    def __init__(self, url: str, authority: Path) -> None:
        self.url = url
        self._session = requests.Session()
        # Neither a proxy nor a CA of the machine concerns a call to the loopback address.
        self._session.trust_env = False
        self._session.verify = str(authority)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        return self._session.request(method, f"{self.url}{path}", timeout=_TIMEOUT, **options)


class Operator(_Client):
    """A person who may do everything in the subscription."""

    def __init__(self, url: str, authority: Path, world: World) -> None:
        super().__init__(url, authority)
        form = {
            "grant_type": "client_credentials",
            "client_id": world.operator.app_id,
            "client_secret": world.operator.secret,
            "scope": "https://management.azure.com/.default",
        }
        answer = self._send("POST", f"/{world.tenant}/oauth2/v2.0/token", data=form)
        self._session.headers["Authorization"] = f"Bearer {_body(answer)['access_token']}"

    def find(self, resource: str) -> Json | None:
        """Return a resource's body, or none where it is gone."""
        answer = self._call("GET", resource)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else _body(answer)

    def get(self, resource: str, until: Callable[[Json], bool] = lambda _: True) -> Json:
        """Return a resource's body; raises `requests.HTTPError`, also where it stays unknown.

        What Resource Manager's own index does not show may have been made a moment ago. With a
        condition it waits until the body fulfils that.
        """
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            answer = self._call("GET", resource)
            missing = answer.status_code == HTTPStatus.NOT_FOUND
            if not missing or answer.headers.get("x-ms-failure-cause") != "gateway":
                body = _body(answer)
                if until(body):
                    return body
            time.sleep(_PAUSE)
        return _body(answer)

    def put(self, resource: str, body: Json) -> Json:
        """Create or write a resource and return its body."""
        return _body(self._call("PUT", resource, {"location": "westeurope", **body}))

    def build(self, resource: str, body: Json) -> Json:
        """Create a resource, wait until it is there and return its body."""
        self.put(resource, body)
        return self.get(
            resource, lambda made: made["properties"]["provisioningState"] == "Succeeded"
        )

    def delete(self, resource: str) -> None:
        """Delete a resource and wait until it is gone."""
        self._call("DELETE", resource).raise_for_status()
        while self.find(resource) is not None:
            time.sleep(_PAUSE)

    def assignments(self, scope: str) -> list[Json]:
        """Return the role assignments at a scope itself."""
        listed: list[Json] = self.get(f"{scope}{_ASSIGNMENTS}?$filter=atScope()")["value"]
        return [right for right in listed if right["properties"]["scope"].lower() == scope.lower()]

    def assign(self, scope: str, role: str, principal: str) -> Json:
        """Grant a role by hand, under a random name as the portal does."""
        definition = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        properties = {
            "roleDefinitionId": definition,
            "principalId": principal,
            "principalType": "ServicePrincipal",
            "description": "made by hand",
        }
        return self.put(f"{scope}{_ASSIGNMENTS}/{uuid.uuid4()}", {"properties": properties})

    def _call(self, method: str, path: str, body: Json | None = None) -> requests.Response:
        return self._send(method, path, params={"api-version": _VERSION}, json=body)


class Workload(_Client):
    """A program on a machine: a token from the machine's metadata service, then the store."""

    def token(self, resource: str, client: str | None = None) -> str | None:
        """Return a token of a machine's own identity, or of the one with this client id.

        None where the machine carries no such identity.
        """
        answer = self._send(
            "GET",
            f"/imds{resource}/metadata/identity/oauth2/token",
            params={
                "api-version": "2018-02-01",
                "resource": "https://storage.azure.com",
                "client_id": client,
            },
            headers={"Metadata": "true"},
        )
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            return None
        token: str = _body(answer)["access_token"]
        return token

    def may(self, verb: str, token: str | None) -> bool:
        """Return whether a token may `read` or `write` blobs in the store."""
        answer = self._send(
            "GET",
            f"/dataplane{STORE}",
            params={"action": f"{_BLOBS}/{verb}"},
            headers={"Authorization": f"Bearer {token}"},
        )
        return answer.ok


def _body(answer: requests.Response) -> Json:
    answer.raise_for_status()
    body: Json = answer.json()
    return body
