"""The settings of an event subscription: destination, filter, schema, retries, dead letters.

``eventsubscriptions`` checks with them what clients send. Limits are documented (facts: Delivery);
what is not simulated is refused by name.
"""

from urllib.parse import urlsplit

from sandbox.arm import errors, ids
from sandbox.arm.routing import Json
from sandbox.eventgrid import filters
from sandbox.eventgrid.filters import invalid
from sandbox.world.world import World

EVENT_GRID = "EventGridSchema"
CLOUD_EVENTS = "CloudEventSchemaV1_0"
MOST_ATTEMPTS = 30
LONGEST_LIFE = 1440
"""Minutes."""
_KNOWN = {
    "destination",
    "filter",
    "labels",
    "eventDeliverySchema",
    "retryPolicy",
    "deadLetterDestination",
}
_READ_ONLY = {"topic", "provisioningState"}
_BATCH = {"maxEventsPerBatch": 5000, "preferredBatchSizeInKilobytes": 1024}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check(world: World, properties: Json, input_schema: str) -> Json:
    """Return the settings with their defaults; raises ``AzureError`` 400.

    Args:
        world: where the destinations must be.
        properties: as they were sent.
        input_schema: what the topic takes; empty: what Azure's own topics have.
    """
    sent = {name: each for name, each in properties.items() if each is not None}
    unknown = set(sent) - _KNOWN - _READ_ONLY
    if unknown:
        raise errors.unsupported(f"the setting '{min(unknown)}' of event subscriptions")
    for name in ("destination", "filter", "retryPolicy", "deadLetterDestination"):
        if not isinstance(sent.get(name, {}), dict):
            raise errors.bad_content(f"an object is required. Path 'properties.{name}'")
    cloud = input_schema == CLOUD_EVENTS
    schema = sent.get("eventDeliverySchema") or (CLOUD_EVENTS if cloud else EVENT_GRID)
    if schema not in (EVENT_GRID, CLOUD_EVENTS):
        raise errors.unsupported(f"the eventDeliverySchema '{schema}'")
    if cloud and schema != CLOUD_EVENTS:
        raise invalid(f"events of a topic that takes {CLOUD_EVENTS} are not delivered in {schema}.")
    found: Json = {
        "destination": _destination(world, sent.get("destination") or {}),
        "filter": filters.check(sent.get("filter") or {}),
        "labels": sent.get("labels"),
        "eventDeliverySchema": schema,
        "retryPolicy": _retry_policy(sent.get("retryPolicy") or {}),
    }
    if "deadLetterDestination" in sent:
        found["deadLetterDestination"] = _dead_letters(world, sent["deadLetterDestination"])
    return found


def shown_destination(destination: Json) -> Json:
    """Return a destination as reads show it: a webhook's address without its query."""
    properties = dict(destination["properties"])
    url = properties.pop("endpointUrl", None)
    if url is not None:
        properties["endpointBaseUrl"] = url.partition("?")[0]
    return {**destination, "properties": properties}


def _retry_policy(sent: Json) -> Json:
    limits = {"maxDeliveryAttempts": MOST_ATTEMPTS, "eventTimeToLiveInMinutes": LONGEST_LIFE}
    filters.require_known(sent, limits, "retryPolicy")
    for name, most in limits.items():
        _number(sent, name, most, "retryPolicy")
    return {**limits, **{name: sent[name] for name in limits if name in sent}}


def _number(sent: Json, name: str, most: int, where: str) -> None:
    value = sent.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise invalid(f"{where}.{name} must be a number from 1 to {most}, not {value}.")


def _destination(world: World, sent: Json) -> Json:
    kind, properties = sent.get("endpointType"), sent.get("properties")
    if not isinstance(properties, dict):
        raise invalid("a destination with properties is required.")
    needed = {
        "WebHook": {"endpointUrl"},
        "AzureFunction": {"resourceId"},
        "StorageQueue": {"resourceId", "queueName"},
    }.get(str(kind))
    if needed is None:
        raise errors.unsupported(f"the endpointType '{kind}'")
    allowed = needed | (set() if kind == "StorageQueue" else set(_BATCH))
    # Which reads show and clients send back.
    filters.require_known(properties, {*allowed, "endpointBaseUrl"}, f"the endpointType '{kind}'")
    for name in needed:
        if not isinstance(properties.get(name), str) or not properties[name]:
            raise invalid(f"destination.properties.{name} is required.")
    for name, most in _BATCH.items():
        _number(properties, name, most, "destination.properties")
    if kind == "WebHook":
        _check_url(properties["endpointUrl"])
    else:
        _check_resource(world, str(kind), properties["resourceId"])
    return {"endpointType": kind, "properties": properties}


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    # A local Functions host speaks plain HTTP; Azure takes HTTPS only.
    if not parts.hostname or (parts.scheme != "https" and not local):
        raise invalid(
            "Supplied URL is invalid. It cannot be null or empty and should be a proper HTTPS URL "
            "like https://www.example.com."
        )


def _check_resource(world: World, kind: str, resource_id: str) -> None:
    """Raise ``AzureError`` 400 unless the id is of the right type and its resource is there."""
    wanted = {"AzureFunction": "microsoft.web/sites/functions"}.get(
        kind, "microsoft.storage/storageaccounts"
    )
    found = ids.parse(resource_id)
    if found.type.lower() != wanted:
        raise invalid(f"'{resource_id}' is not the id of a {wanted}.")
    home = "/".join(found.key.split("/")[:9])
    if home not in world.resources:
        raise invalid(f"the resource '{resource_id}' does not exist.")


def _dead_letters(world: World, sent: Json) -> Json:
    properties = sent.get("properties")
    if sent.get("endpointType") != "StorageBlob" or not isinstance(properties, dict):
        raise errors.unsupported("a deadLetterDestination other than a StorageBlob")
    needed = ("resourceId", "blobContainerName")
    filters.require_known(properties, needed, "deadLetterDestination")
    for name in needed:
        if not isinstance(properties.get(name), str) or not properties[name]:
            raise invalid(f"deadLetterDestination.properties.{name} is required.")
    _check_resource(world, "StorageBlob", properties["resourceId"])
    return {"endpointType": "StorageBlob", "properties": properties}
