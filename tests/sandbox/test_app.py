"""What ARM checks before a service is asked, and the resources without a service of their own."""

import pytest

from sandbox.arm.app import SERVICES
from sandbox.arm.routing import Evidence
from sandbox.identity import tokens
from tests.world.arm import GROUP, MACHINE, STORE, Arm, error
from tests.world.ids import READER, SUB, SUBSCRIPTION


def test_a_call_without_a_token_is_challenged(arm: Arm) -> None:
    """401 with WWW-Authenticate."""
    answer = arm.session.get(f"https://management.azure.com{SUB}?api-version=2022-12-01")

    assert error(answer) == (401, "AuthenticationFailed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


def test_a_token_for_another_resource_is_refused(arm: Arm) -> None:
    """The audience must be ARM."""
    answer = arm.call("GET", SUB, audience="https://storage.azure.com")

    assert error(answer) == (401, "InvalidAuthenticationTokenAudience")


@pytest.mark.parametrize(
    ("version", "code"),
    [("", "MissingApiVersionParameter"), ("latest", "InvalidApiVersionParameter")],
)
def test_the_api_version_is_required(arm: Arm, version: str, code: str) -> None:
    """400 without a well-formed one."""
    assert error(arm.call("GET", SUB, version=version)) == (400, code)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/subscriptions/nowhere", (404, "SubscriptionNotFound")),
        (f"{SUB}/resourceGroups/gone", (404, "ResourceGroupNotFound")),
        (f"{SUB}/resourceGroups/gone/resources", (404, "ResourceGroupNotFound")),
        (f"{MACHINE}x", (404, "ResourceNotFound")),
        (f"{STORE}x", (404, "ResourceNotFound")),
        (f"{SUB}/resourceGroups/gone/providers/A.B/c/d", (404, "ResourceGroupNotFound")),
        ("/what", (400, "UnsupportedBySandbox")),
    ],
)
def test_what_is_not_there_has_its_own_code(arm: Arm, path: str, expected: tuple[int, str]) -> None:
    """Subscription, group and resource are told apart."""
    assert error(arm.call("GET", path)) == expected


@pytest.mark.parametrize(
    "path",
    [f"/{STORE}", f"/{STORE.replace('/', '%2F')}", STORE.replace("/storage", "//storage")],
)
def test_doubled_and_escaped_slashes_count_once(arm: Arm, path: str) -> None:
    """Clients write them where a scope stands in a path; answers do not repeat them."""
    made = arm.assign(path, arm.principal("stranger").oid)

    assert made.json()["properties"]["scope"] == STORE


def test_every_call_is_in_the_log(arm: Arm) -> None:
    """Method, path, status, caller and time; also of refused ones."""
    arm.get(MACHINE)
    arm.call("GET", f"{MACHINE}x")
    first, second = arm.world.requests

    assert (first.method, first.path, first.status) == ("GET", MACHINE, 200)
    assert (second.status, second.app_id) == (404, arm.world.operator.app_id)


def test_groups_are_made_listed_and_deleted(arm: Arm) -> None:
    """201 then 200; HEAD tells existence; deletion is an operation."""
    path = f"{SUB}/resourceGroups/new"

    assert arm.call("PUT", path, {"location": "westus"}).status_code == 201
    assert arm.call("PUT", path, {"location": "westus", "tags": {"a": "b"}}).status_code == 200
    assert arm.call("HEAD", path).status_code == 204
    names = [each["name"] for each in arm.get(f"{SUB}/resourceGroups")["value"]]
    assert names == ["rg-reconciler", "rg", "new"]
    answer = arm.call("DELETE", path)
    poll = answer.headers["location"].removeprefix("https://management.azure.com")
    assert (answer.status_code, arm.call("GET", poll).status_code) == (202, 202)
    arm.clock.forward(1)
    assert arm.call("GET", poll).status_code == 200
    assert arm.call("HEAD", path).status_code == 404


def test_generic_lists_filter_and_page(arm: Arm) -> None:
    """Filters by type and name combine; pages are chained by nextLink."""
    text = "resourceType eq 'microsoft.compute/virtualmachines' and name eq 'VM'"
    found = arm.get(f"{GROUP}/resources?$filter={text}")["value"]
    assert [each["id"] for each in found] == [MACHINE]
    names = []
    path = f"/subscriptions/{SUBSCRIPTION}/resources?$top=3"
    while path:
        page = arm.get(path)
        names += [each["name"] for each in page["value"]]
        path = page.get("nextLink", "").removeprefix("https://management.azure.com")
        path = path.replace("&api-version=2024-07-01", "").replace("api-version=2024-07-01&", "")
    assert names == ["reconciler", "id1", "id2", "vm", "store"]
    refused = arm.call("GET", f"{GROUP}/resources?$filter=substringof('x', name)")
    assert "substringof" in refused.json()["error"]["message"]


def test_a_group_shows_its_tags_and_what_manages_it(arm: Arm) -> None:
    """Without tags there is no such member; the id is spelled as ARM does."""
    path = f"{SUB}/resourcegroups/new"

    made = arm.call("PUT", path, {"location": "westus"})
    assert "tags" not in made.json()
    assert made.json()["id"] == f"{SUB}/resourceGroups/new"
    arm.call("PUT", path, {"location": "westus", "tags": {"a": "b"}, "managedBy": path})
    shown = arm.get(path)
    assert (shown["tags"], shown["managedBy"]) == ({"a": "b"}, path)


def test_role_definitions_are_read_by_guid(arm: Arm) -> None:
    """A built-in role by its GUID; 404 for another; lists by type."""
    roles = f"{GROUP}/providers/Microsoft.Authorization/roleDefinitions"

    assert arm.get(f"{roles}/{READER}")["properties"]["roleName"] == "Reader"
    gone = arm.call("GET", f"{roles}/22222222-2222-2222-2222-222222222222")
    assert error(gone) == (404, "RoleDefinitionDoesNotExist")
    built_in = arm.get(f"{roles}?$filter=type eq 'BuiltInRole'")["value"]
    assert len(built_in) >= 15
    assert arm.call("GET", f"{roles}?$filter=type eq 'x'").status_code == 400


def test_types_are_listed_in_group_and_subscription(arm: Arm) -> None:
    """Every type has its lists."""
    suffix = "/providers/Microsoft.Storage/storageAccounts"

    for place in (GROUP, SUB):
        assert [each["id"] for each in arm.get(place + suffix)["value"]] == [STORE]
    assert [each["subscriptionId"] for each in arm.get("/subscriptions")["value"]] == [SUBSCRIPTION]


def test_a_forged_token_is_refused(arm: Arm) -> None:
    """What the sandbox did not sign is no token."""
    answer = arm.call("GET", SUB, headers={"Authorization": "Bearer forged"})

    assert error(answer) == (401, "InvalidAuthenticationToken")


def test_generic_resources_are_deleted_once(arm: Arm) -> None:
    """200, then 204."""
    assert arm.call("DELETE", STORE).status_code == 200
    assert arm.call("DELETE", STORE).status_code == 204


def test_a_body_of_the_wrong_shape_is_refused(arm: Arm) -> None:
    """400, whatever was expected."""
    assert error(arm.call("PUT", STORE, ["x"])) == (400, "InvalidRequestContent")
    assert error(arm.call("PATCH", MACHINE, {"tags": "x"})) == (400, "InvalidRequestContent")
    assert error(arm.call("PATCH", MACHINE, {"identity": "x"})) == (400, "InvalidRequestContent")


def test_every_route_says_how_well_it_is_known() -> None:
    """Evidence and source are there for each, and no two routes are the same."""
    routes = [route for service in SERVICES for route in service]

    assert all(isinstance(route.evidence, Evidence) and route.source for route in routes)
    assert len({(route.method, route.rule) for route in routes}) == len(routes)


def test_a_child_without_its_parent_says_so(arm: Arm) -> None:
    """Nested resources have a 404 of their own."""
    path = f"{STORE}x/blobServices/default"

    assert error(arm.call("GET", path)) == (404, "ParentResourceNotFound")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_arm_reads_nothing_but_json(arm: Arm, kind: str) -> None:
    """A body of another type, or of none, is refused by its name."""
    headers = {"Content-Type": kind, "Authorization": f"Bearer {_token(arm)}"}
    url = f"https://management.azure.com{GROUP}?api-version=2022-09-01"
    answer = arm.session.patch(url, data='{"tags": {}}', headers=headers)

    assert error(answer) == (415, "UnsupportedMediaType")
    assert f"'{kind}'" in answer.text


def test_the_sandbox_reads_what_curl_sends(arm: Arm) -> None:
    """Its own routes take JSON for what it is, though curl calls it a form."""
    form = "application/x-www-form-urlencoded"
    headers = {"Content-Type": form, "Authorization": f"Bearer {_token(arm)}"}
    url = "https://management.azure.com/sandbox/faults"
    answer = arm.session.patch(url, data='{"graphDelay": 60}', headers=headers)

    assert answer.json()["graphDelay"] == 60


def _token(arm: Arm) -> str:
    return tokens.mint(arm.world, arm.world.operator, "https://management.azure.com")
