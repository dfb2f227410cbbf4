"""How events leave: what webhooks, functions, queues and containers of dead letters get to see.

See facts: Resource events, documented. ``delivery`` decides when; here is one attempt, and the
question for a webhook's consent. Inside, every event has Event Grid's schema.
"""

import base64
import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient
from azure.storage.queue import QueueClient, QueueServiceClient
from urllib3.exceptions import LocationParseError

from sandbox.arm import ids
from sandbox.eventgrid import retry
from sandbox.eventgrid.subscriptions import EVENT_GRID, LOOPBACK
from sandbox.world.events import Event, stamp
from sandbox.world.state import EventSubscription
from sandbox.world.world import World

_ORIGIN = "eventgrid.azure.net"
_CLOUD = "application/cloudevents+json; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_OK, _CREATED, _TOO_LARGE = 200, 201, 413
# Documented: so many bytes a queue takes, base64 included.
_LARGEST_MESSAGE = 64 * 1024
_TO_CLOUD = {
    "id": "id",
    "topic": "source",
    "subject": "subject",
    "eventType": "type",
    "eventTime": "time",
    "data": "data",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)  # Names are in lower case.
    took: dt.timedelta = dt.timedelta()  # How long one waited for it.


@dataclasses.dataclass
class Outlets:
    """The ways out: webhooks over HTTP, queues and containers in memory.

    Each method raises ``TimeoutError`` or another ``OSError`` where nobody answers. One storage
    stands for every storage account of the world; queues and containers are there when used.
    """

    queues: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict)
    """Texts by account and queue."""
    blobs: dict[tuple[str, str, str], bytes] = dataclasses.field(default_factory=dict)
    """Contents by account, container and name."""

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, patience: dt.timedelta
    ) -> Answer:
        """Send a request and wait so long for its answer."""
        with requests.Session() as session:
            # Everything is on loopback, whatever proxy the machine has.
            session.trust_env = False
            try:
                answer = session.request(
                    method,
                    url,
                    headers=dict(headers),
                    data=body,
                    timeout=patience.total_seconds(),
                    allow_redirects=False,
                )
            except requests.Timeout as error:
                raise TimeoutError(str(error)) from error
            except LocationParseError as error:
                # A host name that no resolver is asked for; requests lets it through.
                raise ConnectionError(str(error)) from error
            shown = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status_code, answer.content, shown, answer.elapsed)

    def enqueue(self, account: str, queue: str, text: str) -> int:
        """Put a text into a queue of a storage account; return the status."""
        if len(text) > _LARGEST_MESSAGE:
            return _TOO_LARGE
        self.queues.setdefault((account, queue), []).append(text)
        return _CREATED

    def store(self, account: str, container: str, name: str, body: bytes) -> int:
        """Write a blob to a container of a storage account; return the status."""
        self.blobs[account, container, name] = body
        return _CREATED


class StorageOutlets(Outlets):
    """The same with the storage behind a connection string, such as Azurite's."""

    def __init__(self, connection: str) -> None:
        """Connect lazily; raises ``ValueError`` for a malformed connection string."""
        super().__init__()
        QueueServiceClient.from_connection_string(connection).close()
        self._connection = connection

    def enqueue(self, account: str, queue: str, text: str) -> int:  # noqa: ARG002 - one account for all
        """Put a text into a queue; return the status."""
        with QueueClient.from_connection_string(self._connection, queue, retry_total=0) as client:
            return _status(lambda: client.send_message(text))

    def store(self, account: str, container: str, name: str, body: bytes) -> int:  # noqa: ARG002 - one account for all
        """Write a blob; return the status."""
        client = BlobClient.from_connection_string(self._connection, container, name, retry_total=0)
        with client:
            return _status(lambda: client.upload_blob(body, overwrite=True))


def _status(request: Callable[[], object]) -> int:
    """Make a request and return the status of its answer; raises ``OSError`` without one."""
    try:
        request()
    except HttpResponseError as error:
        return error.status_code or retry.UNREACHABLE
    except AzureError as error:
        raise ConnectionError(str(error)) from error
    return _CREATED


def to_cloud(event: Event) -> Event:
    """Return an event as a CloudEvent 1.0."""
    members = {cloud: event[name] for name, cloud in _TO_CLOUD.items() if name in event}
    return {**members, "specversion": "1.0"}


def send(
    world: World, outlets: Outlets, subscription: EventSubscription, event: Event, attempts: int
) -> Answer:
    """Try to deliver an event, in the schema of its subscription, after so many attempts."""
    destination = subscription.properties["destination"]
    properties = destination["properties"]
    try:
        if destination["endpointType"] == "StorageQueue":
            # One object, as base64 (facts: Resource events, recorded).
            text = base64.b64encode(json.dumps(event).encode()).decode()
            account = properties["resourceId"].lower()
            return Answer(outlets.enqueue(account, properties["queueName"], text))
        url = properties.get("endpointUrl") or _function(world, properties["resourceId"])
        if not url:
            return Answer(retry.UNKNOWN_FUNCTION)
        headers = {
            "aeg-event-type": "Notification",
            "aeg-subscription-name": subscription.id.name.upper(),
            "aeg-delivery-count": str(attempts),
        }
        cloud = "specversion" in event
        if cloud:
            headers["Content-Type"] = _CLOUD
        else:
            headers |= {
                "Content-Type": _JSON,
                "aeg-data-version": str(event.get("dataVersion", "")),
                "aeg-metadata-version": str(event.get("metadataVersion", "1")),
            }
        body = json.dumps(event if cloud else [event]).encode()
        answer = outlets.call("POST", url, headers, body, retry.TIMEOUT)
    except TimeoutError:
        return Answer(retry.TIMED_OUT, took=retry.TIMEOUT)
    except OSError:
        return Answer(retry.UNREACHABLE)
    # What came late is no answer, whatever it says.
    late = answer.took > retry.TIMEOUT
    return Answer(retry.TIMED_OUT, took=retry.TIMEOUT) if late else answer


def _function(world: World, resource_id: str) -> str:
    """Return where a function takes events: its app's host name with the webhook's path."""
    site = world.resources.get("/".join(resource_id.split("/")[:9]).lower())
    host = site.properties.get("defaultHostName") if site else None
    if not host:
        return ""
    scheme = "http" if urlsplit(f"//{host}").hostname in LOOPBACK else "https"
    name = ids.parse(resource_id).name
    return f"{scheme}://{host}/runtime/webhooks/eventgrid?functionName={name}"


def consent(world: World, outlets: Outlets, subscription: EventSubscription) -> str:
    """Ask a webhook whether it wants the events; return why not, or an empty text.

    For Event Grid's schema that is an event with a code, which the answer must give back with 200
    (facts: Resource events, documented); for CloudEvents an answer that allows the origin.
    """
    url = subscription.properties["destination"]["properties"]["endpointUrl"]
    posts = subscription.properties["eventDeliverySchema"] == EVENT_GRID
    method = "POST" if posts else "OPTIONS"
    try:
        if posts:
            code = world.guid()
            event = {
                "id": world.guid(),
                "topic": subscription.source,
                "subject": "",
                "data": {"validationCode": code},
                "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                "eventTime": stamp(world.now()),
                "metadataVersion": "1",
                "dataVersion": "2",
            }
            headers = {
                "aeg-event-type": "SubscriptionValidation",
                "aeg-subscription-name": subscription.id.name.upper(),
                "aeg-delivery-count": "0",
                "Content-Type": _JSON,
            }
            answer = outlets.call("POST", url, headers, json.dumps([event]).encode(), retry.TIMEOUT)
            try:
                body = json.loads(answer.body)
            except ValueError:
                body = None
            agreed = isinstance(body, dict) and body.get("validationResponse") == code
        else:
            answer = outlets.call(
                "OPTIONS", url, {"WebHook-Request-Origin": _ORIGIN}, b"", retry.TIMEOUT
            )
            agreed = answer.headers.get("webhook-allowed-origin") in {"*", _ORIGIN}
        if agreed and answer.status == _OK:
            return ""
        reason = f"response code {retry.outcome(answer.status)}"
    except TimeoutError:
        reason = "no answer within 30 seconds"
    except OSError:
        reason = "response code Unknown"
    help_page = "esvalidation" if posts else "esvalidationcloudevent"
    # The first sentence is known from issues; the base address alone is named.
    return (
        f"Webhook validation handshake failed for {url.partition('?')[0]}. Http {method} request "
        f"failed with {reason}. For troubleshooting, visit https://aka.ms/{help_page}."
    )
