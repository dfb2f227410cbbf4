"""What is late: principals, lists of role assignments, Resource Graph, operations."""

import pytest

from sandbox.azure.weather import Weather
from tests.sandbox.arm import GROUP, MACHINE, READER, STORE, Arm, error, identity

VERSION = "2022-04-01"
RESOURCES = "resources | project id, tags, identity, properties"
RIGHTS = "authorizationresources | project id"


def principal(arm: Arm) -> str:
    """Switch on the machine's identity and return its principal."""
    answer = arm.patch(MACHINE, {"type": "SystemAssigned"})
    found: str = answer.json()["identity"]["principalId"]
    return found


@pytest.mark.parametrize(
    ("weather", "kind", "code"),
    [
        (Weather(replication_delay=30), None, 400),
        (Weather(replication_delay=30), "ServicePrincipal", 201),
        (Weather(typed_replication_delay=30), "ServicePrincipal", 400),
        (Weather(typed_replication_delay=30), None, 201),
    ],
)
def test_a_new_principal_is_known_later(
    arm: Arm, weather: Weather, kind: str | None, code: int
) -> None:
    """Naming its type spares one of the two delays (facts A2.5, B4)."""
    arm.world.weather = weather
    oid = principal(arm)
    first = arm.assign(GROUP, oid, principalType=kind)
    arm.clock.forward(30)

    assert first.status_code == code
    if code == 400:
        assert error(first) == (400, "PrincipalNotFound")
    again = arm.assign(GROUP, oid, name=first.json().get("name", ""), principalType=kind)
    assert again.status_code == 201


def test_lists_show_a_new_right_later_than_its_id_does(arm: Arm) -> None:
    """A GET by id shows it at once, the list only after the lag."""
    arm.world.weather = Weather(assignment_lag=20)
    oid = principal(arm)
    made = arm.assign(GROUP, oid).json()
    by_principal = f"principalId eq '{oid}'"
    path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{made['name']}"

    assert arm.call("GET", path, version=VERSION).status_code == 200
    for text in ("", "atScope()", by_principal):
        assert made["name"] not in arm.listed(GROUP, text)
    arm.clock.forward(20)
    for text in ("", "atScope()", by_principal):
        assert made["name"] in arm.listed(GROUP, text)


def test_lists_show_a_deleted_right_for_a_while(arm: Arm) -> None:
    """Updates and deletes lag as creations do, and what is older stays."""
    oid = principal(arm)
    made = arm.assign(GROUP, oid, description="old").json()
    arm.clock.forward(60)
    before = arm.listed(GROUP)
    arm.world.weather = Weather(assignment_lag=20)
    path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments"
    arm.assign(GROUP, oid, name=made["name"], description="new")
    arm.clock.forward(5)
    assert arm.call("DELETE", f"{path}/{made['name']}", version=VERSION).status_code == 200

    rows = {row["name"]: row["properties"] for row in arm.get(path)["value"]}
    assert set(rows) == set(before)
    assert rows[made["name"]]["description"] == "old"
    arm.clock.forward(16)
    rows = {row["name"]: row["properties"] for row in arm.get(path)["value"]}
    assert rows[made["name"]]["description"] == "new"
    arm.clock.forward(5)
    assert made["name"] not in arm.listed(GROUP)


def ids(arm: Arm, text: str) -> set[str]:
    """Return the ids that Resource Graph shows."""
    return {row["id"] for row in arm.query(text).json()["data"]}


def test_resource_graph_shows_things_as_they_were(arm: Arm) -> None:
    """New, changed and deleted resources and rights, each after the delay."""
    arm.world.weather = Weather(graph_delay=60)
    arm.clock.forward(100)
    new = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/new"
    before, rights = ids(arm, RESOURCES), ids(arm, RIGHTS)
    arm.call("PUT", new, {"location": "westus"})
    arm.call("DELETE", STORE)
    arm.call("PATCH", MACHINE, {"tags": {"a": "b"}})
    arm.assign(GROUP, principal(arm))

    assert (ids(arm, RESOURCES), ids(arm, RIGHTS)) == (before, rights)
    (row,) = arm.query(f"{RESOURCES} | where id =~ '{MACHINE}'").json()["data"]
    assert (row["tags"], row["identity"]) == ({}, None)
    arm.clock.forward(60)
    assert ids(arm, RESOURCES) == before - {STORE} | {new}
    assert len(ids(arm, RIGHTS)) == len(rights) + 1
    (row,) = arm.query(f"{RESOURCES} | where id =~ '{MACHINE}'").json()["data"]
    assert row["tags"] == {"a": "b"}
    assert row["identity"]["type"] == "SystemAssigned"


def test_resource_graph_misses_rows_by_chance(arm: Arm) -> None:
    """It does not say so; the same seed misses the same rows."""

    def shown(arm: Arm) -> list[int]:
        arm.world.weather = Weather(graph_missing=0.5)
        return [len(ids(arm, RESOURCES)) for _ in range(20)]

    counts = shown(arm)
    assert len(set(counts)) > 1
    assert counts == shown(Arm())


def test_resource_graph_may_be_cut_off_and_says_so(arm: Arm) -> None:
    """Half of the rows, and no token to go on with."""
    whole = len(ids(arm, RESOURCES))
    arm.world.weather = Weather(graph_truncated=1)
    for options in ({}, {"$top": 2}):
        answer = arm.query(RESOURCES, **options).json()

        assert answer["resultTruncated"] == "true"
        assert answer["count"] == len(answer["data"]) < whole
        assert "$skipToken" not in answer


def test_operations_take_longer_by_chance(arm: Arm) -> None:
    """Between the delay and the jitter on top of it, the same for the same seed."""

    def waits(arm: Arm) -> list[int]:
        arm.world.weather = Weather(operation_delay=10, operation_jitter=90)
        found = []
        for _ in range(10):
            found.append(int(arm.attach("id1").headers["Retry-After"]))
            arm.clock.forward(100)
        return found

    counts = waits(arm)
    assert all(10 <= each <= 100 for each in counts)
    assert len(set(counts)) > 5
    assert counts == waits(Arm())


def test_fair_weather_hides_nothing(arm: Arm) -> None:
    """As it was: every list and the index show each write at once."""
    made = arm.assign(GROUP, principal(arm), READER).json()
    assert made["name"] in arm.listed(GROUP)
    assert made["id"] in ids(arm, RIGHTS)
    assert arm.call("DELETE", identity("id2"), version="2024-11-30").status_code == 200
    assert identity("id2") not in ids(arm, RESOURCES)
