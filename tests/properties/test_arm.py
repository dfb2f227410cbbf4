"""Every method of `Arm` goes where the id says, and raises nothing but an `ArmError`."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.azure.client import Arm
from reconciler.errors import Again, ArmError, NotFound
from reconciler.ids import ResourceId, fold
from reconciler.marker import assignment_name
from tests import strategies
from tests.properties.wire import PRINCIPAL, Answer, Azure, Token, calls, seam
from tests.world.ids import READER
from tests.world.ids import SUB as SUBSCRIPTION

RIGHTS = "/providers/Microsoft.Authorization/roleAssignments"
VM = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
IDENTITY = (
    f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/"
    "userAssignedIdentities/id"
)
PLACES = [
    "/",
    SUBSCRIPTION,
    "/providers/Microsoft.Management/managementGroups/m.g (1)",
    f"{SUBSCRIPTION}/resourceGroups/rg(1)",
    f"{SUBSCRIPTION}/resourcegroups/rg-net (hub)",
    f"{SUBSCRIPTION}/resourceGroups/группа 東京 µſı\N{KELVIN SIGN}",
    f"{VM}/providers/Microsoft.X/blobServices/default/containers/$web",
    f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/dnszones/a.b/A/@",
    f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/dnszones/a.b/A/*",
    f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.X/y/()!$&+,;=:@*",
    f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.X/y/{{scope}}{{}}{{0}}[a]<b>|^~",
    f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.X/y/http:/providers/a/b/c:443@d",
]


@pytest.fixture(scope="module")
def azure() -> Azure:
    """What stands in for Azure."""
    return Azure()


@pytest.fixture(scope="module")
def arm(azure: Azure) -> Iterator[Arm]:
    """The seam over it."""
    made = seam(azure)
    yield made
    made.close()


def test_every_method_that_calls_azure_is_tried_here() -> None:
    """A method that is added is held to the same rules."""
    quiet = {"close", "caller", "known_client"}
    methods = {name for name in vars(Arm) if not name.startswith("_")} - quiet

    assert methods == set(calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY))))


def expected(scope: str, machine: str, identity: str) -> dict[str, str]:
    """Return the path of each method's call; where a filter names an id, by the same names."""
    at = scope.rstrip("/")
    group = machine.partition("/providers/")[0]
    ours = assignment_name(ResourceId.parse(scope), READER, PRINCIPAL)
    return {
        "resource": machine,
        "user_identity": identity,
        "create_identity": identity,
        "group_exists": group,
        "patch_identities": machine,
        "assignments_at": f"{at}{RIGHTS}",
        "assignment": f"{at}{RIGHTS}/{PRINCIPAL}",
        "put_assignment": f"{at}{RIGHTS}/{ours}",
        "permissions": f"{at}/providers/Microsoft.Authorization/roleDefinitions/{READER}",
        "delete_assignment": f"{at}{RIGHTS}/{PRINCIPAL}",
        "subscriptions_below": f"{at}/descendants",
        "written": f"{SUBSCRIPTION}/providers/Microsoft.Insights/eventtypes/management/values",
        "query": "/providers/Microsoft.ResourceGraph/resources",
    }


def assert_goes_where_it_says(azure: Azure, arm: Arm, scope: str, group: str, name: str) -> None:
    """Make each call and look at what `requests` would have put on the wire."""
    below = f"{SUBSCRIPTION}/resourceGroups/{group}/providers"
    machine = f"{below}/Microsoft.Compute/virtualMachines/{name}"
    identity = f"{below}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    paths = expected(scope, machine, identity)
    azure.answer = Answer()
    for method, call in calls(*map(ResourceId.parse, (scope, machine, identity))).items():
        azure.sent.clear()
        with pytest.raises(Again, match="could not be reached"):
            call(arm)
        (sent,) = azure.sent
        url = urlsplit(sent.url or "")
        assert (url.scheme, url.netloc) == ("https", "management.azure.com")
        assert [unquote(part) for part in url.path.split("/")] == paths[method].split("/")
        chosen = parse_qs(url.query, strict_parsing=bool(url.query)).get("$filter", [""])[0]
        if method == "written":
            assert chosen.endswith(f"and resourceUri eq '{machine}'")


@pytest.mark.parametrize("scope", PLACES)
def test_calls_at_places_that_occur_go_there(azure: Azure, arm: Arm, scope: str) -> None:
    """Groups in brackets, containers, records, blanks, letters of other scripts."""
    name = ResourceId.parse(scope).name or "x"
    assert_goes_where_it_says(azure, arm, scope, name, name)


@given(strategies.id_texts, strategies.names, strategies.names)
def test_every_call_goes_where_the_id_says(scope: str, group: str, name: str) -> None:
    """Through the SDKs' clients, our pipeline and `requests`, whatever an id can hold."""
    azure = Azure()
    arm = seam(azure)
    assert_goes_where_it_says(azure, arm, scope, group, name)
    arm.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        (VM, IDENTITY, SUBSCRIPTION, PRINCIPAL, "0001-01-01T00:00:00+14:00", 10**400)
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("id", "value", "nextLink", "properties", "identity", "type", "error", "code"),
                    *(
                        "message",
                        "details",
                        "data",
                        "$skipToken",
                        "resultTruncated",
                        "tags",
                        "name",
                    ),
                    *(
                        "userAssignedIdentities",
                        "principalId",
                        "permissions",
                        "resources",
                        "status",
                    ),
                )
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)

LINK = f"https://management.azure.com{VM}?$skiptoken=%7Bx%7D"
WHOLE: dict[str, Any] = {
    "resource": {
        "id": VM,
        "tags": {"a": "b"},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {"timeCreated": "2026-01-01T00:00:00Z", "provisioningState": "Succeeded"},
        "resources": [{"properties": {"provisioningState": "Updating"}}],
    },
    "user_identity": {"id": IDENTITY, "properties": {"principalId": PRINCIPAL}},
    "assignment": {
        "id": f"{SUBSCRIPTION}{RIGHTS}/{PRINCIPAL}",
        "properties": {
            "principalId": PRINCIPAL,
            "roleDefinitionId": f"/x/{READER}",
            "scope": SUBSCRIPTION,
            "createdOn": "2026-01-01T00:00:00Z",
        },
    },
    "permissions": {
        "id": f"/providers/Microsoft.Authorization/roleDefinitions/{READER}",
        "properties": {"permissions": [{"actions": ["*"]}]},
    },
    "subscriptions_below": {"value": [{"id": SUBSCRIPTION}], "nextLink": None},
    "written": {
        "value": [
            {
                "status": {"value": "Succeeded"},
                "operationName": {"value": "x"},
                "eventTimestamp": "2026-01-01T00:00:00Z",
                "claims": {"x": "y"},
            }
        ]
    },
    "query": {"data": [{"id": VM}], "resultTruncated": "false", "$skipToken": None},
}
WHOLE["patch_identities"] = WHOLE["resource"]
WHOLE["create_identity"] = WHOLE["user_identity"]
WHOLE["put_assignment"] = WHOLE["delete_assignment"] = WHOLE["assignment"]
WHOLE["group_exists"] = {"id": VM.partition("/providers/")[0]}
WHOLE["assignments_at"] = {"value": [WHOLE["assignment"]]}


def with_another_part(body: Any, part: Any, dice: st.DataObject) -> Any:  # noqa: ANN401 (JSON)
    """Return a body with something else in one place, however deep."""
    if not isinstance(body, dict | list) or not body or dice.draw(st.booleans()):
        return part
    if isinstance(body, list):
        return [with_another_part(body[0], part, dice), *body[1:]]
    key = dice.draw(st.sampled_from(sorted(body)))
    return {**body, key: with_another_part(body[key], part, dice)}


STATUSES = st.sampled_from(
    (
        *(200, 200, 200, 200, 201, 202, 204, 206, 299, 301, 302, 304, 307),
        *(400, 401, 403, 404, 404, 405, 408, 409, 409, 410, 412, 413, 418, 429, 429, 451, 499),
        *(500, 501, 502, 503, 504, 511, 599, 999),
    )
)
TYPES = (
    *("application/json", "application/json; charset=utf-8", "text/html", "application/xml"),
    *("application/json; charset=nonsense", "text/plain; charset=hex", "image/png", ""),
    *("application/json; charset=utf-16", "application/json; charset=idna", "nonsense"),
)
HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(TYPES)},
    optional={
        "Retry-After": st.sampled_from(
            ("", "0", "-1", "9" * 400, "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "junk", "7")
        ),
        "ETag": st.sampled_from(('"1"', "", "x" * 100)),
        "Content-Encoding": st.sampled_from(("gzip", "deflate", "br", "identity")),
        "Location": st.sampled_from(("https://elsewhere.invalid/", "/", "")),
        "WWW-Authenticate": st.sampled_from(
            ("Bearer", "", 'Bearer error="insufficient_claims", claims="!!!"', "Bearer claims=")
        ),
        "x-ms-failure-cause": st.sampled_from(("gateway", "")),
        "Content-Length": st.sampled_from(("0", "5", "-1", "x")),
    },
)
DEEP = b"[" * 100_000
METHODS = sorted(WHOLE)


@st.composite
def answers(draw: st.DrawFn, method: str) -> Answer:
    """Return an answer: anything, or a whole body with another part, or a torn one."""
    kind = draw(st.sampled_from(("bytes", "json", "part", "torn", "whole", "odd")))
    body: bytes
    if kind == "bytes":
        body = draw(st.binary(max_size=20))
    elif kind == "odd":
        body = draw(
            st.sampled_from(
                (DEEP, b"", b"null", b"7", b"[]", b'"x"', b"1" * 5000, b"NaN", b"\xff\xfe{}\0")
            )
        )
    else:
        value = WHOLE[method] if kind in {"part", "torn", "whole"} else draw(json_values)
        if kind == "part":
            value = with_another_part(value, draw(json_values), draw(st.data()))
        body = json.dumps(value).encode(errors="surrogatepass")
        if kind == "torn":
            body = body[: draw(st.integers(0, len(body)))]
    reset = draw(st.none() | st.integers(0, len(body)))
    return Answer(draw(STATUSES), body, draw(HEADERS), draw(st.sampled_from((None, None, reset))))


@pytest.mark.parametrize("method", METHODS)
@given(st.data())
def test_no_answer_raises_anything_but_an_arm_error(method: str, data: st.DataObject) -> None:
    """Whatever its status, type or body; and no call is repeated by the pipeline for ever."""
    azure = Azure()
    arm = seam(azure)
    azure.answer = data.draw(answers(method))
    place = calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))
    with contextlib.suppress(ArmError):
        place[method](arm)

    assert 0 < len(azure.sent) < 5
    arm.close()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [202, 204, 301, 302, 304])
def test_an_answer_without_what_was_asked_for_is_unreadable(
    azure: Azure, arm: Arm, method: str, status: int
) -> None:
    """A GET that is accepted, moved or empty says nothing of what is there."""
    if (method, status) == ("delete_assignment", 204):
        return
    azure.answer = Answer(status, b"", {"Location": "https://elsewhere.invalid/"})
    with pytest.raises(Again):
        calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_answer_is_read(azure: Azure, arm: Arm, method: str) -> None:
    """So that what the others show is not only that everything is refused."""
    body = json.dumps(WHOLE[method]).encode()
    azure.answer = Answer(200, body, {"Content-Type": "application/json"})

    calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)


@pytest.mark.parametrize(
    "method", ["resource", "user_identity", "assignment", "patch_identities", "permissions"]
)
def test_an_answer_about_something_else_is_unreadable(azure: Azure, arm: Arm, method: str) -> None:
    """A cache, or a wrong turn on the way, must not have one thing changed for another's sake."""
    body = json.dumps(WHOLE[method] | {"id": WHOLE[method]["id"] + "2"}).encode()
    azure.answer = Answer(200, body, {"Content-Type": "application/json"})

    with pytest.raises(Again, match="is about"):
        calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)


@pytest.mark.parametrize("method", ["subscriptions_below", "assignments_at", "query"])
@pytest.mark.parametrize(
    "link", [LINK, "https://[", 7, True, ["x"], "x", "\ud800?\ud800", f"{LINK}{'{}'}\n\t\x00 é"]
)
def test_a_list_without_an_end_is_unreadable(
    azure: Azure, arm: Arm, method: str, link: object
) -> None:
    """A next link that leads to itself, or is none, and a token that comes again."""
    azure.sent.clear()
    empty = {"value": [], "data": [], "nextLink": link, "$skipToken": link}
    azure.answer = Answer(200, json.dumps(empty).encode(), {"Content-Type": "application/json"})

    with pytest.raises(Again):
        calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)
    assert len(azure.sent) <= 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "token", [None, "", 7, b"x", "a\nb", "a b", "\u202e", "é", "\ud800", ["x"], "a\r\nHost: x"]
)
def test_a_token_that_is_none_is_no_crash(method: str, token: object) -> None:
    """A credential is others' code; what it returns must neither crash nor forge a header."""
    azure, credential = Azure(), Token()
    credential.token = token
    arm = seam(azure, credential)
    with pytest.raises(ArmError, match="sign in"):
        calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)

    assert azure.sent == []
    arm.close()


@given(st.text(max_size=12))
@example("a.W10.c")
def test_who_we_are_is_read_or_refused(token: str) -> None:
    """Our own token too is what an endpoint answered."""
    credential = Token()
    credential.token = token
    arm = seam(Azure(), credential)
    with contextlib.suppress(ArmError):
        assert arm.caller
    arm.close()


def test_an_absence_keeps_who_told_of_it(azure: Azure, arm: Arm) -> None:
    """Through the SDK's client and through our own call."""
    body = json.dumps({"error": {"code": "ResourceNotFound", "message": "gone"}}).encode()
    told = {"Content-Type": "application/json", "x-ms-failure-cause": "gateway"}
    for method in ("resource", "user_identity", "assignment"):
        azure.answer = Answer(404, body, told)
        with pytest.raises(NotFound) as caught:
            calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)
        assert caught.value.gateway
        azure.answer = replace(azure.answer, headers={"Content-Type": "application/json"})
        with pytest.raises(NotFound) as caught:
            calls(*map(ResourceId.parse, (SUBSCRIPTION, VM, IDENTITY)))[method](arm)
        assert not caught.value.gateway


def test_paths_are_compared_as_ids_are() -> None:
    """The identities' SDK spells `resourceGroups` in its own way."""
    azure = Azure()
    arm = seam(azure)
    place = ResourceId.parse(IDENTITY.replace("resourceGroups", "RESOURCEGROUPS"))
    with pytest.raises(Again, match="could not be reached"):
        arm.user_identity(place)

    (sent,) = azure.sent
    assert fold(urlsplit(sent.url or "").path) == place.key
    arm.close()
