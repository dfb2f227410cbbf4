"""What is late: principals, lists of role assignments, Resource Graph, operations."""

from typing import Any

import pytest
import requests

from sandbox.world.faults import Faults
from tests.world.arm import GROUP, MACHINE, STORE, Arm, error, identity
from tests.world.ids import READER, SUB

VERSION = "2022-04-01"
RESOURCES = "resources | project id, tags, identity, properties"
RIGHTS = "authorizationresources | project id"


def principal(arm: Arm) -> str:
    """Switch on the machine's identity and return its principal."""
    answer = arm.patch(MACHINE, {"type": "SystemAssigned"})
    found: str = answer.json()["identity"]["principalId"]
    return found


@pytest.mark.parametrize(
    ("faults", "kind", "code"),
    [
        (Faults(replication_delay=30), None, 400),
        (Faults(replication_delay=30), "ServicePrincipal", 201),
        (Faults(typed_replication_delay=30), "ServicePrincipal", 400),
        (Faults(typed_replication_delay=30), None, 201),
    ],
)
def test_a_new_principal_is_known_later(
    arm: Arm, faults: Faults, kind: str | None, code: int
) -> None:
    """Naming its type spares one of the two delays (facts: Role assignments and Rights)."""
    arm.world.faults = faults
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
    arm.world.faults = Faults(assignment_lag=20)
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
    arm.world.faults = Faults(assignment_lag=20)
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
    arm.world.faults = Faults(graph_delay=60)
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
        arm.world.faults = Faults(graph_missing=0.5)
        return [len(ids(arm, RESOURCES)) for _ in range(20)]

    counts = shown(arm)
    assert len(set(counts)) > 1
    assert counts == shown(Arm())


def test_resource_graph_may_be_cut_off_and_says_so(arm: Arm) -> None:
    """Half of the rows, and no token to go on with."""
    whole = len(ids(arm, RESOURCES))
    arm.world.faults = Faults(graph_truncated=1)
    for options in ({}, {"$top": 2}):
        answer = arm.query(RESOURCES, **options).json()

        assert answer["resultTruncated"] == "true"
        assert answer["count"] == len(answer["data"]) < whole
        assert "$skipToken" not in answer


def test_operations_take_longer_by_chance(arm: Arm) -> None:
    """Between the delay and the jitter on top of it, the same for the same seed."""

    def waits(arm: Arm) -> list[int]:
        arm.world.faults = Faults(operation_delay=10, operation_jitter=90)
        found = []
        for _ in range(10):
            found.append(int(arm.attach("id1").headers["Retry-After"]))
            arm.clock.forward(100)
        return found

    counts = waits(arm)
    assert all(10 <= each <= 100 for each in counts)
    assert len(set(counts)) > 5
    assert counts == waits(Arm())


def test_nothing_is_late_without_faults(arm: Arm) -> None:
    """As it was: every list and the index show each write at once."""
    made = arm.assign(GROUP, principal(arm), READER).json()
    assert made["name"] in arm.listed(GROUP)
    assert made["id"] in ids(arm, RIGHTS)
    assert arm.call("DELETE", identity("id2"), version="2024-11-30").status_code == 200
    assert identity("id2") not in ids(arm, RESOURCES)


SCALE_SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/set"
YOUNG = (
    f"{MACHINE}2",
    SCALE_SET,
    identity("id9"),
    f"{STORE}2",
    f"{MACHINE}/extensions/agent",
)
LATEST = {identity("id9"): "2024-11-30"}


def make(arm: Arm, resource: str, method: str = "PUT") -> requests.Response:
    """Write a resource, as its provider lets it be written."""
    body: dict[str, Any] = {"location": "westeurope", "properties": {}}
    return arm.call(method, resource, body, version=LATEST.get(resource, "2024-07-01"))


def provider_list(resource: str) -> str:
    """Return where a provider lists resources of this type in their group."""
    return resource.rpartition("/")[0]


def names(arm: Arm, path: str) -> set[str]:
    """Return the lower-case names that a list shows."""
    return {each["name"].lower() for each in arm.get(path)["value"]}


@pytest.mark.parametrize("resource", YOUNG)
def test_a_young_resource_is_not_in_the_index(arm: Arm, resource: str) -> None:
    """Its GET is the gateway's 404 and ARM's lists lack it; its provider lists it (issues)."""
    arm.world.faults = Faults(index_delay=60)
    assert make(arm, resource).status_code in {201, 202}
    arm.settle(59)
    name = resource.rpartition("/")[2].lower()

    refused = arm.call("GET", resource)
    assert error(refused) == (404, "ResourceNotFound")
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    for scope in (GROUP, SUB):
        assert name not in names(arm, f"{scope}/resources")
    assert name in names(arm, provider_list(resource))
    assert make(arm, resource).status_code == 200
    arm.settle(1)
    assert arm.call("GET", resource).status_code == 200
    if "/extensions/" not in resource:
        assert name in names(arm, f"{GROUP}/resources")


@pytest.mark.parametrize("resource", [MACHINE, STORE, identity("id1")])
def test_what_is_made_anew_is_young_again(arm: Arm, resource: str) -> None:
    """The index has lost the old one, and does not know the new one yet; a seed's is known."""
    arm.world.faults = Faults(index_delay=60)
    assert make(arm, resource, "PATCH").status_code == 200
    assert arm.call("GET", resource).status_code == 200
    arm.call("DELETE", resource)
    arm.settle(1)
    assert make(arm, resource).status_code in {201, 202}
    arm.settle(59)

    assert error(arm.call("GET", resource)) == (404, "ResourceNotFound")
    assert make(arm, resource, "PATCH").status_code == 200
    arm.settle(1)
    assert arm.call("GET", resource).status_code == 200


def test_what_moved_is_young_where_it_came(arm: Arm) -> None:
    """Neither the old id nor the new one shows it; its children neither."""
    other = f"{SUB}/resourceGroups/other"
    arm.call("PUT", other, {"location": "westus"})
    arm.settle(60)
    arm.world.faults = Faults(index_delay=60)
    body = {"resources": [MACHINE], "targetResourceGroup": other}
    assert arm.call("POST", f"{GROUP}/moveResources", body).status_code == 202
    arm.settle()
    there = MACHINE.replace(GROUP, other)

    for place in (MACHINE, there):
        assert error(arm.call("GET", place)) == (404, "ResourceNotFound")
    assert names(arm, provider_list(there)) == {"vm"}
    arm.settle(60)
    assert arm.call("GET", there).status_code == 200


def test_each_resource_has_its_own_delay_of_a_span() -> None:
    """By its name and the world's seed; what else is drawn by chance stays the same."""

    def seen(seed: int) -> list[int]:
        arm = Arm(seed=seed)
        arm.clock.forward(100)
        arm.world.faults = Faults(index_delay=(5, 60))
        for number in range(10):
            make(arm, f"{STORE}{number}")
        shown = []
        for _ in range(61):
            shown.append(sum(each[5:].isdigit() for each in names(arm, f"{GROUP}/resources")))
            arm.clock.forward(1)
        return shown

    counts = seen(1)
    assert (counts[4], counts[60]) == (0, 10)
    assert len(set(counts)) > 5
    assert counts == seen(1) != seen(2)


def test_a_deleted_identitys_ids_stay_on_its_machine_for_a_while(arm: Arm) -> None:
    """Also where it is made anew meanwhile: the entry is still the old one's."""
    arm.world.faults = Faults(dead_entry_delay=604800)
    arm.attach("id1")
    arm.settle()
    old = arm.get(MACHINE)["identity"]["userAssignedIdentities"][identity("id1")]
    assert old["principalId"]
    arm.call("DELETE", identity("id1"))
    make(arm, identity("id1"))
    arm.clock.forward(604799)

    assert arm.get(MACHINE)["identity"]["userAssignedIdentities"][identity("id1")] == old
    arm.clock.forward(1)
    dead = arm.get(MACHINE)["identity"]["userAssignedIdentities"][identity("id1")]
    assert dead == {"clientId": None, "principalId": None}


def test_a_scale_set_shows_no_entry_while_one_is_written(arm: Arm) -> None:
    """All of them are empty then, those that stay too; a machine keeps these (recorded)."""
    for place, expected in ((SCALE_SET, [False, False]), (MACHINE, [True, False])):
        make(arm, place)
        arm.settle()
        for name in ("id1", "id2"):
            block = {"type": "UserAssigned", "userAssignedIdentities": {identity(name): {}}}
            shown = arm.patch(place, block).json()["identity"]["userAssignedIdentities"]
            filled = [bool(shown.get(identity(each))) for each in ("id1", "id2")]
            if name == "id1":
                arm.settle()
        assert filled == expected
        arm.settle()
        assert all(arm.get(place)["identity"]["userAssignedIdentities"].values())
