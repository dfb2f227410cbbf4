"""The seam to Azure over a session that answers what a test gives it; nothing leaves the process.

Everything between `Arm` and the socket is real: the SDKs' clients, our pipeline and `requests`.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter

from reconciler.azure.client import Arm
from reconciler.ids import ResourceId
from reconciler.model import Grant, NewIdentity, Resource
from tests.world.ids import READER

ENDPOINT = "https://management.azure.com"
PRINCIPAL = "22222222-2222-2222-2222-222222222222"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Answer:
    """What is answered to every call; without a status the connection is lost."""

    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    reset_after: int | None = None


class _Body(io.BytesIO):
    """A body whose connection is reset after some bytes."""

    def __init__(self, content: bytes, reset_after: int) -> None:
        super().__init__(content)
        self._reset_after = reset_after

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, or fail as a socket does."""
        if self.tell() >= self._reset_after:
            raise ConnectionResetError("reset in the middle")
        return super().read(size)


class Azure(BaseAdapter):
    """Notes what would go on the wire, and answers it."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Answer()
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]  # only the request matters
        """Note a call and answer it."""
        self.sent.append(request)
        if self.answer.status is None:
            raise requests.ConnectionError("nobody there")
        response = requests.Response()
        response.status_code = self.answer.status
        response.request = request
        response.url = request.url or ""
        response.headers.update(self.answer.headers)
        reset_after = self.answer.reset_after
        content = self.answer.body
        response.raw = io.BytesIO(content) if reset_after is None else _Body(content, reset_after)
        return response

    def close(self) -> None:
        """Nothing is held open."""


class Token:
    """A credential with one token."""

    def __init__(self) -> None:
        self.token: Any = "head.e30.signature"

    def get_token(self, *_: str, **__: Any) -> AccessToken:  # noqa: ANN401 (the protocol's options)
        """Return the token."""
        return AccessToken(self.token, 2**33)


class Clock:
    """Two hours pass between any two looks at it, so that nothing is remembered."""

    def __init__(self) -> None:
        self._time = LONG_AGO

    def __call__(self) -> datetime:
        """Return the time."""
        self._time += timedelta(hours=2)
        return self._time


def seam(azure: Azure, credential: Token | None = None) -> Arm:
    """Return the seam over a session that this Azure answers."""
    session = requests.Session()
    session.mount("https://", azure)
    transport = RequestsTransport(session=session, session_owner=False)
    return Arm(credential or Token(), ENDPOINT, Clock(), transport)


type Call = Callable[[Arm], object]


def calls(scope: ResourceId, machine: ResourceId, identity: ResourceId) -> dict[str, Call]:
    """Return a call of each method of `Arm` that makes one."""
    right = ResourceId.parse(
        f"{str(scope).rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{PRINCIPAL}"
    )
    role = ResourceId.parse(
        f"{str(scope).rstrip('/')}/providers/Microsoft.Authorization/roleDefinitions/{READER}"
    )
    block = {"type": "UserAssigned", "userAssignedIdentities": {str(identity): {}}}
    new = NewIdentity(identity, "westeurope", (("team", "desktop"),))
    return {
        "resource": lambda arm: arm.resource(machine),
        "user_identity": lambda arm: arm.user_identity(identity),
        "create_identity": lambda arm: arm.create_identity(new),
        "group_exists": lambda arm: arm.group_exists(ResourceId.parse(str(machine.group_id))),
        "patch_identities": lambda arm: arm.patch_identities(Resource(machine, etag='"1"'), block),
        "assignments_at": lambda arm: arm.assignments_at(scope),
        "assignment": lambda arm: arm.assignment(right),
        "put_assignment": lambda arm: arm.put_assignment(Grant(READER, scope), PRINCIPAL, "marker"),
        "permissions": lambda arm: arm.permissions(role),
        "delete_assignment": lambda arm: arm.delete_assignment(right),
        "subscriptions_below": lambda arm: arm.subscriptions_below(scope),
        "written": lambda arm: arm.written(machine, LONG_AGO, LONG_AGO),
        "query": lambda arm: list(arm.query(f"resources | where id == '{machine}'", ())),
    }
