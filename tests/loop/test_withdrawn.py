"""What policy withdrew goes, whatever else changed with it, and only what a sweep has counted."""

import json
from pathlib import Path

import pytest

from reconciler import events, messages
from reconciler.changes import Hold
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, DATA, SHARED, SUB, SUBSCRIPTION, VM, machine
from tests.world.policies import SEED, Content, guardrails, named, policy, rule
from tests.world.sweeps import OWN, ids

TARGET = f"{SUB}/resourceGroups/rg-target"
TEAM = f"{SUB}/resourceGroups/rg-team"
CORP = "/providers/Microsoft.Management/managementGroups/corp"
HOME_SUBSCRIPTION = "99999999-9999-9999-9999-999999999999"
FAR_HOME = f"/subscriptions/{HOME_SUBSCRIPTION}/resourceGroups/rg-reconciler"
TAGGED = {"type": "Microsoft.Compute/virtualMachines", "tags": {"env": "prod"}}


def test_a_grant_dropped_with_its_guardrail_goes(steady: Cloud) -> None:
    """In one commit policy stops to ask and guardrails stop to allow."""
    both = steady.principal(), steady.principal(SHARED)
    steady.deploy(
        policy(rule(system={"grants": []}), identities=named(grants=[])),
        guardrails(grants=[{"scope": f"{SUB}/resourceGroups/rg-x", "roles": ["Reader"]}]),
    )
    steady.sweep()

    assert [steady.rights(one) for one in both] == [set(), set()]


def test_a_policy_about_something_else_takes_all_that_is_ours(steady: Cloud) -> None:
    """Rule, identity and guardrails are gone, and nothing names the two any more."""
    both = steady.principal(), steady.principal(SHARED)
    steady.deploy(
        policy(rule(within=[DATA], attach=[], system={"grants": []}), identities={}),
        guardrails(grants=[]),
    )
    steady.sweep()

    assert [steady.rights(one) for one in both] == [set(), set()]
    assert steady.attached() == {"system", "shared"}


def test_a_right_at_a_scope_that_was_never_in_guardrails_goes(steady: Cloud) -> None:
    """An earlier policy's guardrails may have allowed it."""
    steady.granted_by_us(DATA)
    steady.sweep()

    assert steady.rights(steady.principal()) == OWN


def test_an_identity_entry_that_cannot_be_read_keeps_nothing(tmp_path: Path) -> None:
    """Whoever attaches such an identity must not thereby keep the machine's rights."""
    odd = f"{SUB}/resourceGroups/rg-id/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x"
    cloud = Cloud(tmp_path)
    cloud.sweep()
    cloud.pass_time()
    body = cloud.operator.get(VM)
    for key in (f"{odd}?y", f"{odd}/../z", "nonsense", f"{odd}#a"):
        body["identity"]["userAssignedIdentities"][key] = {}
    cloud.wire.answer("GET", "/virtualmachines/vm1", 200, body=body, times=10_000)
    cloud.deploy(policy(rule(system={"grants": []})))
    cloud.sweep()

    assert cloud.rights(cloud.principal()) == set()
    assert cloud.attached() == {"system", "shared"}
    assert removed(cloud) == 1


def test_an_identity_in_a_group_of_another_script_keeps_nothing(tmp_path: Path) -> None:
    """Such names are legal, and read like all others."""
    group = f"{SUB}/resourceGroups/rg-İstanbul (1)"
    odd = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x"
    cloud = Cloud(tmp_path, groups=[*SEED["groups"], {"id": group}])
    cloud.sweep()
    made = cloud.operator.call("PUT", odd, {"location": "westeurope"}, version="2024-11-30")
    assert made.status_code == 201
    block = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {odd: {}}}
    cloud.pass_time()
    assert cloud.operator.call("PATCH", VM, {"identity": block}).status_code == 200
    cloud.pass_time()
    cloud.deploy(policy(rule(system={"grants": []})))
    cloud.sweep()

    assert cloud.rights(cloud.principal()) == set()
    assert cloud.attached() == {"system", "shared", "x"}


# A machine that was moved out of every rule.


@pytest.fixture
def moved(tmp_path: Path) -> Cloud:
    """A machine that was given its rights, and was then moved where no rule speaks of it."""
    cloud = Cloud(tmp_path, groups=[*SEED["groups"], {"id": TARGET}])
    cloud.sweep()
    assert cloud.move(TARGET) == MOVED
    assert cloud.rights(cloud.principal(MOVED)) == OWN
    cloud.wire.calls.clear()
    return cloud


MOVED = machine(group=TARGET)
WITHOUT = [policy(), policy(rule(within=[DATA])), {"version": 1, "identities": named()}]


@pytest.mark.parametrize("content", WITHOUT, ids=["rule", "another rule", "no rule"])
def test_a_sweep_finds_what_moved_out_of_every_rule(moved: Cloud, content: Content) -> None:
    """Its rights are marked with the id under which it lived before, and are unwanted."""
    moved.deploy(content)
    moved.sweep()

    assert moved.rights(moved.principal(MOVED)) == set()
    assert moved.attached(MOVED) == {"system", "shared"}


@pytest.mark.parametrize("content", WITHOUT, ids=["rule", "another rule", "no rule"])
def test_plan_and_apply_find_what_moved_out_of_every_rule(moved: Cloud, content: Content) -> None:
    """One query of the index by principal."""
    moved.deploy(content)
    plan = moved.shown(MOVED)
    assert [change.reason.name for change in plan.changes] == ["UNWANTED"]
    moved.apply(MOVED)

    assert moved.rights(moved.principal(MOVED)) == set()


@pytest.mark.parametrize("place", [VM, MOVED, APPS, TARGET])
def test_no_event_takes_the_rights_of_what_moved(moved: Cloud, place: str) -> None:
    """Neither the old id's, which is not found, nor the new one's, nor that of a group."""
    moved.drive(place)
    moved.drive(*moved.hear())

    assert moved.rights(moved.principal(MOVED)) == OWN


def test_what_moved_out_counts_against_the_limit(moved: Cloud) -> None:
    """A group that is moved elsewhere by mistake keeps what it lives by."""
    moved.deploy(rails=guardrails(maxRemovals={"count": 0, "percent": 0}))
    moved.sweep()

    assert moved.rights(moved.principal(MOVED)) == OWN


# Management groups.


@pytest.fixture
def corp(tmp_path: Path) -> Cloud:
    """A management group over what is watched; the app lives in a subscription of its own."""
    return Cloud(
        tmp_path,
        subscriptions=[{"id": HOME_SUBSCRIPTION, "name": "home"}, *SEED["subscriptions"]],
        managementGroups=[{"name": "corp", "subscriptions": [SUBSCRIPTION]}],
        assignments=[{"scope": CORP, "role": "Owner", "principal": "reconciler"}],
    )


def reading(*scopes: str, **maps: Content) -> Content:
    """Return policy that lets machines read some scopes."""
    grants = [{"role": "Reader", "scope": scope} for scope in scopes]
    content = policy(rule(attach=[], system={"grants": grants}), identities={})
    return content | ({"maps": maps} if maps else {})


def start(cloud: Cloud, content: Content, *, wide: bool = True) -> None:
    """Deploy policy under guardrails that allow reading at the management group, or not."""
    scopes = [CORP, SUB] if wide else [SUB]
    rails = guardrails(grants=[{"scope": scope, "roles": ["Reader"]} for scope in scopes])
    cloud.deploy(content, rails, RECONCILER_HOME=FAR_HOME)


@pytest.mark.parametrize("wide", [True, False], ids=["allowed", "dropped from guardrails"])
@pytest.mark.parametrize("left", ["{resourceGroup}", None])
def test_a_right_at_a_management_group_goes_by_a_sweep(
    corp: Cloud, left: str | None, *, wide: bool
) -> None:
    """Neither subscriptions nor policy lead there, but the index does."""
    scopes = [left] if left else []
    start(corp, reading(CORP, *scopes))
    corp.drive(VM)
    assert ("Reader", "corp") in corp.rights(corp.principal())
    start(corp, reading(*scopes), wide=wide)
    corp.drive(VM)
    assert ("Reader", "corp") in corp.rights(corp.principal())
    corp.pass_time(400)
    corp.sweep()

    assert corp.rights(corp.principal()) == (OWN if left else set())


@pytest.mark.parametrize("after", ["gone", "untagged", "gone and out of policy"])
def test_what_a_tag_picked_at_a_management_group_goes(corp: Cloud, after: str) -> None:
    """A gone machine's tags are not there to be asked any more."""
    picks = reading("{maps.where[tags.where]}", where={"all": CORP, "own": APPS})
    start(corp, picks)
    assert corp.operator.call("PATCH", VM, {"tags": {"where": "all"}}).status_code == 200
    corp.pass_time()
    corp.drive(VM)
    principal = corp.principal()
    assert corp.rights(principal) == {("Reader", "corp")}
    if after == "untagged":
        assert corp.operator.call("PATCH", VM, {"tags": {}}).status_code == 200
        corp.pass_time()
    else:
        corp.pass_time()
        corp.delete(VM)
    if after == "gone and out of policy":
        start(corp, reading("{resourceGroup}"), wide=False)
    corp.sweep()

    assert corp.rights(principal) == set()


def test_a_replaced_machines_right_at_a_management_group_goes(corp: Cloud) -> None:
    """Also where the new one's tags pick nothing."""
    start(corp, reading("{maps.where[tags.where]}", where={"all": CORP}))
    assert corp.operator.call("PATCH", VM, {"tags": {"where": "all"}}).status_code == 200
    corp.pass_time()
    corp.drive(VM)
    old = corp.principal()
    corp.pass_time()
    corp.build()
    corp.sweep()

    assert corp.rights(old) == set()
    assert corp.rights(corp.principal()) == set()


# Only what a sweep has counted.


def fleet(tmp_path: Path, limit: int, *groups: str, each: int = 30) -> tuple[Cloud, list[str]]:
    """Return tagged machines in some groups, which hold what policy gives the tagged."""
    there = [machine(f"vm{number}", group) for group in groups for number in range(1, each + 1)]
    cloud = Cloud(
        tmp_path,
        groups=[*SEED["groups"], {"id": TEAM}],
        virtualMachines=[{"id": one, "tags": {"env": "prod"}} for one in there],
    )
    deploy(cloud, limit)
    cloud.drive(*cloud.app.sweep().requests, most=500)
    cloud.pass_time()
    cloud.wire.calls.clear()
    return cloud, there


def deploy(cloud: Cloud, limit: int) -> None:
    """Start a process under policy about the tagged, with a limit."""
    rails = guardrails(maxRemovals={"count": limit, "percent": 0})
    cloud.deploy(policy(rule(within=[SUB], match=TAGGED)), rails)


def untag(cloud: Cloud, places: list[str]) -> None:
    """Strip machines of what policy knows them by."""
    for place in places:
        assert cloud.operator.call("PATCH", place, {"tags": {}}).status_code == 200
    cloud.pass_time()


def removed(cloud: Cloud) -> int:
    """Return how many rights the app has removed."""
    return sum(call.method == "DELETE" for call in cloud.wire.calls)


def test_tags_stripped_after_the_sweep_take_nothing(tmp_path: Path) -> None:
    """Its requests name what was unwanted then; what became so since waits to be counted."""
    cloud, places = fleet(tmp_path, 3, APPS)
    for place in places:
        block = {"identity": {"type": "SystemAssigned"}}
        assert cloud.operator.call("PATCH", place, block).status_code == 200
    cloud.pass_time()
    requests = cloud.app.sweep().requests
    assert {request.id.name for request in requests} >= {"vm1", "vm30"}
    untag(cloud, places)
    cloud.drive(*requests, most=500)

    assert removed(cloud) == 0
    cloud.drive(*cloud.app.sweep().requests, most=500)
    assert removed(cloud) == 0


def test_of_what_was_counted_no_more_goes_than_was_named(tmp_path: Path) -> None:
    """One machine's request does not let another right of that machine go."""
    cloud, places = fleet(tmp_path, 3, APPS, each=2)
    untag(cloud, places[:1])
    requests = cloud.app.sweep().requests
    extra = cloud.granted_by_us(DATA, places[0])
    cloud.drive(*requests)

    assert removed(cloud) == 1
    assert extra in cloud.world.assignments


@pytest.mark.parametrize("asks", ["group event", "tag event", "restart", "person", "queue"])
def test_a_sweep_that_can_be_forced_removes_nothing(tmp_path: Path, asks: str) -> None:
    """Else ten at a time would go as often as somebody writes a tag."""
    cloud, places = fleet(tmp_path, 10, APPS)
    for start in range(0, 30, 10):
        untag(cloud, places[start : start + 10])
        cloud.pass_time(120)
        if asks in {"group event", "tag event"}:
            named = APPS if asks == "group event" else places[start]
            event = events.decode(
                {
                    "eventType": "Microsoft.Resources.ResourceWriteSuccess",
                    "subject": named,
                    "eventTime": cloud.clock().isoformat(),
                    "data": {
                        "resourceUri": named,
                        "operationName": "Microsoft.Resources/tags/write",
                    },
                }
            )
            assert event
            cloud.drive(*cloud.app.requests(event), most=500)
        elif asks == "queue":
            cloud.drive(Request(ResourceId.parse("/")), most=500)
            cloud.drive(Request(ResourceId.parse(SUB)), most=500)
        else:
            if asks == "restart":
                deploy(cloud, 10)
            cloud.drive(*cloud.app.sweep(scheduled=False).requests, most=500)

    assert removed(cloud) == 0
    assert all(cloud.rights(cloud.principal(one)) == {("Reader", "rg-app")} for one in places)


def test_a_neighbour_that_trips_the_limit_keeps_only_its_own(tmp_path: Path) -> None:
    """Eleven untagged machines in one group do not keep what another group should lose."""
    cloud, places = fleet(tmp_path, 10, APPS, TEAM, each=11)
    apps, team = places[:11], places[11:]
    untag(cloud, apps)
    untag(cloud, team[:2])
    cloud.drive(*cloud.app.sweep().requests, most=500)

    assert all(cloud.rights(cloud.principal(one)) == {("Reader", "rg-app")} for one in apps)
    assert [cloud.rights(cloud.principal(one)) for one in team[:2]] == [set(), set()]


def test_groups_that_together_pass_the_limit_lose_nothing(tmp_path: Path) -> None:
    """None alone is too many; a policy's mistake is spread over all groups."""
    cloud, places = fleet(tmp_path, 10, APPS, TEAM, each=6)
    untag(cloud, places)
    cloud.drive(*cloud.app.sweep().requests, most=500)

    assert removed(cloud) == 0


def test_a_message_keeps_the_names(steady: Cloud) -> None:
    """What may go survives the queue, and a message of before names nothing."""
    steady.deploy(policy(rule(system={"grants": []})))
    (request,) = [one for one in steady.app.sweep().requests if one.id.name == "vm1"]
    text = messages.encode(request)
    old = json.dumps(json.loads(text) | {"removals": steady.app.policy.digest})
    steady.drive(messages.decode(old))
    assert steady.rights(steady.principal()) == OWN

    steady.drive(messages.decode(text))
    assert steady.rights(steady.principal()) == set()


def test_an_audit_rule_keeps_what_it_asks_for(steady: Cloud) -> None:
    """What policy asks for in audit is not withdrawn; the names of the sweep prove it."""
    steady.deploy(policy(rule(mode="audit")))
    swept = steady.app.sweep()

    assert ids(swept) <= {"shared"}
    assert holds(steady.shown()) <= {Hold.AUDIT}
    assert all(not one.removals or not one.removals.ids for one in swept.requests)
