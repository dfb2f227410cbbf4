"""System topics, and custom topics with the endpoint that clients publish to.

Both are resources like others; here is what they have beyond: the source of a system topic and the
endpoint of a custom one (documented), whose address is assumed. It takes events in Event Grid's
schema alone, by a token; a topic for CloudEvents is there to refuse them.
"""

import json
from http import HTTPStatus

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.eventgrid.filters import invalid
from sandbox.eventgrid.subscriptions import CLOUD_EVENTS, EVENT_GRID
from sandbox.resources import generic

routes = Routes()
publishing = Routes(arm=False)

SEND = "Microsoft.EventGrid/events/send/action"
LARGEST = 1024 * 1024  # Bytes that may be published at once (facts: Delivery, documented).
_HOME = "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.eventgrid"
_SYSTEM_TOPIC = f"{_HOME}/systemtopics/<name>"
_TOPIC = f"{_HOME}/topics/<name>"
_AUDIENCE = "https://eventgrid.azure.net"
_SOURCES = {
    "microsoft.resources.subscriptions": "microsoft.resources/subscriptions",
    "microsoft.resources.resourcegroups": "microsoft.resources/subscriptions/resourcegroups",
}
_NEEDED = {
    EVENT_GRID: ("id", "subject", "eventType", "eventTime", "dataVersion"),
    CLOUD_EVENTS: ("id", "source", "type", "specversion"),
}


@routes.route("PUT", _SYSTEM_TOPIC, Evidence.DOCUMENTED, "REST: System Topics - Create Or Update")
def put_system_topic(call: Call) -> Reply:
    """Create or update a system topic of a subscription or resource group."""
    body, properties = call.object_body(), call.member("properties") or {}
    kind = _SOURCES.get(str(properties.get("topicType")).lower())
    if kind is None:
        raise errors.unsupported(f"system topics of the type '{properties.get('topicType')}'")
    source = ids.parse(str(properties.get("source")))
    if source.type.lower() != kind:
        raise invalid(f"the source '{source.text}' is not a {kind}.")
    if str(body.get("location")).lower() != "global":
        raise invalid("a system topic of this type has the location 'global'.")
    for other in call.world.resources.values():
        taken = str(other.properties.get("source")).lower() == source.key
        is_topic = other.type == "Microsoft.EventGrid/systemTopics"
        if is_topic and taken and other.id.key != call.id.key:
            raise invalid(f"the source has the system topic '{other.id.text}' already.")
    return generic.put(call)


def _with_endpoint(call: Call, reply: Reply) -> Reply:
    if isinstance(reply.body, dict) and call.id.name:
        properties = reply.body["properties"]
        properties["endpoint"] = f"{call.origin}/eventgrid{call.id.text}/api/events"
        properties.setdefault("inputSchema", EVENT_GRID)
    return reply


@routes.route("GET", _TOPIC, Evidence.DOCUMENTED, "REST: Topics - Get")
def get_topic(call: Call) -> Reply:
    """Return a custom topic with its endpoint."""
    return _with_endpoint(call, generic.get(call))


@routes.route("PUT", _TOPIC, Evidence.DOCUMENTED, "REST: Topics - Create Or Update")
def put_topic(call: Call) -> Reply:
    """Create or replace a custom topic."""
    schema = (call.member("properties") or {}).get("inputSchema") or EVENT_GRID
    if schema not in _NEEDED:
        raise errors.unsupported(f"the inputSchema '{schema}'")
    return _with_endpoint(call, generic.put(call))


@routes.route("PATCH", _TOPIC, Evidence.RECORDED, "facts: Identity by type")
def patch_topic(call: Call) -> Reply:
    """Change a custom topic."""
    return _with_endpoint(call, generic.patch(call))


@publishing.route(
    "POST",
    "/eventgrid/<path:topic>/api/events",
    Evidence.DOCUMENTED,
    "Event Grid: post to a custom topic",
)
def publish(call: Call) -> Reply:
    """Take events: all of them, or none and 400, 401 or 413."""
    key = "/" + call.args["topic"]
    topic = call.world.resources.get(key)
    if topic is None or topic.type.lower() != "microsoft.eventgrid/topics":
        raise errors.resource_not_found(ids.parse(key))
    caller = call.authenticated(_AUDIENCE)
    if not call.may(SEND, topic.id.text, principal=caller, data=True):
        # Not 403, which is a closed network's (azure-sdk-for-net #22831).
        raise errors.AzureError(
            HTTPStatus.UNAUTHORIZED, "Unauthorized", f"The token has no right to {SEND}."
        )
    if len(json.dumps(call.body)) > LARGEST:
        raise errors.AzureError(413, "RequestEntityTooLarge", f"At most {LARGEST} bytes are taken.")
    sent = call.body if isinstance(call.body, list) else [call.body]
    schema = topic.properties.get("inputSchema", EVENT_GRID)
    for event in sent:
        for name in _NEEDED[schema]:
            if not isinstance(event, dict) or not isinstance(event.get(name), str):
                # The text is assumed.
                text = f"This resource takes {schema}, where '{name}' is required."
                raise errors.AzureError(400, "BadRequest", text)
    if schema != EVENT_GRID:
        raise errors.unsupported(f"publishing events of the {schema}")
    marks = {"topic": topic.id.text, "metadataVersion": "1"}
    call.world.feed.publish(topic.id.key, [{**event, **marks} for event in sent])
    return Reply(200)
