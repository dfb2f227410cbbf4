"""Inputs on which a review found a live right taken, or a withdrawn one kept without a word."""

from pathlib import Path

import pytest

from tests.loop.cloud import Cloud
from tests.loop.lab import APPS, DATA, SEED, VM, Content, guardrails, machine, policy, rule
from tests.loop.sweeps import GRAPH, OWN
from tests.sandbox.arm import SUB, SUBSCRIPTION

ELSEWHERE = "22222222-2222-2222-2222-222222222222"
FAR = f"/subscriptions/{ELSEWHERE}/resourceGroups/rg-new"


@pytest.fixture
def far(tmp_path: Path) -> Cloud:
    """A second subscription beside the steady one; the app may not even read it."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": ELSEWHERE, "name": "other"}],
        groups=[*SEED["groups"], {"id": FAR}],
    )
    cloud.sweep()
    cloud.pass_time()
    cloud.blind(ELSEWHERE)
    return cloud


def stop_by_eviction(cloud: Cloud) -> None:
    """Let Azure take a Spot machine's place, but not the machine."""
    spot = {"properties": {"priority": "Spot", "evictionPolicy": "Deallocate"}}
    assert cloud.operator.call("PATCH", VM, spot).status_code == 200
    cloud.pass_time()
    assert cloud.operator.call("POST", f"{VM}/simulateEviction").status_code == 204
    cloud.pass_time()
    assert VM.lower() in cloud.world.resources


def test_an_eviction_that_only_stopped_a_machine_is_no_end_of_what_moved(far: Cloud) -> None:
    """The log tells of the eviction in both cases; the machine lives on where we cannot see it."""
    principal = far.principal()
    stop_by_eviction(far)
    far.move(FAR)
    far.drive(VM)
    far.sweep()

    assert far.rights(principal) == OWN


def test_an_eviction_before_a_start_is_no_end(far: Cloud) -> None:
    """Neither Resource Manager nor the index shows it for a while; it was started since."""
    principal = far.principal()
    stop_by_eviction(far)
    assert far.operator.call("POST", f"{VM}/start").status_code == 202
    far.pass_time()
    far.wire.answer("GET", "/virtualmachines/vm1", 404, "ResourceNotFound", times=10_000)
    empty = {"data": [], "count": 0, "totalRecords": 0, "resultTruncated": "false"}
    far.wire.answer("POST", "/microsoft.resourcegraph/", 200, body=empty, times=10_000)
    far.drive(VM)

    assert far.rights(principal) == OWN


STORES = f"{DATA}/providers/Microsoft.Storage/storageAccounts"
GOOD, TYPO, OTHER = f"{STORES}/images", f"{STORES}/imagse", f"{STORES}/other"
BLOBS = "Storage Blob Data Reader"
RAILS = guardrails(grants=[{"scope": SUB, "roles": ["Reader", BLOBS]}])
MAPS: Content = {"maps": {"stores": {"prod": GOOD, "dev": OTHER}}}
PICKED = "{maps.stores[tags.env]}"
ALWAYS = 10_000


def reads(*wanted: tuple[str, str], **keys: object) -> Content:
    """Return a rule that gives machines some roles at some scopes."""
    listed = [{"role": role, "scope": scope} for role, scope in wanted]
    return rule(attach=[], system={"grants": listed}, **keys)


def granting(*rules: Content) -> Content:
    """Return policy of some rules, with a map of two stores."""
    return policy(*rules, identities={}) | MAPS


def swept(cloud: Cloud, content: Content) -> set[tuple[str, str]]:
    """Deploy policy and let three sweeps go by; returns what the machine holds then."""
    cloud.deploy(content, RAILS)
    for _ in range(3):
        cloud.sweep()
        cloud.pass_time(2000)
    return cloud.rights(cloud.principal())


@pytest.fixture
def picking(cloud: Cloud) -> Cloud:
    """A machine whose tag picks one of two storage accounts that are there."""
    for store in (GOOD, OTHER):
        cloud.operator.call("PUT", store, {"location": "westeurope"}, version="2023-01-01")
    assert cloud.operator.call("PATCH", VM, {"tags": {"env": "prod"}}).status_code == 200
    cloud.pass_time()
    assert swept(cloud, granting(reads((BLOBS, PICKED)))) == {(BLOBS, "images")}
    return cloud


def test_another_role_at_the_picked_scope_is_waited_for(picking: Cloud) -> None:
    """Policy changed the role; the machine chose nothing, and Azure refuses the new one."""
    picking.wire.answer("PUT", "/roleassignments", 403, "AuthorizationFailed", times=ALWAYS)
    wanted = granting(reads(("Reader", PICKED)))
    assert swept(picking, wanted) == {(BLOBS, "images")}

    picking.wire.clear()
    assert swept(picking, wanted) == {("Reader", "images")}


def test_the_choices_of_a_rule_that_only_audits_count_for_no_other(picking: Cloud) -> None:
    """The rule that repairs asks by name, so the machine's tag chose nothing."""
    assert picking.operator.call("PATCH", VM, {"tags": {"env": "dev"}}).status_code == 200
    picking.pass_time()
    picking.wire.answer("PUT", "/roleassignments", 403, "AuthorizationFailed", times=ALWAYS)
    both = granting(reads((BLOBS, OTHER)), reads((BLOBS, PICKED), name="tried", mode="audit"))

    assert swept(picking, both) == {(BLOBS, "images")}


def fill(cloud: Cloud, subscription: str = SUBSCRIPTION) -> None:
    """Let a subscription hold as many assignments as it may."""
    held = cloud.world.assignments.in_subscription[subscription]
    cloud.world.assignment_limits[subscription] = held


def test_at_the_limit_what_has_no_replacement_yet_stays(picking: Cloud) -> None:
    """One right of two is exchanged for a scope that is not there, the other lacks room only."""
    before = granting(reads((BLOBS, GOOD), ("Reader", APPS)))
    assert swept(picking, before) == {(BLOBS, "images"), ("Reader", "rg-app")}
    fill(picking)
    after = granting(reads((BLOBS, TYPO), ("Reader", DATA)))

    assert swept(picking, after) == {(BLOBS, "images"), ("Reader", "rg-data")}


def test_a_right_elsewhere_makes_no_room(tmp_path: Path) -> None:
    """The full subscription is another one: what would go there is waited for as ever."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": ELSEWHERE, "name": "other"}],
        groups=[*SEED["groups"], {"id": FAR}],
    )
    scopes = [{"scope": SUB, "roles": ["Reader"]}, {"scope": FAR, "roles": ["Reader"]}]
    rails = guardrails(grants=scopes)
    cloud.deploy(granting(reads(("Reader", DATA))), rails)
    cloud.sweep()
    assert cloud.rights(cloud.principal()) == {("Reader", "rg-data")}
    fill(cloud, ELSEWHERE)
    cloud.deploy(granting(reads(("Reader", FAR))), rails)
    for _ in range(2):
        cloud.sweep()
        cloud.pass_time(2000)

    assert cloud.rights(cloud.principal()) == {("Reader", "rg-data")}


@pytest.mark.parametrize("whose", [VM, machine("vm9")], ids=["its own", "another's"])
@pytest.mark.parametrize("first", [True, False])
def test_a_row_that_comes_twice_shows_all_that_it_shows(
    steady: Cloud, whose: str, *, first: bool
) -> None:
    """Pages are of different moments: one row still has the old principal, the other has not."""
    old = steady.principal()
    steady.build()
    new = steady.principal()
    rows = [
        {"id": VM, "holder": VM, "principal": new},
        {"id": whose, "holder": whose, "principal": old},
        {"id": whose, "holder": whose, "principal": new if whose == VM else None},
    ]
    data = rows if first else rows[::-1]
    body = {"data": data, "count": 3, "totalRecords": 3, "resultTruncated": "false"}
    steady.wire.answer("POST", GRAPH, 200, body=body, holding="fullouter", times=ALWAYS)
    steady.drive(VM)

    assert steady.rights(old) == OWN
