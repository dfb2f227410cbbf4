"""What is watched where settings name management groups: their subscriptions, and only these."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.world.cloud import Cloud
from tests.world.hierarchy import (
    CORP,
    DESCENDANTS,
    HOUR,
    SECOND,
    THERE,
    VM_THERE,
    leave,
    refused,
    resolutions,
    start,
    watched,
)
from tests.world.ids import APPS, SUB, SUBSCRIPTION, VM


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
        # What our makers made is asked for everywhere, be it at management groups.
        and "createdBy" not in call.body["query"]
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
