"""From an event at the trigger to a write in Azure, through the real worker library."""

import base64
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sandbox.demo.fixtures import BLOB_CONTRIBUTOR, BLOB_READER, SHARED, STORE
from sandbox.host.bindings import encode
from sandbox.host.queues import MemoryQueues
from tests.functions.conftest import (
    EVENT_QUEUE,
    MACHINE,
    QUEUE,
    Cloud,
    Deployment,
    deployed,
    healed,
    post,
)
from tests.host.conftest import Clock
from tests.world.children import PATIENCE

LEASE = timedelta(minutes=1)


def as_cloud_event(event: dict[str, Any]) -> dict[str, Any]:
    """Write an event as Event Grid does for a subscription in CloudEvents schema."""
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "subject": event["subject"],
        "type": event["eventType"],
        "time": event["eventTime"],
        "data": event["data"],
    }


def test_an_event_at_the_trigger_becomes_a_write_in_azure(
    cloud: Cloud, deployment: Deployment
) -> None:
    """A bare machine gets the identities and roles that policy gives it."""
    deployment.host.deliver(cloud.written(MACHINE))
    deployment.host.drain(PATIENCE)

    principal = cloud.operator.get(MACHINE)["identity"]["principalId"]
    assert healed(cloud)
    assert (principal, BLOB_CONTRIBUTOR) in held(cloud)


def test_a_cloud_event_does_the_same(cloud: Cloud, deployment: Deployment) -> None:
    """The binding hands over either schema."""
    deployment.host.deliver(as_cloud_event(cloud.written(MACHINE)))
    deployment.host.drain(PATIENCE)

    assert healed(cloud)


def test_a_time_without_a_zone_is_utc(cloud: Cloud, deployment: Deployment) -> None:
    """The worker library hands such a time over as it is; a request's time always has a zone."""
    deployment.host.deliver(cloud.written(MACHINE) | {"eventTime": "2026-01-01T12:00:00.5"})
    deployment.host.drain(PATIENCE)

    assert healed(cloud)


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-03-01T12:00:60Z",
        "2026-03-01T12:00:00.1234567+02:00",
        "9" * 5000,
        "",
        None,
        7,
        ["2026"],
    ],
    ids=lambda time: str(time)[:40],
)
@pytest.mark.parametrize("schema", ["event grid", "cloud events"])
def test_an_event_with_a_malformed_time_is_accepted(
    cloud: Cloud, deployment: Deployment, time: object, schema: str
) -> None:
    """The worker library alone would refuse it, and Event Grid send it again for a day."""
    event = cloud.written(MACHINE) | {"eventTime": time}
    answer = post(deployment.address, [event if schema == "event grid" else as_cloud_event(event)])
    deployment.host.drain(PATIENCE)

    assert answer.status_code == 202
    assert healed(cloud)


@pytest.mark.parametrize(
    "change",
    [
        {"data": "nothing", "subject": ""},
        {"data": {"resourceUri": 7, "claims": "{"}, "subject": "x"},
        {"eventType": 7},
        {"subject": None, "data": None},
    ],
    ids=str,
)
def test_a_forged_event_leads_to_nothing(
    cloud: Cloud, deployment: Deployment, change: dict[str, Any]
) -> None:
    """Event Grid would send again what the trigger refuses, so it takes whatever comes."""
    deployment.host.deliver(cloud.written(MACHINE) | change)
    deployment.host.drain(PATIENCE)

    assert calls(cloud) == 0


def test_an_identity_s_event_over_the_webhook_grants_its_rights(
    cloud: Cloud, deployment: Deployment
) -> None:
    """Event Grid posts to the webhook; the machines that should carry the identity follow."""
    answer = post(deployment.address, [cloud.written(SHARED)])
    deployment.host.drain(PATIENCE)

    principal = cloud.operator.get(SHARED)["properties"]["principalId"]
    assert answer.status_code == 202
    assert (principal, BLOB_READER) in held(cloud)
    assert healed(cloud)


def test_an_event_of_no_concern_makes_no_call(cloud: Cloud, deployment: Deployment) -> None:
    """What policy does not name ends at the trigger."""
    event = cloud.written(MACHINE)
    elsewhere = STORE.replace("appstore", "other")
    changed = {"subject": elsewhere, "data": event["data"] | {"resourceUri": elsewhere}}
    deployment.host.deliver(event | changed)
    deployment.host.drain(PATIENCE)

    assert calls(cloud) == 0


@pytest.mark.parametrize(
    ("queue", "text", "reason"),
    [
        (QUEUE, "{", "MessageError: the message is not JSON"),
        (QUEUE, '{"id": "/subscriptions/../x"}', "MessageError: `id` in the message"),
        (QUEUE, '{"id": "/subscriptions/s", "expected": 1}', "MessageError: `expected` in the"),
        (EVENT_QUEUE, "machine app-1 was written", "MessageError: the message is not JSON"),
        (EVENT_QUEUE, '{"id": "/subscriptions/s"}', "MessageError: the message is no event"),
    ],
)
def test_a_malformed_message_ends_in_the_poison_queue(
    deployment: Deployment, caplog: pytest.LogCaptureFixture, queue: str, text: str, reason: str
) -> None:
    """It keeps its text, and the log says why; the queue does not stop on it."""
    # The delay before another attempt is the host's own and not what is tested here.
    deployment.host.options = replace(deployment.host.options, visibility_timeout=timedelta())
    with caplog.at_level(logging.ERROR):
        deployment.queues.put(queue, encode(text))
        deployment.host.drain(PATIENCE)

    (message,) = deployment.queues.get(f"{queue}-poison", LEASE)
    assert base64.b64decode(message.text).decode() == text
    assert [one for one in caplog.messages if f"moves to {queue}-poison: {reason}" in one]


@pytest.mark.parametrize("data", [{}, {"resourceUri": STORE.replace("appstore", "other")}])
def test_an_event_of_no_concern_leaves_its_queue_without_a_call(
    cloud: Cloud, deployment: Deployment, data: dict[str, str]
) -> None:
    """Only what is no event at all is kept aside."""
    event = cloud.written(MACHINE) | {"subject": "", "data": data}
    deployment.queues.put(EVENT_QUEUE, encode(json.dumps(event)))
    deployment.host.drain(PATIENCE)

    assert calls(cloud) == 0
    assert deployment.queues.create(f"{EVENT_QUEUE}-poison")


def test_a_deferred_request_comes_back_after_its_delay(
    cloud: Cloud, settings: pytest.MonkeyPatch
) -> None:
    """A machine that is being built is looked at again when it has settled."""
    settings.setenv("RECONCILER_SETTLE", "600")
    clock = Clock()
    queues = MemoryQueues(clock)
    cloud.operator.put(MACHINE, {"identity": {"type": "SystemAssigned"}})
    with deployed(settings, queues) as deployment:
        deployment.host.deliver(cloud.written(MACHINE))
        deployment.host.drain(PATIENCE)
    # The host does not listen any more, so what comes is left for this test to see.
    clock.turn(300)
    early = queues.get(QUEUE, LEASE, 32)
    clock.turn(400)
    due = queues.get(QUEUE, LEASE, 32)

    (content,) = [json.loads(base64.b64decode(one.text)) for one in due]
    assert early == []
    assert content["id"].lower() == MACHINE.lower()
    assert content["first"]
    assert not healed(cloud)


def test_the_timer_finds_what_events_missed(cloud: Cloud, deployment: Deployment) -> None:
    """Without any event a sweep nominates the machine and the identity, and both are healed."""
    deployment.host.fire_timer("timer_trigger")
    deployment.host.drain(PATIENCE)

    principal = cloud.operator.get(SHARED)["properties"]["principalId"]
    assert healed(cloud)
    assert (principal, BLOB_READER) in held(cloud)


def test_a_message_of_another_version_is_answered(
    cloud: Cloud, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown key is logged; removals of the version before allow nothing."""
    old = {"id": MACHINE, "seen": ["gone"], "removals": "digest", "more": 1}
    with caplog.at_level(logging.WARNING):
        deployment.queues.put(QUEUE, encode(json.dumps(old)))
        deployment.host.drain(PATIENCE)

    assert healed(cloud)
    assert [one for one in caplog.messages if "unknown key 'more'" in one]


def test_an_array_of_events_in_the_queue_is_handled_event_by_event(
    cloud: Cloud, deployment: Deployment
) -> None:
    """What in it is no event is logged, and costs the others nothing."""
    events = [{"odd": 1}, cloud.written(SHARED), cloud.written(MACHINE)]
    deployment.queues.put(EVENT_QUEUE, encode(json.dumps(events)))
    deployment.host.drain(PATIENCE)

    assert healed(cloud)
    assert deployment.queues.create(f"{EVENT_QUEUE}-poison"), "it was poisoned"


@pytest.mark.parametrize("time", ["yesterday", "", None, 7, "0001-01-01T00:00:00Z", "9999-12-31"])
def test_an_event_with_an_odd_time_is_answered(
    cloud: Cloud, deployment: Deployment, time: object
) -> None:
    """Not refused, which Event Grid would take for a reason to send it again."""
    event = cloud.written(MACHINE) | {"eventTime": time}
    deployment.queues.put(EVENT_QUEUE, encode(json.dumps(event)))
    deployment.host.drain(PATIENCE)

    assert healed(cloud)


def calls(cloud: Cloud) -> int:
    """Return how many ARM calls the app made."""
    world = cloud.server.world
    return sum(one.app_id == world.app.app_id for one in list(world.requests))


def held(cloud: Cloud) -> set[tuple[str, str]]:
    """Return who holds which role at the store."""
    found = [one["properties"] for one in cloud.operator.assignments(STORE)]
    return {(one["principalId"], one["roleDefinitionId"].rpartition("/")[2]) for one in found}
