"""The tags of a subscription, a group or a resource as a resource of their own.

Writes change the tags of what they hang on, and the event is of that (facts: Resource events).
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()

_TYPE = "Microsoft.Resources/tags"
_RULE = "/~/providers/microsoft.resources/tags/default"
_RECORDED = "azure-cli test_tag_update_resource, test_tag_get_resourcegroup"


def _current(call: Call) -> dict[str, str]:
    """Return the tags of the scope; raises ``AzureError`` 404 without it, 400 above it."""
    world, scope = call.world, ids.parse(call.id.scope)
    if not scope.subscription:
        raise errors.unsupported(f"tags at the scope '{call.id.scope or '/'}'")
    world.require_scope(scope)
    if not scope.group:
        return world.subscription_tags.get(scope.subscription.lower(), {})
    tagged = world.groups.get(scope.key) or world.resources.get(scope.key)
    if tagged is None:
        raise errors.unsupported(f"tags of '{scope.text}'")
    return tagged.tags


def _sent(call: Call) -> dict[str, str]:
    """Return the tags of the body; raises ``AzureError`` 400."""
    tags = (call.member("properties") or {}).get("tags")
    if not isinstance(tags, dict):
        raise errors.bad_content("an object is required. Path 'properties.tags'")
    return tags


def _reply(call: Call, tags: dict[str, str]) -> Reply:
    body: Json = {
        "id": call.id.text,
        "name": "default",
        "type": _TYPE,
        "properties": {"tags": tags},
    }
    return Reply(200, body)


@routes.route("GET", _RULE, Evidence.RECORDED, _RECORDED)
def get(call: Call) -> Reply:
    """Return the tags of a scope."""
    return _reply(call, _current(call))


@routes.route("PUT", _RULE, Evidence.RECORDED, _RECORDED)
def put(call: Call) -> Reply:
    """Replace all tags: 200, also where there were none."""
    _current(call)
    sent = _sent(call)
    call.world.tag(ids.parse(call.id.scope), sent)
    return _reply(call, sent)


@routes.route("PATCH", _RULE, Evidence.RECORDED, _RECORDED)
def patch(call: Call) -> Reply:
    """Merge tags, replace all, or delete some; names are compared in any case (documented)."""
    sent, current = _sent(call), _current(call)
    named = {name.lower() for name in sent}
    others = {name: value for name, value in current.items() if name.lower() not in named}
    operation = str(call.object_body().get("operation", ""))
    tags = {"merge": others | sent, "replace": sent, "delete": others}.get(operation.lower())
    if tags is None:
        raise errors.bad_content(f"Error converting value '{operation}' to operation")
    call.world.tag(ids.parse(call.id.scope), tags)
    return _reply(call, tags)


@routes.route("DELETE", _RULE, Evidence.RECORDED, _RECORDED)
def delete(call: Call) -> Reply:
    """Remove all tags: 200 without a body."""
    _current(call)
    call.world.tag(ids.parse(call.id.scope), {}, verb="Delete")
    return Reply(200)
