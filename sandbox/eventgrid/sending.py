"""How events leave: what a webhook, a function and a queue get to see.

See facts: Resource events, documented.

``eventdelivery`` decides when; here is one attempt, and the question for a webhook's consent.
"""

import base64
import json
from urllib.parse import urlsplit

from sandbox.arm import ids
from sandbox.arm.routing import Json
from sandbox.eventgrid import retry
from sandbox.eventgrid.outlets import Answer, Attempt, Outlets
from sandbox.eventgrid.schemas import is_cloud, validation
from sandbox.eventgrid.settings import EVENT_GRID
from sandbox.world.events import Event
from sandbox.world.state import EventSubscription
from sandbox.world.world import World

_ORIGIN = "eventgrid.azure.net"
_CLOUD = "application/cloudevents+json; charset=utf-8"
_CLOUD_BATCH = "application/cloudevents-batch+json; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_OK = 200
_LOOPBACK = ("127.0.0.1", "localhost")


def send(
    world: World,
    outlets: Outlets,
    subscription: EventSubscription,
    events: list[Event],
    attempts: int,
) -> Attempt:
    """Try to deliver events in one go.

    Args:
        world: where an Azure function's app is found.
        outlets: the ways out.
        subscription: says where to.
        events: more than one only where it allows batches.
        attempts: how many there were before.
    """
    destination = subscription.properties["destination"]
    properties = destination["properties"]
    try:
        if destination["endpointType"] == "StorageQueue":
            # One object, as base64 (facts: Resource events, recorded).
            text = base64.b64encode(json.dumps(events[0]).encode()).decode()
            return Attempt(
                outlets.enqueue(properties["resourceId"].lower(), properties["queueName"], text)
            )
        url = properties.get("endpointUrl") or _function(world, properties["resourceId"])
        if not url:
            return Attempt(retry.UNKNOWN_FUNCTION)
        headers, body = _request(
            subscription, events, attempts, batch="maxEventsPerBatch" in properties
        )
        return _called(world, outlets, url, headers, body, attempts)
    except TimeoutError:
        return Attempt(retry.TIMED_OUT, retry.TIMEOUT)
    except OSError:
        return Attempt(retry.UNREACHABLE)


def _called(  # noqa: PLR0913, PLR0917 - the parts of a request
    world: World, outlets: Outlets, url: str, headers: dict[str, str], body: bytes, attempts: int
) -> Attempt:
    """Send a request; one that was answered late counts by chance, until it would go out again."""
    chance = world.faults.delivery_late_counts
    patience = retry.LATEST if chance else retry.TIMEOUT
    answer = outlets.call("POST", url, headers, body, patience)
    if answer.took <= retry.TIMEOUT:
        return Attempt(answer.status)
    again = retry.TIMEOUT + retry.wait(attempts + 1, retry.TIMED_OUT)
    counts = (
        retry.delivered(answer.status) and answer.took < again and world.injector.happens(chance)
    )
    return Attempt(answer.status if counts else retry.TIMED_OUT, retry.TIMEOUT)


def _function(world: World, resource_id: str) -> str:
    """Return where a function takes events: its app's host name with the webhook's path."""
    home = "/".join(resource_id.split("/")[:9]).lower()
    site = world.resources.get(home)
    host = site.properties.get("defaultHostName") if site else None
    if not host:
        return ""
    # A local Functions host speaks plain HTTP.
    scheme = "http" if urlsplit(f"//{host}").hostname in _LOOPBACK else "https"
    name = ids.parse(resource_id).name
    return f"{scheme}://{host}/runtime/webhooks/eventgrid?functionName={name}"


def _request(
    subscription: EventSubscription, events: list[Event], attempts: int, *, batch: bool
) -> tuple[dict[str, str], bytes]:
    headers = {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": subscription.id.name.upper(),
        "aeg-delivery-count": str(attempts),
    }
    if is_cloud(events[0]):
        content: Json | list[Event] = events if batch else events[0]
        headers["Content-Type"] = _CLOUD_BATCH if batch else _CLOUD
    else:
        content = events
        headers |= {
            "Content-Type": _JSON,
            "aeg-data-version": str(events[0].get("dataVersion", "")),
            "aeg-metadata-version": str(events[0].get("metadataVersion", "1")),
        }
    return headers, json.dumps(content).encode()


def consent(world: World, outlets: Outlets, subscription: EventSubscription) -> str:
    """Ask a webhook whether it wants the events; return why not, or an empty text."""
    url = subscription.properties["destination"]["properties"]["endpointUrl"]
    schema = subscription.properties["eventDeliverySchema"]
    method = "POST" if schema == EVENT_GRID else "OPTIONS"
    try:
        agreed, answer = (_post if method == "POST" else _options)(
            world, outlets, subscription, url
        )
    except TimeoutError:
        agreed, found = False, "no answer within 30 seconds"
    except OSError:
        agreed, found = False, "response code Unknown"
    else:
        found = f"response code {retry.outcome(answer.status)}"
    if agreed:
        return ""
    help_page = "esvalidation" if method == "POST" else "esvalidationcloudevent"
    # The first sentence is known from issues; the base address alone is told.
    return (
        f"Webhook validation handshake failed for {url.partition('?')[0]}. Http {method} request "
        f"failed with {found}. For troubleshooting, visit https://aka.ms/{help_page}."
    )


def _post(
    world: World, outlets: Outlets, subscription: EventSubscription, url: str
) -> tuple[bool, Answer]:
    """Send the validation event; 200 with its code is consent, 202 is not.

    See facts: Resource events.
    """
    code = world.guid()
    event = validation(subscription.source, code, world.guid(), world.now())
    headers = {
        "aeg-event-type": "SubscriptionValidation",
        "aeg-subscription-name": subscription.id.name.upper(),
        "aeg-delivery-count": "0",
        "Content-Type": _JSON,
    }
    answer = outlets.call("POST", url, headers, json.dumps([event]).encode(), retry.TIMEOUT)
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    agreed = isinstance(found, dict) and found.get("validationResponse") == code
    return answer.status == _OK and agreed, answer


def _options(
    _world: World, outlets: Outlets, _subscription: EventSubscription, url: str
) -> tuple[bool, Answer]:
    """Ask as CloudEvents' webhooks do: the answer must allow the origin."""
    headers = {"WebHook-Request-Origin": _ORIGIN}
    answer = outlets.call("OPTIONS", url, headers, b"", retry.TIMEOUT)
    allowed = answer.headers.get("webhook-allowed-origin")
    return answer.status == _OK and allowed in {"*", _ORIGIN}, answer
