"""Event subscriptions as ARM resources: at a subscription, a group or a custom topic, or nested.

Shapes are the documented examples' (``data/arm/examples/eventgrid_*``). ``eventsettings`` checks
what is sent; a webhook's consent is asked by whoever delivers.
"""

import datetime as dt

from sandbox.arm import errors, ids, listing, operations
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.eventgrid import filters, settings
from sandbox.world.state import EventSubscription

routes = Routes()

CONSENT = dt.timedelta(seconds=30)
"""How long a webhook may take for its consent (facts: Resource events, documented)."""
_MOST = 500
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


def _topic(call: Call) -> ids.ArmId:
    """Return what the event subscription or list of the call hangs on; raises ``AzureError``."""
    if "kind" not in call.args:
        found = ids.parse(call.id.scope)
        if found.type.lower() not in _SOURCES:
            raise errors.unsupported(f"event subscriptions of {found.text or 'the tenant'}")
    else:
        end = call.id.key.rindex("/eventsubscriptions")
        found = ids.parse(call.id.text[:end])
    call.world.require_scope(found)
    return found


def _source(call: Call, topic: ids.ArmId) -> str:
    resource = call.world.resources.get(topic.key)
    # A system topic stands for its source.
    source = resource.properties.get("source") if resource else None
    return str(source or topic.text).lower()


def _show(call: Call, subscription: EventSubscription) -> Json:
    found, operation = subscription.properties, subscription.operation
    nested = subscription.id.type.count("/") > 1
    topic = subscription.id.outer if nested else subscription.id.scope
    return {
        "id": subscription.id.text,
        "name": subscription.id.name,
        "type": subscription.id.type,
        "properties": {
            **found,
            "destination": settings.shown_destination(found["destination"]),
            "provisioningState": operation.status(call.world.now(), operation.state),
            "topic": topic,
        },
    }


def _find(call: Call, key: str) -> EventSubscription:
    found = call.world.event_subscriptions.get(key)
    if found is None:
        # The text is assumed.
        name = ids.parse(key).name
        raise errors.AzureError(404, "ResourceNotFound", f"Event subscription '{name}' not found.")
    return found


def _store(call: Call, properties: Json) -> Reply:
    world, topic = call.world, _topic(call)
    resource = world.resources.get(topic.key)
    schema = str(resource.properties.get("inputSchema", "")) if resource else ""
    checked = settings.check(world, properties, schema)
    source = _source(call, topic)
    known = world.event_subscriptions.get(call.id.key)
    siblings = sum(each.source == source for each in world.event_subscriptions.values())
    if known is None and siblings >= _MOST:
        raise filters.invalid(f"a topic has at most {_MOST} event subscriptions.")
    operation = world.start_operation()
    operation.resource, operation.location = call.id.text, "global"
    operation.state = "Updating" if known else "Creating"
    found = operations.headers(call, operation, final=False)
    stored = EventSubscription(call.id, source, checked, operation)
    if world.asks_webhooks and checked["destination"]["endpointType"] == "WebHook":
        # Asking takes as long as it takes; the client comes again by the header made above.
        stored.consent = "pending"
        # Webhooks answer by the wall, however fast the clock is.
        operation.ends = world.now() + CONSENT * max(1, world.clock.speed)
    world.put_event_subscription(stored)
    return Reply(201, _show(call, stored), found)


def put(call: Call) -> Reply:
    """Create or replace an event subscription: 201, an operation that a webhook may fail."""
    return _store(call, call.member("properties") or {})


def patch(call: Call) -> Reply:
    """Change some settings; they stand in the body without ``properties`` (documented)."""
    known = _find(call, call.id.key)
    return _store(call, {**known.properties, **call.object_body()})


def get(call: Call) -> Reply:
    """Return one event subscription."""
    _topic(call)
    return Reply(200, _show(call, _find(call, call.id.key)))


def delete(call: Call) -> Reply:
    """Delete an event subscription: 200, or 204 when there was none."""
    found = call.world.event_subscriptions.get(call.id.key)
    if found is None:
        return Reply(204)
    call.world.remove_event_subscription(found)
    return Reply(200)


def full_url(call: Call) -> Reply:
    """Return a webhook's whole address; reads show it without its query, which may be a secret."""
    destination = _find(call, call.id.parent.lower()).properties["destination"]
    return Reply(200, {"endpointUrl": destination["properties"].get("endpointUrl")})


def list_all(call: Call) -> Reply:
    """List the event subscriptions at a scope and below, or of a topic."""
    key = _topic(call).key
    subscriptions = call.world.event_subscriptions.values()
    found = [each for each in subscriptions if ids.contains(key, each.id.key)]
    return listing.page(call, found, lambda each: _show(call, each))


for _rule, _title in ((_SCOPED, "Event Subscriptions"), (_NESTED, "Topic Event Subscriptions")):
    for _method, _suffix, _handler, _name in (
        ("GET", "", list_all, "List By Resource"),
        ("GET", "/<name>", get, "Get"),
        ("PUT", "/<name>", put, "Create Or Update"),
        ("PATCH", "/<name>", patch, "Update"),
        ("DELETE", "/<name>", delete, "Delete"),
        ("POST", "/<name>/getfullurl", full_url, "Get Full URL"),
    ):
        routes.route(_method, _rule + _suffix, Evidence.DOCUMENTED, f"REST: {_title} - {_name}")(
            _handler
        )
