"""Recorded exchanges of real clients, played again: the answers agree in all that clients read."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox.azure.state import Resource
from tests.sandbox.arm import Arm

ZERO = "00000000-0000-0000-0000-000000000000"
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)")
# Real servers and proxies add these; or the time at which the recording was made decides.
OTHER = {
    "content-length",
    "transfer-encoding",
    "date",
    "retry-after",
    "x-ms-need-to-refresh-epl-cache",
}

type Exchange = dict[str, Any]


def exchanges(shared: Path, name: str) -> list[Exchange]:
    """Return a recording."""
    text = (shared / "arm" / "interactions" / f"{name}.json").read_text("utf-8")
    found: list[Exchange] = json.loads(text)["interactions"]
    return found


def blur(value: object, known: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Replace GUIDs by their order of appearance, and times, which no two runs share."""
    text = TIME.sub("<time>", json.dumps(value))
    number = lambda found: known.setdefault(found[0], f"<{len(known)}>")  # noqa: E731
    return json.loads(GUID.sub(number, text))


def play(arm: Arm, exchange: Exchange, *, without: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    """Send a recorded request; status and header names must agree. Returns the body."""
    url = urlsplit(exchange["url"])
    version = re.search(r"api-version=([\w-]+)", url.query)
    query = re.sub(r"&?api-version=[\w-]+", "", url.query)
    response = arm.call(
        exchange["method"],
        f"{url.path}?{query}" if query else url.path,
        exchange["request_body"],
        version=version[1] if version else "",
    )

    assert response.status_code == exchange["status"], (exchange["url"], response.text)
    ours = {name.lower() for name in response.headers}
    theirs = {name for name in exchange["headers"] if name not in OTHER and name not in without}
    # Headers of today's throttling are missing from older recordings.
    assert {name for name in theirs if "ratelimit-remaining-subscription" not in name} <= ours
    return response.json() if response.content else None


def recorded_machine(arm: Arm, first: Exchange) -> Resource:
    """Put a machine into the world as a recording first shows it."""
    body = first["body"]
    block = body["identity"]
    world = arm.world
    users: dict[str, Any] = {each: {} for each in block.get("userAssignedIdentities") or ()}
    answer = arm.call(
        "PUT",
        body["id"],
        {
            "location": body["location"],
            "properties": body["properties"],
            "identity": {"type": block["type"], "userAssignedIdentities": users},
        },
    )
    assert answer.status_code == 201, answer.text
    arm.clock.forward(10)
    machine = world.resources[body["id"].lower()]
    machine.version = int(body["etag"].strip('"'))
    return machine


def test_a_machines_identities_are_patched_as_recorded(shared: Path) -> None:
    """Merge, removal by null in another case, system only and none, with tags, states, etags."""
    recording = exchanges(shared, "test_vm_explicit_msi")
    arm = Arm({"subscriptions": [{"id": ZERO}], "groups": [{"id": _group(recording[0])}]})
    for exchange in recording[:2]:
        play(arm, exchange)
    machine = next(each for each in recording if "/virtualMachines/vm1?api" in each["url"])
    recorded_machine(arm, machine)
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    patches = 0
    for exchange in recording[recording.index(machine) :]:
        if "/operations/" in exchange["url"]:
            arm.clock.forward(1)
            continue
        body = play(arm, exchange)
        patches += exchange["method"] == "PATCH"
        for name in ("identity", "etag", "id", "name", "type", "location"):
            assert blur(body.get(name), ours) == blur(exchange["body"].get(name), theirs), exchange
        state = body["properties"]["provisioningState"]
        assert state == exchange["body"]["properties"]["provisioningState"]

    assert patches == 4


def _group(exchange: Exchange) -> str:
    return "/".join(urlsplit(exchange["url"]).path.split("/")[:5])


def test_role_assignments_live_as_recorded(shared: Path) -> None:
    """Creation, update, reading and deletion of role assignments with conditions."""
    recording = exchanges(shared, "test_role_assignment_create_update")
    person = "06651546-4121-4ccd-a25d-13fe0422467e"
    arm = Arm(
        {
            "subscriptions": [{"id": ZERO}],
            "groups": [{"id": _group(recording[0])}],
            "principals": [{"name": "person", "kind": "User", "id": person}],
        }
    )
    for exchange in recording:
        body = play(arm, exchange)
        arm.clock.forward(1)
        if "/roleAssignments/" not in exchange["url"]:
            continue
        recorded = exchange["body"]
        for each in (body, recorded):
            made = each["properties"].pop("createdOn"), each["properties"].pop("updatedOn")
            assert all(TIME.fullmatch(time) for time in made)
            for name in ("createdBy", "updatedBy"):
                each["properties"][name] = bool(each["properties"][name])
        assert body == recorded


@pytest.mark.parametrize(
    "name",
    [
        "test_identity_management",
        "test_botservice_registration_bot_create_userassignedmsi_type",
    ],
)
def test_user_assigned_identities_live_as_recorded(shared: Path, name: str) -> None:
    """PUT gives 201 then 200 with one principal; list and DELETE answer as recorded."""
    supported = re.compile(r"/userAssignedIdentities(/\w+)?\?")
    recording = [each for each in exchanges(shared, name) if supported.search(each["url"])]
    arm = Arm({"subscriptions": [{"id": ZERO}], "groups": [{"id": _group(recording[0])}]})
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for exchange in recording:
        body = play(arm, exchange)
        assert blur(body, ours) == blur(exchange["body"], theirs)


@pytest.mark.parametrize("name", ["test_azconfig_identity", "test_backup_identity"])
def test_other_providers_patch_identities_as_recorded(shared: Path, name: str) -> None:
    """Statuses, type strings, keys of the map and none, by provider."""
    wanted = re.compile(r"/(configurationStores|vaults|userAssignedIdentities)/[\w-]+\?")
    recording = [each for each in exchanges(shared, name) if wanted.search(each["url"])]
    arm = Arm({"subscriptions": [{"id": ZERO}], "groups": [{"id": _group(recording[0])}]})
    patches = 0
    for exchange in recording:
        if exchange["method"] == "DELETE" or exchange["status"] == 404:
            continue
        # Only compute resources have an entity tag here.
        body = play(arm, exchange, without=("etag", "x-ms-operation-identifier")) or {}
        arm.clock.forward(1)
        recorded = exchange["body"] or {}
        patches += exchange["method"] == "PATCH"
        block = recorded.get("identity")
        # Recovery Services shows the tenant beside user-assigned identities, too.
        if block and "principalId" not in block:
            block.pop("tenantId", None)
        assert by_name(body.get("identity")) == by_name(block)

    assert patches > 2


def by_name(block: Any) -> Any:  # noqa: ANN401 - JSON
    """Keep of an identity block its type and whose keys it has."""
    if not block:
        return None
    return block["type"], set(block), sorted(block.get("userAssignedIdentities") or ())


def test_built_in_roles_are_found_as_recorded(shared: Path) -> None:
    """A filter by role name in any case finds the role, its id under the subscription."""
    (exchange,) = exchanges(shared, "test_built_in_role_definition_scenario")
    body = play(Arm({"subscriptions": [{"id": ZERO}]}), exchange)

    (ours,), (theirs,) = body["value"], exchange["body"]["value"]
    assert ours["id"] == theirs["id"]
    assert ours["properties"]["permissions"] == theirs["properties"]["permissions"]
    assert set(ours["properties"]) == set(theirs["properties"])
