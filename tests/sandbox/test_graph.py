"""Resource Graph and its query language."""

from typing import Any

import pytest

from tests.world.arm import GROUP, MACHINE, SEED, STORE, Arm, error, identity
from tests.world.ids import SUB, SUBSCRIPTION

CORP = "/providers/Microsoft.Management/managementGroups/corp"
HOLDERS = """
    authorizationresources
    | where type =~ 'microsoft.authorization/roleassignments'
    | where tostring(properties.createdBy) in~ ('{maker}')
    | where tostring(properties.description) in~ ('{marker}')
        or tostring(properties.principalId) in~ ('{principal}')
    | extend principal = tolower(tostring(properties.principalId))
    | join kind={kind} (
        resources | extend principal = tolower(tostring(identity.principalId))
        | where isnotempty(principal) | project principal, carrier = id
      ) on principal
    | project id, name, type, properties, principal, carrier
"""
ROW = "resources | where id =~ '{id}' | project id, name, type, kind, identity, properties"


def rows(arm: Arm, text: str, **options: object) -> list[dict[str, Any]]:
    """Return the rows of a query that must succeed."""
    answer = arm.query(text, **options)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_who_carries_a_principal_is_asked_by_the_identity(arm: Arm) -> None:
    """System principals and those of user-assigned identities are found by path."""
    own = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]
    user = arm.get(identity("id1"))["properties"]["principalId"]
    text = f"resources | where identity.principalId == '{own}' | project name"

    assert rows(arm, text) == [{"name": "vm"}]
    text = f"Resources | where properties.principalId in~ ('{user.upper()}', 'x') | project name"
    assert rows(arm, text) == [{"name": "id1"}]


def test_role_assignments_are_a_table(arm: Arm) -> None:
    """Their properties are nested as in ARM; the type is in lower case."""
    principal = arm.get(identity("id1"))["properties"]["principalId"]
    made = arm.assign(STORE, principal, description="heritage=x").json()
    text = (
        "authorizationresources | where type == 'microsoft.authorization/roleassignments'"
        " and properties.description startswith 'HERITAGE' | extend scope = properties.scope"
        " | project id, scope, principal = tostring(properties.principalId)"
    )

    assert rows(arm, text) == [{"id": made["id"], "scope": STORE, "principal": principal}]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("name == 'vm'", True),
        ("name == 'VM'", False),
        ("name =~ 'VM'", True),
        ("name != 'vm'", False),
        ("name !~ 'x' and (name == 'a' or name == 'vm')", True),
        ("tags.team == 'desk'", True),
        ("tags.team =~ 'DESK'", True),
        ('tostring(tags) == \'{"team":"desk"}\'', True),
        ("isempty(identity.principalId)", True),
        ("name == 'it\\'s'", False),
        ("coalesce(tostring(tags.none), tostring(tags.team)) == 'desk'", True),
        ("coalesce(tostring(tags.none), 'x') == 'x'", True),
        ("isnotempty(tags.none) or (isnotempty(tags.team) and name in~ ('VM'))", True),
        (
            "id startswith '/SUBSCRIPTIONS/' and type in~ ('Microsoft.Compute/virtualMachines')",
            True,
        ),
    ],
)
def test_conditions_follow_the_query_language(test: str, *, expected: bool) -> None:
    """Case-sensitive and case-insensitive operators, words, lists, paths and functions."""
    machine = {**SEED["virtualMachines"][0], "tags": {"team": "desk"}}
    arm = Arm({**SEED, "virtualMachines": [machine]})
    found = rows(
        arm, f"resources | where type == 'microsoft.compute/virtualmachines' | where {test}"
    )

    assert bool(found) is expected


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("resources | summarize count()", "summarize"),
        ("resources | where nmae == 'x'", "nmae"),
        ("resources | where name matches regex 'x'", "matches"),
        ("resources | where strlen(name) == 1", "strlen"),
        ("alertsmanagementresources", "alertsmanagementresources"),
        ("resources | where name == 'x", "'"),
        ("resources | where (name == 'x'", "<EOF>"),
        ("resources | take 5", "take"),
        ("resources | order by id asc", "order"),
        ("resources | mv-expand key = bag_keys(tags)", "mv-expand"),
        ("resources | where id has 'vm'", "has"),
        ("resources | where name in ('vm')", "in"),
        ("resources | where tags['team'] == 'desk'", "["),
        ("resources | where isnull(tags)", "isnull"),
        ("", "<EOF>"),
        ("resources | join (resources) on id", "("),
        ("resources | join kind=rightouter (resources) on id", "rightouter"),
        ("resources | join kind=inner (resources) on tags", "tags"),
        ("resources | extend p = identity.principalId | join kind=inner (resources) on id, p", ","),
        ("resources | union (resources)", "union"),
        ("resources" + " | join kind=inner (resources) on id" * 2, "join"),
    ],
)
def test_what_is_not_implemented_is_an_invalid_query(arm: Arm, text: str, token: str) -> None:
    """400 with the place and the word, never a guess."""
    answer = arm.query(text)
    invalid, failure = answer.json()["error"]["details"]

    assert answer.status_code == 400
    assert invalid["code"] == "InvalidQuery"
    assert (failure["code"], failure["token"]) == ("ParserFailure", token)


def disks(count: int) -> Arm:
    """Return a world with some disks, d0 first."""
    prefix = f"{GROUP}/providers/Microsoft.Compute/disks"
    return Arm({**SEED, "resources": [{"id": f"{prefix}/d{number:04}"} for number in range(count)]})


def test_pages_follow_the_skip_token() -> None:
    """A page holds at most 1000 rows; the token goes on behind it, without losing any."""
    arm = disks(1500)
    text = "resources | where type =~ 'microsoft.compute/disks' | project id"
    first = arm.query(text).json()
    second = arm.query(text, **{"$skipToken": first["$skipToken"]}).json()

    assert (first["count"], second["count"], second["totalRecords"]) == (1000, 500, 1500)
    assert "$skipToken" not in second
    names = [row["id"].rpartition("/")[2] for row in first["data"] + second["data"]]
    assert names == [f"d{number:04}" for number in range(1500)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("DELETE", ["d0001", "d0002", "d0004", "d0005"]),
        ("PUT", ["d0001", "d0002", "d0002", "d0003", "d0004", "d0005"]),
    ],
)
def test_pages_are_offsets_into_a_new_answer(change: str, expected: list[str]) -> None:
    """What goes or comes before a page's edge hides a row, or shows one twice (recorded)."""
    arm = disks(6)
    prefix = f"{GROUP}/providers/Microsoft.Compute/disks"
    assert arm.call("DELETE", f"{prefix}/d0000").status_code == 200
    text = "resources | where type =~ 'microsoft.compute/disks' | project id"
    page = arm.query(text, **{"$top": 2}).json()
    found = page["data"]
    which = "d0001" if change == "DELETE" else "d0000"
    assert arm.call(change, f"{prefix}/{which}", {"location": "westus"}).status_code < 300
    while token := page.get("$skipToken"):
        page = arm.query(text, **{"$skipToken": token}).json()
        assert len(page["data"]) <= 2
        found += page["data"]

    assert [row["id"].rpartition("/")[2] for row in found] == expected


def test_a_join_finds_who_carries_a_principal(arm: Arm) -> None:
    """Unmatched rows stay in outer joins alone, of the other side in a full one."""
    own = arm.patch(MACHINE, {"type": "SystemAssigned"}).json()["identity"]["principalId"]
    carried = arm.assign(STORE, own, description="ours").json()["id"]
    stranger = arm.principal("stranger").oid
    loose = arm.assign(STORE, stranger, description="OURS").json()["id"]
    arm.assign(GROUP, arm.principal("person").oid, principalType="User", description="theirs")
    named = {"maker": arm.world.operator.oid.upper(), "marker": "ours", "principal": own.upper()}

    outer = rows(arm, HOLDERS.format(kind="leftouter", **named))
    inner = rows(arm, HOLDERS.format(kind="inner", **named))
    full = rows(arm, HOLDERS.format(kind="fullouter", **named))

    assert {row["id"]: row["carrier"] for row in outer} == {carried: MACHINE, loose: ""}
    assert [(row["id"], row["principal"]) for row in inner] == [(carried, own)]
    assert {(row["id"], row["carrier"]) for row in full} >= {(carried, MACHINE), (loose, "")}


def test_a_joined_column_of_the_same_name_gets_a_number(arm: Arm) -> None:
    """The other side's follows with a 1 (documented)."""
    text = (
        "resources | where id =~ '" + MACHINE + "' | project id, subscriptionId"
        " | join kind=inner (resourcecontainers"
        " | where type == 'microsoft.resources/subscriptions') on subscriptionId"
        " | project id, id1, subscriptionId1"
    )

    assert rows(arm, text) == [{"id": MACHINE, "id1": SUB, "subscriptionId1": SUBSCRIPTION}]


def test_role_assignments_show_all_that_is_known_of_them(arm: Arm) -> None:
    """Who made one and who wrote it last, when, and its condition."""
    made = arm.assign(STORE, arm.principal("stranger").oid, description="x").json()
    shown = arm.get(f"{made['id']}")["properties"]
    (row,) = rows(arm, f"authorizationresources | where id =~ '{made['id']}'")
    own = row["properties"]

    assert own.pop("roleDefinitionId").lower() in shown.pop("roleDefinitionId").lower()
    assert own == {name: value for name, value in shown.items() if name in own}
    assert {"createdBy", "createdOn", "updatedBy", "updatedOn", "condition"} <= set(own)


def corp() -> Arm:
    """Return a subscription in a management group, over which a stranger may read."""
    above = [{"name": "top", "displayName": "Top"}]
    group = {
        "name": "corp",
        "parent": "top",
        "displayName": "Corp",
        "subscriptions": [SUBSCRIPTION],
    }
    content = {
        **SEED,
        "managementGroups": [*above, group],
        "assignments": [
            {"scope": CORP, "role": "Reader", "principal": "stranger"},
            {"scope": "/", "role": "Reader", "principal": "operator"},
        ],
    }
    return Arm(content)


def scopes(arm: Arm, **named: list[str]) -> set[str]:
    """Return the scopes above subscriptions at which assignments are shown."""
    body = {"query": "authorizationresources | project id, scope = properties.scope", **named}
    path = "/providers/Microsoft.ResourceGraph/resources"
    found = arm.call("POST", path, body, version="2022-10-01").json()["data"]
    return {row["scope"] for row in found if not row["scope"].startswith("/subscriptions")}


def test_assignments_above_subscriptions_show_without_subscriptions() -> None:
    """By subscriptions they are silently missing; a management group shows its own (issues)."""
    arm = corp()

    assert scopes(arm, subscriptions=[SUBSCRIPTION]) == set()
    assert scopes(arm) == {CORP, "/"}
    assert scopes(arm, managementGroups=["CORP"]) == {CORP}
    assert scopes(arm, managementGroups=["top"]) == {CORP}
    assert scopes(arm.called_by(arm.principal("stranger"))) == {CORP}


def test_containers_are_a_table() -> None:
    """Subscriptions with the management groups above them, nearest first, and resource groups."""
    arm = corp()
    (row,) = rows(arm, "resourcecontainers | where type =~ 'Microsoft.Resources/subscriptions'")
    chain = row["properties"]["managementGroupAncestorsChain"]

    root = {"name": arm.world.tenant, "displayName": "Tenant Root Group"}
    names = [{"name": "corp", "displayName": "Corp"}, {"name": "top", "displayName": "Top"}]
    assert chain == [*names, root]
    kind = "microsoft.resources/subscriptions/resourcegroups"
    text = f"resourcecontainers | where type =~ '{kind}' | project id"
    assert {row["id"] for row in rows(arm, text)} == {GROUP, f"{SUB}/resourceGroups/rg-reconciler"}
    arm.called_by(arm.principal("person"))
    assert rows(arm, text) == []


def test_without_an_id_there_is_no_next_page() -> None:
    """Pages need the id projected; without it the result is truncated and says so."""
    prefix = f"{GROUP}/providers/Microsoft.Compute/disks"
    arm = Arm({**SEED, "resources": [{"id": f"{prefix}/d{number}"} for number in range(3)]})
    answer = arm.query("resources | project name", **{"$top": 2}).json()

    assert answer["resultTruncated"] == "true"
    assert "$skipToken" not in answer


def test_options_that_are_not_known_are_refused(arm: Arm) -> None:
    """Another format, a number that is none, a token of another time."""
    for options in ({"resultFormat": "csv"}, {"$top": "5"}, {"$skipToken": "x"}):
        assert arm.query("resources", **options).status_code == 400


@pytest.mark.parametrize("member", ["subscriptions", "managementGroups", "options"])
def test_a_request_of_another_form_is_refused(arm: Arm, member: str) -> None:
    """Lists are lists, and options an object."""
    path = "/providers/Microsoft.ResourceGraph/resources"
    answer = arm.call("POST", path, {"query": "resources", member: 5}, version="2022-10-01")

    assert error(answer) == (400, "InvalidRequestContent")


def test_only_readable_rows_are_shown(arm: Arm) -> None:
    """The caller's rights decide row by row."""
    stranger = arm.principal("stranger")
    arm.assign(STORE, stranger.oid)
    arm.called_by(stranger)

    assert [row["id"] for row in rows(arm, "resources")] == [STORE]
    assert arm.call("GET", SUB).status_code == 403


def test_the_oldest_version_is_refused(arm: Arm) -> None:
    """It answers with a table, which nobody here asks for."""
    path = "/providers/Microsoft.ResourceGraph/resources"

    assert arm.call("POST", path, {"query": "resources"}, version="2019-04-01").status_code == 400
    assert arm.query("resources", resultFormat="table").status_code == 400


def test_a_query_tells_what_is_left_of_the_quota(arm: Arm) -> None:
    """Clients that pace themselves read it."""
    headers = arm.query("resources").headers

    assert headers["x-ms-user-quota-remaining"] == "14"
    assert headers["x-ms-user-quota-resets-after"] == "00:00:05"


def test_the_index_spells_regions_without_blanks(arm: Arm) -> None:
    """Whichever way they were sent (assumed from ARM's own lists)."""
    path = f"{GROUP}/providers/Microsoft.Web/sites/site"
    arm.call("PUT", path, {"location": "West US 2"})

    found = arm.query("resources | where name == 'site' | project location").json()

    assert found["data"] == [{"location": "westus2"}]
