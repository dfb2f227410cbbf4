"""Who acts in the story beside the function app: a person with an account, and a workload.

Both are plain REST over HTTPS, as `az` and a program on a machine would call.
"""

import time
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import requests

from sandbox.demo.places import STORE, SUBSCRIPTION
from sandbox.world.world import World

type Json = dict[str, Any]

_VERSIONS: Final = {
    "microsoft.compute": "2024-07-01",
    "microsoft.managedidentity": "2024-11-30",
    "microsoft.authorization": "2022-04-01",
    "microsoft.eventgrid": "2022-06-15",
    "microsoft.web": "2024-04-01",
}
_ASSIGNMENTS: Final = "/providers/Microsoft.Authorization/roleAssignments"
_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_PAUSE: Final = 0.05
_TIMEOUT: Final = 60.0
"""Seconds that a busy machine may take for an answer."""


class Client:
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

    def send(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        """Send a request to a path of the local Azure."""
        return self._session.request(method, f"{self.url}{path}", timeout=_TIMEOUT, **options)


class Operator(Client):
    """A person who may do everything in the subscription."""

    def __init__(self, url: str, authority: Path, world: World) -> None:
        super().__init__(url, authority)
        form = {
            "grant_type": "client_credentials",
            "client_id": world.operator.app_id,
            "client_secret": world.operator.secret,
            "scope": "https://management.azure.com/.default",
        }
        answer = self.send("POST", f"/{world.tenant}/oauth2/v2.0/token", data=form)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def find(self, resource: str) -> Json | None:
        """Return a resource's body, or none where it is gone."""
        answer = self._call("GET", resource)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else _body(answer)

    def get(self, resource: str) -> Json:
        """Return a resource's body; raises `requests.HTTPError`, also where it stays unknown.

        What Resource Manager's own index does not show may have been made a moment ago.
        """
        deadline = time.monotonic() + _TIMEOUT
        while (answer := self._call("GET", resource)).status_code == HTTPStatus.NOT_FOUND:
            late = answer.headers.get("x-ms-failure-cause") == "gateway"
            if not late or time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
        return _body(answer)

    def build(self, machine: str, body: Json) -> Json:
        """Create a machine, wait until it is built and return its body."""
        self.put(machine, body)
        while (found := self.get(machine))["properties"]["provisioningState"] != "Succeeded":
            time.sleep(_PAUSE)
        return found

    def put(self, resource: str, body: Json) -> Json:
        """Create or write a resource and return its body."""
        return _body(self._call("PUT", resource, {"location": "westeurope", **body}))

    def delete(self, resource: str) -> None:
        """Delete a resource and wait until it is gone."""
        self._call("DELETE", resource).raise_for_status()
        while self.find(resource) is not None:
            time.sleep(_PAUSE)

    def assignments(self, scope: str) -> list[Json]:
        """Return the role assignments at a scope itself."""
        listed: list[Json] = self.get(f"{scope}{_ASSIGNMENTS}?$filter=atScope()")["value"]
        return [one for one in listed if one["properties"]["scope"].lower() == scope.lower()]

    def assign(self, scope: str, role: str, principal: str) -> Json:
        """Grant a role by hand, under a random name as the portal does."""
        return self.put(
            f"{scope}{_ASSIGNMENTS}/{uuid.uuid4()}",
            {
                "properties": {
                    "roleDefinitionId": f"{SUBSCRIPTION}/providers/Microsoft.Authorization"
                    f"/roleDefinitions/{role}",
                    "principalId": principal,
                    "principalType": "ServicePrincipal",
                    "description": "made by hand",
                }
            },
        )

    def _call(self, method: str, path: str, body: Json | None = None) -> requests.Response:
        provider = path.lower().rpartition("/providers/")[2].partition("/")[0]
        version = {"api-version": _VERSIONS[provider]}
        return self.send(method, path, params=version, json=body)


class Workload(Client):
    """A program on a machine: a token from the machine's metadata service, then the store."""

    def token(self, machine: str, client: str | None = None) -> str | None:
        """Return a token of the machine's own identity, or of the one with this client id.

        None where the machine carries no such identity.
        """
        answer = self.send(
            "GET",
            f"/imds{machine}/metadata/identity/oauth2/token",
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
        """Tell whether a token may `read` or `write` blobs in the store."""
        answer = self.send(
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
