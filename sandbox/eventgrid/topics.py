"""System topics, and custom topics with the endpoint that clients publish to.

Both are resources like others; here is what they have beyond: the source of a system topic, the
endpoint and the keys of a custom one (documented). An endpoint is under this host, not one of its
own, so its address is assumed.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.authorization import access
from sandbox.eventgrid import filters, settings
from sandbox.eventgrid.schemas import is_cloud
from sandbox.identity import tokens
from sandbox.resources import generic
from sandbox.world.events import Event
from sandbox.world.state import Resource
from sandbox.world.world import World

routes = Routes()
publishing = Routes(arm=False)

SEND = "Microsoft.EventGrid/events/send/action"
LARGEST = 1024 * 1024
"""Bytes that may be published at once (facts: Delivery, documented)."""
_HOME = "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.eventgrid"
_SYSTEM_TOPIC = f"{_HOME}/systemtopics/<name>"
_TOPIC = f"{_HOME}/topics/<name>"
_AUDIENCE = "https://eventgrid.azure.net"
_SOURCES = {
    "microsoft.resources.subscriptions": "microsoft.resources/subscriptions",
    "microsoft.resources.resourcegroups": "microsoft.resources/subscriptions/resourcegroups",
}
_NEEDED = {
    settings.EVENT_GRID: ("id", "subject", "eventType", "eventTime", "dataVersion"),
    settings.CLOUD_EVENTS: ("id", "source", "type", "specversion"),
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
        raise filters.invalid(f"the source '{source.text}' is not a {kind}.")
    if str(body.get("location")).lower() != "global":
        raise filters.invalid("a system topic of this type has the location 'global'.")
    for other in call.world.resources.values():
        taken = str(other.properties.get("source")).lower() == source.key
        if (
            taken
            and other.id.key != call.id.key
            and other.type == "Microsoft.EventGrid/systemTopics"
        ):
            raise filters.invalid(f"the source has the system topic '{other.id.text}' already.")
    found = {**properties, "metricResourceId": call.world.guid()}
    return generic.put(dataclasses.replace(call, body={**body, "properties": found}))


def _with_endpoint(call: Call, reply: Reply) -> Reply:
    if isinstance(reply.body, dict) and call.id.name:
        properties = reply.body["properties"]
        properties["endpoint"] = f"{call.origin}/eventgrid{call.id.text}/api/events"
        properties.setdefault("inputSchema", settings.EVENT_GRID)
    return reply


@routes.route("GET", _TOPIC, Evidence.DOCUMENTED, "REST: Topics - Get")
def get_topic(call: Call) -> Reply:
    """Return a custom topic with its endpoint."""
    return _with_endpoint(call, generic.get(call))


@routes.route("PUT", _TOPIC, Evidence.DOCUMENTED, "REST: Topics - Create Or Update")
def put_topic(call: Call) -> Reply:
    """Create or replace a custom topic."""
    schema = (call.member("properties") or {}).get("inputSchema") or settings.EVENT_GRID
    if schema not in _NEEDED:
        raise errors.unsupported(f"the inputSchema '{schema}'")
    return _with_endpoint(call, generic.put(call))


@routes.route("PATCH", _TOPIC, Evidence.RECORDED, "facts: Identity by type")
def patch_topic(call: Call) -> Reply:
    """Change a custom topic."""
    return _with_endpoint(call, generic.patch(call))


def _topic(world: World, text: str) -> Resource:
    found = world.resources.get(text.lower())
    if found is None or found.type.lower() != "microsoft.eventgrid/topics":
        parsed = ids.parse(text)
        raise errors.resource_not_found(parsed)
    return found


def keys(world: World, topic: str) -> list[str]:
    """Return the two keys of the topic of an id."""
    return [
        base64.b64encode(
            hmac.digest(world.token_key, f"{topic.lower()} {name}".encode(), hashlib.sha256)
        ).decode()
        for name in ("key1", "key2")
    ]


@routes.route(
    "POST", f"{_TOPIC}/listkeys", Evidence.DOCUMENTED, "REST: Topics - List Shared Access Keys"
)
def list_keys(call: Call) -> Reply:
    """Return the keys that publishers may show."""
    first, second = keys(call.world, _topic(call.world, call.id.parent).id.text)
    return Reply(200, {"key1": first, "key2": second})


@publishing.route(
    "POST",
    "/eventgrid/<path:topic>/api/events",
    Evidence.DOCUMENTED,
    "Event Grid: post to a custom topic",
)
def publish(call: Call) -> Reply:
    """Take events: all of them, or none and 400, 401 or 413."""
    topic = _topic(call.world, "/" + call.args["topic"])
    _authorize(call, topic)
    if len(json.dumps(call.body)) > LARGEST:
        raise errors.AzureError(413, "RequestEntityTooLarge", f"At most {LARGEST} bytes are taken.")
    sent = call.body if isinstance(call.body, list) else [call.body]
    schema = topic.properties.get("inputSchema", settings.EVENT_GRID)
    events = [_checked(each, schema, topic) for each in sent]
    call.world.feed.publish(topic.id.key, events)
    return Reply(200)


def _checked(event: Json, schema: str, topic: Resource) -> Event:
    """Return an event as the topic passes it on; raises ``AzureError`` 400 (text assumed)."""
    for name in _NEEDED[schema]:
        if not isinstance(event, dict) or not isinstance(event.get(name), str):
            raise errors.AzureError(
                400, "BadRequest", f"This resource takes {schema}, where '{name}' is required."
            )
    if is_cloud(event):
        return event
    return {**event, "topic": topic.id.text, "metadataVersion": "1"}


def _authorize(call: Call, topic: Resource) -> None:
    """Raise ``AzureError`` 401 unless key, signature or token allow it (documented)."""
    known = keys(call.world, topic.id.text)
    headers = call.headers
    if "aeg-sas-key" in headers:
        allowed = any(secrets.compare_digest(headers["aeg-sas-key"], each) for each in known)
    elif "aeg-sas-token" in headers:
        allowed = any(_signed(headers["aeg-sas-token"], each) for each in known)
    else:
        caller = tokens.check(call.world, headers.get("authorization", ""), _AUDIENCE, call.origin)
        if access.right(call.world, caller.oid, SEND, topic.id.text, data=True) is None:
            # Not 403, which is a closed network's (azure-sdk-for-net #22831).
            raise errors.AzureError(
                HTTPStatus.UNAUTHORIZED, "Unauthorized", f"The token has no right to {SEND}."
            )
        return
    if not allowed:
        raise errors.AzureError(
            HTTPStatus.UNAUTHORIZED, "Unauthorized", "Request must contain a valid signature."
        )


def _signed(token: str, key: str) -> bool:
    """Tell whether a shared access signature was made with a key; its expiry is not looked at."""
    text, _, signature = token.partition("&s=")
    made = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256))
    return "r" in parse_qs(text) and secrets.compare_digest(made.decode(), unquote(signature))
