"""The web entrance: the Event Grid webhook and the part of the queue service that an app uses."""

import json

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy
from werkzeug.test import Client, TestResponse

from sandbox.host.http import application, connection_string, serving
from sandbox.host.queues import MemoryQueues
from sandbox.host.triggers import Host
from tests.host.conftest import Clock, event, objects
from tests.world.children import PATIENCE

WEBHOOK = "/runtime/webhooks/EventGrid?functionName=event_grid_trigger"


def post(host: Host, body: object, kind: str = "Notification", url: str = WEBHOOK) -> TestResponse:
    """Deliver as Event Grid does."""
    return Client(application(host)).post(url, json=body, headers={"aeg-event-type": kind})


def test_the_handshake_of_event_grid_returns_the_code(host: Host) -> None:
    """The subscription is validated with 200 and the code, before any function runs."""
    data = {"validationCode": "512d38b6", "validationUrl": "https://example.com"}

    answer = post(host, [event(**data)], "SubscriptionValidation")

    assert (answer.status_code, answer.json) == (200, {"validationResponse": "512d38b6"})


def test_the_handshake_of_a_function_by_cloud_event_has_its_data_as_text(host: Host) -> None:
    """So Event Grid asks a function, rather than a webhook, in that schema."""
    body = {"specversion": "1.0", "data": json.dumps({"validationCode": "512d38b6"})}

    answer = post(host, body, "subscriptionvalidation")

    assert (answer.status_code, answer.json) == (200, {"validationResponse": "512d38b6"})


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("SubscriptionValidation", []),
        ("SubscriptionValidation", [5]),
        ("SubscriptionValidation", [{"data": None}]),
        ("SubscriptionValidation", [{"data": {}}]),
        ("SubscriptionValidation", {"data": {}}),
        ("SubscriptionValidation", {"data": "{}"}),
        ("SubscriptionValidation", 5),
        ("Notification", [5]),
        ("Notification", 5),
        ("Notification", "text"),
    ],
)
def test_what_cannot_be_read_is_a_server_error(host: Host, kind: str, body: object) -> None:
    """As of an exception in the extension, so that it comes again."""
    assert post(host, body, kind).status_code == 500


def test_the_handshake_of_cloud_events_allows_the_origin(host: Host) -> None:
    """An OPTIONS request asks, a header answers."""
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net"}

    answer = Client(application(host)).options(WEBHOOK, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"


@pytest.mark.parametrize("body", [[event("a"), event("b")], [event("a")], event("a")])
def test_a_delivery_invokes_the_function_once_per_event(
    host: Host, queues: MemoryQueues, body: object
) -> None:
    """An array or a single event is accepted with 202."""
    count = len(body) if isinstance(body, list) else 1

    assert post(host, body).status_code == 202

    host.drain(PATIENCE)
    assert len(objects(queues, "done")) == 2 * count


def test_a_delivery_that_fails_is_refused_so_that_it_comes_again(host: Host) -> None:
    """The sender sees a server error and why."""
    answer = post(host, [event() | {"subject": "boom"}])

    assert answer.status_code == 500
    assert answer.text.startswith("ValueError: ")


def test_one_event_that_fails_keeps_no_other_from_its_function(
    host: Host, queues: MemoryQueues
) -> None:
    """The whole delivery is refused all the same."""
    broken = event() | {"subject": "boom"}
    answer = post(host, [event("a"), broken, event("b")])

    assert answer.status_code == 500
    host.drain(PATIENCE)
    assert len(objects(queues, "done")) == 4


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionValidation", "Unsubscribe", ""])
@pytest.mark.parametrize("name", ["absent", "queue_trigger", "EVENT_GRID_TRIGGER", ""])
def test_a_delivery_to_an_unknown_function_is_not_found(host: Host, name: str, kind: str) -> None:
    """Only functions with an Event Grid trigger can be addressed, whatever it is about."""
    url = f"/runtime/webhooks/eventgrid?functionName={name}"
    answer = post(host, [event(validationCode="512d38b6")], kind, url)

    assert (answer.status_code, answer.text) == (404, f"cannot find function: '{name}'")


def test_other_deliveries_are_answered_as_by_core_tools(host: Host) -> None:
    """Unsubscribing is accepted; an unknown kind and a path are not."""
    client = Client(application(host))
    headers = {"aeg-event-type": "Notification"}

    assert post(host, [], "Unsubscribe").status_code == 202
    assert post(host, [], "").status_code == 400
    assert client.post(WEBHOOK, data="{", headers=headers).status_code == 500
    assert client.get("/").status_code == 404


def test_a_message_that_the_app_defers_reaches_its_queue_trigger(
    host: Host, queues: MemoryQueues, clock: Clock
) -> None:
    """The storage SDK sends it, it waits for its time, and then the function gets it."""
    with serving(application(host, queues)) as port, _client(port, "work") as client:
        sent = client.send_message(json.dumps({"later": "<&>"}), visibility_timeout=60)
        host.drain(PATIENCE)
        queues.create("done")
        early = queues.waiting("done")
        clock.turn(60)
        host.drain(PATIENCE)

    (done,) = objects(queues, "done")
    assert not early
    assert (done["id"], done["body"]) == (sent.id, '{"later": "<&>"}')


def test_the_storage_sdk_creates_queues_and_learns_of_missing_ones(
    host: Host, queues: MemoryQueues
) -> None:
    """Its own exceptions come out, by the service's statuses and error codes."""
    with serving(application(host, queues)) as port, _client(port, "new") as client:
        with pytest.raises(ResourceNotFoundError, match="QueueNotFound"):
            client.send_message("too early")
        client.create_queue()
        client.send_message("in time")
        with pytest.raises(ResourceExistsError):
            client.create_queue()

    assert queues.waiting("new")


@pytest.mark.parametrize(
    ("body", "delay", "code"),
    [
        ("nonsense", "0", "InvalidXmlDocument"),
        ("<QueueMessage/>", "soon", "InvalidQueryParameterValue"),
        ("<QueueMessage/>", str(8 * 86400), "OutOfRangeQueryParameterValue"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(
    host: Host, queues: MemoryQueues, body: str, delay: str, code: str
) -> None:
    """By the service's own codes."""
    url = f"/devstoreaccount1/work/messages?visibilitytimeout={delay}"
    answer = Client(application(host, queues)).post(url, data=body)

    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, code)


def test_without_queues_in_memory_there_is_no_queue_service(host: Host) -> None:
    """The app then talks to the storage account itself."""
    assert Client(application(host)).put("/devstoreaccount1/work").status_code == 404


def _client(port: int, queue: str) -> QueueClient:
    return QueueClient.from_connection_string(
        connection_string(port), queue, message_encode_policy=TextBase64EncodePolicy()
    )
