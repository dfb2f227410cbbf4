"""From a write in Azure to the app and back, by way of event subscriptions."""

import base64
import json
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from sandbox.demo.fixtures import GROUP, STORE, SUBSCRIPTION
from sandbox.demo.scenario import FUNCTION
from sandbox.eventgrid.delivery import Deliveries
from sandbox.eventgrid.sending import StorageOutlets
from sandbox.host import http
from sandbox.host.bindings import decode
from sandbox.world.faults import Faults
from tests.functions.conftest import EVENT_QUEUE, MACHINE, Cloud, Deployment, healed
from tests.world.children import PATIENCE, until

SITE = f"{GROUP}/providers/Microsoft.Web/sites/reconciler"
OLD_FORMS = Faults(events_textual=1, events_pascal_case=1)
SUBSCRIBED = f"{SUBSCRIPTION}/providers/Microsoft.EventGrid/eventSubscriptions/reconciler"


def subscribe(
    cloud: Cloud,
    kind: str,
    schema: str = "EventGridSchema",
    **properties: Any,  # noqa: ANN401 - JSON
) -> None:
    """Create the event subscription and wait until it receives."""
    destination = {"endpointType": kind, "properties": properties}
    content = {"destination": destination, "eventDeliverySchema": schema}
    cloud.operator.put(SUBSCRIBED, {"properties": content})
    until(lambda: state(cloud) == "Succeeded")


def state(cloud: Cloud) -> str:
    """Return the event subscription's provisioning state."""
    return str(cloud.operator.get(SUBSCRIBED)["properties"]["provisioningState"])


@pytest.fixture
def delivering(cloud: Cloud) -> Generator[None]:
    """Deliveries by the world's clock."""
    with Deliveries(cloud.server.world):
        yield


@pytest.mark.usefixtures("delivering")
def test_an_event_delivered_to_an_azure_function_heals_the_machine(
    cloud: Cloud, deployment: Deployment
) -> None:
    """A write leads to the function, and the function heals the machine."""
    host = deployment.address.removeprefix("http://")
    cloud.operator.put(SITE, {"properties": {"defaultHostName": host}})
    subscribe(cloud, "AzureFunction", resourceId=f"{SITE}/functions/{FUNCTION}")
    cloud.operator.put(MACHINE, {})

    until(lambda: healed(cloud))


@pytest.mark.parametrize("faults", [Faults(), OLD_FORMS], ids=["new forms", "old forms"])
@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
@pytest.mark.usefixtures("delivering")
def test_the_webhook_consents_and_an_event_delivered_to_it_heals_the_machine(
    cloud: Cloud, deployment: Deployment, schema: str, faults: Faults
) -> None:
    """The app's own webhook answers for the function, whatever form events have."""
    cloud.server.world.faults = faults
    url = f"{deployment.address}/runtime/webhooks/eventgrid?functionName={FUNCTION}"
    subscribe(cloud, "WebHook", schema, endpointUrl=url)
    cloud.operator.put(MACHINE, {})

    until(lambda: healed(cloud))


@pytest.mark.usefixtures("delivering")
def test_a_webhook_that_is_not_there_fails_the_event_subscription(
    cloud: Cloud, deployment: Deployment
) -> None:
    """So does the event subscription."""
    destination = {"endpointUrl": f"{deployment.address}/nowhere"}
    content = {"destination": {"endpointType": "WebHook", "properties": destination}}
    cloud.operator.put(SUBSCRIBED, {"properties": content})

    until(lambda: state(cloud) == "Failed")


def test_a_queue_behind_a_connection_string_gets_the_event(
    cloud: Cloud, deployment: Deployment
) -> None:
    """The storage client puts it there as one object in base64."""
    deployment.queues.create("events")
    storage = StorageOutlets(http.connection_string(int(deployment.address.rpartition(":")[2])))
    with Deliveries(cloud.server.world, storage):
        subscribe(cloud, "StorageQueue", resourceId=STORE, queueName="events")
        until(lambda: deployment.queues.waiting("events"))
    (message,) = deployment.queues.get("events", timedelta(minutes=1))

    event = json.loads(decode(message.text))
    assert event["data"]["operationName"] == "Microsoft.EventGrid/eventSubscriptions/write"


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_an_event_delivered_to_a_queue_heals_the_machine(
    cloud: Cloud, deployment: Deployment, schema: str
) -> None:
    """In either schema; nobody posts to the app."""
    storage = StorageOutlets(http.connection_string(int(deployment.address.rpartition(":")[2])))
    with Deliveries(cloud.server.world, storage):
        subscribe(cloud, "StorageQueue", schema, resourceId=STORE, queueName=EVENT_QUEUE)
        cloud.operator.put(MACHINE, {})

        until(lambda: healed(cloud))
    deployment.host.drain(PATIENCE)
    assert deployment.queues.create(f"{EVENT_QUEUE}-poison"), "a message was poisoned"


def test_a_queue_that_is_not_there_fails_the_delivery(deployment: Deployment) -> None:
    """With the store's own status."""
    storage = StorageOutlets(http.connection_string(int(deployment.address.rpartition(":")[2])))

    assert storage.enqueue(STORE, "nowhere", "text") == 404


def test_a_dead_letter_is_put_as_a_signed_block_blob() -> None:
    """The storage client puts it under container and name."""
    asked: list[Request] = []

    @Request.application
    def blobs(request: Request) -> Response:
        request.get_data()
        asked.append(request)
        return Response(status=201)

    key = base64.b64encode(b"opens nothing").decode()
    with http.serving(blobs) as port:
        at = f"http://127.0.0.1:{port}/devstoreaccount1"
        storage = StorageOutlets(
            f"AccountName=devstoreaccount1;AccountKey={key};QueueEndpoint={at};BlobEndpoint={at}"
        )
        status = storage.store(STORE, "dead", "HOOK/2026/3/1/9/a.json", b"[]")

    (request,) = asked
    assert status == 201
    assert (request.method, request.path) == (
        "PUT",
        "/devstoreaccount1/dead/HOOK/2026/3/1/9/a.json",
    )
    assert request.get_data() == b"[]"
    assert request.headers["x-ms-blob-type"] == "BlockBlob"
    assert request.headers["Authorization"].startswith("SharedKey devstoreaccount1:")


def test_a_malformed_connection_string_is_refused() -> None:
    """Before anything is delivered."""
    with pytest.raises(ValueError, match="onnection"):
        StorageOutlets("storage")
