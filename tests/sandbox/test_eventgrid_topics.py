"""Custom topics: the published client publishes, subscribers get it."""

import dataclasses
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from sandbox.identity import tokens
from sandbox.server import Server
from sandbox.world.state import Principal
from tests.sandbox.grid import Grid
from tests.world.arm import GROUP, error

TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/topics/outcomes"
SUBSCRIBERS = f"{TOPIC}/providers/Microsoft.EventGrid/eventSubscriptions"
SENDER = "d5a91429-5739-47e2-a06b-3470a27159e7"


@dataclasses.dataclass
class Topic:
    """A custom topic and its clients; they cannot be given a transport, so it is served."""

    grid: Grid
    url: str
    authority: str
    sender: Principal

    def send(
        self, event: EventGridEvent | CloudEvent[Any], sender: Principal | None = None
    ) -> None:
        """Publish an event, by default as the sender; the client gives up at once."""
        credential = tokens.credential(self.grid.world, sender or self.sender)
        with EventGridPublisherClient(self.url, credential) as client:
            client.send(event, connection_verify=self.authority, retry_total=0)

    def got(self) -> list[Any]:
        """Return what was taken."""
        return self.grid.world.feed.published.get(TOPIC.lower(), [])


@pytest.fixture
def topic(grid: Grid, tmp_path: Path) -> Generator[Topic]:
    """A custom topic that takes Event Grid's schema."""
    assert grid.arm.call("PUT", TOPIC, {"location": "westus"}).status_code == 201
    grid.turn(1)
    with Server(grid.world, tmp_path) as server:
        url = f"{server.url}/eventgrid{TOPIC}/api/events"
        sender = grid.world.new_principal("sender")
        grid.arm.assign(TOPIC, sender.oid, SENDER)
        grid.turn(1)
        yield Topic(grid, url, str(tmp_path / "ca.pem"), sender)


def an_event(data: object = None) -> EventGridEvent:
    """Return an event of the application's own."""
    return EventGridEvent("vm-1", "Example.Repaired", data or {"changes": 2}, "1.0")


def test_a_topic_shows_where_to_publish(topic: Topic) -> None:
    """The endpoint is where the read was."""
    shown = topic.grid.arm.get(TOPIC)["properties"]

    assert shown["endpoint"] == f"https://management.azure.com/eventgrid{TOPIC}/api/events"
    assert shown["inputSchema"] == "EventGridSchema"


def test_subscribers_get_what_is_published(topic: Topic) -> None:
    """Event Grid adds the topic; a resource event is not for its subscribers."""
    topic.grid.subscribe(at=SUBSCRIBERS, filter={"includedEventTypes": ["Example.Repaired"]})
    topic.send(an_event())
    topic.grid.write()
    topic.grid.turn(1)

    (body,) = topic.grid.delivered()
    (event,) = body
    assert event["topic"] == TOPIC
    assert event["metadataVersion"] == "1"
    assert event["data"] == {"changes": 2}
    assert topic.got() == [event]


def test_a_token_needs_the_senders_role(topic: Topic) -> None:
    """Without it 401, though the token is good."""
    arm = topic.grid.arm
    stranger = arm.principal("stranger")
    with pytest.raises(ClientAuthenticationError):
        topic.send(an_event(), stranger)
    arm.assign(TOPIC, stranger.oid, SENDER)
    topic.send(an_event(), stranger)

    assert len(topic.got()) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (EventGridEvent("vm-1", "Example.Repaired", {}, "1.0"), "'source' is required"),
        (CloudEvent("mine", "Example.Repaired"), "does not support publishing"),
    ],
)
def test_a_topic_for_cloud_events_takes_none(
    topic: Topic, event: EventGridEvent | CloudEvent[Any], reason: str
) -> None:
    """It refuses the other schema as Azure does, and its own because nobody needs it here."""
    body = {"location": "westus", "properties": {"inputSchema": "CloudEventSchemaV1_0"}}
    assert topic.grid.arm.call("PUT", TOPIC, body).status_code == 201
    with pytest.raises(HttpResponseError, match=reason) as refusal:
        topic.send(event)

    assert refusal.value.status_code == 400
    body["properties"] = {"inputSchema": "CustomEventSchema"}
    assert error(topic.grid.arm.call("PUT", TOPIC, body)) == (400, "UnsupportedBySandbox")


def test_subscribers_may_want_cloud_events(topic: Topic) -> None:
    """Event Grid delivers its own schema in either."""
    grid = topic.grid
    grid.subscribe(at=SUBSCRIBERS, eventDeliverySchema="CloudEventSchemaV1_0")
    topic.send(an_event())
    grid.turn(1)

    (event,) = grid.delivered()
    assert (event["specversion"], event["source"]) == ("1.0", TOPIC)
    assert event["data"] == {"changes": 2}


def test_events_of_another_schema_are_refused(topic: Topic) -> None:
    """All of them, with 400."""
    with pytest.raises(HttpResponseError) as refusal:
        topic.send(CloudEvent("mine", "Example.Repaired"))

    assert refusal.value.status_code == 400
    assert topic.got() == []


def test_more_than_a_megabyte_is_refused(topic: Topic) -> None:
    """413, and nothing is taken."""
    with pytest.raises(HttpResponseError) as refusal:
        topic.send(an_event("x" * 1024 * 1024))

    assert refusal.value.status_code == 413
    assert topic.got() == []


def test_a_change_leaves_the_endpoint(topic: Topic) -> None:
    """Where to publish does not depend on what is written."""
    changed = topic.grid.arm.call("PATCH", TOPIC, {"tags": {"a": "b"}})

    assert changed.status_code == 201
    assert changed.json()["properties"]["endpoint"].endswith("/api/events")


def test_an_unknown_topic_takes_nothing(topic: Topic) -> None:
    """404, before any token is looked at."""
    topic.url = topic.url.replace("outcomes", "others")
    with pytest.raises(ResourceNotFoundError):
        topic.send(an_event())
