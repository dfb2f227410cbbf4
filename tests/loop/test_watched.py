"""What is watched where settings name management groups: all of it or nothing, and up to date."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.changes import Status
from reconciler.errors import Again, ArmError, Blocked
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.loop.cloud import APPS, SEED, VM, Cloud, blocked, guardrails, machine, policy, rule
from tests.sandbox.arm import SUB, SUBSCRIPTION

SECOND = "22222222-2222-2222-2222-222222222222"
CORP = "/providers/Microsoft.Management/managementGroups/corp"
DESCENDANTS = "/corp/descendants"
THERE = f"/subscriptions/{SECOND}"
APPS_THERE = f"{THERE}/resourceGroups/rg-apps"
VM_THERE = machine("vm2", APPS_THERE)
GROUPS = {"RECONCILER_SUBSCRIPTIONS": "", "RECONCILER_MANAGEMENT_GROUPS": "corp"}
HOUR = 3600
RULE = rule(within=[SUB, THERE], attach=[])
RAILS = guardrails(grants=[{"scope": one, "roles": ["Reader"]} for one in (SUB, THERE)])


@pytest.fixture
def corp(tmp_path: Path) -> Cloud:
    """A second subscription, and a management group that holds both; the app may read it."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": SECOND, "name": "other"}],
        groups=[*SEED["groups"], {"id": APPS_THERE}],
        virtualMachines=[{"id": VM}, {"id": VM_THERE}],
        managementGroups=[
            {"name": "corp", "subscriptions": [SUBSCRIPTION, SECOND]},
            {"name": "lab", "subscriptions": []},
        ],
        assignments=[{"scope": CORP, "role": "Reader", "principal": "reconciler"}],
    )
    start(cloud)
    return cloud


def start(cloud: Cloud, **told: str) -> None:
    """Start a process that watches the management group."""
    cloud.deploy(policy(RULE, identities={}), RAILS, None, **(GROUPS | told))
    cloud.wire.calls.clear()


def leave(cloud: Cloud, *remaining: str) -> None:
    """Take all but some subscriptions out of the management group."""
    tree = cloud.world.hierarchy
    for each in cloud.world.subscriptions:
        tree.place(each, tree.groups["corp"] if each in remaining else tree.root)


def resolutions(cloud: Cloud) -> int:
    """Return how often the group was read."""
    return sum(call.path.endswith(DESCENDANTS) for call in cloud.wire.calls)


def watched(cloud: Cloud) -> list[str]:
    """Return the names of the watched subscriptions."""
    return [one.name for one in cloud.app.watched.subscriptions]


def refused(cloud: Cloud, vm: str) -> list[str]:
    """Return the codes with which a machine is refused."""
    return [one.code for one in cloud.look(vm).outcomes if one.status is Status.BLOCKED]


def test_machines_of_all_its_subscriptions_are_repaired(corp: Cloud) -> None:
    """By a request and by a sweep alike; the group is read once."""
    corp.drive(VM)
    corp.sweep()

    assert corp.attached(VM) == corp.attached(VM_THERE) == {"system"}
    assert corp.rights(corp.principal(VM_THERE)) == {("Reader", "rg-apps")}
    assert resolutions(corp) == 1


def test_many_threads_of_a_process_read_the_group_once(corp: Cloud) -> None:
    """A host answers several messages at a time, and none is answered by half."""
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: watched(corp), range(32)))

    assert found == 32 * [[SUBSCRIPTION, SECOND]]
    assert resolutions(corp) == 1


def test_events_of_all_its_subscriptions_are_heard(corp: Cloud) -> None:
    """Without a call, whether or not the group has been resolved."""
    corp.events.clear()
    corp.operator.call("PUT", VM_THERE, {"location": "westeurope", "properties": {}})
    unasked = {request.id for request in corp.hear()}
    watched(corp)

    assert unasked == {request.id for request in corp.hear()} == {ResourceId.parse(VM_THERE)}
    assert resolutions(corp) == 1


def test_an_event_is_heard_while_the_group_is_being_resolved(corp: Cloud) -> None:
    """Event Grid waits for the trigger, and must not wait for what another thread asks Azure."""
    corp.events.clear()
    corp.operator.call("PUT", VM_THERE, {"location": "westeurope", "properties": {}})
    heard: list[Request] = []
    corp.wire.before("GET", DESCENDANTS, lambda: heard.extend(corp.hear()))
    watched(corp)

    assert {request.id for request in heard} == {ResourceId.parse(VM_THERE)}


@pytest.mark.parametrize("known", [False, True])
def test_an_event_from_elsewhere_leads_to_nothing(corp: Cloud, *, known: bool) -> None:
    """Where the group is not resolved, whoever answers the request asks."""
    leave(corp, SUBSCRIPTION)
    if known:
        watched(corp)
    corp.events.clear()
    corp.operator.call("PUT", VM_THERE, {"location": "westeurope", "properties": {}})
    requests = [request for request in corp.hear() if request.id == ResourceId.parse(VM_THERE)]

    assert bool(requests) is not known
    assert all(refused(corp, str(request.id)) == ["NotWatched"] for request in requests)
    assert corp.wire.writes == []


def test_groups_and_subscriptions_add_up(corp: Cloud) -> None:
    """What both name counts once; those that are named come first."""
    leave(corp, SUBSCRIPTION)
    start(corp, RECONCILER_SUBSCRIPTIONS=SECOND)

    assert watched(corp) == [SECOND, SUBSCRIPTION]

    leave(corp, SUBSCRIPTION, SECOND)
    start(corp, RECONCILER_SUBSCRIPTIONS=SECOND)

    assert watched(corp) == [SECOND, SUBSCRIPTION]


def test_all_pages_are_read_and_groups_below_are_no_subscriptions(corp: Cloud) -> None:
    """Descendants are groups and subscriptions at any depth (documented)."""
    group = {"id": f"{CORP}-below", "type": "Microsoft.Management/managementGroups"}
    link = f"https://management.azure.com{CORP}/descendants?api-version=2020-05-01&$skiptoken=2"
    first = {"value": [group, {"id": SUB, "type": "/subscriptions"}], "nextLink": link}
    second = {"value": [{"id": THERE, "type": "/subscriptions"}]}
    corp.wire.answer("GET", DESCENDANTS, 200, body=first)
    corp.wire.answer("GET", DESCENDANTS, 200, body=second)

    assert watched(corp) == [SUBSCRIPTION, SECOND]


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_a_page_that_cannot_be_read_leaves_nothing_watched(corp: Cloud, status: int) -> None:
    """Half a list would take what is on the other half for unwatched."""
    link = f"https://management.azure.com{CORP}/descendants?api-version=2020-05-01&$skiptoken=2"
    body = {"value": [{"id": SUB, "type": "/subscriptions"}], "nextLink": link}
    corp.wire.answer("GET", DESCENDANTS, 200, body=body)
    corp.wire.answer("GET", DESCENDANTS, status, "Refused")
    corp.look(VM)

    assert corp.wire.writes == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AuthorizationFailed", Blocked),
        (400, "BadRequest", Blocked),
        (404, "NotFound", Blocked),
        (429, "TooManyRequests", Again),
        (503, "Unavailable", Again),
    ],
)
def test_a_group_that_cannot_be_read_is_an_error_that_names_it(
    corp: Cloud, status: int, code: str, kind: type[ArmError]
) -> None:
    """Setting and group are in the text; passing failures stay passing."""
    corp.wire.answer("GET", DESCENDANTS, status, code)
    with pytest.raises(kind, match=r"\ARECONCILER_MANAGEMENT_GROUPS: the management group corp "):
        corp.app.refusal(ResourceId.parse(VM))


def test_requests_wait_until_the_group_can_be_read(corp: Cloud) -> None:
    """Nothing is done before, and nothing is lost."""
    corp.wire.answer("GET", DESCENDANTS, 503, "Unavailable", times=3)
    results = corp.drive(VM)

    assert results[0].again_after is not None
    assert not results[0].plans
    assert corp.attached(VM) == {"system"}


@pytest.mark.parametrize("status", [403, 503])
def test_a_failure_speaks_for_all_that_ask_at_the_time(corp: Cloud, status: int) -> None:
    """One after the other they would wait for a call each, longer than a function may take."""
    corp.wire.answer("GET", DESCENDANTS, status, "Refused")
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: corp.look(VM), range(32)))

    assert len({one.detail for result in results for one in result.outcomes}) == 1
    assert resolutions(corp) == 1
    corp.pass_time(5)
    assert watched(corp) == [SUBSCRIPTION, SECOND]


@pytest.mark.parametrize("name", ["lab", "absent"])
def test_a_group_without_a_subscription_is_an_error(corp: Cloud, name: str) -> None:
    """Also beside others that hold some: whoever named it meant something."""
    corp.wire.answer("GET", f"/{name}/descendants", 200, body={"value": []})
    start(corp, RECONCILER_MANAGEMENT_GROUPS=f"corp,{name}")
    (outcome,) = corp.look(VM).outcomes

    assert outcome.code == "EmptyManagementGroup"
    assert outcome.detail.startswith(
        f"RECONCILER_MANAGEMENT_GROUPS: the management group {name} does not exist or holds no"
    )


def test_a_subscription_that_left_is_no_longer_touched_after_an_hour(corp: Cloud) -> None:
    """Events, messages and sweeps about it then lead to nothing."""
    corp.drive(VM_THERE)
    leave(corp, SUBSCRIPTION)
    corp.build(VM_THERE)
    corp.pass_time(HOUR)
    corp.events.clear()
    corp.wire.calls.clear()
    corp.operator.call("PUT", VM_THERE, {"location": "westeurope", "properties": {}})
    corp.sweep()

    assert not [request for request in corp.hear() if SECOND in request.id.key]
    assert refused(corp, VM_THERE) == ["NotWatched"]
    assert not [call for call in corp.wire.calls if SECOND in call.path]
    assert resolutions(corp) == 1


def test_a_subscription_that_joined_is_watched_after_an_hour(corp: Cloud) -> None:
    """Until then it is not."""
    leave(corp, SUBSCRIPTION)
    assert refused(corp, VM_THERE) == ["NotWatched"]
    leave(corp, SUBSCRIPTION, SECOND)
    corp.pass_time(HOUR / 2)
    assert refused(corp, VM_THERE) == ["NotWatched"]
    corp.pass_time(HOUR / 2)
    corp.drive(VM_THERE)

    assert corp.attached(VM_THERE) == {"system"}


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_refresh_that_fails_keeps_what_was_known(
    corp: Cloud, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and is repeated after five minutes."""
    assert watched(corp) == [SUBSCRIPTION, SECOND]
    leave(corp, SUBSCRIPTION)
    corp.pass_time(HOUR)
    corp.wire.answer("GET", DESCENDANTS, status, "Refused")
    with caplog.at_level(logging.WARNING):
        assert watched(corp) == [SUBSCRIPTION, SECOND]
        assert watched(corp) == [SUBSCRIPTION, SECOND]

    (message,) = caplog.messages
    assert message.startswith("RECONCILER_MANAGEMENT_GROUPS: the management group corp cannot be")
    assert "stays watched" in message
    corp.pass_time(300)
    assert watched(corp) == [SUBSCRIPTION]


def test_a_group_that_lost_its_last_subscription_leaves_nothing_watched(corp: Cloud) -> None:
    """That is no failure to read it: what left must not be touched."""
    corp.drive(VM)
    leave(corp)
    corp.pass_time(HOUR)

    assert refused(corp, VM) == ["EmptyManagementGroup"]
    leave(corp, SUBSCRIPTION)
    corp.pass_time(5)
    assert blocked(corp.drive(VM)) == []


def test_the_index_is_asked_about_a_thousand_subscriptions_at_a_time(corp: Cloud) -> None:
    """It takes no more in one query, and what it was not asked about must not look absent."""
    many = [f"00000000-0000-4000-8000-{number:012}" for number in range(1999)]
    rows = [{"id": f"/subscriptions/{one}", "type": "/subscriptions"} for one in many]
    corp.wire.answer("GET", DESCENDANTS, 200, body={"value": rows})
    start(corp, RECONCILER_SUBSCRIPTIONS=f"{SUBSCRIPTION},{SECOND}")
    corp.sweep()
    asked = [
        call.body["subscriptions"]
        for call in corp.wire.calls
        if call.path.endswith("/microsoft.resourcegraph/resources")
    ]

    assert {len(one) for one in asked} == {1000, 1}
    assert {each for one in asked for each in one} == {SUBSCRIPTION, SECOND, *many}
    assert corp.attached(VM) == corp.attached(VM_THERE) == {"system"}


def test_only_what_lies_in_a_watched_subscription_is_watched(corp: Cloud) -> None:
    """Neighbours and what is above a subscription are not."""
    contains = corp.app.watched.contains

    assert contains(ResourceId.parse(APPS.upper()))
    assert contains(ResourceId.parse(SUB))
    assert not contains(ResourceId.parse(f"{SUB[:-1]}2"))
    assert not contains(ResourceId.parse("/"))
    assert not contains(ResourceId.parse(CORP))


def test_named_subscriptions_cost_no_call(cloud: Cloud) -> None:
    """Without a management group nothing is resolved."""
    assert watched(cloud) == [SUBSCRIPTION]
    cloud.pass_time(2 * HOUR)
    assert watched(cloud) == [SUBSCRIPTION]
    assert cloud.wire.calls == []
