"""The last look at where a call goes, and who we are by our token."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter

from reconciler.azure.client import Arm
from reconciler.azure.pipeline import Caller, read_caller
from reconciler.errors import Again, Unreadable
from reconciler.ids import ResourceId
from reconciler.model import Grant, Resource
from tests.world.ids import READER, SUB

VM = f"{SUB}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
UAI = f"{SUB}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id"
PRINCIPAL = "22222222-2222-2222-2222-222222222222"


class Recorder(BaseAdapter):
    """Notes what would go on the wire, where nobody answers."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]  # only the request matters
        """Note a call."""
        self.sent.append(f"{request.method} {request.path_url.partition('?')[0]}")
        raise requests.ConnectionError("nobody there")

    def close(self) -> None:
        """Nothing is held open."""


class Token:
    """A credential with one token."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:  # noqa: ANN401 (the protocol's options)
        """Return the token."""
        return AccessToken(token(oid=PRINCIPAL), 2**33)


def token(**claims: str) -> str:
    """Return an access token with some claims, signed by nobody."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


@pytest.fixture
def recorder() -> Recorder:
    """What went on the wire."""
    return Recorder()


@pytest.fixture
def arm(recorder: Recorder) -> Iterator[Arm]:
    """The seam to ARM, over a session that goes nowhere."""
    session = requests.Session()
    session.mount("https://", recorder)
    transport = RequestsTransport(session=session, session_owner=False)
    made = Arm(Token(), "https://management.azure.com", lambda: datetime.now(UTC), transport)
    yield made
    made.close()
    session.close()


def forged(text: str) -> ResourceId:
    """Return an id that never saw the parser, as a mistake in it would let through."""
    head = ResourceId.parse(VM)
    return ResourceId(text.lower(), text, head.subscription, "..", head.blocks)


FORGED = [
    f"{SUB}/resourceGroups/rg/../rg-other/providers/Microsoft.Compute/virtualMachines/vm",
    f"{SUB}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/x/../../../../../..",
    f"{SUB}/resourceGroups/./rg/providers/Microsoft.Compute/virtualMachines/vm",
]


@pytest.mark.parametrize("text", FORGED)
def test_an_id_with_dot_segments_is_never_sent(arm: Arm, recorder: Recorder, text: str) -> None:
    """HTTP clients normalise paths, so it would read or write elsewhere than it says."""
    place = forged(text)
    vm = ResourceId(place.key, text, place.subscription, "rg", ResourceId.parse(VM).blocks)
    calls: list[Callable[[], object]] = [
        lambda: arm.resource(vm),
        lambda: arm.patch_identities(Resource(vm), {"type": "None"}),
        lambda: arm.assignments_at(place),
        lambda: arm.assignment(place),
        lambda: arm.put_assignment(Grant(READER, place), PRINCIPAL, "marker"),
        lambda: arm.delete_assignment(place),
    ]
    for call in calls:
        with pytest.raises(AssertionError, match="intended path"):
            call()

    assert recorder.sent == []


def test_an_identity_with_dot_segments_is_never_sent(arm: Arm, recorder: Recorder) -> None:
    """The SDK builds this URL from group and name."""
    blocks = (("Microsoft.ManagedIdentity", "userAssignedIdentities", ".."),)
    text = UAI.replace("/id", "/..")
    place = ResourceId(text.lower(), text, SUB.rsplit("/", 1)[-1], "rg", blocks)
    with pytest.raises(AssertionError, match="intended path"):
        arm.user_identity(place)

    assert recorder.sent == []


@pytest.mark.parametrize("name", ["vm", "vm (1)", "vm-ä", "a,b;c=d@e!$&", "VM.old~"])
def test_an_id_goes_where_it_says(arm: Arm, recorder: Recorder, name: str) -> None:
    """Blanks and letters of any alphabet are escaped, and nothing else happens to them."""
    place = ResourceId.parse(VM.rsplit("/", 1)[0] + f"/{name}")
    with pytest.raises(Again, match="nobody there"):
        arm.resource(place)

    (sent,) = recorder.sent
    assert unquote(sent) == f"GET {place}"


def test_an_identity_goes_where_it_says(arm: Arm, recorder: Recorder) -> None:
    """Spelled `resourcegroups`, as Azure itself does, it is the same place."""
    place = ResourceId.parse(UAI.replace("resourceGroups", "resourcegroups"))
    with pytest.raises(Again, match="nobody there"):
        arm.user_identity(place)

    assert [sent.lower() for sent in recorder.sent] == [f"get {place.key}"]


class Challenger(Recorder):
    """Asks for another token once, as continuous access evaluation does, and then answers."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]  # only the request matters
        """Challenge the first call."""
        first = not self.sent
        self.sent.append(f"{request.method} {request.path_url.partition('?')[0]}")
        answer = requests.Response()
        answer.request, answer.url = request, str(request.url)
        answer.status_code = 401 if first else 200
        answer.raw = io.BytesIO(b"{}" if first else json.dumps({"id": VM}).encode())
        claims = base64.urlsafe_b64encode(b'{"access_token": {}}').decode()
        if first:
            challenge = f'Bearer error="insufficient_claims", claims="{claims}"'
            answer.headers["WWW-Authenticate"] = challenge
        return answer


def test_a_challenged_call_is_sent_again_to_the_same_place() -> None:
    """Azure may ask for a token with other claims at any time; the call is looked at both times."""
    session, challenger = requests.Session(), Challenger()
    session.mount("https://", challenger)
    transport = RequestsTransport(session=session, session_owner=False)
    arm = Arm(Token(), "https://management.azure.com", lambda: datetime.now(UTC), transport)

    assert arm.resource(ResourceId.parse(VM)).id == ResourceId.parse(VM)
    assert challenger.sent == [f"GET {VM}"] * 2

    arm.close()
    session.close()


def test_our_identity_is_read_from_our_token() -> None:
    """`oid` is what Azure writes into `createdBy`; compared in lower case."""
    found = read_caller(token(oid=PRINCIPAL.upper(), appid="ABC", xms_mirid=UAI))

    assert found == Caller(PRINCIPAL, "abc", ResourceId.parse(UAI))


@pytest.mark.parametrize("mirid", [None, "", "nonsense"])
def test_a_person_has_no_identity_resource(mirid: str | None) -> None:
    """Only a managed identity's token names one."""
    claims = {"oid": PRINCIPAL} | ({} if mirid is None else {"xms_mirid": mirid})

    assert read_caller(token(**claims)).identity is None


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.!!!.c", token(), token(sub="x"), "a.bnVsbA.c", "a.W10.c", "ä.ä.ä"]
)
def test_a_token_that_does_not_say_whose_it_is_is_refused(text: str) -> None:
    """Without an `oid` nothing could be told to be ours."""
    with pytest.raises(Unreadable, match="oid"):
        read_caller(text)
