"""Odd and rare inputs on which nothing live is taken, and nothing withdrawn kept without a word."""

import base64
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from reconciler import messages
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request
from tests.world.cloud import Cloud
from tests.world.ids import (
    APPS,
    DATA,
    ELSEWHERE,
    FAR,
    READER,
    SHARED,
    SUB,
    SUBSCRIPTION,
    VM,
    identity,
    machine,
)
from tests.world.policies import SEED, Content, guardrails, named, policy, rule
from tests.world.sweeps import GRAPH, OWN


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


@pytest.mark.parametrize("left", [False, True], ids=["ended", "a copy is due"])
def test_a_look_at_an_identitys_own_rights_answers_no_event_of_it(
    cloud: Cloud, *, left: bool
) -> None:
    """Made anew, it leaves a dead entry, and only its own event requests the carriers."""
    first = cloud.look(VM)
    (given,) = (one for one in first.requests if one.id == ResourceId.parse(SHARED))
    cloud.pass_time()
    told = cloud.clock()
    cloud.recreate_identity()
    if left:
        cloud.wire.answer("PUT", "/roleassignments", 400, "PrincipalNotFound", times=9)
    cloud.look(replace(given, since=cloud.clock()))
    cloud.pass_time(1)
    event = cloud.look(Request(ResourceId.parse(SHARED), since=told))

    assert ResourceId.parse(VM) in {one.id for one in event.requests}


@pytest.mark.parametrize("alive", [True, False])
def test_a_sweep_tells_of_what_we_made_and_nobody_wants_or_names(
    steady: Cloud, caplog: pytest.LogCaptureFixture, *, alive: bool
) -> None:
    """Its marker is gone; where its principal is as well, no plan of any id could show it."""
    right = steady.granted_by_us(DATA)
    steady.operator.assign(DATA, steady.principal(), READER, name=right.name)
    if not alive:
        steady.delete(VM)
    steady.pass_time()
    steady.sweep()

    assert any("1 rights that we made" in text and right.id in text for text in caplog.messages)


def test_a_sweep_tells_of_no_right_that_gets_its_marker_back(
    steady: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Policy wants it, so the look writes it anew."""
    right = steady.right(steady.principal())
    steady.operator.assign(APPS, steady.principal(), READER, name=right.name)
    steady.pass_time()
    steady.sweep()

    assert not any("rights that we made" in text for text in caplog.messages)
    assert steady.right(steady.principal()).description == steady.mark()


@pytest.mark.parametrize("by", ["apply", "removals"])
def test_who_may_remove_what_is_unwanted_waits_for_the_log_as_well(steady: Cloud, by: str) -> None:
    """It is late for a person and a sweep, too; ten minutes after the first 404 it is asked."""
    old = steady.principal()
    steady.delete(VM)
    steady.pass_time(60)
    began = steady.clock()
    named = Removals(steady.app.policy.digest)
    first = steady.look(Request(ResourceId.parse(VM), removals=named))
    assert steady.rights(old) == OWN

    last = steady.apply(VM) if by == "apply" else steady.follow(first)
    assert steady.rights(old) == set()
    assert last[-1].plans[-1].at - began >= timedelta(minutes=10)


def test_the_last_identity_stays_without_an_etag_though_another_is_to_come(cloud: Cloud) -> None:
    """Azure refuses the attach, so the detach would be the last one's and take a foreign one."""
    hosts = rule()
    del hosts["system"]
    cloud.operator.patch(
        VM, {"type": "UserAssigned", "userAssignedIdentities": {identity("other"): {}}}
    )
    cloud.pass_time()
    cloud.deploy(policy(hosts, identities=named() | named("other", exclusive=True)))
    (swept,) = (one for one in cloud.app.sweep().requests if one.id == ResourceId.parse(VM))
    body = {key: value for key, value in cloud.operator.get(VM).items() if key != "etag"}
    cloud.wire.answer("GET", "/virtualmachines/vm1", 200, body=body)
    cloud.wire.before("PATCH", "/virtualmachines/vm1", partial(cloud.attach, "foreign"))
    cloud.wire.answer(
        "PATCH", "/virtualmachines/vm1", 400, "FailedIdentityOperation", holding=": {}", times=2
    )
    cloud.look(swept)

    assert "foreign" in cloud.attached()


def without(kind: str) -> Content:
    """Return policy that asks for one kind of identity only."""
    hosts = rule(attach=[]) if kind == "user-assigned" else rule()
    if kind == "system-assigned":
        del hosts["system"]
    return policy(hosts)


@pytest.mark.parametrize("kind", ["system-assigned", "user-assigned"])
@pytest.mark.parametrize("shown", [None, {"type": "None"}], ids=["no block", "none"])
def test_a_torn_machine_loses_no_identity_of_the_kind_that_no_rule_asks_for(
    cloud: Cloud, kind: str, shown: Content | None
) -> None:
    """A type switches off what it leaves out, and the etag of a torn answer is the true one."""
    cloud.operator.patch(
        VM,
        {
            "type": "SystemAssigned, UserAssigned",
            "userAssignedIdentities": {identity("foreign"): {}},
        },
    )
    cloud.pass_time()
    principal = cloud.principal()
    cloud.deploy(without(kind))
    body = cloud.operator.get(VM)
    del body["identity"]
    torn = body | ({"identity": shown} if shown else {})
    cloud.wire.answer("GET", "/virtualmachines/vm1", 200, body=torn)
    cloud.drive(VM)

    assert cloud.attached() >= {"system", "foreign"}
    assert cloud.principal() == principal
    assert cloud.replan().compliant


def test_a_request_that_names_very_many_rights_still_is_a_message(cloud: Cloud) -> None:
    """An identity may hold thousands; what the message has no room for comes with a later sweep."""
    rights = frozenset(
        ResourceId.parse(f"{DATA}/providers/Microsoft.Authorization/roleAssignments/{number:036}")
        for number in range(4000)
    )
    request = Request(ResourceId.parse(SHARED), removals=Removals(cloud.app.policy.digest, rights))
    text = messages.encode(request)

    assert len(base64.b64encode(text.encode())) < 64 * 1024
    named = messages.decode(text).removals
    assert named is not None
    assert named.ids is not None
    assert frozenset[ResourceId]() < named.ids < rights


def test_a_list_that_ends_in_a_404_is_no_empty_one(steady: Cloud) -> None:
    """Its first page was there, so the scope is: nothing is planned from a part of it."""
    path = f"{APPS}/providers/Microsoft.Authorization/roleAssignments"
    page = steady.operator.call("GET", path, version="2022-04-01").json()
    link = f"https://management.azure.com{path}?api-version=2022-04-01&page=2"
    first = {"value": page["value"][:1], "nextLink": link}
    steady.wire.answer("GET", "/roleassignments", 200, body=first)
    steady.wire.answer("GET", "/roleassignments", 404, "NotFound")
    result = steady.look(VM)

    assert result.plans == ()
    assert result.again is not None
    assert steady.wire.writes == []
