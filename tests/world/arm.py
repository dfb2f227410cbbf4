"""A small ARM client over a seeded world, with a clock that the test turns."""

from typing import Any, Self

import requests

from sandbox import seed, transport
from sandbox.arm.app import Azure
from sandbox.identity import tokens
from sandbox.world.clock import Clock
from sandbox.world.state import Principal
from tests.world.ids import READER, SUB, SUBSCRIPTION

GROUP = f"{SUB}/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
STORE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store"
BLOB_READ = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"

SEED: dict[str, Any] = {
    "subscriptions": [{"id": SUBSCRIPTION, "name": "lab"}],
    "groups": [{"id": GROUP}],
    "principals": [{"name": "stranger"}, {"name": "person", "kind": "User"}],
    "identities": [
        {"id": f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"}
        for name in ("id1", "id2")
    ],
    "virtualMachines": [{"id": MACHINE}],
    "resources": [{"id": STORE}],
}


def identity(name: str) -> str:
    """Return the id of one of the seed's identities."""
    return f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


class Arm:
    """Calls ARM as one principal; the operator unless told otherwise."""

    def __init__(
        self, content: dict[str, Any] | None = None, clock: Clock | None = None, **options: float
    ) -> None:
        self.clock = clock or Clock()
        self.world = seed.load(content or SEED, clock=self.clock, **options)  # type: ignore[arg-type]  # delays and seed only
        self.app = Azure(self.world)
        self.session = transport.session(self.app)
        self.caller = self.world.operator

    def principal(self, name: str) -> Principal:
        """Return a principal by name."""
        return next(each for each in self.world.principals.values() if each.name == name)

    def called_by(self, caller: Principal) -> Self:
        """Change the caller."""
        self.caller = caller
        return self

    def settle(self, seconds: float = 1) -> None:
        """Let running operations end, and what they wrote be told."""
        self.clock.forward(seconds)
        self.world.announce()

    def call(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        *,
        version: str = "2024-07-01",
        headers: dict[str, str] | None = None,
        audience: str = "https://management.azure.com",
    ) -> requests.Response:
        """Send one request with a token."""
        token = tokens.mint(self.world, self.caller, audience)
        mark = "&" if "?" in path else "?"
        return self.session.request(
            method,
            f"https://management.azure.com{path}{mark}api-version={version}",
            json=body,
            headers={"Authorization": f"Bearer {token}", **(headers or {})},
        )

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the body of a GET that must succeed."""
        response = self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    def patch(self, path: str, identity_block: dict[str, Any]) -> requests.Response:
        """Patch a resource's identity."""
        return self.call("PATCH", path, {"identity": identity_block})

    def attach(self, *names: str) -> requests.Response:
        """Attach identities of the seed to the machine."""
        entries: dict[str, Any] = {identity(name): {} for name in names}
        block = {"type": "UserAssigned", "userAssignedIdentities": entries}
        return self.patch(MACHINE, block)

    def assign(
        self, scope: str, principal: str, role: str = READER, *, name: str = "", **more: str | None
    ) -> requests.Response:
        """Create a role assignment under a new name, unless one is given."""
        properties = {
            "roleDefinitionId": f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}",
            "principalId": principal,
            "principalType": "ServicePrincipal",
            **more,
        }
        name = name or self.world.guid()
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        sent = {key: value for key, value in properties.items() if value is not None}
        return self.call("PUT", path, {"properties": sent}, version="2022-04-01")

    def listed(self, scope: str, text: str = "") -> list[str]:
        """Return the names of the role assignments that a list shows."""
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
        found = self.get(f"{path}?$filter={text}" if text else path)
        return [each["name"] for each in found["value"]]

    def query(self, text: str, **options: Any) -> requests.Response:  # noqa: ANN401 - JSON
        """Ask Resource Graph."""
        path = "/providers/Microsoft.ResourceGraph/resources"
        body = {"subscriptions": [SUBSCRIPTION], "query": text, "options": options}
        return self.call("POST", path, body, version="2022-10-01")


def error(response: requests.Response) -> tuple[int, str]:
    """Return status and code of an error answer."""
    return response.status_code, response.json()["error"]["code"]
