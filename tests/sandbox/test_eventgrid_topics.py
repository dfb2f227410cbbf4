"""Custom topics: the published client publishes, subscribers get it."""

import dataclasses
import datetime as dt
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient, generate_sas

from sandbox.identity import tokens
from sandbox.server import Server
from tests.sandbox.arm import GROUP, error
from tests.sandbox.grid import Grid

TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/topics/outcomes"
SUBSCRIBERS = f"{TOPIC}/providers/Microsoft.EventGrid/eventSubscriptions"
SENDER = "d5a91429-5739-47e2-a06b-3470a27159e7"


@dataclasses.dataclass
class Topic:
    """A custom topic and its clients; they cannot be given a transport, so it is served."""

    grid: Grid
    url: str
    authority: str

    def key(self) -> str:
        """Return the topic's first key."""
        return str(self.grid.arm.call("POST", f"{TOPIC}/listKeys").json()["key1"])

    def send(self, event: EventGridEvent | CloudEvent[Any], credential: Any = None) -> None:  # noqa: ANN401 - any credential
        """Publish an event, by the key unless told otherwise; the client gives up at once."""
        chosen = credential or AzureKeyCredential(self.key())
        with EventGridPublisherClient(self.url, chosen) as client:
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
        yield Topic(grid, url, str(tmp_path / "ca.pem"))


def an_event(data: object = None) -> EventGridEvent:
    """Return an event of the application's own."""
    return EventGridEvent("vm-1", "Example.Repaired", data or {"changes": 2}, "1.0")


def test_a_topic_shows_where_to_publish(topic: Topic) -> None:
    """The endpoint is where the read was."""
    shown = topic.grid.arm.get(TOPIC)["properties"]

    assert shown["endpoint"] == f"https://management.azure.com/eventgrid{TOPIC}/api/events"
    assert shown["inputSchema"] == "EventGridSchema"


def test_a_key_opens_it_and_subscribers_get_the_event(topic: Topic) -> None:
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
    credential = tokens.credential(arm.world, stranger)
    with pytest.raises(ClientAuthenticationError):
        topic.send(an_event(), credential)
    arm.assign(TOPIC, stranger.oid, SENDER)
    topic.send(an_event(), credential)

    assert len(topic.got()) == 1


def test_a_signature_opens_it(topic: Topic) -> None:
    """Made from either key."""
    signed = generate_sas(topic.url, topic.key(), dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    topic.send(an_event(), AzureSasCredential(signed))
    with pytest.raises(ClientAuthenticationError):
        topic.send(an_event(), AzureSasCredential(signed.replace("2030", "2031")))

    assert len(topic.got()) == 1


def test_a_wrong_key_is_refused(topic: Topic) -> None:
    """401, and nothing is taken."""
    with pytest.raises(ClientAuthenticationError):
        topic.send(an_event(), AzureKeyCredential("wrong"))

    assert topic.got() == []


def test_cloud_events_pass_a_topic_that_takes_them(topic: Topic) -> None:
    """As they were sent, and in no other schema."""
    grid = topic.grid
    body = {"location": "westus", "properties": {"inputSchema": "CloudEventSchemaV1_0"}}
    grid.arm.call("PUT", TOPIC, body)
    grid.turn(1)
    refused = grid.put(at=SUBSCRIBERS, eventDeliverySchema="EventGridSchema")
    grid.subscribe(at=SUBSCRIBERS)
    topic.send(CloudEvent("mine", "Example.Repaired", data={"changes": 2}))
    grid.turn(1)

    assert error(refused) == (400, "InvalidRequest")
    (event,) = grid.delivered()
    assert (event["specversion"], event["source"]) == ("1.0", "mine")
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
    """404, before any key is looked at."""
    topic.url = topic.url.replace("outcomes", "others")
    with pytest.raises(ResourceNotFoundError):
        topic.send(an_event())
