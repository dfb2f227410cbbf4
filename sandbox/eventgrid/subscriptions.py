"""Event subscriptions as ARM resources: at a subscription, a group or a custom topic, or nested.

Shapes are the documented examples' (``data/arm/examples/eventgrid_*``), limits are documented
(facts: Delivery); what is not simulated is refused by name. A webhook's consent is asked by whoever
delivers.
"""

import datetime as dt
from urllib.parse import urlsplit

from sandbox.arm import errors, ids, listing, operations
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.eventgrid import filters
from sandbox.eventgrid.filters import invalid
from sandbox.world.state import EventSubscription
from sandbox.world.world import World

routes = Routes()

EVENT_GRID = "EventGridSchema"
CLOUD_EVENTS = "CloudEventSchemaV1_0"
CONSENT = dt.timedelta(seconds=30)
"""How long a webhook may take for its consent (facts: Resource events, documented)."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Where a local Functions host speaks plain HTTP; Azure takes HTTPS only."""
_SCOPED = "/~/providers/microsoft.eventgrid/eventsubscriptions"
_NESTED = (
    "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.eventgrid"
    "/<any(systemtopics,topics):kind>/<topic>/eventsubscriptions"
)
_SOURCES = (
    "microsoft.resources/subscriptions",
    "microsoft.resources/subscriptions/resourcegroups",
    "microsoft.eventgrid/topics",
)
_OBJECTS = ("destination", "filter", "retryPolicy", "deadLetterDestination")
_SETTINGS = (*_OBJECTS, "labels", "eventDeliverySchema", "topic", "provisioningState")
"""The last two are what reads show and clients send back."""
_RETRIES = {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}
_DESTINATIONS = {
    "WebHook": ("endpointUrl",),
    "AzureFunction": ("resourceId",),
    "StorageQueue": ("resourceId", "queueName"),
}
"""The properties that each needs."""


# Settings.


def _checked(world: World, properties: Json) -> Json:
    """Return the settings of an event subscription with their defaults; raises ``AzureError``."""
    sent = {name: value for name, value in properties.items() if value is not None}
    if unknown := set(sent) - set(_SETTINGS):
        raise errors.unsupported(f"the setting '{min(unknown)}' of event subscriptions")
    for name in _OBJECTS:
        if not isinstance(sent.get(name, {}), dict):
            raise errors.bad_content(f"an object is required. Path 'properties.{name}'")
    schema = sent.get("eventDeliverySchema") or EVENT_GRID
    if schema not in (EVENT_GRID, CLOUD_EVENTS):
        raise errors.unsupported(f"the eventDeliverySchema '{schema}'")
    retries = sent.get("retryPolicy") or {}
    filters.require_known(retries, _RETRIES, "retryPolicy")
    for name, most in _RETRIES.items():
        _require_number(retries, name, most, "retryPolicy")
    settings: Json = {
        "destination": _destination(world, sent.get("destination") or {}),
        "filter": filters.check(sent.get("filter") or {}),
        "labels": sent.get("labels"),
        "eventDeliverySchema": schema,
        "retryPolicy": _RETRIES | {name: retries[name] for name in _RETRIES if name in retries},
    }
    if "deadLetterDestination" in sent:
        letters = sent["deadLetterDestination"]
        if letters.get("endpointType") != "StorageBlob" or not isinstance(
            letters.get("properties"), dict
        ):
            raise errors.unsupported("a deadLetterDestination other than a StorageBlob")
        needed = ("resourceId", "blobContainerName")
        filters.require_known(letters["properties"], needed, "deadLetterDestination")
        _require_texts(letters["properties"], needed, "deadLetterDestination")
        _require_resource(
            world, "microsoft.storage/storageaccounts", letters["properties"]["resourceId"]
        )
        settings["deadLetterDestination"] = letters
    return settings


def _destination(world: World, sent: Json) -> Json:
    kind, properties = str(sent.get("endpointType")), sent.get("properties")
    if not isinstance(properties, dict):
        raise invalid("a destination with properties is required.")
    if kind not in _DESTINATIONS:
        raise errors.unsupported(f"the endpointType '{kind}'")
    needed, allowed = _DESTINATIONS[kind], ["endpointBaseUrl"]
    if kind != "StorageQueue":
        allowed += ["maxEventsPerBatch", "preferredBatchSizeInKilobytes"]
    filters.require_known(properties, {*needed, *allowed}, f"the endpointType '{kind}'")
    _require_texts(properties, needed, "destination")
    if properties.get("maxEventsPerBatch", 1) != 1:
        raise errors.unsupported("maxEventsPerBatch other than 1")
    _require_number(properties, "preferredBatchSizeInKilobytes", 1024, "destination.properties")
    if kind == "WebHook":
        try:
            url = urlsplit(properties["endpointUrl"])
        except ValueError:
            url = urlsplit("")
        local = url.scheme == "http" and url.hostname in LOOPBACK
        if not url.hostname or (url.scheme != "https" and not local):
            raise invalid(
                "Supplied URL is invalid. It cannot be null or empty and should be a proper HTTPS "
                "URL like https://www.example.com."
            )
    else:
        function = kind == "AzureFunction"
        wanted = "web/sites/functions" if function else "storage/storageaccounts"
        _require_resource(world, f"microsoft.{wanted}", properties["resourceId"])
    return {"endpointType": kind, "properties": properties}


def _require_texts(properties: Json, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if not isinstance(properties.get(name), str) or not properties[name]:
            raise invalid(f"{where}.properties.{name} is required.")


def _require_number(sent: Json, name: str, most: int, where: str) -> None:
    value = sent.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise invalid(f"{where}.{name} must be a number from 1 to {most}, not {value}.")


def _require_resource(world: World, wanted: str, resource_id: str) -> None:
    """Raise ``AzureError`` 400 unless the id is of the wanted type and its resource is there."""
    target = ids.parse(resource_id)
    if target.type.lower() != wanted:
        raise invalid(f"'{resource_id}' is not the id of a {wanted}.")
    if "/".join(target.key.split("/")[:9]) not in world.resources:
        raise invalid(f"the resource '{resource_id}' does not exist.")


# Requests.


def _topic(call: Call) -> ids.ArmId:
    """Return what the event subscription or list of the call hangs on; raises ``AzureError``."""
    if "kind" in call.args:
        topic = ids.parse(call.id.text[: call.id.key.rindex("/eventsubscriptions")])
    else:
        topic = ids.parse(call.id.scope)
        if topic.type.lower() not in _SOURCES:
            raise errors.unsupported(f"event subscriptions of {topic.text or 'the tenant'}")
    call.world.require_scope(topic)
    return topic


def _show(call: Call, subscription: EventSubscription) -> Json:
    settings, operation = subscription.properties, subscription.operation
    destination = dict(settings["destination"]["properties"])
    if "endpointUrl" in destination:
        # Reads show a webhook's address without its query, which may be a secret.
        destination["endpointBaseUrl"] = destination.pop("endpointUrl").partition("?")[0]
    nested = subscription.id.type.count("/") > 1
    return {
        "id": subscription.id.text,
        "name": subscription.id.name,
        "type": subscription.id.type,
        "properties": {
            **settings,
            "destination": {**settings["destination"], "properties": destination},
            "provisioningState": operation.status(call.world.now(), operation.state),
            "topic": subscription.id.outer if nested else subscription.id.scope,
        },
    }


def _find(call: Call) -> EventSubscription:
    subscription = call.world.event_subscriptions.get(call.id.key)
    if subscription is None:
        # The text is assumed.
        raise errors.AzureError(
            404, "ResourceNotFound", f"Event subscription '{call.id.name}' not found."
        )
    return subscription


def _store(call: Call, properties: Json) -> Reply:
    world, topic = call.world, _topic(call)
    settings = _checked(world, properties)
    # A system topic stands for its source.
    resource = world.resources.get(topic.key)
    source = str((resource and resource.properties.get("source")) or topic.text).lower()
    update = call.id.key in world.event_subscriptions
    operation = world.start_operation()
    operation.resource, operation.location = call.id.text, "global"
    operation.state = "Updating" if update else "Creating"
    headers = operations.headers(call, operation, final=False)
    stored = EventSubscription(call.id, source, settings, operation)
    if world.asks_webhooks and settings["destination"]["endpointType"] == "WebHook":
        # Asking takes as long as it takes, by the wall however fast the clock is; the client comes
        # again by the header made above.
        stored.consent = "pending"
        operation.ends = world.now() + CONSENT * max(1, world.clock.speed)
    world.put_event_subscription(stored)
    return Reply(201, _show(call, stored), headers)


def put(call: Call) -> Reply:
    """Create or replace an event subscription: 201, an operation that a webhook may fail."""
    return _store(call, call.member("properties") or {})


def patch(call: Call) -> Reply:
    """Change some settings; they stand in the body without ``properties`` (documented)."""
    return _store(call, {**_find(call).properties, **call.object_body()})


def get(call: Call) -> Reply:
    """Return one event subscription."""
    _topic(call)
    return Reply(200, _show(call, _find(call)))


def delete(call: Call) -> Reply:
    """Delete an event subscription: 200, or 204 when there was none."""
    if call.id.key not in call.world.event_subscriptions:
        return Reply(204)
    call.world.remove_event_subscription(_find(call))
    return Reply(200)


def list_all(call: Call) -> Reply:
    """List the event subscriptions at a scope and below, or of a topic."""
    key = _topic(call).key
    subscriptions = call.world.event_subscriptions.items()
    listed = [subscription for name, subscription in subscriptions if ids.contains(key, name)]
    return listing.page(call, listed, lambda subscription: _show(call, subscription))


for _rule, _title in ((_SCOPED, "Event Subscriptions"), (_NESTED, "Topic Event Subscriptions")):
    for _method, _suffix, _handler, _name in (
        ("GET", "", list_all, "List By Resource"),
        ("GET", "/<name>", get, "Get"),
        ("PUT", "/<name>", put, "Create Or Update"),
        ("PATCH", "/<name>", patch, "Update"),
        ("DELETE", "/<name>", delete, "Delete"),
    ):
        routes.route(_method, _rule + _suffix, Evidence.DOCUMENTED, f"REST: {_title} - {_name}")(
            _handler
        )
